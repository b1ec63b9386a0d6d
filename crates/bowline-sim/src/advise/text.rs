//! Advice as text and as JSON.

use super::{Advice, CallAdvice, Way, WayAdvice};
use crate::experiment::{Column, Experiment};
use crate::hero::{self, Json, cell, number};
use crate::objectives::Standing;
use std::fmt::Write;

/// What is said of each way in each scenario.
const COLUMNS: [(Column, &str); 7] = [
    (Column::AcknowledgedInTime, "in time"),
    (Column::AcknowledgedP99, "p99"),
    (Column::Failed, "failed"),
    (Column::Staleness, "staleness"),
    (Column::Recovery, "back after"),
    (Column::Work, "work"),
    (Column::Lost, "lost"),
];

impl Advice {
    /// All of it as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for experiment in &self.experiments {
            let _ = writeln!(text, "  {}: {}", experiment.name, hero::about(experiment));
        }
        for call in &self.calls {
            let _ = writeln!(text, "\n  {}", call.name);
            self.call(call, &mut text);
        }
        if 0 < self.left_out {
            let _ = writeln!(text, "\n  {} more calls are left out.", self.left_out);
        }
        text.push_str(
            "\n  must be up: services and brokers an answer needs; reckoned at 99.9 % each, by itself.\n",
        );
        text.push_str(
            "  tries: as many as one request can cause at one operation, by the worst path; reckoned.\n",
        );
        text
    }

    fn call(&self, call: &CallAdvice, text: &mut String) {
        let possible = || call.ways.iter().filter(|way| way.impossible.is_none());
        for (number, experiment) in self.experiments.iter().enumerate() {
            let mut rows = vec![vec![experiment.name.clone()]];
            rows[0].extend(COLUMNS.iter().map(|(_, label)| (*label).to_owned()));
            rows[0].extend(["tries", "must be up", "needs met"].map(str::to_owned));
            rows.extend(possible().map(|way| row(call.now, way, number, experiment)));
            for line in hero::aligned(&rows) {
                let _ = writeln!(text, "    {line}");
            }
        }
        let mut rows = Vec::new();
        for need in possible().flat_map(|way| &way.needs) {
            if rows.iter().any(|row: &Vec<String>| row[0] == format!("needs {}", need.need)) {
                continue;
            }
            let mut row = vec![format!("needs {}", need.need)];
            row.extend(possible().map(|way| {
                let own = way.needs.iter().find(|own| own.need == need.need);
                let said = own.map_or("-".to_owned(), |own| {
                    let why = own.why.map_or(String::new(), |why| format!(" ({why})"));
                    format!("{}{why}", own.standing.as_str())
                });
                format!("{}: {said}", way.way.as_str())
            }));
            rows.push(row);
        }
        for line in hero::aligned(&rows) {
            let _ = writeln!(text, "    {line}");
        }
        for way in &call.ways {
            match way.impossible {
                Some(why) => _ = writeln!(text, "    {}: cannot be had: {why}", way.way.as_str()),
                None if way.safe.is_empty() => (),
                None => _ = writeln!(text, "    {} would need {}", way.way.as_str(), way.safe.join("; ")),
            }
        }
        let _ = writeln!(text, "    opinion: {}", call.opinion);
    }

    /// All of it as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let way = |way: &WayAdvice| {
            let need = |need: &super::NeedMet| {
                Json::Object(vec![
                    ("need", Json::text(&need.need)),
                    ("standing", Json::text(need.standing.as_str())),
                    ("why", need.why.map_or(Json::Null, Json::text)),
                ])
            };
            let scenario = |(experiment, arm): (&Experiment, &usize)| {
                let figures = COLUMNS.iter().map(|(column, _)| {
                    let estimate = &experiment.arms[*arm].figure(*column).estimate;
                    (column.id(), Json::Object(Json::estimate(estimate)))
                });
                let name = ("scenario", Json::text(&experiment.name));
                Json::Object(std::iter::once(name).chain(figures).collect())
            };
            Json::Object(vec![
                ("way", Json::text(way.way.as_str())),
                ("impossible", way.impossible.map_or(Json::Null, Json::text)),
                ("scenarios", Json::list(self.experiments.iter().zip(&way.arms).map(scenario))),
                ("mustBeUp", Json::Count(way.must_be_up as u64)),
                ("availabilityAt999", Json::Number(way.availability)),
                ("triesMax", Json::Number(way.tries_max)),
                ("needs", Json::list(way.needs.iter().map(need))),
                ("toBeSafe", Json::list(way.safe.iter().map(Json::text))),
                ("documents", Json::text(&way.says)),
            ])
        };
        let call = |call: &CallAdvice| {
            Json::Object(vec![
                ("call", Json::text(&call.name)),
                ("now", Json::text(call.now.as_str())),
                ("ways", Json::list(call.ways.iter().map(way))),
                ("opinion", Json::text(&call.opinion)),
            ])
        };
        Json::Object(vec![
            ("version", Json::Count(1)),
            ("calls", Json::list(self.calls.iter().map(call))),
            ("leftOut", Json::Count(self.left_out as u64)),
        ])
        .to_string()
    }
}

fn row(now: Way, way: &WayAdvice, number_of: usize, experiment: &Experiment) -> Vec<String> {
    let arm = &experiment.arms[way.arms[number_of]];
    let is_now = if way.way == now { ", as it is" } else { "" };
    let mut row = vec![format!("  {}{is_now}", way.way.as_str())];
    row.extend(COLUMNS.iter().map(|(column, _)| match column {
        Column::Recovery => hero::recovery(arm),
        column => cell(column.unit(), &arm.figure(*column).estimate),
    }));
    let met = way.needs.iter().filter(|need| need.standing == Standing::Met).count();
    let up = number(crate::experiment::Unit::Share, way.availability);
    row.push(format!("{:.0}", way.tries_max));
    row.push(format!("{} ({up})", way.must_be_up));
    row.push(format!("{met} of {}", way.needs.len()));
    row
}
