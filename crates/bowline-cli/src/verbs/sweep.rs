//! `bowline sweep`: one or two parameters over a grid, and where a design tips.

use super::{design, experiment};
use crate::arguments::{Output, Sweep};
use crate::{Done, Exit, Failure, print};
use bowline_design::format::parse_duration;
use bowline_sim::report;
use bowline_sim::sweep::{Axis, Knob, VALUES_MAX, sweep};

pub(crate) fn run(asked: &Sweep, output: Output) -> Done {
    let x = axis(&asked.x).map_err(Failure::wrong_use)?;
    let y = asked.y.as_deref().map(axis).transpose().map_err(Failure::wrong_use)?;
    let common = &asked.experiment;
    let Some(loaded) = design::load(&common.design, output)? else { return Ok(design::MISTAKEN) };
    let scenarios = experiment::asked(common, &loaded, false)?;
    let Some(scenario) = scenarios.first() else { return Err(Failure::wrong_use("name a scenario")) };
    let Some(plan) = experiment::plan(common, scenario, &loaded, output)? else {
        return Ok(design::MISTAKEN);
    };
    let arm = experiment::arm(&plan, asked.arm.as_deref())?;
    let began = bowline_runtime::clock::now();
    let map = experiment::watched(&plan.name, output, |progress| {
        sweep(&plan, arm, &x, y.as_ref(), experiment::threads(common.threads), progress)
    });
    let map = map.map_err(Failure::wrong_use)?;
    let took = began.elapsed();
    let report = experiment::report(common, &format!("{}.sweep", scenario.name));
    let second = asked.y.as_ref().map(|y| format!(" --y {y}")).unwrap_or_default();
    let rest = format!(" --arm {} --x {}{second}", map.arm, asked.x);
    let again = experiment::again("sweep", common, &plan, &loaded, &rest, Vec::new());
    let page = report::map(&map, &common.design.display().to_string(), &again);
    experiment::write(&report, &page, &[("json", map.json())])?;
    match output {
        Output::Json => print::out(&format!("{}\n", map.json().trim_end())),
        Output::Text => {
            print::out(&map.text());
            print::out(&format!("\n{}", experiment::last_line(&report, took, "")));
        }
    }
    Ok(Exit::Good)
}

/// `KNOB[@SERVICE]=VALUES`.
fn axis(text: &str) -> Result<Axis, String> {
    let expected = || {
        let knobs = Knob::ALL.map(Knob::as_str).join(", ");
        format!("`{text}` is not KNOB=VALUES or KNOB@SERVICE=VALUES with one of the knobs {knobs}")
    };
    let (name, values) = text.split_once('=').ok_or_else(expected)?;
    let (name, at) = match name.split_once('@') {
        Some((name, at)) => (name, Some(at.to_owned())),
        None => (name, None),
    };
    let knob = Knob::ALL.into_iter().find(|knob| knob.as_str() == name).ok_or_else(expected)?;
    Ok(Axis { knob, at, values: all(knob, values)? })
}

/// `1,2,5`, or `1..10:4` for four values from one to the other, at even distances.
fn all(knob: Knob, text: &str) -> Result<Vec<f64>, String> {
    let Some((from, rest)) = text.split_once("..") else {
        return text.split(',').map(|value| one(knob, value.trim())).collect();
    };
    let steps = rest.split_once(':').and_then(|(to, steps)| Some((to, steps.parse::<usize>().ok()?)));
    let (to, steps) = steps
        .filter(|(_, steps)| (2..=VALUES_MAX).contains(steps))
        .ok_or_else(|| format!("`{text}` is not FROM..TO:STEPS with 2 to {VALUES_MAX} steps"))?;
    let (from, to) = (one(knob, from.trim())?, one(knob, to.trim())?);
    let value = |step: usize| from + (to - from) * step as f64 / (steps - 1) as f64;
    let round = |value: f64| match knob {
        Knob::Tries | Knob::Queue => value.round(),
        // To a microsecond and to a thousandth of a request: what people would write.
        Knob::Outage | Knob::Timeout => (value * 1e6).round() / 1e6,
        Knob::Load => (value * 1e3).round() / 1e3,
    };
    Ok((0..steps).map(value).map(round).collect())
}

fn one(knob: Knob, text: &str) -> Result<f64, String> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|value| value.is_finite());
    let (value, example) = match knob {
        Knob::Load => (number(text.strip_suffix("/s").unwrap_or(text)), "a rate such as 800/s"),
        Knob::Outage | Knob::Timeout => {
            (parse_duration(text).ok().map(|span| span.as_secs_f64()), "a span of time such as 250ms or 10s")
        }
        Knob::Tries | Knob::Queue => (number(text), "a whole number"),
    };
    value.ok_or_else(|| format!("`{text}` is not {example}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_lists_or_ranges() {
        let values = |text: &str| axis(text).unwrap().values;
        assert_eq!(values("load=400/s,800"), [400.0, 800.0]);
        assert_eq!(values("outage=5s..20s:4"), [5.0, 10.0, 15.0, 20.0]);
        assert_eq!(values("timeout@inventory=50ms"), [0.05]);
        assert_eq!(axis("timeout@inventory=50ms").unwrap().at.as_deref(), Some("inventory"));
        assert_eq!(values("tries=1..3:3"), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn an_axis_that_is_none_says_what_was_expected() {
        assert!(axis("speed=1").unwrap_err().contains("load, outage, timeout, tries, queue"));
        assert!(axis("load").unwrap_err().contains("KNOB=VALUES"));
        assert!(axis("timeout=50").unwrap_err().contains("250ms"));
        assert!(axis("load=1..2:1").unwrap_err().contains("STEPS"));
    }
}
