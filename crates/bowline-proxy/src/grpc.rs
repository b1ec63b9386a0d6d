//! What a proxy owes gRPC: time that shrinks, tries that are told, and answers of our own that its clients
//! understand.
//!
//! Everything else is HTTP/2: messages pass as frames, and so do the trailers behind them.

use crate::headers;
use bowline_call::HeadWriter;
use bowline_model::Instant;
use bowline_policy::Try;
use bowline_policy::deadline::format_grpc_timeout;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use std::fmt::Write;

/// What is left of the time, with a unit.
pub(crate) static TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// How often the call was tried before.
pub(crate) static PREVIOUS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");
static STATUS: HeaderName = HeaderName::from_static("grpc-status");
static MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
static PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// What is written anew for each try of a gRPC call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PerTry {
    /// When the time ends that the caller named, whether it is believed or not: nobody after it has more.
    pub(crate) until: Instant,
    /// How often the caller tried before.
    pub(crate) previous: u32,
}

impl PerTry {
    pub(crate) fn write(self, this: &Try, now: Instant, out: &mut HeadWriter<'_>) {
        let until = this.until.min(self.until);
        if until != Instant::FAR {
            out.field(&TIMEOUT, format_grpc_timeout(until.since(now)).as_bytes());
        }
        let previous = self.previous.saturating_add(this.number - 1);
        if previous > 0 {
            out.number(&PREVIOUS, previous.into());
        }
    }
}

/// Makes of an answer of our own one that a gRPC client understands: a status without a message.
pub(crate) fn shape(response: &mut Response<Bytes>) {
    if response.status() == StatusCode::OK {
        return;
    }
    let code = code_of(response.status());
    let message = percent_encoded(std::mem::take(response.body_mut()).trim_ascii());
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(&STATUS, headers::number(code.into()));
    if let Ok(message) = HeaderValue::from_str(&message) {
        headers.insert(&MESSAGE, message);
    }
    let seconds = headers.remove(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    if let Some(seconds) = seconds {
        headers.insert(&PUSHBACK, headers::number(u64::saturating_mul(seconds, 1_000)));
    }
}

/// The gRPC code of an answer of our own. The table is gRPC's (`http-grpc-status-mapping.md`), except where we
/// know better than somebody who sees the status alone: 504 is a deadline, 429 a limit.
const fn code_of(status: StatusCode) -> u8 {
    match status.as_u16() {
        400 => 13,       // INTERNAL
        401 => 16,       // UNAUTHENTICATED
        403 => 7,        // PERMISSION_DENIED
        404 => 12,       // UNIMPLEMENTED
        429 => 8,        // RESOURCE_EXHAUSTED
        504 => 4,        // DEADLINE_EXCEEDED
        502 | 503 => 14, // UNAVAILABLE
        _ => 2,          // UNKNOWN
    }
}

/// Text as `grpc-message` carries it: all but printable ASCII, and the per cent sign, in per cent.
fn percent_encoded(text: &[u8]) -> String {
    text.iter().fold(String::with_capacity(text.len()), |mut message, byte| {
        match byte {
            b' '..=b'~' if *byte != b'%' => message.push(char::from(*byte)),
            _ => {
                let _ = write!(message, "%{byte:02X}");
            }
        }
        message
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_our_own_is_a_status_without_a_message() {
        let mut response = Response::new(Bytes::from("payment: breaker open \u{e4}%\n"));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        shape(&mut response);
        assert_eq!((response.status(), response.body().len()), (StatusCode::OK, 0));
        let headers = response.headers();
        assert_eq!(headers["grpc-status"], "14");
        assert_eq!(headers["grpc-message"], "payment: breaker open %C3%A4%25");
        assert_eq!(headers["grpc-retry-pushback-ms"], "2000");
        assert!(!headers.contains_key("retry-after"));
    }

    #[test]
    fn what_is_shaped_already_stays() {
        let mut response = Response::new(Bytes::new());
        response.headers_mut().insert("grpc-status", HeaderValue::from_static("7"));
        shape(&mut response);
        assert_eq!(response.headers()["grpc-status"], "7");
    }
}
