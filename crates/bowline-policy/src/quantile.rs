//! A quantile of how long things take, as of late: the p95 that a hedge waits for, the median that tells
//! whether a call can still be answered in time.
//!
//! Durations are counted in buckets whose width grows with them (the layout of an HDR histogram), so memory is
//! fixed and the relative error as well. All counts are halved once each half-life: what happened long ago
//! fades, and nothing has to be remembered about any one sample.
//!
//! Why not a ring of windows: it forgets a busy minute whole, and has nothing to say just after. Why not an
//! estimator without buckets (P-square, or steps up and down): it follows one quantile with a rate of its own
//! that somebody would have to choose, and forgets nothing.

use crate::ratio::Ratio;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use bowline_model::Instant;
use bowline_model::time::nanos;
use std::fmt;
use std::time::Duration;

/// What a [`LiveQuantile`] follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuantileSettings {
    /// Which one: a half is the median.
    pub quantile: Ratio,
    /// After how long a sample weighs half.
    pub half_life: Duration,
    /// How many samples there have to be, each with what it still weighs, before anything is said.
    pub min_samples: u32,
}

/// A quantile of how long things take, as of late; shared by all workers of a process.
///
/// A sample costs one atomic addition, asking costs a load; the buckets are added up at most
/// [`READS_PER_HALF_LIFE`] times in a half-life, so what is said may be older by as much. What is said is right
/// to 1/16 of itself, and to a microsecond; more than a minute counts as a minute.
pub struct LiveQuantile {
    settings: QuantileSettings,
    /// Samples, each with its weight.
    buckets: [AtomicU32; BUCKETS],
    /// Since when they were not halved. Zero: there was nothing to halve yet.
    halved: AtomicU64,
    /// Until when `said` holds.
    until: AtomicU64,
    /// In nanoseconds, plus one. Zero: too few samples.
    said: AtomicU64,
}

/// How often in a half-life the buckets are added up.
pub const READS_PER_HALF_LIFE: u32 = 128;

/// The weight of a new sample: it is still worth a 64th after six half-lives and nothing after seven. A bucket
/// holds 67 million of them, more than a process can count into one in a half-life.
const NEW: u32 = 1 << 6;

/// Buckets in each power of two: an error of at most 1/16.
const STEP_BITS: u32 = 4;
const STEPS: usize = 1 << STEP_BITS;
/// The unit of the narrowest buckets: 2^10 ns, about a microsecond.
const UNIT_BITS: u32 = 10;
/// Powers of two with buckets of their own, above the first [`STEPS`] units: up to 2^36 ns, about 69 s. The model
/// check looks at how threads meet, for which few buckets are as good.
const OCTAVES: usize = if cfg!(feature = "loom") { 0 } else { 22 };
const BUCKETS: usize = STEPS * (1 + OCTAVES);

impl LiveQuantile {
    /// What is said is right to this part of itself.
    pub const ERROR: u32 = STEPS as u32;

    /// Nothing seen yet.
    #[must_use]
    pub fn new(settings: QuantileSettings) -> Self {
        Self {
            settings,
            buckets: std::array::from_fn(|_| AtomicU32::new(0)),
            halved: AtomicU64::new(0),
            until: AtomicU64::new(0),
            said: AtomicU64::new(0),
        }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &QuantileSettings {
        &self.settings
    }

    /// One more sample.
    #[inline]
    pub fn record(&self, now: Instant, took: Duration) {
        if self.is_stale(now) {
            self.refresh(now);
        }
        self.buckets[bucket(took)].fetch_add(NEW, Ordering::Relaxed);
    }

    /// The quantile; `None` while there are too few samples.
    #[inline]
    pub fn read(&self, now: Instant) -> Option<Duration> {
        if self.is_stale(now) {
            self.refresh(now);
        }
        self.said.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_nanos)
    }

    /// How many samples there are at `now`, each with what it still weighs; for people, no decision is made from
    /// it.
    #[must_use]
    pub fn samples(&self, now: Instant) -> u32 {
        self.halve(now);
        (self.weight() / u64::from(NEW)) as u32
    }

    #[inline]
    fn is_stale(&self, now: Instant) -> bool {
        self.until.load(Ordering::Relaxed) <= now.as_nanos()
    }

    /// Adds the buckets up. Of several workers that come at once one does; the others go on with what was said
    /// before.
    #[cold]
    fn refresh(&self, now: Instant) {
        let until = self.until.load(Ordering::Relaxed);
        let next = (now + self.settings.half_life / READS_PER_HALF_LIFE).as_nanos().max(now.as_nanos() + 1);
        let mine = until <= now.as_nanos()
            && self.until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            self.halve(now);
            let said = self.add_up().map_or(0, |quantile| 1 + quantile);
            self.said.store(said, Ordering::Relaxed);
        }
    }

    /// Halves every count once for each half-life that has passed.
    fn halve(&self, now: Instant) {
        let half_life = nanos(self.settings.half_life).max(1);
        let since = self.halved.load(Ordering::Relaxed);
        let times = now.as_nanos().saturating_sub(since) / half_life;
        let to = if since == 0 { now.as_nanos() } else { since + times * half_life };
        // Whoever moves the time on halves, so that no half-life counts twice.
        if to == since
            || self.halved.compare_exchange(since, to, Ordering::Relaxed, Ordering::Relaxed).is_err()
            || since == 0
        {
            return;
        }
        for bucket in self.buckets.iter().filter(|bucket| bucket.load(Ordering::Relaxed) != 0) {
            // Samples come in meanwhile, and another worker may already be at the next half-life: neither is
            // lost or taken twice.
            let halved = |weight: u32| {
                u32::try_from(times).ok().and_then(|times| weight.checked_shr(times)).or(Some(0))
            };
            let _ = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, halved);
        }
    }

    fn weight(&self) -> u64 {
        self.buckets.iter().map(|bucket| u64::from(bucket.load(Ordering::Relaxed))).sum()
    }

    /// The quantile in nanoseconds, taken as if the samples of a bucket lay evenly in it.
    fn add_up(&self) -> Option<u64> {
        let weight = self.weight();
        if weight < u64::from(self.settings.min_samples.max(1)) * u64::from(NEW) {
            return None;
        }
        let rank = self.settings.quantile.of(weight).max(1);
        let (mut before, mut last) = (0, None);
        for (index, bucket) in self.buckets.iter().enumerate() {
            let here = u64::from(bucket.load(Ordering::Relaxed));
            if here == 0 {
                continue;
            }
            let (low, width) = span(index);
            if rank <= before + here {
                return Some(low + (u128::from(width) * u128::from(rank - before) / u128::from(here)) as u64);
            }
            before += here;
            last = Some(low + width);
        }
        // Another worker halved between the two sums.
        last
    }
}

impl fmt::Debug for LiveQuantile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveQuantile")
            .field("settings", &self.settings)
            .field("said", &self.said.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_nanos))
            .finish_non_exhaustive()
    }
}

#[inline]
fn bucket(took: Duration) -> usize {
    let units = nanos(took) >> UNIT_BITS;
    if units < STEPS as u64 {
        return units as usize;
    }
    let octave = units.ilog2() - STEP_BITS;
    let step = (units >> octave) as usize - STEPS;
    (STEPS * (1 + octave as usize) + step).min(BUCKETS - 1)
}

/// Where a bucket begins and how wide it is, in nanoseconds.
const fn span(index: usize) -> (u64, u64) {
    if index < STEPS {
        return ((index as u64) << UNIT_BITS, 1 << UNIT_BITS);
    }
    let octave = (index / STEPS - 1) as u32;
    let step = (STEPS + index % STEPS) as u64;
    (step << (octave + UNIT_BITS), 1 << (octave + UNIT_BITS))
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use bowline_model::{Random, SplitMix64};
    use proptest::prelude::*;

    const SETTINGS: QuantileSettings = QuantileSettings {
        quantile: Ratio::percent(95),
        half_life: Duration::from_secs(10),
        min_samples: 100,
    };
    const START: Instant = Instant::from_millis(1);
    const LATER: Instant = Instant::from_millis(1_000);

    fn live(percent: u32, samples: impl IntoIterator<Item = u64>) -> LiveQuantile {
        let quantile = LiveQuantile::new(QuantileSettings { quantile: Ratio::percent(percent), ..SETTINGS });
        samples.into_iter().for_each(|micros| quantile.record(START, Duration::from_micros(micros)));
        quantile
    }

    #[test]
    fn it_says_nothing_before_there_are_enough_samples() {
        assert_eq!(live(95, 1..=99).read(LATER), None);
        assert!(live(95, 1..=100).read(LATER).is_some());
    }

    #[test]
    fn any_quantile_is_right_to_a_sixteenth() {
        for percent in [1, 50, 90, 95, 99] {
            let said = live(percent, 1..=100_000).read(LATER).unwrap();
            let (said, exact) = (said.as_secs_f64() * 1e3, f64::from(percent));
            assert!((said - exact).abs() <= exact / 16.0, "p{percent}: {said} ms");
        }
    }

    #[test]
    fn what_happened_long_ago_fades_and_is_forgotten() {
        let quantile = live(50, std::iter::repeat_n(1_000_000, 1_000));
        assert_eq!(quantile.samples(START), 1_000);
        let after = |half_lives: u32| START + SETTINGS.half_life * half_lives;
        assert_eq!(quantile.samples(after(1)), 500);
        assert_eq!(quantile.read(after(3)).map(|slow| slow.as_millis()), Some(989), "its bucket's middle");
        assert_eq!(quantile.read(after(4)), None, "62 are left");
        // As many again, quick ones: they are the greater part at once.
        (0..100).for_each(|_| quantile.record(after(4), Duration::from_millis(1)));
        assert!(quantile.read(after(4) + Duration::from_secs(1)).unwrap() < Duration::from_millis(2));
        assert_eq!(quantile.samples(after(100)), 0);
    }

    #[test]
    fn more_than_a_minute_counts_as_a_minute_and_nothing_as_less_than_a_microsecond() {
        let said = live(95, std::iter::repeat_n(u64::MAX / 1_000, 100)).read(LATER).unwrap();
        assert!((60..70).contains(&said.as_secs()), "{said:?}");
        let said = live(95, std::iter::repeat_n(0, 100)).read(LATER).unwrap();
        assert!(said <= Duration::from_nanos(1 << UNIT_BITS), "{said:?}");
    }

    #[test]
    fn every_duration_lies_in_its_bucket_and_the_buckets_lie_end_to_end() {
        for index in 1..BUCKETS {
            let (low, width) = span(index - 1);
            assert_eq!(span(index).0, low + width, "{index}");
            assert_eq!(bucket(Duration::from_nanos(span(index).0)), index);
            assert_eq!(bucket(Duration::from_nanos(span(index).0 - 1)), index - 1);
        }
    }

    #[test]
    fn a_clock_that_is_a_little_behind_changes_nothing() {
        let quantile = live(95, 1..=100);
        let said = quantile.read(LATER);
        assert_eq!(quantile.read(START), said);
        quantile.record(START, Duration::from_millis(1));
        assert_eq!(quantile.samples(START), 101);
    }

    proptest! {
        /// Beside the sorted list of all samples: the bucket's width, and one sample's rank.
        #[test]
        fn it_is_the_quantile_of_the_list(seed in any::<u64>(), count in 100_usize..2_000, percent in 1_u32..100) {
            let mut rng = SplitMix64::new(seed);
            let mut list: Vec<u64> = (0..count).map(|_| rng.below(1 << 24) >> rng.below(24)).collect();
            let said = live(percent, list.iter().copied()).read(LATER).unwrap().as_secs_f64() * 1e6;
            list.sort_unstable();
            let at = |rank: usize| list[rank.min(count - 1)] as f64;
            let rank = count * percent as usize / 100;
            let (low, high) = (at(rank.saturating_sub(2)), at(rank + 1));
            prop_assert!(low * (1.0 - 1.0 / 16.0) - 1.1 <= said && said <= high * (1.0 + 1.0 / 16.0) + 1.1,
                "{low} {said} {high}");
        }
    }
}
