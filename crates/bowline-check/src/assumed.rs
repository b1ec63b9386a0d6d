//! Gateways that rules name and no document declares.
//!
//! An export of `virtualservices,destinationrules` has the rules of every gateway and none of the gateways.
//! What can be seen in a rule does not depend on where its gateway listens, so a gateway that is only named
//! is taken to listen somewhere and to admit every host. The design that runs knows nothing of this.

use bowline_design::kinds::Documents;
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

/// The design with every gateway that is only named; `None` where there is none, or where the documents
/// contradict each other only there.
pub(crate) fn with_gateways(documents: &Documents) -> Option<Design> {
    let mut yaml = String::new();
    for (port, (namespace, name)) in (1..).zip(missing(documents).into_iter().take(GATEWAYS_MAX)) {
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
    reading.documents.gateways.extend(assumed.documents.gateways);
    resolve(&reading).ok()
}

/// Whether a listener is one of those.
pub(crate) fn is_assumed(listener: &Listener) -> bool {
    listener.bind.ip() == IpAddr::V4(NOWHERE)
}

/// Namespace and name of every gateway that a VirtualService names and no document declares.
fn missing(documents: &Documents) -> BTreeSet<(&str, &str)> {
    let named = documents.virtual_services.iter().flat_map(|document| {
        let namespace = document.meta.namespace.as_str();
        document.spec.gateways.iter().map(move |gateway| {
            let written = gateway.value.as_str();
            written.split_once('/').unwrap_or((namespace, written))
        })
    });
    let known = |(namespace, name): &(&str, &str)| {
        documents.gateways.iter().any(|own| own.meta.namespace == *namespace && own.meta.name == *name)
    };
    // Names that no object can have are left alone, whatever they were meant to be.
    let is_name = |text: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        !text.is_empty() && text.chars().all(fits)
    };
    named
        .filter(|(namespace, name)| *name != "mesh" && is_name(namespace) && is_name(name))
        .filter(|gateway| !known(gateway))
        .collect()
}
