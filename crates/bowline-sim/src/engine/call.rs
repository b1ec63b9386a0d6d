//! Driving a call.
//!
//! What decides is [`Call`], the machine that production runs. Here its steps are obeyed: a try becomes a
//! message on a wire, a pause becomes an event, a place in a bulkhead's queue becomes a waker that plans one.
//! The same is done in production by `bowline-call`'s client and by the library's guard; a test of the library,
//! `same_code`, holds the client and this to the same decisions.

use super::Engine;
use super::event::What;
use super::job::{Job, Parent};
use super::slab::Handle;
use super::spent::Spent;
use crate::model::{EdgeId, EdgeKeys, Model, ServiceId};
use crate::run::Cause;
use crate::stream::{self, Draw, Purpose};
use bowline_fault::{Injection, Then};
use bowline_model::decision::{BreakerState, DeadlineSource, GiveUp, TryEnd};
use bowline_model::time::nanos;
use bowline_model::{Instant, Outcome, Priority, Random, SplitMix64};
use bowline_policy::balance::Joining;
use bowline_policy::deadline::combine;
use bowline_policy::{Ask, Balancer, Call, CallPolicy, Edge, End, Parts, Report, Step, Try, classify};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A call, from its beginning to its end.
#[derive(Debug)]
pub(super) struct CallUnderWay {
    /// `None` while Bowline is down: nobody decides anything.
    call: Option<Call>,
    rng: SplitMix64,
    pub(super) edge: EdgeId,
    pub(super) caller: Caller,
    pub(super) request: Handle,
    draw: Draw,
    site: u32,
    began: u64,
    /// When its present step began.
    mark: u64,
    /// Of its present step. Timers and answers of earlier ones carry another and are void.
    stamp: u32,
    /// Steps so far, of which each has a stamp.
    stamps: u32,
    doing: Doing,
    /// Which try it is, if it is one.
    number: u32,
    /// Its job at the callee, if it got that far.
    job: Option<Handle>,
    /// Tries that are under way beside the present one.
    beside: Vec<Beside>,
    /// What the timer carries that tells when the last try is late.
    late: u32,
    spent: Spent,
    effects: Option<Handle>,
    /// How a try ends that reaches nobody.
    failure: Report,
}

/// Whom a call is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// The request's own asker.
    Outside,
    /// An operation at work.
    Job(Handle),
    /// A consumer with a record.
    Delivery(Handle),
}

/// A try that is under way beside another.
#[derive(Clone, Copy, Debug)]
struct Beside {
    stamp: u32,
    number: u32,
    mark: u64,
    doing: Doing,
    failure: Report,
    job: Option<Handle>,
}

impl CallUnderWay {
    /// Whether somebody waits for the try of this stamp.
    pub(super) fn waits_for(&self, stamp: u32) -> bool {
        self.stamp == stamp || self.beside.iter().any(|other| other.stamp == stamp)
    }

    /// Makes the try of this stamp the present one; `false` if it is not under way.
    fn turn_to(&mut self, stamp: u32) -> bool {
        if self.stamp == stamp {
            return true;
        }
        let Some(index) = self.beside.iter().position(|other| other.stamp == stamp) else { return false };
        let present = self.present();
        let other = std::mem::replace(&mut self.beside[index], present);
        self.set_present(other);
        true
    }

    const fn present(&self) -> Beside {
        let Self { stamp, number, mark, doing, failure, job, .. } = *self;
        Beside { stamp, number, mark, doing, failure, job }
    }

    const fn set_present(&mut self, other: Beside) {
        let Beside { stamp, number, mark, doing, failure, job } = other;
        (self.stamp, self.number, self.mark) = (stamp, number, mark);
        (self.doing, self.failure, self.job) = (doing, failure, job);
    }

    const fn next_stamp(&mut self) -> u32 {
        self.stamps = self.stamps.wrapping_add(1);
        self.stamps
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Waiting,
    Trying { until_is_deadline: bool },
    Sleeping,
}

/// The shortest time after which TCP sends again what was lost: Linux's `TCP_RTO_MIN`. It doubles each time.
const LOST_AND_SENT_AGAIN: Duration = Duration::from_millis(200);
/// The most times that one message is lost; at 200 ms that is twenty-five seconds.
const LOSSES_MAX: u32 = 7;

// === driving ===

impl Engine<'_> {
    /// Begins a call of the `which`-th caller of the edge.
    #[expect(clippy::too_many_arguments, reason = "each is one fact about the call")]
    pub(super) fn begin_call(
        &mut self,
        id: EdgeId,
        which: u32,
        caller: Caller,
        request: Handle,
        draw: Draw,
        site: u32,
        effects: Option<Handle>,
    ) {
        let model = self.model;
        let edge = &model.edges[id.index()];
        let now = self.instant();
        let arrived = self.handed_on(caller);
        let spoken = [
            arrived.map(|(deadline, ..)| (DeadlineSource::Incoming, deadline.since(now))),
            edge.spec.deadline.map(|span| (DeadlineSource::Policy, span)),
        ];
        let (deadline, deadline_by) = combine(now, spoken.into_iter().flatten());
        let arrived_try = arrived.map_or(0, |(_, number, _)| number);
        let priority = arrived.and_then(|(.., priority)| priority);
        let mut rng = stream::draw(self.spec.seed, edge.stream, Purpose::Policy, draw.of_try(site, 1));
        // Faults are drawn from a number of their own; what has none does not need one.
        let seed = if edge.spec.policy.faults.faults().is_empty() && !self.world.has_faults {
            0
        } else {
            stream::draw(self.spec.seed, edge.stream, Purpose::Injection, draw.of_try(site, 1)).next_u64()
        };
        let to = model.operations[edge.spec.to.index()].service;
        let hosts = model.services[to.index()].replicas.min(u32::from(u16::MAX)) as u16;
        let (call, step) = if self.world.bowline_down > 0 {
            (None, None)
        } else {
            let instance = self.instances.of(id, which);
            let ask = Ask {
                now,
                deadline,
                deadline_by,
                repeatable: edge.spec.repeatable,
                hosts,
                hash: None,
                arrived_try,
                priority,
                seed,
            };
            self.record.call_begins(id.index(), draw.request, ask, &rng);
            let seen = &mut self.record.seen(id.index(), draw.request);
            let (call, step) = Call::begin(&instance.edge, ask, &mut rng, seen);
            (Some(call), Some(step))
        };
        self.hold(request);
        self.hold_effects(effects);
        let handle = self.calls.insert(CallUnderWay {
            call,
            rng,
            edge: id,
            caller,
            request,
            draw,
            site,
            began: self.now,
            mark: self.now,
            stamp: 0,
            stamps: 0,
            doing: Doing::Sleeping,
            number: 0,
            job: None,
            beside: Vec::new(),
            late: 0,
            spent: Spent::default(),
            effects,
            failure: Report::new(TryEnd::ConnectFailed, Outcome::Refused),
        });
        match step {
            Some(step) => self.obey(handle, step),
            // Whoever asks a Bowline that is not there meets a refused connection.
            None => self.future.after(0, What::Fails { call: handle, stamp: 0 }),
        }
    }

    /// The deadline, the number and the priority of the try that the caller works on, if it hands them on.
    fn handed_on(&self, caller: Caller) -> Option<(Instant, u32, Option<Priority>)> {
        let Caller::Job(job) = caller else { return None };
        let job = self.jobs.get(job)?;
        let service = self.stations[job.station as usize].service;
        self.model.services[service.index()]
            .forwards
            .then(|| (Instant::from_nanos(job.deadline), job.number, job.priority))
    }

    /// Does what the machine says.
    fn obey(&mut self, handle: Handle, step: Step) {
        let Some(call) = self.calls.get_mut(handle) else { return };
        if let Step::Watch { until } = step {
            return self.plan_late(handle, until);
        }
        if matches!((call.doing, step), (Doing::Trying { .. }, Step::Send(_))) {
            call.beside.push(call.present());
        }
        call.stamp = call.next_stamp();
        call.mark = self.now;
        let stamp = call.stamp;
        match step {
            Step::Send(what) => {
                (call.number, call.job) = (what.number, None);
                call.doing = Doing::Trying { until_is_deadline: what.until_is_deadline };
                self.send(handle, what);
                self.plan_late(handle, what.hedge_at);
            }
            Step::Watch { .. } => (),
            Step::Sleep { until } => {
                call.doing = Doing::Sleeping;
                self.future.plan(self.rings(until), What::Wakes { call: handle, stamp });
            }
            Step::Wait { until } => {
                call.doing = Doing::Waiting;
                self.future.plan(self.rings(until), What::Wakes { call: handle, stamp });
                // The first look leaves the waker there.
                self.granted(handle);
            }
            Step::End(end) => self.call_over(handle, &end),
        }
    }

    /// Sets the timer that tells when the last try is late.
    fn plan_late(&mut self, handle: Handle, until: Instant) {
        let Some(call) = self.calls.get_mut(handle).filter(|_| until < Instant::FAR) else { return };
        call.late = call.next_stamp();
        let stamp = call.late;
        self.future.plan(self.rings(until), What::Late { call: handle, stamp });
    }

    /// The last try of a call is late.
    pub(super) fn late(&mut self, handle: Handle, stamp: u32) {
        let Some(under_way) = self.calls.get_mut(handle).filter(|call| call.late == stamp) else { return };
        if !matches!(under_way.doing, Doing::Trying { .. }) {
            return;
        }
        let seen = &mut self.record.seen(under_way.edge.index(), under_way.draw.request);
        let Some(call) = &mut under_way.call else { return };
        // What is sent in the simulator has no body that could be missing.
        let step = call.overdue(Instant::from_nanos(self.now), true, &mut under_way.rng, seen);
        self.obey(handle, step);
    }

    /// When a timer rings that is set for `until`.
    #[inline]
    fn rings(&self, until: Instant) -> u64 {
        match nanos(self.spec.timers) {
            0 => until.as_nanos(),
            grid => until.as_nanos().checked_next_multiple_of(grid).unwrap_or(u64::MAX),
        }
    }

    /// A pause or a wait is over.
    pub(super) fn wakes(&mut self, handle: Handle, stamp: u32) {
        let Some(under_way) = self.calls.get_mut(handle).filter(|call| call.stamp == stamp) else { return };
        let cause = if under_way.doing == Doing::Waiting { Cause::Bulkhead } else { Cause::Backoff };
        under_way.spent.add(cause, self.now - under_way.mark);
        let seen = &mut self.record.seen(under_way.edge.index(), under_way.draw.request);
        let Some(call) = &mut under_way.call else { return };
        let step = call.woke(Instant::from_nanos(self.now), &mut under_way.rng, seen);
        self.obey(handle, step);
    }

    /// A call that waits for its place may have got it.
    pub(super) fn granted(&mut self, handle: Handle) {
        let Some(under_way) = self.calls.get_mut(handle).filter(|call| call.doing == Doing::Waiting) else {
            return;
        };
        let waker = Waker::from(Arc::new(Rouse { call: handle, roused: Arc::clone(&self.roused) }));
        let seen = &mut self.record.seen(under_way.edge.index(), under_way.draw.request);
        let Some(call) = &mut under_way.call else { return };
        let now = Instant::from_nanos(self.now);
        if let Poll::Ready(step) =
            call.poll_place(now, &mut Context::from_waker(&waker), &mut under_way.rng, seen)
        {
            under_way.spent.add(Cause::Bulkhead, self.now - under_way.mark);
            self.obey(handle, step);
        }
    }

    /// Plans a look for every call whose waker was woken.
    #[cold]
    pub(super) fn rouse(&mut self) {
        for call in self.roused.take() {
            self.future.after(0, What::Granted { call });
        }
    }

    /// A try's time is over: nobody waits for its answer any more.
    pub(super) fn try_over(&mut self, handle: Handle, stamp: u32) {
        let Some(call) = self.calls.get_mut(handle) else { return };
        if !call.turn_to(stamp) {
            return;
        }
        let Doing::Trying { until_is_deadline } = call.doing else { return };
        let end = if until_is_deadline { TryEnd::DeadlineExceeded } else { TryEnd::TimedOut };
        self.try_ended(handle, Report::new(end, classify::of(end, false)), Spent::default());
    }

    /// A try that reached nobody is over.
    pub(super) fn fails(&mut self, handle: Handle, stamp: u32) {
        let Some(call) = self.calls.get_mut(handle) else { return };
        if !call.turn_to(stamp) {
            return;
        }
        let report = call.failure;
        self.try_ended(handle, report, Spent::default());
    }

    /// An answer reaches the caller, if it still waits.
    pub(super) fn answers(&mut self, job: Handle) {
        let Some(job) = self.forget_job(job) else { return };
        let Parent::Call { call: handle, stamp } = job.parent else { return self.release(job.request) };
        if self.calls.get_mut(handle).is_some_and(|call| call.turn_to(stamp)) {
            let mut spent = job.spent;
            spent.add(Cause::Network, self.now - job.mark);
            self.try_ended(handle, job.answer, spent);
        }
        self.release(job.request);
    }

    fn try_ended(&mut self, handle: Handle, report: Report, spent: Spent) {
        let now = self.instant();
        let Some(under_way) = self.calls.get_mut(handle) else { return };
        let took = self.now - under_way.mark;
        match report.outcome {
            Outcome::Succeeded | Outcome::Pending => {
                // For a hedge the caller has waited before it was sent.
                if 1 < under_way.number && !under_way.beside.is_empty() {
                    let first = under_way.beside.iter().map(|other| other.mark).min();
                    let waited = under_way.mark.saturating_sub(first.unwrap_or(under_way.mark));
                    under_way.spent.add(Cause::TimeoutWait, waited);
                }
                under_way.spent += spent;
            }
            // Others are under way, and what they take is told of them.
            _ if !under_way.beside.is_empty() => (),
            _ => {
                let nobody = matches!(report.end, TryEnd::TimedOut | TryEnd::DeadlineExceeded);
                under_way.spent.add(if nobody { Cause::TimeoutWait } else { Cause::Retry }, took);
            }
        }
        let Some(call) = &mut under_way.call else {
            let end = End {
                reason: GiveUp::Cancelled,
                outcome: report.outcome,
                tries: 0,
                last: Some(report.end),
                retry_after: None,
            };
            return self.call_over(handle, &end);
        };
        let seen = &mut self.record.seen(under_way.edge.index(), under_way.draw.request);
        let step = call.ended_try(under_way.number, now, report, &mut under_way.rng, seen);
        match (step, under_way.beside.pop()) {
            // The others go on.
            (Step::Watch { .. }, Some(other)) => under_way.set_present(other),
            (_, other) => {
                under_way.doing = Doing::Sleeping;
                let others = other.into_iter().chain(std::mem::take(&mut under_way.beside));
                for job in others.filter_map(|other| other.job) {
                    self.cancelled(job);
                }
            }
        }
        self.obey(handle, step);
    }

    fn call_over(&mut self, handle: Handle, end: &End) {
        // Dropping the machine gives its place to the next, who is woken by it.
        let Some(under_way) = self.calls.remove(handle) else { return };
        let record = &mut self.record.edges[under_way.edge.index()];
        record.calls += 1;
        record.succeeded += u64::from(matches!(end.outcome, Outcome::Succeeded | Outcome::Pending));
        record.took.add(self.now - under_way.began);
        if let Some(effects) = under_way.effects {
            self.release_effects(effects);
        }
        match under_way.caller {
            Caller::Outside => self.root_over(under_way.request, end.outcome, under_way.spent),
            Caller::Job(job) => self.call_of_job_over(job, end, under_way.spent),
            Caller::Delivery(delivery) => self.call_of_delivery_over(delivery, end, under_way.spent),
        }
        self.release(under_way.request);
    }

    /// Bowline goes down: it takes every call with it. Tries that were sent may have an effect yet.
    pub(super) fn break_all_calls(&mut self) {
        let all: Vec<Handle> = self.calls.iter().map(|(handle, _)| handle).collect();
        for handle in all {
            let Some(call) = self.calls.get_mut(handle) else { continue };
            call.call = None;
            call.beside.clear();
            let sent = matches!(call.doing, Doing::Trying { .. });
            let end = if sent { TryEnd::Reset } else { TryEnd::ConnectFailed };
            self.try_ended(handle, Report::new(end, classify::of(end, false)), Spent::default());
        }
    }

    /// The caller is gone: nobody waits for the call.
    pub(super) fn abandon_calls(&mut self, gone: impl Fn(Handle) -> bool) {
        let of_gone = |call: &CallUnderWay| matches!(call.caller, Caller::Job(job) if gone(job));
        let all: Vec<Handle> =
            self.calls.iter().filter(|(_, call)| of_gone(call)).map(|(handle, _)| handle).collect();
        for handle in all {
            if let Some(call) = self.calls.remove(handle) {
                if let Some(effects) = call.effects {
                    self.release_effects(effects);
                }
                self.release(call.request);
            }
        }
    }
}

// === a try on its way ===

impl Engine<'_> {
    fn send(&mut self, handle: Handle, what: Try) {
        let Some(call) = self.calls.get(handle) else { return };
        let (id, stamp, request, effects) = (call.edge, call.stamp, call.request, call.effects);
        let draw = call.draw.of_try(call.site, what.number);
        let poisoned = match call.caller {
            Caller::Delivery(delivery) => self.deliveries.get(delivery).is_some_and(|record| record.poison),
            Caller::Outside | Caller::Job(_) => false,
        };
        let seed = call.call.as_ref().map_or(0, |call| call.ask().seed);
        let edge = &self.model.edges[id.index()];
        let operation = &self.model.operations[edge.spec.to.index()];
        self.record.edges[id.index()].tries += 1;
        self.record.second.tries += 1;
        if what.until < Instant::FAR {
            self.future.plan(self.rings(what.until), What::TryOver { call: handle, stamp });
        }
        let injection = self.injection(what, edge.caller, operation.service, seed);
        let held_back = injection.delay.map_or(0, |delay| self.rings(self.instant() + delay) - self.now);
        let failure = match injection.then {
            Then::Send => None,
            Then::Abort { status } => Some(TryEnd::Answered { status }),
            Then::AbortGrpc { code } => Some(TryEnd::AnsweredGrpc { code, trailers_only: true }),
            Then::Drop => Some(TryEnd::ConnectFailed),
        };
        if let Some(end) = failure {
            if let Some(call) = self.calls.get_mut(handle) {
                call.failure = Report::new(end, classify::of(end, false));
            }
            self.future.after(held_back, What::Fails { call: handle, stamp });
            return;
        }
        // Held back until its time is over, it is never sent.
        if 0 < held_back && what.until.as_nanos() <= self.now.saturating_add(held_back) {
            return;
        }
        let took = self.wire(id, Purpose::There, draw);
        // What is not the usual is said to the callee.
        let arrived = self.calls.get(handle).and_then(|call| call.call.as_ref()?.ask().priority);
        let said = arrived.or_else(|| edge.spec.policy.unusual_priority());
        let station = self.stations_of[operation.service.index()] + u32::from(what.host);
        let parent = Parent::Call { call: handle, stamp };
        let mut job = Job::new(parent, request, edge.spec.to, station, draw);
        job.pc = operation.begins;
        job.deadline = what.until.as_nanos();
        job.number = what.number;
        job.priority = said;
        job.effects = effects;
        job.poisoned = poisoned;
        job.asked_by = edge.caller;
        if operation.pending {
            job.answer = Report::new(TryEnd::Answered { status: 202 }, Outcome::Pending);
        }
        job.mark = self.now;
        let job = self.jobs.insert(job);
        if let Some(call) = self.calls.get_mut(handle) {
            call.job = Some(job);
        }
        self.hold(request);
        self.hold_effects(effects);
        self.hold_to_limit(self.jobs.len());
        self.future.after(held_back.saturating_add(took), What::Reaches { job });
    }

    /// What happens inside the try: by the call's own faults, and by those of the world that strike there.
    fn injection(&self, what: Try, from: Option<ServiceId>, to: ServiceId, seed: u64) -> Injection {
        match self.world.injection(from, to, seed, what.number) {
            Some(of_world) if what.injection.then == Then::Send => {
                Injection { delay: what.injection.delay, then: of_world.then }
            }
            _ => what.injection,
        }
    }

    /// How long a message is on the wire.
    pub(super) fn wire(&self, id: EdgeId, purpose: Purpose, draw: Draw) -> u64 {
        let edge = &self.model.edges[id.index()];
        let extra = self.world.extra_latency(id);
        if edge.spec.latency == crate::Dist::ZERO && edge.spec.loss == 0.0 {
            return extra;
        }
        let mut rng = stream::draw(self.spec.seed, edge.stream, purpose, draw);
        let mut took = extra + edge.spec.latency.sample(&mut rng);
        let mut again = nanos(LOST_AND_SENT_AGAIN);
        for _ in 0..LOSSES_MAX {
            if edge.spec.loss <= rng.unit() {
                break;
            }
            took += again;
            again *= 2;
        }
        took
    }
}

// === who calls, each with policies of its own ===

/// The policies of every caller of every edge.
#[derive(Debug)]
pub(super) struct Instances {
    all: Vec<Instance>,
    /// Where each edge's instances begin.
    of_edge: Vec<usize>,
    /// What those counted that are gone.
    gone: Vec<BTreeMap<&'static str, (GiveUp, u64)>>,
}

/// One caller of one edge.
#[derive(Debug)]
pub(super) struct Instance {
    edge: Arc<Edge>,
}

impl Instance {
    fn is_shut(&self, now: Instant) -> bool {
        let shut = |state| matches!(state, BreakerState::Open | BreakerState::HalfOpen);
        self.edge.breaker().is_some_and(|breaker| shut(breaker.state(now)))
    }
}

impl Instances {
    pub(super) fn new(model: &Model) -> Self {
        let mut instances =
            Self { all: Vec::new(), of_edge: Vec::new(), gone: vec![BTreeMap::new(); model.edges.len()] };
        for edge in &model.edges {
            instances.of_edge.push(instances.all.len());
            for _ in 0..edge.callers {
                let edge = Edge::new(CallPolicy::default());
                instances.all.push(Instance { edge });
            }
        }
        instances.begin_anew(model, Instant::ZERO, |_, _| true);
        instances
    }

    fn of(&self, edge: EdgeId, which: u32) -> &Instance {
        &self.all[self.of_edge[edge.index()] + which as usize]
    }

    /// Gives the callers that `who` names policies that have learned nothing yet, and says how many breakers
    /// were shut.
    pub(super) fn begin_anew(
        &mut self,
        model: &Model,
        now: Instant,
        who: impl Fn(Option<ServiceId>, u32) -> bool,
    ) -> u32 {
        let mut shut = 0;
        let mut known = BTreeMap::new();
        for (index, edge) in model.edges.iter().enumerate() {
            for which in 0..edge.callers {
                if !who(edge.caller, which) {
                    continue;
                }
                self.keep_counts(EdgeId(index as u32), which);
                let instance = &mut self.all[self.of_edge[index] + which as usize];
                shut += u32::from(instance.is_shut(now));
                instance.edge = edge_of(model, edge, which, now, &mut known);
            }
        }
        shut
    }

    fn keep_counts(&mut self, edge: EdgeId, which: u32) {
        let instance = &self.all[self.of_edge[edge.index()] + which as usize];
        for (reason, count) in instance.edge.counters().ends() {
            self.gone[edge.index()].entry(reason.as_str()).or_insert((reason, 0)).1 += count;
        }
    }

    /// Why calls ended, by edge.
    pub(super) fn ends(mut self, model: &Model) -> Vec<Vec<(GiveUp, u64)>> {
        for (index, edge) in model.edges.iter().enumerate() {
            (0..edge.callers).for_each(|which| self.keep_counts(EdgeId(index as u32), which));
        }
        self.gone.into_iter().map(|ends| ends.into_values().collect()).collect()
    }
}

/// What the edges of one caller share, by its key.
type Known<'m> = BTreeMap<(Option<ServiceId>, u32, &'m str), Parts>;

/// The policies of one caller: edges of its that have a key in common share what goes by that key.
fn edge_of<'m>(
    model: &Model,
    edge: &'m crate::model::Edge,
    which: u32,
    now: Instant,
    known: &mut Known<'m>,
) -> Arc<Edge> {
    let EdgeKeys { breaker, budget, retry_throttle, bulkhead, rate, admission, hedge, balance } =
        &edge.spec.keys;
    let CallPolicy { balance: settings, outlier, .. } = &edge.spec.policy;
    let at = |key: &'m str| (edge.caller, which, key);
    let parts = Parts {
        breaker: known.get(&at(breaker)).and_then(|parts| parts.breaker.clone()),
        budget: known.get(&at(budget)).and_then(|parts| parts.budget.clone()),
        retry_throttle: known.get(&at(retry_throttle)).and_then(|parts| parts.retry_throttle.clone()),
        bulkhead: known.get(&at(bulkhead)).and_then(|parts| parts.bulkhead.clone()),
        rate: known.get(&at(rate)).and_then(|parts| parts.rate.clone()),
        admission: known.get(&at(admission)).and_then(|parts| parts.admission.clone()),
        // An edge leads to one operation: what is known of it is its own.
        median: None,
        hedge: known.get(&at(hedge)).and_then(|parts| parts.hedge.clone()),
        balancer: {
            let before = known.get(&at(balance)).and_then(|parts| parts.balancer.as_ref());
            let hosts = hosts(model, edge);
            Some(match before.filter(|known| known.is_made_of(settings, outlier.as_ref(), &hosts)) {
                Some(same) => Arc::clone(same),
                None => Balancer::new(*settings, *outlier, hosts, now, before.map(|before| &**before)),
            })
        },
        counters: Arc::default(),
    };
    let made = Edge::with(edge.spec.policy.clone(), parts);
    for key in [breaker, budget, retry_throttle, bulkhead, rate, admission, hedge, balance]
        .into_iter()
        .filter(|key| !key.is_empty())
    {
        let shared = known.entry(at(key)).or_default();
        let Parts {
            breaker: a,
            budget: b,
            bulkhead: c,
            rate: d,
            admission: f,
            balancer: e,
            hedge: g,
            retry_throttle: h,
            ..
        } = made.parts();
        for_key(breaker, key, &mut shared.breaker, a.as_ref());
        for_key(budget, key, &mut shared.budget, b.as_ref());
        for_key(retry_throttle, key, &mut shared.retry_throttle, h.as_ref());
        for_key(bulkhead, key, &mut shared.bulkhead, c.as_ref());
        for_key(rate, key, &mut shared.rate, d.as_ref());
        for_key(admission, key, &mut shared.admission, f.as_ref());
        for_key(balance, key, &mut shared.balancer, e.as_ref());
        for_key(hedge, key, &mut shared.hedge, g.as_ref());
    }
    made
}

/// The replicas that the edge's calls go to.
fn hosts(model: &Model, edge: &crate::model::Edge) -> Vec<Joining> {
    let to = model.operations[edge.spec.to.index()].service;
    let replicas = model.services[to.index()].replicas.min(u32::from(u16::MAX));
    (0..replicas).map(|replica| Joining { key: replica.to_string().into(), weight: 1 }).collect()
}

/// Keeps a part under `key`, if that is its key.
fn for_key<T>(own: &str, key: &str, kept: &mut Option<Arc<T>>, part: Option<&Arc<T>>) {
    if own == key && part.is_some() {
        *kept = part.cloned();
    }
}

// === who waits for a place ===

/// Calls whose wakers were woken.
#[derive(Debug, Default)]
pub(super) struct Roused {
    any: AtomicBool,
    calls: Mutex<Vec<Handle>>,
}

impl Roused {
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    fn take(&self) -> Vec<Handle> {
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Wakes one call.
#[derive(Debug)]
struct Rouse {
    call: Handle,
    roused: Arc<Roused>,
}

impl Wake for Rouse {
    fn wake(self: Arc<Self>) {
        self.roused.any.store(true, Ordering::Relaxed);
        self.roused.calls.lock().unwrap_or_else(PoisonError::into_inner).push(self.call);
    }
}
