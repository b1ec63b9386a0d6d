//! `bowline simulate`: a design under load and faults in virtual time, each variant beside the others.

use super::design::{self, Loaded};
use super::experiment;
use crate::arguments::{Output, Simulate};
use crate::{Done, Exit, Failure, print};
use bowline_design::resolved::{Design, Scenario};
use bowline_sim::experiment::{Experiment, Plan};
use bowline_sim::hero;
use bowline_sim::objectives::Standing;
use bowline_sim::report::{self, Finding, Page, Severity};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) fn run(simulate: &Simulate, output: Output) -> Done {
    let asked = &simulate.experiment;
    let Some(loaded) = design::load(&asked.design, output)? else { return Ok(design::MISTAKEN) };
    let scenarios = experiment::asked(asked, &loaded, true)?;
    if 1 < scenarios.len() && asked.report.is_some() {
        return Err(Failure::wrong_use("--report names one file, and several scenarios are asked for"));
    }
    let mut exit = Exit::Good;
    let mut documents = Vec::new();
    for (index, scenario) in scenarios.iter().enumerate() {
        if 0 < index && output == Output::Text {
            print::out("\n");
        }
        let Some(plan) = experiment::plan(asked, scenario, &loaded, output)? else {
            return Ok(design::MISTAKEN);
        };
        let (document, kept) = one(simulate, &plan, scenario, &loaded, output)?;
        documents.push(document);
        if !kept {
            exit = Exit::Findings;
        }
    }
    if output == Output::Json {
        print::json(&json!({"experiments": documents}));
    }
    Ok(exit)
}

/// Simulates one scenario, prints and writes what came of it. Answers with it as JSON, and whether it kept what it
/// had to.
fn one(
    simulate: &Simulate,
    plan: &Plan,
    scenario: &Scenario,
    loaded: &Loaded,
    output: Output,
) -> Result<(Value, bool), Failure> {
    let asked = &simulate.experiment;
    let required = simulate.require.as_deref();
    experiment::arm(plan, required)?;
    let began = bowline_runtime::clock::now();
    let experiment = experiment::watched(&plan.name, output, |progress| {
        plan.run(experiment::threads(asked.threads), progress)
    });
    let experiment = experiment.map_err(Failure::findings)?;
    let took = began.elapsed();
    let page = page(simulate, plan, &experiment, loaded);
    let report = experiment::report(asked, &scenario.name);
    let document = document(&experiment, &page);
    let others = [("json", format!("{document:#}\n")), ("csv", hero::csv(&experiment))];
    experiment::write(&report, &report::html(&page), &others)?;
    if output == Output::Text {
        print::out(&hero::text(&experiment));
        let others = others_than(&experiment, &loaded.design).map(|others| format!("  {others}\n"));
        print::out(&format!("\n{}", others.unwrap_or_default()));
        print::out(&experiment::last_line(&report, took, &speed(&experiment, took)));
    }
    Ok((document, keeps(&experiment, required)))
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

fn page(simulate: &Simulate, plan: &Plan, experiment: &Experiment, loaded: &Loaded) -> Page {
    let runs = experiment.arms.iter().map(|arm| format!("{} {:016x}", arm.name, arm.first.digest()));
    let facts = vec![
        ("first runs".to_owned(), format!("{} (FNV-1a)", runs.collect::<Vec<_>>().join(", "))),
        ("events".to_owned(), experiment.events.to_string()),
    ];
    let again = experiment::again("simulate", &simulate.experiment, plan, loaded, "", facts);
    let mut page = Page::of(experiment, &simulate.experiment.design.display().to_string(), again);
    page.findings = Some(findings(loaded));
    page.conclusions.extend(others_than(experiment, &loaded.design));
    page
}

/// That one scenario is not all that can happen.
fn others_than(experiment: &Experiment, design: &Design) -> Option<String> {
    let all = design.scenarios.iter().map(|scenario| &*scenario.name);
    let others: Vec<&str> = all.filter(|name| *name != experiment.name).collect();
    let several = (!others.is_empty()).then(|| others.join(", "))?;
    Some(format!("Not the whole story: this design has other scenarios: {several} (`all` simulates each)."))
}

/// What `bowline check` finds in the design and nothing excuses, for the page.
fn findings(loaded: &Loaded) -> Vec<Finding> {
    let (design, documents) = (&loaded.design, &loaded.reading.documents);
    let review = bowline_check::review(design, documents);
    // An exception that cannot be is a mistake of `check`'s; here it excuses nothing.
    let found = review.map_or_else(|_| bowline_check::check(design, documents), |review| review.findings);
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

/// What was compared, with what it takes to do it again.
fn document(experiment: &Experiment, page: &Page) -> Value {
    let mut document: Value = serde_json::from_str(&hero::json(experiment)).unwrap_or_else(|error| {
        // Written by ourselves a line ago.
        json!({"error": error.to_string()})
    });
    let facts = page.reproduce.facts.iter().map(|(name, value)| (name.clone(), json!(value)));
    document["design"] = json!(page.design);
    document["command"] = json!(page.reproduce.command);
    document["reproduce"] = Value::Object(facts.collect());
    document["conclusions"] = json!(page.conclusions);
    document
}

fn speed(experiment: &Experiment, took: Duration) -> String {
    let millions = experiment.events as f64 / took.as_secs_f64().max(1e-9) / 1e6;
    format!(", {millions:.1} million events a second")
}
