//! Bowline's own spans, as `docs/guide/traces.md` describes them: it stands between services and knows of both.
//!
//! A request that came in by a gateway is an answer of the gateway's. One that came in by the mesh is a service's
//! call. A try is sent to a service that the design names, and stands for its answer where that service has no spans
//! of its own; how long it took is measured on the side of Bowline, the way included.

use super::spans::{Kind, What};
use super::stream::Raw;

pub(super) const LISTENER: &str = "bowline.listener";
pub(super) const DESTINATION: &str = "bowline.destination";
pub(super) const TRY: &str = "bowline.try";
pub(super) const END: &str = "bowline.end";
pub(super) const STATUS: &str = "http.response.status_code";

/// The listener by which services ask one another.
const MESH: &str = "mesh";

/// How tries end that never reached anybody who could answer.
const UNREACHED: [&str; 3] = ["connect failed", "stream refused", "reset before request"];

/// The part that a span has in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It is not of Bowline's.
    Other,
    /// It came in from outside.
    Gateway,
    /// A service asked.
    Mesh,
    /// It was sent to a service.
    Try,
    /// It was sent, and nobody had it.
    Unreached,
}

impl Role {
    pub(super) fn of(raw: &Raw) -> Self {
        let first = |name| raw.attributes.first(&[name]);
        match raw.kind {
            Kind::Server if first(LISTENER) == Some(MESH) => Self::Mesh,
            Kind::Server if first(LISTENER).is_some() => Self::Gateway,
            Kind::Client if first(TRY).is_none() || first(DESTINATION).is_none() => Self::Other,
            Kind::Client if first(END).is_some_and(|end| UNREACHED.contains(&end)) => Self::Unreached,
            Kind::Client => Self::Try,
            _ => Self::Other,
        }
    }
}

/// The service that a try is sent to.
pub(super) fn asked(raw: &Raw) -> &str {
    split(raw.attributes.first(&[DESTINATION]).unwrap_or_default()).0
}

/// What the gateway, or the service that a try is sent to, is asked.
pub(super) fn what(raw: &Raw) -> What {
    let first = |name| raw.attributes.first(&[name]);
    if let Some(method) = first("rpc.method") {
        return What::Rpc(method.to_owned());
    }
    let operation = first(DESTINATION).and_then(|destination| split(destination).1);
    match (raw.kind, operation) {
        (Kind::Client, Some(operation)) => What::Named(operation.to_owned()),
        // The method alone: which paths are of one operation, nobody has said.
        (Kind::Client, None) => What::Named(first("http.request.method").unwrap_or("call").to_owned()),
        // The method and the route: no path.
        _ => What::Named(raw.name.clone()),
    }
}

/// `service.operation`, or a service alone. A host of more parts is a service outside, of which no operation is
/// known.
fn split(destination: &str) -> (&str, Option<&str>) {
    match destination.split_once('.') {
        Some((service, operation)) if !operation.contains('.') => (service, Some(operation)),
        _ => (destination, None),
    }
}

/// Whether the answer says that the question was wrong (RFC 9110, 15.5): an error to who asks, none of who answers.
pub(super) fn is_callers_fault(raw: &Raw) -> bool {
    raw.attributes.first(&[STATUS]).is_some_and(|status| status.len() == 3 && status.starts_with('4'))
}

/// Bowline as a service: what it was called with `OTEL_SERVICE_NAME`, or else by what it is to the others.
pub(super) fn door(service_name: &str) -> &str {
    if service_name == "bowline" { "gateway" } else { service_name }
}
