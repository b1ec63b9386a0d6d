//! The design as a graph: who asks whom, by which route, under which policy.
//!
//! A node is an operation. An [`Edge`] is one `call` in an operation's `does`; an [`Entry`] is a way in
//! through a gateway. Where a VirtualService speaks for a callee's host, a call goes by its route and
//! under the route's policy; elsewhere under the policy of the operation alone.

use crate::mistake::Place;
use crate::resolved::{CallSettings, Design, Listener, Operation, Service, ServiceId, Work};
use crate::routing::{Asked, Condition, Route, VirtualHost, Weighted, reach};
use http::{HeaderMap, Method};
use std::sync::Arc;

/// An operation of the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Its service.
    pub service: ServiceId,
    /// Its index among the service's operations.
    pub operation: usize,
}

/// One `call` in what an operation does.
#[derive(Clone, Debug)]
pub struct Edge<'d> {
    /// Who asks.
    pub from: Node,
    /// Who is asked, as it is written. The route may send it elsewhere.
    pub to: Node,
    /// Where the call is written.
    pub place: &'d Place,
    /// How likely the asker comes to it: the product of the shares of the choices around it.
    pub share: f64,
    /// How it gets there.
    pub way: Way<'d>,
}

/// How a call gets to its callee.
#[derive(Clone, Debug)]
pub struct Way<'d> {
    /// The route that governs it; `None` where no document writes one.
    pub route: Option<&'d Arc<Route>>,
    /// Where it ends up, with shares that add up to one. Empty for a redirect or a direct response.
    pub legs: Vec<Leg<'d>>,
}

/// One place where a call may end up.
#[derive(Clone, Debug)]
pub struct Leg<'d> {
    /// How likely it is.
    pub share: f64,
    /// The service.
    pub service: ServiceId,
    /// The subset.
    pub subset: Option<&'d Arc<str>>,
    /// The operation; `None` if it is no declared one.
    pub operation: Option<usize>,
    /// What governs the call.
    pub settings: &'d Arc<CallSettings>,
}

/// A way in through a gateway.
#[derive(Clone, Debug)]
pub struct Entry<'d> {
    /// Where.
    pub listener: &'d Listener,
    /// Under which names.
    pub host: &'d VirtualHost,
    /// By which route.
    pub route: &'d Arc<Route>,
    /// To what.
    pub leg: Leg<'d>,
}

impl Design {
    /// The operation behind a node.
    #[must_use]
    pub fn operation(&self, node: Node) -> &Operation {
        &self.service(node.service).operations[node.operation]
    }

    /// `service.operation`, as the documents write it.
    #[must_use]
    pub fn name_of(&self, node: Node) -> String {
        format!("{}.{}", self.service(node.service).name, self.operation(node).name)
    }

    /// Every operation.
    pub fn nodes(&self) -> impl Iterator<Item = Node> {
        self.services().flat_map(|(service, resolved)| {
            (0..resolved.operations.len()).map(move |operation| Node { service, operation })
        })
    }

    /// Every call that an operation is said to make, those within `parallel` and `choice` too, in the
    /// order of the documents.
    #[must_use]
    pub fn edges(&self) -> Vec<Edge<'_>> {
        let mut edges = Vec::new();
        for from in self.nodes() {
            self.calls_in(from, 1.0, &self.operation(from).does, &mut edges);
        }
        edges
    }

    fn calls_in<'d>(&'d self, from: Node, share: f64, works: &'d [Work], edges: &mut Vec<Edge<'d>>) {
        for work in works {
            match work {
                Work::Call { service, operation, place } => {
                    let to = Node { service: *service, operation: *operation };
                    edges.push(Edge { from, to, place, share, way: self.way_to(to) });
                }
                Work::Parallel(works) => self.calls_in(from, share, works, edges),
                Work::Choice(branches) => {
                    for (own, works) in branches {
                        self.calls_in(from, share * own, works, edges);
                    }
                }
                Work::Work(_) | Work::Publish { .. } => {}
            }
        }
    }

    /// How a call from within the design gets to an operation.
    #[must_use]
    pub fn way_to(&self, to: Node) -> Way<'_> {
        let operation = self.operation(to);
        let direct = || Way {
            route: None,
            legs: vec![Leg {
                share: 1.0,
                service: to.service,
                subset: None,
                operation: Some(to.operation),
                settings: &operation.settings,
            }],
        };
        let Some((method, path)) = operation.example() else { return direct() };
        let headers = HeaderMap::new();
        let asked = Asked {
            method: &method,
            path: &path,
            query: None,
            scheme: "http",
            authority: self.service(to.service).host(),
            headers: &headers,
            port: 80,
        };
        match self.mesh.find(&asked) {
            Some(found) if !found.route.implied => {
                let path = rewritten(found.route, &path, found.condition);
                let legs =
                    found.route.destinations().iter().map(|each| self.leg(found.route, each, &method, &path));
                Way { route: Some(found.route), legs: legs.collect() }
            }
            _ => direct(),
        }
    }

    fn leg<'d>(&'d self, route: &'d Route, each: &'d Weighted, method: &Method, path: &str) -> Leg<'d> {
        let operation = self.service(each.destination.service).operation_for(method, path);
        leg(route, each, operation)
    }

    /// Every way in: each gateway's routes, each destination, each operation that the route lets
    /// through; one without operation where a destination declares none.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let mut entries = Vec::new();
        for listener in &self.listeners {
            for host in listener.table.hosts() {
                for (index, route) in host.routes.iter().enumerate() {
                    for each in route.destinations() {
                        let operations = host.carried(index, self.service(each.destination.service));
                        let entry =
                            |operation| Entry { listener, host, route, leg: leg(route, each, operation) };
                        entries.extend(operations.into_iter().map(entry));
                    }
                }
            }
        }
        entries
    }
}

impl VirtualHost {
    /// The operations of `service` that the route at `index` lets through: those that its conditions and
    /// its rewrite allow and that no route before it surely takes. One `None` where the service declares
    /// none.
    #[must_use]
    pub fn carried(&self, index: usize, service: &Service) -> Vec<Option<usize>> {
        if service.operations.is_empty() {
            return vec![None];
        }
        let route = &self.routes[index];
        let rewrite = route.uri_rewrite();
        let reaches = |operation: &Operation| {
            // A path that is rewritten is another one to the routes before.
            let taken =
                |before: &Arc<Route>| rewrite.is_none() && reach::surely_takes(&before.conditions, operation);
            reach::may_carry(&route.conditions, rewrite, operation) && !self.routes[..index].iter().any(taken)
        };
        let operations = service.operations.iter().enumerate();
        operations.filter(|(_, operation)| reaches(operation)).map(|(index, _)| Some(index)).collect()
    }
}

fn leg<'d>(route: &'d Route, each: &'d Weighted, operation: Option<usize>) -> Leg<'d> {
    let total: u64 = route.destinations().iter().map(|other| u64::from(other.weight)).sum();
    Leg {
        share: f64::from(each.weight) / total.max(1) as f64,
        service: each.destination.service,
        subset: each.destination.subset.as_ref(),
        operation,
        settings: &each.call(operation).settings,
    }
}

/// The path that the destination sees.
fn rewritten(route: &Route, path: &str, condition: Option<&Condition>) -> String {
    route.uri_rewrite().map_or_else(|| path.to_owned(), |uri| uri.apply(path, condition).into_owned())
}
