//! How often each operation is asked under a scenario of the design, and how long each request keeps it busy.
//!
//! Only scenarios that run the design as it is, in at least one arm, say something about it: an arm with an
//! overlay is another design. What cannot be counted (a trace in a file, what subscriptions cause) counts
//! nothing, so every rate and every time here is the least that it can be.

use crate::graph::{Call, Graph, Node, Start};
use bowline_design::Design;
use bowline_design::resolved::intake::Start as Begins;
use bowline_design::resolved::scenario::{Arrivals, Entry, Load};
use bowline_design::resolved::{Operation, Scenario, Takes, TopicId, Work};
use std::collections::BTreeMap;

/// The standard normal distribution's 99th percentile.
const Z99: f64 = 2.326_347_874;

/// What a scenario asks of the design as it is.
#[derive(Debug)]
pub(crate) struct Traffic<'d> {
    pub(crate) scenario: &'d Scenario,
    /// Requests a second at the end of its load, for each operation that gets any.
    rates: BTreeMap<Node, f64>,
    /// Records a second, for each topic that gets any.
    records: BTreeMap<TopicId, f64>,
}

impl Traffic<'_> {
    /// Requests a second to an operation, when nothing is tried again.
    pub(crate) fn of(&self, node: Node) -> f64 {
        self.rates.get(&node).copied().unwrap_or_default()
    }

    /// Whether any record is written: what its readers do is not counted.
    pub(crate) fn publishes(&self) -> bool {
        !self.records.is_empty()
    }

    /// Records a second to a topic.
    pub(crate) fn to(&self, topic: TopicId) -> f64 {
        self.records.get(&topic).copied().unwrap_or_default()
    }

    /// Calls a second by one edge of the graph, when nothing is tried again.
    pub(crate) fn by(&self, call: &Call<'_>) -> f64 {
        call.from.map_or(0.0, |from| self.of(from) * call.share)
    }

    /// `Scenario black-friday`.
    pub(crate) fn name(&self) -> String {
        format!("Scenario {}", self.scenario.name)
    }
}

/// The traffic of every scenario that has an arm without an overlay.
pub(crate) fn all<'d>(design: &'d Design, graph: &Graph<'d>) -> Vec<Traffic<'d>> {
    let as_it_is = |scenario: &&Scenario| scenario.arms.iter().any(|arm| arm.overlay.is_none());
    let of = |scenario: &'d Scenario| Traffic::new(design, graph, scenario);
    design.scenarios.iter().filter(as_it_is).filter_map(of).collect()
}

impl<'d> Traffic<'d> {
    fn new(design: &'d Design, graph: &Graph<'d>, scenario: &'d Scenario) -> Option<Self> {
        let rate = rate(&scenario.load)?;
        let mut traffic = Self { scenario, rates: BTreeMap::new(), records: BTreeMap::new() };
        let entry = match scenario.load.entry {
            Entry::Operation { service, operation } => Node { service, operation },
            Entry::Intake(id) => match design.intakes[id.0 as usize].start {
                Begins::Call { service, operation, .. } => Node { service, operation },
                Begins::Publish { topic, .. } => {
                    traffic.records.insert(topic, rate);
                    return Some(traffic);
                }
                Begins::Saga { .. } => return None,
            },
            Entry::Route(_) => return None,
        };
        for (node, load) in graph.loads(Start::Operation(entry), &|_| 1.0).iter() {
            traffic.rates.insert(node, load.usual * rate);
            publish(&graph.operation(node).does, load.usual * rate, &mut traffic.records);
        }
        Some(traffic)
    }
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

/// The rate at which a load ends: what lasts, and not a spike on the way.
pub(crate) fn rate(load: &Load) -> Option<f64> {
    let length = load.length.value;
    Some(match &load.arrivals.value {
        Arrivals::Poisson(rate) | Arrivals::Constant(rate) => rate.per_second(),
        Arrivals::Bursts { rate, size, every } => rate.per_second() + f64::from(*size) / every.as_secs_f64(),
        Arrivals::Ramp { to, over, .. } if *over <= length => to.per_second(),
        Arrivals::Steps { from, then } => {
            let begun = then.iter().rfind(|(at, _)| *at < length);
            begun.map_or(*from, |(_, rate)| *rate).per_second()
        }
        Arrivals::Ramp { .. } | Arrivals::Trace(_) | Arrivals::TraceFile(_) => return None,
    })
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
        Some(takes) if works <= 0.0 => taken(&takes.value),
        _ => Busy { surely: works, mean: works },
    }
}

fn taken(takes: &Takes) -> Busy {
    let (p50, p99) = (takes.p50.as_secs_f64(), takes.p99.as_secs_f64());
    let sigma = if p50 > 0.0 && p99 > p50 { (p99 / p50).ln() / Z99 } else { 0.0 };
    Busy { surely: p50 / 2.0, mean: p50 * (sigma * sigma / 2.0).exp() }
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
