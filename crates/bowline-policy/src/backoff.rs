//! How long to wait before another try.

use bowline_model::Random;
use bowline_model::time::nanos;
use std::time::Duration;

/// How long to wait before another try.
///
/// Always jittered, because calls that failed together would otherwise come back together. What the
/// variants differ in is how much of the wait is random.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Backoff {
    /// At once.
    #[default]
    None,
    /// Up to `base * (2^n - 1)`, at most `max`: Envoy's, as its router filter documents it.
    Envoy {
        /// The unit of growth. Envoy's own is 25 ms.
        base: Duration,
        /// The most a wait may be. Envoy's own is ten times the base.
        max: Duration,
    },
    /// Up to `base * 2^(n-1)`, at most `max`.
    Full {
        /// The most the first wait may be.
        base: Duration,
        /// The most any wait may be.
        max: Duration,
    },
    /// Half of `min(base * 2^(n-1), max)`, and up to the other half again.
    Equal {
        /// The most the first wait may be.
        base: Duration,
        /// The most any wait may be.
        max: Duration,
    },
    /// Between `base` and three times the wait before, at most `max`.
    Decorrelated {
        /// The least a wait may be.
        base: Duration,
        /// The most any wait may be.
        max: Duration,
    },
}

impl Backoff {
    /// Envoy's own: 25 ms, 75 ms, 175 ms, then 250 ms at most.
    pub const ENVOY: Self = Self::Envoy { base: Duration::from_millis(25), max: Duration::from_millis(250) };

    /// Envoy's with another `base`: the cap stays at ten times it.
    ///
    /// ```
    /// use bowline_policy::Backoff;
    /// use std::time::Duration;
    /// assert_eq!(Backoff::envoy(Duration::from_millis(25)), Backoff::ENVOY);
    /// ```
    #[must_use]
    pub const fn envoy(base: Duration) -> Self {
        Self::Envoy { base, max: base.saturating_mul(10) }
    }

    /// The wait before retry `retry` (from one), where the wait before it was `previous`.
    pub fn delay(&self, retry: u32, previous: Duration, rng: &mut impl Random) -> Duration {
        match *self {
            Self::None => Duration::ZERO,
            Self::Envoy { .. } | Self::Full { .. } => rng.up_to(self.worst(retry)),
            Self::Equal { .. } => {
                let worst = nanos(self.worst(retry));
                let half = worst / 2;
                Duration::from_nanos(half) + rng.up_to(Duration::from_nanos(worst - half))
            }
            Self::Decorrelated { base, max } => {
                let before = if previous.is_zero() { base } else { previous };
                let spread = before.saturating_mul(3).saturating_sub(base);
                base.saturating_add(rng.up_to(spread)).min(max)
            }
        }
    }

    /// The most the wait before retry `retry` (from one) can be: what a deadline must have room for.
    ///
    /// ```
    /// use bowline_policy::Backoff;
    /// let worst: Vec<_> = (1..=5).map(|retry| Backoff::ENVOY.worst(retry).as_millis()).collect();
    /// assert_eq!(worst, [25, 75, 175, 250, 250]);
    /// ```
    #[must_use]
    pub fn worst(&self, retry: u32) -> Duration {
        match *self {
            Self::None => Duration::ZERO,
            Self::Envoy { base, max } => times(base, power(2, retry).saturating_sub(1)).min(max),
            Self::Full { base, max } | Self::Equal { base, max } => {
                times(base, power(2, retry.saturating_sub(1))).min(max)
            }
            Self::Decorrelated { base, max } => times(base, power(3, retry)).min(max),
        }
    }
}

fn power(of: u64, exponent: u32) -> u64 {
    of.saturating_pow(exponent)
}

fn times(span: Duration, factor: u64) -> Duration {
    Duration::from_nanos(nanos(span).saturating_mul(factor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_model::SplitMix64;
    use proptest::prelude::*;

    const BASE: Duration = Duration::from_millis(25);
    const MAX: Duration = Duration::from_millis(250);

    fn worst(backoff: Backoff) -> Vec<u128> {
        (1..=5).map(|retry| backoff.worst(retry).as_millis()).collect()
    }

    #[test]
    fn each_grows_as_its_source_says() {
        assert_eq!(worst(Backoff::ENVOY), [25, 75, 175, 250, 250]);
        assert_eq!(worst(Backoff::Full { base: BASE, max: MAX }), [25, 50, 100, 200, 250]);
        assert_eq!(worst(Backoff::Equal { base: BASE, max: MAX }), [25, 50, 100, 200, 250]);
        assert_eq!(worst(Backoff::Decorrelated { base: BASE, max: MAX }), [75, 225, 250, 250, 250]);
        assert_eq!(worst(Backoff::None), [0; 5]);
    }

    #[test]
    fn the_thousandth_retry_overflows_nothing() {
        for backoff in all(BASE, MAX) {
            assert!(backoff.worst(u32::MAX) <= MAX);
        }
    }

    #[test]
    fn a_cap_below_the_base_wins() {
        let mut rng = SplitMix64::new(5);
        for backoff in all(MAX, BASE) {
            assert!(backoff.delay(1, Duration::ZERO, &mut rng) <= BASE, "{backoff:?}");
        }
    }

    #[test]
    fn calls_that_failed_together_do_not_come_back_together() {
        for backoff in all(BASE, MAX) {
            let waits: std::collections::BTreeSet<_> =
                (0..100).map(|seed| backoff.delay(2, BASE, &mut SplitMix64::new(seed))).collect();
            assert!(waits.len() > 95, "{backoff:?}: {} of 100 differ", waits.len());
        }
    }

    fn all(base: Duration, max: Duration) -> [Backoff; 4] {
        [
            Backoff::Envoy { base, max },
            Backoff::Full { base, max },
            Backoff::Equal { base, max },
            Backoff::Decorrelated { base, max },
        ]
    }

    proptest! {
        #[test]
        fn a_wait_stays_within_its_bounds(
            base_us in 0_u64..1_000_000,
            max_us in 0_u64..10_000_000,
            retries in 1_u32..80,
            seed in any::<u64>(),
        ) {
            let (base, max) = (Duration::from_micros(base_us), Duration::from_micros(max_us));
            for backoff in all(base, max) {
                let mut rng = SplitMix64::new(seed);
                let mut previous = Duration::ZERO;
                for retry in 1..=retries {
                    let wait = backoff.delay(retry, previous, &mut rng);
                    prop_assert!(wait <= backoff.worst(retry), "{backoff:?} retry {retry}: {wait:?}");
                    prop_assert!(wait <= max);
                    match backoff {
                        Backoff::Equal { .. } => prop_assert!(backoff.worst(retry) / 2 <= wait),
                        Backoff::Decorrelated { .. } => prop_assert!(base.min(max) <= wait),
                        _ => (),
                    }
                    previous = wait;
                }
            }
        }
    }
}
