//! X01: operations that wait for each other.

use super::Rule;
use crate::Asked;
use crate::finding::{Edit, Finding, Severity};
use crate::graph::{Call, Graph, Node};

pub(super) const RULE: Rule = Rule {
    id: "X01",
    title: "a cycle of synchronous calls",
    about: "An operation calls, over others, itself. Each waits for the next, and each holds a place (a thread, a\n\
        connection, a permit) while it waits: under load all places are held by calls that wait for a place.\n\
        Error: the cycle is in the design.\n\
        The edit makes the call that closes the cycle a record to a topic: whoever wants to know reads it, and\n\
        nobody waits.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let graph = &asked.graph;
    let mut findings: Vec<Finding> = Vec::new();
    for call in graph.calls.iter().filter(|call| call.from.is_some()) {
        if let Some(cycle) = closes(graph, call)
            && !findings.iter().any(|known| same_cycle(&known.path, &cycle))
        {
            findings.push(finding(graph, call, cycle));
        }
    }
    findings
}

/// The cycle that `call` closes: from its callee over other calls back to its caller.
fn closes(graph: &Graph<'_>, call: &Call<'_>) -> Option<Vec<Node>> {
    let goal = call.from?;
    let mut ways = vec![vec![call.to]];
    let mut seen = vec![call.to];
    while let Some(way) = ways.pop() {
        let last = way[way.len() - 1];
        if last == goal {
            return Some(way);
        }
        for next in graph.made_by(last).map(|next| next.to) {
            if next == goal || !seen.contains(&next) {
                seen.push(next);
                ways.push(way.iter().copied().chain([next]).collect());
            }
        }
    }
    None
}

fn finding(graph: &Graph<'_>, call: &Call<'_>, cycle: Vec<Node>) -> Finding {
    let from = call.from.unwrap_or(call.to);
    let path: Vec<String> = [from].iter().chain(&cycle).map(|node| graph.name(*node)).collect();
    let name = graph.name(call.to);
    Finding {
        rule: RULE.id,
        severity: Severity::Error,
        what: match cycle.as_slice() {
            [_] => format!("{name} calls itself and waits"),
            _ => format!("{} wait for each other", path[1..].join(" and ")),
        },
        place: call.place.clone(),
        label: "this call closes the cycle".to_owned(),
        formula: path.join(" -> "),
        path,
        advice: "let one of them publish instead of call: whoever wants to know reads the topic, and nobody waits".to_owned(),
        edit: Some(Edit::Rename { place: call.place.clone(), from: "call", to: "publish" }),
    }
}

/// Whether two closed ways visit the same operations.
fn same_cycle(known: &[String], cycle: &[Node]) -> bool {
    known.len() == cycle.len() + 1
}
