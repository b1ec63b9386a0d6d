//! Listeners: where gateways listen, and the hosts and rules that meet there.

use super::caller_tls::caller_tls;
use super::conditions::gateway_name;
use super::delegates::expanded;
use super::findings::Findings;
use super::names;
use super::routes::{self, Seen};
use super::settings::{Layer, Voices};
use crate::kinds::gateway::{Gateway, Server};
use crate::kinds::istio::{self, Spoken};
use crate::kinds::{Doc, Documents};
use crate::mistake::{Place, Spot};
use crate::resolved::{CallerTls, Listener};
use crate::routing::host::HostPattern;
use crate::routing::redirect::{RedirectPath, RedirectPort};
use crate::routing::{Action, HeaderOps, Redirect, Route, Table, VirtualHost};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The annotation that makes a gateway believe steering headers from any peer.
pub(super) const TRUST_CALLERS: &str = "bowline.dev/trust-callers";

/// On a Gateway: callees are told in `x-forwarded-client-cert` who a caller proved to be.
pub(super) const FORWARD_CLIENT_CERT: &str = "bowline.dev/forward-client-cert";

/// One address and everything that asks for it in plain text, or one server for TLS: what callers prove to one of
/// those says nothing to another, so that they share no rules.
struct Door<'d> {
    bind: SocketAddr,
    tls: Option<CallerTls>,
    gateways: Vec<String>,
    servers: Vec<(&'d Doc<Gateway>, &'d Spot<Server>)>,
    place: Place,
    trusted: bool,
    forward_client_cert: bool,
}

/// Every listener that this version serves.
pub(super) fn listeners(documents: &Documents, voices: Voices<'_>, findings: &mut Findings) -> Vec<Listener> {
    let mut doors: Vec<Door<'_>> = Vec::new();
    for gateway in &documents.gateways {
        let name = format!("{}/{}", gateway.meta.namespace, gateway.meta.name);
        let says =
            |annotation| gateway.meta.annotations.get(annotation).is_some_and(|value| **value == "true");
        let (trusted, forward_client_cert) = (says(TRUST_CALLERS), says(FORWARD_CLIENT_CERT));
        for server in &gateway.spec.servers {
            let Some(Bound { bind, tls }) = bind(server, findings) else { continue };
            if let Some(other) =
                doors.iter().find(|door| door.bind == bind && door.tls.is_some() != tls.is_some())
            {
                // Istio merges no servers of two protocols at one port: the first holds.
                let text = format!("not served: {} speaks another protocol there", other.gateways.join(","));
                findings.note(
                    format!("Gateway {} port {}", gateway.meta.name, bind.port()),
                    text,
                    &server.place,
                );
                continue;
            }
            if let Some(tls) = &tls {
                note_names_taken(gateway, tls, bind, &doors, findings);
            }
            let at = doors.iter().position(|door| door.bind == bind && door.tls.is_none());
            let at = at.unwrap_or_else(|| {
                let (gateways, servers, place) = (Vec::new(), Vec::new(), server.place.clone());
                doors.push(Door { bind, tls, gateways, servers, place, trusted, forward_client_cert });
                doors.len() - 1
            });
            let door = &mut doors[at];
            // Who is believed at a shared address is believed by all of its gateways, or by none.
            door.trusted &= trusted;
            door.forward_client_cert &= forward_client_cert;
            if !door.gateways.contains(&name) {
                door.gateways.push(name.clone());
            }
            door.servers.push((gateway, server));
        }
    }
    note_unknown_gateways(documents, findings);
    let mut placed = Placed::default();
    let listeners = doors.into_iter().map(|door| listener(door, documents, voices, &mut placed, findings));
    let listeners = listeners.collect();
    for (name, place) in placed.nowhere.iter().filter(|(_, place)| !placed.somewhere.contains(place)) {
        let text = "none of its hosts is one that its gateway serves";
        findings.note(format!("VirtualService {name}"), text, place);
    }
    listeners
}

/// Which rules have a host that some server of their gateways serves.
#[derive(Default)]
struct Placed<'d> {
    somewhere: Vec<&'d Place>,
    nowhere: Vec<(&'d str, &'d Place)>,
}

fn listener<'d>(
    door: Door<'_>,
    documents: &'d Documents,
    voices: Voices<'_>,
    placed: &mut Placed<'d>,
    findings: &mut Findings,
) -> Listener {
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
        if names.is_empty() && !redirected {
            placed.nowhere.push((&document.meta.name, &document.meta.place));
            continue;
        }
        placed.somewhere.push(&document.meta.place);
        if names.is_empty() {
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
                    vec![Arc::new(to_https(gateway, door.bind.port(), &redirect.place))],
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
        tls: door.tls,
        table: Table::new(hosts.collect()),
        place: door.place,
        trusted: door.trusted,
        forward_client_cert: door.forward_client_cert,
    }
}

/// Says which names somebody before it has at the same address.
fn note_names_taken(
    gateway: &Doc<Gateway>,
    tls: &CallerTls,
    bind: SocketAddr,
    doors: &[Door<'_>],
    findings: &mut Findings,
) {
    for name in &tls.names {
        let has = |door: &&Door<'_>| {
            door.bind == bind && door.tls.as_ref().is_some_and(|tls| tls.names.contains(name))
        };
        if let Some(other) = doors.iter().find(has) {
            let (own, name) = (&gateway.meta.name, name.text());
            let text = format!("its host `{name}` is served by {} before it", other.gateways.join(","));
            findings.note(format!("Gateway {own} port {}", bind.port()), text, &tls.place);
        }
    }
}

/// Where a server for plain HTTP says that everybody is sent to HTTPS.
fn https_redirect(server: &Server) -> Option<&Spot<bool>> {
    let protocol = server.port.as_ref()?.protocol.as_ref();
    let plain = protocol.is_none_or(|protocol| istio::spoken(protocol) == Some(Spoken::Http));
    server.tls.as_ref()?.https_redirect.as_ref().filter(|redirect| redirect.value && plain)
}

/// Where a server listens, and whether it speaks TLS.
struct Bound {
    bind: SocketAddr,
    tls: Option<CallerTls>,
}

/// Where a server listens; `None`, with a note, where this version does not serve it.
fn bind(server: &Spot<Server>, findings: &mut Findings) -> Option<Bound> {
    let port = server.port.as_ref()?;
    let number = u16::try_from(port.number.as_ref()?.value).ok()?;
    let protocol = port.protocol.as_ref().map_or("HTTP", |protocol| protocol.value.as_str());
    let tls = match protocol.to_ascii_uppercase().as_str() {
        // Which HTTP is spoken, callers say.
        "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB" => None,
        "HTTPS" => Some(caller_tls(server, findings)?),
        _ => {
            let text = "not served by this version, which speaks HTTP and HTTPS";
            findings.note(format!("Gateway protocol {protocol}"), text, &port.place);
            return None;
        }
    };
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
    Some(Bound { bind: SocketAddr::new(address, number), tls })
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

/// Sends everybody from the port for HTTP to the one where the same gateway speaks TLS. Istio leaves the port as it is,
/// because its gateways are reached at the usual ones; a port that is spelt out leads nowhere then.
fn to_https(gateway: &Doc<Gateway>, from: u16, place: &Place) -> Route {
    let secure = gateway.spec.servers.iter().filter_map(|server| server.port.as_ref()).find(|port| {
        port.protocol.as_ref().is_some_and(|protocol| istio::spoken(protocol) == Some(Spoken::Tls))
    });
    let to = secure.and_then(|port| u16::try_from(port.number.as_ref()?.value).ok());
    Route {
        name: format!("{} httpsRedirect", gateway.meta.name).into(),
        place: place.clone(),
        conditions: Vec::new(),
        action: Action::Redirect(Redirect {
            path: RedirectPath::Same,
            authority: None,
            scheme: Some("https".into()),
            port: to.map_or(RedirectPort::AsAuthority, |to| RedirectPort::Moved(from, to)),
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
