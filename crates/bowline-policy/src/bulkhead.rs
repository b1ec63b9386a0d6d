//! How many calls may be under way at once.

use std::time::Duration;

/// How many calls may be under way at once, how many may wait, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkheadSettings {
    /// Calls under way at once.
    pub concurrent: u32,
    /// Calls that may wait for a place.
    pub queue: u32,
    /// How long each may wait.
    pub wait: Duration,
}

/// The bulkhead as a pure machine.
#[derive(Clone, Debug)]
pub struct Bulkhead {
    settings: BulkheadSettings,
}

impl Bulkhead {
    /// An empty bulkhead.
    #[must_use]
    pub const fn new(settings: BulkheadSettings) -> Self {
        Self { settings }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &BulkheadSettings {
        &self.settings
    }
}
