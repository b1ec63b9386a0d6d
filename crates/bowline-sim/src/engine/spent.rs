//! Where a request's time went.

use crate::run::{Attribution, Cause};
use std::ops::AddAssign;

/// Nanoseconds by [`Cause`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spent([u64; Cause::ALL.len()]);

impl Spent {
    /// No time at all.
    pub(super) const ZERO: Self = Self([0; Cause::ALL.len()]);

    #[inline]
    pub(super) fn add(&mut self, cause: Cause, nanos: u64) {
        self.0[cause as usize] += nanos;
    }
}

impl AddAssign for Spent {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        for (own, others) in self.0.iter_mut().zip(other.0) {
            *own += others;
        }
    }
}

/// What the time of many requests was spent on, by how long they took.
///
/// Each power of two is cut in eight: coarse enough for a few hundred buckets, fine enough that the slowest
/// hundredth is the slowest hundredth.
#[derive(Debug, Default)]
pub(super) struct Breakdown {
    buckets: Vec<Bucket>,
    count: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    count: u64,
    spent: Spent,
}

const BITS: u32 = 3;

impl Breakdown {
    #[inline]
    pub(super) fn add(&mut self, nanos: u64, spent: Spent) {
        let index = bucket_of(nanos);
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, Bucket::default());
        }
        self.buckets[index].count += 1;
        self.buckets[index].spent += spent;
        self.count += 1;
    }

    pub(super) fn attribution(&self) -> Attribution {
        Attribution { p50: self.between(0.45, 0.55), p99: self.between(0.99, 1.0) }
    }

    /// The mean over the buckets that reach into these ranks.
    fn between(&self, from: f64, to: f64) -> [u64; Cause::ALL.len()] {
        let (first, last) = (from * self.count as f64, to * self.count as f64);
        let (mut below, mut count, mut spent) = (0, 0, Spent::default());
        for bucket in &self.buckets {
            let above = below + bucket.count;
            if first < above as f64 && (below as f64) < last {
                count += bucket.count;
                spent += bucket.spent;
            }
            below = above;
        }
        spent.0.map(|nanos| nanos.checked_div(count).unwrap_or(0))
    }
}

const fn bucket_of(nanos: u64) -> usize {
    if nanos < 1 << BITS {
        return nanos as usize;
    }
    let shift = 63 - nanos.leading_zeros() - BITS;
    (((shift + 1) as usize) << BITS) + ((nanos >> shift) as usize - (1 << BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_hundredth_is_told_apart_from_the_median() {
        let mut breakdown = Breakdown::default();
        for number in 0..1_000 {
            let slow = number % 100 == 0;
            let nanos = if slow { 1_000_000 } else { 1_000 };
            let mut spent = Spent::default();
            spent.add(if slow { Cause::Queue } else { Cause::Work }, nanos);
            breakdown.add(nanos, spent);
        }
        let Attribution { p50, p99 } = breakdown.attribution();
        assert_eq!((p50[Cause::Work as usize], p50[Cause::Queue as usize]), (1_000, 0));
        assert_eq!((p99[Cause::Work as usize], p99[Cause::Queue as usize]), (0, 1_000_000));
        assert_eq!(Breakdown::default().attribution(), Attribution::default());
    }
}
