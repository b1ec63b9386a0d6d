//! Drives one call: asks the machine what to do, obeys, and reports back.
//!
//! Everything here is the same for every type of future and request; what depends on them asks
//! [`Drive::next`] for the next turn and makes the tries.

use crate::attempt::Try;
use crate::clock;
use crate::error::{BoxError, Ended, Error};
use crate::guard::{Live, Shared};
use crate::incoming::{Carried, Incoming};
use crate::link::Recorded;
use crate::watch::Watch;
use bowline_fault::Then;
use bowline_model::decision::{DeadlineSource, Decision, GiveUp, TryEnd};
use bowline_model::{Deadline, Instant, Observer, Outcome, Random, SplitMix64, TraceContext, WallTime};
#[cfg(feature = "tower")]
use bowline_policy::Permit;
use bowline_policy::{Ask, Call, End, Report, Step, classify, deadline};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// What a call is asked with.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// What makes a repetition recognisable to the callee.
    pub(crate) key: Option<Arc<str>>,
    /// Whether the request carries such a key by itself.
    pub(crate) has_key: bool,
    /// Whether the method is idempotent by its definition.
    pub(crate) by_method: bool,
    /// A trace that the request already belongs to.
    pub(crate) trace: Option<TraceContext>,
    /// A deadline that the request already has.
    pub(crate) within: Option<Duration>,
}

/// What comes next.
pub(crate) enum Turn {
    /// Make this try, and report how it ended.
    Try(Try),
    /// Answer.
    End(End),
}

/// One call under way. Dropping it gives everything back.
pub(crate) struct Drive {
    shared: Arc<Shared>,
    live: Arc<Live>,
    // `None` once the permit was taken out of it.
    call: Option<Call>,
    step: Step,
    rng: SplitMix64,
    watch: Watch,
    began: Instant,
    began_wall: WallTime,
    deadline: Deadline,
    trace: TraceContext,
    /// The span that caused this call.
    parent: Option<u64>,
    carried: Option<Arc<Carried>>,
    key: Option<Arc<str>>,
    /// The try under way ends by the deadline rather than by its own time.
    until_is_deadline: bool,
    last_outcome: Outcome,
    injected: Option<TryEnd>,
    finished: bool,
}

impl Drive {
    pub(crate) fn begin(shared: &Arc<Shared>, asked: Asked) -> Self {
        let live = shared.live();
        let now = clock::now();
        let incoming = Incoming::current();
        let seed = shared.next_seed();
        let mut rng = SplitMix64::new(seed);
        let spans = [
            incoming.remaining().map(|remaining| (DeadlineSource::Incoming, remaining)),
            asked.within.map(|within| (DeadlineSource::Incoming, within)),
            live.settings.deadline.map(|within| (DeadlineSource::Policy, within)),
        ];
        let (deadline, deadline_by) = deadline::combine(now, spans.into_iter().flatten());
        let has_key = asked.has_key || asked.key.is_some();
        let ask = Ask {
            now,
            deadline,
            deadline_by,
            repeatable: live.settings.idempotent.allows(has_key, asked.by_method),
            // Who answers is the client's choice: from here it is one destination.
            hosts: 1,
            hash: None,
            arrived_try: incoming.arrived_try(),
            priority: incoming.arrived_priority(),
            seed: rng.next_u64(),
        };
        let given = asked.trace.or_else(|| incoming.trace());
        // What belongs to the incoming trace goes with no other.
        let carried = incoming.carried().filter(|_| asked.trace.is_none()).cloned();
        let trace = match given {
            Some(trace) => trace.child(&mut rng),
            None => TraceContext::start(&mut rng),
        };
        let recorded = shared.is_recorded();
        let mut watch = Watch::new(shared.name(), recorded);
        let began_wall = if recorded { clock::wall() } else { WallTime::default() };
        let (call, step) = Call::begin(&live.edge, ask, &mut rng, &mut watch);
        Self {
            shared: Arc::clone(shared),
            live,
            call: Some(call),
            step,
            rng,
            watch,
            began: now,
            began_wall,
            deadline,
            trace,
            parent: given.map(|given| given.parent),
            carried,
            key: asked.key,
            until_is_deadline: false,
            last_outcome: Outcome::Refused,
            injected: None,
            finished: false,
        }
    }

    /// Waits, sleeps and injects faults until there is a try to make or an end to tell.
    ///
    /// # Cancel safety
    /// Cancelling it is cancelling the call: drop the whole of it.
    pub(crate) async fn next(&mut self) -> Turn {
        loop {
            match self.step {
                Step::Wait { until } => self.step = self.place(until).await,
                Step::Sleep { until } => {
                    clock::sleep_until(until).await;
                    self.advance(|call, rng, watch| call.woke(clock::now(), rng, watch));
                }
                Step::Send(send) => {
                    self.until_is_deadline = send.until_is_deadline;
                    if let Some(delay) = send.injection.delay {
                        let sent_at = clock::now() + delay;
                        clock::sleep_until(sent_at.min(send.until)).await;
                        if send.until <= sent_at {
                            self.injected(self.timeout());
                            continue;
                        }
                    }
                    match send.injection.then {
                        Then::Send => return Turn::Try(self.handle(send)),
                        Then::Abort { status } => self.injected(TryEnd::Answered { status }),
                        Then::AbortGrpc { code } => {
                            self.injected(TryEnd::AnsweredGrpc { code, trailers_only: true });
                        }
                        Then::Drop => self.injected(TryEnd::ConnectFailed),
                    }
                }
                // A guard's future is its caller's own, so there is never a second one beside it.
                Step::Watch { .. } => self.report(Report::new(TryEnd::Cancelled, Outcome::Unknown)),
                Step::End(end) => return Turn::End(end),
            }
        }
    }

    /// Lets `work` take until the try's time is over; `None` if it took longer.
    pub(crate) async fn within<F: Future>(try_: &Try, work: F) -> Option<F::Output> {
        match clock::timer(try_.until) {
            Some(at) => tokio::time::timeout_at(at, work).await.ok(),
            None => Some(work.await),
        }
    }

    /// How the try ended.
    pub(crate) fn ended(&mut self, report: Report) {
        self.injected = None;
        self.report(report);
    }

    /// The try took too long and was dropped.
    pub(crate) fn timed_out(&mut self) {
        let end = self.timeout();
        self.ended(Report::new(end, classify::of(end, false)));
    }

    /// No try may follow.
    #[cfg(feature = "tower")]
    pub(crate) fn forbid_retry(&mut self, why: GiveUp) {
        if let Some(call) = &mut self.call {
            call.forbid_retry(why);
        }
    }

    /// Whether another try may follow this one at all.
    #[cfg(feature = "tower")]
    pub(crate) fn may_follow(&self, try_: &Try) -> bool {
        try_.number < self.live.settings.policy.retry.tries
    }

    /// Whether another try comes: what the last one returned is of no more use.
    pub(crate) const fn goes_on(&self) -> bool {
        !matches!(self.step, Step::End(_))
    }

    /// The end that was decided, if one was.
    #[cfg(feature = "tower")]
    pub(crate) const fn end(&self) -> Option<End> {
        match self.step {
            Step::End(end) => Some(end),
            _ => None,
        }
    }

    /// What the last try did to the world.
    pub(crate) const fn last_outcome(&self) -> Outcome {
        self.last_outcome
    }

    /// How an injected fault ended the last try, if one did.
    #[cfg(feature = "tower")]
    pub(crate) const fn was_injected(&self) -> Option<TryEnd> {
        self.injected
    }

    /// By when the call must be over.
    #[cfg(feature = "tower")]
    pub(crate) const fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Tells whoever keeps trails that the call is over.
    pub(crate) fn finish(&mut self, end: &End) {
        self.record(clock::now(), end.reason, end.tries);
    }

    /// What `end` is to a caller who gets no answer; `raised` is the error of the last try that had one.
    pub(crate) fn error(&self, end: &End, raised: Option<BoxError>) -> Error {
        let ended = Ended {
            reason: end.reason,
            outcome: end.outcome,
            last: end.last,
            tries: end.tries,
            remaining: self.deadline.remaining(clock::now()),
            retry_after: end.retry_after,
            injected: self.injected.is_some(),
        };
        let injected = self.injected.map(|end| Box::new(Injected(end)) as BoxError);
        Error::new(&self.shared.name(), ended).with_source(injected.or(raised))
    }

    /// The place in the bulkhead, to be held until the answer's body is through.
    #[cfg(feature = "tower")]
    pub(crate) fn into_permit(mut self) -> Option<Permit> {
        self.call.take().map(Call::into_permit)
    }

    fn handle(&mut self, send: bowline_policy::Try) -> Try {
        let policy = &self.live.settings.policy;
        let arrived = self.call.as_ref().and_then(|call| call.ask().priority);
        Try {
            number: send.number,
            until: send.until,
            trace: self.trace.of_try(send.number),
            retried_here: 1 < policy.retry.tries,
            priority: arrived.or_else(|| policy.unusual_priority()),
            carried: self.carried.clone(),
            key: self.key.clone(),
        }
    }

    async fn place(&mut self, until: Instant) -> Step {
        let Self { call: Some(call), rng, watch, .. } = self else { return self.step };
        let mut timer = pin!(clock::sleep_until(until));
        poll_fn(|cx| match call.poll_place(clock::now(), cx, rng, watch) {
            Poll::Ready(next) => Poll::Ready(next),
            Poll::Pending => timer.as_mut().poll(cx).map(|()| call.woke(clock::now(), rng, watch)),
        })
        .await
    }

    fn timeout(&self) -> TryEnd {
        if self.until_is_deadline { TryEnd::DeadlineExceeded } else { TryEnd::TimedOut }
    }

    fn injected(&mut self, end: TryEnd) {
        self.injected = Some(end);
        self.report(Report::new(end, classify::of(end, false)));
    }

    fn report(&mut self, mut report: Report) {
        // A classifier sees a status; whether it means accepted or done, the operation says.
        if self.live.settings.pending
            && report.outcome == Outcome::Succeeded
            && classify::of(report.end, true) == Outcome::Pending
        {
            report.outcome = Outcome::Pending;
        }
        self.last_outcome = report.outcome;
        self.advance(|call, rng, watch| call.ended(clock::now(), report, rng, watch));
    }

    fn advance(&mut self, decide: impl FnOnce(&mut Call, &mut SplitMix64, &mut Watch) -> Step) {
        if let Some(call) = &mut self.call {
            self.step = decide(call, &mut self.rng, &mut self.watch);
        }
    }

    /// Hands the trail to the link, once.
    fn record(&mut self, now: Instant, reason: GiveUp, tries: u32) {
        self.finished = true;
        self.shared.took(now.since(self.began));
        if let Some(trail) = self.watch.take_trail() {
            self.shared.record(Recorded {
                name: self.shared.name(),
                values: Arc::clone(&self.live.values),
                trace: self.trace,
                parent: self.parent,
                at: self.began_wall,
                began: self.began,
                took: now.since(self.began),
                reason,
                outcome: self.last_outcome,
                tries,
                trail,
            });
        }
    }
}

/// The caller went away: the machine gives back what it holds, and the trail says so.
impl Drop for Drive {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let now = clock::now();
        let (reason, remaining) = (GiveUp::Cancelled, self.deadline.remaining(now));
        self.watch.decided(now, Decision::GaveUp { reason, remaining });
        if matches!(self.step, Step::Send(_)) {
            // It was under way: nobody saw how it ended.
            self.last_outcome = Outcome::Unknown;
        }
        self.record(now, reason, self.call.as_ref().map_or(0, Call::tries));
    }
}

/// What an injected fault looks like to the caller, who should not search the callee for it.
#[derive(Debug)]
struct Injected(TryEnd);

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            TryEnd::Answered { status } => write!(f, "answered {status}")?,
            TryEnd::AnsweredGrpc { code, .. } => write!(f, "answered gRPC {code}")?,
            other => write!(f, "{other}")?,
        }
        f.write_str(", by a fault put there on purpose")
    }
}

impl std::error::Error for Injected {}
