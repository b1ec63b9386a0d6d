//! The resolved design: what all documents together mean, worked out once, for everybody.
//!
//! Here are no names left to look up and no defaults left to fill in. Whoever needs an answer (the
//! proxy, check, the simulator, `explain`) reads it off, and each value says where it came from, so
//! that no two of them can disagree.
//!
//! In reading order:
//! - [`Design`] and [`Listener`], here
//! - [`service`]: who there is, and what can be asked of it
//! - [`caller_tls`]: TLS from callers
//! - [`call`]: the effective policy of one call
//! - [`topic`]: brokers, topics and subscriptions
//! - [`intake`]: doors to asynchronous work
//! - [`access`]: who may call what, and whose tokens are believed
//! - [`scenario`]: experiments on a design
//! - [`crate::routing`]: which route a request takes

pub mod access;
pub mod call;
pub mod caller_tls;
pub mod intake;
pub mod scenario;
pub mod service;
pub mod topic;

use crate::mistake::{Note, Place};
use crate::routing::Table;
use crate::routing::host::HostPattern;
pub use access::{Access, Issuer, IssuerId};
pub use call::{Balancing, CallSettings, EdgeKeys, HashBy, PlannedCall, TryPlan};
pub use caller_tls::{CallerProof, CallerTls};
pub use intake::{Intake, IntakeId};
use scenario::Arrivals;
pub use scenario::Scenario;
pub use service::{
    CheckedBy, Endpoint, HealthCheck, Idempotency, Located, Needs, Operation, PathPattern, Program, Protocol,
    Run, Service, ServiceId, Subset, Takes, Work,
};
use std::net::SocketAddr;
pub use topic::{Broker, BrokerAt, BrokerId, RecordNeeds, Subscription, SubscriptionId, Topic, TopicId};

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Who said so.
    pub from: Source,
}

impl<T> Sourced<T> {
    /// A value that a document names at `place`.
    pub const fn written(value: T, place: Place) -> Self {
        Self { value, from: Source::Written(place) }
    }

    /// A value that nobody named, and why it is this one.
    pub const fn default(value: T, why: &'static str) -> Self {
        Self { value, from: Source::Default(why) }
    }

    /// Another value of the same origin.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Sourced<U> {
        Sourced { value: change(self.value), from: self.from }
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A document says so, here.
    Written(Place),
    /// No document says anything; this is why the default is what it is.
    Default(&'static str),
}

impl Source {
    /// The place in the documents, if one says so.
    #[must_use]
    pub const fn place(&self) -> Option<&Place> {
        match self {
            Self::Written(place) => Some(place),
            Self::Default(_) => None,
        }
    }
}

/// A whole design, resolved.
#[derive(Clone, Debug, Default)]
pub struct Design {
    /// Every service: declared, entered, or only named. [`ServiceId`] indexes it.
    pub services: Vec<Service>,
    /// Where gateways listen.
    pub listeners: Vec<Listener>,
    /// What the mesh port routes by authority.
    pub mesh: Table,
    /// The route tests (`testCases`) of all documents.
    pub tests: Vec<crate::route_test::RouteTest>,
    /// What a reader should know and need not mend: what this version does not act on, and where a
    /// name leads nowhere.
    pub notes: Vec<Note>,
    /// What keeps records. [`BrokerId`] indexes it.
    pub brokers: Vec<Broker>,
    /// Where records go. [`TopicId`] indexes it.
    pub topics: Vec<Topic>,
    /// Who reads them. [`SubscriptionId`] indexes it.
    pub subscriptions: Vec<Subscription>,
    /// Synchronous doors to asynchronous work. [`IntakeId`] indexes it.
    pub intakes: Vec<Intake>,
    /// Whose tokens are believed at gateways. [`IssuerId`] indexes it.
    pub issuers: Vec<Issuer>,
    /// Who may call what; `None`: nobody is denied anything.
    pub access: Option<Access>,
    /// Experiments. With an overlay applied, those that have an arm with it.
    pub scenarios: Vec<Scenario>,
    /// How many policies the documents hold, for the one line that sums a design up.
    pub policies: usize,
}

impl Design {
    /// The service behind an id of this design.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> &Service {
        &self.services[id.0 as usize]
    }

    /// The service that one of our `Service` documents or an authority calls `name`: its plain name
    /// first, then any of its hosts.
    #[must_use]
    pub fn service_named(&self, name: &str) -> Option<ServiceId> {
        let by = |wanted: &dyn Fn(&Service) -> bool| {
            self.services.iter().position(wanted).map(|index| ServiceId(index as u32))
        };
        by(&|service| service.run.is_some() && *service.name == *name)
            .or_else(|| by(&|service| *service.name == *name))
            .or_else(|| by(&|service| service.hosts.iter().any(|host| host.eq_ignore_ascii_case(name))))
    }

    /// The service that a process of this name proves to be by its token ([`Service::proves_itself_among`]).
    #[must_use]
    pub fn service_of_process(&self, name: &str) -> Option<ServiceId> {
        let by_token =
            |service: &Service| *service.name == *name && service.proves_itself_among(&self.services);
        self.services.iter().position(by_token).map(|index| ServiceId(index as u32))
    }

    /// The listener at `bind` that serves callers who ask for `server_name` (SNI); a plain one whoever is asked for.
    #[must_use]
    pub fn listener_at(&self, bind: SocketAddr, server_name: Option<&str>) -> Option<&Listener> {
        let meant = self.listeners.iter().filter(|listener| listener.bind == bind).filter_map(|listener| {
            let pattern = match &listener.tls {
                Some(tls) => tls.serves(server_name)?,
                None => &HostPattern::Any,
            };
            Some((pattern, listener))
        });
        meant.min_by(|(a, _), (b, _)| HostPattern::by_specificity(a, b)).map(|(_, listener)| listener)
    }

    /// Takes over the arrivals that somebody has read from files for the same scenarios of `known`: resolving the
    /// documents once more does not know of them.
    pub fn take_traces(&mut self, known: &Self) {
        for scenario in &mut self.scenarios {
            let is_it =
                |other: &&Scenario| (&other.namespace, &other.name) == (&scenario.namespace, &scenario.name);
            let arrivals = |scenario: &Scenario| scenario.load.arrivals.value.clone();
            let read = known.scenarios.iter().find(is_it).map(arrivals);
            if let (Arrivals::TraceFile(_), Some(times @ Arrivals::Trace(_))) = (arrivals(scenario), read) {
                scenario.load.arrivals.value = times;
            }
        }
    }

    /// The scenario called `name`, or `namespace/name`; alone a name means the one in `default`, or else
    /// the only one of that name.
    #[must_use]
    pub fn scenario(&self, name: &str) -> Option<&Scenario> {
        let by = |namespace: &str, name: &str| {
            self.scenarios.iter().find(|known| (&*known.namespace, &*known.name) == (namespace, name))
        };
        if let Some((namespace, name)) = name.split_once('/') {
            return by(namespace, name);
        }
        let mut named = self.scenarios.iter().filter(|known| *known.name == *name);
        by("default", name).or_else(|| named.next().filter(|_| named.next().is_none()))
    }

    /// All services with their ids.
    pub fn services(&self) -> impl Iterator<Item = (ServiceId, &Service)> {
        self.services.iter().enumerate().map(|(index, service)| (ServiceId(index as u32), service))
    }
}

/// One address where a gateway listens.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The gateways that ask for it, as `namespace/name`, joined by commas where several share it.
    pub name: std::sync::Arc<str>,
    /// Where to listen.
    pub bind: SocketAddr,
    /// TLS from callers; `None`: none is spoken. Of several listeners at one address, all speak TLS, and the name
    /// that a caller asks for picks one ([`Design::listener_at`]).
    pub tls: Option<CallerTls>,
    /// What it routes.
    pub table: Table,
    /// The first `servers` entry that asks for it.
    pub place: Place,
    /// Whether headers that steer Bowline (deadline, try number, explain) are believed from any peer.
    pub trusted: bool,
    /// Whether callees are told in `x-forwarded-client-cert` who a caller proved to be.
    pub forward_client_cert: bool,
}
