//! R02: more than one layer of a path retries.

use super::Rule;
use crate::Asked;
use crate::finding::{Edit, Finding, Severity};
use crate::graph::{Call, tries_after_work};

pub(super) const RULE: Rule = Rule {
    id: "R02",
    title: "two layers retry",
    about: "A call passes one retrying layer. Where two layers of a path retry after work was done, their tries\n\
        multiply, the outer one repeats everything the inner one has done, and neither knows of the other's budget.\n\
        Istio counts as a layer only where its `retryOn` names something that may follow work done: its default\n\
        conditions (refused connections and streams) do not.\n\
        Warning: whether it hurts depends on the load.\n\
        The edit keeps the layer nearest to the callee, which knows best whether the effect may be repeated.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let graph = &asked.graph;
    let mut findings: Vec<Finding> = Vec::new();
    for path in graph.paths() {
        let layers: Vec<&Call<'_>> =
            path.iter().copied().filter(|call| tries_after_work(call.settings, graph.operation(call.to)) > 1).collect();
        let [outer, .., inner] = layers.as_slice() else { continue };
        let tries = &outer.settings.retry.tries;
        let place = tries.from.place().unwrap_or(outer.place);
        if findings.iter().any(|known| known.place == *place) {
            continue;
        }
        let count = |call: &Call<'_>| call.settings.retry.tries.value;
        findings.push(Finding {
            rule: RULE.id,
            severity: Severity::Warning,
            what: format!("{} layers retry between {} and {}", layers.len(), outer.caller, graph.name(inner.to)),
            place: place.clone(),
            label: format!("{} tries of {} here, {} of {} further down", count(outer), graph.name(outer.to), count(inner), graph.name(inner.to)),
            path: graph.stations(&path),
            formula: layers.iter().map(|call| count(call).to_string()).collect::<Vec<_>>().join(" x "),
            advice: "keep the layer nearest to the callee and let this one try once".to_owned(),
            edit: edit(outer),
        });
    }
    findings
}

/// Makes a layer try once; Istio's, which cannot say so beside other fields, only after refusals.
fn edit(outer: &Call<'_>) -> Option<Edit> {
    let tries = outer.settings.retry.tries.from.place()?;
    if !tries.path.ends_with("attempts") {
        return Some(Edit::Replace { place: tries.clone(), text: "1".to_owned() });
    }
    let place = outer.settings.retry.rule.from.place()?;
    Some(Edit::Replace { place: place.clone(), text: super::r05_repeats_an_effect::REFUSALS.to_owned() })
}
