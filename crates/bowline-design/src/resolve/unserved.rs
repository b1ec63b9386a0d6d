//! What documents ask for and do not get from this version, by name.
//!
//! No field of Istio's kinds is ignored in silence: it is acted on, [`refused`](super::refused), or noted here, in
//! [`rules`](super::rules), [`routes`](super::routes), [`settings`](super::settings) or [`caller_tls`](super::caller_tls).
//! A test goes through all of them.

use super::findings::Findings;
use super::names;
use crate::kinds::Documents;
use crate::kinds::gateway::Server;
use crate::kinds::service_entry::{Location, ServiceEntry, ServicePort, WorkloadEntry};
use crate::mistake::{Place, Spot};
use crate::routing::host::HostPattern;

/// Notes what VirtualServices, ServiceEntries and Gateways ask for beyond what their rules, endpoints and
/// listeners become.
pub(super) fn note(documents: &Documents, findings: &mut Findings) {
    for document in &documents.virtual_services {
        let spec = &document.spec;
        if let Some(rule) = spec.tcp.first() {
            findings.note("VirtualService tcp", "not served by this version, which speaks HTTP", &rule.place);
        }
        if let Some(rule) = spec.tls.first() {
            findings.note("VirtualService tls", "not served by this version, which speaks HTTP", &rule.place);
        }
        if let Some(export) = spec.export_to.first() {
            findings.not_acted_on("VirtualService exportTo (one process sees all namespaces)", &export.place);
        }
    }
    for document in &documents.service_entries {
        entry(&document.spec, findings);
        if let Some(name) = document.spec.subject_alt_names.first()
            && !document.spec.hosts.iter().any(|host| is_spoken_to_under_tls(host, documents))
        {
            let text =
                "nothing is proved to whom TLS is not spoken: the `tls` of a DestinationRule begins it";
            findings.note("ServiceEntry subjectAltNames", text, &name.place);
        }
    }
    for document in &documents.gateways {
        if !document.spec.selector.is_empty() {
            let text = "selects workloads, which this version does not know: this process is every gateway";
            findings.note("Gateway selector", text, &document.place);
        }
        document.spec.servers.iter().for_each(|server| self::server(server, findings));
    }
}

fn is_spoken_to_under_tls(host: &str, documents: &Documents) -> bool {
    documents.destination_rules.iter().any(|document| {
        let rule = &document.spec;
        let of_subsets = rule.subsets.iter().filter_map(|subset| subset.traffic_policy.as_ref());
        let speaks = rule.traffic_policy.iter().chain(of_subsets).any(|policy| {
            policy.tls.is_some() || policy.port_level_settings.iter().any(|settings| settings.tls.is_some())
        });
        speaks && HostPattern::new(&names::qualified(&rule.host, &document.meta.namespace)).matches(host)
    })
}

fn entry(spec: &ServiceEntry, findings: &mut Findings) {
    if let Some(export) = spec.export_to.first() {
        findings.not_acted_on("ServiceEntry exportTo (one process sees all namespaces)", &export.place);
    }
    if let Some(selector) = &spec.workload_selector {
        let text = "selects workloads, which this version does not know: the entry has no endpoints";
        findings.note("ServiceEntry workloadSelector", text, &selector.place);
    }
    if let Some(address) = spec.addresses.first() {
        let text = "not acted on: requests find their host by its name, never by an address";
        findings.note("ServiceEntry addresses", text, &address.place);
    }
    if let Some(location) = spec.location.as_ref().filter(|location| location.value == Location::MeshInternal)
    {
        let text = "taken for one outside: what its answers say of their outcome is not believed";
        findings.note("ServiceEntry location MESH_INTERNAL", text, &location.place);
    }
    spec.ports.iter().for_each(|port| self::port(port, findings));
    spec.endpoints.iter().for_each(|endpoint| self::endpoint(endpoint, findings));
}

/// Plain HTTP is all that this version speaks, whatever a port says.
fn port(port: &Spot<ServicePort>, findings: &mut Findings) {
    let Some(protocol) = port.protocol.as_ref().filter(|protocol| !protocol.is_empty()) else { return };
    // Istio's protocols are words without regard to case.
    let text = match protocol.to_ascii_uppercase().as_str() {
        "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB" => return,
        "HTTPS" | "TLS" => {
            "plain HTTP/1.1 is spoken to it, unless the `tls` of a DestinationRule says otherwise"
        }
        _ => "HTTP/1.1 is spoken to it: this version speaks nothing else but HTTP",
    };
    findings.note(format!("ServiceEntry ports.protocol {}", protocol.value), text, &protocol.place);
}

fn endpoint(endpoint: &Spot<WorkloadEntry>, findings: &mut Findings) {
    let WorkloadEntry { address, ports: _, labels: _, network, locality, weight: _, service_account } =
        &endpoint.value;
    if let Some(socket) = address.as_ref().filter(|address| address.starts_with("unix:")) {
        let text = "passed over: this version does not connect to Unix sockets";
        findings.note("ServiceEntry endpoints.address unix:", text, &socket.place);
    }
    let others = [
        ("network", network.as_ref().map(|spot| &spot.place)),
        ("locality", locality.as_ref().map(|spot| &spot.place)),
        ("serviceAccount", service_account.as_ref().map(|spot| &spot.place)),
    ];
    not_acted_on("ServiceEntry endpoints", others, findings);
}

fn server(server: &Spot<Server>, findings: &mut Findings) {
    let others = [
        ("name", server.name.as_ref().map(|spot| &spot.place)),
        ("defaultEndpoint", server.default_endpoint.as_ref().map(|spot| &spot.place)),
    ];
    not_acted_on("Gateway servers", others, findings);
}

/// Notes each field that is written.
fn not_acted_on<const N: usize>(within: &str, fields: [(&str, Option<&Place>); N], findings: &mut Findings) {
    for (field, place) in fields {
        if let Some(place) = place {
            findings.not_acted_on(&format!("{within}.{field}"), place);
        }
    }
}

#[cfg(test)]
mod tests;
