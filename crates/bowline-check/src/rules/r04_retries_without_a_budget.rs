//! R04: retries that nothing bounds when everything fails.

use super::{Rule, one_per_place, r05_repeats_an_effect as r05};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::{Call, patience};
use crate::layer::{self, code_after_work, work_done};
use crate::met::Met;
use crate::storm::{Asks, retries, storm};
use crate::traffic::{Traffic, busy};
use crate::words::{counted, factor};
use bowline_design::kinds::destination_rule::TrafficPolicy;
use bowline_design::resolved::{Protocol, ServiceId};
use bowline_design::{Place, Spot};
use bowline_policy::RetryRule;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// So many routes are named in one finding; the count names all.
const NAMED_MAX: usize = 6;

pub(super) const RULE: Rule = Rule {
    id: "R04",
    title: "retries without a budget",
    about: "Nothing bounds the retries of all calls together. While a few calls fail, each may be tried again; when all\n\
        fail, the callee gets every try of every call, just when it can do least, and what it does for tries that were\n\
        given up keeps it from coming back. A budget lets a share of the calls be tried again and no more.\n\
        Retries that a Policy asks for have one (a fifth of the calls, and 10 a second), so this is about Istio's, whose\n\
        budget is the `retryBudget` of a DestinationRule, and gRPC's, which have `retryThrottling`. Retries after refusals alone (`connect-failure`,\n\
        `refused-stream`, Istio's default among them) cost the callee nothing and are not reported.\n\
        Error: under a scenario's load the retries keep themselves going: so many tries time out in the queue that the\n\
        retries after them keep it long, although the load alone fits (metastable; the screen of Q01, with a queue that\n\
        has no bound or is longer than a try waits).\n\
        Warning: with all its tries that load is more than the callee can do.\n\
        Info: the design does not hold the load or what the callee can do. All routes of a namespace are one finding;\n\
        those that should not be tried again at all (R05) are not among them, nor where a pool says `maxRetries`.\n\
        Where the numbers are there and all tries fit, nothing is reported.\n\
        The edit adds Istio's own budget, 20 %, where a DestinationRule speaks for the host.",
    check,
};

/// Routes in the order of the texts, by where their tries are written.
type Routes<'a> = BTreeMap<(&'a str, u32, u32), (&'a Place, &'a Met<'a>)>;

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let layers = || asked.graph.calls.iter().filter(|call| is_layer(asked, call));
    let judged = layers().filter_map(|call| Some((tries_of(call)?, worst(asked, call)?)));
    let mut known: BTreeSet<(&str, u32, u32)> = BTreeSet::new();
    let mut found = Vec::new();
    for (place, verdict) in judged {
        known.insert(at(place));
        found.extend(verdict.map(|finding| (Reverse(finding.severity), finding)));
    }
    let unknown = asked.met.iter().filter_map(|met| Some((unbounded(asked, met)?, met)));
    let mut of_namespaces: BTreeMap<(&str, Option<usize>), Routes<'_>> = BTreeMap::new();
    for (place, met) in unknown.filter(|(place, _)| !known.contains(&at(place))) {
        let excuse = asked.excuse(RULE.id, place);
        of_namespaces.entry((namespace(place), excuse)).or_default().insert(at(place), (place, met));
    }
    let unknown = of_namespaces.values().filter_map(|routes| nothing_known(asked, routes.values().copied()));
    one_per_place(found).into_iter().chain(unknown).collect()
}

/// Whether a call is tried again after work done, and no budget bounds that.
fn is_layer(asked: &Asked<'_>, call: &Call<'_>) -> bool {
    !layer::is_bounded(call.settings) && layer::tries(call.settings, asked.graph.operation(call.to)) > 1
}

/// Where a call's tries are written. Nobody asked for those that are Istio's default.
fn tries_of<'d>(call: &Call<'d>) -> Option<&'d Place> {
    call.settings.retry.tries.from.place()
}

/// Where the tries of a route are written, if they may follow work done and have no budget.
fn unbounded<'d>(asked: &Asked<'d>, met: &Met<'d>) -> Option<&'d Place> {
    let plan = &met.settings.retry;
    let place = plan.tries.from.place().filter(|_| !layer::is_bounded(met.settings))?;
    // Retries that should not be made at all need no budget, and one of Envoy's own is one.
    if r05::finding(asked, met).is_some() || has_most_retries(asked, met.service) {
        return None;
    }
    let repeats = match (met.operation_in(asked.design), &plan.rule.value) {
        (Some(operation), _) => layer::tries(met.settings, operation) > 1,
        (None, RetryRule::Named(named)) => {
            let grpc = asked.design.service(met.service).protocol == Protocol::Grpc;
            plan.tries.value > 1 && work_done(named, grpc).is_some()
        }
        (None, RetryRule::Codes(codes)) => plan.tries.value > 1 && code_after_work(*codes).is_some(),
        (None, RetryRule::Outcome) => false,
    };
    repeats.then_some(place)
}

/// The gravest that the scenarios do by one call. `None` where no scenario's numbers say anything; `Some(None)` where
/// they say that all tries fit.
fn worst(asked: &Asked<'_>, call: &Call<'_>) -> Option<Option<Finding>> {
    let loads = asked.traffic.iter().filter(|traffic| traffic.by(call) > 0.0);
    let verdicts: Vec<Option<Finding>> = loads.filter_map(|traffic| under(asked, traffic, call)).collect();
    let any = !verdicts.is_empty();
    // Of equals the first: `max_by_key` would take the last.
    let gravest = verdicts.into_iter().flatten().rev().max_by_key(|finding| finding.severity);
    any.then_some(gravest)
}

fn under(asked: &Asked<'_>, traffic: &Traffic<'_>, call: &Call<'_>) -> Option<Option<Finding>> {
    let id = call.to.service;
    let service = asked.design.service(id);
    let places = f64::from(service.concurrency.as_ref()?.value) * f64::from(service.replicas.value);
    let asks = Asks::of(asked, traffic, id)?;
    let capacity = asks.capacity(places);
    let all = asks.rate + retries(asked, traffic, id);
    // What does not fit by itself is a matter of the load, and Q01's.
    if asks.rate >= capacity || all <= capacity {
        return Some(None);
    }
    let storm = storm(asked, traffic, id, &asks, capacity).filter(|_| times_out_in_queue(asked, id, call));
    let (name, tries) = (asked.graph.name(call.to), call.settings.retry.tries.value);
    let (severity, what, formula) = match storm {
        Some(storm) => (
            Severity::Error,
            format!(
                "nothing bounds the retries of {name}, and under {} they keep themselves going once its queue is long",
                traffic.name()
            ),
            storm.formula,
        ),
        None => (
            Severity::Warning,
            format!(
                "nothing bounds the retries of {name}: when it fails under {}, it is asked for more than it can do",
                traffic.name()
            ),
            format!(
                "{}/s, with all retries {}/s > {}/s that {} can do",
                factor(asks.rate),
                factor(all),
                factor(capacity),
                service.name
            ),
        ),
    };
    let (advice, edits) = with_budget(asked, id, 1);
    Some(Some(Finding {
        rule: RULE.id,
        severity,
        what,
        place: tries_of(call)?.clone(),
        label: format!("{} of each call, and no budget", counted(tries, "try", "tries")),
        path: vec![call.caller.clone(), name],
        formula,
        advice,
        edits,
    }))
}

/// Whether a try can be late by waiting alone: there is no bound on what waits, or a long one.
fn times_out_in_queue(asked: &Asked<'_>, id: ServiceId, call: &Call<'_>) -> bool {
    let service = asked.design.service(id);
    let (Some(queue), Some(patience)) = (&service.queue, patience(call.settings)) else {
        return service.queue.is_none();
    };
    let each = busy(asked.graph.operation(call.to)).mean;
    let at_once = service.concurrency.as_ref().map_or(1, |concurrency| concurrency.value.max(1));
    f64::from(queue.value) * each / f64::from(at_once) > patience.as_secs_f64()
}

/// Retries of one namespace of which the design says no numbers.
fn nothing_known<'a>(
    asked: &Asked<'_>,
    routes: impl Iterator<Item = (&'a Place, &'a Met<'a>)>,
) -> Option<Finding> {
    let routes: Vec<_> = routes.collect();
    let (place, first) = *routes.first()?;
    let count = u32::try_from(routes.len()).unwrap_or(u32::MAX);
    let most = routes.iter().map(|(_, met)| met.settings.retry.tries.value).max()?;
    let named: Vec<String> = routes.iter().take(NAMED_MAX).map(|(_, met)| met.name(asked.design)).collect();
    let more = routes.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = match count {
        1 => format!("when calls of {} fail, nothing bounds how many are made again", named[0]),
        _ => format!(
            "when calls of {count} routes in {} fail, nothing bounds how many are made again",
            namespace(place)
        ),
    };
    let services: BTreeSet<ServiceId> = routes.iter().map(|(_, met)| met.service).collect();
    let edits: Vec<Edit> = services.iter().filter_map(|id| budget(asked, *id)).collect();
    let (advice, _) = with_budget(asked, first.service, count);
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Info,
        what,
        place: place.clone(),
        label: if count == 1 { "no budget" } else { "the first of these routes" }.to_owned(),
        path: Vec::new(),
        formula: format!("up to {most} times the load ({}{more}); retryBudget: none", named.join(", ")),
        advice,
        edits: if edits.len() == services.len() { edits } else { Vec::new() },
    })
}

fn with_budget(asked: &Asked<'_>, id: ServiceId, routes: u32) -> (String, Vec<Edit>) {
    let edits: Vec<Edit> = budget(asked, id).into_iter().collect();
    let advice = match (edits.is_empty(), routes) {
        (false, _) => "let a fifth of the calls be tried again and no more, with `retryBudget`",
        (true, 1) => {
            "let a fifth of the calls be tried again and no more: `retryBudget: { percent: 20 }` in the trafficPolicy of a DestinationRule for this host"
        }
        (true, _) => {
            "let a fifth of the calls be tried again and no more: `retryBudget: { percent: 20 }` in the trafficPolicy of a DestinationRule for each host"
        }
    };
    (advice.to_owned(), edits)
}

/// A budget in the one DestinationRule that speaks for a service, in Istio's own default.
pub(super) fn budget(asked: &Asked<'_>, id: ServiceId) -> Option<Edit> {
    let mut own = policies(asked, id);
    let (Some(policy), None) = (own.next(), own.next()) else { return None };
    let field = "retryBudget: { percent: 20 }".to_owned();
    policy
        .filter(|policy| policy.retry_budget.is_none())
        .map(|policy| Edit::Add { place: policy.place.clone(), field })
}

/// Whether a pool bounds how many retries are under way at once, as `maxRetries` does in Envoy. It is noted as not acted
/// on here; who wrote it knew of the danger.
fn has_most_retries(asked: &Asked<'_>, id: ServiceId) -> bool {
    let http =
        |policy: &Spot<TrafficPolicy>| policy.connection_pool.as_ref()?.http.as_ref()?.max_retries.clone();
    policies(asked, id).flatten().any(|policy| http(policy).is_some())
}

/// What the DestinationRules of a service say, each that speaks for it.
fn policies<'a>(
    asked: &'a Asked<'_>,
    id: ServiceId,
) -> impl Iterator<Item = Option<&'a Spot<TrafficPolicy>>> {
    let service = asked.design.service(id);
    let speaks = move |host: &str, namespace: &str| {
        service.hosts.iter().any(|own| **own == *host)
            && (host.contains('.') || *service.namespace == *namespace)
    };
    let rules = asked.documents.destination_rules.iter();
    let own = rules.filter(move |rule| speaks(&rule.spec.host.value, &rule.meta.namespace));
    own.map(|rule| rule.spec.traffic_policy.as_ref())
}

fn at(place: &Place) -> (&str, u32, u32) {
    (&*place.file, place.line, place.column)
}

/// The namespace of the VirtualService that a place stands in, from `VirtualService shop/orders`.
fn namespace(place: &Place) -> &str {
    place
        .resource
        .split_once(' ')
        .and_then(|(_, name)| name.split_once('/'))
        .map_or("", |(namespace, _)| namespace)
}
