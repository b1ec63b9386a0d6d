//! The model of a resolved design under a scenario.
//!
//! Services, topics and subscriptions keep their numbers, so that a fault of the scenario finds whom it is
//! about. Each call becomes an edge of its own for each leg of its way: what a route splits, a choice decides.
//!
//! What the design leaves open is assumed, and each assumption is a sentence in [`Model::assumptions`].

use super::{
    Builder, Do, EdgeId, EdgeKeys, EdgeSpec, EntrySpec, EntryTo, IntakeSpec, MachineSpec, Model, ModelError,
    OperationId, OperationSpec, Order, ServiceId, ServiceSpec, Start, SubscriptionId, SubscriptionSpec,
    TopicId, TopicSpec,
};
use crate::fault::{Calls, FaultEvent, FaultKind};
use crate::run::at;
use crate::{Arrivals, Dist};
use bowline_design::graph::{Leg, Node, Way};
use bowline_design::resolved::scenario::{Entry, Target};
use bowline_design::resolved::{
    self, CallSettings, Design, Idempotency, Operation, Scenario, Work, intake, scenario, topic,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why there is no model of a design.
#[derive(Clone, Debug, PartialEq)]
pub enum DesignError {
    /// The scenario asks for something that the design has not, or that cannot be simulated yet.
    Unknown(String),
    /// The model cannot be.
    Model(ModelError),
}

/// What an operation takes of which nothing is said: a guess, and marked as one.
const TAKES: Duration = Duration::from_millis(1);

impl Model {
    /// The model of a resolved design under a scenario's load.
    ///
    /// # Errors
    /// The load cannot be simulated, or the model cannot be: a cycle, a rate of zero.
    pub fn of(design: &Design, scenario: &Scenario) -> Result<Self, DesignError> {
        let mut making = Making {
            design,
            scenario,
            model: Self::builder(),
            operations: BTreeMap::new(),
            assumed: BTreeSet::new(),
        };
        making.services();
        making.topics();
        making.operations();
        making.programs();
        making.subscriptions();
        making.entries()?;
        making.say_what_is_assumed();
        making.model.build().map_err(DesignError::Model)
    }
}

impl FaultEvent {
    /// The faults of a scenario, for the model of the same design and scenario.
    ///
    /// Times in a scenario begin after its warm-up, those of a run before it.
    #[must_use]
    pub fn of(design: &Design, scenario: &Scenario) -> Vec<Self> {
        let kinds = scenario.faults.iter().map(|fault| (fault, kinds(design, fault)));
        let event = |fault: &scenario::Fault, kind| Self {
            at: at(scenario.warm_up.value + fault.at),
            length: Some(fault.length.value),
            kind,
        };
        kinds.flat_map(|(fault, kinds)| kinds.into_iter().map(move |kind| event(fault, kind))).collect()
    }
}

struct Making<'d> {
    design: &'d Design,
    scenario: &'d Scenario,
    model: Builder,
    /// Operations by service and index; `None`: what is asked of it beside its operations.
    operations: BTreeMap<(u32, Option<usize>), OperationId>,
    assumed: BTreeSet<String>,
}

// === who there is ===

impl Making<'_> {
    fn services(&mut self) {
        let scenario = self.scenario;
        let machines: Vec<_> = scenario
            .machines
            .iter()
            .enumerate()
            .map(|(index, machine)| {
                let name = format!("machine {}", index + 1).into();
                self.model.machine(MachineSpec { name, cores: machine.cores })
            })
            .collect();
        for (id, service) in self.design.services() {
            let shared = scenario.machines.iter().position(|machine| machine.services.contains(&id));
            self.model.service(ServiceSpec {
                name: Arc::clone(&service.name),
                replicas: service.replicas.value,
                concurrency: service.concurrency.as_ref().map_or(u32::MAX, |written| written.value),
                queue: service.queue.as_ref().map(|written| written.value),
                forwards: service.forwards.value,
                machine: shared.map(|index| machines[index]),
                ..ServiceSpec::new("")
            });
        }
    }

    fn topics(&mut self) {
        for topic in &self.design.topics {
            self.model.topic(TopicSpec {
                name: Arc::clone(&topic.name),
                partitions: topic.partitions.value,
                retention: topic.retention.as_ref().map_or(Duration::MAX, |written| written.value),
                confirms: Dist::Constant(self.scenario.network.confirm.value),
                delivers: Dist::Constant(self.scenario.network.latency.value),
                ..TopicSpec::new("")
            });
        }
    }

    fn operations(&mut self) {
        for (id, service) in self.design.services() {
            for (index, operation) in service.operations.iter().enumerate() {
                let own = self.model.operation(OperationSpec {
                    name: Arc::clone(&operation.name),
                    service: ServiceId(id.0),
                    idempotent: self.is_idempotent(operation),
                    pending: operation.pending,
                    does: Vec::new(),
                });
                self.operations.insert((id.0, Some(index)), own);
            }
        }
    }

    /// The operation, or the one that stands for whatever else can be asked of its service.
    fn operation(&mut self, service: resolved::ServiceId, index: Option<usize>) -> OperationId {
        if let Some(known) = self.operations.get(&(service.0, index)) {
            return *known;
        }
        let name = &self.design.service(service).name;
        self.assumed.insert(format!(
            "nothing is said of what {name} is asked beside its operations: {TAKES:?} at the mean, exponential"
        ));
        let work = vec![Do::Work(Dist::exponential(TAKES))];
        let operation = self.model.serve(ServiceId(service.0), "(any)", work);
        self.operations.insert((service.0, index), operation);
        operation
    }

    fn is_idempotent(&self, operation: &Operation) -> bool {
        match operation.idempotent.value {
            Idempotency::Yes | Idempotency::ByKey => true,
            Idempotency::No => false,
            Idempotency::ByMethod => {
                operation.http.as_ref().is_some_and(|(method, _)| method.is_idempotent())
            }
        }
    }
}

// === what they do ===

impl Making<'_> {
    fn programs(&mut self) {
        let nodes: Vec<Node> = self.design.nodes().collect();
        for node in nodes {
            let operation = self.design.operation(node);
            let own = self.operation(node.service, Some(node.operation));
            let name = self.design.name_of(node);
            let does = self.program(&name, operation);
            *self.model.does(own) = does;
        }
    }

    /// Its own time first, where `does` names none, then what it does.
    fn program(&mut self, name: &str, operation: &Operation) -> Vec<Do> {
        let mut does = Vec::new();
        match &operation.takes {
            Some(takes) if !names_work(&operation.does) => {
                let (p50, p99) = (takes.value.p50, takes.value.p99);
                match Dist::fit(p50, p99) {
                    Ok(fit) => does.push(Do::Work(fit)),
                    Err(_) => does.push(Do::Work(Dist::Constant(p50))),
                }
                if !operation.does.is_empty() {
                    self.assumed.insert(format!("`takes` of {name} is its own time, without what it calls"));
                }
            }
            Some(_) => {
                self.assumed.insert(format!("{name} works as `does` says; its `takes` is not added"));
            }
            None if operation.does.is_empty() => {
                self.assumed.insert(format!(
                    "{name} says neither `takes` nor `does`: {TAKES:?} at the mean, exponential"
                ));
                does.push(Do::Work(Dist::exponential(TAKES)));
            }
            None => (),
        }
        does.extend(self.works(name, &operation.does));
        does
    }

    fn works(&mut self, from: &str, works: &[Work]) -> Vec<Do> {
        works.iter().flat_map(|work| self.one(from, work)).collect()
    }

    fn one(&mut self, from: &str, work: &Work) -> Option<Do> {
        match work {
            Work::Work(span) => Some(Do::Work(Dist::Constant(*span))),
            Work::Call { service, operation, .. } => {
                let to = Node { service: *service, operation: *operation };
                self.call(from, to, None)
            }
            Work::Publish { topic, declared, .. } => {
                let topic = declared.map_or_else(|| self.stranger(topic), |declared| TopicId(declared.0));
                Some(Do::Publish(topic))
            }
            Work::Parallel(branches) => {
                // Each is a branch: they are done at once.
                let branches = branches.iter().map(|branch| self.works(from, std::slice::from_ref(branch)));
                Some(Do::Parallel(branches.collect()))
            }
            Work::Choice(branches) => {
                let branches = branches.iter().map(|(share, branch)| (*share, self.works(from, branch)));
                Some(Do::Choice(branches.collect()))
            }
        }
    }

    /// A topic that no document declares: it takes what it is given, and nobody reads it.
    fn stranger(&mut self, name: &str) -> TopicId {
        self.assumed.insert(format!("topic {name} is declared nowhere: it confirms, and nobody reads it"));
        self.model.topic(TopicSpec {
            confirms: Dist::Constant(self.scenario.network.confirm.value),
            ..TopicSpec::new(name)
        })
    }

    /// A call by all legs of its way. Nothing where a route answers by itself.
    fn call(&mut self, from: &str, to: Node, within: Option<Duration>) -> Option<Do> {
        let design = self.design;
        let way = design.way_to(to);
        self.along(from, &design.name_of(to), &way, within)
    }

    fn along(&mut self, from: &str, to: &str, way: &Way<'_>, within: Option<Duration>) -> Option<Do> {
        let mut legs: Vec<(f64, EdgeId)> =
            way.legs.iter().map(|leg| (leg.share, self.edge(from, leg, within))).collect();
        match legs.as_slice() {
            [] => {
                self.assumed.insert(format!("a route answers {to} by itself, in no time"));
                None
            }
            [(_, edge)] => Some(Do::Call(*edge)),
            _ => {
                let branches = legs.drain(..).map(|(share, edge)| (share, vec![Do::Call(edge)]));
                Some(Do::Choice(branches.collect()))
            }
        }
    }

    fn edge(&mut self, from: &str, leg: &Leg<'_>, within: Option<Duration>) -> EdgeId {
        let to = self.operation(leg.service, leg.operation);
        let service = self.design.service(leg.service);
        let operation = leg.operation.map(|index| &service.operations[index]);
        let callee = operation.map_or("(any)", |operation| &*operation.name);
        let subset = leg.subset.map(|subset| format!(" ({subset})")).unwrap_or_default();
        let own = leg.settings.deadline().map(|(_, span)| span.value);
        let deadline = own.into_iter().chain(within).min();
        let name = format!("{from} -> {}.{callee}{subset}", service.name);
        if deadline.is_none() {
            self.assumed.insert(format!("{name} has no deadline: its asker waits for ever"));
        }
        let repeatable = self.is_repeatable(leg.settings, operation);
        self.model.edge(EdgeSpec {
            name: name.into(),
            to,
            policy: leg.settings.call_policy(),
            keys: keys(leg.settings),
            deadline,
            repeatable,
            latency: Dist::Constant(self.scenario.network.latency.value),
            loss: self.scenario.network.loss.value,
        })
    }

    fn is_repeatable(&mut self, settings: &CallSettings, operation: Option<&Operation>) -> bool {
        match settings.idempotent.value {
            Idempotency::Yes => true,
            Idempotency::No => false,
            Idempotency::ByKey => {
                self.assumed.insert("calls that are idempotent by key carry a key".to_owned());
                true
            }
            Idempotency::ByMethod => operation
                .and_then(|operation| operation.http.as_ref())
                .is_none_or(|(method, _)| method.is_idempotent()),
        }
    }
}

// === how they come in ===

impl Making<'_> {
    fn subscriptions(&mut self) {
        for subscription in &self.design.subscriptions {
            let from = format!("{} ({})", subscription.name, subscription.group);
            let (service, operation) = (subscription.service, Some(subscription.operation));
            let leg = Leg {
                share: 1.0,
                service,
                subset: None,
                operation,
                settings: self.design.service(service).settings(operation),
            };
            let within = subscription.per_try.as_ref().map(|span| span.value);
            let deliver = self.edge(&from, &leg, within);
            self.model.subscription(SubscriptionSpec {
                name: Arc::clone(&subscription.name),
                topic: TopicId(subscription.topic.0),
                deliver,
                concurrency: subscription.concurrency.value,
                order: match subscription.needs.order.as_ref().map(|order| order.value) {
                    Some(topic::Order::Topic) => Order::Topic,
                    Some(topic::Order::None) => Order::None,
                    Some(topic::Order::Key) | None => Order::Key,
                },
                backoff: subscription.backoff.value,
                dead_letter_after: subscription
                    .dead_letter_after
                    .as_ref()
                    .map_or(u32::MAX, |after| after.value),
                completes: true,
            });
        }
    }

    fn entries(&mut self) -> Result<(), DesignError> {
        let design = self.design;
        let to = match &self.scenario.load.entry {
            Entry::Operation { service, operation } => {
                let to = Node { service: *service, operation: *operation };
                let way = design.way_to(to);
                EntryTo::Call(self.one_edge("load", &design.name_of(to), &way)?)
            }
            Entry::Intake(id) => self.intake(&design.intakes[id.0 as usize])?,
            Entry::Route(name) => EntryTo::Call(self.route(name)?),
        };
        let warm_up = self.scenario.warm_up.value;
        for (index, arrivals) in
            arrivals(&self.scenario.load.arrivals.value, warm_up)?.into_iter().enumerate()
        {
            let name = format!("load {}", index + 1).into();
            self.model.entry(EntrySpec { name, to, arrivals, clients: 1 });
        }
        Ok(())
    }

    /// One edge for a way, by a gateway of no cost of its own where it has several legs.
    fn one_edge(&mut self, from: &str, to: &str, way: &Way<'_>) -> Result<EdgeId, DesignError> {
        let unknown = || DesignError::Unknown(format!("{to} to simulate: a route answers it by itself"));
        let asks = match self.along(from, to, way, None).ok_or_else(unknown)? {
            Do::Call(edge) => return Ok(edge),
            asks => asks,
        };
        let gateway = self.model.service(ServiceSpec {
            concurrency: u32::MAX,
            forwards: true,
            ..ServiceSpec::new("(gateway)")
        });
        let splits = self.model.serve(gateway, to, vec![asks]);
        Ok(self.model.edge(EdgeSpec::new(&format!("{from} -> (gateway)"), splits)))
    }

    fn intake(&mut self, intake: &resolved::Intake) -> Result<EntryTo, DesignError> {
        let from = format!("intake {}", intake.name);
        let (start, wait) = match &intake.start {
            intake::Start::Saga { name, .. } => {
                return Err(DesignError::Unknown(format!(
                    "saga {name} to simulate: sagas are not modelled yet"
                )));
            }
            intake::Start::Publish { topic, .. } => {
                (Start::Publish(TopicId(topic.0)), intake.wait.value.unwrap_or(Duration::ZERO))
            }
            intake::Start::Call { service, operation, .. } => {
                let to = Node { service: *service, operation: *operation };
                let edge = self.one_edge(&from, &self.design.name_of(to), &self.design.way_to(to))?;
                // Without a `wait` the asker stays as long as the call does.
                let wait = intake.wait.value.unwrap_or(Duration::MAX);
                match &intake.otherwise {
                    Some(topic) => (Start::CallOr(edge, TopicId(topic.value.0)), wait),
                    None => (Start::Call(edge), wait),
                }
            }
        };
        let id = self.model.intake(IntakeSpec { name: Arc::clone(&intake.name), start, wait });
        Ok(EntryTo::Intake(id))
    }

    fn route(&mut self, name: &str) -> Result<EdgeId, DesignError> {
        let design = self.design;
        let named = |route: &str| route == name || route.split_once('[').is_some_and(|(of, _)| of == name);
        let entries = design.entries();
        let legs: Vec<Leg<'_>> =
            entries.into_iter().filter(|entry| named(&entry.route.name)).map(|entry| entry.leg).collect();
        if legs.is_empty() {
            return Err(DesignError::Unknown(format!("route {name} that leads to a service")));
        }
        if legs.len() > 1 {
            self.assumed.insert(format!(
                "requests by route {name} ask for each of the operations it lets through equally often"
            ));
        }
        self.one_edge("load", name, &Way { route: None, legs })
    }

    fn say_what_is_assumed(&mut self) {
        let asked: BTreeSet<u32> = self.operations.keys().map(|(service, _)| *service).collect();
        for (id, service) in self.design.services().filter(|(id, _)| asked.contains(&id.0)) {
            if service.concurrency.is_none() {
                let name = &self.design.service(id).name;
                self.assumed.insert(format!("{name} works on any number of requests at once"));
            } else if service.queue.is_none() {
                self.assumed.insert(format!("any number of requests may wait in front of {}", service.name));
            }
        }
        for sentence in std::mem::take(&mut self.assumed) {
            self.model.assume(sentence);
        }
    }
}

fn names_work(works: &[Work]) -> bool {
    works.iter().any(|work| match work {
        Work::Work(_) => true,
        Work::Parallel(branches) => names_work(branches),
        Work::Choice(branches) => branches.iter().any(|(_, branch)| names_work(branch)),
        Work::Call { .. } | Work::Publish { .. } => false,
    })
}

fn keys(settings: &CallSettings) -> EdgeKeys {
    let keys = &settings.keys;
    EdgeKeys {
        breaker: Arc::clone(&keys.breaker),
        budget: Arc::clone(&keys.budget),
        bulkhead: Arc::clone(&keys.bulkhead),
        rate: Arc::clone(&keys.rate),
        admission: Arc::clone(&keys.admission),
        hedge: Arc::clone(&keys.hedge),
        balance: Arc::clone(&keys.balance),
    }
}

// === when they come, and what goes wrong ===

/// The arrivals of a scenario: several where they are one on top of the other.
fn arrivals(written: &scenario::Arrivals, warm_up: Duration) -> Result<Vec<Arrivals>, DesignError> {
    use scenario::Arrivals as Written;
    let poisson = |rate: scenario::Rate| Arrivals::Poisson { rate: rate.per_second() };
    Ok(match written {
        Written::Poisson(rate) => vec![poisson(*rate)],
        Written::Constant(rate) => vec![Arrivals::Constant { rate: rate.per_second() }],
        Written::Bursts { rate, size, every } => {
            let between = (!rate.is_zero()).then(|| poisson(*rate));
            let batches = Arrivals::Batches { size: *size, first: warm_up + *every, every: *every };
            between.into_iter().chain([batches]).collect()
        }
        Written::Ramp { from, to, over } => vec![Arrivals::Ramp {
            from: from.per_second(),
            to: to.per_second(),
            begins: warm_up,
            over: *over,
        }],
        Written::Steps { from, then } => {
            let mut steps = Vec::new();
            let (mut rate, mut begins) = (from.per_second(), Duration::ZERO);
            for (change, next) in then {
                let ends = warm_up + *change;
                if begins < ends {
                    steps.push((ends - begins, rate));
                }
                (rate, begins) = (next.per_second(), ends);
            }
            // The last stays, whatever length it is given.
            steps.push((Duration::from_secs(1), rate));
            vec![Arrivals::Steps(steps.into())]
        }
        Written::Trace(times) => {
            let nanos = times.iter().map(|time| bowline_model::time::nanos(warm_up + *time));
            vec![Arrivals::Trace(nanos.collect())]
        }
        Written::TraceFile(name) => {
            return Err(DesignError::Unknown(format!(
                "trace {name} yet: whoever runs the scenario reads it first"
            )));
        }
    })
}

/// What a fault of a scenario is to the model. More than one where it is about several consumers.
fn kinds(design: &Design, fault: &scenario::Fault) -> Vec<FaultKind> {
    use scenario::FaultKind as Written;
    let service = |id: resolved::ServiceId| ServiceId(id.0);
    let about = match fault.target {
        Target::Service(id) => Some(Calls::to(service(id))),
        Target::Calls { from, to } => Some(Calls { from: Some(service(from)), to: service(to) }),
        Target::Topic(_) | Target::Subscription(_) | Target::Broker(_) | Target::Bowline => None,
    };
    let readers = || {
        let numbered = design.subscriptions.iter().enumerate();
        let read = numbered.filter(|(index, subscription)| match fault.target {
            Target::Subscription(id) => id.0 as usize == *index,
            Target::Topic(id) => subscription.topic == id,
            Target::Service(id) => subscription.service == id,
            Target::Calls { .. } | Target::Broker(_) | Target::Bowline => false,
        });
        read.map(|(index, subscription)| (SubscriptionId(index as u32), TopicId(subscription.topic.0)))
    };
    let of_calls = |kind: &dyn Fn(Calls) -> FaultKind| about.map(kind).into_iter().collect();
    match fault.kind {
        Written::Crash { restart } => {
            of_calls(&|calls| FaultKind::Crash { service: calls.to, replica: None, restart_after: restart })
        }
        Written::Pause => of_calls(&|calls| FaultKind::Pause { service: calls.to, replica: None }),
        Written::Slow { factor } => {
            of_calls(&|calls| FaultKind::Slow { service: calls.to, replica: None, factor })
        }
        Written::Error { status, percent } => {
            of_calls(&|calls| FaultKind::Error { calls, replica: None, status, percent })
        }
        Written::DropFirst(tries) => of_calls(&|calls| FaultKind::DropFirst { calls, tries }),
        Written::Blackhole => of_calls(&|calls| FaultKind::Blackhole { calls }),
        Written::Reset => {
            of_calls(&|calls| FaultKind::Reset { calls, percent: bowline_fault::Percent::ALWAYS })
        }
        Written::Partition { both } => {
            of_calls(&|calls| FaultKind::Partition { from: calls.from, to: calls.to, both })
        }
        Written::BrokerDown => {
            let Target::Broker(broker) = fault.target else { return Vec::new() };
            let numbered = design.topics.iter().enumerate();
            let kept = numbered.filter(|(_, topic)| topic.broker == broker);
            let topics: Vec<TopicId> = kept.map(|(index, _)| TopicId(index as u32)).collect();
            // No topics would mean all of them.
            if topics.is_empty() { Vec::new() } else { vec![FaultKind::BrokerDown { topics }] }
        }
        Written::BowlineDown => vec![FaultKind::BowlineDown],
        Written::ConsumerStuck => {
            readers().map(|(subscription, _)| FaultKind::ConsumerStuck { subscription }).collect()
        }
        Written::Poison(percent) => readers()
            .map(|(reader, topic)| FaultKind::Poison { topic, subscription: Some(reader), percent })
            .collect(),
        Written::Duplicate(percent) => readers()
            .map(|(reader, topic)| FaultKind::Duplicate { topic, subscription: Some(reader), percent })
            .collect(),
    }
}

impl fmt::Display for DesignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "the design has no {name}"),
            Self::Model(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DesignError {}
