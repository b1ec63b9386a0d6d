//! Which route a request takes. Pure: the proxy, `explain` and the route tests ask the same code.
//!
//! A [`Table`] belongs to one listener (or to the mesh). A request is looked up in three steps:
//! the authority picks the [`VirtualHost`], the exact name before the longest wildcard; its rules are
//! tried in order; the first whose conditions hold is taken. Nothing is allocated on the way, except
//! where a header comes several times and has to be joined to be compared.
//!
//! In reading order:
//! - [`host`]: names and wildcards
//! - [`text_match`]: `exact`, `prefix`, `regex`
//! - [`condition`]: one `match` block
//! - [`route`]: what a rule does with a request
//! - [`headers`], [`rewrite`], [`redirect`], [`cors`]: the parts of that
//! - `reach`: which operations a rule may carry at all

pub mod condition;
pub mod cors;
pub mod headers;
pub mod host;
pub(crate) mod reach;
pub mod redirect;
pub mod rewrite;
pub mod route;
pub mod text_match;

pub use condition::{Asked, Condition, Unmet};
pub use cors::Cors;
pub use headers::{HeaderOps, HeaderSide};
pub use redirect::Redirect;
pub use rewrite::{Rewrite, UriRewrite};
pub use route::{
    Action, CalleeTls, Connections, Destination, IstioFault, Keepalive, Mirror, Route, Weighted,
};
pub use text_match::TextMatch;

use host::HostPattern;
use std::cmp::Ordering;
use std::sync::Arc;

/// The virtual hosts of one listener, or of the mesh.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// One entry for each exact name, sorted by it.
    exact: Vec<(Box<str>, usize)>,
    /// One entry for each wildcard, the longest first.
    wild: Vec<(HostPattern, usize)>,
    hosts: Vec<VirtualHost>,
}

/// What is routed alike because it carries one of these names.
#[derive(Clone, Debug, Default)]
pub struct VirtualHost {
    /// The names, in lower case: exact ones, `*.suffix` or `*`.
    pub names: Vec<Arc<str>>,
    /// The rules, in the order in which they are tried.
    pub routes: Vec<Arc<Route>>,
}

/// What a request was found to take.
#[derive(Clone, Copy, Debug)]
pub struct Found<'t> {
    /// The virtual host that the authority picked.
    pub host: &'t VirtualHost,
    /// The rule.
    pub route: &'t Arc<Route>,
    /// Which of its `match` blocks held; `None` where it has none.
    pub condition: Option<&'t Condition>,
}

impl Table {
    /// A table of these virtual hosts. Where two claim one name, the earlier keeps it.
    #[must_use]
    pub fn new(hosts: Vec<VirtualHost>) -> Self {
        let mut exact: Vec<(Box<str>, usize)> = Vec::new();
        let mut wild: Vec<(HostPattern, usize)> = Vec::new();
        for (index, host) in hosts.iter().enumerate() {
            for name in &host.names {
                match HostPattern::new(name) {
                    HostPattern::Exact(name) => exact.push((name, index)),
                    pattern => wild.push((pattern, index)),
                }
            }
        }
        // Stable sorts: of equal names the earlier host's stays first and is the one that is found.
        exact.sort_by(|a, b| a.0.cmp(&b.0));
        exact.dedup_by(|later, earlier| later.0 == earlier.0);
        wild.sort_by(|a, b| HostPattern::by_specificity(&a.0, &b.0));
        Self { exact, wild, hosts }
    }

    /// The virtual hosts.
    #[must_use]
    pub fn hosts(&self) -> &[VirtualHost] {
        &self.hosts
    }

    /// The virtual host of an authority; a port in it does not matter, nor does upper case.
    #[must_use]
    pub fn host_of(&self, authority: &str) -> Option<&VirtualHost> {
        let name = host::without_port(authority);
        let found = self.exact.binary_search_by(|(own, _)| compare_lowercase(own, name));
        let index = match found {
            Ok(at) => self.exact[at].1,
            Err(_) => self.wild.iter().find(|(pattern, _)| pattern.matches(name))?.1,
        };
        Some(&self.hosts[index])
    }

    /// Whether a virtual host has just the name that an authority gives, not a wildcard for it.
    #[must_use]
    pub fn names(&self, authority: &str) -> bool {
        let name = host::without_port(authority);
        self.exact.binary_search_by(|(own, _)| compare_lowercase(own, name)).is_ok()
    }

    /// The first rule that a request meets.
    #[must_use]
    pub fn find<'t>(&'t self, asked: &Asked<'_>) -> Option<Found<'t>> {
        self.host_of(asked.authority)?.find(asked)
    }

    /// How many rules there are in all.
    #[must_use]
    pub fn routes(&self) -> usize {
        self.hosts.iter().map(|host| host.routes.len()).sum()
    }
}

impl VirtualHost {
    /// The first rule that a request meets, of this host.
    #[must_use]
    pub fn find<'t>(&'t self, asked: &Asked<'_>) -> Option<Found<'t>> {
        self.routes.iter().find_map(|route| {
            let condition = route.accepts(asked)?;
            Some(Found { host: self, route, condition })
        })
    }
}

/// Orders a name that is in lower case against one that may not be.
fn compare_lowercase(own: &str, given: &str) -> Ordering {
    own.bytes().cmp(given.bytes().map(|byte| byte.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests;
