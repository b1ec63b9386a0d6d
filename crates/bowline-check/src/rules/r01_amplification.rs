//! R01: retries at several layers multiply the load on whoever is at the end of the path.

use super::Rule;
use crate::Asked;
use crate::finding::{Edit, Finding, Severity};
use crate::graph::{Call, tries_after_work};
use std::collections::BTreeMap;

/// The most work that one request may cause at one operation when everything fails. Four is what one
/// layer of Istio's `attempts: 3` makes; a second layer is above it.
const AMPLIFICATION_MAX: f64 = 4.0;

pub(super) const RULE: Rule = Rule {
    id: "R01",
    title: "retry amplification",
    about: "When an operation at the end of a path fails, every layer in front of it retries, and the tries multiply:\n\
        three layers of three tries ask it 27 times for each request. That is how a short overload becomes one that\n\
        does not end. The limit is 4.\n\
        Only tries that may follow work done are counted: a refused connection costs the callee nothing. A retry\n\
        budget bounds a layer at 1 + its ratio (plus its floor, which matters at low rates alone).\n\
        Error: the factor follows from the design; it is reached whenever the last operation fails.\n\
        The edit lowers the tries of the layer that has the most.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let graph = &asked.graph;
    // How often one request of an entry asks each operation, summed over the paths that lead to it.
    let mut worst: BTreeMap<(String, String), (f64, Vec<&Call<'_>>)> = BTreeMap::new();
    for path in graph.paths() {
        for end in 1..=path.len() {
            let part = &path[..end];
            let stations = graph.stations(part);
            let product: f64 = part.iter().map(|call| factor(call, &asked.graph)).product();
            let times = graph
                .calls
                .iter()
                .filter(|call| call.from == part[end - 1].from && call.to == part[end - 1].to && call.from.is_some())
                .count()
                .max(1);
            let key = (stations[0].clone(), stations[end].clone());
            let known = worst.entry(key).or_insert((0.0, Vec::new()));
            if product * times as f64 > known.0 {
                *known = (product * times as f64, part.to_vec());
            }
        }
    }
    worst.into_values().filter(|(total, _)| *total > AMPLIFICATION_MAX).filter_map(|(total, path)| finding(asked, total, &path)).collect()
}

fn factor(call: &Call<'_>, graph: &crate::graph::Graph<'_>) -> f64 {
    let tries = f64::from(tries_after_work(call.settings, graph.operation(call.to)));
    match &call.settings.budget {
        Some(budget) => tries.min(1.0 + budget.value.ratio.as_f64()),
        None => tries,
    }
}

fn finding(asked: &Asked<'_>, total: f64, path: &[&Call<'_>]) -> Option<Finding> {
    let graph = &asked.graph;
    let most = path.iter().max_by(|a, b| factor(a, graph).total_cmp(&factor(b, graph)))?;
    let others = total / factor(most, graph);
    let allowed = ((AMPLIFICATION_MAX / others).floor() as u32).max(1);
    let tries = &most.settings.retry.tries;
    let istio = tries.from.place().is_some_and(|place| place.path.ends_with("attempts"));
    // Istio refuses `attempts: 0` beside other fields, so one retry is the least that can be written.
    let text = if istio { allowed.saturating_sub(1).max(1).to_string() } else { allowed.to_string() };
    let name = graph.name(path[path.len() - 1].to);
    let factors: Vec<String> = path.iter().map(|call| format!("{:.1}", factor(call, graph)).replace(".0", "")).collect();
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Error,
        what: format!("when {name} fails, one request asks it {} times", format!("{total:.1}").replace(".0", "")),
        place: tries.from.place().unwrap_or(most.place).clone(),
        label: format!("this layer makes {} tries", tries.value),
        path: graph.stations(path),
        formula: format!("{} = {} > {AMPLIFICATION_MAX}", factors.join(" x "), format!("{total:.1}").replace(".0", "")),
        advice: format!("retry at one layer of the path: allow {allowed} here, or give a layer a retry budget"),
        edit: tries.from.place().map(|place| Edit::Replace { place: place.clone(), text }),
    })
}
