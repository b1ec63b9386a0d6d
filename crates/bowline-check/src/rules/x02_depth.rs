//! X02: so many calls one behind the other, or so many services in one answer, that it can hardly be had.

use super::{Rule, one_per_place};
use crate::Asked;
use crate::finding::{Finding, Severity};
use crate::graph::{Call, Graph, Node};
use crate::waited::{self, Ways, called, is_sure};
use crate::words::factor;
use bowline_design::Place;
use bowline_design::resolved::ServiceId;
use bowline_design::resolved::scenario::{Amount, Bound, Entry, Metric, Scenario};
use std::collections::{BTreeMap, BTreeSet};

/// So many calls may stand one behind the other. With five services of 99.9 % each an answer is there in 99.5 % of
/// cases, five times the failures of one, and every timeout has to hold all that are behind it.
const DEPTH_MAX: usize = 4;

/// How often a service is taken to be there: three nines, 43 minutes a month without it. A design cannot say it.
const AVAILABILITY: f64 = 0.999;

pub(super) const RULE: Rule = Rule {
    id: "X02",
    title: "a deep chain, or an answer of too many services",
    about: "An answer needs all that it waits for. Behind each other, calls add up their times, and each deadline has to\n\
        hold all that are behind it; side by side or behind each other, the services multiply their availability.\n\
        Warning: more than 4 calls stand one behind the other; or, with each service there 99.9 % of the time (an\n\
        assumption: a design cannot say it), the services that every request needs are all there less often than a\n\
        scenario of the design demands of its load, by an objective `failed` that is a share.\n\
        A service counts once, however often it is asked, because it is gone for all of its calls at once; tries do not\n\
        help against that. Where an Intake has an `otherwise`, a failed call is no failed request, so the product is not\n\
        looked at.\n\
        There is no edit: somebody has to choose what can be done later, joined, or left out.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let graph = &asked.graph;
    let depths = depths(graph);
    let deep =
        waited::roots(asked.design, graph).into_iter().filter_map(|root| too_deep(graph, &depths, root));
    let wide = asked.design.scenarios.iter().filter_map(|scenario| too_many(asked, scenario));
    one_per_place(deep).into_iter().chain(one_per_place(wide)).collect()
}

/// For each operation, how many calls stand one behind the other from it on, and the first of them.
fn depths(graph: &Graph<'_>) -> BTreeMap<Node, (usize, Option<usize>)> {
    let mut depths: BTreeMap<Node, (usize, Option<usize>)> = BTreeMap::new();
    let nodes: Vec<Node> = graph.in_order().collect();
    for node in nodes.into_iter().rev() {
        let mut longest = (0, None);
        for (index, call) in
            graph.made_by(node).filter(|(_, call)| call.share > 0.0 && !graph.closes_a_cycle(call))
        {
            let depth = depths.get(&call.to).map_or(0, |(depth, _)| *depth) + 1;
            if depth > longest.0 {
                longest = (depth, Some(index));
            }
        }
        depths.insert(node, longest);
    }
    depths
}

fn too_deep(
    graph: &Graph<'_>,
    depths: &BTreeMap<Node, (usize, Option<usize>)>,
    root: Node,
) -> Option<(std::cmp::Reverse<usize>, Finding)> {
    let depth = depths.get(&root)?.0;
    let mut way: Vec<&Call<'_>> = Vec::new();
    let mut at = root;
    while let Some((_, Some(index))) = depths.get(&at) {
        way.push(&graph.calls[*index]);
        at = graph.calls[*index].to;
    }
    // The one that is too much.
    let place: &Place = way.get(DEPTH_MAX).filter(|_| depth > DEPTH_MAX)?.place;
    let finding = Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!("an answer of {} waits for {depth} calls one behind the other", graph.name(root)),
        place: place.clone(),
        label: format!("call {} of {depth}", DEPTH_MAX + 1),
        path: graph.stations(&way[..=DEPTH_MAX]),
        formula: format!("{depth} calls > {DEPTH_MAX}"),
        advice: "let a caller ask for both itself, side by side, or let what can be done later read a record"
            .to_owned(),
        edits: Vec::new(),
    };
    Some((std::cmp::Reverse(depth), finding))
}

/// A scenario demands more than all services that a request needs can give together.
fn too_many(asked: &Asked<'_>, scenario: &Scenario) -> Option<(u32, Finding)> {
    let failed = scenario.objectives.iter().find(|it| it.metric == Metric::Failed)?;
    let Bound::Requests(Amount::Share(share)) = failed.at_most else { return None };
    let root = match &scenario.load.entry {
        Entry::Operation { service, operation } => Node { service: *service, operation: *operation },
        Entry::Intake(id) => {
            called(asked.design.intakes.get(id.0 as usize).filter(|intake| intake.otherwise.is_none())?)?
        }
        // A route may let several operations through, and which is asked how often is not known.
        Entry::Route(_) => return None,
    };
    let ways = Ways::from(&asked.graph, root, is_sure);
    let services: BTreeSet<ServiceId> = ways.nodes().map(|node| node.service).collect();
    let count = i32::try_from(services.len()).ok()?;
    let together = AVAILABILITY.powi(count);
    // One service alone is no question of how they are put together.
    if services.len() < 2 || together >= 1.0 - share {
        return None;
    }
    let name = asked.graph.name(root);
    let percent = |share: f64| format!("{} %", (share * 1e5).round() / 1e3);
    let named = services.iter().map(|id| asked.design.service(*id).name.to_string());
    let finding = Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!(
            "every {name} needs {count} services at once, and Scenario {} lets no more than {} fail",
            scenario.name,
            percent(share)
        ),
        place: failed.place.clone(),
        label: format!("{} have to succeed", percent(1.0 - share)),
        path: named.collect(),
        formula: format!(
            "{}^{count} = {} < {} (with each service there {} of the time)",
            percent(AVAILABILITY),
            percent(together),
            percent(1.0 - share),
            percent(AVAILABILITY)
        ),
        advice: format!(
            "let {name} answer without some of them, or write down what can be done later; or ask for less, {} say",
            factor((1.0 - together) * 100.0 + 0.05) + " %"
        ),
        edits: Vec::new(),
    };
    Some((0, finding))
}
