//! A design made ready for the data path, and swapped whole.
//!
//! Nothing is looked up by name while a request runs: each route of each listener has its destinations,
//! each destination its endpoints and edges, each edge its counters, found by position. A reload builds
//! the next snapshot beside the running one; requests under way keep the one they began with. What an
//! edge remembers (breaker, budget, bulkhead, rate) goes over to the next snapshot where its key and
//! its settings stay.

use crate::faults::FaultRule;
use crate::files::{Noting, Seen};
use crate::health::{Checked, Watch, WatchId};
use crate::metrics::{CallTally, Callee, DoorTally, Labels, Metrics, Tally};
use crate::reach::{Learned, Reach, Reached, Spoken};
use crate::tls::{Secured, Server};
use crate::tokens::Tokens;
use crate::trouble::Trouble;
use bowline_call::tls::{Source, Until};
use bowline_call::{Endpoint, Endpoints, Http};
use bowline_design::Design;
use bowline_design::resolved::Listener;
use bowline_design::resolved::access::{Access, Grant};
use bowline_design::resolved::{CallSettings, EdgeKeys, HashBy, Idempotency, Service};
use bowline_design::routing::host::HostPattern;
use bowline_design::routing::{Action, Destination, Found, Mirror, Route, Table};
use bowline_fault::Plan;
use bowline_model::Instant;
use bowline_model::decision::DeadlineSource;
use bowline_policy::balance::{Joining, hash};
use bowline_policy::{
    Balancer, CallPolicy, Counters, CrossHop, Edge, LiveQuantile, Parts, SharedAdmission, SharedBreaker,
    SharedBudget, SharedBulkhead, SharedHedge, SharedRate,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Where requests come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Door {
    /// A gateway's listener, by the address the design binds it to.
    Gateway(SocketAddr),
    /// The mesh port.
    Mesh,
}

/// A design made ready.
#[derive(Debug)]
pub(crate) struct Snapshot {
    design: Arc<Design>,
    /// Whether something is broken on purpose, anywhere.
    faulty: bool,
    entrances: Vec<Entrance>,
    edges: Vec<(Callee, Arc<Edge>)>,
    kept: Kept,
    endpoints: Vec<Arc<Endpoint>>,
    /// The files of certificates and keys that it was made of.
    files: Seen,
    troubles: Vec<Trouble>,
    /// Who is asked whether it is well.
    watches: BTreeMap<WatchId, Watch>,
    /// Names that are looked up for it.
    names: BTreeSet<Arc<str>>,
    /// Files that list endpoints of it.
    lists: BTreeSet<Arc<str>>,
    /// Whose tokens are believed; `None`: nobody's are looked at.
    tokens: Option<Arc<Tokens>>,
}

/// One listener and what is behind it: all of a door, or under TLS one of the servers there.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) door: Door,
    pub(crate) name: Arc<str>,
    guard: Guard,
    /// Whether callees are told who a caller proved to be.
    pub(crate) forward_client_cert: bool,
    /// Whether headers that steer Bowline are believed from any peer.
    pub(crate) trusted: bool,
    pub(crate) tally: Arc<DoorTally>,
    /// Requests without a route.
    pub(crate) unrouted: Arc<Tally>,
    /// The listener's index; `None`: the mesh.
    listener: Option<usize>,
    /// By the address of the design's route, which stays while the snapshot does.
    routes: Vec<(usize, Way)>,
}

/// What a connection passes before it is served.
#[derive(Clone, Debug)]
pub(crate) enum Guard {
    /// Nothing.
    Plain,
    /// A handshake with this server.
    Tls(Arc<Server>),
    /// It cannot: the server's files cannot be used.
    Broken,
}

/// One route made ready.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) tally: Arc<Tally>,
    /// In the order of the route's destinations.
    pub(crate) targets: Vec<Target>,
    pub(crate) mirrors: Vec<(Mirror, Vec<Arc<Endpoint>>)>,
}

/// One destination made ready.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    pub(crate) addresses: Arc<[Arc<str>]>,
    pub(crate) tally: Arc<Tally>,
    /// Whether there is no endpoint because TLS cannot be spoken.
    pub(crate) no_tls: bool,
    /// Whether HTTP/2 is spoken to all of it.
    pub(crate) http2: bool,
    /// Whether its answers may name their outcome: it belongs to the design.
    pub(crate) believed: bool,
    /// In the order of the destination's calls.
    pub(crate) calls: Vec<PlannedEdge>,
}

/// One call made ready.
#[derive(Debug)]
pub(crate) struct PlannedEdge {
    pub(crate) edge: Arc<Edge>,
    /// The smallest deadline that the design sets.
    pub(crate) deadline: Option<(DeadlineSource, Duration)>,
    /// The edge's stamp, for callers that bring no deadline where the design sets none.
    pub(crate) stamp: Option<Duration>,
    /// Who is let through; `None`: everybody.
    pub(crate) access: Option<Arc<[Grant]>>,
    pub(crate) idempotent: Idempotency,
    pub(crate) pending: bool,
    /// What of the request its host is picked by.
    pub(crate) hash: Option<HashBy>,
    pub(crate) tally: Arc<CallTally>,
    /// `service` or `service.operation`.
    pub(crate) name: Box<str>,
}

/// What outlives a reload, by key.
#[derive(Clone, Debug, Default)]
struct Kept {
    breakers: BTreeMap<Arc<str>, Arc<SharedBreaker>>,
    budgets: BTreeMap<Arc<str>, Arc<SharedBudget>>,
    bulkheads: BTreeMap<Arc<str>, Arc<SharedBulkhead>>,
    rates: BTreeMap<Arc<str>, Arc<SharedRate>>,
    admissions: BTreeMap<Arc<str>, Arc<SharedAdmission>>,
    hedges: BTreeMap<Arc<str>, Arc<SharedHedge>>,
    /// Whatever is known of hosts; a reload that changes how they are picked forgets none of it.
    balancers: BTreeMap<Arc<str>, Arc<Balancer>>,
    /// What edges have counted, by whom they call.
    counters: BTreeMap<Callee, Arc<Counters>>,
    /// Servers of TLS, each at its door.
    servers: Vec<(Door, Arc<Server>)>,
    /// How TLS is spoken to callees.
    spoken: Spoken,
    /// How long their tries take.
    medians: BTreeMap<Callee, Arc<LiveQuantile>>,
    /// What checks have come to.
    checked: BTreeMap<WatchId, Arc<Checked>>,
}

/// What a snapshot is compiled with.
pub(crate) struct Compiler<'a> {
    pub(crate) metrics: &'a Metrics,
    pub(crate) endpoints: &'a Endpoints,
    pub(crate) files: &'a dyn Source,
    pub(crate) found: &'a crate::found::Found,
    pub(crate) faults: &'a [FaultRule],
    pub(crate) mesh_name: Arc<str>,
    /// When.
    pub(crate) now: Instant,
    /// What spreads the checks of this process.
    pub(crate) seed: u64,
}

impl Snapshot {
    /// Makes `design` ready; state goes on from `before`.
    pub(crate) fn compile(design: Arc<Design>, before: Option<&Self>, with: &Compiler<'_>) -> Self {
        let files = Noting::new(with.files);
        let kept = before.map(|before| &before.kept);
        let mut making = Making {
            with,
            design: &design,
            before: kept,
            files: &files,
            reach: Reach::new(with.endpoints, &files, with.found, kept.map(|kept| &kept.spoken)),
            troubles: Vec::new(),
            kept: Kept::default(),
            edges: BTreeMap::new(),
            watches: BTreeMap::new(),
        };
        let mut entrances = Vec::with_capacity(design.listeners.len() + 1);
        for (index, listener) in design.listeners.iter().enumerate() {
            entrances.push(making.gateway(index, listener));
        }
        entrances.push(making.entrance(Door::Mesh, &with.mesh_name, true, None, &design.mesh));
        let Making { mut kept, edges, watches, reach, mut troubles, .. } = making;
        let Learned { spoken, troubles: of_callees, names, lists } = reach.end();
        kept.spoken = spoken;
        troubles.extend(of_callees);
        let known = before.and_then(|before| before.tokens.as_ref());
        let tokens = Tokens::of(&design, known, &files, &mut troubles);
        for trouble in
            troubles.iter().filter(|now| before.is_none_or(|before| !before.troubles.contains(now)))
        {
            trouble.log();
        }
        let files = files.seen();
        let edges: Vec<(Callee, Arc<Edge>)> =
            edges.into_iter().map(|((callee, ..), edge)| (callee, edge)).collect();
        let endpoints = all_endpoints(&entrances);
        let faulty = !with.faults.is_empty()
            || edges.iter().any(|(_, edge)| !edge.policy().faults.faults().is_empty());
        Self {
            faulty,
            entrances,
            edges,
            kept,
            endpoints,
            files,
            troubles,
            watches,
            names,
            lists,
            tokens,
            design,
        }
    }

    /// Tells every balancer what checks have come to, and that nothing speaks against hosts that are not asked.
    pub(crate) fn tell_health(&self, now: Instant) {
        self.watches.values().for_each(|watch| watch.tell(now));
        let watched: BTreeSet<_> =
            self.watches.values().flat_map(Watch::hosts).map(|host| Arc::as_ptr(host).addr()).collect();
        let hosts = self.kept.balancers.values().flat_map(|balancer| balancer.hosts());
        hosts
            .filter(|host| !watched.contains(&Arc::as_ptr(host).addr()))
            .for_each(|host| host.checked(now, true));
    }

    /// Whether there is something to look after.
    pub(crate) fn wants_a_lookout(&self) -> bool {
        let asks = self.tokens().is_some_and(|tokens| tokens.asked().next().is_some());
        asks || !self.watches.is_empty() || !self.names.is_empty() || !self.lists.is_empty()
    }

    /// Whose tokens are believed; `None`: nobody's are looked at.
    pub(crate) const fn tokens(&self) -> Option<&Arc<Tokens>> {
        self.tokens.as_ref()
    }

    /// Names that are looked up for it.
    pub(crate) const fn names(&self) -> &BTreeSet<Arc<str>> {
        &self.names
    }

    /// Files that list endpoints of it.
    pub(crate) const fn lists(&self) -> &BTreeSet<Arc<str>> {
        &self.lists
    }

    /// Everybody who is asked whether it is well.
    pub(crate) fn watches(&self) -> impl Iterator<Item = (&WatchId, &Watch)> {
        self.watches.iter()
    }

    /// One of them.
    pub(crate) fn watch(&self, id: &WatchId) -> Option<&Watch> {
        self.watches.get(id)
    }

    /// Whether something is broken on purpose, anywhere: then every request is worth keeping, because a
    /// fault may have hit a call behind this one that only its library saw.
    pub(crate) const fn is_faulty(&self) -> bool {
        self.faulty
    }

    pub(crate) const fn design(&self) -> &Arc<Design> {
        &self.design
    }

    /// What is behind `door` for a connection, which is `secured` by a handshake or plain.
    pub(crate) fn entrance(&self, door: Door, secured: Option<&Secured>) -> Option<&Entrance> {
        match secured {
            None => self.at(door).find(|entrance| matches!(entrance.guard, Guard::Plain)),
            Some(secured) => self.named(door, secured.terms.server_name.as_deref()),
        }
    }

    /// What a connection passes that asks for `server_name` at `door`.
    pub(crate) fn guard(&self, door: Door, server_name: Option<&str>) -> Option<&Guard> {
        self.named(door, server_name).map(|entrance| &entrance.guard)
    }

    /// Whether a handshake that was made in these terms at `door` would be made in the same now.
    pub(crate) fn honours(&self, door: Door, secured: &Secured) -> bool {
        let guard = self.guard(door, secured.terms.server_name.as_deref());
        matches!(guard, Some(Guard::Tls(server)) if server.terms() == secured.terms.digest)
    }

    /// Whether TLS is spoken at `door`, and who counts its connections.
    pub(crate) fn door(&self, door: Door) -> Option<(bool, &Arc<DoorTally>)> {
        let first = self.at(door).next()?;
        Some((!matches!(first.guard, Guard::Plain), &first.tally))
    }

    fn at(&self, door: Door) -> impl Iterator<Item = &Entrance> {
        self.entrances.iter().filter(move |entrance| entrance.door == door)
    }

    /// The entrance of the server that has the narrowest name for what is asked for.
    pub(crate) fn named(&self, door: Door, server_name: Option<&str>) -> Option<&Entrance> {
        let meant = self.at(door).filter_map(|entrance| {
            let tls = self.design.listeners[entrance.listener?].tls.as_ref()?;
            Some((tls.serves(server_name)?, entrance))
        });
        meant.min_by(|(a, _), (b, _)| HostPattern::by_specificity(a, b)).map(|(_, entrance)| entrance)
    }

    /// The files of certificates and keys that it was made of.
    pub(crate) const fn files(&self) -> &Seen {
        &self.files
    }

    /// Whose files cannot be used.
    pub(crate) fn troubles(&self) -> &[Trouble] {
        &self.troubles
    }

    /// Our certificates, each file once.
    pub(crate) fn certificates(&self) -> BTreeSet<&Until> {
        let servers = self.kept.servers.iter().flat_map(|(_, server)| server.until());
        servers.chain(self.kept.spoken.certificates()).collect()
    }

    pub(crate) fn table(&self, entrance: &Entrance) -> &Table {
        match entrance.listener {
            Some(index) => &self.design.listeners[index].table,
            None => &self.design.mesh,
        }
    }

    /// Edges by whom they call, for `/metrics`.
    pub(crate) fn edges(&self) -> impl Iterator<Item = (&Callee, &Arc<Edge>)> {
        // Edges of one callee (of several routes) share their counters: each is told once.
        let mut last: Option<&Callee> = None;
        self.edges.iter().filter_map(move |(callee, edge)| {
            let again = last == Some(callee);
            last = Some(callee);
            (!again).then_some((callee, edge))
        })
    }

    pub(crate) fn breakers(&self) -> impl Iterator<Item = (&str, &SharedBreaker)> {
        self.kept.breakers.iter().map(|(key, breaker)| (&**key, &**breaker))
    }

    pub(crate) fn bulkheads(&self) -> impl Iterator<Item = (&str, &SharedBulkhead)> {
        self.kept.bulkheads.iter().map(|(key, bulkhead)| (&**key, &**bulkhead))
    }

    pub(crate) fn budgets(&self) -> impl Iterator<Item = (&str, &SharedBudget)> {
        self.kept.budgets.iter().map(|(key, budget)| (&**key, &**budget))
    }

    pub(crate) fn hedges(&self) -> impl Iterator<Item = (&str, &SharedHedge)> {
        self.kept.hedges.iter().map(|(key, hedge)| (&**key, &**hedge))
    }

    pub(crate) fn admissions(&self) -> impl Iterator<Item = (&str, &SharedAdmission)> {
        self.kept.admissions.iter().map(|(key, admission)| (&**key, &**admission))
    }

    /// How long half of the tries to each callee take, where that is measured.
    pub(crate) fn medians(&self) -> impl Iterator<Item = (&Callee, &LiveQuantile)> {
        self.kept.medians.iter().map(|(callee, median)| (callee, &**median))
    }

    /// Destinations and their hosts, for `/metrics`.
    pub(crate) fn balancers(&self) -> impl Iterator<Item = (&str, &Balancer)> {
        self.kept.balancers.iter().map(|(key, balancer)| (&**key, &**balancer))
    }

    pub(crate) fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }
}

impl Entrance {
    /// What was made of the route that was found.
    pub(crate) fn way(&self, found: &Found<'_>) -> Option<&Way> {
        let address = Arc::as_ptr(found.route).addr();
        let at = self.routes.binary_search_by_key(&address, |(own, _)| *own).ok()?;
        Some(&self.routes[at].1)
    }
}

/// A callee, its settings and its endpoints, both by their addresses, with the endpoints' weights.
type EdgeId = (Callee, usize, Vec<(usize, u32)>);

struct Making<'a> {
    with: &'a Compiler<'a>,
    design: &'a Design,
    before: Option<&'a Kept>,
    files: &'a Noting<'a>,
    reach: Reach<'a>,
    troubles: Vec<Trouble>,
    kept: Kept,
    /// One edge for each callee, policy and set of endpoints, however many routes lead there.
    edges: BTreeMap<EdgeId, Arc<Edge>>,
    watches: BTreeMap<WatchId, Watch>,
}

impl Making<'_> {
    fn gateway(&mut self, index: usize, listener: &Listener) -> Entrance {
        let (door, Listener { name, trusted, table, .. }) = (Door::Gateway(listener.bind), listener);
        let guard = self.guard(door, listener);
        let forward_client_cert = listener.forward_client_cert;
        Entrance { guard, forward_client_cert, ..self.entrance(door, name, *trusted, Some(index), table) }
    }

    /// What a listener's connections pass. Where its files cannot be used, the server before it serves on, unless
    /// it would let in whom this one would not.
    fn guard(&mut self, door: Door, listener: &Listener) -> Guard {
        let Some(asked) = &listener.tls else { return Guard::Plain };
        let known = self.before.into_iter().flat_map(|kept| &kept.servers);
        let before = known.filter(|(at, _)| *at == door).map(|(_, server)| server);
        let before = before.into_iter().find(|server| server.is_in_the_place_of(asked));
        let server = match Server::load(asked, before, self.files) {
            Ok(server) => Some(server),
            Err(error) => {
                let before = before.filter(|before| before.asks_the_same_as(asked)).cloned();
                let user = format!("gateway {}", listener.name);
                self.troubles.push(Trouble::new(user, &error, before.is_some()));
                before
            }
        };
        let Some(server) = server else { return Guard::Broken };
        self.kept.servers.push((door, Arc::clone(&server)));
        Guard::Tls(server)
    }

    fn entrance(
        &mut self,
        door: Door,
        name: &Arc<str>,
        trusted: bool,
        listener: Option<usize>,
        table: &Table,
    ) -> Entrance {
        let mut routes: Vec<(usize, Way)> = Vec::with_capacity(table.routes());
        for route in table.hosts().iter().flat_map(|host| &host.routes) {
            routes.push((Arc::as_ptr(route).addr(), self.way(name, route)));
        }
        routes.sort_by_key(|(address, _)| *address);
        routes.dedup_by_key(|(address, _)| *address);
        let empty: Arc<str> = "".into();
        let labels = Labels { listener: Arc::clone(name), route: Arc::clone(&empty), service: empty };
        Entrance {
            door,
            name: Arc::clone(name),
            guard: Guard::Plain,
            forward_client_cert: false,
            trusted,
            tally: self.with.metrics.door(name),
            unrouted: self.with.metrics.tally(labels),
            listener,
            routes,
        }
    }

    fn way(&mut self, listener: &Arc<str>, route: &Arc<Route>) -> Way {
        let labels = |service: Arc<str>| Labels {
            listener: Arc::clone(listener),
            route: Arc::clone(&route.name),
            service,
        };
        let tally = self.with.metrics.tally(labels("".into()));
        let mut targets = Vec::with_capacity(route.destinations().len());
        if let Action::Forward { destinations, .. } = &route.action {
            for weighted in destinations {
                let service = self.design.service(weighted.destination.service);
                let reached = self.reach.all(service, &weighted.destination);
                let endpoints: Vec<_> = reached.iter().map(|(endpoint, _)| Arc::clone(endpoint)).collect();
                let calls = weighted.calls.iter().map(|planned| {
                    let operation = planned.operation.and_then(|index| service.operations.get(index));
                    let operation = operation.map(|operation| &operation.name);
                    let edge =
                        self.edge(service, &weighted.destination, operation, &planned.settings, &reached);
                    let grants =
                        |access: &Access| access.grants(weighted.destination.service, planned.operation);
                    PlannedEdge { access: self.design.access.as_ref().map(grants), ..edge }
                });
                let calls: Vec<PlannedEdge> = calls.collect();
                self.have_checked(service, &endpoints, &calls);
                targets.push(Target {
                    no_tls: endpoints.is_empty()
                        && weighted
                            .destination
                            .tls
                            .as_ref()
                            .is_some_and(|asked| self.reach.cannot_speak(asked)),
                    calls,
                    http2: endpoints.iter().all(|endpoint| endpoint.transport().http == Http::Two),
                    addresses: endpoints.iter().map(|endpoint| Arc::clone(endpoint.address())).collect(),
                    endpoints,
                    tally: self.with.metrics.tally(labels(Arc::clone(&service.name))),
                    believed: !service.external,
                });
            }
        }
        let mirrors =
            route.mirrors.iter().map(|mirror| (mirror.clone(), self.endpoints(&mirror.destination)));
        Way { tally, targets, mirrors: mirrors.collect() }
    }

    /// Has these endpoints asked whether they are well, where their service wants that, for these calls.
    fn have_checked(&mut self, service: &Service, endpoints: &[Arc<Endpoint>], calls: &[PlannedEdge]) {
        let Some(check) = &service.health_check else { return };
        let host: Arc<str> = service.host().into();
        for (index, endpoint) in endpoints.iter().enumerate() {
            let id = (Arc::clone(&host), Arc::as_ptr(endpoint).addr());
            let known = self.before.and_then(|before| before.checked.get(&id));
            let (checked, with) = (&mut self.kept.checked, self.with);
            let watch = self.watches.entry(id).or_insert_with_key(|id| {
                let settings = check.value.settings;
                let known = known.map(|known| {
                    known.change(settings, with.now);
                    Arc::clone(known)
                });
                let seed = with.seed ^ hash(endpoint.address().as_bytes());
                let known = known.unwrap_or_else(|| Checked::new(settings, with.now, seed));
                checked.insert(id.clone(), Arc::clone(&known));
                Watch::new(Arc::clone(&service.name), Arc::clone(endpoint), &check.value, known)
            });
            let balancers = calls.iter().filter_map(|call| call.edge.balancer());
            watch.join(balancers.filter_map(|balancer| balancer.hosts().nth(index).cloned()));
        }
    }

    fn endpoints(&mut self, destination: &Destination) -> Vec<Arc<Endpoint>> {
        let reached = self.reach.all(self.design.service(destination.service), destination);
        reached.into_iter().map(|(endpoint, _)| endpoint).collect()
    }

    fn edge(
        &mut self,
        service: &Service,
        destination: &Destination,
        operation: Option<&Arc<str>>,
        settings: &Arc<CallSettings>,
        endpoints: &[Reached],
    ) -> PlannedEdge {
        let callee = Callee {
            service: Arc::clone(&service.name),
            subset: destination.subset.clone().unwrap_or_default(),
            operation: operation.cloned().unwrap_or_default(),
        };
        let hosts =
            endpoints.iter().map(|(endpoint, weight)| (Arc::as_ptr(endpoint).addr(), *weight)).collect();
        let key = (callee.clone(), Arc::as_ptr(settings).addr(), hosts);
        let edge = match self.edges.get(&key) {
            Some(edge) => Arc::clone(edge),
            None => {
                let edge = self.new_edge(&callee, settings, endpoints);
                self.edges.insert(key, Arc::clone(&edge));
                edge
            }
        };
        let smallest = settings.deadlines.iter().min_by_key(|(_, span)| span.value);
        PlannedEdge {
            edge,
            deadline: smallest.map(|(by, span)| (*by, span.value)),
            stamp: settings.edge_deadline.as_ref().map(|span| span.value),
            access: None,
            idempotent: settings.idempotent.value,
            pending: settings.pending,
            hash: settings.balance.value.hash.clone(),
            tally: self.with.metrics.call(callee),
            name: match operation {
                Some(operation) => format!("{}.{operation}", service.name).into(),
                None => (*service.name).into(),
            },
        }
    }

    fn new_edge(&mut self, callee: &Callee, settings: &CallSettings, endpoints: &[Reached]) -> Arc<Edge> {
        let policy = settings.call_policy();
        let mut faults = policy.faults.faults().to_vec();
        faults.extend(self.with.faults.iter().filter(|rule| rule.concerns(callee)).map(|rule| rule.fault));
        let policy = CallPolicy {
            faults: Plan::new(faults),
            // Who marks its tries tries again itself.
            cross_hop: CrossHop::AnyTry,
            ..policy
        };
        let parts = Parts {
            balancer: Some(self.balancer(&policy, &settings.keys, endpoints)),
            ..self.parts(callee, &settings.keys)
        };
        let edge = Edge::with(policy, parts);
        self.keep(callee, &settings.keys, edge.parts());
        edge
    }

    /// What the edge goes on from: this snapshot's, where another edge shares the key, or the one before.
    fn parts(&self, callee: &Callee, keys: &EdgeKeys) -> Parts {
        let before = self.before;
        let counted = |kept: &Kept| kept.counters.get(callee).cloned();
        let timed = |kept: &Kept| kept.medians.get(callee).cloned();
        Parts {
            breaker: find(&keys.breaker, &self.kept.breakers, before.map(|kept| &kept.breakers)),
            budget: find(&keys.budget, &self.kept.budgets, before.map(|kept| &kept.budgets)),
            bulkhead: find(&keys.bulkhead, &self.kept.bulkheads, before.map(|kept| &kept.bulkheads)),
            rate: find(&keys.rate, &self.kept.rates, before.map(|kept| &kept.rates)),
            admission: find(&keys.admission, &self.kept.admissions, before.map(|kept| &kept.admissions)),
            median: timed(&self.kept).or_else(|| before.and_then(timed)),
            hedge: find(&keys.hedge, &self.kept.hedges, before.map(|kept| &kept.hedges)),
            balancer: None,
            counters: counted(&self.kept).or_else(|| before.and_then(counted)).unwrap_or_default(),
        }
    }

    /// The hosts: another edge's, where it picks in the same way among the same ones; else new, with what was
    /// known of them.
    fn balancer(&self, policy: &CallPolicy, keys: &EdgeKeys, endpoints: &[Reached]) -> Arc<Balancer> {
        let hosts: Vec<Joining> = endpoints
            .iter()
            .map(|(endpoint, weight)| Joining { key: Arc::clone(endpoint.address()), weight: *weight })
            .collect();
        let known = find(&keys.balance, &self.kept.balancers, self.before.map(|kept| &kept.balancers));
        known
            .clone()
            .filter(|known| known.is_made_of(&policy.balance, policy.outlier.as_ref(), &hosts))
            .unwrap_or_else(|| {
                Balancer::new(policy.balance, policy.outlier, hosts, self.with.now, known.as_deref())
            })
    }

    fn keep(&mut self, callee: &Callee, keys: &EdgeKeys, parts: &Parts) {
        let kept = &mut self.kept;
        if let Some(breaker) = &parts.breaker {
            kept.breakers.entry(Arc::clone(&keys.breaker)).or_insert_with(|| Arc::clone(breaker));
        }
        if let Some(budget) = &parts.budget {
            kept.budgets.entry(Arc::clone(&keys.budget)).or_insert_with(|| Arc::clone(budget));
        }
        if let Some(bulkhead) = &parts.bulkhead {
            kept.bulkheads.entry(Arc::clone(&keys.bulkhead)).or_insert_with(|| Arc::clone(bulkhead));
        }
        if let Some(rate) = &parts.rate {
            kept.rates.entry(Arc::clone(&keys.rate)).or_insert_with(|| Arc::clone(rate));
        }
        if let Some(admission) = &parts.admission {
            kept.admissions.entry(Arc::clone(&keys.admission)).or_insert_with(|| Arc::clone(admission));
        }
        if let Some(hedge) = &parts.hedge {
            kept.hedges.entry(Arc::clone(&keys.hedge)).or_insert_with(|| Arc::clone(hedge));
        }
        if let Some(balancer) = &parts.balancer {
            kept.balancers.entry(Arc::clone(&keys.balance)).or_insert_with(|| Arc::clone(balancer));
        }
        if let Some(median) = &parts.median {
            kept.medians.entry(callee.clone()).or_insert_with(|| Arc::clone(median));
        }
        kept.counters.entry(callee.clone()).or_insert_with(|| Arc::clone(&parts.counters));
    }
}

/// Every endpoint that a request may go to, in the order of their addresses.
fn all_endpoints(entrances: &[Entrance]) -> Vec<Arc<Endpoint>> {
    let ways = entrances.iter().flat_map(|entrance| &entrance.routes).map(|(_, way)| way);
    let of_way = |way: &Way| {
        let targets = way.targets.iter().flat_map(|target| &target.endpoints);
        targets.chain(way.mirrors.iter().flat_map(|(_, endpoints)| endpoints)).cloned().collect::<Vec<_>>()
    };
    let mut all: Vec<_> = ways.flat_map(of_way).collect();
    all.sort_by(|a, b| (a.address(), Arc::as_ptr(a)).cmp(&(b.address(), Arc::as_ptr(b))));
    all.dedup_by(|a, b| Arc::ptr_eq(a, b));
    all
}

fn find<T>(
    key: &Arc<str>,
    now: &BTreeMap<Arc<str>, Arc<T>>,
    before: Option<&BTreeMap<Arc<str>, Arc<T>>>,
) -> Option<Arc<T>> {
    now.get(key).or_else(|| before?.get(key)).cloned()
}
