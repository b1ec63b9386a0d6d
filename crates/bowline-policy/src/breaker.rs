//! When a destination is left alone.

use crate::ratio::Ratio;
use std::time::Duration;

/// When a destination is left alone, and how it is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// How far back is counted.
    pub window: Duration,
    /// Fewer calls in the window say nothing about a share.
    pub min_calls: u32,
    /// Opens at this share of failures.
    pub failure_ratio: Option<Ratio>,
    /// Opens at a share of slow calls.
    pub slow: Option<Slow>,
    /// Opens after this many failures in a row, however few calls there were.
    pub consecutive: Option<u32>,
    /// How long nothing passes.
    pub open: Duration,
    /// The most that grows to.
    pub open_max: Duration,
    /// How much longer it stays open each time it opens again before it was whole.
    pub growth: u32,
    /// Stays open up to this much longer at random, so that many callers do not come back together.
    pub jitter: Ratio,
    /// How many probes decide.
    pub probes: u32,
    /// How long a probe's place is kept for an answer.
    pub probe_lease: Duration,
    /// How long a growing share passes before everything does.
    pub ramp: Duration,
}

/// What is slow, and how much of it opens the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    /// A call that takes this long or longer is slow.
    pub over: Duration,
    /// Opens at this share of slow calls.
    pub ratio: Ratio,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            min_calls: 20,
            failure_ratio: Some(Ratio::percent(50)),
            slow: Some(Slow { over: Duration::from_secs(60), ratio: Ratio::percent(80) }),
            consecutive: Some(7),
            open: Duration::from_secs(5),
            open_max: Duration::from_secs(60),
            growth: 2,
            jitter: Ratio::percent(25),
            probes: 3,
            probe_lease: Duration::from_secs(10),
            ramp: Duration::from_secs(10),
        }
    }
}

/// The breaker as a pure machine.
#[derive(Clone, Debug)]
pub struct Breaker {
    settings: BreakerSettings,
}

impl Breaker {
    /// A closed breaker that has seen nothing.
    #[must_use]
    pub const fn new(settings: BreakerSettings) -> Self {
        Self { settings }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &BreakerSettings {
        &self.settings
    }
}
