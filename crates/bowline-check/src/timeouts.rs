//! Whether a try that times out is followed by another. A per-try time that no retry follows only ends
//! tries early.
//!
//! In Envoy a per-try timeout resets the try from this side, and what follows a reset is decided by
//! `wouldRetryFromReset` (`source/common/router/retry_state_impl.cc`): `5xx`, `gateway-error` and `reset`,
//! and neither Istio's default conditions nor a status code, 504 included. The policy's own conditions are
//! asked here, so that what is said is what is done.

use crate::finding::Severity;
use bowline_design::resolved::{CallSettings, Idempotency, Operation};
use bowline_model::Outcome;
use bowline_model::decision::TryEnd;
use bowline_policy::{Report, RetryRule};
use http::Method;

/// `advice`, and the fact that its reader has to know if no try follows one that times out.
pub(crate) fn with_fact(advice: String, settings: &CallSettings, operation: Option<&Operation>) -> String {
    match why_none_follows(settings, operation) {
        Some(why) => format!("{advice}; as written a try that times out is not followed by another: {why}"),
        None => advice,
    }
}

/// How grave it is that tries which time out would not fit: no more than worth knowing, where none follows one that does
/// and nobody asked for that. Istio's default names no timeout; a `retryOn` that is written was meant.
pub(crate) fn severity(settings: &CallSettings, operation: Option<&Operation>) -> Severity {
    let rule = &settings.retry.rule;
    let is_default = matches!(rule.value, RetryRule::Named(_)) && rule.from.place().is_none();
    match is_default && why_none_follows(settings, operation).is_some() {
        true => Severity::Info,
        false => Severity::Warning,
    }
}

/// Why a try that times out is not followed by another; `None` where it is, or may be.
fn why_none_follows(settings: &CallSettings, operation: Option<&Operation>) -> Option<&'static str> {
    let rule = &settings.retry.rule;
    let timed_out = Report::new(TryEnd::TimedOut, Outcome::Unknown);
    if rule.value.allows(&timed_out, may_be_repeated(settings.idempotent.value, operation)).is_ok() {
        return None;
    }
    Some(match (&rule.value, rule.from.place()) {
        (RetryRule::Outcome, _) => "it may have had its effect, and may not be repeated",
        (RetryRule::Codes(_), _) => "no retry policy of gRPC names DEADLINE_EXCEEDED",
        (RetryRule::Named(_), Some(_)) => "retryOn does not name it",
        (RetryRule::Named(_), None) => "Istio's default retryOn does not name it",
    })
}

/// Whether some request may be repeated: one with a key where that is asked, a GET where no operation is
/// declared.
fn may_be_repeated(idempotent: Idempotency, operation: Option<&Operation>) -> bool {
    let method = match operation {
        Some(operation) => operation.http.as_ref().map_or(&Method::POST, |(method, _)| method),
        None => &Method::GET,
    };
    idempotent.repeatable(method, true)
}
