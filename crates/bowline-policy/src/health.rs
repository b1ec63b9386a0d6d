//! Whether a host is well, by asking it: when it is asked, and what its answers come to.
//!
//! Why a host counts as well until it has failed several times. Whoever has just come has been asked by nobody,
//! and a try finds out as much as a check does; refused before the first check, a whole destination would be
//! gone for as long as that takes. One answer that was lost says nothing about a host.
//!
//! Why it takes fewer passes to be well the first time. A host that was found ill before it ever answered was
//! only starting: its first good answer is the news that was waited for. One that fell ill later has to show
//! that it stays well.

use crate::ratio::Ratio;
use bowline_model::{Instant, Random};
use std::time::Duration;

/// How a host is asked whether it is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    /// From the beginning of one check to that of the next; one that takes longer is followed at once. 5 s: with three failures a host that hangs is left
    /// out within a quarter of a minute, and a thousand hosts are asked two hundred times a second.
    pub interval: Duration,
    /// How long an answer may take. 1 s: a check is little work.
    pub timeout: Duration,
    /// The interval differs by up to this share, either way, from check to check, so that many who watch one
    /// host do not ask it all at once. A tenth.
    pub jitter: Ratio,
    /// So many good answers in a row make a host well that was ill. 2.
    pub healthy: u32,
    /// So many failures in a row make a host ill that was well. 3: one may be lost, two may be one pause.
    pub unhealthy: u32,
}

impl HealthSettings {
    /// What holds where nobody says otherwise.
    pub const DEFAULT: Self = Self {
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(1),
        jitter: Ratio::percent(10),
        healthy: 2,
        unhealthy: 3,
    };
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What checks have concluded about a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing yet; it counts as well.
    Unknown,
    /// It is well.
    Well,
    /// It is ill.
    Ill,
}

impl Health {
    /// The word used as metric label and in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Well => "well",
            Self::Ill => "ill",
        }
    }

    /// Whether it may be picked, as far as checks have a say.
    #[must_use]
    pub const fn is_well(self) -> bool {
        !matches!(self, Self::Ill)
    }
}

/// The checks of one host: when the next one is due, and what they have come to.
///
/// ```
/// use bowline_model::{Instant, SplitMix64};
/// use bowline_policy::health::{Health, HealthCheck, HealthSettings};
///
/// let mut rng = SplitMix64::new(1);
/// let mut check = HealthCheck::new(HealthSettings::DEFAULT, Instant::ZERO, &mut rng);
/// for failure in 1..=3 {
///     let now = check.due();
///     assert_eq!(check.saw(now, false, &mut rng), (failure == 3).then_some(Health::Ill));
/// }
/// ```
#[derive(Clone, Debug)]
pub struct HealthCheck {
    settings: HealthSettings,
    health: Health,
    /// Whether it has passed a check, ever.
    ever_passed: bool,
    /// Answers in a row that speak against what holds.
    against: u32,
    due: Instant,
}

impl HealthCheck {
    /// The checks of a host that nobody has asked. The first is due within the jitter's share of an interval:
    /// hosts that come together are not asked together.
    #[must_use]
    pub fn new(settings: HealthSettings, now: Instant, rng: &mut impl Random) -> Self {
        let spread = settings.interval.mul_f64(settings.jitter.as_f64() * rng.unit());
        Self { settings, health: Health::Unknown, ever_passed: false, against: 0, due: now + spread }
    }

    /// How it is asked.
    #[must_use]
    pub const fn settings(&self) -> &HealthSettings {
        &self.settings
    }

    /// What its answers have come to.
    #[must_use]
    pub const fn health(&self) -> Health {
        self.health
    }

    /// When the next check begins.
    #[must_use]
    pub const fn due(&self) -> Instant {
        self.due
    }

    /// Goes on under other settings. What is known stays; a host that was to be asked later than they say is
    /// asked when they say.
    pub fn change(&mut self, settings: HealthSettings, now: Instant) {
        if self.settings != settings {
            self.settings = settings;
            self.due = self.due.min(now + settings.interval);
        }
    }

    /// A check that began at `began` passed or failed; what holds from now on, where that is something else.
    pub fn saw(&mut self, began: Instant, passed: bool, rng: &mut impl Random) -> Option<Health> {
        let jitter = self.settings.jitter.as_f64() * (2.0 * rng.unit() - 1.0);
        self.due = began + self.settings.interval.mul_f64(1.0 + jitter);
        let speaks_for = passed == self.health.is_well();
        self.against = if speaks_for { 0 } else { self.against.saturating_add(1) };
        let needed = match (passed, self.ever_passed) {
            (true, true) => self.settings.healthy,
            (true, false) => 1,
            (false, _) => self.settings.unhealthy,
        };
        self.ever_passed |= passed;
        let next = match self.health {
            Health::Unknown if passed => Health::Well,
            _ if speaks_for || self.against < needed.max(1) => return None,
            _ if passed => Health::Well,
            _ => Health::Ill,
        };
        self.health = next;
        self.against = 0;
        Some(next)
    }
}
