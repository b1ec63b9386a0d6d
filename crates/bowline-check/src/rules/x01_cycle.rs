//! X01: operations that wait for each other.

use super::Rule;
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::{Call, Graph, Node};
use std::collections::{BTreeMap, VecDeque};

pub(super) const RULE: Rule = Rule {
    id: "X01",
    title: "a cycle of synchronous calls",
    about: "An operation calls, over others, itself. Each waits for the next, and each holds a place (a thread, a\n\
        connection, a permit) while it waits: under load all places are held by calls that wait for a place.\n\
        Error: the cycle is in the design. There is one finding for each call that leads back to an operation which\n\
        is waiting; without those calls there is no cycle.\n\
        The edit makes that call a record to a topic: whoever wants to know reads it, and nobody waits.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let graph = &asked.graph;
    // An operation that makes the same call twice closes one cycle, and both have to be opened.
    let mut closing: BTreeMap<(Option<Node>, Node), Vec<&Call<'_>>> = BTreeMap::new();
    for call in graph.calls.iter().filter(|call| graph.closes_a_cycle(call)) {
        closing.entry((call.from, call.to)).or_default().push(call);
    }
    let mut findings: Vec<Finding> = Vec::new();
    for calls in closing.values() {
        // A route may split one call over several operations; it is opened once.
        if !findings.iter().any(|known| known.place == *calls[0].place) {
            findings.extend(finding(graph, calls));
        }
    }
    findings
}

fn finding(graph: &Graph<'_>, calls: &[&Call<'_>]) -> Option<Finding> {
    let call = calls[0];
    let path = cycle(graph, call)?;
    let name = graph.name(call.to);
    let mut edits: Vec<Edit> = Vec::new();
    for call in calls {
        let edit = Edit::Rename { place: call.place.clone(), from: "call", to: "publish" };
        if !edits.contains(&edit) {
            edits.push(edit);
        }
    }
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Error,
        what: match path.len() {
            2 => format!("{name} calls itself and waits"),
            _ => format!("{} wait for each other", path[..path.len() - 1].join(" and ")),
        },
        place: call.place.clone(),
        label: "this call closes the cycle".to_owned(),
        formula: format!(
            "each request holds a place in every one of {}, and takes a second one in {name}",
            path.len() - 1
        ),
        path,
        advice:
            "let one of them publish instead of call: whoever wants to know reads the topic, and nobody waits"
                .to_owned(),
        edits,
    })
}

/// The stations from the callee over the shortest way back to the caller, and to the callee again.
fn cycle(graph: &Graph<'_>, call: &Call<'_>) -> Option<Vec<String>> {
    let goal = call.from?;
    let mut reached: BTreeMap<Node, Node> = BTreeMap::new();
    let mut open = VecDeque::from([call.to]);
    while let Some(node) = open.pop_front().filter(|node| *node != goal) {
        for (_, next) in graph.made_by(node) {
            if next.to != call.to && !reached.contains_key(&next.to) {
                reached.insert(next.to, node);
                open.push_back(next.to);
            }
        }
    }
    let mut stations = vec![graph.name(call.to), graph.name(goal)];
    let mut at = goal;
    while at != call.to {
        at = *reached.get(&at)?;
        stations.push(graph.name(at));
    }
    stations.reverse();
    if goal == call.to {
        stations.truncate(2);
    }
    Some(stations)
}
