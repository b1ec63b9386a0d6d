//! What the request being served brought along: its deadline, its trace, its try number.

use crate::clock;
use bowline_model::{Deadline, Priority, TraceContext};
use std::future::Future;
use std::time::Duration;

/// What is taken off the time that a caller leaves, so that the answer reaches it within: a round trip
/// inside one data centre. The mesh and the gateway take the same.
#[cfg(feature = "http")]
const HOP_ALLOWANCE: Duration = Duration::from_millis(1);

tokio::task_local! {
    pub(crate) static CURRENT: Incoming;
}

/// What the request being served brought along, handed to every guard that works for it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// use bowline::{Incoming, Spans};
///
/// let incoming = Incoming::nothing().within(300.ms());
/// incoming.scope(async { assert_eq!(bowline::deadline::remaining(), Some(300.ms())) }).await;
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    deadline: Deadline,
    trace: Option<TraceContext>,
    try_number: u32,
    priority: Option<Priority>,
}

impl Incoming {
    /// A request that brought nothing along.
    #[must_use]
    pub const fn nothing() -> Self {
        Self { deadline: Deadline::NEVER, trace: None, try_number: 0, priority: None }
    }

    /// What the surrounding [`scope`](Self::scope) is for; nothing outside of one.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.try_with(|incoming| *incoming).unwrap_or(Self::nothing())
    }

    /// With a deadline of `remaining` from now, unless there is an earlier one.
    #[must_use]
    pub fn within(mut self, remaining: Duration) -> Self {
        self.deadline = self.deadline.min(Deadline::after(clock::now(), remaining));
        self
    }

    /// As part of this trace, named as in a `traceparent` header; anything malformed says nothing.
    #[must_use]
    pub fn traced(mut self, traceparent: &str) -> Self {
        self.trace = TraceContext::parse(traceparent).or(self.trace);
        self
    }

    /// As the caller's try of this number: a guard spares a call that others already try again.
    #[must_use]
    pub const fn try_number(mut self, number: u32) -> Self {
        self.try_number = number;
        self
    }

    /// As one that matters this much: guards wait and shed by it, and say so to what they call.
    #[must_use]
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// What is left of its deadline; `None` if it has none.
    #[must_use]
    pub fn remaining(self) -> Option<Duration> {
        (!self.deadline.is_never()).then(|| self.deadline.remaining(clock::now()))
    }

    /// The `traceparent` it belongs to.
    #[must_use]
    pub fn traceparent(self) -> Option<String> {
        self.trace.map(|trace| trace.to_string())
    }

    /// Does `work` for this request: every guard in it takes this along.
    ///
    /// # Cancel safety
    /// As cancel safe as `work`.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    pub(crate) const fn trace(self) -> Option<TraceContext> {
        self.trace
    }

    pub(crate) const fn arrived_priority(self) -> Option<Priority> {
        self.priority
    }

    pub(crate) const fn arrived_try(self) -> u32 {
        self.try_number
    }
}

#[cfg(feature = "http")]
impl Incoming {
    /// What the headers of a request say: `x-envoy-expected-rq-timeout-ms` and `grpc-timeout`, the
    /// smaller of both, less a millisecond for the answer's way back; `traceparent`; `x-bowline-priority`; `x-bowline-try`, and
    /// `x-envoy-attempt-count` from the second try on (Istio's Envoys write 1 where nobody tries again).
    ///
    /// Take them only from a peer that may set a deadline for you: the mesh or gateway in front, not the
    /// open internet.
    #[must_use]
    pub fn of_headers(headers: &http::HeaderMap) -> Self {
        use crate::headers;
        use bowline_policy::deadline::{less_hop, parse_expected_ms, parse_grpc_timeout};
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let expected = text(headers::EXPECTED_MS).and_then(parse_expected_ms);
        let grpc = text(headers::GRPC_TIMEOUT).and_then(parse_grpc_timeout);
        let mut incoming = Self::nothing();
        for remaining in [expected, grpc].into_iter().flatten() {
            incoming = incoming.within(less_hop(remaining, HOP_ALLOWANCE));
        }
        if let Some(traceparent) = text(headers::TRACEPARENT) {
            incoming = incoming.traced(traceparent);
        }
        if let Some(priority) = text(headers::PRIORITY).and_then(Priority::from_word) {
            incoming = incoming.priority(priority);
        }
        let number = |name| text(name).and_then(|number| number.parse::<u32>().ok());
        let ours = number(headers::TRY).unwrap_or(0);
        let envoys = number(headers::ATTEMPT).filter(|number| 1 < *number).unwrap_or(0);
        incoming.try_number(ours.max(envoys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn outside_of_a_scope_nothing_is_brought_along() {
        assert_eq!(Incoming::current(), Incoming::nothing());
        let incoming = Incoming::nothing().within(Duration::from_millis(5)).try_number(2);
        incoming.scope(async { assert_eq!(Incoming::current(), incoming) }).await;
        assert_eq!(Incoming::current(), Incoming::nothing());
    }

    #[cfg(feature = "http")]
    #[tokio::test(start_paused = true)]
    async fn headers_say_the_smaller_of_two_deadlines_and_the_answer_needs_some_of_it() {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-envoy-expected-rq-timeout-ms", "300".parse().unwrap());
        headers.insert("grpc-timeout", "200m".parse().unwrap());
        headers.insert("x-bowline-try", "2".parse().unwrap());
        headers.insert(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap(),
        );
        let incoming = Incoming::of_headers(&headers);
        assert_eq!(incoming.remaining(), Some(Duration::from_millis(199)));
        headers.insert("x-bowline-priority", "high".parse().unwrap());
        assert_eq!(Incoming::of_headers(&headers).arrived_priority(), Some(Priority::High));
        assert_eq!(incoming.arrived_try(), 2);
        headers.insert("x-envoy-attempt-count", "3".parse().unwrap());
        assert_eq!(Incoming::of_headers(&headers).arrived_try(), 3);
        headers.remove("x-bowline-try");
        headers.insert("x-envoy-attempt-count", "1".parse().unwrap());
        assert_eq!(Incoming::of_headers(&headers).arrived_try(), 0, "Envoy counts where nobody tries again");
        assert!(incoming.traceparent().unwrap().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));

        headers.insert("grpc-timeout", "400u".parse().unwrap());
        assert_eq!(
            Incoming::of_headers(&headers).remaining(),
            Some(Duration::ZERO),
            "too late for an answer"
        );
    }
}
