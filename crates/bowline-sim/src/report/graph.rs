//! Who asked whom, from what a run counted.
//!
//! All of it is of one whole run, warm-up and drain included: tries are counted so, and so are arrivals here.

use super::page::{Graph, Link, Node, NodeKind};
use super::words;
use crate::model::{Code, EntryTo, Model, Start, TopicId};
use crate::run::Run;

/// From this share of its time on a service is asked more than it can do: all of it but what chance leaves.
const OVERLOADED: f64 = 0.98;
/// A service with more places than this has no limit, and no share of its time says anything.
const PLACES_MAX: f64 = 100_000.0;

/// Who asked whom in `run`.
pub(super) fn of(model: &Model, run: &Run) -> Graph {
    let requests = run.series.points.iter().map(|point| point.offered).sum::<u64>();
    if requests == 0 {
        return Graph::default();
    }
    let each = |count: u64| count as f64 / requests as f64;
    let mut drawing = Drawing { services: model.services.len(), links: Vec::new() };
    for (index, (edge, did)) in model.edges.iter().zip(&run.edges).enumerate() {
        let delivers = model.subscriptions.iter().find(|group| group.spec.deliver.index() == index);
        let from = match (delivers, edge.caller) {
            (Some(group), _) => drawing.topic(group.spec.topic),
            (None, Some(caller)) => caller.index() + 1,
            (None, None) => 0,
        };
        let to = model.operations[edge.spec.to.index()].service.index() + 1;
        drawing.add(Link { from, to, tries: each(did.tries), calls: each(did.calls) });
    }
    for (index, did) in run.topics.iter().enumerate() {
        let topic = TopicId(index as u32);
        let from = publishers(model, topic);
        for publisher in &from {
            // A topic counts its records, not whose they are.
            let share = 1.0 / from.len() as f64;
            let (tries, calls) = (each(did.published + did.refused), each(did.published + did.refused));
            let to = drawing.topic(topic);
            drawing.add(Link { from: *publisher, to, tries: tries * share, calls: calls * share });
        }
    }
    drawing.finish(model, run)
}

/// Who publishes to a topic, as nodes.
fn publishers(model: &Model, topic: TopicId) -> Vec<usize> {
    let mut all = Vec::new();
    for (index, operation) in model.operations.iter().enumerate() {
        let begin = operation.begins as usize;
        let end = model.operations.get(index + 1).map_or(model.code.len(), |next| next.begins as usize);
        if model.code[begin..end].contains(&Code::Publish(topic)) {
            all.push(operation.service.index() + 1);
        }
    }
    let starts = model.entries.iter().filter_map(|entry| match entry.to {
        EntryTo::Call(_) => None,
        EntryTo::Intake(intake) => Some(model.intakes[intake.index()].start),
    });
    let publishes = |start: Start| match start {
        Start::Call(_) => false,
        Start::CallOr(_, other) | Start::Publish(other) => other == topic,
    };
    if starts.into_iter().any(publishes) {
        all.push(0);
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Nodes are numbered: those from outside, services, topics.
struct Drawing {
    services: usize,
    links: Vec<Link>,
}

impl Drawing {
    const fn topic(&self, topic: TopicId) -> usize {
        1 + self.services + topic.index()
    }

    /// Links between the same two are one.
    fn add(&mut self, link: Link) {
        if link.tries <= 0.0 {
            return;
        }
        match self.links.iter_mut().find(|known| (known.from, known.to) == (link.from, link.to)) {
            Some(known) => {
                known.tries += link.tries;
                known.calls += link.calls;
            }
            None => self.links.push(link),
        }
    }

    /// Only those who ask or are asked are drawn.
    fn finish(self, model: &Model, run: &Run) -> Graph {
        let all = 1 + self.services + model.topics.len();
        let drawn: Vec<usize> = (0..all)
            .filter(|node| self.links.iter().any(|link| link.from == *node || link.to == *node))
            .collect();
        let number = |node: usize| drawn.iter().position(|each| *each == node).unwrap_or(0);
        let links =
            self.links.iter().map(|link| Link { from: number(link.from), to: number(link.to), ..*link });
        Graph {
            links: links.collect(),
            nodes: drawn.iter().map(|node| self.node(*node, model, run)).collect(),
        }
    }

    fn node(&self, node: usize, model: &Model, run: &Run) -> Node {
        let Some(index) = node.checked_sub(1) else {
            return Node {
                name: "requests".to_owned(),
                kind: NodeKind::Entry,
                note: String::new(),
                overloaded: false,
            };
        };
        match index.checked_sub(self.services) {
            None => service(index, model, run),
            Some(index) => topic(index, model, run),
        }
    }
}

fn service(index: usize, model: &Model, run: &Run) -> Node {
    let spec = &model.services[index];
    let places = f64::from(spec.replicas) * f64::from(spec.concurrency);
    let span = run.ended_at.min(run.to).as_secs_f64();
    let busy = run.services[index].busy as f64 / 1e9 / (places * span);
    let known = places <= PLACES_MAX && 0.0 < span;
    Node {
        name: spec.name.to_string(),
        kind: NodeKind::Service,
        note: if known { format!("{:.0} % busy", busy.min(1.0) * 100.0) } else { String::new() },
        overloaded: known && OVERLOADED <= busy,
    }
}

fn topic(index: usize, model: &Model, run: &Run) -> Node {
    let readers = &model.topics[index].subscriptions;
    let backlog = readers.iter().map(|group| run.subscriptions[group.index()].backlog_max).max();
    Node {
        name: model.topics[index].spec.name.to_string(),
        kind: NodeKind::Topic,
        note: backlog.map_or(String::new(), |most| format!("≤ {} waiting", words::thousands(most))),
        overloaded: false,
    }
}
