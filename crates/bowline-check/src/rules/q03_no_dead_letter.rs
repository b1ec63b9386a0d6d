//! Q03: a record that can never be processed is delivered for ever.

use super::Rule;
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};

/// What is suggested: with our default pauses, up to 1 s, 2 s, 4 s and so on to a minute, a quarter of an hour at
/// most, which outlives a restart.
const DELIVERIES: u32 = 16;

pub(super) const RULE: Rule = Rule {
    id: "Q03",
    title: "no dead letter",
    about: "A subscription without `deadLetter` never gives a record up: one that can never be processed, because its\n\
        consumer refuses it or dies of it, is delivered again and again, takes a place of `concurrency` each time,\n\
        and holds up what must stay in order behind it.\n\
        Warning: the design does not show that such a record will come.\n\
        The edit sets a record aside after 16 deliveries. Choose a number that outlives what heals by itself: with\n\
        pauses of up to a minute, 16 deliveries are some minutes.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let without = asked.documents.subscriptions.iter().filter(|known| known.spec.dead_letter.is_none());
    without
        .map(|known| {
            let name = &known.meta.name;
            Finding {
                rule: RULE.id,
                severity: Severity::Warning,
                what: format!("a record that can never be processed is delivered to {name} for ever"),
                place: known.place.clone(),
                label: "no `deadLetter`".to_owned(),
                path: Vec::new(),
                formula: "deliveries: no limit".to_owned(),
                advice: format!("set it aside at some time, with `deadLetter: {{ after: {DELIVERIES} }}`"),
                edits: vec![Edit::Add {
                    place: known.place.clone(),
                    field: format!("deadLetter: {{ after: {DELIVERIES} }}"),
                }],
            }
        })
        .collect()
}
