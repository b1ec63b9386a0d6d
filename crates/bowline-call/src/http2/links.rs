//! A worker's HTTP/2 connections to one endpoint, and how more are made.
//!
//! The first connection with room is taken, so that those behind it run empty and are closed. Where none has
//! room one more is made, by a task of its own and for as many requests as it will carry: a hundred calls that
//! find no connection make one, and a call that is given up takes no connection from the others.

use crate::http2::{Link, Slot};
use crate::pool::PoolLimits;
use bowline_model::Instant;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::Notify;

/// A worker's HTTP/2 connections to one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Links {
    links: RefCell<Vec<Rc<Link>>>,
    making: RefCell<Vec<Rc<Making>>>,
    /// How many requests a connection carries at once, as far as is known; zero: it is not.
    carries: Cell<u32>,
}

/// A connection that is being made.
#[derive(Debug, Default)]
pub(crate) struct Making {
    /// Requests that wait for it.
    waiting: Cell<u32>,
    made: Cell<Option<Made>>,
    news: Notify,
}

/// What became of a connection that was being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// It is there.
    Ready,
    /// It could not be made.
    Failed,
}

impl Links {
    /// A place on a connection with room, if there is one.
    pub(crate) fn take(&self, now: Instant) -> Option<Slot> {
        let mut links = self.links.borrow_mut();
        if links.iter().any(|link| !link.is_usable(now)) {
            links.retain(|link| link.is_usable(now));
        }
        links.iter().find(|link| link.has_room()).map(Slot::new)
    }

    /// Waits for a connection that has been made since. `make` begins to make one; it must lead to
    /// [`Links::made`] or [`Links::failed`].
    pub(crate) async fn wait(&self, limits: &PoolLimits, make: impl FnOnce(Rc<Making>)) -> Made {
        let most = limits.streams.min(limits.requests);
        let carries = match self.carries.get() {
            0 => most,
            known => known.min(most).max(1),
        };
        let joined = self.making.borrow().iter().find(|making| making.waiting.get() < carries).cloned();
        let making = joined.unwrap_or_else(|| {
            let making = Rc::<Making>::default();
            self.making.borrow_mut().push(Rc::clone(&making));
            make(Rc::clone(&making));
            making
        });
        let waiting = Waiting::new(&making);
        loop {
            let news = waiting.0.news.notified();
            if let Some(made) = waiting.0.made.get() {
                return made;
            }
            news.await;
        }
    }

    /// A connection was made.
    pub(crate) fn made(&self, making: &Rc<Making>, link: Rc<Link>) {
        let carries = link.peers_max();
        if carries == 0 {
            // Its peer takes no request, and would take none over the next one.
            return self.settle(making, Made::Failed);
        }
        self.carries.set(carries);
        self.links.borrow_mut().push(link);
        self.settle(making, Made::Ready);
    }

    /// A connection could not be made.
    pub(crate) fn failed(&self, making: &Rc<Making>) {
        self.settle(making, Made::Failed);
    }

    fn settle(&self, making: &Rc<Making>, made: Made) {
        self.making.borrow_mut().retain(|other| !Rc::ptr_eq(other, making));
        making.made.set(Some(made));
        making.news.notify_waiters();
    }

    /// Closes what is too old, idle for too long, or without a peer.
    pub(crate) fn sweep(&self, now: Instant, limits: &PoolLimits) {
        self.links.borrow_mut().retain(|link| link.tend(now, limits));
    }

    /// Closes those that carry nothing.
    pub(crate) fn give_way(&self) {
        self.links.borrow_mut().retain(|link| link.is_busy());
    }

    /// Gives up every connection; each closes when its requests are through.
    pub(crate) fn clear(&self) {
        self.links.borrow_mut().clear();
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.links.borrow().len()
    }
}

/// A request that waits for a connection.
struct Waiting(Rc<Making>);

impl Waiting {
    fn new(making: &Rc<Making>) -> Self {
        making.waiting.set(making.waiting.get() + 1);
        Self(Rc::clone(making))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}
