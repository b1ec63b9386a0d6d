//! What is broken at the moment.
//!
//! Faults begin and end rarely and are asked about at every step, so what follows from those that are under
//! way is worked out whenever one of them changes, and looked up otherwise.

use super::Engine;
use super::event::What;
use crate::fault::{Calls, FaultKind};
use crate::model::{EdgeId, Model, ServiceId, SubscriptionId, TopicId};
use crate::stream::{self, Draw, Purpose};
use bowline_fault::{Fault, Injection, Kind, Percent, Plan};
use bowline_model::Random;
use bowline_model::time::nanos;

/// What follows from the faults that are under way.
#[derive(Debug)]
pub(super) struct World {
    /// Whether there is any fault at all: where not, nothing else here is looked at.
    pub(super) has_faults: bool,
    under_way: Vec<u32>,
    pub(super) bowline_down: u32,
    services: Vec<OfService>,
    /// By station: how many times as long work takes.
    slow: Vec<f64>,
    /// Who does not hear whom; `None`: those outside.
    cuts: Vec<(Option<ServiceId>, Option<ServiceId>)>,
    /// By edge.
    extra: Vec<u64>,
    /// By topic.
    topics: Vec<OfTopic>,
}

/// Each fault with the calls it is about. Of several that are about one call the first one strikes.
#[derive(Clone, Debug, Default)]
struct OfService {
    errors: Vec<(Calls, Errors)>,
    resets: Vec<(Calls, Percent)>,
    /// Refuse first tries.
    plans: Vec<(Calls, Plan)>,
    blackholes: Vec<(Calls, ())>,
}

/// What a service answers instead of working.
#[derive(Clone, Copy, Debug)]
struct Errors {
    /// Which replica does; `None`: all.
    replica: Option<u32>,
    status: u16,
    percent: Percent,
}

/// Each fault with the consumers it is about.
#[derive(Clone, Debug, Default)]
struct OfTopic {
    down: bool,
    poison: Vec<(Option<SubscriptionId>, Percent)>,
    duplicates: Vec<(Option<SubscriptionId>, Percent)>,
}

/// The first fault that is about a call of this caller.
fn first<T>(faults: &[(Calls, T)], caller: Option<ServiceId>) -> Option<&T> {
    faults.iter().find(|(calls, _)| calls.include(caller)).map(|(_, fault)| fault)
}

/// Streams of faults, apart from all that have names.
const ERRORS: u64 = 1;
const RESETS: u64 = 2;
const POISON: u64 = 3;
const DUPLICATES: u64 = 4;

impl World {
    pub(super) fn new(model: &Model) -> Self {
        let stations = model.services.iter().map(|service| service.replicas as usize).sum();
        Self {
            has_faults: false,
            under_way: Vec::new(),
            bowline_down: 0,
            services: vec![OfService::default(); model.services.len()],
            slow: vec![1.0; stations],
            cuts: Vec::new(),
            extra: vec![0; model.edges.len()],
            topics: vec![OfTopic::default(); model.topics.len()],
        }
    }

    #[inline]
    pub(super) fn is_broker_down(&self, topic: TopicId) -> bool {
        self.has_faults && (self.bowline_down > 0 || self.topics[topic.index()].down)
    }

    /// The status that a service answers instead of working.
    #[inline]
    pub(super) fn error(&self, service: ServiceId, replica: u32, job: Asked, seed: u64) -> Option<u16> {
        let errors = self.of(service)?.errors.iter();
        let mut here = errors.filter(|(_, errors)| errors.replica.is_none_or(|only| only == replica));
        let (_, Errors { status, percent, .. }) = *here.find(|(calls, _)| calls.include(job.by))?;
        hits(percent, seed, service.0, ERRORS, job.draw).then_some(status)
    }

    /// Whether a connection breaks before the answer.
    #[inline]
    pub(super) fn cuts(&self, service: ServiceId, job: Asked, seed: u64) -> bool {
        let percent = self.of(service).and_then(|service| first(&service.resets, job.by));
        percent.is_some_and(|percent| hits(*percent, seed, service.0, RESETS, job.draw))
    }

    /// What a try meets that is refused by a fault of the world.
    #[inline]
    pub(super) fn injection(
        &self,
        from: Option<ServiceId>,
        to: ServiceId,
        seed: u64,
        number: u32,
    ) -> Option<Injection> {
        first(&self.of(to)?.plans, from).map(|plan| plan.decide(seed, number))
    }

    /// Whether what one sends to the other never arrives.
    #[inline]
    pub(super) fn vanishes(&self, from: Option<ServiceId>, to: ServiceId) -> bool {
        self.of(to).is_some_and(|service| {
            first(&service.blackholes, from).is_some() || self.cuts.contains(&(from, Some(to)))
        })
    }

    /// The same for an answer.
    #[inline]
    pub(super) fn answer_vanishes(&self, from: ServiceId, to: Option<ServiceId>) -> bool {
        self.has_faults && self.cuts.contains(&(Some(from), to))
    }

    #[inline]
    pub(super) fn slow(&self, station: u32) -> f64 {
        if self.has_faults { self.slow[station as usize] } else { 1.0 }
    }

    #[inline]
    pub(super) fn extra_latency(&self, edge: EdgeId) -> u64 {
        if self.has_faults { self.extra[edge.index()] } else { 0 }
    }

    /// Whether these consumers cannot process a record.
    pub(super) fn poisons(&self, topic: TopicId, reader: SubscriptionId, draw: Draw, seed: u64) -> bool {
        self.has_faults && strikes(&self.topics[topic.index()].poison, reader, seed, topic, POISON, draw)
    }

    /// Whether these consumers get a record twice.
    pub(super) fn duplicates(&self, topic: TopicId, reader: SubscriptionId, draw: Draw, seed: u64) -> bool {
        self.has_faults
            && strikes(&self.topics[topic.index()].duplicates, reader, seed, topic, DUPLICATES, draw)
    }

    fn of(&self, service: ServiceId) -> Option<&OfService> {
        self.has_faults.then(|| &self.services[service.index()])
    }

    /// Works out anew what follows from the faults under way.
    fn follow(&mut self, engine: &EngineView<'_>) {
        let under_way = std::mem::take(&mut self.under_way);
        let mut world = Self { under_way, ..Self::new(engine.model) };
        world.has_faults = !world.under_way.is_empty();
        for index in world.under_way.clone() {
            world.add(&engine.faults[index as usize].kind, engine);
        }
        *self = world;
    }

    fn add(&mut self, kind: &FaultKind, engine: &EngineView<'_>) {
        match kind {
            // What happens at their beginning and end is done to the stations themselves.
            FaultKind::Crash { .. } | FaultKind::Pause { .. } | FaultKind::ConsumerStuck { .. } => (),
            FaultKind::Slow { service, replica, factor } => {
                for station in engine.stations(*service, *replica) {
                    self.slow[station as usize] *= factor;
                }
            }
            FaultKind::Error { calls, replica, status, percent } => {
                let errors = Errors { replica: *replica, status: *status, percent: *percent };
                self.services[calls.to.index()].errors.push((*calls, errors));
            }
            FaultKind::Reset { calls, percent } => {
                self.services[calls.to.index()].resets.push((*calls, *percent));
            }
            FaultKind::DropFirst { calls, tries } => {
                let fault = Fault { kind: Kind::DropFirst(*tries), percent: Percent::ALWAYS };
                self.services[calls.to.index()].plans.push((*calls, Plan::new(vec![fault])));
            }
            FaultKind::Blackhole { calls } => self.services[calls.to.index()].blackholes.push((*calls, ())),
            FaultKind::Partition { from, to, both } => {
                self.cuts.push((*from, Some(*to)));
                if *both {
                    self.cuts.push((Some(*to), *from));
                }
            }
            FaultKind::Latency { edge, extra } => self.extra[edge.index()] += nanos(*extra),
            FaultKind::BrokerDown { topics } if topics.is_empty() => {
                self.topics.iter_mut().for_each(|topic| topic.down = true);
            }
            FaultKind::BrokerDown { topics } => {
                topics.iter().for_each(|topic| self.topics[topic.index()].down = true);
            }
            FaultKind::BowlineDown => self.bowline_down += 1,
            FaultKind::Poison { topic, subscription, percent } => {
                self.topics[topic.index()].poison.push((*subscription, *percent));
            }
            FaultKind::Duplicate { topic, subscription, percent } => {
                self.topics[topic.index()].duplicates.push((*subscription, *percent));
            }
        }
    }
}

/// What the world needs to know to follow.
struct EngineView<'e> {
    model: &'e Model,
    faults: &'e [crate::fault::FaultEvent],
    stations_of: &'e [u32],
}

impl EngineView<'_> {
    /// The stations of a service, or the one of a replica.
    fn stations(&self, service: ServiceId, replica: Option<u32>) -> std::ops::Range<u32> {
        let begins = self.stations_of[service.index()];
        match replica {
            Some(replica) => begins + replica..begins + replica + 1,
            None => begins..begins + self.model.services[service.index()].replicas,
        }
    }
}

/// What a fault needs to know of a try.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Who asks; `None`: somebody outside.
    pub(super) by: Option<ServiceId>,
    pub(super) draw: Draw,
}

fn hits(percent: Percent, seed: u64, whose: u32, what: u64, draw: Draw) -> bool {
    let stream = (u64::from(whose) << 8) | what;
    percent.includes(stream::draw(seed, stream, Purpose::Fault, draw).next_u64())
}

fn strikes(
    faults: &[(Option<SubscriptionId>, Percent)],
    reader: SubscriptionId,
    seed: u64,
    topic: TopicId,
    what: u64,
    draw: Draw,
) -> bool {
    let about = faults.iter().find(|(only, _)| only.is_none_or(|only| only == reader));
    about.is_some_and(|(_, percent)| hits(*percent, seed, topic.0, what, draw))
}

impl Engine<'_> {
    /// A fault begins.
    pub(super) fn breaks(&mut self, fault: u32) {
        let spec = self.spec;
        let event = &spec.faults[fault as usize];
        if let Some(over) = event.over_at() {
            self.future.plan(over.as_nanos(), What::Heals { fault });
        }
        self.world.under_way.push(fault);
        self.follow_faults();
        match &event.kind {
            FaultKind::Crash { service, replica, .. } => {
                for station in self.view().stations(*service, *replica) {
                    self.stations[station as usize].down += 1;
                    self.crash(station);
                    let (service, replica) = (*service, self.stations[station as usize].replica);
                    self.policies_begin_anew(|caller, which| caller == Some(service) && which == replica);
                }
            }
            FaultKind::Pause { service, replica } => {
                self.view().stations(*service, *replica).for_each(|station| self.pause(station));
            }
            FaultKind::ConsumerStuck { subscription } => self.groups[subscription.index()].stuck += 1,
            FaultKind::BowlineDown => self.break_all_calls(),
            _ => (),
        }
    }

    /// A fault is over.
    pub(super) fn heals(&mut self, fault: u32) {
        let spec = self.spec;
        self.world.under_way.retain(|each| *each != fault);
        self.follow_faults();
        match &spec.faults[fault as usize].kind {
            FaultKind::Crash { service, replica, .. } => {
                for station in self.view().stations(*service, *replica) {
                    self.stations[station as usize].down -= 1;
                }
            }
            FaultKind::Pause { service, replica } => {
                self.view().stations(*service, *replica).for_each(|station| self.resume(station));
            }
            FaultKind::ConsumerStuck { subscription } => {
                self.groups[subscription.index()].stuck -= 1;
                self.hand_out(subscription.index());
            }
            FaultKind::BowlineDown => self.policies_begin_anew(|_, _| true),
            _ => (),
        }
        if matches!(spec.faults[fault as usize].kind, FaultKind::BrokerDown { .. } | FaultKind::BowlineDown) {
            (0..self.groups.len()).for_each(|group| self.hand_out(group));
        }
    }

    /// Processes that begin anew have learned nothing yet.
    fn policies_begin_anew(&mut self, who: impl Fn(Option<ServiceId>, u32) -> bool) {
        let shut = self.instances.begin_anew(self.model, self.instant(), who);
        self.record.breakers_begin_anew(shut);
    }

    fn view(&self) -> EngineView<'_> {
        EngineView { model: self.model, faults: &self.spec.faults, stations_of: &self.stations_of }
    }

    fn follow_faults(&mut self) {
        let view =
            EngineView { model: self.model, faults: &self.spec.faults, stations_of: &self.stations_of };
        self.world.follow(&view);
    }
}
