//! Calls that cannot make their deadline, shed on arrival.
//!
//! A call with less time left than half of the tries take will more likely than not be worked on for nobody, and
//! takes the place of one that could have been answered. Under load such calls are the ones that waited longest, so a
//! callee that serves them in order does nothing else. They are told at once, while their caller can still do
//! something else.
//!
//! Why some are let through. What is known of the callee comes from the tries that are made; if none were, it could
//! get better and nobody would notice. A few pass, whatever is left, and old knowledge fades.
//!
//! Why a try that timed out counts as long as it took. It would have taken longer, and nobody knows how much. That
//! is enough: a call with more time left than that is not known to be doomed.

use crate::classify;
use crate::quantile::QuantileSettings;
use crate::ratio::Ratio;
use bowline_model::decision::TryEnd;
use bowline_model::{Outcome, Random};
use std::time::Duration;

/// When a call is shed because too little time is left for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoomedSettings {
    /// Fewer tries than this, each with what it still weighs, prove nothing.
    pub min_calls: u32,
    /// The share of doomed calls that is let through.
    pub let_through: Ratio,
    /// After how long a try weighs half.
    pub half_life: Duration,
}

impl Default for DoomedSettings {
    /// Fifty tries put the median within a seventh of the ranks of where it is, two times in three or more. One
    /// in twenty is what the throttle lets through as well. Ten seconds are the balancer's memory, too.
    fn default() -> Self {
        Self { min_calls: 50, let_through: Ratio::percent(5), half_life: Duration::from_secs(10) }
    }
}

impl DoomedSettings {
    /// What is measured for it.
    #[must_use]
    pub const fn quantile(&self) -> QuantileSettings {
        QuantileSettings {
            quantile: Ratio::percent(50),
            half_life: self.half_life,
            min_samples: self.min_calls,
        }
    }

    /// Whether a call with this much time left is shed, where half of the tries take longer than `median`.
    ///
    /// ```
    /// use bowline_model::SplitMix64;
    /// use bowline_policy::{DoomedSettings, Ratio};
    /// use std::time::Duration;
    ///
    /// let settings = DoomedSettings { let_through: Ratio::ZERO, ..DoomedSettings::default() };
    /// let (ten, twenty) = (Duration::from_millis(10), Duration::from_millis(20));
    /// let mut rng = SplitMix64::new(1);
    /// assert!(settings.sheds(ten, twenty, &mut rng));
    /// assert!(!settings.sheds(twenty, ten, &mut rng));
    /// ```
    #[must_use]
    pub fn sheds(&self, remaining: Duration, median: Duration, rng: &mut impl Random) -> bool {
        let whole = u64::from(Ratio::WHOLE);
        remaining < median && u64::from(self.let_through.ppm()) <= rng.below(whole)
    }
}

/// Whether a try that ended this way says how long tries take: it was answered, or was not in time.
#[must_use]
pub const fn tells(end: TryEnd, outcome: Outcome) -> bool {
    matches!(end, TryEnd::TimedOut | TryEnd::DeadlineExceeded)
        || matches!(classify::accepted(end, outcome), Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_model::SplitMix64;

    #[test]
    fn a_few_of_the_doomed_are_let_through() {
        let (settings, mut rng) = (DoomedSettings::default(), SplitMix64::new(5));
        let (left, median) = (Duration::from_millis(1), Duration::from_millis(2));
        let through = (0..10_000).filter(|_| !settings.sheds(left, median, &mut rng)).count();
        assert!((400..600).contains(&through), "{through}");
    }

    #[test]
    fn refusals_and_broken_connections_say_nothing_about_the_time_that_work_takes() {
        assert!(tells(TryEnd::Answered { status: 200 }, Outcome::Succeeded));
        assert!(tells(TryEnd::TimedOut, Outcome::Unknown));
        assert!(!tells(TryEnd::Answered { status: 429 }, Outcome::Refused));
        assert!(!tells(TryEnd::ConnectFailed, Outcome::Refused));
        assert!(!tells(TryEnd::Cancelled, Outcome::Unknown));
    }
}
