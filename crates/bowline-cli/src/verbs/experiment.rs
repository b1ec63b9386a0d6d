//! What the verbs that simulate have in common: a plan from a design and a scenario, a bar, a place for the page.

use super::design::{self, Loaded};
use crate::arguments::{Experiment, Output};
use crate::{Failure, print};
use bowline_design::format::format_duration;
use bowline_design::resolved::Scenario;
use bowline_design::resolved::scenario::{Arrivals, parse_trace};
use bowline_design::{Design, Note, Text};
use bowline_sim::experiment::{ExperimentError, Options, Plan, Progress};
use bowline_sim::report::Reproduce;
use indicatif::{ProgressBar, ProgressStyle};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The scenarios that are asked for; all of them where `all` is allowed and said.
pub(crate) fn asked(asked: &Experiment, loaded: &Loaded, all: bool) -> Result<Vec<Scenario>, Failure> {
    let design = &loaded.design;
    let known = || design.scenarios.iter().map(|scenario| &*scenario.name).collect::<Vec<_>>().join(", ");
    let or_all = if all { ", or `all`" } else { "" };
    match (asked.scenario.as_deref(), design.scenarios.as_slice()) {
        (_, []) => Err(Failure::wrong_use(
            "the design has no scenario; a document of kind Scenario holds one (docs/guide/scenarios.md)",
        )),
        (None, [only]) => Ok(vec![only.clone()]),
        (None, _) => Err(Failure::wrong_use(format!("name a scenario: {}{or_all}", known()))),
        (Some(name), every) => match design.scenario(name) {
            Some(scenario) => Ok(vec![scenario.clone()]),
            None if all && name == "all" => Ok(every.to_vec()),
            None => Err(Failure::wrong_use(format!("there is no scenario `{name}`; there are {}", known()))),
        },
    }
}

/// What is run; `None` after mistakes were printed.
pub(crate) fn plan(
    asked: &Experiment,
    scenario: &Scenario,
    loaded: &Loaded,
    output: Output,
) -> Result<Option<Plan>, Failure> {
    let options = Options {
        seeds: asked.seeds,
        first_seed: Some(asked.seed),
        length: asked.length,
        trace: trace(scenario, &asked.design)?,
    };
    note_left_out(scenario, asked.length);
    let full = format!("{}/{}", scenario.namespace, scenario.name);
    match Plan::of(&loaded.reading, &full, &options) {
        Ok(plan) => Ok(Some(plan)),
        Err(error) => refused(error, loaded, output).map(|()| None),
    }
}

/// Says which faults a shorter load leaves out: nothing would be seen of them, and that is to be known.
pub(crate) fn note_left_out(scenario: &Scenario, length: Option<Duration>) {
    let Some(length) = length else { return };
    for fault in scenario.faults.iter().filter(|fault| length <= fault.at) {
        let (what, at) = (fault.kind.as_str(), format_duration(fault.at));
        let length = format_duration(length);
        print::note(&format!("{}: {what} at {at} is left out: the load ends after {length}", scenario.name));
    }
}

/// Prints mistakes, or hands on why else there is no experiment.
pub(crate) fn refused(error: ExperimentError, loaded: &Loaded, output: Output) -> Result<(), Failure> {
    match error {
        ExperimentError::Mistakes { mistakes, .. } => {
            design::mistaken(&mistakes, &loaded.texts, output);
            Ok(())
        }
        error @ ExperimentError::NoScenario { .. } => Err(Failure::wrong_use(error)),
        error => Err(Failure::findings(error)),
    }
}

/// The arrivals, where they stand in a file: beside the design, unless its path is absolute.
pub(crate) fn trace(scenario: &Scenario, design: &Path) -> Result<Option<Arc<[Duration]>>, Failure> {
    let Arrivals::TraceFile(file) = &scenario.load.arrivals.value else { return Ok(None) };
    let folder = if design.is_dir() { design } else { design.parent().unwrap_or(Path::new(".")) };
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Failure::wrong_use(format!("failed to read the arrivals in {}: {error}", path.display()))
    })?;
    let times = parse_trace(&text)
        .map_err(|(line, why)| Failure::wrong_use(format!("{}:{line}: {why}", path.display())))?;
    Ok(Some(times))
}

/// The design with the arrivals that stand in files, and what could not be read: the rules that go by loads know nothing
/// of that scenario.
pub(crate) fn with_traces(design: &Design, path: &Path) -> (Design, Vec<Note>) {
    let mut known = design.clone();
    let mut notes = Vec::new();
    for scenario in &mut known.scenarios {
        match trace(scenario, path) {
            Ok(None) => {}
            Ok(Some(times)) => scenario.load.arrivals.value = Arrivals::Trace(times),
            Err(failure) => notes.push(Note {
                subject: format!("Scenario {}", scenario.name),
                text: format!("{}; no rule knows of its load", failure.error),
                count: 1,
                place: scenario.place.clone(),
            }),
        }
    }
    (known, notes)
}

/// The index of the arm of that name; the first where none is named.
pub(crate) fn arm(plan: &Plan, name: Option<&str>) -> Result<usize, Failure> {
    let Some(name) = name else { return Ok(0) };
    plan.arms.iter().position(|arm| arm.name == name).ok_or_else(|| {
        let known: Vec<&str> = plan.arms.iter().map(|arm| &*arm.name).collect();
        Failure::wrong_use(format!(
            "scenario `{}` has no arm `{name}`; there are {}",
            plan.name,
            known.join(", ")
        ))
    })
}

/// How many threads: as many as asked for, or one for each core.
pub(crate) fn threads(asked: Option<NonZeroUsize>) -> NonZeroUsize {
    let cores = || std::thread::available_parallelism().ok();
    asked.or_else(cores).unwrap_or(NonZeroUsize::MIN)
}

/// Runs `work` under a bar on standard error, which shows on a terminal alone.
pub(crate) fn watched<T>(
    what: &str,
    output: Output,
    work: impl FnOnce(&mut dyn FnMut(Progress) -> ControlFlow<()>) -> T,
) -> T {
    let bar = match output {
        Output::Text => ProgressBar::new(0),
        Output::Json => ProgressBar::hidden(),
    };
    let style = ProgressStyle::with_template("  {msg}  [{bar:24}] {pos} of {len} runs, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("## "));
    bar.set_message(what.to_owned());
    let done = work(&mut |progress| {
        bar.set_length(progress.of as u64);
        bar.set_position(progress.done as u64);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    done
}

/// Where the page goes: `.bowline/reports/NAME.html` beside the design, unless `--report` says otherwise.
pub(crate) fn report(asked: &Experiment, name: &str) -> PathBuf {
    let default = || super::up::beside(&asked.design).join("reports").join(format!("{name}.html"));
    asked.report.clone().unwrap_or_else(default)
}

/// Writes the page, and other files beside it that differ from it in their extension.
///
/// # Errors
/// One of them cannot be written.
pub(crate) fn write(report: &Path, html: &str, others: &[(&str, String)]) -> Result<(), Failure> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::wrong_use(format!("failed to write `{}`: {error}", path.display()))
    };
    if let Some(folder) = report.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    }
    std::fs::write(report, html).map_err(|error| failed(report, error))?;
    for (extension, text) in others {
        let path = report.with_extension(extension);
        std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// How to do it again. `rest` is what the verb takes besides, `facts` what it has to say besides.
pub(crate) fn again(
    verb: &str,
    asked: &Experiment,
    plan: &Plan,
    loaded: &Loaded,
    rest: &str,
    facts: Vec<(String, String)>,
) -> Reproduce {
    let (design, count) = (asked.design.display(), plan.seeds.len());
    let mut command = format!("bowline {verb} {design} {} --seeds {count} --seed {}", plan.name, asked.seed);
    if let Some(length) = asked.length {
        command.push_str(&format!(" --for {}", format_duration(length)));
    }
    command.push_str(rest);
    let mut all = vec![
        ("seeds".to_owned(), format!("{count}, from {} on", asked.seed)),
        ("design".to_owned(), format!("{:016x} (FNV-1a of its files)", digest(&loaded.texts))),
    ];
    all.extend(facts);
    all.push(("bowline".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    Reproduce { command, facts: all }
}

/// The last line: where the page is, and how long it took.
pub(crate) fn last_line(report: &Path, took: Duration, more: &str) -> String {
    let took = format!("{:.1} s{more}", took.as_secs_f64());
    format!("  Report: {}    {}\n", report.display(), print::dim(&took))
}

/// FNV-1a (Fowler, Noll, Vo) over the names and texts of a design, each followed by a byte that no text has. It
/// tells designs apart; it does not withstand somebody who wants two to be the same.
fn digest(texts: &[Text]) -> u64 {
    let parts = texts.iter().flat_map(|text| [text.name.as_bytes(), text.text.as_bytes()]);
    parts.flat_map(|part| part.iter().copied().chain([0xff])).fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_another_file_is_another_design() {
        let of = |texts: &[(&str, &str)]| {
            let text = |(name, text): &(&str, &str)| Text { name: (*name).into(), text: (*text).to_owned() };
            digest(&texts.iter().map(text).collect::<Vec<_>>())
        };
        assert_eq!(of(&[("a", "b")]), of(&[("a", "b")]));
        assert_ne!(of(&[("a", "bc")]), of(&[("ab", "c")]));
        assert_ne!(of(&[("a", "b"), ("c", "d")]), of(&[("a", "bcd")]));
    }
}
