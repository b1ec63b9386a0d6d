//! A layer: a call that is tried again after its callee may have done the work.
//!
//! Tries after a refused connection or stream cost the callee nothing and repeat nothing; a call that has
//! only those is no layer.

use crate::edit::Edit;
use bowline_design::Place;
use bowline_design::resolved::{CallSettings, Operation, TryPlan};
use bowline_model::decision::RetryOn;
use bowline_policy::{Conditions, RetryRule};
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

/// How many tries of a call may follow work that its callee has done: all of them where the retry rule
/// allows one after an unknown outcome, one otherwise.
pub(crate) fn tries(settings: &CallSettings, operation: &Operation) -> u32 {
    let repeats = match &settings.retry.rule.value {
        RetryRule::Outcome => {
            let method = operation.http.as_ref().map_or(&Method::POST, |(method, _)| method);
            settings.idempotent.value.repeatable(method, true)
        }
        RetryRule::Named(named) => work_done(named, operation.grpc.is_some()).is_some(),
    };
    if repeats { settings.retry.tries.value } else { 1 }
}

/// The same with the retry budget, which bounds what all calls together add: at most `1 + ratio`, above
/// the rate at which its floor matters.
pub(crate) fn load(settings: &CallSettings, tries: u32) -> f64 {
    let budget = settings.budget.as_ref().map_or(f64::INFINITY, |budget| 1.0 + budget.value.ratio.as_f64());
    f64::from(tries).min(budget)
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
