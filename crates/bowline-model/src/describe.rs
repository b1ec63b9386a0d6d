//! Decisions in plain words: the lines that `explain` prints, the same in the proxy and in the library.
//!
//! A line names what was decided and the number that decided it. Nothing is allocated: a
//! [`Description`] is written straight into whatever formats it.
//!
//! ```
//! use bowline_model::decision::{Decision, GiveUp};
//! use bowline_model::describe::describe;
//! use std::time::Duration;
//!
//! let gave_up = Decision::GaveUp { reason: GiveUp::DeadlineTooClose, remaining: Duration::from_millis(41) };
//! assert_eq!(describe(&gave_up).to_string(), "no retry: deadline too close (41 ms left)");
//! ```

use crate::decision::{DeadlineSource, Decision, FaultKind, GiveUp, RetryWhy, TryEnd};
use crate::priority::Priority;
use std::fmt;
use std::time::Duration;

/// `decision` as one plain line, without its time.
#[must_use]
pub const fn describe(decision: &Decision) -> Description<'_> {
    Description { decision, host: None }
}

/// A decision that can be written as one plain line; see [`describe`].
#[derive(Clone, Copy, Debug)]
pub struct Description<'a> {
    decision: &'a Decision,
    host: Option<&'a str>,
}

impl<'a> Description<'a> {
    /// Names the endpoint that a decision is about, which a decision knows by its index alone.
    #[must_use]
    pub const fn to_host(self, host: &'a str) -> Self {
        Self { host: Some(host), ..self }
    }

    /// The endpoint by its name, else by its index.
    fn named(self, index: u16) -> impl fmt::Display + 'a {
        struct Named<'a>(Option<&'a str>, u16);
        impl fmt::Display for Named<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {
                    Some(host) => f.write_str(host),
                    None => write!(f, "host {}", self.1),
                }
            }
        }
        Named(self.host, index)
    }
}

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self.decision {
            Decision::TokenRefused { fault } => write!(f, "not let through: {fault}"),
            Decision::AccessGranted { rule } => write!(f, "let through by access rule {rule}"),
            Decision::AccessDenied { why } => write!(f, "not let through: {why}"),
            Decision::DeadlineSet { by: DeadlineSource::Nobody, .. } => {
                f.write_str("no deadline: nobody set one")
            }
            Decision::DeadlineSet { remaining, by } => write!(f, "deadline {} ({by})", span(remaining)),
            Decision::Queued { ahead, wait, priority } => {
                write!(f, "waits for a place: {ahead} ahead, {} at most", span(wait))?;
                match priority {
                    Priority::Normal => Ok(()),
                    Priority::Low | Priority::High => write!(f, ", priority {priority}"),
                }
            }
            Decision::Admitted { running } => write!(f, "admitted: {running} running"),
            Decision::Doomed { remaining, median } => {
                write!(f, "shed: {} left, and half of the tries take {}", span(remaining), span(median))
            }
            Decision::Throttled { requests, accepts } => {
                write!(f, "rejected here: {accepts} of the last {requests} were accepted")
            }
            Decision::BreakerPassed { state, failures, calls } => {
                write!(f, "breaker {state}: {failures} of {calls} failed")
            }
            Decision::BreakerRefused { state, retry_after } => {
                write!(f, "breaker {state}: refuses")?;
                if !retry_after.is_zero() {
                    write!(f, " for another {}", span(retry_after))?;
                }
                Ok(())
            }
            Decision::BreakerMoved { from, to, why } => write!(f, "breaker {from} -> {to}: {why}"),
            Decision::FaultInjected { number, fault } => {
                write!(f, "fault put into try {number}: {fault}")?;
                match fault {
                    FaultKind::Delay(delay) => write!(f, " of {}", span(delay)),
                    FaultKind::Abort(status) => write!(f, " with {status}"),
                    FaultKind::Drop => Ok(()),
                }
            }
            Decision::HostPicked { host, why, pending, expected, .. } => {
                write!(f, "picked {}: {why} ({pending} under way", self.named(host))?;
                if !expected.is_zero() {
                    write!(f, ", {} expected", span(expected))?;
                }
                f.write_str(")")
            }
            Decision::HostEjected { host, why, span: out } => {
                write!(f, "{} is left out for {}: {why}", self.named(host), span(out))
            }
            Decision::HostSpared { host, why, because } => {
                write!(f, "{} stays in spite of {why}: {because}", self.named(host))
            }
            Decision::TryStarted { number, within, .. } => {
                write!(f, "try {number}")?;
                if let Some(host) = self.host {
                    write!(f, " -> {host}")?;
                }
                if is_endless(within) { Ok(()) } else { write!(f, ", {} at most", span(within)) }
            }
            Decision::TryEnded { number, outcome, end, took } => {
                write!(f, "try {number} {} after {}: outcome {outcome}", seen(end), span(took))
            }
            Decision::RetryScheduled { number, after, why } => {
                write!(f, "try {number} follows in {}: ", span(after))?;
                match why {
                    RetryWhy::Refused => f.write_str("nothing happened yet"),
                    RetryWhy::Idempotent => f.write_str("safe to repeat"),
                    RetryWhy::RetryOn(on) => write!(f, "retryOn {on}"),
                }
            }
            Decision::HedgePlanned { after } => write!(f, "hedged in {} if not answered", span(after)),
            Decision::HedgeSent { number, waited } => {
                write!(f, "try {number} is a hedge: no answer for {}", span(waited))
            }
            Decision::HedgeWithheld { why } => write!(f, "no hedge: {why}"),
            Decision::GaveUp { reason, remaining } => gave_up(f, reason, remaining),
        }
    }
}

/// The kind of `decision`, one word: what a filter or a program looks for.
#[must_use]
pub const fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::TokenRefused { .. } => "token-refused",
        Decision::AccessGranted { .. } => "access-granted",
        Decision::AccessDenied { .. } => "access-denied",
        Decision::DeadlineSet { .. } => "deadline-set",
        Decision::Queued { .. } => "queued",
        Decision::Admitted { .. } => "admitted",
        Decision::Doomed { .. } => "doomed",
        Decision::Throttled { .. } => "throttled",
        Decision::BreakerPassed { .. } => "breaker-passed",
        Decision::BreakerRefused { .. } => "breaker-refused",
        Decision::BreakerMoved { .. } => "breaker-moved",
        Decision::FaultInjected { .. } => "fault-injected",
        Decision::HostPicked { .. } => "host-picked",
        Decision::HostEjected { .. } => "host-ejected",
        Decision::HostSpared { .. } => "host-spared",
        Decision::TryStarted { .. } => "try-started",
        Decision::TryEnded { .. } => "try-ended",
        Decision::RetryScheduled { .. } => "retry-scheduled",
        Decision::HedgePlanned { .. } => "hedge-planned",
        Decision::HedgeSent { .. } => "hedge-sent",
        Decision::HedgeWithheld { .. } => "hedge-withheld",
        Decision::GaveUp { .. } => "gave-up",
    }
}

/// `time` for people: the largest unit that needs no leading zero, no more digits than help.
///
/// Rounds down, so that it never promises time that is not there.
///
/// ```
/// use bowline_model::describe::span;
/// use std::time::Duration;
///
/// assert_eq!(span(Duration::from_micros(350)).to_string(), "350 us");
/// assert_eq!(span(Duration::from_micros(2_960)).to_string(), "2.9 ms");
/// assert_eq!(span(Duration::from_micros(41_900)).to_string(), "41 ms");
/// assert_eq!(span(Duration::from_millis(2_995)).to_string(), "2.995 s");
/// assert_eq!(span(Duration::from_secs(720)).to_string(), "12 min");
/// ```
#[must_use]
pub const fn span(time: Duration) -> Span {
    Span(time)
}

/// A span of time that is written for people; see [`span`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let millis = self.0.as_millis();
        let seconds = self.0.as_secs();
        let tenth = micros / 100 % 10;
        match micros {
            0 => f.write_str("0 ms"),
            1..1_000 => write!(f, "{micros} us"),
            // Below ten milliseconds a tenth still tells something.
            1_000..10_000 if tenth != 0 => write!(f, "{millis}.{tenth} ms"),
            1_000..1_000_000 => write!(f, "{millis} ms"),
            // Below ten seconds milliseconds still tell something, as in a sum of back-offs.
            1_000_000..10_000_000 => match millis % 1_000 {
                0 => write!(f, "{seconds} s"),
                rest if rest.is_multiple_of(100) => write!(f, "{seconds}.{} s", rest / 100),
                rest if rest.is_multiple_of(10) => write!(f, "{seconds}.{:02} s", rest / 10),
                rest => write!(f, "{seconds}.{rest:03} s"),
            },
            // Two minutes is where people stop counting seconds.
            10_000_000..120_000_000 => write!(f, "{seconds} s"),
            _ if seconds < 2 * 3_600 => write!(f, "{} min", seconds / 60),
            _ if seconds < 2 * 86_400 => write!(f, "{} h", seconds / 3_600),
            _ => write!(f, "{} d", seconds / 86_400),
        }
    }
}

/// What was seen of a try, as a verb.
///
/// ```
/// use bowline_model::decision::TryEnd;
/// use bowline_model::describe::seen;
///
/// assert_eq!(seen(TryEnd::Answered { status: 503 }).to_string(), "answered 503");
/// ```
#[must_use]
pub const fn seen(end: TryEnd) -> Seen {
    Seen(end)
}

/// What was seen of a try, written for people; see [`seen`].
#[derive(Clone, Copy, Debug)]
pub struct Seen(TryEnd);

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            TryEnd::Answered { status } => write!(f, "answered {status}"),
            TryEnd::AnsweredGrpc { code, trailers_only } => {
                write!(f, "answered gRPC {code} {}", grpc_word(code))?;
                f.write_str(if trailers_only { " (trailers only)" } else { "" })
            }
            TryEnd::Returned => f.write_str("returned"),
            TryEnd::Raised => f.write_str("failed"),
            TryEnd::ConnectFailed => f.write_str("could not connect"),
            TryEnd::StreamRefused => f.write_str("was refused its stream"),
            TryEnd::ResetBeforeRequest => f.write_str("was cut off before the request was sent"),
            TryEnd::Reset => f.write_str("was cut off"),
            TryEnd::Malformed => f.write_str("got a malformed answer"),
            TryEnd::TimedOut => f.write_str("timed out"),
            TryEnd::DeadlineExceeded => f.write_str("ran into the deadline"),
            TryEnd::Cancelled => f.write_str("was cancelled"),
            TryEnd::Outrun => f.write_str("was outrun and cancelled"),
        }
    }
}

/// How a call ends, with the number that decided it.
fn gave_up(f: &mut fmt::Formatter<'_>, reason: GiveUp, remaining: Duration) -> fmt::Result {
    match reason {
        GiveUp::Done => f.write_str("done"),
        GiveUp::DeadlineTooClose => write!(f, "no retry: {reason} ({} left)", span(remaining)),
        GiveUp::NotRetryable
        | GiveUp::NotSafe
        | GiveUp::NotNamed
        | GiveUp::NoAttempts
        | GiveUp::TriesExhausted
        | GiveUp::BudgetExhausted
        | GiveUp::BodyTooLarge
        | GiveUp::Committed
        | GiveUp::RetriedElsewhere
        | GiveUp::ExhaustedElsewhere => write!(f, "no retry: {reason}"),
        GiveUp::BreakerOpen
        | GiveUp::BulkheadFull
        | GiveUp::QueueTimedOut
        | GiveUp::RateLimited
        | GiveUp::Throttled
        | GiveUp::Doomed
        | GiveUp::Displaced
        | GiveUp::NoHost => write!(f, "no try: {reason}"),
        GiveUp::DeadlineExceeded | GiveUp::Cancelled => write!(f, "given up: {reason}"),
    }
}

/// Whether a time is so far away that nobody meant it.
const fn is_endless(within: Duration) -> bool {
    // A year: no try is given that long by anybody who thought of a number.
    within.as_secs() > 365 * 86_400
}

/// gRPC's word for its code (grpc/doc/statuscodes.md).
#[must_use]
pub const fn grpc_word(code: u8) -> &'static str {
    match code {
        0 => "OK",
        1 => "CANCELLED",
        2 => "UNKNOWN",
        3 => "INVALID_ARGUMENT",
        4 => "DEADLINE_EXCEEDED",
        5 => "NOT_FOUND",
        6 => "ALREADY_EXISTS",
        7 => "PERMISSION_DENIED",
        8 => "RESOURCE_EXHAUSTED",
        9 => "FAILED_PRECONDITION",
        10 => "ABORTED",
        11 => "OUT_OF_RANGE",
        12 => "UNIMPLEMENTED",
        13 => "INTERNAL",
        14 => "UNAVAILABLE",
        15 => "DATA_LOSS",
        16 => "UNAUTHENTICATED",
        _ => "(no gRPC code)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{BreakerMove, BreakerState, EjectWhy, PickWhy, RetryOn, SpareWhy, WithheldWhy};
    use crate::outcome::Outcome;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn check(decision: Decision, expected: &str) {
        assert_eq!(describe(&decision).to_string(), expected);
    }

    #[test]
    fn a_deadline_says_who_set_it() {
        check(
            Decision::DeadlineSet { remaining: ms(300), by: DeadlineSource::Policy },
            "deadline 300 ms (policy)",
        );
        check(
            Decision::DeadlineSet { remaining: Duration::MAX, by: DeadlineSource::Nobody },
            "no deadline: nobody set one",
        );
    }

    #[test]
    fn waiting_for_a_place_says_how_many_are_ahead() {
        let queued = |priority| Decision::Queued { ahead: 3, wait: ms(20), priority };
        check(queued(Priority::Normal), "waits for a place: 3 ahead, 20 ms at most");
        check(queued(Priority::Low), "waits for a place: 3 ahead, 20 ms at most, priority low");
        check(Decision::Admitted { running: 5 }, "admitted: 5 running");
    }

    #[test]
    fn a_breaker_says_its_state_and_its_count() {
        let state = BreakerState::Closed;
        check(Decision::BreakerPassed { state, failures: 3, calls: 20 }, "breaker closed: 3 of 20 failed");
        let state = BreakerState::Open;
        check(
            Decision::BreakerRefused { state, retry_after: ms(4_200) },
            "breaker open: refuses for another 4.2 s",
        );
        let state = BreakerState::HalfOpen;
        check(Decision::BreakerRefused { state, retry_after: Duration::ZERO }, "breaker half-open: refuses");
        check(
            Decision::BreakerMoved {
                from: BreakerState::Closed,
                to: BreakerState::Open,
                why: BreakerMove::FailureRatio,
            },
            "breaker closed -> open: failure ratio",
        );
    }

    #[test]
    fn a_hedge_says_how_long_there_was_no_answer() {
        check(Decision::HedgePlanned { after: ms(42) }, "hedged in 42 ms if not answered");
        check(Decision::HedgeSent { number: 2, waited: ms(42) }, "try 2 is a hedge: no answer for 42 ms");
        check(Decision::HedgeWithheld { why: WithheldWhy::ShareReached }, "no hedge: share reached");
        check(
            Decision::TryEnded { number: 1, outcome: Outcome::Unknown, end: TryEnd::Outrun, took: ms(60) },
            "try 1 was outrun and cancelled after 60 ms: outcome unknown",
        );
    }

    #[test]
    fn a_fault_says_that_it_was_put_there() {
        let number = 2;
        check(
            Decision::FaultInjected { number, fault: FaultKind::Delay(ms(250)) },
            "fault put into try 2: delay of 250 ms",
        );
        check(
            Decision::FaultInjected { number, fault: FaultKind::Abort(503) },
            "fault put into try 2: abort with 503",
        );
        check(Decision::FaultInjected { number, fault: FaultKind::Drop }, "fault put into try 2: drop");
    }

    #[test]
    fn a_try_says_where_it_goes_and_how_it_ended() {
        let started = Decision::TryStarted { number: 1, host: 0, within: ms(80) };
        assert_eq!(
            describe(&started).to_host("inventory 127.0.0.1:7103").to_string(),
            "try 1 -> inventory 127.0.0.1:7103, 80 ms at most"
        );
        check(Decision::TryStarted { number: 1, host: 0, within: Duration::MAX }, "try 1");
        check(
            Decision::TryEnded { number: 1, outcome: Outcome::Unknown, end: TryEnd::TimedOut, took: ms(80) },
            "try 1 timed out after 80 ms: outcome unknown",
        );
        check(
            Decision::TryEnded {
                number: 2,
                outcome: Outcome::Unknown,
                end: TryEnd::AnsweredGrpc { code: 14, trailers_only: true },
                took: ms(3),
            },
            "try 2 answered gRPC 14 UNAVAILABLE (trailers only) after 3 ms: outcome unknown",
        );
    }

    #[test]
    fn a_host_says_why_it_was_picked_or_left_out() {
        let picked = |pending, expected| Decision::HostPicked {
            number: 1,
            host: 2,
            why: PickWhy::LowerCost,
            pending,
            expected,
        };
        check(picked(3, ms(12)), "picked host 2: lower cost of two (3 under way, 12 ms expected)");
        assert_eq!(
            describe(&picked(0, Duration::ZERO)).to_host("stock 127.0.0.1:7103").to_string(),
            "picked stock 127.0.0.1:7103: lower cost of two (0 under way)"
        );
        let why = EjectWhy::Consecutive5xx;
        check(
            Decision::HostEjected { host: 2, why, span: ms(30_000) },
            "host 2 is left out for 30 s: consecutive 5xx",
        );
        check(
            Decision::HostSpared { host: 2, why, because: SpareWhy::LastOne },
            "host 2 stays in spite of consecutive 5xx: last one in",
        );
    }

    #[test]
    fn a_retry_says_why_it_is_allowed() {
        let (number, after) = (2, ms(25));
        check(
            Decision::RetryScheduled { number, after, why: RetryWhy::Refused },
            "try 2 follows in 25 ms: nothing happened yet",
        );
        check(
            Decision::RetryScheduled { number, after, why: RetryWhy::Idempotent },
            "try 2 follows in 25 ms: safe to repeat",
        );
        check(
            Decision::RetryScheduled { number, after, why: RetryWhy::RetryOn(RetryOn::FiveXx) },
            "try 2 follows in 25 ms: retryOn 5xx",
        );
    }

    #[test]
    fn giving_up_says_whether_a_try_was_made() {
        let remaining = ms(41);
        let end = |reason| Decision::GaveUp { reason, remaining };
        check(end(GiveUp::Done), "done");
        check(end(GiveUp::NotSafe), "no retry: not safe to repeat");
        check(end(GiveUp::DeadlineTooClose), "no retry: deadline too close (41 ms left)");
        check(end(GiveUp::BreakerOpen), "no try: breaker open");
        check(end(GiveUp::DeadlineExceeded), "given up: deadline exceeded");
    }

    #[test]
    fn spans_never_promise_more_than_there_is() {
        for (span_of, expected) in [
            (Duration::ZERO, "0 ms"),
            (Duration::from_nanos(999), "0 ms"),
            (Duration::from_micros(999), "999 us"),
            (ms(1), "1 ms"),
            (Duration::from_micros(1_040), "1 ms"),
            (Duration::from_micros(9_999), "9.9 ms"),
            (Duration::from_micros(999_999), "999 ms"),
            (ms(1_000), "1 s"),
            (ms(1_500), "1.5 s"),
            (ms(1_250), "1.25 s"),
            (ms(10_900), "10 s"),
            (Duration::from_secs(119), "119 s"),
            (Duration::from_secs(120), "2 min"),
            (Duration::from_secs(7_200), "2 h"),
            (Duration::from_secs(2 * 86_400), "2 d"),
        ] {
            assert_eq!(span(span_of).to_string(), expected, "{span_of:?}");
        }
    }
}
