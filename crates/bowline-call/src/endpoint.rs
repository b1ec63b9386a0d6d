//! One address that answers calls in one way, and what all workers of the process share about it.
//!
//! Why an endpoint is retired and not just dropped. Workers keep connections to it, and each of them holds it;
//! whoever knows that no call goes there any more says so, workers let go of it when they next look, and with the
//! last of them it is gone, and its place is another's.

use crate::transport::Transport;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// One address that answers calls.
#[derive(Debug)]
pub struct Endpoint {
    /// Where each worker keeps its connections to it.
    pub(crate) index: usize,
    address: Arc<str>,
    transport: Transport,
    /// The address as numbers, where it needs no looking up.
    fixed: Option<SocketAddr>,
    /// The addresses behind its name, once somebody has said them; empty before.
    named: Mutex<Arc<[SocketAddr]>>,
    /// Connections of all workers.
    open: AtomicU32,
    /// Calls that wait because as many connections are open as may be.
    wanting: AtomicU32,
    /// Told when one of them has closed while somebody waits.
    freed: Notify,
    /// Whether no call goes there any more.
    retired: AtomicBool,
    shared: Arc<Shared>,
}

/// What all endpoints of a process have in common.
#[derive(Debug, Default)]
struct Shared {
    places: Places,
    /// Told when a call waits for a connection that another worker may have and not use.
    wanted: Notify,
}

/// Places in the workers' pools: each endpoint that anybody holds has one of its own.
#[derive(Debug, Default)]
struct Places(Mutex<PlacesTaken>);

#[derive(Debug, Default)]
struct PlacesTaken {
    /// Given back.
    free: Vec<usize>,
    /// All places below it are taken or free.
    next: usize,
}

impl Places {
    fn take(&self) -> usize {
        let taken = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.free.pop().unwrap_or_else(|| {
            taken.next += 1;
            taken.next - 1
        })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.shared.places.0.lock().unwrap_or_else(PoisonError::into_inner).free.push(self.index);
    }
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

    /// Its name has these addresses: connections are made to the first that takes one. Without any, its name is
    /// looked up by the system for each connection.
    pub fn is_at(&self, addresses: Arc<[SocketAddr]>) {
        *self.named.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// Whether no call goes there any more.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Whether a call waits because as many connections are open as may be.
    pub(crate) fn is_wanted(&self) -> bool {
        // One order for all: who closes a connection and sees nobody waiting has closed it before whoever comes looks.
        0 < self.wanting.load(Ordering::SeqCst)
    }

    /// Waits until a connection has closed, if there are `max`, and counts one more.
    ///
    /// # Cancel safety
    /// Nothing is counted.
    pub(crate) async fn open_when_one_closes(self: &Arc<Self>, max: u32) -> Opened {
        let _waiting = Wanting::new(self);
        loop {
            let freed = self.freed.notified();
            if let Some(opened) = Opened::new(self, max) {
                return opened;
            }
            self.shared.wanted.notify_waiters();
            freed.await;
        }
    }

    pub(crate) const fn fixed(&self) -> Option<SocketAddr> {
        self.fixed
    }

    pub(crate) fn named(&self) -> Arc<[SocketAddr]> {
        Arc::clone(&self.named.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// All endpoints of a process: the same address reached in the same way is the same endpoint, over reloads too,
/// as long as anybody refers to it.
#[derive(Debug, Default)]
pub struct Endpoints {
    known: Mutex<HashMap<Way, Arc<Endpoint>>>,
    shared: Arc<Shared>,
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
        if let Some(endpoint) = known.get(&key) {
            return Arc::clone(endpoint);
        }
        let endpoint = Arc::new(Endpoint {
            index: self.shared.places.take(),
            address: Arc::clone(&key.0),
            transport: transport.clone(),
            fixed: address.parse().ok(),
            named: Mutex::new(Arc::new([])),
            open: AtomicU32::new(0),
            wanting: AtomicU32::new(0),
            freed: Notify::new(),
            retired: AtomicBool::new(false),
            shared: Arc::clone(&self.shared),
        });
        known.insert(key, Arc::clone(&endpoint));
        endpoint
    }

    /// From now on calls go to those that are `referred` to and to no others. Those are forgotten: calls that are under way there end as
    /// they would, connections that nobody uses are closed when their worker next looks.
    pub fn retain(&self, referred: impl Fn(&Arc<Endpoint>) -> bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, endpoint| {
            let stays = referred(endpoint);
            if !stays {
                endpoint.retired.store(true, Ordering::Relaxed);
            }
            stays
        });
    }

    /// Waits until a call somewhere waits for a connection that another worker may have and not use:
    /// [`Pool::give_way`](crate::Pool::give_way). To be called before looking, and awaited after.
    pub fn wanted(&self) -> impl Future<Output = ()> + '_ {
        self.shared.wanted.notified()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// A connection's count against its endpoint's limit.
#[derive(Debug)]
pub(crate) struct Opened(Arc<Endpoint>);

impl Opened {
    /// Counts one more, unless there are `max` already.
    pub(crate) fn new(endpoint: &Arc<Endpoint>, max: u32) -> Option<Self> {
        let one_more = |open: u32| (open < max).then_some(open + 1);
        endpoint.open.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        Some(Self(Arc::clone(endpoint)))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
        if self.0.is_wanted() {
            self.0.freed.notify_one();
        }
    }
}

/// A call that waits for a connection to close.
struct Wanting<'e>(&'e Endpoint);

impl<'e> Wanting<'e> {
    fn new(endpoint: &'e Endpoint) -> Self {
        endpoint.wanting.fetch_add(1, Ordering::SeqCst);
        Self(endpoint)
    }
}

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        self.0.wanting.fetch_sub(1, Ordering::SeqCst);
        // What was freed for it is another's.
        if self.0.is_wanted() {
            self.0.freed.notify_one();
        }
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
    fn who_is_not_referred_to_any_more_gives_its_place_to_another() {
        let endpoints = Endpoints::default();
        let (stays, goes) = (endpoints.at("127.0.0.1:7101"), endpoints.at("127.0.0.1:7102"));
        let place = goes.index;
        endpoints.retain(|endpoint| Arc::ptr_eq(endpoint, &stays));
        assert!(goes.is_retired() && !stays.is_retired());
        let again = endpoints.at("127.0.0.1:7102");
        assert_ne!(again.index, place, "somebody still holds the one that went");
        drop(goes);
        assert_eq!(endpoints.at("127.0.0.1:7103").index, place);
        assert!(Arc::ptr_eq(&stays, &endpoints.at("127.0.0.1:7101")));
        assert_eq!(endpoints.count(), 3);
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
