//! T02: a synchronous call that nobody bounds.

use super::Rule;
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::{Call, Node};
use crate::met::Met;
use crate::timeouts::with_fact;
use crate::tries::{formula, rounded_up, worst};
use crate::words::{counted, span};
use bowline_design::Place;
use bowline_design::format::format_duration;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a route without a per-try time is offered: the default of Envoy's own route timeout
/// (`RouteAction.timeout`), which Istio switches off.
const TIMEOUT: Duration = Duration::from_secs(15);

/// So many VirtualServices are named in one finding; the edits name all.
const NAMED_MAX: usize = 6;

pub(super) const RULE: Rule = Rule {
    id: "T02",
    title: "no deadline",
    about: "A synchronous call has no deadline: no route timeout, no policy, and no caller in the design that brings\n\
        one. Istio's `timeout` is off unless it is written, so a callee that hangs holds its caller for as long as\n\
        the caller is willing to wait, with its connection and memory, and so on up the path.\n\
        Warning: a caller may bring a deadline of its own that the design does not show, and a route that carries\n\
        streams is right to have none. Where a gateway of the design stamps one (30 s), nothing is reported, and\n\
        nothing on a route that injects a fault, whose timeout Istio ignores.\n\
        Each route that asks for retries is a finding of its own, because its tries add up to a number. All other\n\
        routes of a namespace are one finding together: the same advice a hundred times is read by nobody.\n\
        The suggested timeout lets every try run to its cap; without a per-try time it is 15 s, Envoy's default.\n\
        Lower it to what the callers can really wait for.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    // By place: a route is one finding, whatever it carries.
    let mut retried: BTreeMap<(&str, u32, u32), &Met<'_>> = BTreeMap::new();
    let mut plain: BTreeMap<(&str, u32, u32), &Met<'_>> = BTreeMap::new();
    for met in asked.met.iter().filter(|met| is_unbounded(asked, met)) {
        let Some(place) = place(met) else { continue };
        let key = (&*place.file, place.line, place.column);
        let asks_for_tries =
            met.settings.retry.tries.value > 1 && met.settings.retry.tries.from.place().is_some();
        if asks_for_tries { &mut retried } else { &mut plain }.entry(key).or_insert(met);
    }
    plain.retain(|key, _| !retried.contains_key(key));
    let mut of_namespaces: BTreeMap<(&str, Option<usize>), Vec<&Met<'_>>> = BTreeMap::new();
    for met in plain.into_values() {
        let excuse = place(met).and_then(|place| asked.excuse(RULE.id, place));
        of_namespaces.entry((namespace(met), excuse)).or_default().push(met);
    }
    let retried = retried.into_values().filter_map(|met| with_tries(asked, met));
    retried.chain(of_namespaces.values().filter_map(|routes| without_tries(asked, routes))).collect()
}

/// Whether a route's calls have no deadline, whoever of the design makes them. A call without a written
/// route is bounded by the guard in the caller's code, which the design does not show.
fn is_unbounded(asked: &Asked<'_>, met: &Met<'_>) -> bool {
    let Some(route) = met.route.filter(|route| route.fault.is_none()) else { return false };
    if !met.settings.deadlines.is_empty() || met.stamped {
        return false;
    }
    let sends = |call: &&Call<'_>| call.route.is_some_and(|other| other.place == route.place);
    let mut callers = asked.graph.calls.iter().filter(sends).filter_map(|call| call.from).peekable();
    // Callers that hand on what they were told bring a deadline with them.
    let brings_one =
        |from: Node| asked.told.contains_key(&from) && asked.design.service(from.service).forwards.value;
    callers.peek().is_none() || !callers.all(brings_one)
}

/// One route whose tries add up.
fn with_tries(asked: &Asked<'_>, met: &Met<'_>) -> Option<Finding> {
    let (plan, name, place) = (&met.settings.retry, met.name(asked.design), place(met)?);
    let tries = counted(plan.tries.value, "try", "tries");
    let (what, formula) = match (worst(plan), &plan.per_try) {
        (Some(worst), Some(per_try)) => (
            format!(
                "{tries} of {name} with their back-off may take {}, and nothing in the design bounds them",
                span(worst)
            ),
            format!("{}; timeout: none", formula(plan, per_try.value)),
        ),
        _ => (
            format!("each of {tries} of {name} may take for ever: nothing in the design bounds them"),
            format!("{tries} without a per-try time; timeout: none"),
        ),
    };
    let field = timeout(asked, met);
    let advice = format!("add `{field}` to the route, or less if its callers wait less");
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what,
        place: place.clone(),
        label: "this route has no `timeout`".to_owned(),
        path: Vec::new(),
        formula,
        advice: match &plan.per_try {
            Some(_) => with_fact(advice, met.settings, met.operation_in(asked.design)),
            None => advice,
        },
        edits: vec![Edit::Add { place: place.clone(), field }],
    })
}

/// The other routes of one namespace.
fn without_tries(asked: &Asked<'_>, routes: &[&Met<'_>]) -> Option<Finding> {
    let first = routes.first()?;
    let mut of_resources: BTreeMap<&str, u32> = BTreeMap::new();
    for place in routes.iter().filter_map(|met| place(met)) {
        let name = place.resource.rsplit('/').next().unwrap_or_default();
        *of_resources.entry(name).or_default() += 1;
    }
    let count = u32::try_from(routes.len()).unwrap_or(u32::MAX);
    let (what, label) = match (count, of_resources.len()) {
        (1, _) => {
            let name = first.name(asked.design);
            (
                format!("a call of {name} may take for ever: nothing in the design sets a deadline"),
                "this route has no `timeout`",
            )
        }
        (_, 1) => (
            format!(
                "calls of {count} routes of {} may take for ever: nothing in the design sets a deadline",
                first_name(&of_resources)
            ),
            "the first of the routes without `timeout`",
        ),
        (_, several) => (
            format!(
                "calls of {count} routes of {several} VirtualServices in {} may take for ever: nothing in the design sets a deadline",
                namespace(first),
            ),
            "the first of the routes without `timeout`",
        ),
    };
    let edits = routes
        .iter()
        .filter_map(|met| Some(Edit::Add { place: place(met)?.clone(), field: timeout(asked, met) }));
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what,
        place: place(first)?.clone(),
        label: label.to_owned(),
        path: Vec::new(),
        formula: format!("timeout: none ({})", named(&of_resources)),
        advice: format!(
            "add `{}` to {}, or less if the callers wait less",
            timeout(asked, first),
            if count == 1 { "the route" } else { "each" }
        ),
        edits: edits.collect(),
    })
}

/// `details 1, ratings 2 and 3 more`.
fn named(of_resources: &BTreeMap<&str, u32>) -> String {
    let each = of_resources
        .iter()
        .take(NAMED_MAX)
        .map(|(name, count)| format!("{name}: {}", counted(*count, "route", "routes")));
    let listed = each.collect::<Vec<_>>().join(", ");
    match of_resources.len().saturating_sub(NAMED_MAX) {
        0 => listed,
        more => format!("{listed}, and {more} more"),
    }
}

fn first_name<'r>(of_resources: &BTreeMap<&'r str, u32>) -> &'r str {
    of_resources.keys().next().copied().unwrap_or_default()
}

/// A timeout with room for every try, and for what the callee is known to need.
fn timeout(asked: &Asked<'_>, met: &Met<'_>) -> String {
    let need = met.node().map_or(Duration::ZERO, |node| asked.needs(node));
    let room = worst(&met.settings.retry).unwrap_or(TIMEOUT);
    format!("timeout: {}", format_duration(rounded_up(room.max(need.saturating_mul(2)))))
}

fn place<'d>(met: &Met<'d>) -> Option<&'d Place> {
    met.route.map(|route| &route.place)
}

/// The namespace of the VirtualService that a route stands in, from `VirtualService shop/orders`.
fn namespace<'d>(met: &Met<'d>) -> &'d str {
    let resource = place(met).map_or("", |place| &*place.resource);
    resource.split_once(' ').and_then(|(_, name)| name.split_once('/')).map_or("", |(namespace, _)| namespace)
}
