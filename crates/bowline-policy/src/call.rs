//! One call, from its admission to its end.

use crate::deadline::until_of_try;
use crate::edge::Edge;
use crate::retry::Pushback;
use bowline_fault::Injection;
use bowline_model::decision::{DeadlineSource, GiveUp, Observer, TryEnd};
use bowline_model::{Deadline, Instant, Outcome, Random};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What a call is to begin with.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// When it begins.
    pub now: Instant,
    /// By when it must be over.
    pub deadline: Deadline,
    /// Who said so.
    pub deadline_by: DeadlineSource,
    /// Whether doing it twice is the same as doing it once.
    pub repeatable: bool,
    /// How many endpoints the destination has.
    pub hosts: u16,
    /// The endpoint that the balancer would take first; later tries take the ones after it, in a circle.
    pub first_host: u16,
    /// Which try of the caller's layer this is; zero if nobody said.
    pub arrived_try: u32,
    /// What the faults of this call are drawn from.
    pub seed: u64,
}

/// What the driver does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Wait for a place: [`Call::poll_place`], and [`Call::woke`] once `until` is past.
    Wait {
        /// Until then.
        until: Instant,
    },
    /// Send a try, and report with [`Call::ended`].
    Send(Try),
    /// Sleep, then [`Call::woke`].
    Sleep {
        /// Until then.
        until: Instant,
    },
    /// Answer.
    End(End),
}

/// One try to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Try {
    /// Which try, from one.
    pub number: u32,
    /// Index of the endpoint within the destination.
    pub host: u16,
    /// By when it must be over.
    pub until: Instant,
    /// Whether that is the call's deadline: report [`TryEnd::DeadlineExceeded`], else [`TryEnd::TimedOut`].
    pub until_is_deadline: bool,
    /// What to break on purpose.
    pub injection: Injection,
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// What was seen.
    pub end: TryEnd,
    /// What it did to the world.
    pub outcome: Outcome,
    /// What the callee said about being asked again.
    pub pushback: Option<Pushback>,
    /// Whether one of the headers that the `retriable-headers` condition asks for was there.
    pub retriable_header: bool,
    /// Whether the answer carried `x-envoy-ratelimited`.
    pub rate_limited: bool,
}

impl Report {
    /// A try that ended this way, and nothing more to say about it.
    #[must_use]
    pub const fn new(end: TryEnd, outcome: Outcome) -> Self {
        Self { end, outcome, pushback: None, retriable_header: false, rate_limited: false }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct End {
    /// Why no (further) try is made.
    pub reason: GiveUp,
    /// What the call, with all its tries, did to the world.
    pub outcome: Outcome,
    /// Tries sent.
    pub tries: u32,
    /// How the last of them ended.
    pub last: Option<TryEnd>,
    /// When asking again may help, from now.
    pub retry_after: Option<Duration>,
}

/// One call. Dropping it gives everything back that it holds.
#[derive(Debug)]
pub struct Call {
    edge: Arc<Edge>,
    ask: Ask,
    tries: u32,
}

/// A call's place in the bulkhead, held until the answer's body is through.
#[derive(Debug)]
#[must_use = "dropping it gives the place to the next call"]
pub struct Permit {
    _edge: Arc<Edge>,
}

impl Call {
    /// Begins a call.
    pub fn begin(
        edge: &Arc<Edge>,
        ask: Ask,
        rng: &mut impl Random,
        seen: &mut impl Observer,
    ) -> (Self, Step) {
        let mut call = Self { edge: Arc::clone(edge), ask, tries: 0 };
        let step = call.woke(ask.now, rng, seen);
        (call, step)
    }

    /// After [`Step::Wait`]: ready once there is a place or the wait is over.
    pub fn poll_place(
        &mut self,
        now: Instant,
        cx: &mut Context<'_>,
        rng: &mut impl Random,
        seen: &mut impl Observer,
    ) -> Poll<Step> {
        let _ = cx;
        Poll::Ready(self.woke(now, rng, seen))
    }

    /// After [`Step::Sleep`], or once a [`Step::Wait`] is over.
    pub fn woke(&mut self, now: Instant, rng: &mut impl Random, seen: &mut impl Observer) -> Step {
        let _ = (rng, seen);
        self.tries += 1;
        let per_try = self.edge.policy().retry.per_try;
        let (until, until_is_deadline) = until_of_try(self.ask.deadline, per_try, now);
        let injection = self.edge.policy().faults.decide(self.ask.seed, self.tries);
        let host =
            ((u32::from(self.ask.first_host) + self.tries - 1) % u32::from(self.ask.hosts.max(1))) as u16;
        Step::Send(Try { number: self.tries, host, until, until_is_deadline, injection })
    }

    /// After [`Step::Send`]: how the try ended.
    pub fn ended(
        &mut self,
        now: Instant,
        report: Report,
        rng: &mut impl Random,
        seen: &mut impl Observer,
    ) -> Step {
        let _ = (rng, seen);
        if report.outcome == Outcome::Refused && self.tries < self.edge.policy().retry.tries {
            return Step::Sleep { until: now };
        }
        let reason = match report.outcome {
            Outcome::Succeeded | Outcome::Pending => GiveUp::Done,
            Outcome::Failed => GiveUp::NotRetryable,
            Outcome::Refused => GiveUp::TriesExhausted,
            Outcome::Unknown => GiveUp::NotSafe,
        };
        let (outcome, last) = (report.outcome, Some(report.end));
        Step::End(End { reason, outcome, tries: self.tries, last, retry_after: None })
    }

    /// No try may follow, and this is why: the body is too large to send again, or part of the answer
    /// was already passed on.
    pub fn forbid_retry(&mut self, why: GiveUp) {
        let _ = why;
    }

    /// After [`Step::End`]: the place in the bulkhead, to be held until the answer's body is through.
    pub fn into_permit(self) -> Permit {
        Permit { _edge: self.edge }
    }
}
