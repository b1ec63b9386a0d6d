//! How many calls may begin a second: a token bucket in whole numbers.
//!
//! A level kept in calls would lose what one nanosecond adds, or need a fraction. Kept in billionths of a
//! call, one nanosecond adds exactly `per_second` of them, and nothing is ever rounded.

use bowline_model::Instant;
use bowline_model::time::nanos;
use std::time::Duration;

/// How many calls may begin a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSettings {
    /// Calls a second, in the long run; zero lets nothing through once the burst is used.
    pub per_second: u32,
    /// Calls at once, after a quiet time; zero means one.
    pub burst: u32,
}

/// What is left of a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Calls that may begin at once.
    pub left: u32,
    /// Calls that may begin at once after a quiet time.
    pub most: u32,
    /// How long until there are that many, if nobody takes one; [`Duration::MAX`] where none are added.
    pub full_in: Duration,
    /// How long an empty bucket takes to be full again; [`Duration::MAX`] where nothing is added.
    pub fills_in: Duration,
}

/// The rate limit as a pure machine.
///
/// ```
/// use bowline_model::Instant;
/// use bowline_policy::{RateLimit, RateSettings};
/// use std::time::Duration;
///
/// let mut limit = RateLimit::new(RateSettings { per_second: 10, burst: 1 });
/// let now = Instant::from_millis(5);
/// assert_eq!(limit.take(now), Ok(()));
/// assert_eq!(limit.take(now), Err(Duration::from_millis(100)));
/// ```
#[derive(Clone, Debug)]
pub struct RateLimit {
    settings: RateSettings,
    /// What is in the bucket, in billionths of a call.
    level: u64,
    /// As of when.
    at: Instant,
}

/// One call, in billionths of a call.
const CALL: u64 = 1_000_000_000;

impl RateLimit {
    /// A limit nobody has used yet: the bucket is full.
    #[must_use]
    pub const fn new(settings: RateSettings) -> Self {
        Self { settings, level: Self::full(&settings), at: Instant::ZERO }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &RateSettings {
        &self.settings
    }

    /// Takes a call out of the bucket.
    ///
    /// # Errors
    /// How long until there is one, if nobody else takes it.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.pour(now);
        if CALL <= self.level {
            self.level -= CALL;
            return Ok(());
        }
        if self.settings.per_second == 0 {
            return Err(Duration::MAX);
        }
        Err(Duration::from_nanos((CALL - self.level).div_ceil(self.settings.per_second.into())))
    }

    /// What is left at `now`.
    ///
    /// ```
    /// use bowline_model::Instant;
    /// use bowline_policy::{RateLimit, RateSettings};
    /// use std::time::Duration;
    ///
    /// let mut limit = RateLimit::new(RateSettings { per_second: 10, burst: 5 });
    /// let now = Instant::from_millis(5);
    /// assert_eq!(limit.take(now), Ok(()));
    /// let standing = limit.standing(now);
    /// assert_eq!((standing.left, standing.most, standing.full_in), (4, 5, Duration::from_millis(100)));
    /// ```
    #[must_use]
    pub fn standing(&mut self, now: Instant) -> Standing {
        self.pour(now);
        let full = Self::full(&self.settings);
        let pours = |billionths: u64| match self.settings.per_second {
            0 if 0 < billionths => Duration::MAX,
            0 => Duration::ZERO,
            per_second => Duration::from_nanos(billionths.div_ceil(per_second.into())),
        };
        Standing {
            left: (self.level / CALL) as u32,
            most: (full / CALL) as u32,
            full_in: pours(full - self.level),
            fills_in: pours(full),
        }
    }

    fn pour(&mut self, now: Instant) {
        let poured = nanos(now.since(self.at)).saturating_mul(self.settings.per_second.into());
        self.level = self.level.saturating_add(poured).min(Self::full(&self.settings));
        self.at = self.at.max(now);
    }

    const fn full(settings: &RateSettings) -> u64 {
        let burst = if settings.burst == 0 { 1 } else { settings.burst };
        burst as u64 * CALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quiet_time_fills_the_bucket_and_no_more() {
        let mut limit = RateLimit::new(RateSettings { per_second: 100, burst: 5 });
        let hour = Instant::ZERO + Duration::from_secs(3_600);
        assert_eq!((0..).take_while(|_| limit.take(hour).is_ok()).count(), 5);
    }

    #[test]
    fn a_clock_that_is_a_little_behind_pours_nothing_twice() {
        let mut limit = RateLimit::new(RateSettings { per_second: 1, burst: 1 });
        assert!(limit.take(Instant::from_millis(2_000)).is_ok());
        assert!(limit.take(Instant::from_millis(1_000)).is_err());
        assert!(limit.take(Instant::from_millis(2_999)).is_err());
        assert!(limit.take(Instant::from_millis(3_000)).is_ok());
    }

    #[test]
    fn a_rate_of_nothing_ends_after_the_burst() {
        let mut limit = RateLimit::new(RateSettings { per_second: 0, burst: 1 });
        assert!(limit.take(Instant::FAR).is_ok());
        assert_eq!(limit.take(Instant::FAR), Err(Duration::MAX));
    }

    proptest! {
        /// Exactly: in any time no more than the burst and what the rate pours.
        #[test]
        fn never_more_than_the_burst_and_the_rate(
            per_second in 1_u32..2_000_000,
            burst in 1_u32..50,
            pauses in prop::collection::vec(0_u64..2_000_000, 1..300),
        ) {
            let mut limit = RateLimit::new(RateSettings { per_second, burst });
            let (mut now, mut taken) = (Instant::ZERO, 0_u128);
            for pause in pauses {
                now += Duration::from_nanos(pause);
                taken += u128::from(limit.take(now).is_ok());
                let poured = u128::from(now.as_nanos()) * u128::from(per_second);
                prop_assert!(taken * u128::from(CALL) <= u128::from(burst) * u128::from(CALL) + poured);
            }
        }

        /// Whoever waits as long as he was told is let in.
        #[test]
        fn the_wait_it_names_is_enough(per_second in 1_u32..2_000_000) {
            let mut limit = RateLimit::new(RateSettings { per_second, burst: 1 });
            let now = Instant::from_millis(1);
            prop_assert!(limit.take(now).is_ok());
            let wait = limit.take(now).unwrap_err();
            prop_assert!(limit.clone().take(now + (wait - Duration::from_nanos(1))).is_err());
            prop_assert!(limit.take(now + wait).is_ok());
        }
    }
}
