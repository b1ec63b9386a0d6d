//! What was learned, as a design.

use super::learned::{Key, Learned, Node, Slot, Target};
use super::spans::{Service as Whose, Spans, What};
use crate::draft::{Draft, Operation, Scenario, Service, Subscription, Takes, Work, rounded, scenario_name};
use crate::names::Names;
use crate::note::{Notes, shorten};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Samples that a p99 needs: of fewer, the slowest is all that is known of the slowest hundredth.
const P99_SAMPLES_MIN: usize = 100;

/// Requests that a rate needs.
const RATE_SAMPLES_MIN: u64 = 10;

/// Scenarios written, the busiest ways in first.
const SCENARIOS_MAX: usize = 10;

/// What is called of somebody who has no spans of its own.
const PEER_OPERATION: &str = "call";

struct Drawing<'l> {
    learned: &'l Learned,
    spans: &'l Spans,
    /// Names of services that several namespaces have.
    ambiguous: BTreeSet<&'l str>,
    services: Names,
    operations: BTreeMap<String, Names>,
    topics: Names,
}

pub(super) fn draw(learned: &Learned, spans: &Spans, notes: &mut Notes) -> Draft {
    let (services, operations, topics) = (Names::default(), BTreeMap::new(), Names::default());
    let ambiguous = in_several_namespaces(learned, spans, notes);
    let mut drawing = Drawing { learned, spans, ambiguous, services, operations, topics };
    let mut draft = Draft::default();
    draft.head.push(format!(
        "Imported from {} spans of {} traces. Endpoints are placeholders; `takes` is what an operation works \
         itself, without what it waits for.",
        spans.list.len(),
        learned.traces
    ));
    drawing.all_services(&mut draft, notes);
    drawing.all_peers(&mut draft, notes);
    drawing.all_topics(&mut draft, notes);
    drawing.scenarios(&mut draft, notes);
    let text = "not in traces: without it nothing queues in a simulation";
    notes.add("concurrency", text, None);
    draft
}

/// Names of services that several namespaces have, which are told apart by their namespaces.
fn in_several_namespaces<'l>(learned: &Learned, spans: &'l Spans, notes: &mut Notes) -> BTreeSet<&'l str> {
    let mut namespaces: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for (service, _) in learned.nodes.keys() {
        namespaces.entry(&spans.services[*service as usize].name).or_default().insert(*service);
    }
    namespaces.retain(|_, services| services.len() > 1);
    for (name, services) in &namespaces {
        let text = format!("in {} namespaces (`service.namespace`): written as {0} services", services.len());
        notes.add(name, text, None);
    }
    namespaces.into_keys().collect()
}

impl Drawing<'_> {
    /// What a service is called in the traces, with its namespace where the name alone is not one service's.
    fn original(&self, service: u32) -> String {
        let Whose { name, namespace } = &self.spans.services[service as usize];
        let is_named_by_both = self.ambiguous.contains(name.as_str()) && !namespace.is_empty();
        if is_named_by_both { format!("{namespace}/{name}") } else { name.clone() }
    }

    fn service(&mut self, service: u32) -> String {
        self.services.give(&self.original(service), "service")
    }

    fn operation(&mut self, (service, what): Key) -> String {
        let service = self.service(service);
        let original = match &self.spans.whats[what as usize] {
            What::Http { method, path } => format!("{method} {path}"),
            What::Rpc(method) => method.rsplit('/').next().unwrap_or(method).to_owned(),
            What::Named(name) => name.clone(),
            What::Consumed { topic, .. } => format!("on {topic}"),
            What::Published(_) | What::Peer(_) | What::Inside => "other".to_owned(),
        };
        // Two that would be called the same are two all the same: the index tells them apart.
        let names = self.operations.entry(service).or_default();
        names.give_for(&format!("{what} {original}"), &original, "operation")
    }

    fn full(&mut self, key: Key) -> String {
        let operation = self.operation(key);
        format!("{}.{operation}", self.service(key.0))
    }

    /// Somebody who has no spans of its own, or none for this: service and operation.
    fn peer(&mut self, name: &str) -> (String, String) {
        let service = self.services.give(name, "peer");
        let names = self.operations.entry(service.clone()).or_default();
        let operation = names.give_for("a peer's", PEER_OPERATION, PEER_OPERATION);
        (service, operation)
    }

    fn topic(&mut self, topic: &str) -> String {
        self.topics.give(topic, "topic")
    }

    fn target(&mut self, target: Target) -> Work {
        match (target, target.what(self.spans)) {
            (Target::Operation(service, what), _) => Work::Call(self.full((service, what))),
            (Target::Peer(_), What::Peer(name)) => {
                let (service, operation) = self.peer(name);
                Work::Call(format!("{service}.{operation}"))
            }
            (_, What::Published(topic)) => Work::Publish(self.topic(topic)),
            (Target::Peer(_) | Target::Topic(_), _) => Work::Parallel(Vec::new()),
        }
    }

    fn all_services(&mut self, draft: &mut Draft, notes: &mut Notes) {
        let learned = self.learned;
        for (key, node) in &learned.nodes {
            let name = self.service(key.0);
            let original = self.original(key.0);
            if draft.services.last().is_none_or(|last| last.name != name) {
                let renamed = (original != name).then(|| format!("`{}` in the traces", shorten(&original)));
                let replicas = self.spans.replicas(key.0);
                let (grpc, operations) = (false, Vec::new());
                draft.services.push(Service {
                    name: name.clone(),
                    grpc,
                    replicas,
                    operations,
                    remark: renamed,
                });
            }
            let operation = self.drawn(*key, node, notes);
            if let Some(last) = draft.services.last_mut() {
                last.grpc |= operation.grpc.is_some();
                last.operations.push(operation);
            }
        }
        for service in &mut draft.services {
            one_of_each_path(&mut service.operations);
        }
    }

    fn drawn(&mut self, key: Key, node: &Node, notes: &mut Notes) -> Operation {
        let name = self.operation(key);
        let full = self.full(key);
        let (mut http, mut grpc) = (None, None);
        match &self.spans.whats[key.1 as usize] {
            What::Http { method, path } => {
                http = as_http(method, path);
                if http.is_none() {
                    let text =
                        format!("`{} {}` is no path of a design: left out", shorten(method), shorten(path));
                    notes.add(&full, text, None);
                }
            }
            What::Rpc(method) => grpc = as_grpc(method),
            _ => {}
        }
        let remark = (node.errors > 0).then(|| format!("{} of {} failed", node.errors, node.requests()));
        if node.errors > 0 {
            let text =
                format!("{} of {} failed: a scenario's `faults` can say so", node.errors, node.requests());
            notes.add(&full, text, None);
        }
        let takes = taken(&node.own);
        let does = self.does(&full, node, notes);
        Operation { name, http, grpc, takes, does, remark }
    }

    /// The calls of an operation, as steps: after one another, at once, or one instead of another.
    fn does(&mut self, full: &str, node: &Node, notes: &mut Notes) -> Vec<Work> {
        let mut slots: Vec<Slot> = node.slots.keys().copied().collect();
        slots.sort_by_key(|slot| (node.slots[slot].offset(), *slot));
        let mut steps: Vec<Vec<Vec<Slot>>> = Vec::new();
        for slot in slots {
            if let Some(step) = steps.last_mut() {
                if let Some(others) =
                    step.iter_mut().find(|others| others.iter().all(|other| node.instead(*other, slot)))
                {
                    others.push(slot);
                    continue;
                }
                let overlapping = step.iter().flatten().filter(|other| node.at_once(**other, slot)).count();
                if overlapping == step.iter().flatten().count() {
                    step.push(vec![slot]);
                    continue;
                }
                if overlapping > 0 {
                    let text =
                        "a call overlaps some of those that go on at once, not all: written after them";
                    notes.add(full, text, None);
                }
            }
            steps.push(vec![vec![slot]]);
        }
        let mut does = Vec::with_capacity(steps.len());
        for step in steps {
            let mut at_once: Vec<Work> = step.iter().map(|slots| self.one_of(slots, node)).collect();
            does.extend(if at_once.len() > 1 { Some(Work::Parallel(at_once)) } else { at_once.pop() });
        }
        does
    }

    /// A call, or a choice with how often each was seen.
    fn one_of(&mut self, slots: &[Slot], node: &Node) -> Work {
        let requests = node.requests().max(1);
        let seen: u64 = slots.iter().map(|slot| node.slots[slot].count).sum();
        if let ([slot], true) = (slots, seen >= requests) {
            return self.target(slot.0);
        }
        let share = |count: u64| rounded(count as f64 / requests as f64).max(1e-6);
        let mut branches: Vec<(f64, Vec<Work>)> =
            slots.iter().map(|slot| (share(node.slots[slot].count), vec![self.target(slot.0)])).collect();
        if seen < requests {
            branches.push((share(requests - seen), Vec::new()));
        }
        Work::Choice(branches)
    }

    /// Those who are called, and have no spans of their own.
    fn all_peers(&mut self, draft: &mut Draft, notes: &mut Notes) {
        let learned = self.learned;
        for (what, times) in &learned.peers {
            let What::Peer(original) = &self.spans.whats[*what as usize] else { continue };
            let (service, operation) = self.peer(original);
            let text = "called, and without spans of its own: its time is its callers', the way included";
            notes.count(original, text, times.len() as u64, None);
            let operation = Operation { name: operation, takes: taken(times), ..Operation::default() };
            match draft.services.iter_mut().find(|known| known.name == service) {
                Some(known) => known.operations.push(operation),
                None => draft.services.push(Service {
                    name: service,
                    grpc: false,
                    replicas: 1,
                    operations: vec![operation],
                    remark: Some("no spans of its own".to_owned()),
                }),
            }
        }
    }

    fn all_topics(&mut self, draft: &mut Draft, notes: &mut Notes) {
        let learned = self.learned;
        let mut names = Names::default();
        for ((topic, group, key), count) in &learned.subscriptions {
            if topic.is_empty() {
                let full = self.full(*key);
                let text = "takes records, and does not say of which topic: its topic is called `topic`";
                notes.count(&full, text, *count, None);
            }
            let service = self.service(key.0);
            let group = if group.is_empty() { service.clone() } else { group.clone() };
            let topic = self.topic(topic);
            let name = names.give(&format!("{topic} {service} {group}"), "subscription");
            let known = |one: &Subscription| one.topic == topic && one.group == group;
            if draft.subscriptions.iter().any(known) {
                let text = "a second operation takes the records of its group: it is not written";
                let full = self.full(*key);
                notes.count(&full, text, *count, None);
                continue;
            }
            let deliver = self.full(*key);
            draft.subscriptions.push(Subscription { name, topic, group, deliver });
        }
        draft.topics = self.topics.all().map(str::to_owned).collect();
        if !draft.topics.is_empty() {
            let text =
                "stands for whatever keeps the topics: partitions, keys and retention are not in traces";
            notes.add("Broker", text, None);
        }
    }

    fn scenarios(&mut self, draft: &mut Draft, notes: &mut Notes) {
        let learned = self.learned;
        let mut ways: Vec<(Key, &Node)> =
            learned.nodes.iter().filter(|(_, node)| node.outside.count > 0).map(|(k, n)| (*k, n)).collect();
        ways.sort_by_key(|(key, node)| (std::cmp::Reverse(node.outside.count), *key));
        if ways.is_empty() {
            notes.add("load", "nothing is asked from outside: no scenario was written", None);
        }
        if ways.len() > 1 {
            let text = "one scenario for each way in: together they are the load that was seen";
            notes.count("load", text, ways.len() as u64, None);
        }
        let left_out = ways.len().saturating_sub(SCENARIOS_MAX) as u64;
        notes.count(
            "load",
            "left out: ways in that are asked less than those with a scenario",
            left_out,
            None,
        );
        let mut wire = learned.wire.clone();
        let latency = nearest(&mut wire, 0.5).map(|both| Duration::from_nanos(both / 2));
        let latency = latency.filter(|latency| *latency > Duration::ZERO);
        let mut names = Names::default();
        for (key, node) in ways.iter().take(SCENARIOS_MAX) {
            let operation = self.full(*key);
            let outside = node.outside;
            let seconds = outside.last.saturating_sub(outside.first) as f64 / 1e9;
            let rate = (outside.count.saturating_sub(1)) as f64 / seconds.max(1e-9);
            let (rate, remark) = if outside.count >= RATE_SAMPLES_MIN && seconds > 0.0 {
                let text =
                    format!("{} requests in {seconds:.1} s; where traces are sampled, more", outside.count);
                (rate, text)
            } else {
                (1.0, format!("assumed: {} requests are too few for a rate", outside.count))
            };
            let name = scenario_name(&mut names, ways.len(), &operation);
            // Three decimals, and never nothing: one an hour is 0.000278 a second.
            let rate = format!("{}/s", ((rate * 1e3).round() / 1e3).clamp(1e-3, 1e6));
            let errors = Vec::new();
            draft.scenarios.push(Scenario { name, operation, rate, remark: Some(remark), latency, errors });
        }
    }
}

impl Target {
    fn what(self, spans: &Spans) -> &What {
        let (Self::Operation(_, what) | Self::Peer(what) | Self::Topic(what)) = self;
        &spans.whats[what as usize]
    }
}

/// How long it takes, by the nearest rank.
fn taken(times: &[u64]) -> Option<Takes> {
    let mut times = times.to_vec();
    let samples = times.len();
    let p50 = Duration::from_nanos(nearest(&mut times, 0.5)?);
    let (share, remark) = if samples < P99_SAMPLES_MIN {
        (1.0, Some(format!("the slowest of {samples} stands for p99: {P99_SAMPLES_MIN} are needed")))
    } else {
        (0.99, None)
    };
    let p99 = Duration::from_nanos(nearest(&mut times, share)?);
    Some(Takes { p50, p99, samples: samples as u64, remark })
}

/// The smallest of `times` within which this share of them lies.
fn nearest(times: &mut [u64], share: f64) -> Option<u64> {
    let last = times.len().checked_sub(1)?;
    let rank = ((times.len() as f64 * share).ceil() as usize).saturating_sub(1).min(last);
    Some(*times.select_nth_unstable(rank).1)
}

/// A method and a path as a design has them: `{name}` is one whole part. Frameworks write `:name` and `<name>`.
fn as_http(method: &str, path: &str) -> Option<(String, String)> {
    let fits = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    if !fits || !path.starts_with('/') || path.contains(['?', '#']) || path.chars().any(char::is_control) {
        return None;
    }
    let part = |part: &str| -> Option<String> {
        let name = part.strip_prefix(':').or_else(|| part.strip_prefix('<')?.strip_suffix('>'));
        let name = name.or_else(|| part.strip_prefix('{')?.strip_suffix('}'));
        match name {
            Some(name) if !name.is_empty() && !name.contains(['{', '}']) => Some(format!("{{{name}}}")),
            Some(_) => None,
            None => (!part.contains(['{', '}'])).then(|| part.to_owned()),
        }
    };
    let parts = path.split('/').map(part).collect::<Option<Vec<_>>>()?;
    Some((method.to_owned(), parts.join("/")))
}

fn as_grpc(method: &str) -> Option<String> {
    let (service, name) = method.split_once('/')?;
    let fits = !service.is_empty() && !name.is_empty() && !name.contains('/');
    (fits && method.bytes().all(|b| b.is_ascii_graphic())).then(|| method.to_owned())
}

/// Two operations of one method and path, or of one gRPC method, could not be told apart; the second goes
/// without.
fn one_of_each_path(operations: &mut [Operation]) {
    let mut seen = BTreeSet::new();
    for operation in operations {
        if let Some((method, path)) = &operation.http {
            let shape = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
            let shape = format!("{method} {}", shape.collect::<Vec<_>>().join("/"));
            if !seen.insert(shape) {
                operation.http = None;
            }
        }
        if operation.grpc.as_ref().is_some_and(|grpc| !seen.insert(grpc.clone())) {
            operation.grpc = None;
        }
    }
}
