//! Who a peer has proved to be.

use std::fmt;

/// Who a peer has proved to be: the names in a certificate that somebody vouched for whose word is taken.
///
/// Nothing else makes one: not an address, not a header. A peer that proved nothing has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    uris: Box<[Box<str>]>,
    dns: Box<[Box<str>]>,
}

impl Identity {
    /// A peer with these names, both kinds in the order of its certificate: URIs such as `spiffe://shop/orders`, and
    /// names of DNS, which are kept in lower case.
    #[must_use]
    pub fn new<'n>(uris: impl IntoIterator<Item = &'n str>, dns: impl IntoIterator<Item = &'n str>) -> Self {
        Self {
            uris: uris.into_iter().map(Box::from).collect(),
            dns: dns.into_iter().map(|name| name.to_ascii_lowercase().into()).collect(),
        }
    }

    /// Its URIs.
    pub fn uris(&self) -> impl Iterator<Item = &str> {
        self.uris.iter().map(|uri| &**uri)
    }

    /// Its names of DNS, in lower case.
    pub fn dns(&self) -> impl Iterator<Item = &str> {
        self.dns.iter().map(|name| &**name)
    }

    /// Whether `name` is one of its names: a URI to the letter, a name of DNS without regard to case. A certificate's
    /// wildcard is itself and nobody it could stand for.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.uris().any(|uri| uri == name) || self.dns().any(|dns| dns.eq_ignore_ascii_case(name))
    }
}

/// The name that people know it by: its first URI, else its first name of DNS.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uris().chain(self.dns()).next().unwrap_or("nameless"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_each_of_its_names_and_nobody_else() {
        let peer = Identity::new(["spiffe://shop/orders"], ["Orders.shop.test", "*.shop.test"]);
        assert!(peer.is("spiffe://shop/orders") && peer.is("ORDERS.shop.test"));
        assert!(!peer.is("spiffe://shop/Orders") && !peer.is("other.shop.test") && !peer.is(""));
        assert_eq!(peer.to_string(), "spiffe://shop/orders");
        assert_eq!(Identity::new([], ["a.test"]).to_string(), "a.test");
        assert_eq!(Identity::default().to_string(), "nameless");
    }
}
