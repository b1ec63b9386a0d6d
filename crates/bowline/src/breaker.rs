//! When a destination is left alone: the breaker as one writes it in code.

use crate::ratio;
use bowline_policy::{BreakerSettings, Slow};
use std::time::Duration;

/// When a destination is left alone, and how it is taken back.
///
/// It opens at a share of failures, a share of slow calls or a number of failures in a row, whichever
/// comes first of those that are asked for. Failures are tries with an unknown outcome and connections
/// that could not be made; an answer that says no is a sign of health, and one that asks to slow down
/// says nothing. Open it lets nothing through; then a few probes, each with a lease; then a growing
/// share, until all is as before.
///
/// ```
/// use bowline::{Breaker, Spans};
///
/// // Half of at least 20 calls within 10 s: leave it alone for 10 s.
/// let breaker = Breaker::ratio(0.5).over(10.s()).at_least(20).reset(10.s());
/// // A few calls a minute never make twenty in a window: count failures in a row instead, or as well.
/// let breaker = breaker.or_consecutive(7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "hand it to `Guard::breaker`"]
pub struct Breaker {
    pub(crate) settings: BreakerSettings,
}

impl Breaker {
    /// Opens at this share of failures, from 0 to 1, among the calls of the window: 10 s and at least 20
    /// calls unless told otherwise.
    ///
    /// # Panics
    /// If `failures` is no share.
    pub fn ratio(failures: f64) -> Self {
        Self { settings: BreakerSettings { failure_ratio: Some(ratio(failures)), ..Self::never().settings } }
    }

    /// Opens after this many failures in a row, however few calls there are.
    pub fn consecutive(failures: u32) -> Self {
        Self { settings: BreakerSettings { consecutive: Some(failures.max(1)), ..Self::never().settings } }
    }

    /// Opens after this many failures in a row as well.
    pub fn or_consecutive(mut self, failures: u32) -> Self {
        self.settings.consecutive = Some(failures.max(1));
        self
    }

    /// Opens as well when this share of the window's calls took `over` or longer.
    ///
    /// # Panics
    /// If `share` is no share.
    pub fn or_slow(mut self, over: Duration, share: f64) -> Self {
        self.settings.slow = Some(Slow { over, ratio: ratio(share) });
        self
    }

    /// How far back is counted.
    pub fn over(mut self, window: Duration) -> Self {
        self.settings.window = window;
        self
    }

    /// Fewer calls in the window than these say nothing about a share.
    pub fn at_least(mut self, calls: u32) -> Self {
        self.settings.min_calls = calls.max(1);
        self
    }

    /// How long it stays open before it lets probes through: this long, up to a quarter longer at
    /// random, and twice as long each time it opens again before it was whole, up to a minute.
    pub fn reset(mut self, open: Duration) -> Self {
        self.settings.open = open;
        self.settings.open_max = self.settings.open_max.max(open);
        self
    }

    /// How many probes decide whether it closes: 3 unless told otherwise.
    pub fn probes(mut self, probes: u32) -> Self {
        self.settings.probes = probes.max(1);
        self
    }

    /// How long a growing share passes after the probes came back well: 10 s unless told otherwise.
    pub fn ramp(mut self, ramp: Duration) -> Self {
        self.settings.ramp = ramp;
        self
    }

    /// Opens for nothing: what nobody asked for must not open it.
    fn never() -> Self {
        let defaults = BreakerSettings::default();
        Self { settings: BreakerSettings { failure_ratio: None, slow: None, consecutive: None, ..defaults } }
    }
}
