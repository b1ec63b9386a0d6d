//! What a try tells the next hop.

use crate::incoming::Carried;
use bowline_model::Priority;
use bowline_policy::deadline::format_expected_ms;
#[cfg(any(feature = "tonic", feature = "tower"))]
use bowline_policy::deadline::format_grpc_timeout;
use std::sync::Arc;
use std::time::Duration;

/// Remaining time in milliseconds, as Envoy writes and reads it.
pub(crate) const EXPECTED_MS: &str = "x-envoy-expected-rq-timeout-ms";
/// W3C trace context.
pub(crate) const TRACEPARENT: &str = "traceparent";
/// W3C trace context: what each vendor on the way wrote.
pub(crate) const TRACESTATE: &str = "tracestate";
/// W3C baggage: between caller and callee.
pub(crate) const BAGGAGE: &str = "baggage";
/// Which try of a guard this is: layers behind it do not try again what it already does.
pub(crate) const TRY: &str = "x-bowline-try";
/// The same in Envoy's spelling: read, never written.
#[cfg(feature = "http")]
pub(crate) const ATTEMPT: &str = "x-envoy-attempt-count";
/// A layer behind has used up its tries, or what is allowed of them.
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
    pub(crate) carried: Option<Arc<Carried>>,
    pub(crate) key: Option<Arc<str>>,
}

impl IntoIterator for Headers {
    type Item = (&'static str, String);
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<Self::Item>, 7>>;

    fn into_iter(self) -> Self::IntoIter {
        let carried = |of: fn(&Carried) -> &Option<String>| of(self.carried.as_deref()?).clone();
        [
            carried(|carried| &carried.state).map(|state| (TRACESTATE, state)),
            carried(|carried| &carried.baggage).map(|baggage| (BAGGAGE, baggage)),
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
        let mut map = Self::with_capacity(7);
        headers.put(&mut map);
        map
    }
}

#[cfg(feature = "http")]
impl Headers {
    /// The same for gRPC: its own remaining time as well.
    #[cfg(any(feature = "tonic", feature = "tower"))]
    pub(crate) fn put_grpc(self, map: &mut http::HeaderMap) {
        if let Some(remaining) = self.remaining
            && let Ok(value) = http::HeaderValue::try_from(format_grpc_timeout(remaining))
        {
            map.insert(GRPC_TIMEOUT, value);
        }
        self.put(map);
    }

    /// Puts them into `map`, in the place of what is there.
    pub(crate) fn put(self, map: &mut http::HeaderMap) {
        for (name, value) in self {
            if let Ok(value) = http::HeaderValue::try_from(value) {
                map.insert(name, value);
            }
        }
    }
}
