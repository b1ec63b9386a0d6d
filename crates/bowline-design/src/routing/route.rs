//! What a rule does with a request.

use super::condition::{Asked, Condition};
use super::cors::Cors;
use super::headers::HeaderOps;
use super::redirect::Redirect;
use super::rewrite::{Rewrite, UriRewrite};
use crate::mistake::Place;
use crate::resolved::{PlannedCall, ServiceId, Sourced};
use bowline_fault::{Percent, Then};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// One rule of a virtual host.
#[derive(Clone, Debug)]
pub struct Route {
    /// What metrics, `explain` and policies call it: its own name, or `orders[2]` after its document.
    pub name: Arc<str>,
    /// Where it is written; a route that no document writes points at its service.
    pub place: Place,
    /// One of these must hold; without any, every request is accepted.
    pub conditions: Vec<Condition>,
    /// What is done.
    pub action: Action,
    /// How long the whole call may take.
    pub timeout: Option<Sourced<Duration>>,
    /// Header operations of a redirect or a direct response. A forwarded request finds its own, with
    /// these already among them, at its destination.
    pub headers: HeaderOps,
    /// Istio's fault, outside of all tries.
    pub fault: Option<IstioFault>,
    /// Cross-origin rules.
    pub cors: Option<Cors>,
    /// Where copies go.
    pub mirrors: Vec<Mirror>,
    /// Whether no document writes it: the route of a service that no rule speaks for.
    pub implied: bool,
}

/// What is done with a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// It is sent on.
    Forward {
        /// Where, by weight. Never empty.
        destinations: Vec<Weighted>,
        /// What is changed first.
        rewrite: Option<Rewrite>,
    },
    /// The caller is sent elsewhere.
    Redirect(Redirect),
    /// It is answered at once.
    Respond {
        /// The status.
        status: u16,
        /// The body.
        body: Bytes,
    },
}

/// A destination and its share.
#[derive(Clone, Debug)]
pub struct Weighted {
    /// Its share, relative to the sum of all.
    pub weight: u32,
    /// Where.
    pub destination: Destination,
    /// All header operations of a request that goes there, the route's among them, in Istio's order.
    pub headers: HeaderOps,
    /// The calls that this can become: one for each operation of the service, in order, and one last
    /// for a request that is no declared operation.
    pub calls: Vec<PlannedCall>,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// The service.
    pub service: ServiceId,
    /// The part of it.
    pub subset: Option<Arc<str>>,
    /// The port of it.
    pub port: Option<u16>,
    /// Whether HTTP/2 is spoken to endpoints of HTTP/1.1, too: `h2UpgradePolicy: UPGRADE`.
    pub upgraded: bool,
    /// How TLS is spoken to them; `None`: it is not.
    pub tls: Option<CalleeTls>,
    /// How connections to it are made and kept, where a `DestinationRule` says so.
    pub connections: Option<Sourced<Connections>>,
    /// Its endpoints, as indexes of the service's. Empty: a call ends with 503, `no host`.
    pub endpoints: Vec<usize>,
    /// Why there is no endpoint, where there is none.
    pub missing: Option<Arc<str>>,
}

/// How connections to a destination are made and kept; what is absent is Bowline's own way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Connections {
    /// How long one may take to be made.
    pub connect: Option<Duration>,
    /// For how long one is kept that carries nothing; [`Duration::MAX`]: for ever.
    pub idle: Option<Duration>,
    /// How old one gets.
    pub age: Option<Duration>,
    /// Requests that one carries in its life.
    pub requests: Option<u32>,
    /// Requests that one of HTTP/2 carries at once.
    pub streams: Option<u32>,
    /// How long a peer may be silent over HTTP/2 that owes answers.
    pub ping_after: Option<Duration>,
    /// How long it may take to say that it is there.
    pub ping_timeout: Option<Duration>,
    /// Whether, and how, the kernel asks silent peers.
    pub keepalive: Option<Keepalive>,
}

/// How the kernel asks silent peers whether they are there; what is absent is the system's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Keepalive {
    /// After this long a silence.
    pub time: Option<Duration>,
    /// This far apart.
    pub interval: Option<Duration>,
    /// So many without an answer end the connection.
    pub probes: Option<u32>,
}

/// TLS to a destination: a `DestinationRule`'s `tls`. Files are named as they are written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CalleeTls {
    /// The name that it is asked for.
    pub server_name: String,
    /// Names of which it proves one, instead of that.
    pub names: Vec<String>,
    /// Whose word is taken: those in this file; `None`: those whom the machine trusts.
    pub trusted: Option<String>,
    /// Whether it need prove nothing.
    pub blind: bool,
    /// Certificates that are revoked.
    pub revoked: Option<String>,
    /// Our own certificate and its key.
    pub own: Option<(String, String)>,
}

/// Istio's `fault`: done once for a request, outside of its tries, which it switches off.
#[derive(Clone, Debug, PartialEq)]
pub struct IstioFault {
    /// Held back, in this share of requests.
    pub delay: Option<(Percent, Duration)>,
    /// Answered, in this share of requests.
    pub abort: Option<(Percent, Then)>,
    /// Where it is written.
    pub place: Place,
}

/// Where a copy of a request goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Mirror {
    /// Where.
    pub destination: Destination,
    /// Of which share of requests.
    pub percent: Percent,
}

impl Route {
    /// Whether a request is accepted, and by which condition: `Some(None)` where there is none.
    #[must_use]
    pub fn accepts<'r>(&'r self, asked: &Asked<'_>) -> Option<Option<&'r Condition>> {
        if self.conditions.is_empty() {
            return Some(None);
        }
        self.conditions.iter().find(|condition| condition.holds(asked)).map(Some)
    }

    /// Whether every request is accepted.
    #[must_use]
    pub fn is_catch_all(&self) -> bool {
        self.conditions.is_empty() || self.conditions.iter().any(Condition::is_catch_all)
    }

    /// The destinations; none for a redirect or a direct response.
    #[must_use]
    pub fn destinations(&self) -> &[Weighted] {
        match &self.action {
            Action::Forward { destinations, .. } => destinations,
            Action::Redirect(_) | Action::Respond { .. } => &[],
        }
    }

    /// What is changed of the path before a request is sent on.
    #[must_use]
    pub fn uri_rewrite(&self) -> Option<&UriRewrite> {
        match &self.action {
            Action::Forward { rewrite, .. } => rewrite.as_ref()?.uri.as_ref(),
            Action::Redirect(_) | Action::Respond { .. } => None,
        }
    }

    /// The destination for 64 uniformly distributed bits; `None` for a redirect or a direct response.
    #[must_use]
    pub fn pick(&self, random: u64) -> Option<&Weighted> {
        pick(self.destinations(), random)
    }
}

impl Weighted {
    /// What governs a call to this destination: the operation's, or that of no declared one.
    ///
    /// # Panics
    /// Never for a resolved design: `calls` ends with the one for no declared operation.
    #[must_use]
    pub fn call(&self, operation: Option<usize>) -> &PlannedCall {
        let last = self.calls.len() - 1;
        &self.calls[operation.unwrap_or(last).min(last)]
    }
}

/// Each destination gets its share of the numbers.
fn pick(destinations: &[Weighted], random: u64) -> Option<&Weighted> {
    if let [only] = destinations {
        return Some(only);
    }
    let total: u64 = destinations.iter().map(|each| u64::from(each.weight)).sum();
    // Multiply-shift, as `bowline_model::Random::below`: no bias worth naming at 64 bits.
    let mut at = ((u128::from(random) * u128::from(total)) >> 64) as u64;
    destinations.iter().find(|each| match at.checked_sub(u64::from(each.weight)) {
        Some(rest) => {
            at = rest;
            false
        }
        None => true,
    })
}
