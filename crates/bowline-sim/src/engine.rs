//! The events, and what each does.
//!
//! One loop takes the next event and calls what it is for. What is under way lies in slabs: requests, the
//! calls they make, the jobs that these calls become at a callee, and the records on their way. A call is
//! [`bowline_policy::Call`]; the engine is its driver, as proxy and library are in production.
//!
//! - `event`: what is to happen, in order
//! - `slab`: things with a number
//! - `request`: what came in, and what becomes of it
//! - `call`: driving a call
//! - `job`: what a callee does
//! - `machine`: cores that are shared
//! - `topic`: records and those who read them
//! - `world`: what is broken at the moment
//! - `spent`: where the time went
//! - `record`: what is remembered of it all

mod call;
mod event;
mod job;
mod machine;
mod record;
mod request;
mod slab;
mod spent;
#[cfg(test)]
mod tests;
mod topic;
mod world;

use crate::model::Model;
use crate::run::{Ending, Progress, Run, RunSpec, Watched};
use bowline_model::Instant;
use bowline_model::time::nanos;
use call::{CallUnderWay, Instances, Roused};
use event::{Event, Future, What};
use job::{Job, Station};
use machine::Machine;
use record::Recorder;
use request::{Door, Effects, Request};
use slab::{Handle, Slab};
use std::ops::ControlFlow;
use std::sync::Arc;
use topic::{Delivery, Group};
use world::World;

pub(crate) fn run(spec: &RunSpec, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Run {
    let mut engine = Engine::new(spec);
    engine.go(progress);
    engine.over()
}

/// The same run, for the calls that a request makes by an edge.
pub(crate) fn run_watched(spec: &RunSpec, edge: u32, request: u64) -> Watched {
    let mut engine = Engine::new(spec);
    engine.record.watched = Some((edge, request, Watched::default()));
    engine.go(&mut |_| ControlFlow::Continue(()));
    engine.record.watched.take().map(|(_, _, watched)| watched).unwrap_or_default()
}

struct Engine<'s> {
    spec: &'s RunSpec,
    model: &'s Model,
    now: u64,
    future: Future,
    requests: Slab<Request>,
    calls: Slab<CallUnderWay>,
    jobs: Slab<Job>,
    deliveries: Slab<Delivery>,
    effects: Slab<Effects>,
    doors: Vec<Door>,
    instances: Instances,
    stations: Vec<Station>,
    /// Where each service's stations begin.
    stations_of: Vec<u32>,
    machines: Vec<Machine>,
    groups: Vec<Group>,
    world: World,
    roused: Arc<Roused>,
    record: Recorder,
    ending: Option<Ending>,
}

/// Progress is told about after so many events, however little time they took.
const EVENTS_BETWEEN_PROGRESS: u64 = 1 << 20;

impl<'s> Engine<'s> {
    fn new(spec: &'s RunSpec) -> Self {
        let model = &*spec.model;
        let (stations, stations_of) = job::stations(model);
        let mut engine = Self {
            spec,
            model,
            now: 0,
            future: Future::default(),
            requests: Slab::default(),
            calls: Slab::default(),
            jobs: Slab::default(),
            deliveries: Slab::default(),
            effects: Slab::default(),
            doors: request::doors(model, spec.seed),
            instances: Instances::new(model),
            stations,
            stations_of,
            machines: model.machines.iter().map(|machine| Machine::new(machine.cores)).collect(),
            groups: topic::groups(model),
            world: World::new(model),
            roused: Arc::default(),
            record: Recorder::new(spec),
            ending: None,
        };
        for entry in 0..engine.doors.len() {
            engine.expect_next(entry);
        }
        for (fault, event) in spec.faults.iter().enumerate() {
            engine.future.plan(event.at.as_nanos(), What::Breaks { fault: fault as u32 });
        }
        engine.future.plan(SECOND, What::Tick);
        engine
    }

    fn go(&mut self, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) {
        let time_over = nanos(self.spec.warm_up + self.spec.length).saturating_add(nanos(self.spec.drain));
        let events_max = self.spec.limits.events_max;
        while self.ending.is_none() {
            let Some(Event { at, what, .. }) = self.future.next() else { break };
            if time_over < at {
                self.now = time_over;
                self.ending = Some(Ending::TimeOver);
                break;
            }
            self.now = at;
            self.record.events += 1;
            self.happen(what);
            if self.roused.any() {
                self.rouse();
            }
            if matches!(what, What::Tick) || self.record.events.is_multiple_of(EVENTS_BETWEEN_PROGRESS) {
                if progress(self.progress()).is_break() {
                    self.ending = Some(Ending::Stopped);
                }
                if events_max <= self.record.events {
                    self.ending = Some(Ending::EventsMax);
                }
            }
            if self.requests.len() == 0 && self.doors.iter().all(|door| door.closed) {
                break;
            }
        }
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Arrives { entry } => self.arrives(entry as usize),
            What::Reaches { job } => self.reaches(job),
            What::Goes { job } => self.goes(job),
            What::Worked { job } => self.worked(job),
            What::Shared { machine, stamp } => {
                let done = self.machines[machine as usize].done(stamp, self.now, machine, &mut self.future);
                if let Some(job) = done {
                    self.worked(job);
                }
            }
            What::Answers { job } => self.answers(job),
            What::Fails { call, stamp } => self.fails(call, stamp),
            What::TryOver { call, stamp } => self.try_over(call, stamp),
            What::Late { call, stamp } => self.late(call, stamp),
            What::Wakes { call, stamp } => self.wakes(call, stamp),
            What::Granted { call } => self.granted(call),
            What::Confirms { job } => self.confirms(job),
            What::Stores { request } => self.stores(request),
            What::Patience { request } => self.patience_over(request),
            What::Delivers { delivery } => self.delivers(delivery),
            What::Redelivers { delivery } => self.redelivers(delivery),
            What::Breaks { fault } => self.breaks(fault),
            What::Heals { fault } => self.heals(fault),
            What::Tick => self.tick(),
        }
    }

    /// A second is over: what has a height is looked at, what has a limit is held to it.
    fn tick(&mut self) {
        self.expire_records();
        let backlog = self.groups.iter().map(|group| group.backlog).sum();
        let deliveries = &self.deliveries;
        let lag = self.groups.iter_mut().map(|group| group.lag(deliveries, self.now)).max().unwrap_or(0);
        self.record.second_over(self.now, self.requests.len() as u32, backlog, lag);
        self.future.after(SECOND, What::Tick);
    }

    /// Holds what is under way to the limit. Called wherever something may grow.
    #[inline]
    fn hold_to_limit(&mut self, length: usize) {
        if self.spec.limits.in_flight_max as usize <= length {
            self.ending = Some(Ending::InFlightMax);
        }
    }

    fn progress(&self) -> Progress {
        Progress {
            simulated: std::time::Duration::from_nanos(self.now),
            of: self.spec.warm_up + self.spec.length,
            events: self.record.events,
            in_flight: self.requests.len() as u32,
        }
    }

    fn over(mut self) -> Run {
        let left: Vec<Handle> = self.requests.iter().map(|(handle, _)| handle).collect();
        for handle in left {
            if let Some(request) = self.requests.remove(handle) {
                self.record.gone(&request);
            }
        }
        let ending = self.ending.unwrap_or(Ending::Done);
        let edges = self.instances.ends(self.model);
        self.record.into_run(self.spec, ending, self.now, edges)
    }

    #[inline]
    fn instant(&self) -> Instant {
        Instant::from_nanos(self.now)
    }
}

const SECOND: u64 = 1_000_000_000;
