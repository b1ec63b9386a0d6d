//! What a test expects to govern the call, beside what does. Only what a test names is compared: a block may say one of
//! its fields, and `none` says that there is no such thing.

use crate::format::format_duration;
use crate::kinds::policy::{After, Breaker, Hedge, Priority as WrittenPriority, Retry};
use crate::kinds::route_tests::{TestPolicy, Wanted};
use crate::mistake::Spot;
use crate::resolved::{CallSettings, Source, Sourced};
use bowline_model::Priority;
use bowline_policy::{Backoff, BreakerSettings, HedgeAfter, HedgeSettings, Ratio};
use std::fmt::Display;
use std::time::Duration;

/// What is not as the test expects.
pub(super) fn differences(expected: &TestPolicy, found: &CallSettings) -> Vec<String> {
    let mut told = Told(Vec::new());
    let deadline = found.deadline().map(|(_, deadline)| deadline);
    if let Some((expected, found)) = told.both("deadline", expected.deadline.as_ref(), deadline) {
        told.span("deadline", Some(expected), found);
    }
    told.retry(expected.retry.as_ref(), found);
    if let Some((expected, found)) = told.both("hedge", expected.hedge.as_ref(), found.hedge.as_ref()) {
        told.hedge(expected, &found);
    }
    if let Some((expected, found)) = told.both("breaker", expected.breaker.as_ref(), found.breaker.as_ref()) {
        told.breaker(expected, &found);
    }
    let bulkhead = told.both("bulkhead", expected.bulkhead.as_ref(), found.bulkhead.as_ref());
    if let Some((expected, found)) = bulkhead {
        told.number("bulkhead.concurrent", Some(&expected.concurrent), found.concurrent);
        told.number("bulkhead.queue", expected.queue.as_ref(), found.queue);
        told.span("bulkhead.wait", expected.wait.as_ref().map(|wait| &wait.value), found.wait);
    }
    if let Some((expected, found)) = told.both("rateLimit", expected.rate_limit.as_ref(), found.rate.as_ref())
    {
        told.number("rateLimit.perSecond", Some(&expected.per_second), found.per_second);
        told.number("rateLimit.burst", expected.burst.as_ref(), found.burst);
    }
    let admission = told.both("admission", expected.admission.as_ref(), found.admission.as_ref());
    if let Some((expected, found)) = admission {
        let multiplier = f64::from(found.multiplier) / 1e3;
        told.number("admission.multiplier", expected.multiplier.as_ref(), multiplier);
        told.span("admission.window", expected.window.as_ref().map(|window| &window.value), found.window);
        told.number("admission.minCalls", expected.min_calls.as_ref(), found.min_calls);
        told.share("admission.rejectMax", expected.reject_max.as_ref(), Some(found.reject_max));
    }
    if let Some((expected, found)) = told.both("doomed", expected.doomed.as_ref(), found.doomed.as_ref()) {
        told.number("doomed.minCalls", expected.min_calls.as_ref(), found.min_calls);
        told.share("doomed.letThrough", expected.let_through.as_ref(), Some(found.let_through));
    }
    if let Some(expected) = &expected.priority {
        let wanted = match expected.value {
            WrittenPriority::Low => Priority::Low,
            WrittenPriority::Normal => Priority::Normal,
            WrittenPriority::High => Priority::High,
        };
        let found = found.priority.as_ref().map_or(Priority::Normal, |priority| priority.value);
        told.unless(wanted == found, "priority", wanted.as_str(), found.as_str());
    }
    told.0
}

/// What differs so far.
struct Told(Vec<String>);

impl Told {
    fn unless(&mut self, holds: bool, what: &str, expected: impl Display, found: impl Display) {
        if !holds {
            self.0.push(format!("{what} {expected} expected, found {found}"));
        }
    }

    /// Both, where both are there to be compared; notes it where only one is.
    fn both<'e, T, S: Clone>(
        &mut self,
        what: &str,
        expected: Option<&'e Spot<Wanted<T>>>,
        found: Option<&Sourced<S>>,
    ) -> Option<(&'e T, S)> {
        match (&expected?.value, found) {
            (Wanted::Nothing, Some(found)) => {
                self.0.push(format!("no {what} expected, found one ({})", said(&found.from)));
                None
            }
            (Wanted::This(_), None) => {
                self.0.push(format!("a {what} expected, found none"));
                None
            }
            (Wanted::This(expected), Some(found)) => Some((expected, found.value.clone())),
            (Wanted::Nothing, None) => None,
        }
    }

    fn number<T: PartialEq + Display + Copy>(&mut self, what: &str, expected: Option<&Spot<T>>, found: T) {
        if let Some(expected) = expected {
            self.unless(expected.value == found, what, expected.value, found);
        }
    }

    fn span(&mut self, what: &str, expected: Option<&Duration>, found: impl Into<Option<Duration>>) {
        let found = found.into();
        if let Some(expected) = expected {
            let text = found.map_or_else(|| "none".to_owned(), format_duration);
            self.unless(found == Some(*expected), what, format_duration(*expected), text);
        }
    }

    fn share(&mut self, what: &str, expected: Option<&Spot<f64>>, found: Option<Ratio>) {
        if let Some(expected) = expected {
            let text = found.map_or_else(|| "none".to_owned(), |found| found.as_f64().to_string());
            // As they are kept: a share is a whole number of millionths.
            let holds = found.is_some() && Ratio::from_f64(expected.value) == found;
            self.unless(holds, what, expected.value, text);
        }
    }

    fn retry(&mut self, expected: Option<&Spot<Wanted<Retry>>>, found: &CallSettings) {
        let Some(expected) = expected else { return };
        let tries = &found.retry.tries;
        let Wanted::This(expected) = &expected.value else {
            return self.unless(
                tries.value == 1,
                "retry",
                "none",
                format!("{} ({})", tries.value, said(&tries.from)),
            );
        };
        self.number("retry.tries", expected.tries.as_ref(), tries.value);
        let per_try = found.retry.per_try.as_ref().map(|per_try| per_try.value);
        self.span("retry.perTry", expected.per_try.as_ref().map(|per_try| &per_try.value), per_try);
        if let Some(backoff) = &expected.backoff {
            let (base, max) = match found.retry.backoff.value {
                Backoff::None => (None, None),
                Backoff::Envoy { base, max }
                | Backoff::Full { base, max }
                | Backoff::Equal { base, max }
                | Backoff::Decorrelated { base, max } => (Some(base), Some(max)),
            };
            self.span("retry.backoff.base", backoff.base.as_ref().map(|base| &base.value), base);
            self.span("retry.backoff.max", backoff.max.as_ref().map(|max| &max.value), max);
        }
        if let Some(budget) = &expected.budget {
            let found = found.budget.as_ref().map(|budget| budget.value);
            self.share("retry.budget.ratio", budget.ratio.as_ref(), found.map(|found| found.ratio));
            if let Some(min) = &budget.min_per_second {
                let found = found.map_or(0, |found| found.min_per_second);
                self.number("retry.budget.minPerSecond", Some(min), found);
            }
        }
    }

    fn hedge(&mut self, expected: &Hedge, found: &HedgeSettings) {
        if let Some(after) = &expected.after {
            let holds = match (after.value, found.after) {
                (After::Fixed(span), HedgeAfter::Fixed(found)) => span == found,
                (After::Quantile(share), HedgeAfter::Quantile { quantile, .. }) => {
                    Ratio::from_f64(share) == Some(quantile)
                }
                _ => false,
            };
            let expected = match after.value {
                After::Fixed(span) => format_duration(span),
                After::Quantile(share) => quantile(share),
            };
            let found = match found.after {
                HedgeAfter::Fixed(span) => format_duration(span),
                HedgeAfter::Quantile { quantile: share, .. } => quantile(share.as_f64()),
            };
            self.unless(holds, "hedge.after", expected, found);
        }
        self.number("hedge.tries", expected.tries.as_ref(), found.tries);
        self.share("hedge.ratio", expected.ratio.as_ref(), Some(found.ratio));
        if let (Some(calls), HedgeAfter::Quantile { min_calls, .. }) = (&expected.min_calls, found.after) {
            self.number("hedge.minCalls", Some(calls), min_calls);
        }
    }

    fn breaker(&mut self, expected: &Breaker, found: &BreakerSettings) {
        let span = |spot: &Option<Spot<Duration>>| spot.as_ref().map(|spot| spot.value);
        self.number("breaker.minCalls", expected.min_calls.as_ref(), found.min_calls);
        self.share("breaker.failureRatio", expected.failure_ratio.as_ref(), found.failure_ratio);
        if let Some(slow) = &expected.slow_call {
            self.span("breaker.slowCall.over", Some(&slow.over.value), found.slow.map(|slow| slow.over));
            self.share("breaker.slowCall.ratio", slow.ratio.as_ref(), found.slow.map(|slow| slow.ratio));
        }
        if let Some(consecutive) = &expected.consecutive {
            let text = found.consecutive.map_or_else(|| "none".to_owned(), |found| found.to_string());
            let holds = found.consecutive == Some(consecutive.value);
            self.unless(holds, "breaker.consecutive", consecutive.value, text);
        }
        self.number("breaker.probes", expected.probes.as_ref(), found.probes);
        self.share("breaker.jitter", expected.jitter.as_ref(), Some(found.jitter));
        for (what, expected, found) in [
            ("breaker.window", span(&expected.window), found.window),
            ("breaker.open", span(&expected.open), found.open),
            ("breaker.openMax", span(&expected.open_max), found.open_max),
            ("breaker.probeLease", span(&expected.probe_lease), found.probe_lease),
            ("breaker.ramp", span(&expected.ramp), found.ramp),
        ] {
            self.span(what, expected.as_ref(), found);
        }
    }
}

/// Who says so.
fn said(source: &Source) -> String {
    match source {
        Source::Written(place) => place.to_string(),
        Source::Default(why) => (*why).to_owned(),
    }
}

/// `p95`.
fn quantile(share: f64) -> String {
    format!("p{}", (share * 1e5).round() / 1e3)
}
