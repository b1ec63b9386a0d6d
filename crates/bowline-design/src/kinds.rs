//! The kinds of documents a design is made of, one file a kind.

use crate::mistake::Place;
use std::collections::BTreeMap;

pub mod common;
pub mod destination_rule;
pub mod gateway;
pub mod policy;
pub mod route_tests;
pub mod service;
pub mod service_entry;
pub mod virtual_service;

pub use destination_rule::DestinationRule;
pub use gateway::Gateway;
pub use policy::Policy;
pub use route_tests::RouteTests;
pub use service::Service;
pub use service_entry::ServiceEntry;
pub use virtual_service::VirtualService;

/// A document's name and what belongs to it.
#[derive(Clone, Debug)]
pub struct Meta {
    /// Its name, unique within its kind and namespace.
    pub name: String,
    /// Its namespace, `default` where none is written.
    pub namespace: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Where the name is written.
    pub place: Place,
}

/// One document of a kind.
#[derive(Clone, Debug)]
pub struct Doc<T> {
    /// Its name and what belongs to it.
    pub meta: Meta,
    /// What it says.
    pub spec: T,
}

/// Everything that was read, by kind, in the order of the texts.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// Istio's VirtualService.
    pub virtual_services: Vec<Doc<VirtualService>>,
    /// Istio's DestinationRule.
    pub destination_rules: Vec<Doc<DestinationRule>>,
    /// Istio's ServiceEntry.
    pub service_entries: Vec<Doc<ServiceEntry>>,
    /// Istio's Gateway.
    pub gateways: Vec<Doc<Gateway>>,
    /// Our Service.
    pub services: Vec<Doc<Service>>,
    /// Our Policy.
    pub policies: Vec<Doc<Policy>>,
    /// Route tests.
    pub tests: Vec<RouteTests>,
}
