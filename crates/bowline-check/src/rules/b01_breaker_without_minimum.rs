//! B01: a breaker that never trips, or that does not say how many calls prove something.

use super::{Rule, one_per_place};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::Call;
use crate::met::Met;
use crate::words::{counted, factor, span};
use bowline_design::Spot;
use bowline_design::kinds::policy::Breaker;
use bowline_design::resolved::scenario::Arrivals;
use bowline_policy::{BreakerSettings, RateSettings};
use std::cmp::Reverse;
use std::time::Duration;

/// A Poisson count is not further above its mean than this many standard deviations in a lifetime of windows.
const DEVIATIONS: f64 = 8.0;

pub(super) const RULE: Rule = Rule {
    id: "B01",
    title: "a breaker that never trips, or names no minimum volume",
    about: "A breaker that trips on a ratio needs a least number of calls: without one, a single failed call out of\n\
        one is a ratio of 100 % and trips it; with one above the traffic of its window it never trips.\n\
        Error: the same policy's rate limit lets fewer tries through than the breaker wants to see, and no\n\
        `consecutive` is set beside the ratio; or the busiest scenario of the design, at a steady rate, brings fewer.\n\
        Info: no minimum is written, and the design does not hold the rate of calls, so nothing can be proven. Our\n\
        default applies: 20 calls in the window.\n\
        The edit writes a minimum down: the default, so that the next reader sees it and can compare it with the\n\
        traffic, or half of what the rate limit lets through in a window.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let limited = asked.met.iter().filter_map(|met| never_trips(asked, met));
    let loaded = asked.graph.calls.iter().filter_map(|call| never_under_load(asked, call));
    let never = one_per_place(limited.chain(loaded));
    let breakers = asked
        .documents
        .policies
        .iter()
        .filter_map(|policy| Some((&*policy.meta.name, policy.spec.breaker.as_ref()?)));
    let unsaid: Vec<Finding> =
        breakers.filter_map(|(name, breaker)| names_no_minimum(name, breaker)).collect();
    let said_worse = |finding: &Finding| never.iter().any(|never| never.place == finding.place);
    let unsaid = unsaid.into_iter().filter(|finding| !said_worse(finding));
    unsaid.chain(never.iter().cloned()).collect()
}

/// The breaker wants to see more than a rate limit in front of it lets through.
fn never_trips(asked: &Asked<'_>, met: &Met<'_>) -> Option<(Reverse<u32>, Finding)> {
    let (breaker, rate) = (met.settings.breaker.as_ref()?, met.settings.rate.as_ref()?);
    // Of the same policy, for the same destination: then what the limit lets through is all there is.
    if met.settings.keys.breaker != met.settings.keys.rate {
        return None;
    }
    let settings = breaker.value;
    let longest = met.settings.deadline().map(|(_, deadline)| deadline.value)?;
    let tries = met.settings.retry.tries.value;
    let most = most_in(rate.value, settings.window.saturating_add(longest)) * f64::from(tries);
    let by_ratio = settings.failure_ratio.is_some() || settings.slow.is_some();
    if !by_ratio || settings.consecutive.is_some() || f64::from(settings.min_calls) <= most {
        return None;
    }
    let written = breakers(asked).find(|known| Some(&known.place) == breaker.from.place())?;
    let steady = f64::from(rate.value.per_second) * settings.window.as_secs_f64();
    let edit = minimum(written, ((steady / 2.0) as u32).max(1));
    let (wanted, window) = (settings.min_calls, span(settings.window));
    let finding = Finding {
        rule: RULE.id,
        severity: Severity::Error,
        what: format!(
            "the breaker of {} never trips: it wants to see {wanted} calls in {window}, and the rate limit lets {} through",
            met.name(asked.design),
            factor(most.floor()),
        ),
        place: written.place.clone(),
        label: format!("{wanted} calls are never seen"),
        path: Vec::new(),
        formula: format!(
            "({} + {}/s x ({window} + {})) x {} = {} < {wanted}",
            rate.value.burst,
            rate.value.per_second,
            span(longest),
            counted(tries, "try", "tries"),
            factor(most),
        ),
        advice: "lower `minCalls`, or set `consecutive`, which trips at any rate".to_owned(),
        edits: vec![edit],
    };
    Some((Reverse(wanted), finding))
}

/// The breaker wants to see more than the busiest scenario brings.
///
/// Only loads at one rate prove this, and only where nothing is published: what a subscription calls is not
/// counted.
fn never_under_load(asked: &Asked<'_>, call: &Call<'_>) -> Option<(Reverse<u32>, Finding)> {
    let breaker = call.settings.breaker.as_ref()?;
    let settings = breaker.value;
    let by_ratio = settings.failure_ratio.is_some() || settings.slow.is_some();
    // A scenario that cannot be counted may be the busiest.
    let all_counted = asked.traffic.len() == asked.design.scenarios.len();
    if !by_ratio || settings.consecutive.is_some() || !all_counted {
        return None;
    }
    let mut busiest = (0.0, 1.0, String::new());
    for traffic in &asked.traffic {
        let steady =
            matches!(traffic.scenario.load.arrivals.value, Arrivals::Poisson(_) | Arrivals::Constant(_));
        if !steady || traffic.publishes() {
            return None;
        }
        let same = asked
            .graph
            .calls
            .iter()
            .filter(|other| other.settings.keys.breaker == call.settings.keys.breaker);
        let rate: f64 = same.map(|other| traffic.by(other)).sum();
        // Each layer may try again: no path has more tries than all calls together.
        let asked_for = asked.graph.calls.iter().filter(|other| traffic.by(other) > 0.0);
        let tries: f64 = asked_for.map(|other| f64::from(other.settings.retry.tries.value)).product();
        if rate * tries > busiest.0 * busiest.1 {
            busiest = (rate, tries, traffic.name());
        }
    }
    let (rate, tries, scenario) = busiest;
    let mean = rate * tries * settings.window.as_secs_f64();
    let wanted = settings.min_calls;
    if mean <= 0.0 || f64::from(wanted) <= mean + DEVIATIONS * mean.sqrt() {
        return None;
    }
    let written = breakers(asked).find(|known| Some(&known.place) == breaker.from.place())?;
    let window = span(settings.window);
    let usual = rate * settings.window.as_secs_f64();
    let edit = minimum(written, ((usual / 2.0) as u32).max(1));
    let finding = Finding {
        rule: RULE.id,
        severity: Severity::Error,
        what: format!(
            "the breaker of {} never trips: it wants to see {wanted} calls in {window}, and {scenario}, the busiest, brings {}",
            asked.graph.name(call.to),
            factor(mean),
        ),
        place: written.place.clone(),
        label: format!("{wanted} calls are never seen"),
        path: Vec::new(),
        formula: format!(
            "{}/s x {window} x {} at most = {} < {wanted}",
            factor(rate),
            counted(tries as u32, "try", "tries"),
            factor(mean),
        ),
        advice: "lower `minCalls`, or set `consecutive`, which trips at any rate".to_owned(),
        edits: vec![edit],
    };
    Some((Reverse(wanted), finding))
}

/// The most calls that a token bucket lets begin within a span.
fn most_in(rate: RateSettings, within: Duration) -> f64 {
    f64::from(rate.burst) + f64::from(rate.per_second) * within.as_secs_f64()
}

/// A ratio without a least number of calls.
fn names_no_minimum(policy: &str, breaker: &Spot<Breaker>) -> Option<Finding> {
    let default = BreakerSettings::default();
    // One that names nothing to trip on has the default's ratio.
    let by_ratio =
        breaker.failure_ratio.is_some() || breaker.slow_call.is_some() || breaker.consecutive.is_none();
    if breaker.min_calls.is_some() || !by_ratio {
        return None;
    }
    let window = breaker.window.as_ref().map_or(default.window, |window| window.value);
    let rate = f64::from(default.min_calls) / window.as_secs_f64();
    let (least, window) = (default.min_calls, span(window));
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Info,
        what: format!("the breaker of Policy {policy} names no minimum volume"),
        place: breaker.place.clone(),
        label: format!("our default applies: {least} calls in {window}"),
        path: Vec::new(),
        formula: format!(
            "{least} calls in {window} = {} calls/s: fewer than that never trip its ratio",
            factor(rate)
        ),
        advice: format!(
            "write `minCalls: {least}`, or a number that fits the traffic; `consecutive` trips at any rate"
        ),
        edits: vec![minimum(breaker, least)],
    })
}

/// Writes `calls` down as the least number of a breaker.
fn minimum(breaker: &Spot<Breaker>, calls: u32) -> Edit {
    match &breaker.min_calls {
        Some(written) => Edit::Replace { place: written.place.clone(), text: calls.to_string() },
        None => Edit::Add { place: breaker.place.clone(), field: format!("minCalls: {calls}") },
    }
}

/// Every breaker that is written.
pub(super) fn breakers<'a>(asked: &'a Asked<'_>) -> impl Iterator<Item = &'a Spot<Breaker>> {
    asked.documents.policies.iter().filter_map(|policy| policy.spec.breaker.as_ref())
}
