//! What is kept of each span, and of whose it is.

use super::bowline::{self, Role};
use super::guard::Refusal;
use super::stream::{Picked, Raw};
use crate::note::Notes;
use std::collections::{BTreeMap, BTreeSet};

/// Spans kept: at 64 bytes each 640 MB, out of a file of five to ten gigabytes.
const SPANS_MAX: usize = 10_000_000;

/// Different operations. A system of a thousand services has fewer; a name with an id in it has no end.
const WHATS_MAX: usize = 10_000;

/// Different services.
const SERVICES_MAX: usize = 2_000;

/// Instances told apart, to count replicas.
const INSTANCES_MAX: usize = 20_000;

/// What a span is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Within a service, or nobody said.
    #[default]
    Inside,
    Server,
    Client,
    Producer,
    Consumer,
}

impl Kind {
    /// By its number or its word in OTLP.
    pub(super) fn of(text: &str) -> Self {
        match text.strip_prefix("SPAN_KIND_").unwrap_or(text) {
            "2" | "SERVER" => Self::Server,
            "3" | "CLIENT" => Self::Client,
            "4" | "PRODUCER" => Self::Producer,
            "5" | "CONSUMER" => Self::Consumer,
            _ => Self::Inside,
        }
    }
}

/// A span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) trace: u128,
    pub(super) id: u64,
    /// 0: none.
    pub(super) parent: u64,
    pub(super) start: u64,
    pub(super) end: u64,
    resource: u32,
    /// An index of [`Spans::whats`].
    pub(super) what: u32,
    pub(super) kind: Kind,
    pub(super) error: bool,
    /// Whether it asks again what was asked before.
    pub(super) again: bool,
    pub(super) role: Role,
    /// The service that a try of Bowline's was sent to.
    pub(super) asked: u32,
}

const _: () = assert!(size_of::<Span>() == 64, "what the limit of spans reckons with");

/// What a span is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Http {
        method: String,
        path: String,
    },
    /// `package.Service/Method`.
    Rpc(String),
    /// By the span's own name.
    Named(String),
    /// Records of a topic, for a group where one is named.
    Consumed {
        topic: String,
        group: String,
    },
    /// A record to a topic.
    Published(String),
    /// A call to somebody who may have no spans of its own.
    Peer(String),
    /// Whatever else happens within a service.
    Inside,
}

/// Why no more is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Spans,
    Whats,
    Services,
}

impl Refused {
    pub(super) const ALL: [Self; 3] = [Self::Spans, Self::Whats, Self::Services];

    pub(super) const fn found(self) -> &'static str {
        match self {
            Self::Spans => "more than 10000000 spans",
            Self::Whats => "more than 10000 different operations",
            Self::Services => "more than 2000 different services",
        }
    }

    pub(super) const fn refusal(self) -> Refusal {
        let expected = match self {
            Self::Spans => "fewer: export a shorter time, or sample",
            Self::Whats => "fewer: spans seem to be named by ids; record `http.route` or `rpc.method`",
            Self::Services => "fewer: `service.name` seems to hold ids",
        };
        ("too-large", self.found(), expected)
    }
}

/// Whose spans they are. A name is one service's within its namespace alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Service {
    pub(super) name: String,
    /// Empty: none, which is one of its own.
    pub(super) namespace: String,
}

/// Who says no name.
const NAMELESS: &str = "unknown-service";

/// All spans.
#[derive(Debug, Default)]
pub(super) struct Spans {
    pub(super) list: Vec<Span>,
    pub(super) services: Vec<Service>,
    pub(super) whats: Vec<What>,
    service_ids: BTreeMap<Service, u32>,
    what_ids: BTreeMap<What, u32>,
    /// Each resource's service. The last one is open while its spans are read.
    resources: Vec<u32>,
    /// Whether the open resource has spans of Bowline's.
    is_bowline: bool,
    instances: BTreeSet<(u32, String)>,
    without_ids: u64,
    backwards: u64,
}

impl Spans {
    pub(super) fn begin_resource(&mut self) {
        self.resources.push(0);
        self.is_bowline = false;
    }

    /// Whose the spans since [`Self::begin_resource`] are.
    pub(super) fn end_resource(&mut self, attributes: &Picked) -> Result<(), Refused> {
        let name = attributes.first(&["service.name"]).unwrap_or(NAMELESS);
        let name = if self.is_bowline { bowline::door(name) } else { name };
        let namespace = attributes.first(&["service.namespace"]).unwrap_or_default();
        let instance = attributes.first(&["service.instance.id", "k8s.pod.name", "host.name"]);
        let service = self.service(name, namespace)?;
        if let Some(own) = self.resources.last_mut() {
            *own = service;
        }
        if let Some(instance) = instance.filter(|_| self.instances.len() < INSTANCES_MAX) {
            self.instances.insert((service, instance.to_owned()));
        }
        Ok(())
    }

    fn service(&mut self, name: &str, namespace: &str) -> Result<u32, Refused> {
        let service = Service { name: name.to_owned(), namespace: namespace.to_owned() };
        if let Some(id) = self.service_ids.get(&service) {
            return Ok(*id);
        }
        let id = self.services.len() as u32;
        if self.services.len() >= SERVICES_MAX {
            return Err(Refused::Services);
        }
        self.services.push(service.clone());
        self.service_ids.insert(service, id);
        Ok(id)
    }

    pub(super) fn add(&mut self, raw: &Raw) -> Result<(), Refused> {
        if raw.trace == 0 || raw.id == 0 {
            self.without_ids += 1;
            return Ok(());
        }
        if raw.start == 0 || raw.end < raw.start {
            self.backwards += 1;
            return Ok(());
        }
        if self.list.len() >= SPANS_MAX {
            return Err(Refused::Spans);
        }
        let role = Role::of(raw);
        let asked = if role == Role::Try { self.service(bowline::asked(raw), "")? } else { 0 };
        self.is_bowline |= role != Role::Other;
        let what = if role == Role::Other { What::of(raw) } else { bowline::what(raw) };
        let known = self.what_ids.get(&what).copied();
        let what = match known {
            Some(id) => id,
            None if self.whats.len() >= WHATS_MAX => return Err(Refused::Whats),
            None => {
                let id = self.whats.len() as u32;
                self.whats.push(what.clone());
                self.what_ids.insert(what, id);
                id
            }
        };
        let again = raw.attributes.first(&["http.request.resend_count"]).is_some_and(|count| count != "0");
        self.list.push(Span {
            trace: raw.trace,
            id: raw.id,
            parent: raw.parent,
            start: raw.start,
            end: raw.end,
            resource: self.resources.len().saturating_sub(1) as u32,
            what,
            kind: if role == Role::Mesh { Kind::Client } else { raw.kind },
            error: raw.error && !(role == Role::Try && bowline::is_callers_fault(raw)),
            again,
            role,
            asked,
        });
        Ok(())
    }

    /// Whose a span is.
    pub(super) fn service_of(&self, span: &Span) -> u32 {
        self.resources.get(span.resource as usize).copied().unwrap_or(0)
    }

    /// How many instances of a service sent spans; 1 where none says who it is.
    pub(super) fn replicas(&self, service: u32) -> u32 {
        let own = self.instances.range((service, String::new())..(service + 1, String::new()));
        (own.count() as u32).max(1)
    }

    /// Notes what was passed over.
    pub(super) fn tell(&self, notes: &mut Notes) {
        notes.count("spans", "left out: without a trace's or their own id", self.without_ids, None);
        notes.count("spans", "left out: without a beginning, or with an end before it", self.backwards, None);
        let nameless = self.services.iter().any(|service| service.name == NAMELESS);
        notes.count("service.name", format!("missing: called `{NAMELESS}`"), u64::from(nameless), None);
    }
}

impl What {
    fn of(raw: &Raw) -> Self {
        let first = |names: &[&str]| raw.attributes.first(names).map(str::to_owned);
        let topic = || first(&["messaging.destination.name", "messaging.destination"]);
        match raw.kind {
            Kind::Producer => Self::Published(topic().unwrap_or_default()),
            Kind::Consumer => Self::Consumed {
                topic: topic().unwrap_or_default(),
                group: first(&["messaging.consumer.group.name", "messaging.kafka.consumer.group"])
                    .unwrap_or_default(),
            },
            Kind::Client => {
                let peer = ["peer.service", "db.system.name", "db.system", "server.address", "net.peer.name"];
                first(&peer).map_or(Self::Inside, Self::Peer)
            }
            Kind::Inside if raw.parent != 0 => Self::Inside,
            Kind::Server | Kind::Inside => Self::asked(raw),
        }
    }

    fn asked(raw: &Raw) -> Self {
        let first = |names: &[&str]| raw.attributes.first(names);
        if let Some(method) = first(&["rpc.method"]) {
            return match first(&["rpc.service"]) {
                Some(service) if !method.contains('/') => Self::Rpc(format!("{service}/{method}")),
                _ => Self::Rpc(method.trim_start_matches('/').to_owned()),
            };
        }
        if let Some(method) = first(&["http.request.method", "http.method"]) {
            // Where no route is recorded, it may stand in the span's name: `GET /orders/{id}`.
            let named =
                raw.name.split_once(' ').filter(|(word, path)| *word == method && path.starts_with('/'));
            if let Some(path) = first(&["http.route"]).or(named.map(|(_, path)| path)) {
                return Self::Http { method: method.to_owned(), path: path.to_owned() };
            }
        }
        Self::Named(raw.name.clone())
    }
}
