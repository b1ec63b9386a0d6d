//! An answer as it is stored, as gRPC says it, and what its caller makes of that.
//!
//! The codes are those that say the same of the world: a request that was refused surely had no effect, one that
//! broke may have had one.

use super::generated::{PaymentState, State};
use crate::reply::Reply;
use axum::http::StatusCode;
use serde_json::Value;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Response, Status};

/// What to do about a refusal: metadata beside its status.
const HINT: &str = "do";

/// How long a caller should wait where too many wait already (gRFC A6).
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// `reply` as gRPC answers it.
///
/// # Errors
/// Every reply that is no success.
pub fn of_reply(reply: &Reply) -> Result<Response<PaymentState>, Status> {
    if !reply.status.is_success() {
        return Err(refused(reply));
    }
    let said: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let state = match said["state"].as_str() {
        Some("authorized") => State::Authorized,
        Some("captured") => State::Captured,
        Some("reversed") => State::Reversed,
        _ => State::Unspecified,
    };
    let order_id = said["order_id"].as_str().unwrap_or_default().to_owned();
    let mut response = Response::new(PaymentState { order_id, state: state.into() });
    mark_replayed(response.metadata_mut(), reply);
    Ok(response)
}

/// `reply`, which is no success, as a status.
#[must_use]
pub fn refused(reply: &Reply) -> Status {
    let said: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let code = match reply.status {
        StatusCode::PAYMENT_REQUIRED => Code::FailedPrecondition,
        StatusCode::CONFLICT => Code::Aborted,
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        status if status.is_client_error() => Code::InvalidArgument,
        _ => Code::Internal,
    };
    let mut status = Status::new(code, said["error"].as_str().unwrap_or("refused"));
    let metadata = status.metadata_mut();
    if let Some(hint) = said["do"].as_str().and_then(|hint| MetadataValue::try_from(hint).ok()) {
        metadata.insert(HINT, hint);
    }
    if code == Code::ResourceExhausted {
        metadata.insert(PUSHBACK, MetadataValue::from_static("1000"));
    }
    mark_replayed(metadata, reply);
    status
}

/// What a refusal is to a customer who speaks HTTP; `None` for a status that is no answer to act on.
#[must_use]
pub fn http_of(status: &Status) -> Option<StatusCode> {
    match status.code() {
        Code::FailedPrecondition => Some(StatusCode::PAYMENT_REQUIRED),
        Code::Aborted => Some(StatusCode::CONFLICT),
        Code::InvalidArgument => Some(StatusCode::UNPROCESSABLE_ENTITY),
        _ => None,
    }
}

/// What to do about a refusal, in payment's own words.
#[must_use]
pub fn hint_of(status: &Status) -> &str {
    status.metadata().get(HINT).and_then(|hint| hint.to_str().ok()).unwrap_or("ask with another key")
}

fn mark_replayed(metadata: &mut MetadataMap, reply: &Reply) {
    if reply.replayed {
        metadata.insert("idempotent-replayed", MetadataValue::from_static("true"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline::Classify;
    use bowline::Outcome;
    use bowline::outcome::of_grpc;

    fn problem(status: StatusCode) -> Reply {
        Reply::problem(status, "why", "what to do")
    }

    #[test]
    fn what_is_stored_says_the_same_of_the_world_over_grpc() {
        for (status, code, outcome) in [
            (StatusCode::BAD_REQUEST, Code::InvalidArgument, Outcome::Failed),
            (StatusCode::PAYMENT_REQUIRED, Code::FailedPrecondition, Outcome::Failed),
            (StatusCode::CONFLICT, Code::Aborted, Outcome::Failed),
            (StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidArgument, Outcome::Failed),
            (StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted, Outcome::Refused),
            (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, Outcome::Unknown),
        ] {
            let answer = of_reply(&problem(status));
            assert_eq!(of_grpc.classify(&answer).outcome(), outcome, "{status}");
            let refused = answer.unwrap_err();
            assert_eq!((refused.code(), refused.message(), hint_of(&refused)), (code, "why", "what to do"));
        }
    }

    #[test]
    fn a_success_names_the_order_its_state_and_whether_it_is_said_again() {
        let body = serde_json::json!({ "order_id": "o", "state": "captured" });
        let reply = Reply { replayed: true, ..Reply::new(StatusCode::CREATED, &body) };
        let answer = of_reply(&reply).unwrap();
        assert_eq!((answer.get_ref().order_id.as_str(), answer.get_ref().state()), ("o", State::Captured));
        assert!(answer.metadata().contains_key("idempotent-replayed"));
    }
}
