//! A retry budget shared by all workers.

use crate::budget::{Budget, BudgetSettings};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, lock};
use bowline_model::Instant;

/// A retry budget shared by all workers.
///
/// Every call deposits and few withdraw, so a deposit within the newest bucket of the window is one atomic
/// addition; the lock is taken by retries, and once for each bucket.
#[derive(Debug)]
pub struct SharedBudget {
    settings: BudgetSettings,
    /// Upper half: calls that began since the window was last touched. Lower half: calls that are not over.
    calls: AtomicU64,
    /// Retries under way or asleep. Only ever raised under the lock.
    retrying: AtomicU32,
    /// Until when a call need not touch the window.
    until: AtomicU64,
    window: Mutex<Budget>,
}

/// One call that began, beside one that is not over.
const BEGUN: u64 = 1 << 32;

impl SharedBudget {
    /// A budget nobody has used yet.
    #[must_use]
    pub fn new(settings: BudgetSettings) -> Self {
        Self {
            settings,
            calls: AtomicU64::new(0),
            retrying: AtomicU32::new(0),
            until: AtomicU64::new(0),
            window: Mutex::new(Budget::new(settings)),
        }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &BudgetSettings {
        &self.settings
    }

    /// A call begins. It is over with [`SharedBudget::over`].
    #[inline]
    pub fn begun(&self, now: Instant) {
        if self.until.load(Ordering::Relaxed) <= now.as_nanos() {
            self.fold(&mut lock(&self.window), now);
        }
        self.calls.fetch_add(BEGUN | 1, Ordering::Relaxed);
    }

    /// A call is over.
    #[inline]
    pub fn over(&self) {
        self.calls.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes a retry out of both budgets, if both have one. It is over with [`SharedBudget::retry_over`].
    pub fn try_retry(&self, now: Instant) -> bool {
        let mut window = lock(&self.window);
        self.fold(&mut window, now);
        // Retries that end meanwhile only make room.
        let granted = window.try_retry(now, self.active(), self.retrying.load(Ordering::Acquire));
        if granted {
            self.retrying.fetch_add(1, Ordering::AcqRel);
        }
        granted
    }

    /// A retry is over, or does not come: its call was dropped while it slept.
    pub fn retry_over(&self) {
        self.retrying.fetch_sub(1, Ordering::AcqRel);
    }

    /// Calls that are not over.
    #[must_use]
    pub fn active(&self) -> u32 {
        self.calls.load(Ordering::Acquire) as u32
    }

    /// Retries under way or asleep.
    #[must_use]
    pub fn retrying(&self) -> u32 {
        self.retrying.load(Ordering::Acquire)
    }

    /// Calls and retries in the window at `now`.
    #[must_use]
    pub fn counts(&self, now: Instant) -> (u32, u32) {
        let mut window = lock(&self.window);
        self.fold(&mut window, now);
        window.counts(now)
    }

    /// Moves what began since the last time into the window. Only whoever holds the lock takes calls out of
    /// the upper half, so none is counted twice or lost.
    fn fold(&self, window: &mut Budget, now: Instant) {
        let begun = (self.calls.load(Ordering::Acquire) >> 32) as u32;
        self.calls.fetch_sub(u64::from(begun) << 32, Ordering::AcqRel);
        // What began before `until` began in the newest bucket, which may be about to end.
        window.count(begun);
        window.roll(now);
        self.until.store(window.bucket_ends().as_nanos(), Ordering::Release);
    }
}
