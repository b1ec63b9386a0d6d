//! The hero table: every arm beside every other, in text, in JSON and in CSV.
//!
//! Text is for people and may change; names in JSON and CSV are promises: `version` goes up when one changes its
//! meaning.

mod cell;
mod json;

pub use cell::cell;
pub(crate) use cell::number;
pub(crate) use json::Json;

use crate::definitions::Recovery;
use crate::experiment::{Arm, Column, Comparison, EdgeSum, Experiment, Unit};
use crate::objectives::{Judged, Standing, Target};
use crate::stats::{Best, Better, Effect, Value};
use bowline_design::format::format_duration;
use std::fmt::Write;

/// The version of the JSON and the CSV.
const VERSION: u64 = 1;

// === text ===

/// The table as text, with what was run above it and the needs below.
#[must_use]
pub fn text(experiment: &Experiment) -> String {
    let mut text = format!("  {}\n\n", about(experiment));
    for row in table(experiment) {
        let _ = writeln!(text, "  {}", row.trim_end());
    }
    let needs = needs(experiment);
    if !needs.is_empty() {
        text.push('\n');
    }
    for line in needs {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// What was run: `600 s of 800/s, inventory down 60..70 s, 20 seeds, 3 arms`.
#[must_use]
pub fn about(experiment: &Experiment) -> String {
    let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let length = match (experiment.length.as_secs(), experiment.length.subsec_nanos()) {
        (seconds, 0) => format!("{seconds} s"),
        _ => format_duration(experiment.length),
    };
    let mut parts = vec![format!("{length} of {}", experiment.load)];
    parts.extend(experiment.faults.iter().map(ToString::to_string));
    parts.push(counted(experiment.seeds.len(), "seed"));
    parts.push(counted(experiment.arms.len(), "arm"));
    parts.join(", ")
}

/// The lines of the table, columns aligned.
fn table(experiment: &Experiment) -> Vec<String> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let arms = &experiment.arms;
    let compared = 1 < arms.len();
    let mut head = vec!["all requests".to_owned()];
    head.extend(arms.iter().map(|arm| arm.name.clone()));
    head.extend(compared.then(|| "best".to_owned()));
    rows.push(head);
    let within = format!("acknowledged in {}", spaced(experiment));
    let finals = format!("answered in {}", spaced(experiment));
    let mut row = |label: &str, cells: Vec<String>, best: Option<String>| {
        let mut row = vec![label.to_owned()];
        row.extend(cells);
        row.extend(best.filter(|_| compared));
        rows.push(row);
    };
    let cells = |column: Column| {
        arms.iter().map(|arm| cell(column.unit(), &arm.figure(column).estimate)).collect::<Vec<_>>()
    };
    let best = |column: Column| Some(best_of(experiment.comparison(column), arms));
    let any = |column: Column, is: &dyn Fn(&Value) -> bool| {
        arms.iter().any(|arm| arm.figure(column).values.iter().any(is))
    };
    let not_zero = |value: &Value| *value != Value::Known(0.0);

    row(&within, cells(Column::AcknowledgedInTime), best(Column::AcknowledgedInTime));
    let differ = |arm: &Arm| {
        arm.figure(Column::AnsweredInTime).values != arm.figure(Column::AcknowledgedInTime).values
    };
    if arms.iter().any(differ) {
        row(&finals, cells(Column::AnsweredInTime), best(Column::AnsweredInTime));
    }
    row("completed: p50", cells(Column::CompletedP50), best(Column::CompletedP50));
    row("           p99", cells(Column::CompletedP99), best(Column::CompletedP99));
    if any(Column::CompletedP99, &|value| *value == Value::Never) {
        // Over fewer requests, and so compared with nothing.
        row("           p99 of those", cells(Column::CompletedP99OfThose), Some(String::new()));
    }
    row("failed", cells(Column::Failed), best(Column::Failed));
    for (column, label) in [
        (Column::FailedWithEffect, "failed, yet done"),
        (Column::Censored, "not over at the end"),
        (Column::Stuck, "stuck"),
        (Column::Reordered, "reordered"),
    ] {
        if any(column, &not_zero) {
            row(label, cells(column), best(column));
        }
    }
    row("worst staleness", cells(Column::Staleness), best(Column::Staleness));
    if arms.iter().any(|arm| arm.recoveries.iter().any(|each| *each != Recovery::Untriggered)) {
        row("back to normal after", arms.iter().map(recovery).collect(), best(Column::Recovery));
    }
    // Whoever fails costs little: less work is no victory, and nobody is named for it.
    row("work per request", cells(Column::Work), Some(String::new()));
    let both = |arm: &Arm| {
        let of = |column: Column| cell(column.unit(), &arm.figure(column).estimate);
        format!("{} / {}", of(Column::Lost), of(Column::Duplicated))
    };
    row("lost / duplicated", arms.iter().map(both).collect(), Some(String::new()));
    if arms.iter().any(|arm| !arm.objectives.is_empty()) {
        let met = arms.iter().map(|arm| met(&arm.objectives)).collect();
        row("objectives met", met, Some(String::new()));
    }
    if arms.iter().any(|arm| !arm.needs.is_empty()) {
        row("needs met", arms.iter().map(|arm| met(&arm.needs)).collect(), Some(String::new()));
    }
    aligned(&rows)
}

/// Rows with columns as wide as their widest cell.
pub(crate) fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A bound is written as it is meant: `300 ms`, not `0.30 s`.
fn spaced(experiment: &Experiment) -> String {
    match experiment.within.as_nanos() {
        nanos if nanos < 1_000_000_000 && nanos % 1_000_000 == 0 => format!("{} ms", nanos / 1_000_000),
        _ => number(Unit::Seconds, experiment.within.as_secs_f64()),
    }
}

/// The best arm's name, `alike` where all gave the same, `noise` where the best cannot be told from others.
fn best_of(comparison: &Comparison, arms: &[Arm]) -> String {
    match &comparison.best {
        Best::One(arm) => arms[*arm].name.clone(),
        Best::Noise(alike) => match alike.as_slice() {
            [one, other] if 2 < arms.len() => format!("{} or {}", arms[*one].name, arms[*other].name),
            _ => "noise".to_owned(),
        },
        Best::Same => "alike".to_owned(),
        Best::Nothing => "-".to_owned(),
    }
}

/// When an arm was back, or that it was not: never "never".
pub(crate) fn recovery(arm: &Arm) -> String {
    let of = arm.recoveries.len();
    let count = |is: fn(&Recovery) -> bool| arm.recoveries.iter().filter(|each| is(each)).count();
    let back = count(|each| matches!(each, Recovery::Back { .. } | Recovery::Untriggered));
    let metastable = count(|each| matches!(each, Recovery::Metastable { .. }));
    let censored = count(|each| matches!(each, Recovery::Censored { .. }));
    let fails = count(|each| matches!(each, Recovery::FailsByItself(_)));
    let estimate = &arm.figure(Column::Recovery).estimate;
    let watched = || number(Unit::Seconds, estimate.high);
    if back == of {
        return cell(Unit::Seconds, estimate);
    }
    if metastable == of {
        return format!("not in {}", watched());
    }
    if censored == of {
        return format!("> {} (censored)", watched());
    }
    if fails == of {
        return "fails by itself".to_owned();
    }
    let parts = [(metastable, "not back"), (censored, "censored"), (fails, "fail by themselves")];
    let parts = parts.iter().filter(|(count, _)| 0 < *count);
    let parts: Vec<String> = parts.map(|(count, what)| format!("{count} of {of} {what}")).collect();
    if parts.is_empty() { "fault stays".to_owned() } else { parts.join(", ") }
}

/// `4 of 5`, and how many cannot be told.
fn met(targets: &[(Target, Judged)]) -> String {
    let count = |standing| targets.iter().filter(|(_, judged)| judged.standing == standing).count();
    let unsure = count(Standing::Unsure);
    let rest = if unsure == 0 { String::new() } else { format!(" ({unsure} unsure)") };
    format!("{} of {}{rest}", count(Standing::Met), targets.len())
}

/// Each need, and which arms meet it.
pub(crate) fn needs(experiment: &Experiment) -> Vec<String> {
    let arms = &experiment.arms;
    let mut names: Vec<(&str, &str)> = Vec::new();
    for (target, _) in arms.iter().flat_map(|arm| &arm.needs) {
        if !names.contains(&(&*target.name, &*target.bound)) {
            names.push((&target.name, &target.bound));
        }
    }
    let mut rows = Vec::new();
    for (name, bound) in names {
        let standing = |arm: &Arm| {
            let own = arm.needs.iter().find(|(target, _)| target.name == name);
            own.map(|(_, judged)| judged.standing)
        };
        let of = |wanted: Standing| {
            let those = arms.iter().filter(|arm| standing(arm) == Some(wanted)).map(|arm| &*arm.name);
            those.collect::<Vec<_>>().join(", ")
        };
        let (met, unsure) = (of(Standing::Met), of(Standing::Unsure));
        let mut said = if met.is_empty() { "met by none".to_owned() } else { format!("met by {met}") };
        if !unsure.is_empty() {
            let _ = write!(said, "; cannot be told of {unsure}");
        }
        rows.push(vec![format!("needs {name} {bound}"), said]);
    }
    aligned(&rows)
}

// === JSON ===

/// Everything that was compared, as JSON.
#[must_use]
pub fn json(experiment: &Experiment) -> String {
    let seconds = |span: std::time::Duration| Json::Number(span.as_secs_f64());
    let fault = |fault: &crate::experiment::FaultWords| {
        Json::Object(vec![
            ("what", Json::text(&fault.what)),
            ("atSeconds", seconds(fault.at)),
            ("untilSeconds", fault.until.map_or(Json::Null, seconds)),
        ])
    };
    let column = |column: &Column| {
        let better = match column.better() {
            Better::Lower => "lower",
            Better::Higher => "higher",
        };
        Json::Object(vec![
            ("id", Json::text(column.id())),
            ("unit", Json::text(column.unit().as_str())),
            ("better", Json::text(better)),
        ])
    };
    let comparisons = experiment.comparisons.iter().map(|each| comparison(each, &experiment.arms));
    Json::Object(vec![
        ("version", Json::Count(VERSION)),
        ("scenario", Json::text(&experiment.name)),
        ("population", Json::text("requests that arrived in the measured window")),
        ("load", Json::text(&experiment.load)),
        ("seeds", Json::list(experiment.seeds.iter().map(|seed| Json::Count(*seed)))),
        ("warmUpSeconds", seconds(experiment.warm_up)),
        ("lengthSeconds", seconds(experiment.length)),
        ("inTimeSeconds", seconds(experiment.within)),
        ("faults", Json::list(experiment.faults.iter().map(fault))),
        ("columns", Json::list(Column::ALL.iter().map(column))),
        ("arms", Json::list(experiment.arms.iter().map(arm))),
        ("comparisons", Json::list(comparisons)),
        ("events", Json::Count(experiment.events)),
    ])
    .to_string()
}

fn arm(arm: &Arm) -> Json {
    let figures = Column::ALL.iter().map(|column| {
        let figure = arm.figure(*column);
        let mut fields = Json::estimate(&figure.estimate);
        fields.push(("values", Json::list(figure.values.iter().copied().map(Json::value))));
        (column.id(), Json::Object(fields))
    });
    let edge = |(name, edge): (&str, &EdgeSum)| {
        Json::Object(vec![
            ("name", Json::text(name)),
            ("calls", Json::Count(edge.calls)),
            ("succeeded", Json::Count(edge.succeeded)),
            ("tries", Json::Count(edge.tries)),
            ("breakerOpened", Json::Count(edge.opened)),
        ])
    };
    let targets = |targets: &[(Target, Judged)]| Json::list(targets.iter().map(target));
    Json::Object(vec![
        ("name", Json::text(&arm.name)),
        ("overlay", arm.overlay.as_ref().map_or(Json::Null, Json::text)),
        ("class", Json::text(arm.class.as_str())),
        ("utilisation", Json::Number(arm.utilisation)),
        ("arrived", Json::Count(arm.arrived)),
        ("figures", Json::Object(figures.collect())),
        ("recoveries", Json::list(arm.recoveries.iter().map(recovery_json))),
        ("endings", Json::list(arm.endings.iter().map(|ending| Json::text(ending.as_str())))),
        ("objectives", targets(&arm.objectives)),
        ("needs", targets(&arm.needs)),
        ("edges", Json::list(arm.model.edge_names().zip(&arm.edges).map(edge))),
        ("assumptions", Json::list(arm.model.assumptions().iter().map(|each| Json::text(&**each)))),
    ])
}

pub(crate) fn recovery_json(recovery: &Recovery) -> Json {
    let fields = match recovery {
        Recovery::Untriggered => vec![("is", Json::text("untriggered"))],
        Recovery::TriggerStays => vec![("is", Json::text("fault stays"))],
        Recovery::FailsByItself(why) => {
            vec![("is", Json::text("fails by itself")), ("why", Json::text(why.as_str()))]
        }
        Recovery::Back { after, late } => vec![
            ("is", Json::text("back")),
            ("afterSeconds", Json::Number(after.as_secs_f64())),
            ("late", Json::Bool(*late)),
        ],
        Recovery::Metastable { watched } => {
            vec![("is", Json::text("metastable")), ("watchedSeconds", Json::Number(watched.as_secs_f64()))]
        }
        Recovery::Censored { watched, .. } => {
            vec![("is", Json::text("censored")), ("watchedSeconds", Json::Number(watched.as_secs_f64()))]
        }
    };
    Json::Object(fields)
}

fn target((target, judged): &(Target, Judged)) -> Json {
    let mut fields = vec![
        ("name", Json::text(&target.name)),
        ("bound", Json::text(&target.bound)),
        ("standing", Json::text(judged.standing.as_str())),
        ("keptIn", Json::Count(judged.kept as u64)),
        ("missedIn", Json::Count(judged.missed as u64)),
        ("of", Json::Count(judged.of as u64)),
    ];
    fields.extend(Json::estimate(&judged.estimate));
    Json::Object(fields)
}

fn comparison(comparison: &Comparison, arms: &[Arm]) -> Json {
    let name = |arm: usize| Json::text(&arms[arm].name);
    let (verdict, who) = match &comparison.best {
        Best::One(arm) => ("best", vec![name(*arm)]),
        Best::Noise(alike) => ("within the noise", alike.iter().map(|arm| name(*arm)).collect()),
        Best::Same => ("alike", Vec::new()),
        Best::Nothing => ("not compared", Vec::new()),
    };
    let effect = |(arm, effect): (usize, &Option<Effect>)| {
        let mut fields = vec![("arm", name(arm))];
        if let Some(effect) = effect {
            fields.push(("difference", Json::Number(effect.mean)));
            fields.push(("plusMinus95", Json::maybe(effect.half)));
            fields.push(("outsideNoise", Json::Bool(effect.outside_noise)));
            fields.push(("atLeast", Json::Bool(effect.at_least)));
            fields.push(("pairs", Json::Count(effect.pairs as u64)));
        }
        Json::Object(fields)
    };
    Json::Object(vec![
        ("column", Json::text(comparison.column.id())),
        ("verdict", Json::text(verdict)),
        ("arms", Json::List(who)),
        ("againstFirst", Json::list(comparison.effects.iter().enumerate().skip(1).map(effect))),
    ])
}

// === CSV ===

/// A line for each arm and column.
#[must_use]
pub fn csv(experiment: &Experiment) -> String {
    let mut csv =
        "scenario,arm,column,unit,mean,plus_minus_95,low,high,runs,at_least,never,unknown\n".to_owned();
    let maybe = |number: Option<f64>| number.map_or(String::new(), |number| number.to_string());
    for arm in &experiment.arms {
        for column in Column::ALL {
            let estimate = &arm.figure(column).estimate;
            let edge = |edge: f64| maybe((0 < estimate.runs).then_some(edge));
            let fields = [
                field(&experiment.name),
                field(&arm.name),
                column.id().to_owned(),
                column.unit().as_str().to_owned(),
                maybe(estimate.mean),
                maybe(estimate.half),
                edge(estimate.low),
                edge(estimate.high),
                estimate.runs.to_string(),
                estimate.at_least.to_string(),
                estimate.never.to_string(),
                estimate.unknown.to_string(),
            ];
            csv.push_str(&fields.join(","));
            csv.push('\n');
        }
    }
    csv
}

/// A text as a field (RFC 4180): in quotes where it has to be.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
