//! What several of Istio's kinds share.

use crate::mistake::Spot;
use crate::read::record::{either, record};
use std::collections::BTreeMap;

either! {
    /// How a string is matched. All are case-sensitive.
    pub enum StringMatch {
        /// The whole string.
        Exact(String) = "exact",
        /// Its beginning.
        Prefix(String) = "prefix",
        /// An RE2 expression that has to match the whole string.
        Regex(String) = "regex",
    }
}

record! {
    /// A port, by its number.
    pub struct PortSelector {
        /// The number.
        pub number: Option<Spot<u16>>,
    }
}

record! {
    /// Where a request is sent.
    pub struct Destination {
        /// A host of the service registry; a short name belongs to the document's namespace.
        pub host: Spot<String>,
        /// A subset that a DestinationRule of the host defines.
        pub subset: Option<Spot<String>>,
        /// Which of the host's ports, when it has more than one.
        pub port: Option<PortSelector>,
    }
}

record! {
    /// A share, in percent.
    pub struct Percent {
        /// From 0 to 100.
        pub value: Option<Spot<f64>>,
    }
}

record! {
    /// Which workloads a document is for.
    pub struct WorkloadSelector {
        /// All of these labels, as DestinationRule spells it.
        pub match_labels: BTreeMap<String, String>,
        /// All of these labels, as ServiceEntry spells it.
        pub labels: BTreeMap<String, String>,
    }
}
