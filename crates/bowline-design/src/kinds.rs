//! The kinds of documents a design is made of, one file a kind.

use crate::mistake::{Mistakes, Place};
use crate::read::documents::{Door, Kind};
use crate::read::reader::Read;
use std::collections::BTreeMap;

pub mod common;
pub mod destination_rule;
pub mod gateway;
mod istio;
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

            /// The name and namespace of every document.
            fn metas(&self) -> impl Iterator<Item = &Meta> {
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
}

/// What has to hold between documents.
pub(crate) fn check_together(documents: &Documents, mistakes: &mut Mistakes) {
    virtual_service::check_delegates(documents, mistakes);
}
