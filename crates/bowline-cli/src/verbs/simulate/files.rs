//! The page, and the same as JSON and CSV beside it.

use crate::Failure;
use bowline_sim::definitions::Recovery;
use bowline_sim::experiment::{Arm, Column, Experiment, Figure};
use bowline_sim::objectives::{Judged, Target};
use bowline_sim::report::{Cell, Page, Standing};
use bowline_sim::run::{Attribution, Cause};
use bowline_sim::stats::{Best, Better, Effect, Estimate, Value};
use serde_json::{Map, Value as Json, json};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// Writes the page, and `.json` and `.csv` of the same name beside it.
pub(super) fn write(
    page_path: &Path,
    experiment: &Experiment,
    page: &Page,
    document: &Json,
) -> Result<(), Failure> {
    if let Some(folder) = page_path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    }
    let files = [
        (page_path.to_owned(), bowline_sim::report::html(page)),
        (page_path.with_extension("json"), format!("{document:#}\n")),
        (page_path.with_extension("csv"), csv(experiment)),
    ];
    for (path, text) in files {
        std::fs::write(&path, text).map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::wrong_use(format!("failed to write `{}`: {error}", path.display()))
}

/// A figure for the terminal. What misses its objective is marked by a sign, as colour is never needed.
pub(super) fn cell(cell: &Cell) -> String {
    let margin = cell.margin.as_ref().map(|margin| format!(" {margin}")).unwrap_or_default();
    let sign = if cell.standing == Standing::Missed { "! " } else { "" };
    format!("{sign}{}{margin}", cell.text)
}

// === CSV ===

/// A line for each arm and seed. Lower bounds are `>=` their number, what never happened is `never`, and what is not
/// known is empty.
fn csv(experiment: &Experiment) -> String {
    let mut text = String::from("scenario,arm,seed");
    for column in Column::ALL {
        let _ = write!(text, ",{}", column.id());
    }
    text.push('\n');
    for arm in &experiment.arms {
        for (index, seed) in experiment.seeds.iter().enumerate() {
            let _ = write!(text, "{},{},{seed}", quoted(&experiment.name), quoted(&arm.name));
            for column in Column::ALL {
                text.push(',');
                let _ = match arm.figure(column).values.get(index) {
                    Some(Value::Known(number)) => write!(text, "{number}"),
                    Some(Value::AtLeast(number)) => write!(text, ">={number}"),
                    Some(Value::Never) => write!(text, "never"),
                    Some(Value::Unknown) | None => Ok(()),
                };
            }
            text.push('\n');
        }
    }
    text
}

/// As RFC 4180 has it.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

// === JSON ===

/// All that is known, as one document. Fields are added and never change their meaning.
pub(super) fn document(experiment: &Experiment, page: &Page) -> Json {
    let faults = experiment.faults.iter().map(
        |fault| json!({"what": fault.what, "at_s": fault.at.as_secs_f64(), "until_s": fault.until.map(|until| until.as_secs_f64())}),
    );
    let columns = Column::ALL.iter().map(|column| {
        let better = match column.better() {
            Better::Lower => "lower",
            Better::Higher => "higher",
        };
        json!({"id": column.id(), "unit": column.unit().as_str(), "better": better})
    });
    let comparisons = experiment.comparisons.iter().map(|comparison| {
        json!({
            "column": comparison.column.id(),
            "best": best(&comparison.best, experiment),
            "effects": comparison.effects.iter().map(|effect| effect.as_ref().map(effect_json)).collect::<Vec<_>>(),
        })
    });
    let reproduce: Map<String, Json> =
        page.reproduce.facts.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "scenario": experiment.name,
        "design": page.design,
        "about": page.about,
        "command": page.reproduce.command,
        "reproduce": reproduce,
        "seeds": experiment.seeds,
        "warm_up_s": experiment.warm_up.as_secs_f64(),
        "length_s": experiment.length.as_secs_f64(),
        "within_s": experiment.within.as_secs_f64(),
        "load": experiment.load,
        "faults": faults.collect::<Vec<_>>(),
        "columns": columns.collect::<Vec<_>>(),
        "arms": experiment.arms.iter().map(arm).collect::<Vec<_>>(),
        "comparisons": comparisons.collect::<Vec<_>>(),
        "conclusions": page.conclusions,
        "assumptions": page.assumptions,
        "events": experiment.events,
    })
}

fn arm(arm: &Arm) -> Json {
    let figures: Map<String, Json> =
        Column::ALL.iter().map(|column| (column.id().to_owned(), figure(arm.figure(*column)))).collect();
    let edges = arm.model.edge_names().zip(&arm.edges).map(|(name, did)| {
        json!({"name": name, "calls": did.calls, "succeeded": did.succeeded, "tries": did.tries, "opened": did.opened})
    });
    json!({
        "name": arm.name,
        "overlay": arm.overlay,
        "class": arm.class.as_str(),
        "arrived": arm.arrived,
        "utilisation": arm.utilisation,
        "figures": figures,
        "objectives": arm.objectives.iter().map(target).collect::<Vec<_>>(),
        "needs": arm.needs.iter().map(target).collect::<Vec<_>>(),
        "recoveries": arm.recoveries.iter().map(recovery).collect::<Vec<_>>(),
        "endings": arm.endings.iter().map(|ending| ending.as_str()).collect::<Vec<_>>(),
        "attribution_ns": attribution(&arm.attribution),
        "edges": edges.collect::<Vec<_>>(),
        "first_run": format!("{:016x}", arm.first.digest()),
    })
}

fn figure(figure: &Figure) -> Json {
    let mut json = estimate(&figure.estimate);
    json["values"] = figure.values.iter().map(|value| value_json(*value)).collect();
    json
}

fn value_json(value: Value) -> Json {
    match value {
        Value::Known(number) => json!(number),
        Value::AtLeast(number) => json!({"at_least": number}),
        Value::Never => json!("never"),
        Value::Unknown => Json::Null,
    }
}

fn estimate(estimate: &Estimate) -> Json {
    json!({
        "mean": estimate.mean,
        "half_95": estimate.half,
        "low": estimate.mean.map(|_| estimate.low),
        "high": estimate.mean.map(|_| estimate.high),
        "at_least": estimate.at_least,
        "never": estimate.never,
        "unknown": estimate.unknown,
    })
}

fn target((target, judged): &(Target, Judged)) -> Json {
    let mut json = estimate(&judged.estimate);
    json["name"] = json!(target.name);
    json["bound"] = json!(target.bound);
    json["standing"] = json!(judged.standing.as_str());
    json["kept"] = json!(judged.kept);
    json["missed"] = json!(judged.missed);
    json["of"] = json!(judged.of);
    json
}

fn recovery(recovery: &Recovery) -> Json {
    let seconds = |span: &Duration| span.as_secs_f64();
    match recovery {
        Recovery::Untriggered => json!({"state": "untriggered"}),
        Recovery::TriggerStays => json!({"state": "trigger stays"}),
        Recovery::FailsByItself(why) => json!({"state": "fails by itself", "why": why.as_str()}),
        Recovery::Back { after, late } => json!({"state": "back", "after_s": seconds(after), "late": late}),
        Recovery::Metastable { watched } => json!({"state": "metastable", "watched_s": seconds(watched)}),
        Recovery::Censored { watched, needed } => {
            json!({"state": "censored", "watched_s": seconds(watched), "needed_s": seconds(needed)})
        }
    }
}

fn attribution(attribution: &Attribution) -> Json {
    let each = |parts: &[u64; Cause::ALL.len()]| -> Map<String, Json> {
        Cause::ALL.iter().zip(parts).map(|(cause, nanos)| (cause.as_str().to_owned(), json!(nanos))).collect()
    };
    json!({"p50": each(&attribution.p50), "p99": each(&attribution.p99)})
}

fn best(best: &Best, experiment: &Experiment) -> Json {
    let name = |index: &usize| experiment.arms.get(*index).map(|arm| arm.name.clone());
    match best {
        Best::One(index) => json!({"is": "one", "arms": [name(index)]}),
        Best::Noise(alike) => json!({"is": "noise", "arms": alike.iter().map(name).collect::<Vec<_>>()}),
        Best::Same => json!({"is": "same"}),
        Best::Nothing => json!({"is": "nothing"}),
    }
}

fn effect_json(effect: &Effect) -> Json {
    json!({
        "pairs": effect.pairs,
        "mean": effect.mean,
        "half_95": effect.half,
        "outside_noise": effect.outside_noise,
        "at_least": effect.at_least,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_commas_stay_one_field() {
        assert_eq!(quoted("sync"), "sync");
        assert_eq!(quoted("a, \"b\""), "\"a, \"\"b\"\"\"");
    }
}
