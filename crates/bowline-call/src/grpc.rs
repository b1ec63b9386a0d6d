//! What of gRPC somebody in the middle must know: whether a request is one, and how its answer went.
//!
//! Messages are never looked into; they are frames like any others. The status is a field of the trailers, or
//! of the head where there is no message at all: gRPC calls that trailers-only.

use bowline_policy::Pushback;
use http::header::{self, HeaderValue};
use http::{HeaderMap, HeaderName};

static STATUS: HeaderName = HeaderName::from_static("grpc-status");
static PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// UNKNOWN, which stands for a status that is missing or no number (gRPC over HTTP/2, "Responses").
const UNKNOWN: u8 = 2;

/// The last code that gRPC defines, UNAUTHENTICATED.
const LAST: u8 = 16;

/// Whether `kind`, a content type, is gRPC's. gRPC-Web's is not: it is carried by any HTTP.
///
/// ```
/// use bowline_call::grpc::is_kind;
/// assert!(is_kind(b"application/grpc") && is_kind(b"application/grpc+proto"));
/// assert!(!is_kind(b"application/grpc-web") && !is_kind(b"application/json"));
/// ```
#[must_use]
pub fn is_kind(kind: &[u8]) -> bool {
    kind.strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Whether these fields are those of a gRPC request or answer.
#[must_use]
pub fn is(fields: &HeaderMap) -> bool {
    fields.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).is_some_and(is_kind)
}

/// The status that these fields carry, if any. What is no code that gRPC defines is UNKNOWN.
#[must_use]
pub fn status(fields: &HeaderMap) -> Option<u8> {
    let code = fields.get(&STATUS)?.to_str().ok().and_then(|text| text.parse().ok());
    Some(code.filter(|code| *code <= LAST).unwrap_or(UNKNOWN))
}

/// The status of an answer whose end these trailers are, or that ended without any.
#[must_use]
pub fn final_status(trailers: Option<&HeaderMap>) -> u8 {
    trailers.and_then(status).unwrap_or(UNKNOWN)
}

/// What these fields say about asking again.
#[must_use]
pub fn pushback(fields: &HeaderMap) -> Option<Pushback> {
    // What cannot be read means never, as what is negative does (gRPC proposal A6).
    Some(Pushback::parse_grpc(fields.get(&PUSHBACK)?.to_str().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn fields(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn a_status_that_makes_no_sense_is_unknown() {
        for (value, code) in [("0", 0), ("14", 14), ("16", 16), ("17", 2), ("-1", 2), ("", 2), ("ok", 2)] {
            assert_eq!(status(&fields("grpc-status", value)), Some(code), "{value:?}");
        }
        assert_eq!(status(&HeaderMap::new()), None);
        assert_eq!(final_status(None), 2);
    }

    #[test]
    fn what_a_callee_says_about_asking_again_is_read_to_the_millisecond() {
        let said = |value| pushback(&fields("grpc-retry-pushback-ms", value));
        assert_eq!(said("150"), Some(Pushback::After(Duration::from_millis(150))));
        assert_eq!(said("-1"), Some(Pushback::Never));
        assert_eq!(said("soon"), Some(Pushback::Never));
        assert_eq!(pushback(&HeaderMap::new()), None);
    }
}
