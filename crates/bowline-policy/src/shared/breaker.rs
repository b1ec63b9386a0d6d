//! A breaker shared by all workers.

use crate::breaker::{Admission, Breaker, BreakerSettings, Lease, Moved};
use crate::classify::Health;
use crate::sync::{Mutex, lock};
use bowline_model::decision::BreakerState;
use bowline_model::{Instant, Random};
use std::time::Duration;

/// A breaker shared by all workers: [`Breaker`] behind a lock.
#[derive(Debug)]
pub struct SharedBreaker {
    settings: BreakerSettings,
    breaker: Mutex<Breaker>,
}

impl SharedBreaker {
    /// A closed breaker that has seen nothing.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        Self { settings, breaker: Mutex::new(Breaker::new(settings)) }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &BreakerSettings {
        &self.settings
    }

    /// Whether a try that must end before `until` may go.
    pub fn admit(&self, now: Instant, until: Instant, rng: &mut impl Random) -> (Admission, Option<Moved>) {
        lock(&self.breaker).admit(now, until, rng)
    }

    /// Counts how a try ended that `took` this long.
    pub fn settle(
        &self,
        now: Instant,
        lease: Lease,
        health: Health,
        took: Duration,
        rng: &mut impl Random,
    ) -> Option<Moved> {
        lock(&self.breaker).settle(now, lease, health, took, rng)
    }

    /// The try said nothing: it was cancelled, ignored, never sent.
    pub fn give_back(&self, lease: Lease) {
        // Only a probe holds a place; everything else would lock for nothing.
        if lease.is_probe() {
            lock(&self.breaker).give_back(lease);
        }
    }

    /// The state at `now`, as the next try would meet it.
    #[must_use]
    pub fn state(&self, now: Instant) -> BreakerState {
        lock(&self.breaker).state(now)
    }

    /// Failures and tries in the window at `now`.
    #[must_use]
    pub fn counts(&self, now: Instant) -> (u32, u32) {
        lock(&self.breaker).counts(now)
    }

    /// Probes whose lease has not ended at `now`.
    #[must_use]
    pub fn probes_out(&self, now: Instant) -> u32 {
        lock(&self.breaker).probes_out(now)
    }
}
