//! What several of Istio's kinds share.

use crate::kinds::istio::{self, REFUSED};
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::names::quoted;
use crate::read::record::{either, record};

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
    } checked by check_port
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
    } checked by check_destination
}

record! {
    /// A share, in percent.
    pub struct Percent {
        /// From 0 to 100.
        pub value: Option<Spot<f64>>,
    }
}

fn check_port(selector: &PortSelector, place: &Place, mistakes: &mut Mistakes) {
    match &selector.number {
        Some(number) => istio::port(number, mistakes),
        None => {
            mistakes.add(REFUSED, place, "a port without a `number`", "its number, 1 to 65535");
        }
    }
}

fn check_destination(destination: &Destination, _: &Place, mistakes: &mut Mistakes) {
    let host = &destination.host;
    if host.value == "*" || !istio::is_wildcard_host(host) {
        let found = format!("the destination host {}", quoted(host));
        mistakes.add(REFUSED, &host.place, found, "one host's name: letters, digits and `-` between dots");
    }
    if let Some(subset) = &destination.subset {
        istio::subset_name(subset, mistakes);
    }
}
