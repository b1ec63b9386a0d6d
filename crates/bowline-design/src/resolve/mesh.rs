//! The mesh: what the mesh port routes by authority.

use super::delegates::expanded;
use super::findings::Findings;
use super::names;
use super::routes::{self, Seen};
use super::settings::{Layer, Voices};
use crate::kinds::{Doc, Documents, VirtualService};
use crate::resolved::ServiceId;
use crate::routing::host::HostPattern;
use crate::routing::{Route, Table, VirtualHost};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One claim: a host that a VirtualService speaks for.
struct Claim<'d> {
    host: HostPattern,
    document: &'d Doc<VirtualService>,
    /// Index of the VirtualService's routes.
    routes: usize,
}

/// The mesh's table: every service, and every host that only a VirtualService knows.
pub(super) fn table(documents: &Documents, voices: Voices<'_>, findings: &mut Findings) -> Table {
    let proxies = ["mesh".to_owned()];
    let mut claims: Vec<Claim<'_>> = Vec::new();
    let mut routes_of: Vec<Vec<Arc<Route>>> = Vec::new();
    for document in &documents.virtual_services {
        let in_the_mesh = document.spec.gateways.is_empty()
            || document.spec.gateways.iter().any(|gateway| gateway.value == "mesh");
        if !in_the_mesh || document.spec.hosts.is_empty() || document.spec.http.is_empty() {
            continue;
        }
        let seen = Seen { document, proxies: &proxies, layer: Layer::Mesh };
        let rules = expanded(document, documents, findings);
        routes_of.push(routes::routes(seen, &rules, voices, findings));
        for written in &document.spec.hosts {
            let host = HostPattern::new(&names::qualified(written, &document.meta.namespace));
            // The first one holds: what is oldest in Istio comes first in a design's texts.
            if let Some(first) = claims.iter().find(|claim| same_host(&claim.host, &host, voices)) {
                let text = format!("spoken for by {} already, which holds", first.document.meta.name);
                findings.note(&written.value, text, &written.place);
                continue;
            }
            claims.push(Claim { host, document, routes: routes_of.len() - 1 });
        }
    }
    claims.sort_by(|a, b| HostPattern::by_specificity(&a.host, &b.host));

    let mut hosts: Vec<VirtualHost> = Vec::new();
    let mut spoken_for: BTreeMap<ServiceId, usize> = BTreeMap::new();
    for claim in &claims {
        let mut alone = true;
        for (index, service) in voices.services.all.iter().enumerate() {
            let is_it = match &claim.host {
                HostPattern::Exact(host) => voices.services.names.host(host) == Some(ServiceId(index as u32)),
                wildcard => wildcard.matches(service.host()),
            };
            if is_it {
                spoken_for.entry(ServiceId(index as u32)).or_insert(claim.routes);
                alone = false;
            }
        }
        // A wildcard stays one for hosts that are no services.
        if alone || !matches!(claim.host, HostPattern::Exact(_)) {
            let names = vec![claim.host.text().into()];
            hosts.push(VirtualHost { names, routes: routes_of[claim.routes].clone() });
        }
    }
    for (index, service) in voices.services.all.iter().enumerate() {
        let id = ServiceId(index as u32);
        let routes = match spoken_for.get(&id) {
            Some(routes) => routes_of[*routes].clone(),
            None => vec![Arc::new(routes::default_route(id, voices, findings))],
        };
        hosts.push(VirtualHost { names: service.hosts.clone(), routes });
    }
    Table::new(hosts)
}

/// Whether two hosts are one: the same text, or two names of one service.
fn same_host(a: &HostPattern, b: &HostPattern, voices: Voices<'_>) -> bool {
    let service = |host: &HostPattern| match host {
        HostPattern::Exact(host) => voices.services.names.host(host),
        HostPattern::Suffix(_) | HostPattern::Any => None,
    };
    a == b || service(a).is_some_and(|own| service(b) == Some(own))
}
