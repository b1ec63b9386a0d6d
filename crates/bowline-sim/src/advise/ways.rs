//! The ways in which a call can be taken: as a call, as a record, or as a call with a record for what it does not
//! do; as variants of a resolved design.

use super::Way;
use bowline_design::Place;
use bowline_design::format::format_duration;
use bowline_design::graph::Node;
use bowline_design::resolved::intake::{Intake, Start};
use bowline_design::resolved::scenario::{Entry, Scenario};
use bowline_design::resolved::topic::{Broker, BrokerAt, Subscription, Topic};
use bowline_design::resolved::{
    BrokerId, Design, Idempotency, IntakeId, PathPattern, RecordNeeds, Sourced, TopicId, Work,
};
use bowline_policy::Backoff;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// One call of a design, as advice is given on it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edge {
    /// Who calls; `None`: the way in itself.
    pub(super) from: Option<Node>,
    /// What is called.
    pub(super) to: Node,
}

/// Advice on more calls than this is read by nobody, and each takes runs of its own.
pub(super) const EDGES_MAX: usize = 16;

/// How long the asker of a hybrid intake is kept, where nothing says how long it may take.
const WAIT: Duration = Duration::from_millis(200);

/// Pauses between deliveries of a generated subscription: from a tenth of a second, so that a short outage is
/// over soon, to ten seconds, so that a long one is left alone.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Records a generated subscription works on at once, at most.
const CONCURRENCY_MAX: u32 = 16;

/// What is assumed to be up of each service and broker, where the lab has not measured it: 99.9 %, forty-three
/// minutes a month down.
pub(super) const AVAILABILITY: f64 = 0.999;

/// The calls that a load causes, in the order in which they are met, the way in first.
pub(super) fn edges(design: &Design, scenario: &Scenario) -> Vec<Edge> {
    let Some(entry) = asked(design, scenario) else { return Vec::new() };
    let mut edges = vec![Edge { from: None, to: entry }];
    let mut open = vec![entry];
    let mut seen = BTreeSet::from([(entry.service.0, entry.operation)]);
    while let Some(node) = open.pop() {
        let mut calls = Vec::new();
        called(&design.operation(node).does, &mut calls);
        for to in calls {
            let edge = Edge { from: Some(node), to };
            if !edges.contains(&edge) {
                edges.push(edge);
            }
            if seen.insert((to.service.0, to.operation)) {
                open.insert(0, to);
            }
        }
    }
    edges
}

/// The operation that a load leads to first, where there is one.
pub(super) fn asked(design: &Design, scenario: &Scenario) -> Option<Node> {
    match &scenario.load.entry {
        Entry::Operation { service, operation } => Some(Node { service: *service, operation: *operation }),
        Entry::Intake(id) => match design.intakes[id.0 as usize].start {
            Start::Call { service, operation, .. } => Some(Node { service, operation }),
            Start::Publish { topic, .. } => {
                let reads = design.subscriptions.iter().find(|group| group.topic == topic)?;
                Some(Node { service: reads.service, operation: reads.operation })
            }
            Start::Saga { .. } => None,
        },
        Entry::Route(name) => {
            let entries = design.entries();
            let own = entries.iter().find(|entry| *entry.route.name == **name)?;
            Some(Node { service: own.leg.service, operation: own.leg.operation? })
        }
    }
}

fn called(works: &[Work], calls: &mut Vec<Node>) {
    for work in works {
        match work {
            Work::Call { service, operation, .. } => {
                calls.push(Node { service: *service, operation: *operation });
            }
            Work::Parallel(branches) => called(branches, calls),
            Work::Choice(branches) => branches.iter().for_each(|(_, branch)| called(branch, calls)),
            Work::Work(_) | Work::Publish { .. } => (),
        }
    }
}

/// How the way in is taken as the design stands.
pub(super) fn way_in(design: &Design, scenario: &Scenario) -> Way {
    match &scenario.load.entry {
        Entry::Intake(id) => {
            let intake = &design.intakes[id.0 as usize];
            match (&intake.start, &intake.otherwise) {
                (Start::Publish { .. }, _) => Way::Async,
                (_, Some(_)) => Way::Hybrid,
                _ => Way::Sync,
            }
        }
        _ => Way::Sync,
    }
}

/// A design with a call taken another way, the scenario that goes with it, and what a document would say.
pub(super) struct Variant {
    pub(super) design: Design,
    pub(super) scenario: Scenario,
    pub(super) says: String,
}

/// The design with `edge` taken as `way`; `None`: it cannot be said.
pub(super) fn variant(design: &Design, scenario: &Scenario, edge: &Edge, way: Way) -> Option<Variant> {
    let mut variant = Variant { design: design.clone(), scenario: scenario.clone(), says: String::new() };
    match (edge.from, way) {
        (Some(from), Way::Async) => variant.inside(from, edge.to),
        // An operation calls or publishes; what was not called is not caught.
        (Some(_), Way::Sync | Way::Hybrid) => return None,
        (None, way) => variant.way_in(edge.to, way)?,
    }
    Some(variant)
}

impl Variant {
    /// A publication in the place of a call.
    fn inside(&mut self, from: Node, to: Node) {
        let name = self.design.name_of(to);
        let topic = self.topic_for(to);
        let place = self.design.operation(from).place.clone();
        let publish = Work::Publish {
            topic: self.design.topics[topic.0 as usize].name.to_string(),
            declared: Some(topic),
            place,
        };
        let operation = &mut self.design.services[from.service.0 as usize].operations[from.operation];
        replace(&mut operation.does, to, &publish);
        let (from, topic) = (self.design.name_of(from), &self.design.topics[topic.0 as usize].name);
        self.says = format!(
            "# in `does` of {from}: `publish: {topic}` in the place of `call: {name}`\n{}",
            self.says
        );
    }

    /// A door that calls, publishes, or does the one and if that fails the other.
    fn way_in(&mut self, to: Node, way: Way) -> Option<()> {
        let place = self.design.operation(to).place.clone();
        let topic = match way {
            Way::Sync => None,
            Way::Async | Way::Hybrid => Some(self.topic_of_door().unwrap_or_else(|| self.topic_for(to))),
        };
        let id = self.door(to, &place)?;
        let (within, method, path) = {
            let operation = self.design.operation(to);
            let needs = operation.needs.as_ref();
            let within = needs.and_then(|needs| needs.value.answer_within);
            let intake = &self.design.intakes[id.0 as usize];
            (within, intake.method.clone(), intake.path.to_string())
        };
        // A third of what may pass is left for the broker to take what the call has not done.
        let wait = within.map_or(WAIT, |within| within * 2 / 3);
        let name = self.design.name_of(to);
        let intake = &mut self.design.intakes[id.0 as usize];
        let call = Start::Call { service: to.service, operation: to.operation, place: place.clone() };
        let default = |wait| Sourced::default(wait, "as is advised");
        let topic_name = topic.map(|topic| Arc::clone(&self.design.topics[topic.0 as usize].name));
        let start = match (way, topic, &topic_name) {
            (Way::Async, Some(topic), Some(name)) => {
                intake.start = Start::Publish { topic, place };
                intake.wait = default(Some(Duration::ZERO));
                intake.otherwise = None;
                format!("  start: {{ publish: {{ topic: {name} }} }}\n")
            }
            (Way::Hybrid, Some(topic), Some(topic_name)) => {
                intake.start = call;
                intake.wait = default(Some(wait));
                intake.otherwise = Some(Sourced::default(topic, "as is advised"));
                format!(
                    "  start: {{ call: {{ operation: {name} }} }}\n  wait: {}\n  otherwise: {{ publish: {{ topic: {topic_name} }} }}\n",
                    format_duration(wait)
                )
            }
            _ => {
                intake.start = call;
                intake.wait = default(None);
                intake.otherwise = None;
                format!("  start: {{ call: {{ operation: {name} }} }}\n")
            }
        };
        self.says.push_str(&format!(
            "---\nkind: Intake\nmetadata: {{ name: {} }}\nspec:\n  match: {{ method: {method}, path: \"{path}\" }}\n{start}",
            intake.name
        ));
        self.scenario.load.entry = Entry::Intake(id);
        Some(())
    }

    /// The topic that the load's intake publishes to already.
    fn topic_of_door(&self) -> Option<TopicId> {
        let Entry::Intake(id) = self.scenario.load.entry else { return None };
        let intake = &self.design.intakes[id.0 as usize];
        match (&intake.start, &intake.otherwise) {
            (Start::Publish { topic, .. }, _) => Some(*topic),
            (_, Some(topic)) => Some(topic.value),
            _ => None,
        }
    }

    /// The intake that the load comes through, or a new one.
    fn door(&mut self, to: Node, place: &Place) -> Option<IntakeId> {
        if let Entry::Intake(id) = self.scenario.load.entry {
            return Some(id);
        }
        let operation = self.design.operation(to);
        let (method, path) = match &operation.http {
            Some((method, path)) => (method.clone(), path.clone()),
            None => ("POST".parse().ok()?, PathPattern::parse(&format!("/{}", operation.name)).ok()?),
        };
        self.design.intakes.push(Intake {
            name: operation.name.clone(),
            namespace: "default".into(),
            place: place.clone(),
            method,
            path,
            start: Start::Call { service: to.service, operation: to.operation, place: place.clone() },
            wait: Sourced::default(None, "as is advised"),
            otherwise: None,
        });
        Some(IntakeId(self.design.intakes.len() as u32 - 1))
    }

    /// A topic whose records are given to an operation, and those who give it.
    fn topic_for(&mut self, to: Node) -> TopicId {
        let place = self.design.operation(to).place.clone();
        let service = self.design.service(to.service);
        let places = service.concurrency.as_ref().map_or(CONCURRENCY_MAX, |places| places.value);
        let concurrency = places.saturating_mul(service.replicas.value).clamp(1, CONCURRENCY_MAX);
        let name: Arc<str> = format!("{}-{}", service.name, self.design.operation(to).name).into();
        let operation = self.design.name_of(to);
        let after = deliveries(longest_outage(&self.scenario));
        if self.design.brokers.is_empty() {
            self.design.brokers.push(Broker {
                name: "main".into(),
                namespace: "default".into(),
                place: place.clone(),
                at: BrokerAt::Embedded,
            });
            self.says.push_str("---\nkind: Broker\nmetadata: { name: main }\nspec: { embedded: {} }\n");
        }
        let broker = &self.design.brokers[0].name;
        self.says.push_str(&format!(
            "---\nkind: Topic\nmetadata: {{ name: {name} }}\nspec: {{ broker: {broker}, partitions: 8, retention: 7d }}\n\
             ---\nkind: Subscription\nmetadata: {{ name: {name} }}\nspec:\n  topic: {name}\n  group: {name}\n  \
             deliver: {{ operation: {operation} }}\n  concurrency: {concurrency}\n  deadLetter: {{ after: {after} }}\n  \
             retry: {{ backoff: {{ base: {}, max: {} }} }}\n",
            format_duration(BACKOFF.0),
            format_duration(BACKOFF.1),
        ));
        let topic = TopicId(self.design.topics.len() as u32);
        self.design.topics.push(Topic {
            name: Arc::clone(&name),
            namespace: "default".into(),
            place: place.clone(),
            broker: BrokerId(0),
            partitions: Sourced::default(8, "as is advised"),
            key: None,
            contract: None,
            retention: Some(Sourced::default(Duration::from_secs(7 * 86_400), "as is advised")),
            needs: RecordNeeds::default(),
        });
        self.design.subscriptions.push(Subscription {
            name: Arc::clone(&name),
            namespace: "default".into(),
            place,
            topic,
            group: name,
            service: to.service,
            operation: to.operation,
            needs: RecordNeeds::default(),
            concurrency: Sourced::default(concurrency, "as is advised"),
            dead_letter_after: Some(Sourced::default(after, "as is advised")),
            per_try: None,
            backoff: Sourced::default(Backoff::Full { base: BACKOFF.0, max: BACKOFF.1 }, "as is advised"),
            lag_warn: None,
            lag_limit: None,
        });
        topic
    }
}

fn replace(works: &mut [Work], to: Node, by: &Work) {
    for work in works {
        match work {
            Work::Call { service, operation, .. } if (*service, *operation) == (to.service, to.operation) => {
                *work = by.clone();
            }
            Work::Parallel(branches) => replace(branches, to, by),
            Work::Choice(branches) => branches.iter_mut().for_each(|(_, branch)| replace(branch, to, by)),
            Work::Call { .. } | Work::Work(_) | Work::Publish { .. } => (),
        }
    }
}

/// The longest of a scenario's faults.
pub(super) fn longest_outage(scenario: &Scenario) -> Duration {
    scenario.faults.iter().map(|fault| fault.length.value).max().unwrap_or_default()
}

/// After how many deliveries a record is set aside, so that twice the outage is survived: full jitter waits half
/// of its longest pause on average.
fn deliveries(outage: Duration) -> u32 {
    const LEAST: u32 = 8;
    let (mut waited, mut pause, mut count) = (Duration::ZERO, BACKOFF.0, 1);
    while waited < outage * 2 && count < 10_000 {
        waited += pause / 2;
        pause = (pause * 2).min(BACKOFF.1);
        count += 1;
    }
    count.max(LEAST)
}

// === what a way costs, without running it ===

/// What has to be up for an answer, and how often tries can multiply.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Path {
    /// Services and brokers that have to be up for the best of its answers.
    pub(super) must_be_up: usize,
    /// The share of time in which they are, each by [`AVAILABILITY`] and by itself.
    pub(super) availability: f64,
    /// Tries that one request can cause at one operation, by the worst path.
    pub(super) tries_max: f64,
}

pub(super) fn path(design: &Design, scenario: &Scenario) -> Path {
    let Some(entry) = asked(design, scenario) else {
        return Path { must_be_up: 0, availability: 1.0, tries_max: 1.0 };
    };
    let mut up = BTreeSet::new();
    let mut tries = BTreeMap::new();
    let tries_max = own_tries(design, entry) * needed(design, entry, &mut up, &mut tries);
    let product = |count: usize| (0..count).fold(1.0, |product, _| product * AVAILABILITY);
    let called = product(up.len());
    match way_in(design, scenario) {
        Way::Sync => Path { must_be_up: up.len(), availability: called, tries_max },
        Way::Async => Path { must_be_up: 1, availability: AVAILABILITY, tries_max },
        // Either will do.
        Way::Hybrid => {
            Path { must_be_up: 1, availability: 1.0 - (1.0 - called) * (1.0 - AVAILABILITY), tries_max }
        }
    }
}

fn own_tries(design: &Design, node: Node) -> f64 {
    f64::from(design.operation(node).settings.retry.tries.value.max(1))
}

/// Adds what has to be up for an operation to succeed; answers the most tries that follow from one of it.
fn needed(
    design: &Design,
    node: Node,
    up: &mut BTreeSet<(bool, u32)>,
    tries: &mut BTreeMap<(u32, usize), f64>,
) -> f64 {
    let key = (node.service.0, node.operation);
    if let Some(known) = tries.get(&key) {
        return *known;
    }
    // Stands in for itself while it is worked out; a cycle is refused elsewhere.
    tries.insert(key, 1.0);
    up.insert((false, node.service.0));
    let mut calls = Vec::new();
    let works = &design.operation(node).does;
    called(works, &mut calls);
    published(design, works, up);
    let most = calls.into_iter().map(|to| own_tries(design, to) * needed(design, to, up, tries));
    let most = most.fold(1.0, f64::max);
    tries.insert(key, most);
    most
}

fn published(design: &Design, works: &[Work], up: &mut BTreeSet<(bool, u32)>) {
    for work in works {
        match work {
            Work::Publish { declared: Some(topic), .. } => {
                up.insert((true, design.topics[topic.0 as usize].broker.0));
            }
            Work::Parallel(branches) => published(design, branches, up),
            Work::Choice(branches) => branches.iter().for_each(|(_, branch)| published(design, branch, up)),
            Work::Publish { declared: None, .. } | Work::Work(_) | Work::Call { .. } => (),
        }
    }
}

/// What a design would have to say for a way to be safe, besides what is advised for it.
pub(super) fn to_be_safe(design: &Design, edge: &Edge, way: Way, outage: Duration, busy: f64) -> Vec<String> {
    let operation = design.operation(edge.to);
    let service = design.service(edge.to.service);
    let name = design.name_of(edge.to);
    let settings = &operation.settings;
    let repeats = operation.idempotent.value == Idempotency::No;
    let mut safe = Vec::new();
    if way == Way::Sync {
        if settings.deadline().is_none() {
            safe.push(format!("a deadline for {name}: without one its callers wait for ever"));
        }
        if 1 < settings.retry.tries.value && settings.budget.is_none() {
            safe.push(format!(
                "a retry budget for {name}: in an outage every call becomes {}",
                settings.retry.tries.value
            ));
        }
    } else {
        if repeats {
            safe.push(format!(
                "{name} `idempotent: by-key`: a record is delivered at least once, so perhaps twice"
            ));
        }
        if busy < 1.0 && outage.is_zero() {
            safe.push(
                "a retention above the longest outage it has to bear: no scenario here has one".to_owned(),
            );
        } else if busy < 1.0 {
            let drain = outage.as_secs_f64() * busy / (1.0 - busy);
            safe.push(format!(
                "a retention above {:.0} s: an outage of {:.0} s and {drain:.0} s of draining at {:.0} % utilisation",
                outage.as_secs_f64() + drain,
                outage.as_secs_f64(),
                busy * 100.0
            ));
        } else {
            safe.push(format!("more capacity for {name}: what piles up is never worked off"));
        }
        if edge.from.is_none() {
            safe.push("askers that understand 202 and ask again".to_owned());
        } else {
            safe.push(format!("a caller that does not need the result of {name}"));
        }
    }
    if service.queue.is_none() && service.concurrency.is_some() {
        safe.push(format!(
            "a `queue` for {}: a line without an end makes work that nobody waits for",
            service.name
        ));
    }
    safe
}
