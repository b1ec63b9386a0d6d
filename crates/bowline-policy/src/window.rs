//! Exact counts over a sliding window.
//!
//! Why not a decayed average: a burst of failures within a millisecond hardly moves one, so a total outage
//! can hide in it. A ring of buckets counts each call once and forgets it whole.

use bowline_model::Instant;
use bowline_model::time::nanos;
use std::time::Duration;

/// Buckets of one window. With ten, what is counted reaches back nine to ten tenths of the window; Linkerd's
/// breaker takes ten as well.
const BUCKETS: usize = 10;

/// What can be counted.
pub(crate) trait Count: Copy + Default {
    fn add(&mut self, other: Self);
    fn subtract(&mut self, other: Self);
}

/// Counts in a ring of buckets, and their sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window<C> {
    /// How long one bucket lasts.
    width: Duration,
    /// When the newest bucket ends.
    ends: Instant,
    newest: usize,
    buckets: [C; BUCKETS],
    sum: C,
}

impl<C: Count> Window<C> {
    pub(crate) fn new(length: Duration) -> Self {
        let width = Duration::from_nanos((nanos(length) / BUCKETS as u64).max(1));
        Self {
            width,
            ends: Instant::ZERO + width,
            newest: 0,
            buckets: [C::default(); BUCKETS],
            sum: C::default(),
        }
    }

    /// Forgets what is too old at `now`. A `now` before the newest bucket (workers read their clocks one
    /// after the other) changes nothing.
    #[inline]
    pub(crate) fn roll(&mut self, now: Instant) {
        if self.ends <= now {
            self.forget(now);
        }
    }

    /// What was counted within the window, as of the last [`Window::roll`].
    #[inline]
    pub(crate) const fn sum(&self) -> C {
        self.sum
    }

    /// When the newest bucket ends: until then no [`Window::roll`] changes anything.
    #[inline]
    pub(crate) const fn ends(&self) -> Instant {
        self.ends
    }

    #[inline]
    pub(crate) fn add(&mut self, count: C) {
        self.buckets[self.newest].add(count);
        self.sum.add(count);
    }

    pub(crate) fn clear(&mut self) {
        self.buckets = [C::default(); BUCKETS];
        self.sum = C::default();
    }

    #[cold]
    fn forget(&mut self, now: Instant) {
        let width = nanos(self.width);
        let passed = 1 + nanos(now.since(self.ends)) / width;
        if passed >= BUCKETS as u64 {
            self.clear();
        } else {
            for _ in 0..passed {
                self.newest = (self.newest + 1) % BUCKETS;
                let old = std::mem::take(&mut self.buckets[self.newest]);
                self.sum.subtract(old);
            }
        }
        self.ends += Duration::from_nanos(width.saturating_mul(passed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct Ones(u32);

    impl Count for Ones {
        fn add(&mut self, other: Self) {
            self.0 += other.0;
        }
        fn subtract(&mut self, other: Self) {
            self.0 -= other.0;
        }
    }

    #[test]
    fn a_count_is_forgotten_whole_after_the_window() {
        let mut window = Window::new(Duration::from_millis(100));
        window.roll(Instant::from_millis(5));
        window.add(Ones(3));
        window.roll(Instant::from_millis(99));
        assert_eq!(window.sum(), Ones(3));
        window.roll(Instant::from_millis(100));
        assert_eq!(window.sum(), Ones(0));
    }

    #[test]
    fn a_clock_that_is_a_little_behind_changes_nothing() {
        let mut window = Window::new(Duration::from_millis(100));
        window.roll(Instant::from_millis(55));
        window.add(Ones(1));
        window.roll(Instant::from_millis(12));
        window.add(Ones(1));
        assert_eq!(window.sum(), Ones(2));
    }

    #[test]
    fn a_tight_burst_is_counted_call_by_call() {
        let mut window = Window::new(Duration::from_secs(10));
        window.roll(Instant::from_nanos(1));
        for _ in 0..1_000 {
            window.add(Ones(1));
        }
        assert_eq!(window.sum(), Ones(1_000));
    }

    proptest! {
        /// The ring is the list of all counts, cut at a bucket's border between 0.9 and 1 window ago.
        #[test]
        fn the_sum_is_that_of_the_last_nine_to_ten_tenths(steps in prop::collection::vec(0_u64..40, 1..200)) {
            let width = 10_u64;
            let mut window = Window::new(Duration::from_nanos(width * BUCKETS as u64));
            let mut all = Vec::new();
            let mut now = 0_u64;
            for step in steps {
                now += step;
                window.roll(Instant::from_nanos(now));
                window.add(Ones(1));
                all.push(now);
                let oldest = (now / width).saturating_sub(BUCKETS as u64 - 1) * width;
                let expected = all.iter().filter(|at| **at >= oldest).count() as u32;
                prop_assert_eq!(window.sum(), Ones(expected));
            }
        }
    }
}
