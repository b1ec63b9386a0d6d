//! How an answer becomes an outcome.

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
#[must_use]
pub const fn of(end: TryEnd, pending_allowed: bool) -> Outcome {
    match end {
        TryEnd::Answered { status: 202 } if pending_allowed => Outcome::Pending,
        TryEnd::Answered { status } => http(status),
        TryEnd::AnsweredGrpc { code, .. } => grpc(code),
        TryEnd::Returned => Outcome::Succeeded,
        TryEnd::ConnectFailed | TryEnd::StreamRefused | TryEnd::ResetBeforeRequest => Outcome::Refused,
        _ => Outcome::Unknown,
    }
}
