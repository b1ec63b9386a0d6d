//! A layer: a call that is tried again after its callee may have done the work.
//!
//! Tries after a refused connection or stream cost the callee nothing and repeat nothing; a call that has
//! only those is no layer.

use crate::edit::Edit;
use crate::graph::patience;
use bowline_design::Place;
use bowline_design::resolved::{CallSettings, Operation, TryPlan};
use bowline_model::Outcome;
use bowline_model::decision::RetryOn;
use bowline_model::describe::grpc_word;
use bowline_policy::{
    BudgetSettings, Codes, ConcurrentBudget, Conditions, RetryRule, RetryThrottleSettings, classify,
};
use http::Method;

/// A `retryOn` after which surely nothing was done.
pub(crate) const REFUSALS: &str = "connect-failure,refused-stream,reset-before-request";

/// The conditions of `retryOn` under which the callee may have done the work. Not among them:
/// `retriable-4xx` (409: the callee says that it did nothing), `retriable-headers` (the callee asks for it),
/// and what names refusals.
const WORK_DONE: [RetryOn; 4] =
    [RetryOn::FiveXx, RetryOn::GatewayError, RetryOn::Reset, RetryOn::Http3PostConnectFailure];

/// The same, of those that speak of gRPC statuses.
const GRPC_WORK_DONE: [RetryOn; 4] =
    [RetryOn::Cancelled, RetryOn::DeadlineExceeded, RetryOn::Internal, RetryOn::Unavailable];

/// The first word of a `retryOn` after which the callee may have done the work.
pub(crate) fn work_done(named: &Conditions, grpc: bool) -> Option<String> {
    let word = |of: &[RetryOn]| of.iter().find(|on| named.contains(**on)).map(|on| on.as_str().to_owned());
    // A 4xx says that nothing was done; any other status may come after the effect.
    let code = || named.codes().iter().find(|code| **code >= 500).map(u16::to_string);
    word(&WORK_DONE).or_else(code).or_else(|| word(&GRPC_WORK_DONE).filter(|_| grpc))
}

/// The first of these gRPC statuses after which the callee may have done the work.
pub(crate) fn code_after_work(codes: Codes) -> Option<&'static str> {
    codes.iter().find(|code| classify::grpc(*code) == Outcome::Unknown).map(grpc_word)
}

/// How many tries of a call may follow work that its callee has done: all of them where the retry rule
/// allows one after an unknown outcome, one otherwise.
pub(crate) fn tries(settings: &CallSettings, operation: &Operation) -> u32 {
    let repeats = match &settings.retry.rule.value {
        RetryRule::Outcome => {
            let method = operation.http.as_ref().map_or(&Method::POST, |(method, _)| method);
            settings.idempotent.value.repeatable(method, true)
        }
        RetryRule::Codes(codes) => code_after_work(*codes).is_some(),
        RetryRule::Named(named) => work_done(named, operation.grpc.is_some()).is_some(),
    };
    if repeats { settings.retry.tries.value } else { 1 }
}

/// The same with what bounds what all calls together add: a retry budget, at most `1 + ratio` above the rate at
/// which its floor matters, and a retry throttle.
pub(crate) fn load(settings: &CallSettings, tries: u32) -> f64 {
    let budget = settings.budget.as_ref().map_or(f64::INFINITY, |budget| 1.0 + ratio(&budget.value));
    f64::from(tries).min(budget).min(1.0 + throttled(settings))
}

/// Whether something bounds the retries of all calls together.
pub(crate) fn is_bounded(settings: &CallSettings) -> bool {
    settings.budget.is_some() || settings.retry_throttle.is_some()
}

/// The most retries for each call that a retry throttle allows for long. While it allows any, what failures take out
/// of the bucket is put back by successes: there are no more failures than `ratio` times the successes, and no more
/// retries than failures.
fn throttled(settings: &CallSettings) -> f64 {
    let ratio =
        |throttle: RetryThrottleSettings| f64::from(throttle.ratio) / f64::from(RetryThrottleSettings::TOKEN);
    settings.retry_throttle.as_ref().map_or(f64::INFINITY, |throttle| ratio(throttle.value))
}

/// The most retries for each call that a budget allows, above its floor.
fn ratio(budget: &BudgetSettings) -> f64 {
    budget.ratio.as_f64().min(budget.concurrent.map_or(f64::INFINITY, at_once))
}

/// The same of a budget for each moment. A share `c` of the calls that are not over may be retrying. Where every try takes
/// as long as any other, `r` retries for each call keep `r` of its `1 + r` spans: `r / (1 + r) <= c`, and so
/// `r <= c / (1 - c)`.
fn at_once(budget: ConcurrentBudget) -> f64 {
    let share = budget.ratio.as_f64();
    if share < 1.0 { share / (1.0 - share) } else { f64::INFINITY }
}

/// The most retries a second that a call's budget and throttle allow at this many calls a second; without end where
/// there is neither.
/// The window allows a share and its floor together; each moment allows a share or its floor, whichever is more: so
/// many tries one after the other. Where a try has no end that is known, the floor of a moment counts without end.
pub(crate) fn retries_max(settings: &CallSettings, rate: f64) -> f64 {
    let throttled = rate * throttled(settings);
    let Some(budget) = settings.budget.as_ref().map(|budget| budget.value) else { return throttled };
    let over_time = rate * budget.ratio.as_f64() + f64::from(budget.min_per_second);
    let moment = budget.concurrent.map_or(f64::INFINITY, |concurrent| {
        let floor =
            patience(settings).map_or(f64::INFINITY, |span| f64::from(concurrent.min) / span.as_secs_f64());
        floor.max(rate * at_once(concurrent))
    });
    over_time.min(moment).min(throttled)
}

/// A call made to try less often.
#[derive(Clone, Debug)]
pub(crate) struct Lowered {
    /// Where its tries are written.
    pub(crate) place: Place,
    /// How many may now follow work done.
    pub(crate) tries: u32,
    /// The edit that does it.
    pub(crate) edit: Edit,
}

/// Lets a call try `tries` times, or as few above it as can be written. `None` where nothing is written,
/// or where even that is no fewer than now.
pub(crate) fn fewer(plan: &TryPlan, tries: u32) -> Option<Lowered> {
    let place = plan.tries.from.place()?;
    // Istio counts the tries after the first, and refuses `attempts: 0` beside other fields.
    let (tries, text) = match is_istios(place) {
        true => (tries.max(2), tries.max(2) - 1),
        false => (tries.max(1), tries.max(1)),
    };
    let edit = Edit::Replace { place: place.clone(), text: text.to_string() };
    (tries < plan.tries.value).then(|| Lowered { place: place.clone(), tries, edit })
}

/// The same for tries that may follow work done: Istio's, which cannot be only one, may come after
/// refusals alone.
pub(crate) fn lowered(plan: &TryPlan, tries: u32) -> Option<Lowered> {
    let place = plan.tries.from.place()?;
    match plan.rule.from.place() {
        Some(rule) if tries < 2 && is_istios(place) && plan.tries.value > 1 => {
            let edit = Edit::Replace { place: rule.clone(), text: REFUSALS.to_owned() };
            Some(Lowered { place: place.clone(), tries: 1, edit })
        }
        _ => fewer(plan, tries),
    }
}

/// Whether tries are written as Istio writes them.
pub(crate) fn is_istios(tries: &Place) -> bool {
    tries.path.ends_with("attempts")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_policy::Ratio;

    #[test]
    fn a_fifth_of_what_is_under_way_is_a_quarter_of_the_calls() {
        let moment = |percent| ConcurrentBudget { ratio: Ratio::percent(percent), min: 3 };
        assert_eq!([20, 50, 100].map(|percent| at_once(moment(percent))), [0.25, 1.0, f64::INFINITY]);
        let ours = BudgetSettings::default();
        assert_eq!(ratio(&ours), 0.2);
        // Istio's budget says nothing about time.
        let istios = BudgetSettings { ratio: Ratio::ONE, concurrent: Some(moment(20)), ..ours };
        assert_eq!(ratio(&istios), 0.25);
    }

    #[test]
    fn refusals_and_4xx_are_no_work_done_and_grpc_words_count_for_grpc_alone() {
        let asked = |on: &str, grpc| work_done(&Conditions::parse(on).unwrap(), grpc);
        for on in
            [REFUSALS, "retriable-4xx,retriable-headers", "409,429", "envoy-ratelimited,resource-exhausted"]
        {
            assert_eq!(asked(on, true), None, "{on}");
        }
        assert_eq!(asked("connect-failure,5xx", false).as_deref(), Some("5xx"));
        assert_eq!(asked("409,503", false).as_deref(), Some("503"));
        assert_eq!(asked("unavailable", false), None);
        assert_eq!(asked("unavailable", true).as_deref(), Some("unavailable"));
    }
}
