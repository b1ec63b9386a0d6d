//! What a call of a guard becomes: a span for the call, and one for each try below it.
//!
//! A linked library tells what its guards decided, in the words of `explain`. Here they stand under the names that
//! the gateway's spans have, so that one query finds both.

use crate::names::{self, events};
use crate::spans::{count, millis, text};
use bowline_model::{TraceContext, WallTime};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use std::time::Duration;

/// A call of a guard, as its process told it.
#[derive(Clone, Debug, Default)]
pub struct GuardCall {
    /// The service whose guard it is.
    pub service: String,
    /// The guard's name: whom it calls.
    pub name: String,
    /// The trace.
    pub trace: u128,
    /// The call's span; those of its tries follow from it ([`TraceContext::of_try`]).
    pub span: u64,
    /// The span that caused it.
    pub parent: Option<u64>,
    /// When it began.
    pub at: WallTime,
    /// How long it took.
    pub took: Duration,
    /// What it did to the world, in a word.
    pub outcome: String,
    /// Why no further try was made.
    pub end: String,
    /// Tries sent.
    pub tries: u32,
    /// Where its values are written.
    pub values: String,
    /// Decisions that did not fit.
    pub untold: u32,
    /// What was decided, in order.
    pub decisions: Vec<GuardDecision>,
}

/// One decision of a guard's call.
#[derive(Clone, Debug, Default)]
pub struct GuardDecision {
    /// How long after the call began.
    pub at: Duration,
    /// Its kind: `try-ended`.
    pub word: String,
    /// The numbers that decided it, each with its unit in its name.
    pub numbers: Vec<(String, u64)>,
    /// The words that decided it.
    pub words: Vec<(String, String)>,
}

impl GuardDecision {
    fn number(&self, name: &str) -> Option<u64> {
        self.numbers.iter().find(|(own, _)| own == name).map(|(_, number)| *number)
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.words.iter().find(|(own, _)| own == name).map(|(_, word)| &**word)
    }

    /// `key` with the word called `name`.
    fn text(&self, key: &str, name: &str) -> Option<KeyValue> {
        self.word(name).map(|word| text(key, word))
    }

    /// `key` with the number called `name`.
    fn count(&self, key: &str, name: &str) -> Option<KeyValue> {
        self.number(name).map(|number| count(key, number))
    }

    /// `key` in milliseconds, of the number of microseconds called `name`.
    fn millis(&self, key: &str, name: &str) -> Option<KeyValue> {
        self.number(name).map(|micros| millis(key, Duration::from_micros(micros)))
    }
}

/// The spans of one call: its own, then its tries' in order.
#[must_use]
pub fn spans(call: &GuardCall) -> Vec<Span> {
    let mut told = Told { call, own: own(call), tries: Vec::new(), coming: Vec::new() };
    for decision in &call.decisions {
        told.tell(decision);
    }
    told.end()
}

/// The span of the call itself.
fn own(call: &GuardCall) -> Span {
    let mut span = span(call, call.span, call.parent);
    // What is sent are the tries; the call is what holds them together.
    span.kind = SpanKind::Internal.into();
    span.start_time_unix_nano = call.at.as_unix_nanos();
    span.end_time_unix_nano = call.at.as_unix_nanos() + nanos(call.took);
    span.attributes.extend([
        text(names::DESTINATION, &call.name),
        text(names::OUTCOME, &call.outcome),
        text(names::GIVE_UP, &call.end),
        count(names::TRIES, u64::from(call.tries)),
        text(names::VALUES, &call.values),
    ]);
    if 0 < call.untold {
        span.attributes.push(count(names::UNTOLD, u64::from(call.untold)));
    }
    span
}

/// A span of the call's trace.
fn span(call: &GuardCall, id: u64, parent: Option<u64>) -> Span {
    Span {
        trace_id: call.trace.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: parent.map_or_else(Vec::new, |parent| parent.to_be_bytes().to_vec()),
        name: call.name.clone(),
        flags: 1,
        ..Span::default()
    }
}

/// The spans of a call, while its decisions are read.
struct Told<'c> {
    call: &'c GuardCall,
    own: Span,
    tries: Vec<(u64, Span)>,
    /// What was decided about the try that comes next.
    coming: Vec<KeyValue>,
}

impl Told<'_> {
    fn tell(&mut self, decision: &GuardDecision) {
        let number = decision.number("try").unwrap_or_default();
        match &*decision.word {
            "deadline-set" => {
                self.own.attributes.extend(decision.millis(names::DEADLINE, "remaining_us"));
                self.own.attributes.extend(decision.text(names::DEADLINE_BY, "by"));
            }
            "breaker-passed" => self.coming.extend(
                [
                    decision.text(names::BREAKER_STATE, "state"),
                    decision.count(names::BREAKER_FAILURES, "failures"),
                    decision.count(names::BREAKER_CALLS, "calls"),
                ]
                .into_iter()
                .flatten(),
            ),
            "try-started" => self.begin_try(number, decision),
            "try-ended" => self.end_try(number, decision),
            "queued" => self.happened(
                events::QUEUED,
                decision,
                [decision.count(names::AHEAD, "ahead"), decision.millis(names::REMAINING, "wait_us"), None],
            ),
            "admitted" => {
                self.happened(
                    events::ADMITTED,
                    decision,
                    [decision.count(names::RUNNING, "running"), None, None],
                );
            }
            "breaker-refused" => self.happened(
                events::BREAKER_REFUSED,
                decision,
                [
                    decision.text(names::BREAKER_STATE, "state"),
                    decision.millis(names::RETRY_AFTER, "retry_after_us"),
                    None,
                ],
            ),
            "breaker-moved" => self.happened(
                events::BREAKER_MOVED,
                decision,
                [
                    decision.text(names::BREAKER_FROM, "from"),
                    decision.text(names::BREAKER_STATE, "to"),
                    decision.text(names::BREAKER_WHY, "why"),
                ],
            ),
            "fault-injected" => self.happened(
                events::FAULT,
                decision,
                [decision.text(names::FAULT, "fault"), decision.count(names::TRY, "try"), None],
            ),
            "retry-scheduled" => {
                let told = [
                    decision.text(names::RETRY_WHY, "why"),
                    decision.millis(names::RETRY_AFTER, "after_us"),
                    decision.count(names::TRY, "try"),
                ];
                self.coming.extend(told[..2].iter().flatten().cloned());
                self.happened(events::RETRY, decision, told);
            }
            "gave-up" => self.happened(
                events::GAVE_UP,
                decision,
                [
                    decision.text(names::GIVE_UP, "reason"),
                    decision.millis(names::REMAINING, "remaining_us"),
                    None,
                ],
            ),
            // A decision that is newer than this crate is still in `explain`.
            _ => (),
        }
    }

    fn begin_try(&mut self, number: u64, decision: &GuardDecision) {
        let call = self.call;
        let sent = TraceContext { trace: call.trace, parent: call.span, flags: 1 };
        let of = sent.of_try(u32::try_from(number).unwrap_or_default());
        let mut span = span(call, of.parent, Some(call.span));
        span.kind = SpanKind::Client.into();
        span.start_time_unix_nano = self.wall(decision.at);
        span.attributes.push(text(names::DESTINATION, &call.name));
        span.attributes.push(count(names::TRY, number));
        span.attributes.extend(std::mem::take(&mut self.coming));
        span.attributes.extend(decision.millis(names::TRY_WITHIN, "within_us"));
        self.tries.push((number, span));
    }

    fn end_try(&mut self, number: u64, decision: &GuardDecision) {
        let at = self.wall(decision.at);
        // A fault may end a try that never began: it is an event of the call.
        let Some((_, span)) = self.tries.iter_mut().find(|(own, _)| *own == number) else { return };
        span.end_time_unix_nano = at;
        span.attributes.extend(decision.text(names::OUTCOME, "outcome"));
        span.attributes.extend(decision.text(names::END, "end"));
        let end = decision.word("end").unwrap_or_default();
        let (is_error, kind) = match (decision.number("status"), decision.number("code")) {
            (Some(status), _) => {
                span.attributes.push(count(names::STATUS, status));
                (400 <= status, status.to_string())
            }
            (None, Some(code)) => {
                let name = usize::try_from(code).ok().and_then(|code| names::GRPC_STATUSES.get(code));
                let name = name.copied().unwrap_or("UNKNOWN");
                span.attributes.push(text(names::RPC_SYSTEM, names::GRPC));
                span.attributes.push(text(names::RPC_STATUS, name));
                (code != 0, name.to_owned())
            }
            (None, None) => (end != "returned", end.to_owned()),
        };
        if is_error {
            span.attributes.push(text(names::ERROR_TYPE, &kind));
            span.status = Some(Status { message: String::new(), code: StatusCode::Error.into() });
        }
    }

    fn happened(&mut self, name: &str, decision: &GuardDecision, told: [Option<KeyValue>; 3]) {
        self.own.events.push(Event {
            time_unix_nano: self.wall(decision.at),
            name: name.to_owned(),
            attributes: told.into_iter().flatten().collect(),
            dropped_attributes_count: 0,
        });
    }

    fn wall(&self, at: Duration) -> u64 {
        self.call.at.as_unix_nanos() + nanos(at)
    }

    fn end(mut self) -> Vec<Span> {
        let end = self.own.end_time_unix_nano;
        // A 404 is an answer; what is unknown or refused is none.
        if matches!(&*self.call.outcome, "refused" | "unknown") {
            self.own.attributes.push(text(names::ERROR_TYPE, &self.call.end));
            self.own.status = Some(Status { message: String::new(), code: StatusCode::Error.into() });
        }
        let mut spans = vec![self.own];
        for (_, mut span) in self.tries {
            if span.end_time_unix_nano == 0 {
                span.end_time_unix_nano = end.max(span.start_time_unix_nano);
            }
            spans.push(span);
        }
        spans
    }
}

fn nanos(span: Duration) -> u64 {
    bowline_model::time::nanos(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spans::attribute_of;

    fn decision(at: u64, word: &str, numbers: &[(&str, u64)], words: &[(&str, &str)]) -> GuardDecision {
        GuardDecision {
            at: Duration::from_millis(at),
            word: word.to_owned(),
            numbers: numbers.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect(),
            words: words.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned())).collect(),
        }
    }

    fn call() -> GuardCall {
        GuardCall {
            service: "orders".into(),
            name: "payment.authorize".into(),
            trace: 0xaa,
            span: 0xbb,
            parent: Some(0xcc),
            at: WallTime::from_unix_nanos(1_000_000_000),
            took: Duration::from_millis(140),
            outcome: "succeeded".into(),
            end: "done".into(),
            tries: 2,
            values: "design/policies.yaml:8".into(),
            untold: 0,
            decisions: vec![
                decision(0, "deadline-set", &[("remaining_us", 300_000)], &[("by", "policy")]),
                decision(0, "breaker-passed", &[("failures", 1), ("calls", 9)], &[("state", "closed")]),
                decision(0, "try-started", &[("try", 1), ("within_us", 120_000)], &[]),
                decision(120, "try-ended", &[("try", 1)], &[("outcome", "unknown"), ("end", "timed out")]),
                decision(
                    120,
                    "retry-scheduled",
                    &[("try", 2), ("after_us", 9_500)],
                    &[("why", "idempotent")],
                ),
                decision(130, "try-started", &[("try", 2)], &[]),
                decision(
                    140,
                    "try-ended",
                    &[("try", 2), ("code", 0)],
                    &[("outcome", "succeeded"), ("end", "answered grpc")],
                ),
                decision(140, "gave-up", &[("remaining_us", 160_000)], &[("reason", "done")]),
            ],
        }
    }

    fn value(span: &Span, key: &str) -> Option<String> {
        attribute_of(span, key)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_call_is_a_span_and_each_try_a_client_span_below_it() {
        let spans = spans(&call());
        let [own, first, second] = &spans[..] else { panic!("{spans:#?}") };
        assert_eq!((own.kind(), own.name.as_str()), (SpanKind::Internal, "payment.authorize"));
        assert_eq!(own.parent_span_id, 0xcc_u64.to_be_bytes());
        assert_eq!(own.end_time_unix_nano - own.start_time_unix_nano, 140_000_000);
        assert_eq!(
            (value(own, names::DEADLINE), value(own, names::DEADLINE_BY)),
            (some("300"), some("policy"))
        );
        assert_eq!(own.status, None, "the first try failed, the call did not");
        for (number, span) in (1..).zip([first, second]) {
            assert_eq!((span.kind(), &span.parent_span_id), (SpanKind::Client, &own.span_id));
            let sent = TraceContext { trace: 0xaa, parent: 0xbb, flags: 1 }.of_try(number).parent;
            assert_eq!(span.span_id, sent.to_be_bytes(), "what was sent as the parent of try {number}");
        }
        assert_eq!(value(first, names::BREAKER_FAILURES), some("1"));
        assert_eq!(value(first, names::ERROR_TYPE), some("timed out"));
        assert_eq!(
            (value(second, names::RETRY_WHY), value(second, names::RPC_STATUS)),
            (some("idempotent"), some("OK"))
        );
        assert_eq!(second.status, None);
        let happened: Vec<_> = own.events.iter().map(|event| &*event.name).collect();
        assert_eq!(happened, [events::RETRY, events::GAVE_UP]);
    }

    #[test]
    fn a_call_without_an_answer_to_act_on_is_an_error_and_a_no_is_none() {
        for (outcome, is_error) in [
            ("succeeded", false),
            ("failed", false),
            ("pending", false),
            ("refused", true),
            ("unknown", true),
        ] {
            let own = spans(&GuardCall { outcome: outcome.into(), ..call() }).remove(0);
            assert_eq!(own.status.is_some(), is_error, "{outcome}");
        }
    }

    #[test]
    fn a_try_that_nobody_saw_end_ends_with_its_call() {
        let mut call = call();
        call.decisions.truncate(3);
        let spans = spans(&call);
        assert_eq!(spans[1].end_time_unix_nano, spans[0].end_time_unix_nano);
    }

    #[test]
    fn a_call_that_nothing_caused_begins_its_trace() {
        assert!(spans(&GuardCall { parent: None, ..call() })[0].parent_span_id.is_empty());
    }
}
