//! `bowline advise`: call, record or both, for each call of a design.

use super::{design, experiment};
use crate::arguments::{Advise, Output};
use crate::{Done, Exit, Failure, print};
use bowline_sim::advise::advise;
use bowline_sim::experiment::Options;

pub(crate) fn run(asked: &Advise, output: Output) -> Done {
    let Some(loaded) = design::load(&asked.design, output)? else { return Ok(design::MISTAKEN) };
    let all = &loaded.design.scenarios;
    if all.is_empty() {
        return Err(Failure::wrong_use(
            "the design has no scenario to judge it under (docs/guide/scenarios.md tells how to write one)",
        ));
    }
    let named = asked.scenarios.iter().map(|name| (name.clone(), loaded.design.scenario(name)));
    let every = all.iter().map(|known| (format!("{}/{}", known.namespace, known.name), Some(known)));
    let wanted: Vec<_> = if asked.scenarios.is_empty() { every.collect() } else { named.collect() };
    let traces = wanted.iter().filter_map(|(_, scenario)| *scenario);
    let traces = traces.map(|scenario| experiment::trace(scenario, &asked.design));
    let trace = traces.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().next();
    let options =
        Options { seeds: Some(asked.seeds), first_seed: Some(asked.seed), length: asked.length, trace };
    wanted
        .iter()
        .filter_map(|(_, scenario)| *scenario)
        .for_each(|own| experiment::note_left_out(own, asked.length));
    let names: Vec<&str> = wanted.iter().map(|(name, _)| &**name).collect();
    let threads = experiment::threads(asked.threads);
    let advice = experiment::watched("advise", output, |progress| {
        advise(&loaded.reading, &names, &options, threads, progress)
    });
    let advice = match advice {
        Ok(advice) => advice,
        Err(error) => return experiment::refused(error, &loaded, output).map(|()| design::MISTAKEN),
    };
    match output {
        Output::Json => print::out(&format!("{}\n", advice.json().trim_end())),
        Output::Text => print::out(&advice.text()),
    }
    Ok(Exit::Good)
}
