//! Gateways that rules name and that carry none of them here: no document declares them, or all that they
//! serve is not served by us.
//!
//! An export of `virtualservices,destinationrules` has the rules of every gateway and none of the gateways;
//! others have gateways that answer by HTTPS and send everybody else there. What can be seen in a rule does not
//! depend on where its gateway listens, so such a gateway is taken to listen somewhere and to admit every
//! host. The design that runs knows nothing of this.

use bowline_design::kinds::{Documents, Meta};
use bowline_design::resolved::Listener;
use bowline_design::{Design, Reading, Text, read, resolve};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

/// An address that nobody listens at: it is reserved for documentation (RFC 5737).
const NOWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Each assumed gateway has a port of its own, and a design with more gateways than this was not written by
/// people; the rules of the others are not looked at.
const GATEWAYS_MAX: usize = 10_000;

/// The design with every such gateway; `None` where there is none, or where the documents
/// contradict each other only there.
pub(crate) fn with_gateways(documents: &Documents) -> Option<Design> {
    let mut yaml = String::new();
    let silent = silent(documents);
    let missing =
        named(documents).filter(|gateway| !is_declared(documents, gateway)).collect::<BTreeSet<_>>();
    for (port, (namespace, name)) in (1..).zip(missing.into_iter().chain(silent.clone()).take(GATEWAYS_MAX)) {
        let _ = write!(
            yaml,
            "---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{ name: \"{name}\", namespace: \"{namespace}\" }}
spec: {{ servers: [ {{ bind: {NOWHERE}, port: {{ number: {port}, name: http, protocol: HTTP }}, hosts: [ \"*\" ] }} ] }}
"
        );
    }
    if yaml.is_empty() {
        return None;
    }
    let assumed = read(&[Text { name: "assumed".into(), text: yaml }]);
    let mut reading = Reading { documents: documents.clone(), mistakes: assumed.mistakes, notes: Vec::new() };
    let is_silent = |gateway: &Meta| silent.contains(&(gateway.namespace.as_str(), gateway.name.as_str()));
    reading.documents.gateways.retain(|gateway| !is_silent(&gateway.meta));
    reading.documents.gateways.extend(assumed.documents.gateways);
    resolve(&reading).ok()
}

/// Whether a listener is one of those.
pub(crate) fn is_assumed(listener: &Listener) -> bool {
    listener.bind.ip() == IpAddr::V4(NOWHERE)
}

/// Namespace and name of a gateway.
type Name<'d> = (&'d str, &'d str);

/// Every gateway that a VirtualService names, as often as it is named.
fn named(documents: &Documents) -> impl Iterator<Item = Name<'_>> {
    let named = documents.virtual_services.iter().flat_map(|document| {
        let namespace = document.meta.namespace.as_str();
        document.spec.gateways.iter().map(move |gateway| {
            let written = gateway.value.as_str();
            written.split_once('/').unwrap_or((namespace, written))
        })
    });
    // Names that no object can have are left alone, whatever they were meant to be.
    let is_name = |text: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        !text.is_empty() && text.chars().all(fits)
    };
    named.filter(move |(namespace, name)| *name != "mesh" && is_name(namespace) && is_name(name))
}

fn is_declared(documents: &Documents, (namespace, name): &Name<'_>) -> bool {
    documents.gateways.iter().any(|own| own.meta.namespace == *namespace && own.meta.name == *name)
}

/// Every gateway that is named and declared, has servers with TLS, and sends no request on as we serve it.
fn silent(documents: &Documents) -> BTreeSet<Name<'_>> {
    let has_tls = |gateway: &Name<'_>| {
        let is = |meta: &Meta| (meta.namespace.as_str(), meta.name.as_str()) == *gateway;
        let own = documents.gateways.iter().filter(|document| is(&document.meta));
        own.flat_map(|document| &document.spec.servers).any(|server| server.tls.is_some())
    };
    let mut silent: BTreeSet<Name<'_>> = named(documents).filter(has_tls).collect();
    if silent.is_empty() {
        return silent;
    }
    let reading = Reading { documents: documents.clone(), ..Reading::default() };
    let Ok(design) = resolve(&reading) else { return BTreeSet::new() };
    for listener in design.listeners.iter().filter(|listener| sends_on(listener)) {
        for name in listener.name.split(',') {
            silent.retain(|gateway| name.trim().split_once('/') != Some(*gateway));
        }
    }
    silent
}

fn sends_on(listener: &Listener) -> bool {
    let mut routes = listener.table.hosts().iter().flat_map(|host| &host.routes);
    routes.any(|route| !route.destinations().is_empty())
}
