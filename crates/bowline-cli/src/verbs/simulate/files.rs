//! The page, and the same as JSON and CSV beside it.

use crate::Failure;
use bowline_sim::experiment::Experiment;
use bowline_sim::hero;
use bowline_sim::report::{Page, html};
use serde_json::{Value, json};
use std::path::Path;

/// Writes the page, and `.json` and `.csv` of the same name beside it.
///
/// # Errors
/// One of them cannot be written.
pub(super) fn write(
    report: &Path,
    page: &Page,
    experiment: &Experiment,
    document: &Value,
) -> Result<(), Failure> {
    if let Some(folder) = report.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    }
    let files = [
        (report.to_owned(), html(page)),
        (report.with_extension("json"), format!("{document:#}\n")),
        (report.with_extension("csv"), hero::csv(experiment)),
    ];
    for (path, text) in files {
        std::fs::write(&path, text).map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::wrong_use(format!("failed to write `{}`: {error}", path.display()))
}

/// What was compared, with what it takes to do it again.
pub(super) fn document(experiment: &Experiment, page: &Page) -> Value {
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
