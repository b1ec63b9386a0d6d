//! Why an upstream connection has a waker of its own.
//!
//! A connection is driven by whoever uses it, inside that task: no task of its own, no hop between
//! tasks. But its two halves (the sender and the driver) signal each other through wakers, and inside
//! one task such a signal would only poll the whole task once more for nothing. [`Nudge`] keeps those
//! signals to itself while the connection is being driven, and passes on only what comes from outside:
//! the socket. It also stays the same waker for the connection's whole life, so that the socket's
//! registration never has to be renewed when the connection changes hands.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

/// A waker that forwards to whoever uses the connection now.
#[derive(Debug, Default)]
pub(crate) struct Nudge {
    /// The connection is being driven: signals are noted, not passed on.
    driving: AtomicBool,
    /// A signal was noted.
    noted: AtomicBool,
    /// Who uses the connection; nobody while it is spare.
    user: Mutex<Option<Waker>>,
}

/// A [`Nudge`] and the waker made of it once.
#[derive(Debug)]
pub(crate) struct Nudged {
    nudge: Arc<Nudge>,
    waker: Waker,
}

impl Nudged {
    pub(crate) fn new() -> Self {
        let nudge = Arc::new(Nudge::default());
        Self { waker: Waker::from(Arc::clone(&nudge)), nudge }
    }

    /// Begins to drive for `user`.
    pub(crate) fn enter(&self, user: &mut Context<'_>) {
        {
            let mut known = self.nudge.user.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *known {
                Some(known) => known.clone_from(user.waker()),
                none => *none = Some(user.waker().clone()),
            }
        }
        self.nudge.driving.store(true, Ordering::Relaxed);
    }

    /// The context to poll the halves with.
    pub(crate) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }

    /// Whether one half signalled the other since this was last asked: worth another round.
    pub(crate) fn noted(&self) -> bool {
        self.nudge.noted.load(Ordering::Relaxed) && self.nudge.noted.swap(false, Ordering::Relaxed)
    }

    /// Ends driving and forgets what was noted: an answer is there, or a last round made no progress.
    pub(crate) fn leave(&self) {
        self.nudge.noted.store(false, Ordering::Relaxed);
        self.nudge.driving.store(false, Ordering::Relaxed);
    }

    /// Ends driving; what was noted meanwhile wakes the user. For rounds that stopped at their limit.
    pub(crate) fn leave_and_wake(&self) {
        self.nudge.driving.store(false, Ordering::Relaxed);
        if self.noted() {
            self.waker.wake_by_ref();
        }
    }

    /// Nobody uses the connection now.
    pub(crate) fn forget_user(&self) {
        *self.nudge.user.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.driving.load(Ordering::Relaxed) {
            self.noted.store(true, Ordering::Relaxed);
        } else if let Some(user) = &*self.user.lock().unwrap_or_else(PoisonError::into_inner) {
            user.wake_by_ref();
        }
    }
}
