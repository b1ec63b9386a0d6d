//! What is said of a simulated edit: four figures, before and after, and whether they differ by more than chance.

use super::{Ran, Said, Simulated};
use crate::print;
use crate::verbs::design::counted;
use bowline_design::format::format_duration;
use bowline_sim::experiment::{Column, Experiment};
use bowline_sim::hero;
use bowline_sim::stats::{Better, Value};
use serde_json::{Value as Json, json};
use std::fmt::Write;
use std::time::Duration;

/// What is told of each edit, with the word for people.
const COLUMNS: [(Column, &str); 4] = [
    (Column::AcknowledgedP99, "acknowledged p99"),
    (Column::Failed, "failed"),
    (Column::Work, "work per request"),
    (Column::Recovery, "recovery"),
];

impl Simulated {
    /// What stands below a finding.
    pub(crate) fn text(&self, finding: usize) -> String {
        let arms = match &self.edits[finding] {
            Said::Not(why) => return format!("    = not simulated: {why}\n"),
            Said::Arms(arms) => arms,
        };
        let mut text = String::new();
        for (ran, arm) in self.ran.iter().zip(arms) {
            let Some(arm) = *arm else { continue };
            let rows: Vec<_> =
                COLUMNS.iter().filter_map(|column| row(&ran.experiment, *column, arm)).collect();
            if rows.iter().all(|[.., verdict]| verdict == Verdict::Same.as_str()) {
                let as_before: Vec<String> =
                    rows.iter().map(|[what, before, ..]| format!("{what} {before}")).collect();
                let (name, as_before) = (&ran.experiment.name, as_before.join(", "));
                let _ = writeln!(text, "    = with the edit, under {name} nothing changes: {as_before}");
                continue;
            }
            let width = |cell: usize| rows.iter().map(|row| row[cell].chars().count()).max().unwrap_or(0);
            let widths = [width(0), width(1), width(2)];
            let _ = writeln!(text, "    = with the edit, under {}:", ran.experiment.name);
            for [what, before, after, verdict] in &rows {
                let verdict = match verdict.as_str() {
                    "better" => print::style("32", verdict),
                    "worse" => print::style("31", verdict),
                    _ => print::dim(verdict),
                };
                let [a, b, c] = widths;
                let _ = writeln!(text, "        {what:<a$}  {before:>b$} -> {after:<c$}  {verdict}");
            }
        }
        if text.is_empty() {
            text.push_str(
                "    = not simulated: no scenario reaches what the edit changes, or it changes no figure\n",
            );
        }
        text
    }

    /// The last lines: what was run.
    pub(crate) fn sum(&self, took: Duration) -> String {
        let mut text = String::new();
        for Ran { experiment, shortened } in &self.ran {
            let cut = shortened.map_or(String::new(), |from| format!(", cut from {}", format_duration(from)));
            let _ = writeln!(text, "simulated: {}: {}{cut}", experiment.name, about(experiment));
        }
        if !self.ran.is_empty() {
            let events: u64 = self.ran.iter().map(|ran| ran.experiment.events).sum();
            let _ = writeln!(
                text,
                "  {:.1} million events in {:.1} s; +- is the 95 % interval of the mean, `better` and `worse` hold at 99 %",
                events as f64 / 1e6,
                took.as_secs_f64()
            );
        }
        for note in &self.notes {
            let _ = writeln!(text, "simulated: {note}");
        }
        text
    }

    /// What a program gets for a finding: null where nothing was simulated.
    pub(crate) fn finding_json(&self, finding: usize) -> Json {
        let arms = match &self.edits[finding] {
            Said::Not(why) => return json!({"not": why, "scenarios": []}),
            Said::Arms(arms) => arms,
        };
        let of = |(ran, arm): (&Ran, &Option<usize>)| {
            let columns = COLUMNS.iter().map(|(column, _)| figures(&ran.experiment, *column, (*arm)?));
            Some(json!({"scenario": ran.experiment.name, "figures": columns.collect::<Option<Vec<_>>>()?}))
        };
        json!({"not": null, "scenarios": self.ran.iter().zip(arms).filter_map(of).collect::<Vec<_>>()})
    }

    /// What a program gets about all of it.
    pub(crate) fn json(&self) -> Json {
        let of = |Ran { experiment, shortened }: &Ran| {
            json!({
                "scenario": experiment.name,
                "load": experiment.load,
                "faults": experiment.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "lengthSeconds": experiment.length.as_secs_f64(),
                "cutFromSeconds": shortened.map(|from| from.as_secs_f64()),
                "seeds": experiment.seeds,
                "events": experiment.events,
            })
        };
        json!({"ran": self.ran.iter().map(of).collect::<Vec<_>>(), "notes": self.notes})
    }
}

/// Whether the edit changes a figure, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Better,
    Worse,
    /// The same in every run, or as far as figures are written.
    Same,
    /// What differs may be chance.
    Noise,
}

impl Verdict {
    fn of(experiment: &Experiment, column: Column, arm: usize) -> Self {
        let figures = [0, arm].map(|arm| experiment.arms[arm].figure(column));
        let [before, after] = figures.map(|figure| &figure.values);
        let [seen, then] = figures.map(|figure| hero::cell(column.unit(), &figure.estimate));
        if before == after || seen == then {
            return Self::Same;
        }
        // A request that is never done, or a run that is never back, is worse than any number.
        let all_known = |values: &[Value]| values.iter().all(|value| value.known().is_some());
        let none_known = |values: &[Value]| values.iter().all(|value| value.known().is_none());
        let bounded_by = |values: &[Value], bounds: &[Value]| {
            values.iter().zip(bounds).all(|pair| match pair {
                (Value::Known(value), Value::AtLeast(bound)) => value < bound,
                (Value::Known(_), Value::Never) => true,
                _ => false,
            })
        };
        if all_known(after) && none_known(before) && bounded_by(after, before) {
            return Self::Better;
        }
        if all_known(before) && none_known(after) && bounded_by(before, after) {
            return Self::Worse;
        }
        match experiment.comparison(column).effects[arm].filter(|effect| effect.outside_noise) {
            None => Self::Noise,
            Some(effect) if (effect.mean < 0.0) == (column.better() == Better::Lower) => Self::Better,
            Some(_) => Self::Worse,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Same => "same",
            Self::Noise => "within the noise",
        }
    }
}

/// `60 s of 800/s, inventory down 10..20 s, 5 seeds, each as it is and with 2 edits`.
fn about(experiment: &Experiment) -> String {
    let edits = counted(experiment.arms.len() - 1, "edit");
    let about = hero::about(experiment);
    let about = about.rsplit_once(", ").map_or(about.as_str(), |(about, _)| about);
    format!("{about}, as it is and with {edits}")
}

/// What, before, after and the verdict; none where the column says nothing, as recovery without faults.
fn row(experiment: &Experiment, (column, what): (Column, &str), arm: usize) -> Option<[String; 4]> {
    let figure = |arm: usize| &experiment.arms[arm].figure(column).estimate;
    let (before, after) = (figure(0), figure(arm));
    if before.unknown == experiment.seeds.len() && after.unknown == experiment.seeds.len() {
        return None;
    }
    if column == Column::Recovery && experiment.faults.is_empty() {
        return None;
    }
    let cell = |estimate| hero::cell(column.unit(), estimate);
    let verdict = Verdict::of(experiment, column, arm).as_str();
    Some([what.to_owned(), cell(before), cell(after), verdict.to_owned()])
}

fn figures(experiment: &Experiment, column: Column, arm: usize) -> Option<Json> {
    let estimate = |arm: usize| {
        let estimate = &experiment.arms.get(arm)?.figure(column).estimate;
        Some(json!({
            "mean": estimate.mean,
            "half": estimate.half,
            "runs": estimate.runs,
            "atLeast": estimate.at_least,
            "never": estimate.never,
        }))
    };
    let effect = experiment.comparison(column).effects[arm];
    Some(json!({
        "figure": column.id(),
        "unit": column.unit().as_str(),
        "before": estimate(0)?,
        "after": estimate(arm)?,
        "difference": effect.map(|effect| json!({"mean": effect.mean, "half": effect.half})),
        "verdict": Verdict::of(experiment, column, arm).as_str(),
    }))
}
