//! What the request being served brought along: its deadline, its trace, its try number.

use crate::clock;
use bowline_model::{Deadline, Priority, TraceContext};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// What is taken off the time that a caller leaves, so that the answer reaches it within: a round trip
/// inside one data centre. The mesh and the gateway take the same.
#[cfg(feature = "http")]
const HOP_ALLOWANCE: Duration = Duration::from_millis(1);

/// The longest `tracestate` that goes on: what W3C Trace Context asks everybody to hand on (level 1, 3.3.1.5). A
/// longer one ends here.
const STATE_BYTES_MAX: usize = 512;

/// The most members of a `tracestate` (level 1, 3.3.1.1).
const STATE_MEMBERS_MAX: usize = 32;

/// The longest `baggage` that goes on: what W3C Baggage asks everybody to hand on (3.3.2). A longer one ends here.
const BAGGAGE_BYTES_MAX: usize = 8_192;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    deadline: Deadline,
    trace: Option<TraceContext>,
    carried: Option<Arc<Carried>>,
    try_number: u32,
    priority: Option<Priority>,
}

/// What belongs to a trace and goes on as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) state: Option<String>,
    pub(crate) baggage: Option<String>,
}

impl Incoming {
    /// A request that brought nothing along.
    #[must_use]
    pub const fn nothing() -> Self {
        Self { deadline: Deadline::NEVER, trace: None, carried: None, try_number: 0, priority: None }
    }

    /// What the surrounding [`scope`](Self::scope) is for; nothing outside of one.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.try_with(Self::clone).unwrap_or(Self::nothing())
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

    /// With the trace's `tracestate`, which goes on as it is: up to 512 bytes and 32 members, else not at all.
    #[must_use]
    pub fn state(mut self, tracestate: &str) -> Self {
        let members = tracestate.split(',').filter(|member| !member.trim().is_empty()).count();
        if (1..=STATE_MEMBERS_MAX).contains(&members) && tracestate.len() <= STATE_BYTES_MAX {
            self.carry(|carried| carried.state = Some(tracestate.to_owned()));
        }
        self
    }

    /// With `baggage`, which goes on as it is: up to 8,192 bytes, else not at all.
    #[must_use]
    pub fn baggage(mut self, baggage: &str) -> Self {
        if !baggage.is_empty() && baggage.len() <= BAGGAGE_BYTES_MAX {
            self.carry(|carried| carried.baggage = Some(baggage.to_owned()));
        }
        self
    }

    /// The same without its deadline: for what is done after the answer.
    #[must_use]
    pub fn without_deadline(self) -> Self {
        Self { deadline: Deadline::NEVER, ..self }
    }

    /// As the caller's try of this number: a guard spares a call that others already try again.
    #[must_use]
    pub const fn try_number(mut self, number: u32) -> Self {
        self.try_number = number;
        self
    }

    /// As one that matters this much: guards wait and shed by it, and say so to what they call.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// What is left of its deadline; `None` if it has none.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        (!self.deadline.is_never()).then(|| self.deadline.remaining(clock::now()))
    }

    /// The `traceparent` it belongs to.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        self.trace.map(|trace| trace.to_string())
    }

    /// Does `work` for this request: every guard in it takes this along. Inside another scope the earlier
    /// deadline of the two holds: a deadline never grows.
    ///
    /// # Cancel safety
    /// As cancel safe as `work`.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self.bounded(), work).await
    }

    /// Under the deadline of the scope around, too.
    pub(crate) fn bounded(mut self) -> Self {
        let around = CURRENT.try_with(|around| around.deadline).unwrap_or(Deadline::NEVER);
        self.deadline = self.deadline.min(around);
        self
    }

    pub(crate) const fn trace(&self) -> Option<TraceContext> {
        self.trace
    }

    pub(crate) const fn arrived_priority(&self) -> Option<Priority> {
        self.priority
    }

    pub(crate) const fn carried(&self) -> Option<&Arc<Carried>> {
        self.carried.as_ref()
    }

    pub(crate) const fn arrived_try(&self) -> u32 {
        self.try_number
    }

    fn carry(&mut self, change: impl FnOnce(&mut Carried)) {
        change(Arc::make_mut(self.carried.get_or_insert_default()));
    }
}

#[cfg(feature = "http")]
impl Incoming {
    /// What the headers of a request say: `x-envoy-expected-rq-timeout-ms` and `grpc-timeout`, the
    /// smaller of both, less a millisecond for the answer's way back; `traceparent`, unless it comes twice or is
    /// malformed, and with it `tracestate`; `baggage`; `x-bowline-priority`; `x-bowline-try`, and
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
        if headers.get_all(headers::TRACEPARENT).iter().nth(1).is_none()
            && let Some(traceparent) = text(headers::TRACEPARENT)
        {
            incoming = incoming.traced(traceparent);
        }
        // The state of a trace that begins anew here would be somebody else's.
        if incoming.trace.is_some()
            && let Some(state) = listed(headers, headers::TRACESTATE)
        {
            incoming = incoming.state(&state);
        }
        if let Some(baggage) = listed(headers, headers::BAGGAGE) {
            incoming = incoming.baggage(&baggage);
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

/// A header that is a list, however many lines it came in.
#[cfg(feature = "http")]
fn listed(headers: &http::HeaderMap, name: &str) -> Option<String> {
    let values: Option<Vec<&str>> = headers.get_all(name).iter().map(|value| value.to_str().ok()).collect();
    values.filter(|values| !values.is_empty()).map(|values| values.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn outside_of_a_scope_nothing_is_brought_along() {
        assert_eq!(Incoming::current(), Incoming::nothing());
        let incoming = Incoming::nothing().within(Duration::from_millis(5)).try_number(2);
        let same = incoming.clone();
        incoming.scope(async move { assert_eq!(Incoming::current(), same) }).await;
        assert_eq!(Incoming::current(), Incoming::nothing());
    }

    #[tokio::test(start_paused = true)]
    async fn a_scope_inside_another_never_has_more_time() {
        let ms = Duration::from_millis;
        let inner = |within: Option<u64>| {
            let nothing = Incoming::nothing();
            let incoming = within.map_or(nothing.clone(), |within| nothing.within(ms(within)));
            incoming.scope(async { Incoming::current().remaining() })
        };
        let outer = Incoming::nothing().within(ms(100));
        outer
            .scope(async {
                assert_eq!(inner(Some(10_000)).await, Some(ms(100)));
                assert_eq!(inner(None).await, Some(ms(100)), "nothing is no more than a hundred");
                assert_eq!(inner(Some(20)).await, Some(ms(20)));
            })
            .await;
    }

    #[cfg(feature = "http")]
    #[test]
    fn a_trace_comes_with_its_state_and_a_broken_one_without() {
        const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let read = |fields: &[(&'static str, &str)]| {
            let mut headers = http::HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, value.parse().unwrap());
            }
            let incoming = Incoming::of_headers(&headers);
            let carried = incoming.carried().map(|carried| Carried::clone(carried)).unwrap_or_default();
            (incoming.traceparent().is_some(), carried.state, carried.baggage)
        };
        let some = |text: &str| Some(text.to_owned());
        let state = [("tracestate", "a=1"), ("tracestate", "b=2"), ("baggage", "k=v")];
        let with = |parents: &[&'static str]| {
            let parents = parents.iter().map(|parent| ("traceparent", *parent));
            read(&parents.chain(state).collect::<Vec<_>>())
        };
        assert_eq!(with(&[GIVEN]), (true, some("a=1,b=2"), some("k=v")));
        assert_eq!(with(&[]), (false, None, some("k=v")), "a state belongs to its trace");
        assert_eq!(with(&["00-no"]), (false, None, some("k=v")));
        assert_eq!(with(&[GIVEN, GIVEN]), (false, None, some("k=v")), "which of the two?");

        let members = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        let long = |state: &str| read(&[("traceparent", GIVEN), ("tracestate", state)]).1;
        assert_eq!((long(&members(32)), long(&members(33))), (Some(members(32)), None));
        assert_eq!(long(&format!("a={}", "x".repeat(511))), None);
        assert_eq!(read(&[("baggage", &"x".repeat(8_193))]).2, None);
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
