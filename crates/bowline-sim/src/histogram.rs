//! How often something took how long, in bounded memory.

use std::time::Duration;

/// How often something took how long.
///
/// Log-linear: each power of two is cut into 128 equal buckets, so a value is off by less than 1/256 of itself
/// (0.4 %) when it is read off a bucket's middle. From a nanosecond to an hour that is 36 powers, some four
/// and a half thousand counts, however many samples there are. The sum is kept exactly, so the mean is exact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Histogram {
    /// Grows with the largest value, up to [`BUCKETS_MAX`].
    counts: Vec<u64>,
    count: u64,
    sum: u128,
    max: u64,
}

/// Buckets of each power of two, as bits.
const BITS: u32 = 7;
/// The most buckets there can be: one for each bucket of each power that a `u64` has.
const BUCKETS_MAX: usize = ((64 - BITS as usize) + 1) << BITS;

impl Histogram {
    /// Adds a sample of so many nanoseconds.
    #[inline]
    pub fn add(&mut self, nanos: u64) {
        let bucket = bucket_of(nanos);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.count += 1;
        self.sum += u128::from(nanos);
        self.max = self.max.max(nanos);
    }

    /// Adds all samples of another.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (own, others) in self.counts.iter_mut().zip(&other.counts) {
            *own += others;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    /// How many samples.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The mean, exactly; zero of none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let mean = self.sum.checked_div(u128::from(self.count)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// The largest sample, exactly.
    #[must_use]
    pub const fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The time within which this share of all samples lies; `None` of none. A share of 1 is the maximum.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        let rank = (share.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            below += count;
            if rank <= below {
                // The maximum is known better than its bucket.
                return Some(Duration::from_nanos(middle_of(bucket).min(self.max)));
            }
        }
        Some(self.max())
    }

    /// How many samples lie within `span`, by bucket: exact to the histogram's resolution.
    #[must_use]
    pub fn count_within(&self, span: Duration) -> u64 {
        let last = bucket_of(bowline_model::time::nanos(span));
        self.counts.iter().take(last + 1).sum()
    }

    /// Each bucket that holds something: its upper end, and how many.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let held = self.counts.iter().enumerate().filter(|(_, count)| 0 < **count);
        held.map(|(bucket, count)| (Duration::from_nanos(end_of(bucket)), *count))
    }
}

/// Small values have a bucket each; above, the leading bits choose.
#[inline]
const fn bucket_of(nanos: u64) -> usize {
    if nanos < 1 << BITS {
        return nanos as usize;
    }
    let power = 63 - nanos.leading_zeros();
    let shift = power - BITS;
    // The leading one is taken off: the power's own number stands for it.
    (((shift + 1) as usize) << BITS) + ((nanos >> shift) as usize - (1 << BITS))
}

/// The smallest value of a bucket.
const fn start_of(bucket: usize) -> u64 {
    if bucket < 1 << BITS {
        return bucket as u64;
    }
    let shift = (bucket >> BITS) as u32 - 1;
    ((bucket as u64 & ((1 << BITS) - 1)) + (1 << BITS)) << shift
}

const fn width_of(bucket: usize) -> u64 {
    if bucket < 1 << BITS { 1 } else { 1 << ((bucket >> BITS) - 1) }
}

const fn end_of(bucket: usize) -> u64 {
    start_of(bucket) + (width_of(bucket) - 1)
}

const fn middle_of(bucket: usize) -> u64 {
    start_of(bucket) + (width_of(bucket) - 1) / 2
}

const _: () = assert!(bucket_of(u64::MAX) == BUCKETS_MAX - 1);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_is_read_back_within_one_percent(nanos in 0..u64::MAX) {
            let bucket = bucket_of(nanos);
            prop_assert!(start_of(bucket) <= nanos && nanos <= end_of(bucket));
            let off = middle_of(bucket).abs_diff(nanos) as f64;
            prop_assert!(off <= nanos as f64 / 256.0, "{nanos} is read as {}", middle_of(bucket));
        }

        #[test]
        fn merging_is_adding_all(a in prop::collection::vec(0..u64::MAX, 0..50), b in prop::collection::vec(0..5_000_u64, 0..50)) {
            let of = |values: &[u64]| {
                let mut histogram = Histogram::default();
                values.iter().for_each(|value| histogram.add(*value));
                histogram
            };
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged, of(&[a, b].concat()));
        }
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        (1..=50).for_each(|value| histogram.add(value));
        assert_eq!(histogram.quantile(0.0), Some(Duration::from_nanos(1)));
        assert_eq!(histogram.quantile(0.5), Some(Duration::from_nanos(25)));
        assert_eq!(histogram.quantile(0.99), Some(Duration::from_nanos(50)));
        assert_eq!(histogram.count_within(Duration::from_nanos(10)), 10);
        assert_eq!(histogram.mean(), Duration::from_nanos(25));
    }
}
