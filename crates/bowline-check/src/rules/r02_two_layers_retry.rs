//! R02: more than one layer of a path retries.

use super::Rule;
use crate::Asked;
use crate::finding::{Finding, Severity};
use crate::graph::{Call, Graph, Node};
use crate::layer;
use crate::words::counted;
use bowline_design::Place;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

pub(super) const RULE: Rule = Rule {
    id: "R02",
    title: "two layers retry",
    about: "A call passes one retrying layer. Where two layers of a path retry after work was done, their tries\n\
        multiply, the outer one repeats everything the inner one has done, and neither knows of the other's budget.\n\
        Istio counts as a layer only where its `retryOn` names something that may follow work done: its default\n\
        conditions (refused connections and streams) do not, except `unavailable` and `cancelled` for gRPC.\n\
        Warning: whether it hurts depends on the load.\n\
        The edit keeps the layer nearest to the callee, which knows best whether the effect may be repeated. None is\n\
        offered where one policy makes both layers: give each call a policy of its own first.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let graph = &asked.graph;
    let mut findings: Vec<Finding> = Vec::new();
    for outer in graph.calls.iter().filter(|call| is_layer(graph, call)) {
        let place = outer.settings.retry.tries.from.place().unwrap_or(outer.place);
        if findings.iter().any(|known| known.place == *place) {
            continue;
        }
        if let Some(inner) = way_to_next_layer(graph, outer) {
            findings.push(finding(graph, outer, place, &inner));
        }
    }
    findings
}

fn is_layer(graph: &Graph<'_>, call: &Call<'_>) -> bool {
    layer::tries(call.settings, graph.operation(call.to)) > 1
}

/// The calls from the callee of `outer` to the nearest layer behind it, that layer last.
fn way_to_next_layer<'g, 'd>(graph: &'g Graph<'d>, outer: &Call<'_>) -> Option<Vec<&'g Call<'d>>> {
    // How each operation was reached first; breadth first, so that it is the nearest.
    let mut reached: BTreeMap<Node, Option<usize>> = BTreeMap::from([(outer.to, None)]);
    let mut open = VecDeque::from([outer.to]);
    while let Some(node) = open.pop_front() {
        for (via, call) in graph.made_by(node).filter(|(_, call)| !graph.closes_a_cycle(call)) {
            if is_layer(graph, call) {
                let mut way = vec![call];
                let mut at = node;
                while let Some(Some(via)) = reached.get(&at) {
                    way.push(&graph.calls[*via]);
                    at = graph.calls[*via].from?;
                }
                way.reverse();
                return Some(way);
            }
            if let Entry::Vacant(first) = reached.entry(call.to) {
                first.insert(Some(via));
                open.push_back(call.to);
            }
        }
    }
    None
}

fn finding(graph: &Graph<'_>, outer: &Call<'_>, place: &Place, way: &[&Call<'_>]) -> Finding {
    let inner = way[way.len() - 1];
    let (one, other) = (outer.settings.retry.tries.value, inner.settings.retry.tries.value);
    let (callee, last) = (graph.name(outer.to), graph.name(inner.to));
    let shared = inner.settings.retry.tries.from.place() == Some(place);
    let lowered = layer::lowered(&outer.settings.retry, 1).filter(|lowered| lowered.tries == 1 && !shared);
    let mut path = graph.stations(way);
    path.insert(0, outer.caller.clone());
    Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!(
            "two layers retry: {} asks {callee} up to {}, and {} asks {last} up to {}",
            outer.caller,
            counted(one, "time", "times"),
            inner.caller,
            counted(other, "time", "times"),
        ),
        place: place.clone(),
        label: format!(
            "{} here, and {} further down",
            counted(one, "try", "tries"),
            counted(other, "try", "tries")
        ),
        path,
        formula: format!("{one} x {other} = {} tries of {last}", u64::from(one) * u64::from(other)),
        advice: match shared {
            true => "one policy makes both layers: give each call its own, and let the outer one try once"
                .to_owned(),
            false => "keep the layer nearest to the callee and let this one try once, or only after refusals"
                .to_owned(),
        },
        edits: lowered.into_iter().map(|lowered| lowered.edit).collect(),
    }
}
