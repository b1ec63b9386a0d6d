//! How many calls at once, and how many a second, as one writes it in code.

use bowline_policy::{BulkheadSettings, RateSettings};
use std::time::Duration;

/// How many calls may be under way at once, how many may wait for a place, and how long.
///
/// One that finds the queue full, or waits too long, is refused: nothing was sent.
///
/// ```
/// use bowline::{Bulkhead, Spans};
///
/// let bulkhead = Bulkhead::of(64).queue(32, 20.ms());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "hand it to `Guard::bulkhead`"]
pub struct Bulkhead {
    pub(crate) settings: BulkheadSettings,
}

impl Bulkhead {
    /// At most this many calls at once, and nobody waits.
    pub fn of(calls: u32) -> Self {
        Self { settings: BulkheadSettings { concurrent: calls.max(1), queue: 0, wait: Duration::ZERO } }
    }

    /// Up to this many more may wait, each this long.
    pub fn queue(mut self, calls: u32, wait: Duration) -> Self {
        self.settings.queue = calls;
        self.settings.wait = wait;
        self
    }
}

/// How many calls may begin a second.
///
/// ```
/// use bowline::Rate;
///
/// let rate = Rate::per_second(100).burst(20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "hand it to `Guard::rate`"]
pub struct Rate {
    pub(crate) settings: RateSettings,
}

impl Rate {
    /// This many in the long run, and a tenth of them at once.
    pub fn per_second(calls: u32) -> Self {
        let per_second = calls.max(1);
        Self { settings: RateSettings { per_second, burst: per_second.div_ceil(10) } }
    }

    /// This many at once, after a quiet time.
    pub fn burst(mut self, calls: u32) -> Self {
        self.settings.burst = calls.max(1);
        self
    }
}
