//! What the rest of the proxy asks the gate of a connection, and tells it.
//!
//! A connection lives on one worker's thread, so gate and handle share plain cells.

use super::violation::Violation;
use std::cell::Cell;
use std::rc::Rc;

/// One connection's gate, seen from outside.
#[derive(Clone, Debug, Default)]
pub struct GateHandle {
    shared: Rc<Shared>,
}

/// One request being answered, from its dispatch until this is dropped.
#[derive(Debug)]
#[must_use = "a request counts as answered once this is dropped"]
pub struct Answering {
    shared: Rc<Shared>,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) passed: Cell<u64>,
    pub(super) answered: Cell<u64>,
    pub(super) violation: Cell<Option<Violation>>,
    /// Whether some request has asked for a tunnel.
    pub(super) asks: Cell<bool>,
    pub(super) tunnel: Cell<bool>,
}

impl GateHandle {
    pub(super) fn new(shared: Rc<Shared>) -> Self {
        Self { shared }
    }

    /// Marks a dispatched request as being answered. Keep it in the response's body: the gate counts
    /// time between requests, and refuses a bad request behind this one, only after it is dropped.
    pub fn answering(&self) -> Answering {
        Answering { shared: Rc::clone(&self.shared) }
    }

    /// How many requests passed the gate and are not answered yet.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.shared.unanswered()
    }

    /// Why the connection's last request was refused, if it was.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.shared.violation.get()
    }

    /// Notes what the caller did against the protocol, where no gate sees it.
    pub(crate) fn violate(&self, violation: Violation) {
        self.shared.violation.set(Some(violation));
    }

    /// Opens the tunnel that a CONNECT asked for, once the server has decided to answer it with 200.
    /// What the tunnel carries is not judged by this gate.
    pub fn grant_tunnel(&self) {
        self.shared.tunnel.set(true);
    }
}

impl Answering {
    /// Whether some request of the connection has asked for a tunnel; if not, this one has not either.
    pub(crate) fn may_switch(&self) -> bool {
        self.shared.asks.get()
    }

    /// Opens the tunnel that the request asked for, unless the caller did not wait for it.
    #[must_use]
    pub(crate) fn grant_tunnel(&self) -> bool {
        let waited = self.shared.violation.get().is_none();
        self.shared.tunnel.set(waited);
        waited
    }

    /// The status for what the caller did against the protocol, if it did.
    #[must_use]
    pub fn violation_status(&self) -> Option<u16> {
        self.shared.violation.get().map(|violation| violation.reason.status())
    }
}

impl Shared {
    pub(super) fn unanswered(&self) -> u64 {
        self.passed.get().saturating_sub(self.answered.get())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.shared.answered.set(self.shared.answered.get() + 1);
    }
}
