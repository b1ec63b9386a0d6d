//! Who calls whom: the design's own graph, with callees in order and the least time that everything takes.

mod least;
mod left;
mod load;
mod most;
mod order;

pub(crate) use bowline_design::graph::Node;
pub(crate) use least::Least;
pub(crate) use left::{Left, patience};
pub(crate) use load::{Loads, Start};
pub(crate) use most::longest;

use bowline_design::Place;
use bowline_design::resolved::{CallSettings, Design, Operation};
use bowline_design::routing::Route;
use least::Leasts;
use order::Order;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A call that the design makes, or one that a gateway lets in.
#[derive(Clone, Debug)]
pub(crate) struct Call<'d> {
    /// Who calls: an operation, or nobody of the design (a gateway's client).
    pub(crate) from: Option<Node>,
    /// Who calls, for people.
    pub(crate) caller: String,
    /// Who is called.
    pub(crate) to: Node,
    /// What governs it.
    pub(crate) settings: &'d CallSettings,
    /// The route that it goes by, where a document writes one.
    pub(crate) route: Option<&'d Arc<Route>>,
    /// Where the design says that it is made.
    pub(crate) place: &'d Place,
    /// How likely one request to the caller comes to make it.
    pub(crate) share: f64,
    /// How long the caller has surely been at work when it makes it.
    pub(crate) before: Duration,
}

/// The design as a graph.
#[derive(Debug)]
pub(crate) struct Graph<'d> {
    design: &'d Design,
    pub(crate) calls: Vec<Call<'d>>,
    /// The calls that each operation makes, as indexes of `calls`.
    made: BTreeMap<Node, Vec<usize>>,
    order: Order,
    leasts: Leasts,
    most: BTreeMap<Node, Duration>,
}

impl<'d> Graph<'d> {
    pub(crate) fn new(design: &'d Design) -> Self {
        let edges = design.edges();
        let entries = design.entries();
        let ways_in = entries.iter().filter_map(|entry| node(entry.leg.service, entry.leg.operation));
        let mut next: BTreeMap<Node, Vec<Node>> = BTreeMap::new();
        for edge in &edges {
            let legs = edge.way.legs.iter().filter_map(|leg| node(leg.service, leg.operation));
            next.entry(edge.from).or_default().extend(legs);
        }
        let order = Order::of(ways_in.chain(design.nodes()), &next);
        let leasts = Leasts::of(design, &edges, &order);
        let most = most::all(design, &edges, &order);

        let mut calls = Vec::new();
        for entry in &entries {
            let Some(to) = node(entry.leg.service, entry.leg.operation) else { continue };
            calls.push(Call {
                from: None,
                caller: gateway(&entry.listener.name),
                to,
                settings: entry.leg.settings,
                route: Some(entry.route),
                place: &entry.route.place,
                share: entry.leg.share,
                before: Duration::ZERO,
            });
        }
        let mut made: BTreeMap<Node, Vec<usize>> = BTreeMap::new();
        for (index, edge) in edges.iter().enumerate() {
            for leg in &edge.way.legs {
                let Some(to) = node(leg.service, leg.operation) else { continue };
                made.entry(edge.from).or_default().push(calls.len());
                calls.push(Call {
                    from: Some(edge.from),
                    caller: design.name_of(edge.from),
                    to,
                    settings: leg.settings,
                    route: edge.way.route,
                    place: edge.place,
                    share: edge.share * leg.share,
                    before: leasts.before(index),
                });
            }
        }
        Self { design, calls, made, order, leasts, most }
    }

    /// The calls that `node` makes, with their indexes.
    pub(crate) fn made_by(&self, node: Node) -> impl Iterator<Item = (usize, &Call<'d>)> {
        let made = self.made.get(&node).map_or(&[][..], Vec::as_slice);
        made.iter().map(|index| (*index, &self.calls[*index]))
    }

    /// The calls that gateways let in, with their indexes.
    pub(crate) fn ways_in(&self) -> impl Iterator<Item = (usize, &Call<'d>)> {
        self.calls.iter().enumerate().filter(|(_, call)| call.from.is_none())
    }

    /// Every operation, callers before callees, as far as no cycle forbids it.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = Node> {
        self.order.nodes().iter().copied()
    }

    /// Whether a call leads back to an operation that waits for it: without these calls there is no cycle.
    pub(crate) fn closes_a_cycle(&self, call: &Call<'_>) -> bool {
        call.from.is_some_and(|from| self.order.position(call.to) <= self.order.position(from))
    }

    /// `inventory.allocate`.
    pub(crate) fn name(&self, node: Node) -> String {
        self.design.name_of(node)
    }

    pub(crate) fn operation(&self, node: Node) -> &'d Operation {
        self.design.operation(node)
    }

    /// The least time in which `node` can answer.
    pub(crate) fn least(&self, node: Node) -> Least {
        self.leasts.of_node(node)
    }

    /// The longest that `node` waits by its own limits; `None` where it makes no calls, or one without a limit.
    pub(crate) fn most(&self, node: Node) -> Option<Duration> {
        self.most.get(&node).copied()
    }

    /// The stations of consecutive calls, for people.
    pub(crate) fn stations(&self, path: &[&Call<'d>]) -> Vec<String> {
        let first = path.first().map(|call| call.caller.clone());
        first.into_iter().chain(path.iter().map(|call| self.name(call.to))).collect()
    }
}

fn node(service: bowline_design::resolved::ServiceId, operation: Option<usize>) -> Option<Node> {
    operation.map(|operation| Node { service, operation })
}

/// A gateway for people: `gateway shop`, where its namespace is not the default one.
fn gateway(name: &str) -> String {
    format!("gateway {}", name.strip_prefix("default/").unwrap_or(name))
}
