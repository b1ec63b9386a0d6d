//! Connections that are cut at random, by a seed.

use bowline_model::{Random, SplitMix64};
use socket2::SockRef;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// The open connections of one side, and when one of them was cut.
pub(crate) struct Cuts {
    inner: RefCell<Inner>,
}

struct Inner {
    random: SplitMix64,
    next: u64,
    open: BTreeMap<u64, Open>,
    cuts: Vec<Instant>,
}

struct Open {
    ends: Rc<Notify>,
    /// The same socket, to say how it is to end.
    socket: std::net::TcpStream,
}

/// A connection that may be cut as long as this lives.
pub(crate) struct Cuttable {
    cuts: Rc<Cuts>,
    id: u64,
    ends: Rc<Notify>,
}

impl Cuts {
    pub(crate) fn new(seed: u64) -> Self {
        let random = SplitMix64::new(seed);
        let inner = Inner { random, next: 0, open: BTreeMap::new(), cuts: Vec::new() };
        Self { inner: RefCell::new(inner) }
    }

    /// From now on `stream` may be cut.
    pub(crate) fn watch(self: &Rc<Self>, stream: &TcpStream) -> std::io::Result<Cuttable> {
        let socket = SockRef::from(stream).try_clone()?.into();
        let ends = Rc::new(Notify::new());
        let mut inner = self.inner.borrow_mut();
        let id = inner.next;
        inner.next += 1;
        inner.open.insert(id, Open { ends: Rc::clone(&ends), socket });
        Ok(Cuttable { cuts: Rc::clone(self), id, ends })
    }

    /// Cuts one of those that are open: every other time by a reset, otherwise as if it were over.
    pub(crate) fn cut_one(&self) {
        let mut inner = self.inner.borrow_mut();
        let open = inner.open.len() as u64;
        let (which, resets) = (inner.random.below(open), inner.random.below(2) == 0);
        let Some(id) = inner.open.keys().nth(which as usize).copied() else { return };
        if let Some(open) = inner.open.remove(&id) {
            if resets {
                // Closed without waiting for what is still to be sent: the peer gets an RST.
                let _ = SockRef::from(&open.socket).set_linger(Some(Duration::ZERO));
            }
            inner.cuts.push(crate::now());
            open.ends.notify_one();
        }
    }

    /// Whether one was cut between these instants.
    pub(crate) fn was_one_between(&self, from: Instant, to: Instant) -> bool {
        let inner = self.inner.borrow();
        let first = inner.cuts.partition_point(|cut| *cut < from);
        inner.cuts.get(first).is_some_and(|cut| *cut <= to)
    }

    pub(crate) fn count(&self) -> usize {
        self.inner.borrow().cuts.len()
    }
}

impl Cuttable {
    /// Ready when the connection is to be cut: drop it then.
    pub(crate) async fn cut(&self) {
        self.ends.notified().await;
    }
}

impl Drop for Cuttable {
    fn drop(&mut self) {
        self.cuts.inner.borrow_mut().open.remove(&self.id);
    }
}
