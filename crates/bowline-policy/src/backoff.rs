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
    /// `min(base * multiplier^(n-1), max)`, a fifth shorter to a fifth longer: gRPC's (proposal A6).
    Grpc {
        /// The first wait, before chance.
        base: Duration,
        /// The most a wait may be, before chance.
        max: Duration,
        /// By how much each wait is longer than the one before, in millionths.
        multiplier: u64,
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
            Self::Grpc { base, max, multiplier } => {
                let wait = grown(base, max, multiplier, retry);
                let spread = Duration::from_nanos(nanos(wait) / JITTER_PART);
                wait - spread + rng.up_to(spread.saturating_mul(2))
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
            Self::Grpc { base, max, multiplier } => {
                let wait = grown(base, max, multiplier, retry);
                wait.saturating_add(Duration::from_nanos(nanos(wait) / JITTER_PART))
            }
        }
    }
}

/// gRPC's chance is a fifth up and down.
const JITTER_PART: u64 = 5;

/// What [`Backoff::Grpc`] counts a multiplier in: one.
const ONE: u128 = 1_000_000;

/// `min(base * multiplier^(retry-1), max)`, rounded down at each step. A multiplier of one or less reaches no
/// longer wait, so the loop is as long as the tries that were made; any other reaches `max` soon.
fn grown(base: Duration, max: Duration, multiplier: u64, retry: u32) -> Duration {
    let max = u128::from(nanos(max));
    let mut wait = u128::from(nanos(base)).min(max);
    for _ in 1..retry.min(GROWTHS_MAX) {
        let next = (wait * u128::from(multiplier) / ONE).min(max);
        if next == wait {
            break;
        }
        wait = next;
    }
    Duration::from_nanos(wait as u64)
}

/// After so many steps nobody needs to know a wait exactly; gRPC itself makes four.
const GROWTHS_MAX: u32 = 1_000;

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
        let steep = Backoff::Grpc { base: Duration::MAX, max: Duration::MAX, multiplier: u64::MAX };
        assert!(MAX <= steep.worst(u32::MAX));
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

    /// gRPC's own example: 100 ms, doubled, up to one second.
    const GRPC: Backoff = Backoff::Grpc {
        base: Duration::from_millis(100),
        max: Duration::from_secs(1),
        multiplier: 2_000_000,
    };

    #[test]
    fn grpcs_wait_is_the_formulas_a_fifth_up_or_down() {
        // min(100 * 2^(n-1), 1000) ms, times 0.8 to 1.2.
        for (retry, formula) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1_000), (6, 1_000)] {
            let mut rng = SplitMix64::new(u64::from(retry));
            let waits: Vec<_> = (0..10_000)
                .map(|_| GRPC.delay(retry, Duration::ZERO, &mut rng).as_secs_f64() * 1e3)
                .collect();
            let (low, high) = (f64::from(formula) * 0.8, f64::from(formula) * 1.2);
            let least = waits.iter().copied().fold(f64::INFINITY, f64::min);
            let most = waits.iter().copied().fold(0.0, f64::max);
            let mean = waits.iter().sum::<f64>() / waits.len() as f64;
            // Ten thousand draws come within a thousandth of the formula of either end, and the mean within a
            // hundredth.
            let near = f64::from(formula) / 1e3;
            assert!(low <= least && least <= low + near, "retry {retry}: {least}");
            assert!(most <= high && high - near <= most, "retry {retry}: {most}");
            assert!((mean - f64::from(formula)).abs() < 10.0 * near, "retry {retry}: {mean}");
            assert_eq!(GRPC.worst(retry).as_secs_f64() * 1e3, high);
        }
    }

    #[test]
    fn grpcs_multiplier_may_be_any_number_above_nothing() {
        let after = |multiplier, retry| {
            let backoff = Backoff::Grpc { base: BASE, max: MAX, multiplier };
            backoff.worst(retry).as_micros() * 5 / 6
        };
        assert_eq!(after(1_600_000, 3), 64_000);
        assert_eq!(after(1_000_000, 1_000_000), 25_000);
        assert_eq!(after(500_000, 2), 12_500);
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
