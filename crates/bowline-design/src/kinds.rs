//! The kinds of documents a design is made of, one file a kind.

use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{Door, Kind};
use crate::read::reader::Read;
use std::collections::BTreeMap;

pub mod access;
pub mod broker;
pub mod common;
pub mod destination_rule;
pub mod gateway;
pub mod intake;
pub mod issuer;
pub(crate) mod istio;
pub mod overlay;
pub mod policy;
pub mod route_tests;
pub mod scenario;
pub mod service;
pub mod service_entry;
pub mod subscription;
pub mod topic;
pub mod values;
pub mod virtual_service;

pub use access::Access;
pub use broker::Broker;
pub use destination_rule::DestinationRule;
pub use gateway::Gateway;
pub use intake::Intake;
pub use issuer::Issuer;
pub use overlay::Overlay;
pub use policy::Policy;
pub use route_tests::RouteTests;
pub use scenario::Scenario;
pub use service::Service;
pub use service_entry::ServiceEntry;
pub use subscription::Subscription;
pub use topic::Topic;
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
    /// Annotations, each with where it is written.
    pub annotations: BTreeMap<String, Spot<String>>,
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
    /// Where that begins.
    pub place: Place,
}

/// Declares the kinds: where each is kept, and who reads it. A new kind is a file and a line here.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $field:ident: $kind:ident),+ $(,)?) => {
        /// Everything that was read, by kind, in the order of the texts.
        #[derive(Clone, Debug, Default)]
        pub struct Documents {
            $($(#[doc = $doc])* pub $field: Vec<Doc<$kind>>,)+
            /// Route tests.
            pub tests: Vec<RouteTests>,
            /// What each overlay makes of the documents that it touches.
            pub applied: Vec<overlay::Applied>,
        }

        impl Documents {
            /// How many documents there are, route tests not among them.
            #[must_use]
            pub fn count(&self) -> usize {
                self.metas().count()
            }

            /// How many namespaces they are in.
            #[must_use]
            pub fn namespaces(&self) -> usize {
                self.metas().map(|meta| &meta.namespace).collect::<std::collections::BTreeSet<_>>().len()
            }

            /// Whether there is a document of this kind and name.
            #[must_use]
            pub fn has(&self, kind: &str, namespace: &str, name: &str) -> bool {
                let is = |meta: &Meta| meta.namespace == namespace && meta.name == name;
                $((kind == <$kind as Kind>::KIND && self.$field.iter().any(|document| is(&document.meta))))||+
            }

            /// All of it with an overlay applied: what the overlay changes takes the place of what was
            /// there, what it adds comes last.
            #[must_use]
            pub fn overlaid(&self, changed: &Self) -> Self {
                Self {
                    $($field: replaced(&self.$field, &changed.$field),)+
                    tests: self.tests.clone(),
                    applied: self.applied.clone(),
                }
            }

            /// The name of every document and what belongs to it, route tests not among them.
            pub fn metas(&self) -> impl Iterator<Item = &Meta> {
                std::iter::empty()$(.chain(self.$field.iter().map(|document| &document.meta)))+
            }
        }

        /// All kinds that are read.
        pub(crate) fn doors() -> Vec<Door> {
            vec![$(Door {
                kind: <$kind as Kind>::KIND,
                group: <$kind as Kind>::GROUP,
                shape: <$kind as Read>::shape,
                read: |meta, node, reader, documents| {
                    if let Some(spec) = <$kind as Read>::read(node, reader) {
                        let place = reader.place(node.extent);
                        if reader.is_sound() {
                            <$kind as Kind>::check(&meta, &spec, &place, reader.mistakes());
                        }
                        documents.$field.push(Doc { meta, spec, place });
                    }
                },
            }),+]
        }
    };
}

/// `documents`, each that is among `changed` as it is there, and what is only there at the end.
fn replaced<T: Clone>(documents: &[Doc<T>], changed: &[Doc<T>]) -> Vec<Doc<T>> {
    fn key<T>(document: &Doc<T>) -> (&str, &str) {
        (&document.meta.namespace, &document.meta.name)
    }
    let mut others: BTreeMap<_, _> = changed.iter().map(|document| (key(document), document)).collect();
    let mut all: Vec<Doc<T>> = Vec::with_capacity(documents.len() + changed.len());
    for document in documents {
        all.push(others.remove(&key(document)).unwrap_or(document).clone());
    }
    all.extend(changed.iter().filter(|document| others.contains_key(&key(document))).cloned());
    all
}

kinds! {
    /// Istio's VirtualService.
    virtual_services: VirtualService,
    /// Istio's DestinationRule.
    destination_rules: DestinationRule,
    /// Istio's ServiceEntry.
    service_entries: ServiceEntry,
    /// Istio's Gateway.
    gateways: Gateway,
    /// Our Service.
    services: Service,
    /// Our Policy.
    policies: Policy,
    /// Our Broker.
    brokers: Broker,
    /// Our Topic.
    topics: Topic,
    /// Our Subscription.
    subscriptions: Subscription,
    /// Our Intake.
    intakes: Intake,
    /// Our Issuer.
    issuers: Issuer,
    /// Our Access.
    access: Access,
    /// Our Overlay.
    overlays: Overlay,
    /// Our Scenario.
    scenarios: Scenario,
}

/// What has to hold between documents.
pub(crate) fn check_together(documents: &Documents, mistakes: &mut Mistakes) {
    virtual_service::check_delegates(documents, mistakes);
}
