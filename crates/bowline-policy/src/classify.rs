//! How an answer becomes an outcome, and what an outcome says about the callee's health.
//!
//! The two are different questions. A 404 has no effect and need not be asked again, and the callee that
//! gave it is well. A 429 has no effect either; it says that the callee is busy, not that it is broken, and
//! a breaker that counted it would answer a limit with an outage.

use bowline_model::Outcome;
use bowline_model::decision::TryEnd;

/// The outcome of an HTTP answer. A 202 counts as succeeded here; [`of`] knows where it is pending.
///
/// ```
/// use bowline_model::Outcome;
/// use bowline_policy::classify;
/// assert_eq!(classify::http(201), Outcome::Succeeded);
/// assert_eq!(classify::http(404), Outcome::Failed);
/// assert_eq!(classify::http(429), Outcome::Refused);
/// assert_eq!(classify::http(503), Outcome::Unknown);
/// ```
#[must_use]
pub const fn http(status: u16) -> Outcome {
    match status {
        100..=399 => Outcome::Succeeded,
        429 => Outcome::Refused,
        400..=499 => Outcome::Failed,
        _ => Outcome::Unknown,
    }
}

/// The outcome of a gRPC code.
///
/// UNAVAILABLE is unknown even without headers: libraries give it for what broke halfway too.
///
/// ```
/// use bowline_model::Outcome;
/// use bowline_policy::classify;
/// assert_eq!(classify::grpc(0), Outcome::Succeeded);
/// assert_eq!(classify::grpc(8), Outcome::Refused);
/// assert_eq!(classify::grpc(14), Outcome::Unknown);
/// ```
#[must_use]
pub const fn grpc(code: u8) -> Outcome {
    match code {
        0 => Outcome::Succeeded,
        // RESOURCE_EXHAUSTED
        8 => Outcome::Refused,
        // INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, FAILED_PRECONDITION, ABORTED,
        // OUT_OF_RANGE, UNIMPLEMENTED, UNAUTHENTICATED
        3 | 5 | 6 | 7 | 9 | 10 | 11 | 12 | 16 => Outcome::Failed,
        // CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS, and what nobody defined
        _ => Outcome::Unknown,
    }
}

/// The outcome of a try that ended this way. `pending_allowed`: the operation answers 202 for work that
/// it accepted and has not finished.
///
/// ```
/// use bowline_model::Outcome;
/// use bowline_model::decision::TryEnd;
/// use bowline_policy::classify;
/// assert_eq!(classify::of(TryEnd::ConnectFailed, false), Outcome::Refused);
/// assert_eq!(classify::of(TryEnd::TimedOut, false), Outcome::Unknown);
/// assert_eq!(classify::of(TryEnd::Answered { status: 202 }, true), Outcome::Pending);
/// ```
#[must_use]
pub const fn of(end: TryEnd, pending_allowed: bool) -> Outcome {
    match end {
        TryEnd::Answered { status: 202 } if pending_allowed => Outcome::Pending,
        TryEnd::Answered { status } => http(status),
        TryEnd::AnsweredGrpc { code, .. } => grpc(code),
        TryEnd::Returned => Outcome::Succeeded,
        TryEnd::ConnectFailed | TryEnd::StreamRefused | TryEnd::ResetBeforeRequest => Outcome::Refused,
        // Raised, Reset, Malformed, TimedOut, DeadlineExceeded, Cancelled, Outrun, and whatever comes to be seen:
        // what is not known to have had no effect may have had one.
        _ => Outcome::Unknown,
    }
}

/// Whether a refusal is about this host, now: it was answered, so somebody was there to say no (429,
/// RESOURCE_EXHAUSTED, shed, a breaker further on). It is asked again elsewhere, or after the time it names.
#[must_use]
pub const fn is_elsewhere_only(end: TryEnd, outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Refused)
        && matches!(end, TryEnd::Answered { .. } | TryEnd::AnsweredGrpc { .. } | TryEnd::Returned)
}

/// What a finished try says about the callee's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// It answered as it should: it did what was asked, or understood and said no.
    Good,
    /// It did not: no connection, a reset, a timeout, a 5xx.
    Bad,
    /// It says nothing: the callee was busy, or drained, or nobody waited for it.
    Neutral,
}

/// What a try that ended this way says about the callee's health.
///
/// | outcome | how it ended | health |
/// |---|---|---|
/// | succeeded, pending, failed (4xx) | any | good |
/// | unknown (5xx, timeout, reset) | any | bad |
/// | refused | no connection, or it ended before the request; the guarded future's error | bad |
/// | refused | answered: 429, RESOURCE_EXHAUSTED, shed; refused stream: overloaded or draining | neutral |
/// | any | the caller went away; another try was answered first | neutral |
///
/// ```
/// use bowline_model::Outcome;
/// use bowline_model::decision::TryEnd;
/// use bowline_policy::classify::{self, Health};
/// assert_eq!(classify::health(TryEnd::Answered { status: 404 }, Outcome::Failed), Health::Good);
/// assert_eq!(classify::health(TryEnd::ConnectFailed, Outcome::Refused), Health::Bad);
/// assert_eq!(classify::health(TryEnd::Answered { status: 429 }, Outcome::Refused), Health::Neutral);
/// ```
#[must_use]
pub const fn health(end: TryEnd, outcome: Outcome) -> Health {
    if matches!(end, TryEnd::Cancelled | TryEnd::Outrun) {
        return Health::Neutral;
    }
    match outcome {
        Outcome::Succeeded | Outcome::Pending | Outcome::Failed => Health::Good,
        Outcome::Unknown => Health::Bad,
        Outcome::Refused => match end {
            TryEnd::ConnectFailed | TryEnd::ResetBeforeRequest | TryEnd::Raised => Health::Bad,
            _ => Health::Neutral,
        },
    }
}

/// Whether the callee accepted a try that ended this way: it did what was asked, or understood and said no.
/// `None`: the caller went away, and nobody knows.
///
/// ```
/// use bowline_model::Outcome;
/// use bowline_model::decision::TryEnd;
/// use bowline_policy::classify;
/// assert_eq!(classify::accepted(TryEnd::Answered { status: 404 }, Outcome::Failed), Some(true));
/// assert_eq!(classify::accepted(TryEnd::Answered { status: 429 }, Outcome::Refused), Some(false));
/// assert_eq!(classify::accepted(TryEnd::TimedOut, Outcome::Unknown), Some(false));
/// assert_eq!(classify::accepted(TryEnd::Cancelled, Outcome::Unknown), None);
/// ```
#[must_use]
pub const fn accepted(end: TryEnd, outcome: Outcome) -> Option<bool> {
    match (end, outcome) {
        (TryEnd::Cancelled, _) => None,
        (_, Outcome::Succeeded | Outcome::Pending | Outcome::Failed) => Some(true),
        (_, Outcome::Refused | Outcome::Unknown) => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_counts_as_a_failure_and_a_4xx_does_not() {
        for end in
            [TryEnd::TimedOut, TryEnd::Reset, TryEnd::DeadlineExceeded, TryEnd::Answered { status: 500 }]
        {
            assert_eq!(health(end, of(end, false)), Health::Bad, "{end}");
        }
        for status in [400, 404, 409, 422] {
            let end = TryEnd::Answered { status };
            assert_eq!(health(end, of(end, false)), Health::Good, "{status}");
        }
    }

    #[test]
    fn being_busy_is_not_being_ill() {
        let busy = [
            TryEnd::Answered { status: 429 },
            TryEnd::AnsweredGrpc { code: 8, trailers_only: true },
            TryEnd::StreamRefused,
        ];
        for end in busy {
            assert_eq!(health(end, of(end, false)), Health::Neutral, "{end}");
        }
        // A hop that we trust says in a header that it shed the request.
        assert_eq!(health(TryEnd::Answered { status: 503 }, Outcome::Refused), Health::Neutral);
    }

    #[test]
    fn a_refused_connection_counts_as_a_failure() {
        for end in [TryEnd::ConnectFailed, TryEnd::ResetBeforeRequest] {
            assert_eq!(health(end, of(end, false)), Health::Bad, "{end}");
        }
    }

    #[test]
    fn whoever_goes_away_says_nothing_about_the_callee() {
        assert_eq!(health(TryEnd::Cancelled, of(TryEnd::Cancelled, false)), Health::Neutral);
    }
}
