//! X03: an answer that waits for what it does not need.

use super::{Rule, one_per_place, topic_to};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::{Call, Node, patience};
use crate::waited::{self, Ways};
use crate::words::span;
use bowline_design::Place;
use bowline_design::resolved::Operation;
use bowline_design::resolved::service::{Consistency, Loss};
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) const RULE: Rule = Rule {
    id: "X03",
    title: "an optional call is waited for",
    about: "An operation calls another and waits, somebody waits for its own answer, and by what the design `needs` the\n\
        answer does not hang on that call: what it does may be lost (`loss: tolerated`), or it is a write that is seen\n\
        in the end (`consistency: eventual`). Still every answer takes its time longer, and while it is down or slow\n\
        every answer fails or comes late.\n\
        Info: both numbers are what the design says (`takes`, `work` and deadlines); `bowline advise` and\n\
        `bowline simulate` say what a record in its stead gives. An operation without `needs` is not taken to be optional.\n\
        The edit makes the call a record, to the topic whose records are given to that operation if there is one.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let graph = &asked.graph;
    let roots = waited::roots(asked.design, graph);
    let waiting: BTreeSet<Node> = roots
        .into_iter()
        .flat_map(|root| Ways::from(graph, root, |call| call.share > 0.0).nodes().collect::<Vec<_>>())
        .collect();
    let calls = graph.calls.iter().filter(|call| call.from.is_some_and(|from| waiting.contains(&from)));
    one_per_place(calls.filter_map(|call| Some((0, finding(asked, call)?))))
}

/// Why an answer does not hang on what an operation does.
fn optional(operation: &Operation) -> Option<&'static str> {
    let needs = &operation.needs.as_ref()?.value;
    if needs.loss == Some(Loss::Tolerated) {
        return Some("may be lost");
    }
    let writes = operation.http.as_ref().is_some_and(|(method, _)| !method.is_safe());
    (writes && needs.consistency == Some(Consistency::Eventual)).then_some("is a write to be seen in the end")
}

fn finding(asked: &Asked<'_>, call: &Call<'_>) -> Option<Finding> {
    let (graph, operation) = (&asked.graph, asked.graph.operation(call.to));
    let why = optional(operation)?;
    let (caller, callee) = (&call.caller, graph.name(call.to));
    let usual = graph.least(call.to).half;
    let most = patience(call.settings);
    let usual_text = if usual.is_zero() { String::new() } else { format!("{} at the median", span(usual)) };
    let most_text = most.map_or_else(
        || "any time while it hangs".to_owned(),
        |most| format!("{} while it hangs", span(most)),
    );
    let formula = match usual {
        Duration::ZERO => most_text,
        _ => format!("{usual_text}, {most_text}"),
    };
    let topic = topic_to(asked, call.to);
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Info,
        what: format!("{caller} waits for {callee}, which {why}"),
        place: call.place.clone(),
        label: "nobody needs the end of this call".to_owned(),
        path: vec![caller.clone(), callee],
        formula: format!("in each answer of {caller}: {formula}"),
        advice: match topic {
            Some(topic) => format!("publish to {topic} instead of calling: nobody waits, and nobody fails with it"),
            None => "publish instead of calling, and let a Subscription deliver it: nobody waits, and nobody fails with it".to_owned(),
        },
        edits: edits(call.place, topic),
    })
}

/// `call: a.b` becomes `publish: topic`. The new value is written first: it stands behind the key.
fn edits(place: &Place, topic: Option<&str>) -> Vec<Edit> {
    let rename = |place: Place| Edit::Rename { place, from: "call", to: "publish" };
    let Some(topic) = topic else { return vec![rename(place.clone())] };
    let after = Place { end: (place.line, place.column + 1), ..place.clone() };
    vec![Edit::Replace { place: place.clone(), text: topic.to_owned() }, rename(after)]
}
