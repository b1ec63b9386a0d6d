//! B01: a breaker that does not say how many calls prove something.

use super::Rule;
use crate::Asked;
use crate::finding::{Edit, Finding, Severity};
use crate::worst::span;
use bowline_policy::BreakerSettings;

pub(super) const RULE: Rule = Rule {
    id: "B01",
    title: "a breaker without a minimum volume",
    about: "A breaker that trips on a ratio needs a least number of calls: without one, a single failed call out of\n\
        one is a ratio of 100 % and trips it; with one above the traffic of its window it never trips.\n\
        Info: the design does not hold the rate of calls, so neither can be proven. Where nothing is written our\n\
        default applies: 20 calls in the window.\n\
        The edit writes the default down, so that the next reader sees it and can compare it with the traffic.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let default = BreakerSettings::default();
    let policies = asked.documents.policies.iter();
    policies
        .filter_map(|policy| {
            let breaker = policy.spec.breaker.as_ref()?;
            if breaker.min_calls.is_some() || (breaker.failure_ratio.is_none() && breaker.slow_call.is_none()) {
                return None;
            }
            let window = breaker.window.as_ref().map_or(default.window, |window| window.value);
            let rate = f64::from(default.min_calls) / window.as_secs_f64();
            let field = format!("minCalls: {}", default.min_calls);
            Some(Finding {
                rule: RULE.id,
                severity: Severity::Info,
                what: format!("the breaker of {} names no minimum volume", policy.meta.name.as_str()),
                place: breaker.place.clone(),
                label: format!("{} calls in {} are the default", default.min_calls, span(window)),
                path: Vec::new(),
                formula: format!("{} / {} = {rate:.1} calls/s: below that rate it never trips", default.min_calls, span(window)),
                advice: format!("write `{field}`, or a number that fits the traffic; `consecutive` trips at any rate"),
                edit: Some(Edit::Add { place: breaker.place.clone(), field }),
            })
        })
        .collect()
}
