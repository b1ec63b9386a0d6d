//! What a callee does: it lets a try in or leaves it waiting, works through its program, and answers.

use super::Engine;
use super::call::Caller;
use super::event::What;
use super::slab::Handle;
use super::spent::Spent;
use super::world::Asked;
use crate::model::{Code, EdgeId, Model, OperationId, Overflow, ServiceId};
use crate::run::Cause;
use crate::stream::{self, Draw, Purpose};
use bowline_model::decision::{GiveUp, TryEnd};
use bowline_model::time::nanos;
use bowline_model::{Outcome, Priority, Random};
use bowline_policy::{End, Report, classify};
use std::collections::VecDeque;

/// One try at its callee; or a branch of its program, which is a job of its own without a place of its own.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: Handle,
    operation: OperationId,
    pub(super) station: u32,
    /// The next instruction.
    pub(super) pc: u32,
    draw: Draw,
    /// Who asks; `None`: somebody outside.
    pub(super) asked_by: Option<ServiceId>,
    pub(super) parent: Parent,
    /// When the caller gives up.
    pub(super) deadline: u64,
    /// Which try it is.
    pub(super) number: u32,
    /// What the call that it answers said it matters.
    pub(super) priority: Option<Priority>,
    state: State,
    arrived: u64,
    entered: u64,
    /// When what it does at present began.
    pub(super) mark: u64,
    pub(super) spent: Spent,
    /// What its work would take alone.
    work: u64,
    /// How long its station had been paused when its work began.
    paused: u64,
    /// Branches that are not over.
    branches: u32,
    /// What it answers. Until it fails, that it has done what was asked.
    pub(super) answer: Report,
    pub(super) effects: Option<Handle>,
    /// Whether it may be repeated, and all it does with it.
    repeatable: bool,
    /// It works and cannot succeed.
    pub(super) poisoned: bool,
    /// Its connection breaks before the answer.
    cut: bool,
    /// Its caller has cancelled it.
    cancelled: bool,
}

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    /// A try of this call.
    Call { call: Handle, stamp: u32 },
    /// A branch of this job.
    Branch(Handle),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// On the wire.
    Coming,
    /// In front of the service.
    Waiting,
    /// In a place of the service.
    Inside,
    /// On the wire again.
    Leaving,
}

impl Job {
    pub(super) const fn new(
        parent: Parent,
        request: Handle,
        operation: OperationId,
        station: u32,
        draw: Draw,
    ) -> Self {
        Self {
            request,
            operation,
            station,
            pc: 0,
            draw,
            asked_by: None,
            parent,
            deadline: u64::MAX,
            number: 1,
            priority: None,
            state: State::Coming,
            arrived: 0,
            entered: 0,
            mark: 0,
            spent: Spent::ZERO,
            work: 0,
            paused: 0,
            branches: 0,
            answer: Report::new(TryEnd::Answered { status: 200 }, Outcome::Succeeded),
            effects: None,
            repeatable: false,
            poisoned: false,
            cut: false,
            cancelled: false,
        }
    }

    fn has_failed(&self) -> bool {
        is_failure(&self.answer)
    }
}

fn is_failure(answer: &Report) -> bool {
    !matches!(answer.outcome, Outcome::Succeeded | Outcome::Pending)
}

/// One replica of a service.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) service: ServiceId,
    /// Which replica.
    pub(super) replica: u32,
    /// Jobs inside.
    running: u32,
    queue: VecDeque<Handle>,
    /// Faults that keep it down.
    pub(super) down: u32,
    pause: Pause,
    /// Jobs that go on, or have so much work left, once it is no longer paused.
    frozen: Vec<(Handle, u64)>,
}

#[derive(Debug, Default)]
struct Pause {
    /// Faults that pause it.
    by: u32,
    since: u64,
    /// Of pauses that are over.
    total: u64,
}

impl Pause {
    const fn total(&self, now: u64) -> u64 {
        if self.by == 0 { self.total } else { self.total + (now - self.since) }
    }
}

pub(super) fn stations(model: &Model) -> (Vec<Station>, Vec<u32>) {
    let (mut stations, mut begins) = (Vec::new(), Vec::new());
    for (service, spec) in model.services.iter().enumerate() {
        begins.push(stations.len() as u32);
        stations.extend((0..spec.replicas).map(|replica| Station {
            service: ServiceId(service as u32),
            replica,
            running: 0,
            queue: VecDeque::new(),
            down: 0,
            pause: Pause::default(),
            frozen: Vec::new(),
        }));
    }
    (stations, begins)
}

// === coming in ===

impl Engine<'_> {
    /// A try reaches its callee.
    pub(super) fn reaches(&mut self, handle: Handle) {
        let Some(job) = self.jobs.get_mut(handle) else { return };
        job.spent.add(Cause::Network, self.now - job.mark);
        (job.mark, job.arrived) = (self.now, self.now);
        // Looked at here and not when the try began: what was held back is sent later, and arrives later.
        let (by, to) = (job.asked_by, self.stations[job.station as usize].service);
        if self.world.vanishes(by, to) {
            return self.forget_and_release(handle);
        }
        let Some(job) = self.jobs.get_mut(handle) else { return };
        let station = &mut self.stations[job.station as usize];
        let index = station.service.index();
        let service = &self.model.services[index];
        let record = &mut self.record.services[index];
        record.arrived += 1;
        if station.down > 0 {
            return self.turn_away(handle, TryEnd::ConnectFailed, Outcome::Refused);
        }
        let asked = Asked { by: job.asked_by, draw: job.draw };
        if let Some(status) = self.world.error(station.service, station.replica, asked, self.spec.seed) {
            let end = TryEnd::Answered { status };
            return self.turn_away(handle, end, classify::of(end, false));
        }
        job.cut = self.world.cuts(station.service, asked, self.spec.seed);
        job.repeatable |= self.model.operations[job.operation.index()].idempotent;
        let counted = self.requests.get(job.request).is_some_and(|request| request.counted);
        let free = station.running < service.concurrency && station.pause.by == 0;
        if free && station.queue.is_empty() {
            self.record.work += u64::from(counted);
            return self.enter(handle);
        }
        if service.queue.is_some_and(|most| most as usize <= station.queue.len()) {
            record.overflowed += 1;
            let (end, outcome) = match service.overflow {
                Overflow::Shed => (TryEnd::Answered { status: 503 }, Outcome::Refused),
                Overflow::Unavailable => (TryEnd::Answered { status: 503 }, Outcome::Unknown),
                Overflow::ConnectionRefused => (TryEnd::ConnectFailed, Outcome::Refused),
            };
            return self.turn_away(handle, end, outcome);
        }
        self.record.work += u64::from(counted);
        job.state = State::Waiting;
        station.queue.push_back(handle);
        self.record.waits(index, station.queue.len());
    }

    /// Answers without letting it in.
    fn turn_away(&mut self, handle: Handle, end: TryEnd, outcome: Outcome) {
        if let Some(job) = self.jobs.get_mut(handle) {
            job.answer = Report::new(end, outcome);
            self.answers_over_wire(handle);
        }
    }

    fn enter(&mut self, handle: Handle) {
        let Some(job) = self.jobs.get_mut(handle) else { return };
        let station = &mut self.stations[job.station as usize];
        station.running += 1;
        job.state = State::Inside;
        let queued = self.now - job.mark;
        job.spent.add(Cause::Queue, queued);
        (job.mark, job.entered) = (self.now, self.now);
        self.record.services[station.service.index()].queued.add(queued);
        self.advance(handle);
    }

    /// It is a job's turn: it enters, or goes on.
    pub(super) fn goes(&mut self, handle: Handle) {
        if self.jobs.get(handle).is_some_and(|job| job.state == State::Inside) {
            self.advance(handle);
        }
    }

    /// The caller has cancelled this try, which was outrun. A callee that hands deadlines on sees that, and begins
    /// nothing for it; one that does not works in vain.
    pub(super) fn cancelled(&mut self, handle: Handle) {
        if let Some(job) = self.jobs.get_mut(handle) {
            job.cancelled = true;
        }
    }

    /// Places may have become free: those who wait enter, as many as there are.
    fn admit(&mut self, index: u32) {
        let mut passed = 0;
        loop {
            let station = &mut self.stations[index as usize];
            let service = &self.model.services[station.service.index()];
            if station.pause.by > 0 || service.concurrency <= station.running {
                break;
            }
            let Some(handle) = station.queue.pop_front() else { break };
            passed += 1;
            let Some(job) = self.jobs.get_mut(handle) else { continue };
            if service.forwards && (job.deadline <= self.now || job.cancelled) {
                // Nobody waits for it, and it knows: it is left alone, and answers to nobody.
                self.record.services[station.service.index()].skipped += 1;
                let counted = self.requests.get(job.request).is_some_and(|request| request.counted);
                self.record.work -= u64::from(counted);
                self.forget_and_release(handle);
                continue;
            }
            station.running += 1;
            job.state = State::Inside;
            let queued = self.now - job.mark;
            job.spent.add(Cause::Queue, queued);
            (job.mark, job.entered) = (self.now, self.now);
            self.record.services[station.service.index()].queued.add(queued);
            // Not at once: a queue of jobs without work would be as deep as the stack.
            self.future.after(0, What::Goes { job: handle });
        }
        self.record.waits_no_more(passed);
    }
}

// === working ===

impl Engine<'_> {
    /// Goes on with the program until something takes time.
    fn advance(&mut self, handle: Handle) {
        let model = self.model;
        loop {
            let Some(job) = self.jobs.get_mut(handle) else { return };
            let station = &mut self.stations[job.station as usize];
            if station.pause.by > 0 {
                station.frozen.push((handle, 0));
                return;
            }
            if job.has_failed() {
                return self.finish(handle);
            }
            match &model.code[job.pc as usize] {
                Code::Work(dist) => {
                    let operation = &model.operations[job.operation.index()];
                    // Pieces of work in one program draw apart by where they stand in it.
                    let draw = job.draw.at(job.pc - operation.begins);
                    let mut rng = stream::draw(self.spec.seed, operation.stream, Purpose::Work, draw);
                    let slow = self.world.slow(job.station);
                    let crowd =
                        nanos(model.services[station.service.index()].crowding) * u64::from(station.running);
                    let alone = dist.sample(&mut rng) + crowd;
                    let work = if slow == 1.0 { alone } else { (alone as f64 * slow).round() as u64 };
                    job.pc += 1;
                    job.mark = self.now;
                    job.paused = station.pause.total;
                    job.work = work;
                    return self.work(handle, work);
                }
                Code::Call { edge, site } => {
                    let (edge, site) = (*edge, *site);
                    job.pc += 1;
                    return self.call_of_job(handle, edge, site);
                }
                Code::Publish(topic) => {
                    job.mark = self.now;
                    let topic = *topic;
                    if self.world.is_broker_down(topic) {
                        self.record.topics[topic.index()].refused += 1;
                        self.fail(handle, 503);
                        continue;
                    }
                    let draw = job.draw.at(job.pc);
                    let took = self.confirmation(topic, draw);
                    self.future.after(took, What::Confirms { job: handle });
                    return;
                }
                Code::Fork { branches, join } => {
                    job.pc = *join;
                    job.branches = branches.len() as u32;
                    job.mark = self.now;
                    return self.fork(handle, branches);
                }
                Code::Choose(branches) => {
                    let operation = &model.operations[job.operation.index()];
                    let draw = job.draw.at(job.pc - operation.begins);
                    let drawn = stream::draw(self.spec.seed, operation.stream, Purpose::Choice, draw).unit();
                    let chosen = branches.iter().find(|(below, _)| drawn < *below).or(branches.last());
                    job.pc = chosen.map_or(job.pc + 1, |(_, start)| *start);
                }
                Code::Goto(target) => job.pc = *target,
                Code::End => return self.finish(handle),
            }
        }
    }

    /// Works for so long, on its own core or on a shared machine.
    fn work(&mut self, handle: Handle, work: u64) {
        let Some(job) = self.jobs.get(handle) else { return };
        let station = &self.stations[job.station as usize];
        match self.model.services[station.service.index()].machine {
            None => self.future.after(work, What::Worked { job: handle }),
            Some(machine) => {
                self.machines[machine.index()].begin(handle, work, self.now, machine.0, &mut self.future);
            }
        }
    }

    /// A stretch of work is over; unless its process was paused meanwhile, then so much is left.
    pub(super) fn worked(&mut self, handle: Handle) {
        let Some(job) = self.jobs.get_mut(handle).filter(|job| job.state == State::Inside) else { return };
        let station = &mut self.stations[job.station as usize];
        let paused = station.pause.total(self.now);
        let left = paused - job.paused;
        job.paused = paused;
        if station.pause.by > 0 {
            station.frozen.push((handle, left));
            return;
        }
        if left > 0 {
            return self.work(handle, left);
        }
        // What took longer than the work itself was waiting for a core, or for the process to go on.
        let took = self.now - job.mark;
        job.spent.add(Cause::Work, job.work.min(took));
        job.spent.add(Cause::Queue, took.saturating_sub(job.work));
        job.mark = self.now;
        self.advance(handle);
    }

    fn call_of_job(&mut self, handle: Handle, edge: EdgeId, site: u32) {
        let Some(job) = self.jobs.get_mut(handle) else { return };
        job.mark = self.now;
        let (request, draw, which) = (job.request, job.draw, self.stations[job.station as usize].replica);
        // Whatever a repeatable operation repeats is its own business.
        let effects = if job.repeatable { None } else { self.new_effects(edge) };
        self.begin_call(edge, which, Caller::Job(handle), request, draw, site, effects);
        if let Some(effects) = effects {
            self.release_effects(effects);
        }
    }

    /// A call that a job waited for is over.
    pub(super) fn call_of_job_over(&mut self, handle: Handle, end: &End, spent: Spent) {
        let Some(job) = self.jobs.get_mut(handle) else { return };
        job.spent += spent;
        job.mark = self.now;
        if !matches!(end.outcome, Outcome::Succeeded | Outcome::Pending) {
            let late = matches!(end.reason, GiveUp::DeadlineExceeded)
                || matches!(end.last, Some(TryEnd::DeadlineExceeded));
            // 424: what it depends on has failed for good, so asking this again cannot help either.
            let status = match end.outcome {
                Outcome::Failed => 424,
                _ if late => 504,
                _ => 503,
            };
            self.fail(handle, status);
        }
        self.advance(handle);
    }

    /// The broker has, or has not, what a job published.
    pub(super) fn confirms(&mut self, handle: Handle) {
        let Some(job) = self.jobs.get_mut(handle).filter(|job| job.state == State::Inside) else { return };
        let Code::Publish(topic) = &self.model.code[job.pc as usize] else { return };
        let topic = *topic;
        job.pc += 1;
        job.spent.add(Cause::Broker, self.now - job.mark);
        job.mark = self.now;
        if self.world.is_broker_down(topic) {
            self.record.topics[topic.index()].refused += 1;
            self.fail(handle, 503);
        } else {
            let (request, attempt) = (job.request, job.draw.attempt);
            self.append(request, topic, attempt, None);
        }
        self.advance(handle);
    }

    fn fork(&mut self, handle: Handle, branches: &[u32]) {
        for (number, start) in branches.iter().enumerate() {
            let Some(job) = self.jobs.get(handle) else { return };
            let draw = job.draw.at((number as u32 + 1) << 16);
            let (request, effects) = (job.request, job.effects);
            let branch = Job {
                pc: *start,
                deadline: job.deadline,
                number: job.number,
                priority: job.priority,
                state: State::Inside,
                arrived: self.now,
                mark: self.now,
                effects,
                repeatable: job.repeatable,
                ..Job::new(Parent::Branch(handle), request, job.operation, job.station, draw)
            };
            self.hold(request);
            self.hold_effects(effects);
            let branch = self.jobs.insert(branch);
            self.future.after(0, What::Goes { job: branch });
        }
        self.hold_to_limit(self.jobs.len());
    }

    /// What a job answers from now on.
    fn fail(&mut self, handle: Handle, status: u16) {
        if let Some(job) = self.jobs.get_mut(handle) {
            let end = TryEnd::Answered { status };
            job.answer = Report::new(end, classify::of(end, false));
        }
    }

    /// The program, or a branch of it, is over.
    fn finish(&mut self, handle: Handle) {
        let Some(job) = self.jobs.get_mut(handle) else { return };
        match job.parent {
            Parent::Branch(parent) => {
                let (spent, answer) = (job.spent, job.answer);
                self.forget_and_release(handle);
                self.branch_over(parent, spent, answer);
            }
            Parent::Call { call, stamp } => {
                if job.poisoned {
                    let end = TryEnd::Answered { status: 500 };
                    job.answer = Report::new(end, classify::of(end, false));
                }
                let (request, effects, well) = (job.request, job.effects, !job.has_failed());
                let (index, arrived, entered) = (job.station, job.arrived, job.entered);
                if job.cut {
                    job.answer = Report::new(TryEnd::Reset, classify::of(TryEnd::Reset, false));
                }
                let wanted = self.calls.get(call).is_some_and(|call| call.waits_for(stamp));
                let station = &mut self.stations[index as usize];
                station.running -= 1;
                let record = &mut self.record.services[station.service.index()];
                record.finished += 1;
                record.in_vain += u64::from(!wanted);
                record.response.add(self.now - arrived);
                record.busy += self.now - entered;
                self.record.second.worked += 1;
                if well {
                    self.effect_happened(request, effects);
                }
                if wanted {
                    self.answers_over_wire(handle);
                } else {
                    self.forget_and_release(handle);
                }
                self.admit(index);
            }
        }
    }

    /// A branch is over; the program goes on with the last of them, whose time counts.
    fn branch_over(&mut self, parent: Handle, spent: Spent, answer: Report) {
        let Some(job) = self.jobs.get_mut(parent) else { return };
        job.branches -= 1;
        if is_failure(&answer) && !job.has_failed() {
            job.answer = answer;
        }
        if job.branches == 0 {
            job.spent += spent;
            job.mark = self.now;
            self.future.after(0, What::Goes { job: parent });
        }
    }
}

// === going out ===

impl Engine<'_> {
    fn answers_over_wire(&mut self, handle: Handle) {
        let Some(job) = self.jobs.get_mut(handle) else { return };
        job.state = State::Leaving;
        job.mark = self.now;
        let (draw, from) = (job.draw, self.stations[job.station as usize].service);
        let Parent::Call { call, .. } = job.parent else { return };
        let Some(edge) = self.calls.get(call).map(|call| call.edge) else {
            return self.forget_and_release(handle);
        };
        if self.world.answer_vanishes(from, self.model.edges[edge.index()].caller) {
            return self.forget_and_release(handle);
        }
        let took = self.wire(edge, Purpose::Back, draw);
        self.future.after(took, What::Answers { job: handle });
    }

    /// The job is over; what it referred to is referred to less.
    pub(super) fn forget_job(&mut self, handle: Handle) -> Option<Job> {
        let job = self.jobs.remove(handle)?;
        if let Some(effects) = job.effects {
            self.release_effects(effects);
        }
        Some(job)
    }

    pub(super) fn forget_and_release(&mut self, handle: Handle) {
        if let Some(job) = self.forget_job(handle) {
            self.release(job.request);
        }
    }
}

// === when a process is paused or dies ===

impl Engine<'_> {
    pub(super) fn pause(&mut self, index: u32) {
        let pause = &mut self.stations[index as usize].pause;
        if pause.by == 0 {
            pause.since = self.now;
        }
        pause.by += 1;
    }

    pub(super) fn resume(&mut self, index: u32) {
        let station = &mut self.stations[index as usize];
        station.pause.by -= 1;
        if station.pause.by > 0 {
            return;
        }
        station.pause.total += self.now - station.pause.since;
        let total = station.pause.total;
        for (handle, left) in std::mem::take(&mut station.frozen) {
            if left == 0 {
                self.future.after(0, What::Goes { job: handle });
            } else if let Some(job) = self.jobs.get_mut(handle) {
                job.paused = total;
                self.work(handle, left);
            }
        }
        self.admit(index);
    }

    /// The process dies, and with it everything it works on and everything that waits in front of it.
    pub(super) fn crash(&mut self, index: u32) {
        let dies = |job: &Job| job.station == index && matches!(job.state, State::Waiting | State::Inside);
        let dead: Vec<Handle> =
            self.jobs.iter().filter(|(_, job)| dies(job)).map(|(handle, _)| handle).collect();
        let station = &mut self.stations[index as usize];
        self.record.waits_no_more(station.queue.len());
        station.queue.clear();
        station.frozen.clear();
        station.running = 0;
        let service = station.service;
        self.abandon_calls(|job| dead.binary_search(&job).is_ok());
        if let Some(machine) = self.model.services[service.index()].machine {
            let gone = |job: Handle| dead.binary_search(&job).is_ok();
            self.machines[machine.index()].forget(gone, self.now, machine.0, &mut self.future);
        }
        for handle in dead {
            let Some(job) = self.jobs.get_mut(handle) else { continue };
            if matches!(job.parent, Parent::Branch(_)) {
                self.forget_and_release(handle);
                continue;
            }
            self.record.services[service.index()].crashed += 1;
            // The connection breaks: it may have had an effect.
            job.answer = Report::new(TryEnd::Reset, classify::of(TryEnd::Reset, false));
            self.answers_over_wire(handle);
        }
    }
}
