//! When something that others publish is looked up again: a name's addresses.
//!
//! Why an answer's own time is not taken as it is. Nought means "ask each time", which a program that keeps
//! connections cannot do, and a day means that a host which moved is not found for a day.
//!
//! Why what was known stays when nobody answers. The hosts do not stop working because the directory does; who
//! forgets them turns a failure of DNS into one of everything.

use crate::ratio::Ratio;
use bowline_model::{Instant, Random};
use std::time::Duration;

/// How often something is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshSettings {
    /// The shortest time an answer holds, whatever it says of itself. 1 s.
    pub least: Duration,
    /// The longest. 5 minutes.
    pub most: Duration,
    /// It is asked up to this share earlier, so that many who learned of it at once do not ask at once. A tenth.
    pub jitter: Ratio,
    /// The time to the next question after a failure; doubled with each in a row. 1 s.
    pub failed: Duration,
    /// The longest of those. 30 s.
    pub failed_most: Duration,
}

impl Default for RefreshSettings {
    fn default() -> Self {
        Self {
            least: Duration::from_secs(1),
            most: Duration::from_secs(300),
            jitter: Ratio::percent(10),
            failed: Duration::from_secs(1),
            failed_most: Duration::from_secs(30),
        }
    }
}

/// When one thing is looked up again.
///
/// ```
/// use bowline_model::{Instant, SplitMix64};
/// use bowline_policy::refresh::{Refresh, RefreshSettings};
/// use std::time::Duration;
///
/// let mut rng = SplitMix64::new(1);
/// let mut refresh = Refresh::new(RefreshSettings::default());
/// let next = refresh.learned(Instant::ZERO, Duration::from_secs(30), &mut rng);
/// assert!(Instant::from_millis(27_000) <= next && next <= Instant::from_millis(30_000));
/// ```
#[derive(Clone, Debug)]
pub struct Refresh {
    settings: RefreshSettings,
    /// Failures in a row.
    failures: u32,
}

impl Refresh {
    /// Something that is looked up for the first time.
    #[must_use]
    pub const fn new(settings: RefreshSettings) -> Self {
        Self { settings, failures: 0 }
    }

    /// Failures in a row, so far.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// An answer came at `now` that holds for `ttl`: when to ask again.
    pub fn learned(&mut self, now: Instant, ttl: Duration, rng: &mut impl Random) -> Instant {
        self.failures = 0;
        now + self.earlier(ttl.clamp(self.settings.least, self.settings.most.max(self.settings.least)), rng)
    }

    /// Nobody answered, or nothing came of it: when to ask again.
    pub fn failed(&mut self, now: Instant, rng: &mut impl Random) -> Instant {
        self.failures = self.failures.saturating_add(1);
        let doubled = self.settings.failed.saturating_mul(1 << (self.failures - 1).min(16));
        now + self.earlier(doubled.min(self.settings.failed_most), rng)
    }

    fn earlier(&self, span: Duration, rng: &mut impl Random) -> Duration {
        span.mul_f64(1.0 - self.settings.jitter.as_f64() * rng.unit())
    }
}
