//! What a try tells the next hop.

use bowline_model::Priority;
use bowline_policy::deadline::format_expected_ms;
use std::sync::Arc;
use std::time::Duration;

/// Remaining time in milliseconds, as Envoy writes and reads it.
pub(crate) const EXPECTED_MS: &str = "x-envoy-expected-rq-timeout-ms";
/// W3C trace context.
pub(crate) const TRACEPARENT: &str = "traceparent";
/// Which try of a guard this is: layers behind it do not try again what it already does.
pub(crate) const TRY: &str = "x-bowline-try";
/// The same in Envoy's spelling: read, never written.
#[cfg(feature = "http")]
pub(crate) const ATTEMPT: &str = "x-envoy-attempt-count";
/// A layer behind has used up its tries, or the budget for them.
#[cfg(any(feature = "http", feature = "tonic"))]
pub(crate) const EXHAUSTED: &str = "x-retry-exhausted";
/// What a call matters.
pub(crate) const PRIORITY: &str = "x-bowline-priority";
/// What makes a repetition recognisable to the callee.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// gRPC's remaining time.
#[cfg(feature = "http")]
pub(crate) const GRPC_TIMEOUT: &str = "grpc-timeout";

/// The headers to put on the outgoing request of one try; see [`Try::headers`](crate::Try::headers).
#[derive(Clone, Debug)]
pub struct Headers {
    pub(crate) remaining: Option<Duration>,
    pub(crate) try_number: Option<u32>,
    pub(crate) priority: Option<Priority>,
    pub(crate) traceparent: String,
    pub(crate) key: Option<Arc<str>>,
}

impl IntoIterator for Headers {
    type Item = (&'static str, String);
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<Self::Item>, 5>>;

    fn into_iter(self) -> Self::IntoIter {
        [
            Some((TRACEPARENT, self.traceparent)),
            self.remaining.map(|remaining| (EXPECTED_MS, format_expected_ms(remaining).to_string())),
            self.try_number.map(|number| (TRY, number.to_string())),
            self.priority.map(|priority| (PRIORITY, priority.to_string())),
            self.key.map(|key| (IDEMPOTENCY_KEY, key.as_ref().to_owned())),
        ]
        .into_iter()
        .flatten()
    }
}

/// For `reqwest::RequestBuilder::headers` and its like. A key that is no header value is left out.
#[cfg(feature = "http")]
impl From<Headers> for http::HeaderMap {
    fn from(headers: Headers) -> Self {
        let mut map = Self::with_capacity(5);
        headers.put(&mut map);
        map
    }
}

#[cfg(feature = "http")]
impl Headers {
    /// Puts them into `map`, in the place of what is there.
    pub(crate) fn put(self, map: &mut http::HeaderMap) {
        for (name, value) in self {
            if let Ok(value) = http::HeaderValue::try_from(value) {
                map.insert(name, value);
            }
        }
    }
}
