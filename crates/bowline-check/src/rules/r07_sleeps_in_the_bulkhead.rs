//! R07: calls that sleep between their tries, each at a place that others wait for.

use super::r04_retries_without_a_budget::budget;
use super::{Rule, one_per_place};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::Call;
use crate::layer;
use crate::traffic::Traffic;
use crate::words::{factor, span};
use bowline_design::resolved::TryPlan;
use bowline_policy::Backoff;
use std::time::Duration;

/// No budget, and nothing that is written, lets more tries than this follow one call.
const RETRIES_MAX: u32 = 64;

pub(super) const RULE: Rule = Rule {
    id: "R07",
    title: "retries that sleep at places of the bulkhead",
    about: "A call keeps its place in the bulkhead from its first try to its end, the pauses between its tries included:\n\
        otherwise it could find itself without one in the middle. So when the callee refuses at once, the calls that\n\
        sleep hold places for as long as their pauses last, and where more calls come than that leaves places for, the\n\
        bulkhead refuses what might have been answered.\n\
        Warning: under a scenario's load, with a callee that fails at once, the pauses alone take all places. The pauses\n\
        are at their mean (half of the longest with full jitter), and a budget bounds how many sleep: the default keeps\n\
        it to a fifth of the calls, so that this is about retries without one, as Istio's are.\n\
        A connection pool of a DestinationRule counts here as the bulkhead that it becomes when Bowline runs it; in Envoy\n\
        it bounds requests, and one that sleeps is none.\n\
        The edit adds Istio's retry budget, where a DestinationRule speaks for the host.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    one_per_place(asked.traffic.iter().flat_map(|traffic| {
        asked.graph.calls.iter().filter_map(|call| Some((0, finding(asked, traffic, call)?)))
    }))
}

fn finding(asked: &Asked<'_>, traffic: &Traffic<'_>, call: &Call<'_>) -> Option<Finding> {
    let bulkhead = call.settings.bulkhead.as_ref()?;
    let place = bulkhead.from.place()?;
    if call.settings.retry.tries.value < 2 || traffic.by(call) <= 0.0 {
        return None;
    }
    // Each process of a caller has a bulkhead of its own, for all calls with the same key.
    let processes = call.from.map_or(1, |from| asked.design.service(from.service).replicas.value);
    let places = f64::from(bulkhead.value.concurrent) * f64::from(processes.max(1));
    let key = &call.settings.keys.bulkhead;
    let same = asked.graph.calls.iter().filter(|other| other.settings.keys.bulkhead == *key);
    let (mut rate, mut asleep) = (0.0, 0.0);
    for other in same {
        rate += traffic.by(other);
        asleep += sleepers(traffic, other, places);
    }
    if asleep < places {
        return None;
    }
    let name = asked.graph.name(call.to);
    let pauses = slept(&call.settings.retry, call.settings.retry.tries.value - 1);
    let edits: Vec<Edit> = budget(asked, call.to.service).into_iter().collect();
    let written = |place: &bowline_design::Place| place.path.ends_with("attempts");
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!(
            "when {name} refuses at once under {}, calls that sleep between their tries hold all places of its bulkhead",
            traffic.name()
        ),
        place: place.clone(),
        label: format!("{} at once, those that sleep included", bulkhead.value.concurrent),
        path: vec![call.caller.clone(), name],
        formula: format!(
            "{}/s x {} of pauses = {} asleep >= {} at once",
            factor(rate),
            span(pauses),
            factor(asleep),
            factor(places)
        ),
        advice: match call.settings.retry.tries.from.place().is_some_and(written) {
            true => "let few be tried again, with `retryBudget`, or pause for less",
            false => "let few be tried again, with a smaller `budget`, or pause for less",
        }
        .to_owned(),
        edits,
    })
}

/// How many calls are asleep at once, if every try but the last fails at once.
fn sleepers(traffic: &Traffic<'_>, call: &Call<'_>, places: f64) -> f64 {
    let (plan, rate) = (&call.settings.retry, traffic.by(call));
    let retries = (plan.tries.value - 1).min(RETRIES_MAX);
    let all = rate * slept(plan, retries).as_secs_f64();
    // With a budget, the retries that it allows may all be the first ones, whose pause is the shortest.
    let allowed = layer::retries_max(call.settings, rate) * mean(&plan.backoff.value, 1).as_secs_f64();
    // And of those that are not over only a share may be retrying.
    let moment = call.settings.budget.as_ref().and_then(|budget| budget.value.concurrent);
    let at_once =
        moment.map_or(f64::INFINITY, |moment| f64::from(moment.min).max(moment.ratio.as_f64() * places));
    all.min(allowed).min(at_once)
}

/// The mean of a call's pauses together.
fn slept(plan: &TryPlan, retries: u32) -> Duration {
    (1..=retries.min(RETRIES_MAX)).map(|retry| mean(&plan.backoff.value, retry)).sum()
}

/// The mean of one pause; of decorrelated jitter the least, for its mean depends on the pauses before.
fn mean(backoff: &Backoff, retry: u32) -> Duration {
    match backoff {
        Backoff::None => Duration::ZERO,
        Backoff::Envoy { .. } | Backoff::Full { .. } => backoff.worst(retry) / 2,
        Backoff::Equal { .. } => backoff.worst(retry) * 3 / 4,
        Backoff::Grpc { .. } => backoff.worst(retry) * 5 / 6,
        Backoff::Decorrelated { base, max } => *base.min(max),
    }
}
