//! The calls that a design may send, each with what governs it: what the rules that need no graph look at.

use crate::assumed;
use crate::graph::Node;
use bowline_design::resolved::{CallSettings, Design, Operation, Service, ServiceId};
use bowline_design::routing::{Route, Table};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One kind of call, and where it is met.
#[derive(Clone, Debug)]
pub(crate) struct Met<'d> {
    pub(crate) settings: &'d CallSettings,
    /// The route that sends it, if a document writes one; otherwise a service calls by itself.
    pub(crate) route: Option<&'d Arc<Route>>,
    pub(crate) service: ServiceId,
    /// Which of its subsets the route sends it to.
    pub(crate) subset: Option<&'d Arc<str>>,
    /// What it asks for; `None` where the service declares no operations.
    pub(crate) operation: Option<usize>,
    /// Whether a gateway of ours sends it, and stamps a deadline where nobody else does.
    pub(crate) stamped: bool,
}

impl<'d> Met<'d> {
    /// The operation, if one is declared.
    pub(crate) fn operation_in(&self, design: &'d Design) -> Option<&'d Operation> {
        self.operation.map(|index| &design.service(self.service).operations[index])
    }

    /// The same in the graph.
    pub(crate) fn node(&self) -> Option<Node> {
        self.operation.map(|operation| Node { service: self.service, operation })
    }

    /// For people: the route's or the operation's name.
    pub(crate) fn name(&self, design: &Design) -> String {
        let service = design.service(self.service);
        match (self.route, self.operation_in(design)) {
            (Some(route), _) => route.name.to_string(),
            (None, Some(operation)) => format!("{}.{}", service.name, operation.name),
            (None, None) => service.name.to_string(),
        }
    }
}

/// All of them: what each written route carries, and each operation where a policy governs it by itself.
/// A service that declares its operations is asked for nothing else; one that declares none, for anything.
pub(crate) fn all(design: &Design) -> Vec<Met<'_>> {
    let mut all = Vec::new();
    for listener in &design.listeners {
        routed(design, &listener.table, !assumed::is_assumed(listener), false, &mut all);
    }
    routed(design, &design.mesh, false, false, &mut all);
    for (id, service) in design.services() {
        all.extend(by_itself(id, service));
    }
    all
}

/// The calls that the mesh port takes by routes which no document writes. What is of a service without a route is among
/// [`all`] as its library makes it; this is what only the mesh port does.
pub(crate) fn by_name(design: &Design) -> Vec<Met<'_>> {
    let mut all = Vec::new();
    routed(design, &design.mesh, false, true, &mut all);
    all
}

fn routed<'d>(design: &'d Design, table: &'d Table, stamped: bool, implied: bool, all: &mut Vec<Met<'d>>) {
    // A VirtualService speaks for several hosts with the same routes.
    let mut seen = BTreeSet::new();
    for host in table.hosts() {
        for (index, route) in host.routes.iter().enumerate().filter(|(_, route)| route.implied == implied) {
            for weighted in route.destinations() {
                let service = weighted.destination.service;
                let subset = weighted.destination.subset.as_ref();
                for operation in host.carried(index, design.service(service)) {
                    let settings = &*weighted.call(operation).settings;
                    if seen.insert((Arc::as_ptr(route), std::ptr::from_ref(settings), service, operation)) {
                        all.push(Met { settings, route: Some(route), service, subset, operation, stamped });
                    }
                }
            }
        }
    }
}

fn by_itself(id: ServiceId, service: &Service) -> impl Iterator<Item = Met<'_>> {
    let met = move |operation, settings| Met {
        settings,
        route: None,
        service: id,
        subset: None,
        operation,
        stamped: false,
    };
    let declared = service.operations.iter().enumerate();
    let declared = declared.map(move |(index, operation)| met(Some(index), &*operation.settings));
    let anything = service.operations.is_empty().then(|| met(None, &*service.policy));
    declared.chain(anything)
}
