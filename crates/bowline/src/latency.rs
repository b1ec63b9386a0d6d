//! How long a guard's calls took, as counts in buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of the buckets in microseconds. The gateway's own, so that one panel shows both.
pub(crate) const BUCKETS_MICROS: [u64; 16] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// How long calls took, counted by whoever ends one.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    /// One for each upper end, and one for what took longer.
    buckets: [AtomicU64; BUCKETS_MICROS.len() + 1],
    micros: AtomicU64,
}

/// A look at it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Took {
    pub(crate) counts: [u64; BUCKETS_MICROS.len() + 1],
    pub(crate) micros: u64,
}

impl Latency {
    pub(crate) fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // Rounded up: what took a little longer than an end is not within it.
        let over = u64::from(!took.subsec_nanos().is_multiple_of(1_000));
        let bucket = BUCKETS_MICROS.partition_point(|end| *end < micros.saturating_add(over));
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn look(&self) -> Took {
        let mut took = Took { micros: self.micros.load(Ordering::Relaxed), ..Took::default() };
        for (count, bucket) in took.counts.iter_mut().zip(&self.buckets) {
            *count = bucket.load(Ordering::Relaxed);
        }
        took
    }
}

impl Took {
    /// The upper end of the bucket that this share of the calls lies within.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        let all: u64 = self.counts.iter().sum();
        let mut below = 0;
        for (end, count) in BUCKETS_MICROS.into_iter().zip(self.counts) {
            below += count;
            if 0 < below && share * all as f64 <= below as f64 {
                return Some(Duration::from_micros(end));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_in_the_first_bucket_that_holds_it() {
        let latency = Latency::default();
        for nanos in [0, 250_000, 250_001, 40_000_000, 60_000_000_000] {
            latency.add(Duration::from_nanos(nanos));
        }
        let took = latency.look();
        assert_eq!((took.counts[0], took.counts[1], took.counts[7], took.counts[16]), (2, 1, 1, 1));
    }

    #[test]
    fn a_quantile_is_the_upper_end_of_its_bucket_and_nothing_where_there_is_none() {
        let latency = Latency::default();
        assert_eq!(latency.look().quantile(0.5), None, "nobody called");
        for millis in [1, 1, 1, 40] {
            latency.add(Duration::from_millis(millis));
        }
        assert_eq!(latency.look().quantile(0.5), Some(Duration::from_millis(1)));
        assert_eq!(latency.look().quantile(0.99), Some(Duration::from_millis(50)));
        latency.add(Duration::from_secs(60));
        assert_eq!(latency.look().quantile(0.99), None, "longer than the last bucket");
    }
}
