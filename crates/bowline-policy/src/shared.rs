//! The machines that remember, shared by all workers of a process.

use crate::breaker::BreakerSettings;
use crate::budget::BudgetSettings;
use crate::bulkhead::BulkheadSettings;
use crate::rate::RateSettings;
use bowline_model::Instant;
use bowline_model::decision::BreakerState;

/// A breaker shared by all workers.
#[derive(Debug)]
pub struct SharedBreaker {
    settings: BreakerSettings,
}

impl SharedBreaker {
    /// A closed breaker that has seen nothing.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        Self { settings }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &BreakerSettings {
        &self.settings
    }

    /// The state at `now`, as the next try would meet it.
    #[must_use]
    pub fn state(&self, now: Instant) -> BreakerState {
        let _ = now;
        BreakerState::Closed
    }

    /// Failures and calls in the window at `now`.
    #[must_use]
    pub fn counts(&self, now: Instant) -> (u32, u32) {
        let _ = now;
        (0, 0)
    }
}

/// A retry budget shared by all workers.
#[derive(Debug)]
pub struct SharedBudget {
    settings: BudgetSettings,
}

impl SharedBudget {
    /// A budget nobody has used yet.
    #[must_use]
    pub fn new(settings: BudgetSettings) -> Self {
        Self { settings }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &BudgetSettings {
        &self.settings
    }
}

/// A bulkhead shared by all workers.
#[derive(Debug)]
pub struct SharedBulkhead {
    settings: BulkheadSettings,
}

impl SharedBulkhead {
    /// An empty bulkhead.
    #[must_use]
    pub fn new(settings: BulkheadSettings) -> Self {
        Self { settings }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &BulkheadSettings {
        &self.settings
    }

    /// Calls under way.
    #[must_use]
    pub fn running(&self) -> u32 {
        0
    }

    /// Calls that wait for a place.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        0
    }
}

/// A rate limit shared by all workers.
#[derive(Debug)]
pub struct SharedRate {
    settings: RateSettings,
}

impl SharedRate {
    /// A limit nobody has used yet.
    #[must_use]
    pub fn new(settings: RateSettings) -> Self {
        Self { settings }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &RateSettings {
        &self.settings
    }
}
