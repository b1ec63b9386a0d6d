//! Everything a call decides, each decision with a named reason.
//!
//! The reason's word is the metric label, the trace attribute and the text of `explain`: whoever
//! reads a dashboard, a trace or a terminal reads the same word.

pub use crate::access::{DeniedWhy, TokenFault};
use crate::outcome::Outcome;
use crate::priority::Priority;
use crate::time::Instant;
use std::fmt;
use std::time::Duration;

/// One decision of a call, small and without heap, so that recording it costs a copy.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Decision {
    /// The caller's token is not believed.
    TokenRefused {
        /// What is wrong with it.
        fault: TokenFault,
    },
    /// The caller is let through.
    AccessGranted {
        /// By this rule of the design, an index.
        rule: u16,
    },
    /// The caller is not let through.
    AccessDenied {
        /// Why.
        why: DeniedWhy,
    },
    /// The call has this long, and this is who said so.
    DeadlineSet {
        /// What is left when the call starts.
        remaining: Duration,
        /// Whose word was the smallest.
        by: DeadlineSource,
    },
    /// The call waits for a place in the bulkhead.
    Queued {
        /// Calls that wait before it.
        ahead: u32,
        /// How long it may wait.
        wait: Duration,
        /// Who goes first, and who is shed first.
        priority: Priority,
    },
    /// A place in the bulkhead is taken.
    Admitted {
        /// Calls under way, this one included.
        running: u32,
    },
    /// The call has less time left than half of the tries take: it is shed before anything is done for it.
    Doomed {
        /// What is left of its deadline.
        remaining: Duration,
        /// Half of the tries take longer than this.
        median: Duration,
    },
    /// The callee accepts too little of what it is asked: the try is rejected here, by chance.
    Throttled {
        /// Tries in the window, and calls rejected here.
        requests: u32,
        /// Tries that the callee accepted.
        accepts: u32,
    },
    /// The breaker lets the try through.
    BreakerPassed {
        /// The state that let it through.
        state: BreakerState,
        /// Failures in the window.
        failures: u32,
        /// Calls in the window.
        calls: u32,
    },
    /// The breaker refuses the try.
    BreakerRefused {
        /// Open, or half-open with all its probes out.
        state: BreakerState,
        /// When it may let a probe through, from now.
        retry_after: Duration,
    },
    /// The breaker changed its state because of this call.
    BreakerMoved {
        /// Before.
        from: BreakerState,
        /// After.
        to: BreakerState,
        /// Why.
        why: BreakerMove,
    },
    /// A fault is put into this try.
    FaultInjected {
        /// The try, from one.
        number: u32,
        /// What kind.
        fault: FaultKind,
    },
    /// The balancer picked a host for the coming try.
    HostPicked {
        /// The try, from one.
        number: u32,
        /// Index of the endpoint within its destination.
        host: u16,
        /// Why this one.
        why: PickWhy,
        /// Tries under way there before this one.
        pending: u32,
        /// How long it is expected to take; zero where the balancer does not measure it.
        expected: Duration,
    },
    /// A host is left out for a while because of how its tries ended.
    HostEjected {
        /// Index of the endpoint within its destination.
        host: u16,
        /// Why.
        why: EjectWhy,
        /// For how long.
        span: Duration,
    },
    /// A host deserved to be left out and is not.
    HostSpared {
        /// Index of the endpoint within its destination.
        host: u16,
        /// What it deserved it for.
        why: EjectWhy,
        /// Why it stays.
        because: SpareWhy,
    },
    /// A try begins.
    TryStarted {
        /// The try, from one.
        number: u32,
        /// Index of the endpoint within its destination.
        host: u16,
        /// How long it may take.
        within: Duration,
    },
    /// A try is over.
    TryEnded {
        /// The try, from one.
        number: u32,
        /// What it did to the world.
        outcome: Outcome,
        /// What was seen.
        end: TryEnd,
        /// How long it took.
        took: Duration,
    },
    /// Another try follows.
    RetryScheduled {
        /// The coming try, from two.
        number: u32,
        /// After this long.
        after: Duration,
        /// Why it is allowed.
        why: RetryWhy,
    },
    /// Another try is sent beside this one if it has not ended by then.
    HedgePlanned {
        /// After this long.
        after: Duration,
    },
    /// The coming try is a hedge: those before it have not ended.
    HedgeSent {
        /// The coming try, from two.
        number: u32,
        /// How long the try before it has been under way.
        waited: Duration,
    },
    /// No (further) hedge is sent.
    HedgeWithheld {
        /// Why.
        why: WithheldWhy,
    },
    /// No try follows.
    GaveUp {
        /// Why.
        reason: GiveUp,
        /// What was left of the deadline.
        remaining: Duration,
    },
}

/// What was seen of a try when it ended. The outcome is concluded from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TryEnd {
    /// An HTTP answer.
    Answered {
        /// Its status.
        status: u16,
    },
    /// A gRPC answer.
    AnsweredGrpc {
        /// Its code, 0 to 16.
        code: u8,
        /// Whether only trailers came: no message was sent.
        trailers_only: bool,
    },
    /// A guarded future returned `Ok`, or what its classifier takes for an answer.
    Returned,
    /// A guarded future returned `Err`.
    Raised,
    /// No connection: refused, unreachable, reset or timed out while connecting.
    ConnectFailed,
    /// The peer refused the stream before acting on it (HTTP/2 REFUSED_STREAM, GOAWAY above it).
    StreamRefused,
    /// The connection ended before any byte of the request was sent.
    ResetBeforeRequest,
    /// The connection ended after the request's first byte was sent.
    Reset,
    /// The answer broke the protocol.
    Malformed,
    /// The per-try time ran out.
    TimedOut,
    /// The call's deadline ran out.
    DeadlineExceeded,
    /// The caller went away.
    Cancelled,
    /// Another try of the call was answered first, and this one was cancelled.
    Outrun,
}

/// Whose word became the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeadlineSource {
    /// The caller's remaining time, less the hop allowance.
    Incoming,
    /// The route's timeout.
    Route,
    /// A policy's deadline.
    Policy,
    /// The edge's own stamp, where nobody spoke.
    Edge,
    /// Nobody spoke: there is none.
    Nobody,
}

/// A breaker's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Lets everything through and counts.
    Closed,
    /// Lets nothing through.
    Open,
    /// Lets a few leased probes through.
    HalfOpen,
    /// Closed again, letting a growing share through.
    Ramping,
}

/// Why a breaker changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerMove {
    /// The share of failures in the window reached the limit.
    FailureRatio,
    /// The share of slow calls in the window reached the limit.
    SlowRatio,
    /// This many failures came in a row.
    Consecutive,
    /// The open time is over.
    OpenTimeOver,
    /// The probes came back well.
    ProbesSucceeded,
    /// A probe failed.
    ProbeFailed,
    /// The ramp reached its end.
    RampOver,
}

/// Why a host was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PickWhy {
    /// Of two drawn at random, its expected time with its queue is the lower one.
    LowerCost,
    /// Of two drawn at random, fewer tries are under way there.
    FewerPending,
    /// It has its turn.
    Turn,
    /// Drawn at random.
    Random,
    /// The request's hash leads there.
    Hash,
    /// No other host may be picked.
    OnlyOne,
    /// All hosts that may be picked were tried: the round begins again.
    AllTried,
    /// So few hosts are well that all are used.
    Panic,
}

/// Why a host is left out for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EjectWhy {
    /// So many 5xx, or what counts as one, in a row.
    Consecutive5xx,
    /// So many 502, 503 and 504, or what counts as one, in a row.
    ConsecutiveGateway,
    /// So many tries in a row that got no answer.
    ConsecutiveLocal,
    /// Its share of successes is far below that of the others.
    SuccessRate,
    /// Its share of failures is too much.
    FailureShare,
}

/// Why a host that deserved to be left out stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpareWhy {
    /// With it more hosts would be out than may be.
    TooManyOut,
    /// It is the last one that is in.
    LastOne,
}

/// What kind of fault was put into a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// Held back before it was sent.
    Delay(Duration),
    /// Answered with this status instead of being sent.
    Abort(u16),
    /// Dropped: the connection seems refused.
    Drop,
}

/// Why a retry is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryWhy {
    /// The try surely had no effect.
    Refused,
    /// The effect is unknown and the operation is idempotent.
    Idempotent,
    /// The Istio `retryOn` condition that named it.
    RetryOn(RetryOn),
}

/// The conditions of Istio's `retryOn`, one for each word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is Envoy's word of the same spelling")]
pub enum RetryOn {
    FiveXx,
    GatewayError,
    Reset,
    ResetBeforeRequest,
    ConnectFailure,
    Retriable4xx,
    RefusedStream,
    RetriableStatusCodes,
    RetriableHeaders,
    EnvoyRatelimited,
    Http3PostConnectFailure,
    Cancelled,
    DeadlineExceeded,
    Internal,
    ResourceExhausted,
    Unavailable,
}

/// Why no (further) hedge is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WithheldWhy {
    /// Doing it twice is not the same as doing it once.
    NotSafe,
    /// Too few calls were seen to know when one is late.
    TooFewSamples,
    /// Another layer on this path sends more tries.
    RetriedElsewhere,
    /// What is left of the deadline would not do for another try.
    DeadlineTooClose,
    /// The breaker is not closed.
    BreakerNotClosed,
    /// Calls are rejected here, because the callee does not accept all it is asked.
    Throttled,
    /// No host is left that was not tried.
    NoHost,
    /// The bulkhead has no free place.
    BulkheadFull,
    /// The share of hedges among calls is reached.
    ShareReached,
    /// The retry budget is empty.
    BudgetExhausted,
    /// The request's body is not here yet, or is not kept.
    BodyNotKept,
    /// The callee asked not to be asked again, or not yet.
    PushedBack,
}

/// Why no (further) try is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GiveUp {
    /// The try answered: nothing more to do.
    Done,
    /// Asking again cannot help.
    NotRetryable,
    /// The effect is unknown and repeating it is not safe.
    NotSafe,
    /// Istio's `retryOn` does not name what happened.
    NotNamed,
    /// Istio's `attempts` are 0, so that nothing is ever tried again.
    NoAttempts,
    /// All tries are used.
    TriesExhausted,
    /// The retry budget is empty.
    BudgetExhausted,
    /// What is left would not cover the back-off and a try.
    DeadlineTooClose,
    /// The deadline ran out.
    DeadlineExceeded,
    /// The breaker is open.
    BreakerOpen,
    /// The bulkhead and its queue are full.
    BulkheadFull,
    /// The wait in the bulkhead's queue ran out.
    QueueTimedOut,
    /// The rate limit is reached.
    RateLimited,
    /// No endpoint is left that was not tried.
    NoHost,
    /// The request's body is too large to be sent again.
    BodyTooLarge,
    /// Part of the answer was already passed on.
    Committed,
    /// Another layer on this path retries.
    RetriedElsewhere,
    /// The caller went away.
    Cancelled,
    /// The callee accepts too little of what it is asked: the call was rejected here.
    Throttled,
    /// A layer behind this one has used up its tries or its budget for this call: trying it again here would
    /// multiply them.
    ExhaustedElsewhere,
    /// Less time is left than half of the tries take.
    Doomed,
    /// A call of higher priority took its place in the bulkhead's queue.
    Displaced,
}

/// Something that wants to know what was decided: a trail, a metric, a trace.
pub trait Observer {
    /// Called once for each decision, in order. Must not block.
    fn decided(&mut self, at: Instant, decision: Decision);
}

/// Nobody listens.
impl Observer for () {
    fn decided(&mut self, _: Instant, _: Decision) {}
}

impl<O: Observer + ?Sized> Observer for &mut O {
    fn decided(&mut self, at: Instant, decision: Decision) {
        (**self).decided(at, decision);
    }
}

/// The decisions of one call in order.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    decisions: Vec<(Instant, Decision)>,
    dropped: u32,
}

impl Trail {
    /// The most decisions one trail keeps. A call of ten tries makes about fifty; a trail that grows
    /// with the caller's patience would be a leak.
    pub const DECISIONS_MAX: usize = 128;

    /// What was decided, in order, and when.
    #[must_use]
    pub fn decisions(&self) -> &[(Instant, Decision)] {
        &self.decisions
    }

    /// How many decisions came after the trail was full.
    #[must_use]
    pub const fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Forgets everything and keeps the memory, so that the next call records without allocating.
    pub fn clear(&mut self) {
        self.decisions.clear();
        self.dropped = 0;
    }
}

impl Observer for Trail {
    fn decided(&mut self, at: Instant, decision: Decision) {
        if self.decisions.len() < Self::DECISIONS_MAX {
            self.decisions.push((at, decision));
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }
}

/// Implements the word of a reason: [`fmt::Display`] for people, `as_str` for labels.
macro_rules! words {
    ($type:ident { $($variant:pat => $word:expr),+ $(,)? }) => {
        impl $type {
            /// The word used as metric label, trace attribute and in `explain`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($variant => $word),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(TryEnd {
    Self::Answered { .. } => "answered",
    Self::AnsweredGrpc { .. } => "answered grpc",
    Self::Returned => "returned",
    Self::Raised => "raised",
    Self::ConnectFailed => "connect failed",
    Self::StreamRefused => "stream refused",
    Self::ResetBeforeRequest => "reset before request",
    Self::Reset => "reset",
    Self::Malformed => "malformed",
    Self::TimedOut => "timed out",
    Self::DeadlineExceeded => "deadline exceeded",
    Self::Cancelled => "cancelled",
    Self::Outrun => "outrun",
});

words!(DeadlineSource {
    Self::Incoming => "incoming",
    Self::Route => "route",
    Self::Policy => "policy",
    Self::Edge => "edge",
    Self::Nobody => "nobody",
});

words!(BreakerState {
    Self::Closed => "closed",
    Self::Open => "open",
    Self::HalfOpen => "half-open",
    Self::Ramping => "ramping",
});

words!(BreakerMove {
    Self::FailureRatio => "failure ratio",
    Self::SlowRatio => "slow ratio",
    Self::Consecutive => "consecutive failures",
    Self::OpenTimeOver => "open time over",
    Self::ProbesSucceeded => "probes succeeded",
    Self::ProbeFailed => "probe failed",
    Self::RampOver => "ramp over",
});

words!(PickWhy {
    Self::LowerCost => "lower cost of two",
    Self::FewerPending => "fewer under way of two",
    Self::Turn => "its turn",
    Self::Random => "at random",
    Self::Hash => "by hash",
    Self::OnlyOne => "no other left",
    Self::AllTried => "all were tried",
    Self::Panic => "too few are well",
});

words!(EjectWhy {
    Self::Consecutive5xx => "consecutive 5xx",
    Self::ConsecutiveGateway => "consecutive gateway errors",
    Self::ConsecutiveLocal => "consecutive local failures",
    Self::SuccessRate => "success rate",
    Self::FailureShare => "failure share",
});

words!(SpareWhy {
    Self::TooManyOut => "too many are out",
    Self::LastOne => "last one in",
});

words!(FaultKind {
    Self::Delay(_) => "delay",
    Self::Abort(_) => "abort",
    Self::Drop => "drop",
});

words!(RetryOn {
    Self::FiveXx => "5xx",
    Self::GatewayError => "gateway-error",
    Self::Reset => "reset",
    Self::ResetBeforeRequest => "reset-before-request",
    Self::ConnectFailure => "connect-failure",
    Self::Retriable4xx => "retriable-4xx",
    Self::RefusedStream => "refused-stream",
    Self::RetriableStatusCodes => "retriable-status-codes",
    Self::RetriableHeaders => "retriable-headers",
    Self::EnvoyRatelimited => "envoy-ratelimited",
    Self::Http3PostConnectFailure => "http3-post-connect-failure",
    Self::Cancelled => "cancelled",
    Self::DeadlineExceeded => "deadline-exceeded",
    Self::Internal => "internal",
    Self::ResourceExhausted => "resource-exhausted",
    Self::Unavailable => "unavailable",
});

words!(RetryWhy {
    Self::Refused => "refused",
    Self::Idempotent => "idempotent",
    Self::RetryOn(on) => on.as_str(),
});

words!(WithheldWhy {
    Self::NotSafe => "not safe to repeat",
    Self::TooFewSamples => "too few samples",
    Self::RetriedElsewhere => "retried elsewhere",
    Self::DeadlineTooClose => "deadline too close",
    Self::BreakerNotClosed => "breaker not closed",
    Self::Throttled => "throttled",
    Self::NoHost => "no host",
    Self::BulkheadFull => "bulkhead full",
    Self::ShareReached => "share reached",
    Self::BudgetExhausted => "budget exhausted",
    Self::BodyNotKept => "body not kept",
    Self::PushedBack => "pushed back",
});

words!(GiveUp {
    Self::Done => "done",
    Self::NotRetryable => "not retryable",
    Self::NotSafe => "not safe to repeat",
    Self::NotNamed => "not named by retryOn",
    Self::NoAttempts => "attempts are 0",
    Self::TriesExhausted => "tries exhausted",
    Self::BudgetExhausted => "budget exhausted",
    Self::DeadlineTooClose => "deadline too close",
    Self::DeadlineExceeded => "deadline exceeded",
    Self::BreakerOpen => "breaker open",
    Self::BulkheadFull => "bulkhead full",
    Self::QueueTimedOut => "queue timed out",
    Self::RateLimited => "rate limited",
    Self::NoHost => "no host",
    Self::BodyTooLarge => "body too large to repeat",
    Self::Committed => "committed",
    Self::RetriedElsewhere => "retried elsewhere",
    Self::Cancelled => "cancelled",
    Self::Throttled => "throttled",
    Self::ExhaustedElsewhere => "exhausted elsewhere",
    Self::Doomed => "doomed",
    Self::Displaced => "displaced",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_keeps_its_limit_and_counts_the_rest() {
        let mut trail = Trail::default();
        for _ in 0..Trail::DECISIONS_MAX + 3 {
            trail.decided(Instant::ZERO, Decision::Admitted { running: 1 });
        }
        assert_eq!(trail.decisions().len(), Trail::DECISIONS_MAX);
        assert_eq!(trail.dropped(), 3);
    }

    #[test]
    fn a_decision_stays_small_enough_to_copy() {
        // A trail of fifty decisions must stay within two pages.
        assert!(size_of::<(Instant, Decision)>() <= 64, "{}", size_of::<(Instant, Decision)>());
    }
}
