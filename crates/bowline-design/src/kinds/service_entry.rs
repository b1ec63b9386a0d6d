//! Istio's ServiceEntry: a service that nobody else announces.

use crate::kinds::Meta;
use crate::kinds::istio::{self, PROTOCOLS, REFUSED, Spoken};
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{Group, ISTIO, Kind};
use crate::read::names::{is_label, quoted};
use crate::read::record::{record, words};
use std::collections::BTreeMap;

record! {
    /// A service that nobody else announces.
    pub struct ServiceEntry {
        /// Its hosts.
        pub hosts: Vec<Spot<String>>,
        /// Its virtual addresses.
        pub addresses: Vec<Spot<String>>,
        /// Its ports.
        pub ports: Vec<Spot<ServicePort>>,
        /// Inside the mesh or outside.
        pub location: Option<Spot<Location>>,
        /// How its endpoints are found.
        pub resolution: Option<Spot<Resolution>>,
        /// Its endpoints.
        pub endpoints: Vec<Spot<WorkloadEntry>>,
        /// Or the workloads that are its endpoints.
        pub workload_selector: Option<Spot<WorkloadSelector>>,
        /// The namespaces that see it.
        pub export_to: Vec<Spot<String>>,
        /// Names it may prove.
        pub subject_alt_names: Vec<Spot<String>>,
    }
}

record! {
    /// Which workloads a document is for.
    pub struct WorkloadSelector {
        /// Those with all of these labels.
        pub labels: BTreeMap<String, String>,
    } checked by check_selector
}

record! {
    /// A port of a service.
    pub struct ServicePort {
        /// The number callers use.
        pub number: Option<Spot<u32>>,
        /// What is spoken there.
        pub protocol: Option<Spot<String>>,
        /// Its name.
        pub name: Option<Spot<String>>,
        /// The number at the endpoint, where it differs.
        pub target_port: Option<Spot<u32>>,
    } checked by check_port
}

words! {
    /// Inside the mesh or outside.
    pub enum Location {
        /// Outside.
        MeshExternal = "MESH_EXTERNAL",
        /// Inside.
        MeshInternal = "MESH_INTERNAL",
    }
}

words! {
    /// How endpoints are found.
    pub enum Resolution {
        /// The caller's address is used as it is.
        None = "NONE",
        /// By the addresses in `endpoints`.
        Static = "STATIC",
        /// By asking DNS; every address is an endpoint.
        Dns = "DNS",
        /// By asking DNS; a new connection takes the first address.
        DnsRoundRobin = "DNS_ROUND_ROBIN",
        /// By asking DNS for the host of each request.
        DynamicDns = "DYNAMIC_DNS",
    }
}

record! {
    /// An endpoint.
    pub struct WorkloadEntry {
        /// An IP address, a host name, or `unix:///path`.
        pub address: Option<Spot<String>>,
        /// Its ports by the service's port names.
        pub ports: BTreeMap<String, Spot<u32>>,
        /// Its labels; they make subsets.
        pub labels: BTreeMap<String, String>,
        /// The network it is in.
        pub network: Option<Spot<String>>,
        /// Where it is.
        pub locality: Option<Spot<String>>,
        /// Its share.
        pub weight: Option<Spot<u32>>,
        /// The account it runs as.
        pub service_account: Option<Spot<String>>,
    } checked by check_endpoint
}

impl Kind for ServiceEntry {
    const KIND: &'static str = "ServiceEntry";
    const GROUP: Group = ISTIO;

    fn check(meta: &Meta, spec: &Self, place: &Place, mistakes: &mut Mistakes) {
        let resolution = spec.resolution.as_ref().map_or(Resolution::None, |resolution| resolution.value);
        istio::export_to(&spec.export_to, &meta.namespace, true, mistakes);
        check_hosts(spec, resolution, place, mistakes);
        check_addresses(spec, resolution, mistakes);
        check_ports(spec, resolution, mistakes);
        check_endpoints(spec, resolution, mistakes);
    }
}

fn check_hosts(spec: &ServiceEntry, resolution: Resolution, place: &Place, mistakes: &mut Mistakes) {
    if spec.hosts.is_empty() {
        let place = Place { path: "spec.hosts".into(), ..place.clone() };
        mistakes.add(REFUSED, &place, "no `hosts`", "at least one host");
    }
    let dns = matches!(resolution, Resolution::Dns | Resolution::DnsRoundRobin);
    for host in &spec.hosts {
        if host.value == "*" {
            mistakes.add(
                REFUSED,
                &host.place,
                "`*` as a host",
                "a host's name, or one such as `*.example.com`",
            );
        } else if !istio::is_wildcard_host(host) {
            istio::wildcard_host(host, mistakes);
        } else if dns && spec.endpoints.is_empty() && !istio::is_host(host) {
            let found = format!("{}, which DNS cannot answer for", quoted(host));
            mistakes.add(REFUSED, &host.place, found, "a host's name without wildcard, or `endpoints`");
        }
    }
}

fn check_addresses(spec: &ServiceEntry, resolution: Resolution, mistakes: &mut Mistakes) {
    for address in &spec.addresses {
        istio::subnet(address, mistakes);
        if address.contains('/') && !matches!(resolution, Resolution::None | Resolution::Static) {
            let found = format!("the subnet {}", quoted(address));
            mistakes.add(
                REFUSED,
                &address.place,
                found,
                "single addresses, or a resolution of NONE or STATIC",
            );
        }
    }
}

fn check_ports(spec: &ServiceEntry, resolution: Resolution, mistakes: &mut Mistakes) {
    for (index, second) in spec.ports.iter().enumerate() {
        for first in &spec.ports[..index] {
            if let (Some(a), Some(b)) = (&first.name, &second.name)
                && a.value == b.value
            {
                let found = format!("a second port {}", quoted(b));
                mistakes.add(REFUSED, &b.place, found, "one port of each name").also(a.place.clone());
            }
            if let (Some(a), Some(b)) = (&first.number, &second.number)
                && a.value == b.value
            {
                let found = format!("a second port {}", b.value);
                mistakes.add(REFUSED, &b.place, found, "one port of each number").also(a.place.clone());
            }
        }
    }
    // HTTP carries the host's name, TLS the server's name; plain connections carry none.
    let nameless = |port: &&Spot<ServicePort>| match &port.protocol {
        Some(protocol) => istio::spoken(protocol) == Some(Spoken::Other),
        None => true,
    };
    if let Some(port) = spec.ports.iter().find(nameless)
        && resolution != Resolution::None
        && spec.hosts.len() > 1
    {
        let found = format!("{} hosts at a port that is neither HTTP nor TLS", spec.hosts.len());
        mistakes.add(REFUSED, &port.place, found, "one host, since nothing tells them apart there");
    }
}

fn check_endpoints(spec: &ServiceEntry, resolution: Resolution, mistakes: &mut Mistakes) {
    let Some(first) = spec.endpoints.first() else { return };
    if let Some(selector) = &spec.workload_selector {
        let found = "`workloadSelector` and `endpoints` together";
        mistakes.add(REFUSED, &selector.place, found, "one of them").also(first.place.clone());
    }
    if resolution == Resolution::None {
        let expected = "none: with a resolution of NONE the caller's own address is used";
        mistakes.add(REFUSED, &first.place, "`endpoints`", expected).hint("resolution: STATIC, or DNS");
    }
    if resolution == Resolution::DnsRoundRobin && spec.endpoints.len() > 1 {
        let found = format!("{} endpoints", spec.endpoints.len());
        mistakes.add(REFUSED, &first.place, found, "at most one for DNS_ROUND_ROBIN");
    }
    for endpoint in &spec.endpoints {
        let unix = endpoint.address.as_ref().filter(|address| address.starts_with(UNIX));
        if let Some(address) = endpoint.address.as_ref().filter(|address| !address.is_empty())
            && unix.is_none()
            && resolution == Resolution::Static
            && !istio::is_address(address)
        {
            let found = format!("the address {}", quoted(address));
            mistakes.add(REFUSED, &address.place, found, "an IP address, since the resolution is STATIC");
        }
        if let Some(address) = unix.filter(|_| resolution != Resolution::Static) {
            mistakes.add(REFUSED, &address.place, "a Unix socket", "one only where the resolution is STATIC");
        } else if let Some(address) = unix.filter(|_| spec.ports.len() != 1) {
            let found = format!("a Unix socket for {} ports", spec.ports.len());
            mistakes.add(REFUSED, &address.place, found, "exactly one port");
        }
        for (name, port) in &endpoint.ports {
            let known =
                spec.ports.iter().filter_map(|port| port.name.as_ref()).any(|known| known.value == *name);
            if !known {
                let found = format!("the port name {}", quoted(name));
                mistakes.add(REFUSED, &port.place, found, "a name among the document's `ports`");
            }
        }
    }
}

/// The beginning of a Unix socket's address.
const UNIX: &str = "unix://";

fn check_selector(selector: &WorkloadSelector, place: &Place, mistakes: &mut Mistakes) {
    for (key, value) in &selector.labels {
        if key.is_empty() || key.contains('*') || value.contains('*') {
            mistakes.add(REFUSED, place, format!("the label {key}={value}"), "a label without wildcards");
        }
    }
}

fn check_port(port: &ServicePort, place: &Place, mistakes: &mut Mistakes) {
    match &port.number {
        Some(number) => istio::port(number, mistakes),
        None => {
            mistakes.add(REFUSED, place, "a port without a `number`", "1 to 65535");
        }
    }
    match &port.name {
        Some(name) if is_label(name) => {}
        Some(name) => {
            let found = format!("the port name {}", quoted(name));
            mistakes.add(REFUSED, &name.place, found, "letters, digits and `-`, at most 63");
        }
        None => {
            mistakes.add(REFUSED, place, "a port without a `name`", "its name");
        }
    }
    if let Some(protocol) = port.protocol.as_ref().filter(|p| !p.is_empty() && istio::spoken(p).is_none()) {
        mistakes.add(REFUSED, &protocol.place, format!("the protocol {}", quoted(protocol)), PROTOCOLS);
    }
    if let Some(target) = port.target_port.as_ref().filter(|target| target.value != 0) {
        istio::port(target, mistakes);
    }
}

fn check_endpoint(endpoint: &WorkloadEntry, place: &Place, mistakes: &mut Mistakes) {
    match endpoint.address.as_ref().filter(|address| !address.is_empty()) {
        None if endpoint.network.is_none() => {
            mistakes.add(REFUSED, place, "an endpoint without an `address`", "where it is");
        }
        None => {}
        Some(address) => match address.strip_prefix(UNIX) {
            Some(path) if !istio::is_unix_path(path) => {
                mistakes.add(
                    REFUSED,
                    &address.place,
                    quoted(address),
                    "an absolute path to a file, or `@name`",
                );
            }
            Some(_) if !endpoint.ports.is_empty() => {
                mistakes.add(REFUSED, &address.place, "a Unix socket with ports", "none: it has no ports");
            }
            Some(_) => {}
            None if !istio::is_address(address) && !istio::is_host(address) => {
                mistakes.add(REFUSED, &address.place, quoted(address), "an IP address or a host's name");
            }
            None => {}
        },
    }
    for (name, port) in &endpoint.ports {
        istio::port(port, mistakes);
        if !is_label(name) {
            let found = format!("the port name {}", quoted(name));
            mistakes.add(REFUSED, &port.place, found, "letters, digits and `-`, at most 63");
        }
    }
    istio::labels(&endpoint.labels, place, mistakes);
}
