//! What one edge's calls have done so far, in numbers.

use crate::conditions::ALL as CONDITIONS;
use bowline_model::decision::{GiveUp, RetryWhy};
use std::sync::atomic::{AtomicU64, Ordering};

/// What one edge's calls have done so far. Each number only ever grows.
///
/// They are counts for people and dashboards and decide nothing, so they are read and written in no
/// particular order with each other.
#[derive(Debug)]
pub struct Counters {
    calls: AtomicU64,
    tries: AtomicU64,
    /// Two reasons of our own, then one for each condition.
    retries: [AtomicU64; 2 + CONDITIONS.len()],
    ends: [AtomicU64; ENDS.len()],
}

/// Every reason a call ends for.
const ENDS: [GiveUp; 17] = [
    GiveUp::Done,
    GiveUp::NotRetryable,
    GiveUp::NotSafe,
    GiveUp::NotNamed,
    GiveUp::TriesExhausted,
    GiveUp::BudgetExhausted,
    GiveUp::DeadlineTooClose,
    GiveUp::DeadlineExceeded,
    GiveUp::BreakerOpen,
    GiveUp::BulkheadFull,
    GiveUp::QueueTimedOut,
    GiveUp::RateLimited,
    GiveUp::NoHost,
    GiveUp::BodyTooLarge,
    GiveUp::Committed,
    GiveUp::RetriedElsewhere,
    GiveUp::Cancelled,
];

impl Counters {
    /// Calls begun.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Tries sent.
    #[must_use]
    pub fn tries(&self) -> u64 {
        self.tries.load(Ordering::Relaxed)
    }

    /// Retries allowed, by the reason that allowed them; reasons that never did are left out.
    pub fn retries(&self) -> impl Iterator<Item = (RetryWhy, u64)> + '_ {
        let own = [RetryWhy::Refused, RetryWhy::Idempotent];
        let reasons = own.into_iter().chain(CONDITIONS.into_iter().map(RetryWhy::RetryOn));
        happened(reasons, &self.retries)
    }

    /// Calls ended, by the reason that ended them; reasons that never did are left out. A call that was
    /// dropped before its end counts as cancelled.
    pub fn ends(&self) -> impl Iterator<Item = (GiveUp, u64)> + '_ {
        happened(ENDS.into_iter(), &self.ends)
    }

    #[inline]
    pub(crate) fn call_begun(&self) {
        add(&self.calls);
    }

    #[inline]
    pub(crate) fn try_sent(&self) {
        add(&self.tries);
    }

    pub(crate) fn retry_allowed(&self, why: RetryWhy) {
        add(&self.retries[match why {
            RetryWhy::Refused => 0,
            RetryWhy::Idempotent => 1,
            RetryWhy::RetryOn(condition) => 2 + condition as usize,
        }]);
    }

    #[inline]
    pub(crate) fn call_ended(&self, reason: GiveUp) {
        if let Some(count) = self.ends.get(reason as usize) {
            add(count);
        }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            calls: AtomicU64::new(0),
            tries: AtomicU64::new(0),
            retries: [const { AtomicU64::new(0) }; 2 + CONDITIONS.len()],
            ends: [const { AtomicU64::new(0) }; ENDS.len()],
        }
    }
}

#[inline]
fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn happened<R>(reasons: impl Iterator<Item = R>, counts: &[AtomicU64]) -> impl Iterator<Item = (R, u64)> {
    reasons.zip(counts).map(|(reason, count)| (reason, count.load(Ordering::Relaxed))).filter(|(_, n)| 0 < *n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_counted_under_its_own_name() {
        let counters = Counters::default();
        for (index, reason) in ENDS.into_iter().enumerate() {
            (0..=index).for_each(|_| counters.call_ended(reason));
        }
        assert!(counters.ends().eq(ENDS.into_iter().zip(1..)));
        for condition in CONDITIONS {
            counters.retry_allowed(RetryWhy::RetryOn(condition));
        }
        counters.retry_allowed(RetryWhy::Refused);
        assert_eq!(counters.retries().count(), CONDITIONS.len() + 1);
        assert!(counters.retries().all(|(_, count)| count == 1));
    }
}
