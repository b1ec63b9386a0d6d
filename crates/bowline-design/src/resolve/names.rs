//! Which host a name means, and which service a host is.
//!
//! A name without a dot belongs to the namespace of the document that uses it, not to that of the
//! service (Istio, `ResolveShortnameToFQDN`); every other name is taken as it is.

use crate::resolved::ServiceId;
use std::collections::BTreeMap;

/// The domain of all services.
const DOMAIN: &str = "svc.cluster.local";

/// The fully qualified host of a name that a document in `namespace` uses, in lower case.
pub(super) fn qualified(name: &str, namespace: &str) -> String {
    let name = name.to_ascii_lowercase();
    if name.contains('.') || name.starts_with('*') { name } else { format!("{name}.{namespace}.{DOMAIN}") }
}

/// Name and namespace of a fully qualified host of the mesh.
pub(super) fn of_the_mesh(host: &str) -> Option<(&str, &str)> {
    let (name, namespace) = host.strip_suffix(DOMAIN)?.strip_suffix('.')?.split_once('.')?;
    (!name.is_empty() && !namespace.is_empty() && !namespace.contains('.')).then_some((name, namespace))
}

/// All authorities of a mesh service, the longest last.
pub(super) fn authorities(name: &str, namespace: &str) -> [String; 4] {
    [
        name.to_owned(),
        format!("{name}.{namespace}"),
        format!("{name}.{namespace}.svc"),
        format!("{name}.{namespace}.{DOMAIN}"),
    ]
}

/// Which service a host is.
#[derive(Debug, Default)]
pub(super) struct Names {
    hosts: BTreeMap<String, ServiceId>,
}

impl Names {
    /// Gives a host to a service; false if another one has it.
    pub(super) fn claim(&mut self, host: &str, service: ServiceId) -> bool {
        *self.hosts.entry(host.to_ascii_lowercase()).or_insert(service) == service
    }

    /// The service that a name means, used by a document in `namespace`.
    pub(super) fn find(&self, name: &str, namespace: &str) -> Option<ServiceId> {
        self.hosts.get(&qualified(name, namespace)).copied()
    }

    /// The service of a host as it stands.
    pub(super) fn host(&self, host: &str) -> Option<ServiceId> {
        self.hosts.get(host).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_dot_belongs_to_the_namespace_of_the_document() {
        assert_eq!(qualified("Reviews", "prod"), "reviews.prod.svc.cluster.local");
        assert_eq!(qualified("reviews.prod", "test"), "reviews.prod");
        assert_eq!(qualified("*", "test"), "*");
        assert_eq!(qualified("www.example.com", "test"), "www.example.com");
    }

    #[test]
    fn a_mesh_host_has_exactly_a_name_and_a_namespace() {
        assert_eq!(of_the_mesh("reviews.prod.svc.cluster.local"), Some(("reviews", "prod")));
        assert_eq!(of_the_mesh("a.b.c.svc.cluster.local"), None);
        assert_eq!(of_the_mesh("svc.cluster.local"), None);
        assert_eq!(of_the_mesh("example.com"), None);
    }
}
