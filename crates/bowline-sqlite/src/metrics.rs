//! Plain counters and histograms of the store, for whoever shows them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in microseconds, each twice the one before: 1 µs to 33 s, and what is beyond.
const BUCKETS: usize = 26;

/// What the store counts. Cheap enough to be read at any time; the figures of one reading need not be of one instant.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) commits: AtomicU64,
    pub(crate) commits_failed: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) requests_failed: AtomicU64,
    pub(crate) requests_unknown: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) record_bytes: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) trimmed: AtomicU64,
    pub(crate) compacted: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) reopened: AtomicU64,
    pub(crate) sync: Histogram,
    pub(crate) queue_wait: Histogram,
    pub(crate) batch_requests: Histogram,
}

/// One reading of the store's figures.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// Batches committed.
    pub commits: u64,
    /// Batches that failed as a whole.
    pub commits_failed: u64,
    /// Requests that are durable.
    pub requests: u64,
    /// Requests that had no effect: their own mistake, or their batch's failure.
    pub requests_failed: u64,
    /// Requests of which nobody knows.
    pub requests_unknown: u64,
    /// Records appended.
    pub records: u64,
    /// Bytes of them as stored.
    pub record_bytes: u64,
    /// Reads answered.
    pub reads: u64,
    /// Records that retention removed.
    pub trimmed: u64,
    /// Records that compaction removed.
    pub compacted: u64,
    /// Times that the log was copied into the file, whole or in part.
    pub checkpoints: u64,
    /// Times that the file was opened anew after a failure.
    pub reopened: u64,
    /// Requests that wait.
    pub queued_requests: u64,
    /// What they are charged in bytes.
    pub queued_bytes: u64,
    /// How long the log is, in bytes.
    pub log_bytes: u64,
    /// How long commits took, in microseconds: writing the log and syncing it.
    pub sync: Distribution,
    /// How long requests waited for their batch to begin, in microseconds.
    pub queue_wait: Distribution,
    /// Requests in a batch.
    pub batch_requests: Distribution,
}

/// How values were distributed: bucket `n` counts those up to `2^n`, the last one those beyond all bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// How many fell into each bucket.
    pub buckets: Vec<u64>,
    /// How many there are.
    pub count: u64,
    /// All of them added up.
    pub sum: u64,
}

impl Distribution {
    /// The upper bound of the bucket that the quantile falls into: right to a factor of two.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        let rank = (share.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (n, count) in self.buckets.iter().enumerate() {
            seen += count;
            if rank <= seen {
                return 1 << n;
            }
        }
        0
    }

    /// The mean, or zero of nothing.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

impl Histogram {
    pub(crate) fn add(&self, value: u64) {
        let bucket = (u64::BITS - value.saturating_sub(1).leading_zeros()) as usize;
        self.buckets[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    pub(crate) fn add_span(&self, span: Duration) {
        self.add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn read(&self) -> Distribution {
        let buckets: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let count = buckets.iter().sum();
        Distribution { buckets, count, sum: self.sum.load(Ordering::Relaxed) }
    }
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Metrics {
    pub(crate) fn read(&self, queued: (u64, u64), log_bytes: u64) -> Reading {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Reading {
            commits: get(&self.commits),
            commits_failed: get(&self.commits_failed),
            requests: get(&self.requests),
            requests_failed: get(&self.requests_failed),
            requests_unknown: get(&self.requests_unknown),
            records: get(&self.records),
            record_bytes: get(&self.record_bytes),
            reads: get(&self.reads),
            trimmed: get(&self.trimmed),
            compacted: get(&self.compacted),
            checkpoints: get(&self.checkpoints),
            reopened: get(&self.reopened),
            queued_requests: queued.0,
            queued_bytes: queued.1,
            log_bytes,
            sync: self.sync.read(),
            queue_wait: self.queue_wait.read(),
            batch_requests: self.batch_requests.read(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_bound_of_its_bucket() {
        let histogram = Histogram::default();
        for value in [1, 2, 3, 4, 5, 6, 7, 8, 100, 1_000] {
            histogram.add(value);
        }
        let read = histogram.read();
        assert_eq!((read.count, read.sum), (10, 1_136));
        assert_eq!(read.quantile(0.1), 1);
        assert_eq!(read.quantile(0.5), 8);
        assert_eq!(read.quantile(1.0), 1_024);
        assert_eq!(Distribution::default().quantile(0.5), 0);
    }

    #[test]
    fn a_value_beyond_all_bounds_is_counted_too() {
        let histogram = Histogram::default();
        histogram.add(u64::MAX);
        histogram.add(0);
        assert_eq!(histogram.read().count, 2);
    }
}
