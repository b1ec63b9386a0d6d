//! How a host that is new, or back, gets its share.
//!
//! Its caches are cold and its code is not compiled yet; what the others carry would break it.

use std::time::Duration;

/// Envoy's slow start: within the window a host's weight is its own times
/// `max(least, (time since it came / window)^(1 / aggression))`
/// (`envoy.extensions.load_balancing_policies.common.v3.SlowStartConfig`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowStart {
    /// For this long.
    pub window: Duration,
    /// Starting with this share of its weight, from 0 to 1; Istio's default is 0.1.
    pub least: f64,
    /// How steeply: 1 is a straight line, more is faster at the beginning.
    pub aggression: f64,
}

impl SlowStart {
    /// Over `window`, in a straight line from a tenth.
    #[must_use]
    pub const fn over(window: Duration) -> Self {
        Self { window, least: 0.1, aggression: 1.0 }
    }

    /// The share of its weight that a host has, so long after it came.
    ///
    /// ```
    /// use bowline_policy::balance::SlowStart;
    /// use std::time::Duration;
    ///
    /// let slow_start = SlowStart::over(Duration::from_secs(10));
    /// assert_eq!(slow_start.share(Duration::ZERO), 0.1);
    /// assert_eq!(slow_start.share(Duration::from_secs(5)), 0.5);
    /// assert_eq!(slow_start.share(Duration::from_secs(10)), 1.0);
    /// ```
    #[must_use]
    pub fn share(&self, since: Duration) -> f64 {
        if self.window <= since {
            return 1.0;
        }
        let passed = since.as_secs_f64() / self.window.as_secs_f64();
        // Written out, because a power is not the same to the last bit on every machine.
        let share = if self.aggression == 1.0 { passed } else { passed.powf(1.0 / self.aggression) };
        share.max(self.least).min(1.0)
    }
}
