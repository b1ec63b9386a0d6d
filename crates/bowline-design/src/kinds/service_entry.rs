//! Istio's ServiceEntry: a service that nobody else announces.

use crate::kinds::common::WorkloadSelector;
use crate::mistake::Spot;
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
    }
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
    }
}
