//! One address that answers calls in one way, and what all workers of the process share about it.

use crate::transport::Transport;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One address that answers calls.
#[derive(Debug)]
pub struct Endpoint {
    /// Where each worker keeps its connections to it.
    pub(crate) index: usize,
    address: Arc<str>,
    transport: Transport,
    /// The address as numbers, where it needs no looking up.
    fixed: Option<SocketAddr>,
    /// Connections of all workers.
    open: AtomicU32,
    /// Whether no new call goes there.
    retired: AtomicBool,
}

impl Endpoint {
    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// How it is reached.
    #[must_use]
    pub const fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Connections that are open to it now, over all workers.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether no new call goes there: its spare connections are of no use any more.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    pub(crate) const fn fixed(&self) -> Option<SocketAddr> {
        self.fixed
    }
}

/// The endpoints of a process: the same address reached in the same way is the same endpoint, over reloads too, until
/// it is [retired](Endpoints::retain).
#[derive(Debug, Default)]
pub struct Endpoints {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_way: HashMap<Way, Arc<Endpoint>>,
    /// How many there ever were.
    ever: usize,
}

type Way = (Arc<str>, Transport);

impl Endpoints {
    /// The endpoint at `address`, `host:port`, that speaks HTTP/1.1 over plain connections.
    #[must_use]
    pub fn at(&self, address: &str) -> Arc<Endpoint> {
        self.reached(address, &Transport::PLAIN)
    }

    /// The endpoint at `address`, `host:port`, that is reached in this way.
    #[must_use]
    pub fn reached(&self, address: &str, transport: &Transport) -> Arc<Endpoint> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::from(address), transport.clone());
        if let Some(endpoint) = known.by_way.get(&key) {
            return Arc::clone(endpoint);
        }
        let endpoint = Arc::new(Endpoint {
            index: known.ever,
            address: Arc::clone(&key.0),
            transport: transport.clone(),
            fixed: address.parse().ok(),
            open: AtomicU32::new(0),
            retired: AtomicBool::new(false),
        });
        known.ever += 1;
        known.by_way.insert(key, Arc::clone(&endpoint));
        endpoint
    }

    /// Retires those that are not `used` any more: their spare connections are closed, and nothing of them is kept when
    /// the calls under way are over. Without this every renewed certificate would leave its predecessor behind.
    pub fn retain(&self, used: impl Fn(&Arc<Endpoint>) -> bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.by_way.retain(|_, endpoint| {
            let stays = used(endpoint);
            if !stays {
                endpoint.retired.store(true, Ordering::Relaxed);
            }
            stays
        });
    }
}

/// A connection's count against its endpoint's limit.
#[derive(Debug)]
pub(crate) struct Opened(Arc<Endpoint>);

impl Opened {
    /// Counts one more, unless there are `max` already.
    pub(crate) fn new(endpoint: &Arc<Endpoint>, max: u32) -> Option<Self> {
        if endpoint.open.fetch_add(1, Ordering::Relaxed) >= max {
            endpoint.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self(Arc::clone(endpoint)))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_address_is_the_same_endpoint() {
        let endpoints = Endpoints::default();
        let first = endpoints.at("127.0.0.1:7101");
        assert!(Arc::ptr_eq(&first, &endpoints.at("127.0.0.1:7101")));
        assert_ne!(first.index, endpoints.at("payment:7102").index);
    }

    #[test]
    fn the_same_address_reached_in_another_way_is_another_endpoint() {
        let endpoints = Endpoints::default();
        let plain = endpoints.at("127.0.0.1:7101");
        let two = endpoints.reached("127.0.0.1:7101", &Transport::H2C);
        assert_ne!(plain.index, two.index);
        assert!(Arc::ptr_eq(&two, &endpoints.reached("127.0.0.1:7101", &Transport::H2C)));
    }

    #[test]
    fn an_endpoint_that_was_retired_is_made_anew() {
        let endpoints = Endpoints::default();
        let (stays, goes) = (endpoints.at("127.0.0.1:7101"), endpoints.at("127.0.0.1:7102"));
        endpoints.retain(|endpoint| Arc::ptr_eq(endpoint, &stays));
        assert!(goes.is_retired() && !stays.is_retired());
        assert!(Arc::ptr_eq(&stays, &endpoints.at("127.0.0.1:7101")));
        let again = endpoints.at("127.0.0.1:7102");
        assert!(!again.is_retired() && again.index != goes.index && again.index != stays.index);
    }

    #[test]
    fn connections_beyond_the_limit_are_refused_until_one_closes() {
        let endpoint = Endpoints::default().at("127.0.0.1:7101");
        let first = Opened::new(&endpoint, 1);
        assert!(first.is_some());
        assert!(Opened::new(&endpoint, 1).is_none());
        drop(first);
        assert!(Opened::new(&endpoint, 1).is_some());
        assert_eq!(endpoint.open(), 0);
    }
}
