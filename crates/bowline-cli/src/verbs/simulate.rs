//! `bowline simulate`: a design under load and faults, in virtual time.
//!
//! The figures come from `bowline-sim`; here a scenario is picked, files are read and written, and a bar says how
//! far it is.

mod digest;
mod files;

use super::design::{self, Loaded};
use crate::arguments::{Output, Simulate};
use crate::{Done, Exit, Failure, print};
use bowline_design::resolved::scenario::{Arrivals, parse_trace};
use bowline_design::resolved::{Design, Scenario};
use bowline_sim::experiment::{Experiment, ExperimentError, Options, Plan};
use bowline_sim::hero;
use bowline_sim::objectives::Standing;
use bowline_sim::report::{Finding, Page, Reproduce, Severity};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn run(simulate: &Simulate, output: Output) -> Done {
    let Some(loaded) = design::load(&simulate.design, output)? else { return Ok(design::MISTAKEN) };
    let scenarios = asked(simulate, &loaded.design)?;
    if 1 < scenarios.len() && simulate.report.is_some() {
        return Err(Failure::wrong_use("--report names one file, and several scenarios are asked for"));
    }
    let mut exit = Exit::Good;
    let mut documents = Vec::new();
    for (index, scenario) in scenarios.iter().enumerate() {
        if 0 < index && output == Output::Text {
            print::out("\n");
        }
        match one(simulate, scenario, &loaded, output)? {
            Some((document, kept)) => {
                documents.push(document);
                if !kept {
                    exit = Exit::Findings;
                }
            }
            None => return Ok(design::MISTAKEN),
        }
    }
    if output == Output::Json {
        print::json(&json!({"experiments": documents}));
    }
    Ok(exit)
}

/// The scenarios that are asked for.
fn asked(simulate: &Simulate, design: &Design) -> Result<Vec<Scenario>, Failure> {
    let known = || design.scenarios.iter().map(|scenario| &*scenario.name).collect::<Vec<_>>().join(", ");
    match (simulate.scenario.as_deref(), design.scenarios.as_slice()) {
        (_, []) => Err(Failure::wrong_use(
            "the design has no scenario; a document of kind Scenario holds one (docs/guide/simulate.md)",
        )),
        (None, [only]) => Ok(vec![only.clone()]),
        (None, _) => Err(Failure::wrong_use(format!("name a scenario: {}, or `all`", known()))),
        (Some(name), all) => match design.scenario(name) {
            Some(scenario) => Ok(vec![scenario.clone()]),
            None if name == "all" => Ok(all.to_vec()),
            None => Err(Failure::wrong_use(format!("there is no scenario `{name}`; there are {}", known()))),
        },
    }
}

/// Simulates one scenario, prints and writes what came of it. Answers with it as JSON, and whether it kept what it
/// had to; `None` after mistakes were printed.
fn one(
    simulate: &Simulate,
    scenario: &Scenario,
    loaded: &Loaded,
    output: Output,
) -> Result<Option<(serde_json::Value, bool)>, Failure> {
    let options = Options {
        seeds: simulate.seeds,
        first_seed: Some(simulate.seed),
        length: simulate.length,
        trace: trace(scenario, &simulate.design)?,
    };
    let full = format!("{}/{}", scenario.namespace, scenario.name);
    let plan = match Plan::of(&loaded.reading, &full, &options) {
        Ok(plan) => plan,
        Err(ExperimentError::Mistakes { mistakes, .. }) => {
            design::mistaken(&mistakes, &loaded.texts, output);
            return Ok(None);
        }
        Err(error) => return Err(Failure::findings(error)),
    };
    if let Some(arm) =
        simulate.require.as_ref().filter(|arm| plan.arms.iter().all(|known| known.name != **arm))
    {
        let known: Vec<&str> = plan.arms.iter().map(|arm| &*arm.name).collect();
        let arms = known.join(", ");
        return Err(Failure::wrong_use(format!(
            "scenario `{}` has no arm `{arm}`; there are {arms}",
            plan.name
        )));
    }
    let began = bowline_runtime::clock::now();
    let experiment = watched(&plan, simulate.threads, output)?;
    let took = began.elapsed();
    let page = page(simulate, &experiment, loaded);
    let report = report_path(simulate, &scenario.name);
    let document = files::document(&experiment, &page);
    files::write(&report, &page, &experiment, &document)?;
    if output == Output::Text {
        print::out(&hero::text(&experiment));
        print::out(&rest(&experiment, &loaded.design, took, &report));
    }
    Ok(Some((document, keeps(&experiment, simulate.require.as_deref()))))
}

/// The arrivals, where they stand in a file: beside the design, unless its path is absolute.
fn trace(scenario: &Scenario, design: &Path) -> Result<Option<Arc<[Duration]>>, Failure> {
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

/// Runs it under a bar on standard error, which shows on terminals alone.
fn watched(plan: &Plan, threads: Option<NonZeroUsize>, output: Output) -> Result<Experiment, Failure> {
    let threads = threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let bar = match output {
        Output::Text => ProgressBar::new(plan.runs() as u64),
        Output::Json => ProgressBar::hidden(),
    };
    let style = ProgressStyle::with_template("  {msg}  [{bar:24}] {pos} of {len} runs, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("## "));
    bar.set_message(plan.name.clone());
    let experiment = plan.run(threads, &mut |progress| {
        bar.set_position(progress.done as u64);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    experiment.map_err(Failure::findings)
}

/// Whether the arm that has to keeps every objective, or, where none is named, any does.
fn keeps(experiment: &Experiment, required: Option<&str>) -> bool {
    let mut arms = experiment.arms.iter().filter(|arm| required.is_none_or(|required| arm.name == required));
    arms.any(|arm| {
        let missed = |standing: Standing| match required {
            // Who asks for one arm wants to be sure of it.
            Some(_) => standing != Standing::Met,
            None => standing == Standing::Missed,
        };
        !arm.objectives.iter().any(|(_, judged)| missed(judged.standing))
    })
}

/// `.bowline/reports/SCENARIO.html` beside the design, unless `--report` says otherwise.
fn report_path(simulate: &Simulate, scenario: &str) -> PathBuf {
    let default = || super::up::beside(&simulate.design).join("reports").join(format!("{scenario}.html"));
    simulate.report.clone().unwrap_or_else(default)
}

fn page(simulate: &Simulate, experiment: &Experiment, loaded: &Loaded) -> Page {
    let design = simulate.design.display().to_string();
    let first = experiment.seeds.first().copied().unwrap_or_default();
    let count = experiment.seeds.len();
    let mut command = format!("bowline simulate {design} {} --seeds {count} --seed {first}", experiment.name);
    if let Some(length) = simulate.length {
        command.push_str(&format!(" --for {}", bowline_design::format::format_duration(length)));
    }
    let runs = experiment.arms.iter().map(|arm| format!("{} {:016x}", arm.name, arm.first.digest()));
    let facts = [
        ("seeds", format!("{count}, from {first} on")),
        ("design", format!("{:016x} (FNV-1a of its files)", digest::of(&loaded.texts))),
        ("runs", format!("{} (FNV-1a of the first seed's)", runs.collect::<Vec<_>>().join(", "))),
        ("events", experiment.events.to_string()),
        ("bowline", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let facts = facts.map(|(name, value)| (name.to_owned(), value)).into();
    let mut page = Page::of(experiment, &design, Reproduce { command, facts });
    page.findings = Some(findings(loaded));
    page.conclusions.extend(others(experiment, &loaded.design));
    page
}

/// What `bowline check` finds in the design, for the page.
fn findings(loaded: &Loaded) -> Vec<Finding> {
    let found = bowline_check::check(&loaded.design, &loaded.reading.documents);
    let each = |finding: bowline_check::Finding| Finding {
        severity: match finding.severity {
            bowline_check::Severity::Error => Severity::Error,
            bowline_check::Severity::Warning => Severity::Warning,
            bowline_check::Severity::Info => Severity::Info,
        },
        rule: finding.rule.to_owned(),
        what: finding.what,
        place: format!("{}:{}:{}", finding.place.file, finding.place.line, finding.place.column),
        advice: finding.advice,
    };
    found.into_iter().map(each).collect()
}

/// What is printed below the table: what else there is to simulate, where the page is, how long it took.
fn rest(experiment: &Experiment, design: &Design, took: Duration, report: &Path) -> String {
    let speed = experiment.events as f64 / took.as_secs_f64().max(1e-9) / 1e6;
    let took = format!("{:.1} s, {speed:.1} million events a second", took.as_secs_f64());
    let others = others(experiment, design).map(|others| format!("  {others}\n")).unwrap_or_default();
    format!("\n{others}  Report: {}    {}\n", report.display(), print::dim(&took))
}

/// That one scenario is not all that can happen.
fn others(experiment: &Experiment, design: &Design) -> Option<String> {
    let all = design.scenarios.iter().map(|scenario| &*scenario.name);
    let others: Vec<&str> = all.filter(|name| *name != experiment.name).collect();
    let several = (!others.is_empty()).then(|| others.join(", "))?;
    Some(format!("Not the whole story: this design has other scenarios: {several} (`all` simulates each)."))
}
