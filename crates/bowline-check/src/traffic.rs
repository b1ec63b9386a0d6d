//! How often each operation is asked under a scenario of the design, and how long each request keeps it busy.
//!
//! An arm with an overlay is another design, and is looked at as one. What cannot be counted (a trace in a file that
//! nobody has read; a route that lets several operations through; a saga; records that are only written when a call
//! fails, and records that are delivered again) counts nothing, so every rate here is the least that it can be.

use crate::graph::{Call, Graph, Node, Start};
use bowline_design::Design;
use bowline_design::resolved::intake::Start as Begins;
use bowline_design::resolved::scenario::{Arrivals, Entry, Load};
use bowline_design::resolved::{CallSettings, Operation, Scenario, TopicId, Work};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A trace brings what it brings in its busiest minute: a shorter spike is what a queue is for.
const BUSIEST: Duration = Duration::from_secs(60);

/// What a scenario asks of the design as it is.
#[derive(Debug)]
pub(crate) struct Traffic<'d> {
    pub(crate) scenario: &'d Scenario,
    /// Requests a second at the end of its load, for each operation that gets any.
    rates: BTreeMap<Node, f64>,
    /// Records a second, for each topic that gets any.
    records: BTreeMap<TopicId, f64>,
    /// What comes in through gateways: the calls' settings, whom they ask, and how often a second.
    entering: Vec<(&'d CallSettings, Node, f64)>,
    /// The overlay of the arm that is looked at.
    overlay: Option<&'d str>,
}

impl Traffic<'_> {
    /// Requests a second to an operation, when nothing is tried again.
    pub(crate) fn of(&self, node: Node) -> f64 {
        self.rates.get(&node).copied().unwrap_or_default()
    }

    /// Whether any record is written: it may be delivered more than once, which is not counted.
    pub(crate) fn publishes(&self) -> bool {
        !self.records.is_empty()
    }

    /// Records a second to a topic.
    pub(crate) fn to(&self, topic: TopicId) -> f64 {
        self.records.get(&topic).copied().unwrap_or_default()
    }

    /// Calls a second by one edge of the graph, when nothing is tried again.
    pub(crate) fn by(&self, call: &Call<'_>) -> f64 {
        let enters = |(settings, to, _): &&(&CallSettings, Node, f64)| {
            std::ptr::eq(*settings, call.settings) && *to == call.to
        };
        match call.from {
            Some(from) => self.of(from) * call.share,
            None => self.entering.iter().filter(enters).map(|(_, _, rate)| rate).sum(),
        }
    }

    /// `Scenario black-friday`, with the overlay of the arm that is looked at.
    pub(crate) fn name(&self) -> String {
        let with = self.overlay.map(|overlay| format!(" with Overlay {overlay}")).unwrap_or_default();
        format!("Scenario {}{with}", self.scenario.name)
    }
}

/// The traffic of every scenario that has an arm with this overlay, or with none: `design` is the design with it.
pub(crate) fn all<'d>(design: &'d Design, graph: &Graph<'d>, overlay: Option<&'d str>) -> Vec<Traffic<'d>> {
    let has_it = |scenario: &&Scenario| scenario.arms.iter().any(|arm| arm.overlay.as_deref() == overlay);
    let of = |scenario: &'d Scenario| Traffic::new(design, graph, scenario, overlay);
    design.scenarios.iter().filter(has_it).filter_map(of).collect()
}

impl<'d> Traffic<'d> {
    fn new(
        design: &'d Design,
        graph: &Graph<'d>,
        scenario: &'d Scenario,
        overlay: Option<&'d str>,
    ) -> Option<Self> {
        let rate = rate(&scenario.load)?;
        let (rates, records) = (BTreeMap::new(), BTreeMap::new());
        let mut traffic = Self { scenario, rates, records, entering: Vec::new(), overlay };
        match &scenario.load.entry {
            Entry::Operation { service, operation } => {
                let node = Node { service: *service, operation: *operation };
                traffic.add(graph, Start::Operation(node), rate);
            }
            Entry::Intake(id) => match design.intakes[id.0 as usize].start {
                Begins::Call { service, operation, .. } => {
                    traffic.add(graph, Start::Operation(Node { service, operation }), rate);
                }
                Begins::Publish { topic, .. } => {
                    traffic.records.insert(topic, rate);
                }
                Begins::Saga { .. } => return None,
            },
            Entry::Route(name) => {
                for via in entering(graph, name)? {
                    let call = &graph.calls[via];
                    traffic.entering.push((call.settings, call.to, rate * call.share));
                    traffic.add(graph, Start::Entry(via), rate * call.share);
                }
            }
        }
        traffic.deliver(design, graph);
        Some(traffic)
    }

    /// Counts what `rate` requests a second from `start` ask and publish.
    fn add(&mut self, graph: &Graph<'d>, start: Start, rate: f64) {
        for (node, load) in graph.loads(start, &|_| 1.0).iter() {
            *self.rates.entry(node).or_default() += load.usual * rate;
            publish(&graph.operation(node).does, load.usual * rate, &mut self.records);
        }
    }

    /// Counts what the readers of the topics do: each group gets every record, as far as it can take them. Each topic
    /// once: what readers write to a topic that was looked at before counts no more.
    fn deliver(&mut self, design: &'d Design, graph: &Graph<'d>) {
        let spent = spent(graph);
        let mut read: BTreeSet<TopicId> = BTreeSet::new();
        while let Some((topic, rate)) = self.records.iter().find(|(topic, _)| !read.contains(topic)) {
            let (topic, rate) = (*topic, *rate);
            read.insert(topic);
            for reader in design.subscriptions.iter().filter(|reader| reader.topic == topic) {
                let node = Node { service: reader.service, operation: reader.operation };
                let each = spent.get(&node).copied().unwrap_or_default();
                let most =
                    if each > 0.0 { f64::from(reader.concurrency.value) / each } else { f64::INFINITY };
                self.add(graph, Start::Operation(node), rate.min(most));
            }
        }
    }
}

/// The ways in by a route of this name, as a policy may target it. `None` where there is none, or one lets several
/// operations of a service through: nobody says which of them is asked.
fn entering(graph: &Graph<'_>, name: &str) -> Option<Vec<usize>> {
    let named = |route: &str| route == name || route.split_once('[').is_some_and(|(of, _)| of == name);
    let is_it = |call: &Call<'_>| call.route.is_some_and(|route| named(&route.name));
    let ways: Vec<(usize, &Call<'_>)> = graph.ways_in().filter(|(_, call)| is_it(call)).collect();
    let places: BTreeSet<_> =
        ways.iter().map(|(_, call)| (call.place.line, call.place.column, &call.place.file)).collect();
    let nodes: BTreeSet<Node> = ways.iter().map(|(_, call)| call.to).collect();
    let services: BTreeSet<_> = nodes.iter().map(|node| node.service).collect();
    (places.len() == 1 && nodes.len() == services.len())
        .then(|| ways.into_iter().map(|(index, _)| index).collect())
}

/// How long a request keeps an operation and all that it calls busy at the mean, one after the other: the most that
/// it is.
fn spent(graph: &Graph<'_>) -> BTreeMap<Node, f64> {
    let mut spent: BTreeMap<Node, f64> = BTreeMap::new();
    let nodes: Vec<Node> = graph.in_order().collect();
    for node in nodes.into_iter().rev() {
        let calls = graph.made_by(node).filter(|(_, call)| !graph.closes_a_cycle(call));
        let called: f64 =
            calls.map(|(_, call)| call.share * spent.get(&call.to).copied().unwrap_or_default()).sum();
        spent.insert(node, busy(graph.operation(node)).mean + called);
    }
    spent
}

/// Counts what is published when `works` are done `rate` times a second.
fn publish(works: &[Work], rate: f64, records: &mut BTreeMap<TopicId, f64>) {
    for work in works {
        match work {
            Work::Publish { declared: Some(topic), .. } => *records.entry(*topic).or_default() += rate,
            Work::Publish { declared: None, .. } | Work::Work(_) | Work::Call { .. } => {}
            Work::Parallel(branches) => publish(branches, rate, records),
            Work::Choice(branches) => {
                branches.iter().for_each(|(share, branch)| publish(branch, rate * share, records));
            }
        }
    }
}

/// The rate that a load comes to: the last of its steps, the higher end of a ramp, the busiest minute of a trace. A step on the way is a spike, and a spike is what a queue is for.
pub(crate) fn rate(load: &Load) -> Option<f64> {
    let length = load.length.value;
    Some(match &load.arrivals.value {
        Arrivals::Poisson(rate) | Arrivals::Constant(rate) => rate.per_second(),
        Arrivals::Bursts { rate, size, every } => rate.per_second() + f64::from(*size) / every.as_secs_f64(),
        Arrivals::Ramp { from, to, .. } => from.per_second().max(to.per_second()),
        Arrivals::Steps { from, then } => {
            let begun = then.iter().rfind(|(at, _)| *at < length);
            begun.map_or(*from, |(_, rate)| *rate).per_second()
        }
        Arrivals::Trace(times) => busiest(times, BUSIEST.min(length)),
        Arrivals::TraceFile(_) => return None,
    })
}

/// The highest rate over a span of this length.
fn busiest(times: &[Duration], span: Duration) -> f64 {
    if span.is_zero() {
        return 0.0;
    }
    let mut most = 0;
    let mut first = 0;
    for (last, time) in times.iter().enumerate() {
        while times[first] + span <= *time {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most as f64 / span.as_secs_f64()
}

/// How long one request keeps an operation busy, without what it calls.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Busy {
    /// Seconds that the mean is surely not below: half of all requests take the median or longer.
    pub(crate) surely: f64,
    /// Seconds at the mean, if `takes` is the log-normal distribution that the simulator takes it for.
    pub(crate) mean: f64,
}

/// The same for an operation.
pub(crate) fn busy(operation: &Operation) -> Busy {
    let works = works(&operation.does);
    match &operation.takes {
        Some(takes) if works <= 0.0 => {
            Busy { surely: takes.value.p50.as_secs_f64() / 2.0, mean: takes.value.mean() }
        }
        _ => Busy { surely: works, mean: works },
    }
}

fn works(works: &[Work]) -> f64 {
    works
        .iter()
        .map(|work| match work {
            Work::Work(span) => span.as_secs_f64(),
            Work::Call { .. } | Work::Publish { .. } => 0.0,
            Work::Parallel(branches) => {
                branches.iter().map(|branch| self::works(std::slice::from_ref(branch))).fold(0.0, f64::max)
            }
            Work::Choice(branches) => {
                branches.iter().map(|(share, branch)| share * self::works(branch)).sum()
            }
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_counts_by_its_busiest_minute() {
        let s = Duration::from_secs;
        let times: Vec<Duration> = (0..60).map(|at| s(at * 10)).chain((0..120).map(|_| s(595))).collect();
        assert_eq!(busiest(&times, BUSIEST), 126.0 / 60.0);
        assert_eq!(busiest(&[], BUSIEST), 0.0);
        assert_eq!(busiest(&times, Duration::ZERO), 0.0);
    }
}
