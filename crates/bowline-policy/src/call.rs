//! One call, from its admission to its end.
//!
//! The machine decides, its driver acts. What it answers is always one thing to do next ([`Step`]): wait for
//! a place, send a try, sleep, or answer. Guard, client and simulator drive the same machine, which is why a
//! design can be tried out before it runs.
//!
//! In order: whether it is doomed, rate limit, admission, place in the bulkhead, then for each try: breaker,
//! host, faults, send, classify, record, and the question whether another follows.
//!
//! A try that is late may get another beside it, a hedge ([`Call::overdue`]). Then several are under way: each is
//! reported with [`Call::ended_try`], the first good answer ends the call, and whatever is under way beside it is
//! to be cancelled. A driver that cannot send two at once may leave [`Try::hedge_at`] alone.
//!
//! Dropping a [`Call`] is cancellation, at any step: its place, its place in the queue, its probe, its share
//! of the budget go back.

use crate::admission::Rejected;
use crate::balance::{Balancer, Picked, Tried};
use crate::breaker::{Admission, Lease, Moved};
use crate::classify::{self, Health};
use crate::counters::HedgeEnd;
use crate::deadline::until_of_try;
use crate::doomed;
use crate::edge::Edge;
use crate::hedge::HedgeSettings;
use crate::outlier::Judged;
use crate::report::{Pushback, Report};
use crate::retry::{Finished, RetryRule, Verdict};
use crate::shared::{Arrived, SharedBreaker, Turn};
use bowline_fault::{Injection, Then};
use bowline_model::decision::{
    BreakerState, DeadlineSource, FaultKind, GiveUp, Observer, TryEnd, WithheldWhy,
};
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
    /// Go on waiting for the tries that are under way, and call [`Call::overdue`] at `until`.
    Watch {
        /// When another may be sent beside them.
        until: Instant,
    },
    /// Answer. Whatever is still under way is cancelled.
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
    /// When it is late, if it has not ended: [`Call::overdue`] then. Never is [`Instant::FAR`].
    pub hedge_at: Instant,
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
        let (number, outcome) = (self.held.present.number, report.outcome);
        seen.decided(now, Decision::TryEnded { number, outcome, end, took: now.since(since) });
        self.held.settle(now, &report, took, rng, seen);
    }
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Waiting {
        until: Instant,
        ticket: u64,
    },
    Trying {
        what: Try,
    },
    /// A hedge was sent, or surely is not.
    Watching {
        hedge_at: Instant,
    },
    Sleeping {
        until: Instant,
    },
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
            Phase::Trying { what } => Step::Send(what),
            Phase::Watching { hedge_at } => Step::Watch { until: hedge_at },
            Phase::Over(end) => Step::End(end),
        }
    }

    /// After [`Step::Send`]: how the try ended. At any other time it repeats the step that is due. Where several
    /// are under way, [`Call::ended_try`] says which.
    #[inline]
    pub fn ended(
        &mut self,
        now: Instant,
        report: Report,
        rng: &mut impl Random,
        seen: &mut impl Observer,
    ) -> Step {
        self.ended_try(self.held.present.number, now, report, rng, seen)
    }

    /// How the try of this number ended, which is under way. Otherwise it repeats the step that is due.
    pub fn ended_try(
        &mut self,
        number: u32,
        now: Instant,
        report: Report,
        rng: &mut impl Random,
        seen: &mut impl Observer,
    ) -> Step {
        let hedge_at = match self.phase {
            Phase::Trying { what } => what.hedge_at,
            Phase::Watching { hedge_at } => hedge_at,
            _ => return self.woke(now, rng, seen),
        };
        if self.held.present.number != number && !self.held.turn_to(number) {
            return self.woke(now, rng, seen);
        }
        let Report { end, outcome, pushback, .. } = report;
        let UnderWay { since, is_hedge, .. } = self.held.present;
        let took = now.since(since);
        seen.decided(now, Decision::TryEnded { number, outcome, end, took });
        self.last = Some(end);
        self.unknown |= outcome == Outcome::Unknown;
        if number == 1 {
            self.held.learn(now, &report, took);
        }
        self.held.extra_over();
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
        if is_hedge {
            let won = !self.may_be_bettered(&report) && end != TryEnd::Cancelled;
            self.held.edge.counters().hedge_ended(if won { HedgeEnd::Won } else { HedgeEnd::Failed });
        }
        if !self.held.beside.is_empty() {
            if self.may_be_bettered(&report) {
                self.held.settle(now, &report, took, rng, seen);
                return self.watch_the_others(now, hedge_at, &report, seen);
            }
            // What is cancelled now may have had an effect.
            self.unknown = true;
        }
        match self.judge(now, report, rng) {
            Verdict::Again { after, why } => {
                self.held.settle(now, &report, took, rng, seen);
                self.held.present.retrying = true;
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

    /// After [`Step::Send`] or [`Step::Watch`], once a try is late: whether another is sent beside it. `kept`: the
    /// driver can send the request once more now, all of its body is here. Called too early, it says again when.
    ///
    /// The step is [`Step::Send`] or [`Step::Watch`]; what is under way goes on in either case.
    pub fn overdue(
        &mut self,
        now: Instant,
        kept: bool,
        rng: &mut impl Random,
        seen: &mut impl Observer,
    ) -> Step {
        let hedge_at = match self.phase {
            Phase::Trying { what } => what.hedge_at,
            Phase::Watching { hedge_at } => hedge_at,
            _ => return self.woke(now, rng, seen),
        };
        if now < hedge_at {
            return Step::Watch { until: hedge_at };
        }
        match self.hedge(now, kept, rng, seen) {
            Ok(what) => {
                self.phase = Phase::Watching { hedge_at: what.hedge_at };
                Step::Send(what)
            }
            Err(why) => {
                self.withheld(now, why, seen);
                self.phase = Phase::Watching { hedge_at: Instant::FAR };
                Step::Watch { until: Instant::FAR }
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

    /// Tries under way.
    #[must_use]
    pub const fn under_way(&self) -> u32 {
        match self.phase {
            Phase::Trying { .. } | Phase::Watching { .. } => 1 + self.held.beside.len() as u32,
            _ => 0,
        }
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
                    self.held.present.lease = Some(lease);
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
        self.held.present.host = host.balanced;
        self.held.begins(number, now);
        if number == 1 {
            self.held.begin_counting(now);
        }
        let what = self.started(now, number, host.index, (until, until_is_deadline), seen);
        self.phase = Phase::Trying { what };
        Step::Send(what)
    }

    /// A try begins: what is broken in it, and when it is late.
    #[inline]
    fn started(
        &mut self,
        now: Instant,
        number: u32,
        host: u16,
        (until, until_is_deadline): (Instant, bool),
        seen: &mut impl Observer,
    ) -> Try {
        let injection = self.held.edge.policy().faults.decide(self.ask.seed, number);
        injected(now, number, &injection, seen);
        seen.decided(now, Decision::TryStarted { number, host, within: until.since(now) });
        let hedge_at = match self.held.edge.hedge() {
            None => Instant::FAR,
            Some(_) => self.plan_hedge(now, until, seen),
        };
        Try { number, host, until, until_is_deadline, injection, hedge_at }
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
    ) -> Option<Where> {
        if number > 1 {
            self.forget_hosts();
        }
        let Some(balancer) = self.held.edge.balancer() else {
            return Some(Where { index: self.in_a_circle(number, rng), balanced: None });
        };
        let picked = balancer.pick(now, &mut self.tried, self.ask.hash, rng)?;
        // With one host there was nothing to decide.
        if balancer.len() > 1 {
            let Picked { host, why, pending, expected } = picked;
            seen.decided(now, Decision::HostPicked { number, host, why, pending, expected });
        }
        Some(Where { index: picked.host, balanced: Some(picked.host) })
    }

    /// Where a host may be asked again before each was asked once, nothing is known of the tries before; of those
    /// under way it is.
    #[cold]
    fn forget_hosts(&mut self) {
        if let RetryRule::Named(conditions) = &self.held.edge.policy().retry.rule
            && conditions.may_ask_again()
            && self.held.beside.is_empty()
        {
            self.tried = Tried::default();
        }
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
        if !self.held.beside.is_empty() {
            self.cancel_the_others(now, seen);
        }
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

/// Where a try goes.
#[derive(Clone, Copy)]
struct Where {
    index: u16,
    /// The host that counts it as under way.
    balanced: Option<u16>,
}

// === several tries at once ===

impl Call {
    /// When the try that begins now is late; never, if another would not be sent then.
    fn plan_hedge(&self, now: Instant, until: Instant, seen: &mut impl Observer) -> Instant {
        let Some(hedge) = self.held.edge.hedge() else { return Instant::FAR };
        if hedge.settings().tries.min(HedgeSettings::TRIES_MAX) <= self.held.tries {
            return Instant::FAR;
        }
        let after = if !self.ask.repeatable {
            Err(WithheldWhy::NotSafe)
        } else if self.held.edge.policy().cross_hop.retried_elsewhere(self.ask.arrived_try) {
            Err(WithheldWhy::RetriedElsewhere)
        } else if self.forbidden.is_some() {
            Err(WithheldWhy::BodyNotKept)
        } else {
            hedge.delay(now)
        };
        match after {
            Ok(after) if until <= now + after => self.withheld(now, WithheldWhy::DeadlineTooClose, seen),
            Ok(after) => {
                seen.decided(now, Decision::HedgePlanned { after });
                return now + after;
            }
            Err(why) => self.withheld(now, why, seen),
        }
        Instant::FAR
    }

    /// Sends another try beside those that are under way.
    ///
    /// What costs nothing is asked first, and what is taken comes back if something after it is not there. Only
    /// the share loses a hedge where the retry budget is empty: there is nothing to hedge with then.
    #[cold]
    fn hedge(
        &mut self,
        now: Instant,
        kept: bool,
        rng: &mut impl Random,
        seen: &mut impl Observer,
    ) -> Result<Try, WithheldWhy> {
        let edge = Arc::clone(&self.held.edge);
        let hedge = edge.hedge().ok_or(WithheldWhy::ShareReached)?;
        let remaining = self.ask.deadline.remaining(now);
        if remaining.is_zero() || hedge.usual(now).is_some_and(|usual| remaining <= usual) {
            return Err(WithheldWhy::DeadlineTooClose);
        }
        if !kept || self.forbidden.is_some() {
            return Err(WithheldWhy::BodyNotKept);
        }
        if edge.breaker().is_some_and(|breaker| breaker.state(now) != BreakerState::Closed) {
            return Err(WithheldWhy::BreakerNotClosed);
        }
        // Not by chance, as a retry is: a hedge does again what may well succeed by itself.
        if edge.admission().is_some_and(|admission| admission.is_rejecting(now)) {
            return Err(WithheldWhy::Throttled);
        }
        // One host may be many behind an address, so it is asked again; of several, another.
        if edge
            .balancer()
            .is_some_and(|balancer| 1 < balancer.len() && !balancer.has_untried(now, &self.tried))
        {
            return Err(WithheldWhy::NoHost);
        }
        let mut extra = UnderWay { since: now, ..UnderWay::default() };
        let taken = self.take_for_hedge(&mut extra, now, rng, seen);
        let (host, until) = match taken {
            Ok(taken) => taken,
            Err(why) => {
                self.held.let_go(extra, None);
                return Err(why);
            }
        };
        let number = self.held.tries + 1;
        let waited = now.since(self.held.present.since);
        self.held.put_beside(extra);
        self.held.begins(number, now);
        seen.decided(now, Decision::HedgeSent { number, waited });
        Ok(self.started(now, number, host, until, seen))
    }

    /// Takes what a hedge needs into `extra`, in this order: a place, the share, the budget, a lease, a host.
    fn take_for_hedge(
        &mut self,
        extra: &mut UnderWay,
        now: Instant,
        rng: &mut impl Random,
        seen: &mut impl Observer,
    ) -> Result<(u16, (Instant, bool)), WithheldWhy> {
        let edge = Arc::clone(&self.held.edge);
        if let Some(bulkhead) = edge.bulkhead() {
            extra.has_place = bulkhead.enter();
            if !extra.has_place {
                return Err(WithheldWhy::BulkheadFull);
            }
        }
        extra.is_hedge = edge.hedge().is_some_and(|hedge| hedge.take(now));
        if !extra.is_hedge {
            return Err(WithheldWhy::ShareReached);
        }
        if let Some(budget) = edge.budget() {
            extra.retrying = budget.try_retry(now);
            if !extra.retrying {
                return Err(WithheldWhy::BudgetExhausted);
            }
        }
        let until = until_of_try(self.ask.deadline, edge.policy().retry.per_try, now);
        if let Some(breaker) = edge.breaker() {
            let (admission, change) = breaker.admit(now, until.0, rng);
            moved(now, change, seen);
            let Admission::Passed { lease, state, failures, calls } = admission else {
                return Err(WithheldWhy::BreakerNotClosed);
            };
            extra.lease = Some(lease);
            // Another worker's failure may have opened it since it was looked at.
            if state != BreakerState::Closed {
                return Err(WithheldWhy::BreakerNotClosed);
            }
            seen.decided(now, Decision::BreakerPassed { state, failures, calls });
        }
        let number = self.held.tries + 1;
        let host = self.pick(now, number, rng, seen).ok_or(WithheldWhy::NoHost)?;
        extra.host = host.balanced;
        Ok((host.index, until))
    }

    /// Whether a try that is under way beside one that ended like this may still do better.
    fn may_be_bettered(&self, report: &Report) -> bool {
        report.end != TryEnd::Cancelled
            && (matches!(report.outcome, Outcome::Refused | Outcome::Unknown)
                || self.held.edge.policy().retry.rule.allows(report, self.ask.repeatable).is_ok())
    }

    /// A try failed and others are under way.
    #[cold]
    fn watch_the_others(
        &mut self,
        now: Instant,
        mut hedge_at: Instant,
        report: &Report,
        seen: &mut impl Observer,
    ) -> Step {
        if let Some(pushback) = report.pushback {
            if hedge_at < Instant::FAR {
                self.withheld(now, WithheldWhy::PushedBack, seen);
                hedge_at = Instant::FAR;
            }
            if pushback == Pushback::Never {
                self.forbidden.get_or_insert(GiveUp::NotRetryable);
            }
        }
        self.held.turn_to_another();
        self.phase = Phase::Watching { hedge_at };
        Step::Watch { until: hedge_at }
    }

    /// The call is over, and what is under way beside the last try is of no more use.
    #[cold]
    fn cancel_the_others(&mut self, now: Instant, seen: &mut impl Observer) {
        let end = match self.last {
            Some(TryEnd::Cancelled) => TryEnd::Cancelled,
            _ => TryEnd::Outrun,
        };
        while let Some(other) = self.held.take_another() {
            let (number, took) = (other.number, now.since(other.since));
            seen.decided(now, Decision::TryEnded { number, outcome: Outcome::Unknown, end, took });
            self.held.let_go(other, (end == TryEnd::Outrun).then_some(now));
        }
    }

    fn withheld(&self, now: Instant, why: WithheldWhy, seen: &mut impl Observer) {
        self.held.edge.counters().hedge_withheld(why);
        seen.decided(now, Decision::HedgeWithheld { why });
    }
}

// === what a call holds ===

/// What a call holds of its edge, each to be given back exactly once.
#[derive(Debug)]
struct Held {
    edge: Arc<Edge>,
    place: Place,
    /// The try that was sent last or, of several, ended last.
    present: UnderWay,
    /// Those under way beside it. Empty, and without memory of its own, until there is a hedge: nineteen calls of
    /// twenty, and every call where nobody hedges, are not made larger by what they do not have.
    beside: Vec<UnderWay>,
    /// Whether it counts among the budget's calls.
    counted: bool,
    /// Tries sent.
    tries: u32,
    /// Whether its end was counted.
    ended: bool,
    /// The last try, where its answer has only begun: it holds its lease.
    begun: Option<Begun>,
}

/// What one try holds.
#[derive(Clone, Copy, Debug, Default)]
struct UnderWay {
    /// From one.
    number: u32,
    since: Instant,
    lease: Option<Lease>,
    /// The host that counts it as under way.
    host: Option<u16>,
    /// Whether it counts among the budget's retries.
    retrying: bool,
    /// Whether it counts among the edge's hedges.
    is_hedge: bool,
    /// Whether it has a place in the bulkhead beside its call's.
    has_place: bool,
}

/// The most tries under way beside one.
const BESIDE_MAX: usize = HedgeSettings::TRIES_MAX as usize - 1;

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
    fn nothing(edge: Arc<Edge>) -> Self {
        Self {
            edge,
            place: Place::Outside,
            present: UnderWay::default(),
            beside: Vec::new(),
            counted: false,
            tries: 0,
            ended: false,
            begun: None,
        }
    }

    fn begin_counting(&mut self, now: Instant) {
        self.counted = true;
        if let Some(budget) = self.edge.budget() {
            budget.begun(now);
        }
        if let Some(hedge) = self.edge.hedge() {
            hedge.begun(now);
        }
    }

    /// The present try is sent.
    fn begins(&mut self, number: u32, now: Instant) {
        self.tries = number;
        self.present.number = number;
        self.present.since = now;
    }

    /// How long first tries take, as far as this one tells.
    #[inline]
    fn learn(&self, now: Instant, report: &Report, took: Duration) {
        let Some(hedge) = self.edge.hedge() else { return };
        let tells = match report.end {
            TryEnd::TimedOut | TryEnd::DeadlineExceeded => true,
            // How fast it failed says nothing about how long it takes to do it.
            _ => classify::health(report.end, report.outcome) == Health::Good,
        };
        if tells && !report.callers_turn {
            hedge.took(now, took);
        }
    }

    /// Makes the try of this number the present one; `false` if it is not under way.
    fn turn_to(&mut self, number: u32) -> bool {
        let Some(other) = self.beside.iter_mut().find(|other| other.number == number) else { return false };
        std::mem::swap(other, &mut self.present);
        true
    }

    /// The present try is over: another takes its place.
    fn turn_to_another(&mut self) {
        if let Some(other) = self.take_another() {
            self.present = other;
        }
    }

    fn take_another(&mut self) -> Option<UnderWay> {
        self.beside.pop()
    }

    /// `extra` becomes the present try, beside what was.
    fn put_beside(&mut self, extra: UnderWay) {
        self.beside.reserve_exact(BESIDE_MAX - self.beside.len());
        self.beside.push(std::mem::replace(&mut self.present, extra));
    }

    /// Gives back what a try holds that nobody waits for any more. `outrun`: when another was answered first, if
    /// that is why.
    #[cold]
    fn let_go(&self, under_way: UnderWay, outrun: Option<Instant>) {
        if let (Some(lease), Some(breaker)) = (under_way.lease, self.edge.breaker()) {
            breaker.give_back(lease);
        }
        if let (Some(host), Some(balancer)) = (under_way.host, self.edge.balancer()) {
            match outrun {
                Some(now) => balancer.outrun(host, now, now.since(under_way.since)),
                None => balancer.give_back(host),
            }
        }
        if let (Some(now), 1, Some(hedge)) = (outrun, under_way.number, self.edge.hedge()) {
            hedge.took_longer(now, now.since(under_way.since));
        }
        // One without a number was never sent.
        if under_way.is_hedge && 0 < under_way.number {
            let end = if outrun.is_some() { HedgeEnd::Outrun } else { HedgeEnd::Cancelled };
            self.edge.counters().hedge_ended(end);
        }
        self.give_extra_back(&under_way);
    }

    /// What a try holds because it is a further one.
    fn give_extra_back(&self, under_way: &UnderWay) {
        if under_way.retrying
            && let Some(budget) = self.edge.budget()
        {
            budget.retry_over();
        }
        if under_way.is_hedge
            && let Some(hedge) = self.edge.hedge()
        {
            hedge.hedge_over();
        }
        if under_way.has_place
            && let Some(bulkhead) = self.edge.bulkhead()
        {
            bulkhead.leave();
        }
    }

    fn take_lease(&mut self) -> Option<(&SharedBreaker, Lease)> {
        let lease = self.present.lease.take()?;
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
        if let Some(host) = self.present.host.take()
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
        if let Some(host) = self.present.host.take()
            && let Some(balancer) = self.edge.balancer()
        {
            balancer.give_back(host);
        }
    }

    /// The present try no longer counts as a further one.
    #[inline]
    fn extra_over(&mut self) {
        if self.present.retrying || self.present.is_hedge {
            let extra = self.present;
            self.present = UnderWay { retrying: false, is_hedge: false, has_place: false, ..extra };
            self.give_extra_back(&extra);
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
        // Nobody waits for them: those that were outrun are already gone.
        while let Some(other) = self.take_another() {
            self.let_go(other, None);
        }
        if self.present.is_hedge {
            self.edge.counters().hedge_ended(HedgeEnd::Cancelled);
        }
        self.extra_over();
        if std::mem::take(&mut self.counted) {
            if let Some(budget) = self.edge.budget() {
                budget.over();
            }
            if let Some(hedge) = self.edge.hedge() {
                hedge.over();
            }
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
