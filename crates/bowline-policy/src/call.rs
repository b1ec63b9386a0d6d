//! One call, from its admission to its end.
//!
//! The machine decides, its driver acts. What it answers is always one thing to do next ([`Step`]): wait for
//! a place, send a try, sleep, or answer. Guard, client and simulator drive the same machine, which is why a
//! design can be tried out before it runs.
//!
//! In order: whether it is doomed, rate limit, admission, place in the bulkhead, then for each try: breaker,
//! host, faults, send, classify, record, and the question whether another follows.
//!
//! Dropping a [`Call`] is cancellation, at any step: its place, its place in the queue, its probe, its share
//! of the budget go back.

use crate::admission::Rejected;
use crate::balance::{Balancer, Picked, Tried};
use crate::breaker::{Admission, Lease, Moved};
use crate::classify::{self, Health};
use crate::deadline::until_of_try;
use crate::doomed;
use crate::edge::Edge;
use crate::outlier::Judged;
use crate::report::{Pushback, Report};
use crate::retry::{Finished, Verdict};
use crate::shared::{Arrived, SharedBreaker, Turn};
use bowline_fault::{Injection, Then};
use bowline_model::decision::{DeadlineSource, FaultKind, GiveUp, Observer, TryEnd};
use bowline_model::{Deadline, Decision, Instant, Outcome, Priority, Random};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What a call begins with.
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
    /// How many endpoints the destination has, where the edge has no balancer, which knows.
    pub hosts: u16,
    /// What consistent balancing goes by ([`balance::hash`](crate::balance::hash)). Without a balancer the
    /// endpoints are taken in a circle, from the one it names, else from any.
    pub hash: Option<u64>,
    /// Which try of the caller's layer this is; zero if nobody said.
    pub arrived_try: u32,
    /// What it matters, if it says so itself; else the policy's.
    pub priority: Option<Priority>,
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
    /// What to break on purpose, within the try's time.
    pub injection: Injection,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct End {
    /// Why no (further) try is made.
    pub reason: GiveUp,
    /// What the call, with all its tries, did to the world. A try that may have had an effect is not undone
    /// by a later one that surely had none.
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
    held: Held,
    ask: Ask,
    phase: Phase,
    /// Where it has been.
    tried: Tried,
    /// The wait before the last try.
    previous: Duration,
    last: Option<TryEnd>,
    /// Whether a try may have had an effect.
    unknown: bool,
    forbidden: Option<GiveUp>,
}

/// A call's place in the bulkhead, held until the answer's body is through.
#[derive(Debug)]
#[must_use = "dropping it gives the place to the next call"]
pub struct Permit {
    held: Held,
}

impl Permit {
    /// How the answer of a call ended that had only begun ([`Report::begun`]): the breaker and `seen` are told
    /// now. For any other call, and a second time, nothing happens. A permit that is dropped before says
    /// nothing about the callee, as if the caller had gone away.
    pub fn settle(&mut self, now: Instant, end: TryEnd, rng: &mut impl Random, seen: &mut impl Observer) {
        let Some(Begun { since, took }) = self.held.begun.take() else { return };
        let report = Report::new(end, classify::of(end, false));
        let (number, outcome) = (self.held.tries, report.outcome);
        seen.decided(now, Decision::TryEnded { number, outcome, end, took: now.since(since) });
        self.held.settle(now, &report, took, rng, seen);
    }
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Waiting { until: Instant, ticket: u64 },
    Trying { what: Try, since: Instant },
    Sleeping { until: Instant },
    Over(End),
}

// === what a driver calls ===

impl Call {
    /// Begins a call.
    pub fn begin(
        edge: &Arc<Edge>,
        ask: Ask,
        rng: &mut impl Random,
        seen: &mut impl Observer,
    ) -> (Self, Step) {
        let mut call = Self {
            held: Held::nothing(Arc::clone(edge)),
            ask,
            // Until the first step is known: as if it had slept and could be sent.
            phase: Phase::Sleeping { until: ask.now },
            tried: Tried::default(),
            previous: Duration::ZERO,
            last: None,
            unknown: false,
            forbidden: None,
        };
        let step = call.enter(rng, seen);
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
        match self.place(now, Some(cx.waker()), rng, seen) {
            Step::Wait { .. } => Poll::Pending,
            step => Poll::Ready(step),
        }
    }

    /// After [`Step::Sleep`], or once a [`Step::Wait`] is over. Woken too early, it says again until when;
    /// at any other time it repeats the step that is due.
    pub fn woke(&mut self, now: Instant, rng: &mut impl Random, seen: &mut impl Observer) -> Step {
        match self.phase {
            Phase::Waiting { .. } => self.place(now, None, rng, seen),
            Phase::Sleeping { until } if now < until => Step::Sleep { until },
            Phase::Sleeping { .. } => self.send(now, rng, seen),
            Phase::Trying { what, .. } => Step::Send(what),
            Phase::Over(end) => Step::End(end),
        }
    }

    /// After [`Step::Send`]: how the try ended. At any other time it repeats the step that is due.
    pub fn ended(
        &mut self,
        now: Instant,
        report: Report,
        rng: &mut impl Random,
        seen: &mut impl Observer,
    ) -> Step {
        let Phase::Trying { what, since } = self.phase else { return self.woke(now, rng, seen) };
        let Report { end, outcome, pushback, .. } = report;
        let took = now.since(since);
        seen.decided(now, Decision::TryEnded { number: what.number, outcome, end, took });
        self.last = Some(end);
        self.unknown |= outcome == Outcome::Unknown;
        self.held.retry_over();
        if let Some(median) = self.held.edge.median()
            && doomed::tells(end, outcome)
            && !report.callers_turn
        {
            median.record(now, took);
        }
        if let Some(admission) = self.held.edge.admission()
            && let Some(accepted) = classify::accepted(end, outcome).filter(|_| !report.callers_turn)
        {
            admission.decided(now, accepted);
        }
        if !report.begun {
            self.held.settle(now, &report, took, rng, seen);
        }
        match self.judge(now, report, rng) {
            Verdict::Again { after, why } => {
                self.held.settle(now, &report, took, rng, seen);
                self.held.retrying = true;
                self.held.edge.counters().retry_allowed(why);
                seen.decided(now, Decision::RetryScheduled { number: self.held.tries + 1, after, why });
                self.previous = after;
                let until = now + after;
                self.phase = Phase::Sleeping { until };
                if after.is_zero() { self.send(now, rng, seen) } else { Step::Sleep { until } }
            }
            Verdict::Stop(reason) => {
                self.held.begun = report.begun.then_some(Begun { since, took });
                let retry_after = match pushback {
                    Some(Pushback::After(span)) => Some(span),
                    Some(Pushback::Never) | None => None,
                };
                self.end(now, reason, self.outcome_with(outcome), retry_after, seen)
            }
        }
    }

    /// No try may follow, and this is why: the body is too large to send again, or part of the answer was
    /// already passed on.
    pub const fn forbid_retry(&mut self, why: GiveUp) {
        self.forbidden = Some(why);
    }

    /// After [`Step::End`]: the place in the bulkhead, to be held until the answer's body is through.
    pub fn into_permit(mut self) -> Permit {
        self.held.end(GiveUp::Cancelled);
        Permit { held: self.held }
    }

    /// Tries sent so far.
    #[must_use]
    pub const fn tries(&self) -> u32 {
        self.held.tries
    }

    /// What it began with.
    #[must_use]
    pub const fn ask(&self) -> &Ask {
        &self.ask
    }
}

// === the steps, in order ===

impl Call {
    fn enter(&mut self, rng: &mut impl Random, seen: &mut impl Observer) -> Step {
        let Ask { now, deadline, deadline_by, .. } = self.ask;
        if deadline_by != DeadlineSource::Nobody {
            seen.decided(now, Decision::DeadlineSet { remaining: deadline.remaining(now), by: deadline_by });
        }
        if deadline.has_passed(now) {
            return self.refuse(now, GiveUp::DeadlineExceeded, None, seen);
        }
        if self.is_doomed(now, rng, seen) {
            return self.refuse(now, GiveUp::Doomed, None, seen);
        }
        if self.held.edge.balancer().map_or(self.ask.hosts, Balancer::len) == 0 {
            return self.refuse(now, GiveUp::NoHost, None, seen);
        }
        if let Some(Err(wait)) = self.held.edge.rate().map(|rate| rate.take(now)) {
            return self.refuse(now, GiveUp::RateLimited, Some(wait), seen);
        }
        if self.is_rejected(now, rng, seen) {
            return self.refuse(now, GiveUp::Throttled, None, seen);
        }
        let Some(bulkhead) = self.held.edge.bulkhead() else { return self.send(now, rng, seen) };
        let priority = self.ask.priority.unwrap_or(self.held.edge.policy().priority);
        match bulkhead.arrive(priority) {
            Arrived::Enters { running } => {
                self.held.place = Place::Inside;
                seen.decided(now, Decision::Admitted { running });
                self.send(now, rng, seen)
            }
            Arrived::Waits { ahead, ticket } => {
                let until = (now + bulkhead.settings().wait).min(deadline.instant());
                self.held.place = Place::InQueue(ticket);
                self.phase = Phase::Waiting { until, ticket };
                seen.decided(now, Decision::Queued { ahead, wait: until.since(now), priority });
                Step::Wait { until }
            }
            Arrived::Refused => self.refuse(now, GiveUp::BulkheadFull, None, seen),
        }
    }

    fn place(
        &mut self,
        now: Instant,
        waker: Option<&Waker>,
        rng: &mut impl Random,
        seen: &mut impl Observer,
    ) -> Step {
        let Phase::Waiting { until, ticket } = self.phase else {
            return self.woke(now, rng, seen);
        };
        let turn = self.held.edge.bulkhead().map(|bulkhead| {
            let turn = match waker {
                Some(waker) => bulkhead.poll(ticket, waker),
                None => bulkhead.turn(ticket),
            };
            (turn, bulkhead.running())
        });
        match turn {
            Some((Turn::Granted, running)) => {
                self.held.place = Place::Inside;
                seen.decided(now, Decision::Admitted { running });
                return self.send(now, rng, seen);
            }
            Some((Turn::Displaced, _)) => {
                self.held.place = Place::Outside;
                return self.refuse(now, GiveUp::Displaced, None, seen);
            }
            Some((Turn::Waits, _)) | None => (),
        }
        if now < until {
            return Step::Wait { until };
        }
        let reason =
            if self.ask.deadline.has_passed(now) { GiveUp::DeadlineExceeded } else { GiveUp::QueueTimedOut };
        self.refuse(now, reason, None, seen)
    }

    fn send(&mut self, now: Instant, rng: &mut impl Random, seen: &mut impl Observer) -> Step {
        if self.ask.deadline.has_passed(now) {
            return self.refuse(now, GiveUp::DeadlineExceeded, None, seen);
        }
        // The first try was asked about before the call took a place.
        if 0 < self.held.tries && self.is_rejected(now, rng, seen) {
            return self.refuse(now, GiveUp::Throttled, None, seen);
        }
        let per_try = self.held.edge.policy().retry.per_try;
        let (until, until_is_deadline) = until_of_try(self.ask.deadline, per_try, now);
        if let Some(breaker) = self.held.edge.breaker() {
            let (admission, change) = breaker.admit(now, until, rng);
            moved(now, change, seen);
            match admission {
                Admission::Passed { lease, state, failures, calls } => {
                    self.held.lease = Some(lease);
                    seen.decided(now, Decision::BreakerPassed { state, failures, calls });
                }
                Admission::Refused { state, retry_after } => {
                    seen.decided(now, Decision::BreakerRefused { state, retry_after });
                    return self.refuse(now, GiveUp::BreakerOpen, Some(retry_after), seen);
                }
            }
        }
        let number = self.held.tries + 1;
        let Some(host) = self.pick(now, number, rng, seen) else {
            return self.refuse(now, GiveUp::NoHost, None, seen);
        };
        self.held.tries = number;
        if number == 1 {
            self.held.begin_counting(now);
        }
        let injection = self.held.edge.policy().faults.decide(self.ask.seed, number);
        injected(now, number, &injection, seen);
        seen.decided(now, Decision::TryStarted { number, host, within: until.since(now) });
        let what = Try { number, host, until, until_is_deadline, injection };
        self.phase = Phase::Trying { what, since: now };
        Step::Send(what)
    }

    /// Whether less time is left than half of the tries take.
    #[inline]
    fn is_doomed(&self, now: Instant, rng: &mut impl Random, seen: &mut impl Observer) -> bool {
        let Some(median) = self.held.edge.median().and_then(|median| median.read(now)) else { return false };
        let remaining = self.ask.deadline.remaining(now);
        let sheds = self.held.edge.policy().doomed.is_some_and(|doomed| doomed.sheds(remaining, median, rng));
        if sheds {
            seen.decided(now, Decision::Doomed { remaining, median });
        }
        sheds
    }

    /// Whether the callee accepts so little that the coming try is rejected here.
    #[inline]
    fn is_rejected(&self, now: Instant, rng: &mut impl Random, seen: &mut impl Observer) -> bool {
        let Some(Err(rejected)) = self.held.edge.admission().map(|admission| admission.admit(now, rng))
        else {
            return false;
        };
        let Rejected { requests, accepts } = rejected;
        seen.decided(now, Decision::Throttled { requests, accepts });
        true
    }

    fn judge(&self, now: Instant, report: Report, rng: &mut impl Random) -> Verdict {
        let policy = self.held.edge.policy();
        let exhausted = report.exhausted && policy.cross_hop.heeds_exhaustion();
        let finished = Finished {
            number: self.held.tries,
            report: Report { exhausted, ..report },
            repeatable: self.ask.repeatable,
            untried_host: match self.held.edge.balancer() {
                // Asked only of tries that another may follow.
                Some(balancer) => {
                    report.outcome != Outcome::Succeeded && balancer.has_untried(now, &self.tried)
                }
                None => self.held.tries < u32::from(self.ask.hosts),
            },
            forbidden: self.forbidden,
            retried_elsewhere: policy.cross_hop.retried_elsewhere(self.ask.arrived_try),
            remaining: self.ask.deadline.remaining(now),
            median: self.held.edge.median().and_then(|median| median.read(now)).unwrap_or_default(),
            previous: self.previous,
        };
        let budget = || self.held.edge.budget().is_none_or(|budget| budget.try_retry(now));
        policy.retry.decide(&finished, budget, rng)
    }

    /// The host of this try. `None`: there is none that may be asked.
    #[inline]
    fn pick(
        &mut self,
        now: Instant,
        number: u32,
        rng: &mut impl Random,
        seen: &mut impl Observer,
    ) -> Option<u16> {
        let Some(balancer) = self.held.edge.balancer() else { return Some(self.in_a_circle(number, rng)) };
        let picked = balancer.pick(now, &mut self.tried, self.ask.hash, rng)?;
        // With one host there was nothing to decide.
        if balancer.len() > 1 {
            let Picked { host, why, pending, expected } = picked;
            seen.decided(now, Decision::HostPicked { number, host, why, pending, expected });
        }
        self.held.host = Some(picked.host);
        Some(picked.host)
    }

    /// Without a balancer: the hosts in a circle. None is tried twice before all were tried once.
    fn in_a_circle(&mut self, number: u32, rng: &mut impl Random) -> u16 {
        let hosts = u64::from(self.ask.hosts.max(1));
        if hosts == 1 {
            return 0;
        }
        let first = *self.ask.hash.get_or_insert_with(|| rng.below(hosts));
        ((first % hosts + u64::from(number - 1)) % hosts) as u16
    }

    /// Ends the call where no try was sent for this step.
    #[cold]
    fn refuse(
        &mut self,
        now: Instant,
        reason: GiveUp,
        retry_after: Option<Duration>,
        seen: &mut impl Observer,
    ) -> Step {
        // This try surely had no effect; one before it may have had.
        let outcome = self.outcome_with(Outcome::Refused);
        self.end(now, reason, outcome, retry_after, seen)
    }

    fn end(
        &mut self,
        now: Instant,
        reason: GiveUp,
        outcome: Outcome,
        retry_after: Option<Duration>,
        seen: &mut impl Observer,
    ) -> Step {
        if reason != GiveUp::Done {
            seen.decided(now, Decision::GaveUp { reason, remaining: self.ask.deadline.remaining(now) });
        }
        self.held.end(reason);
        let end = End { reason, outcome, tries: self.held.tries, last: self.last, retry_after };
        self.phase = Phase::Over(end);
        Step::End(end)
    }

    /// What all tries did to the world, where the last one did `last`.
    const fn outcome_with(&self, last: Outcome) -> Outcome {
        match last {
            Outcome::Failed | Outcome::Refused if self.unknown => Outcome::Unknown,
            _ => last,
        }
    }
}

// === what a call holds ===

/// What a call holds of its edge, each to be given back exactly once.
#[derive(Debug)]
struct Held {
    edge: Arc<Edge>,
    place: Place,
    lease: Option<Lease>,
    /// The host that counts its try as under way.
    host: Option<u16>,
    /// Whether it counts among the budget's calls.
    counted: bool,
    /// Whether it counts among the budget's retries.
    retrying: bool,
    /// Tries sent.
    tries: u32,
    /// Whether its end was counted.
    ended: bool,
    /// The last try, where its answer has only begun: it holds its lease.
    begun: Option<Begun>,
}

/// A try whose answer has begun.
#[derive(Clone, Copy, Debug)]
struct Begun {
    since: Instant,
    /// How long until it did: a stream that goes on is not slow.
    took: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Outside,
    InQueue(u64),
    Inside,
}

impl Held {
    const fn nothing(edge: Arc<Edge>) -> Self {
        Self {
            edge,
            place: Place::Outside,
            lease: None,
            host: None,
            counted: false,
            retrying: false,
            tries: 0,
            ended: false,
            begun: None,
        }
    }

    fn begin_counting(&mut self, now: Instant) {
        if let Some(budget) = self.edge.budget() {
            budget.begun(now);
            self.counted = true;
        }
    }

    fn take_lease(&mut self) -> Option<(&SharedBreaker, Lease)> {
        let lease = self.lease.take()?;
        self.edge.breaker().map(|breaker| (breaker, lease))
    }

    /// Tells breaker and balancer how the try ended, unless they were told.
    #[inline]
    fn settle(
        &mut self,
        now: Instant,
        report: &Report,
        took: Duration,
        rng: &mut impl Random,
        seen: &mut impl Observer,
    ) {
        if let Some((breaker, lease)) = self.take_lease() {
            let Report { end, outcome, callers_turn, .. } = *report;
            let health = if callers_turn { Health::Neutral } else { classify::health(end, outcome) };
            moved(now, breaker.settle(now, lease, health, took, rng), seen);
        }
        if let Some(host) = self.host.take()
            && let Some(balancer) = self.edge.balancer()
        {
            balancer.settle(host, now, report, took, |host, judged| {
                seen.decided(
                    now,
                    match judged {
                        Judged::Ejected { why, span } => Decision::HostEjected { host, why, span },
                        Judged::Spared { why, because } => Decision::HostSpared { host, why, because },
                    },
                );
            });
        }
    }

    /// The try said nothing.
    fn give_try_back(&mut self) {
        if let Some((breaker, lease)) = self.take_lease() {
            breaker.give_back(lease);
        }
        if let Some(host) = self.host.take()
            && let Some(balancer) = self.edge.balancer()
        {
            balancer.give_back(host);
        }
    }

    fn retry_over(&mut self) {
        if std::mem::take(&mut self.retrying)
            && let Some(budget) = self.edge.budget()
        {
            budget.retry_over();
        }
    }

    /// The call is over, for the first reason given. Only the place is kept, for the answer's body.
    fn end(&mut self, reason: GiveUp) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.edge.counters().call_ended(reason, self.tries);
        if self.begun.is_none() {
            self.give_try_back();
        }
        self.retry_over();
        if std::mem::take(&mut self.counted)
            && let Some(budget) = self.edge.budget()
        {
            budget.over();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.end(GiveUp::Cancelled);
        self.give_try_back();
        if let Some(bulkhead) = self.edge.bulkhead() {
            match self.place {
                Place::Outside => (),
                Place::InQueue(ticket) => bulkhead.give_up(ticket),
                Place::Inside => bulkhead.leave(),
            }
        }
    }
}

// === what is told ===

fn moved(now: Instant, moved: Option<Moved>, seen: &mut impl Observer) {
    if let Some(Moved { from, to, why }) = moved {
        seen.decided(now, Decision::BreakerMoved { from, to, why });
    }
}

fn injected(now: Instant, number: u32, injection: &Injection, seen: &mut impl Observer) {
    let then = match injection.then {
        Then::Send => None,
        Then::Abort { status } => Some(FaultKind::Abort(status)),
        Then::AbortGrpc { code } => Some(FaultKind::Abort(code.into())),
        Then::Drop => Some(FaultKind::Drop),
    };
    for fault in injection.delay.map(FaultKind::Delay).into_iter().chain(then) {
        seen.decided(now, Decision::FaultInjected { number, fault });
    }
}
