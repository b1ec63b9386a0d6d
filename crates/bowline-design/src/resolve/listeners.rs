//! Listeners: where gateways listen, and the hosts and rules that meet there.

use super::conditions::gateway_name;
use super::delegates::expanded;
use super::findings::Findings;
use super::names;
use super::routes::{self, Seen};
use super::settings::{Layer, Voices};
use crate::kinds::gateway::{Gateway, Server};
use crate::kinds::{Doc, Documents};
use crate::mistake::{Place, Spot};
use crate::resolved::Listener;
use crate::routing::host::HostPattern;
use crate::routing::redirect::{RedirectPath, RedirectPort};
use crate::routing::{Action, HeaderOps, Redirect, Route, Table, VirtualHost};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The annotation that makes a gateway believe steering headers from any peer.
pub(super) const TRUST_CALLERS: &str = "bowline.dev/trust-callers";

/// One address and everything that asks for it.
struct Door<'d> {
    bind: SocketAddr,
    gateways: Vec<String>,
    servers: Vec<(&'d Doc<Gateway>, &'d Spot<Server>)>,
    place: Place,
    trusted: bool,
}

/// Every listener that this version serves.
pub(super) fn listeners(documents: &Documents, voices: Voices<'_>, findings: &mut Findings) -> Vec<Listener> {
    let mut doors: Vec<Door<'_>> = Vec::new();
    for gateway in &documents.gateways {
        let name = format!("{}/{}", gateway.meta.namespace, gateway.meta.name);
        let trusted = gateway.meta.annotations.get(TRUST_CALLERS).is_some_and(|value| **value == "true");
        for server in &gateway.spec.servers {
            let Some(bind) = bind(server, findings) else { continue };
            let at = doors.iter().position(|door| door.bind == bind).unwrap_or_else(|| {
                let (gateways, servers) = (Vec::new(), Vec::new());
                doors.push(Door { bind, gateways, servers, place: server.place.clone(), trusted });
                doors.len() - 1
            });
            let door = &mut doors[at];
            // Who is believed at a shared address is believed by all of its gateways, or by none.
            door.trusted &= trusted;
            if !door.gateways.contains(&name) {
                door.gateways.push(name.clone());
            }
            door.servers.push((gateway, server));
        }
    }
    note_unknown_gateways(documents, findings);
    doors.into_iter().map(|door| listener(door, documents, voices, findings)).collect()
}

fn listener(door: Door<'_>, documents: &Documents, voices: Voices<'_>, findings: &mut Findings) -> Listener {
    // By name, so that a design always gives the same table.
    let mut hosts: BTreeMap<String, Vec<Arc<Route>>> = BTreeMap::new();
    let mut shared: BTreeMap<String, usize> = BTreeMap::new();
    for document in &documents.virtual_services {
        let bound: Vec<String> = document
            .spec
            .gateways
            .iter()
            .map(|gateway| gateway_name(gateway, &document.meta.namespace))
            .filter(|gateway| door.gateways.contains(gateway))
            .collect();
        if bound.is_empty() || document.spec.http.is_empty() {
            continue;
        }
        let mut names: Vec<String> = Vec::new();
        // A server that sends everybody to HTTPS lets no rule of its hosts answer, however special.
        let mut redirected = false;
        for written in &document.spec.hosts {
            let own = HostPattern::new(&names::qualified(written, &document.meta.namespace));
            for (gateway, server) in door.servers.iter().filter(|(gateway, _)| {
                bound.contains(&format!("{}/{}", gateway.meta.namespace, gateway.meta.name))
            }) {
                for theirs in
                    server.hosts.iter().filter_map(|host| admitted(host, gateway, &document.meta.namespace))
                {
                    let Some(name) = own.intersection(&HostPattern::new(theirs)).map(HostPattern::text)
                    else {
                        continue;
                    };
                    if https_redirect(server).is_some() {
                        redirected = true;
                    } else if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
        }
        if names.is_empty() && redirected {
            continue;
        }
        if names.is_empty() {
            let text = "none of its hosts is one that its gateway serves";
            findings.note(format!("VirtualService {}", document.meta.name), text, &document.meta.place);
            continue;
        }
        let seen = Seen { document, proxies: &door.gateways, layer: Layer::Edge };
        let rules = expanded(document, documents, findings);
        let routes = routes::routes(seen, &rules, voices, findings);
        for name in names {
            hosts.entry(name.clone()).or_default().extend(routes.iter().cloned());
            *shared.entry(name).or_default() += 1;
        }
    }
    for (gateway, server) in &door.servers {
        if let Some(redirect) = https_redirect(server) {
            for host in &server.hosts {
                let name = host.value.rsplit_once('/').map_or(host.value.as_str(), |(_, host)| host);
                hosts.insert(
                    name.to_ascii_lowercase(),
                    vec![Arc::new(to_https(&gateway.meta.name, &redirect.place))],
                );
            }
        }
    }
    let hosts = hosts.into_iter().map(|(name, routes)| {
        let routes = if shared.get(&name).is_some_and(|count| *count > 1) {
            routes::catch_all_last(routes)
        } else {
            routes
        };
        VirtualHost { names: vec![name.into()], routes }
    });
    Listener {
        name: door.gateways.join(",").into(),
        bind: door.bind,
        table: Table::new(hosts.collect()),
        place: door.place,
        trusted: door.trusted,
    }
}

/// Where a server says that everybody is sent to HTTPS.
fn https_redirect(server: &Server) -> Option<&Spot<bool>> {
    server.tls.as_ref()?.https_redirect.as_ref().filter(|redirect| redirect.value)
}

/// Where a server listens; `None`, with a note, where this version does not serve it.
fn bind(server: &Spot<Server>, findings: &mut Findings) -> Option<SocketAddr> {
    let port = server.port.as_ref()?;
    let number = u16::try_from(port.number.as_ref()?.value).ok()?;
    let protocol = port.protocol.as_ref().map_or("HTTP", |protocol| protocol.value.as_str());
    match protocol.to_ascii_uppercase().as_str() {
        "HTTP" => {}
        "HTTP2" | "GRPC" | "GRPC-WEB" => {
            let text = "served as HTTP/1.1: this version speaks nothing else";
            findings.note(format!("Gateway protocol {protocol}"), text, &port.place);
        }
        _ => {
            let text = "not served by this version, which speaks plain HTTP";
            findings.note(format!("Gateway protocol {protocol}"), text, &port.place);
            return None;
        }
    }
    let address = match &server.bind {
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Some(bind) => match bind.value.parse() {
            Ok(address) => address,
            Err(_) => {
                findings.note("Gateway bind", "not served by this version: it is no IP address", &bind.place);
                return None;
            }
        },
    };
    Some(SocketAddr::new(address, number))
}

/// The host that a server's entry (`host`, `namespace/host`, `./host`, `*/host`) admits from a rule's
/// namespace.
fn admitted<'h>(entry: &'h Spot<String>, gateway: &Doc<Gateway>, namespace: &str) -> Option<&'h str> {
    match entry.value.split_once('/') {
        None => Some(&entry.value),
        Some(("*", host)) => Some(host),
        Some((".", host)) => (gateway.meta.namespace == namespace).then_some(host),
        Some((own, host)) => (own == namespace).then_some(host),
    }
}

fn to_https(gateway: &str, place: &Place) -> Route {
    Route {
        name: format!("{gateway} httpsRedirect").into(),
        place: place.clone(),
        conditions: Vec::new(),
        action: Action::Redirect(Redirect {
            path: RedirectPath::Same,
            authority: None,
            scheme: Some("https".into()),
            port: RedirectPort::AsAuthority,
            status: 301,
        }),
        timeout: None,
        headers: HeaderOps::default(),
        fault: None,
        cors: None,
        mirrors: Vec::new(),
        implied: false,
    }
}

/// Says which rules are bound to a gateway that no document declares.
fn note_unknown_gateways(documents: &Documents, findings: &mut Findings) {
    let known: Vec<String> = documents
        .gateways
        .iter()
        .map(|gateway| format!("{}/{}", gateway.meta.namespace, gateway.meta.name))
        .collect();
    for document in &documents.virtual_services {
        for written in document.spec.gateways.iter().filter(|gateway| gateway.value != "mesh") {
            let name = gateway_name(written, &document.meta.namespace);
            if !known.contains(&name) {
                let text = "no document declares it; rules bound to it alone are not served";
                findings.note(format!("Gateway {name}"), text, &written.place);
            }
        }
    }
}
