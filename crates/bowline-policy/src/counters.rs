//! What one edge's calls have done so far, in numbers.

use crate::conditions::ALL as CONDITIONS;
use bowline_model::decision::{GiveUp, RetryWhy, WithheldWhy};
use std::sync::atomic::{AtomicU64, Ordering};

/// What one edge's calls have done so far. Each number only ever grows. A call is counted when it ends.
///
/// They are counts for people and dashboards and decide nothing, so they are read and written in no
/// particular order with each other.
#[derive(Debug)]
pub struct Counters {
    /// Calls that were done with their first try. Nearly all are, and all there is to count of them is one.
    at_once: AtomicU64,
    /// Tries of all other calls.
    tries: AtomicU64,
    /// Two reasons of our own, then one for each condition.
    retries: [AtomicU64; 2 + CONDITIONS.len()],
    /// All other calls.
    ends: [AtomicU64; ENDS.len()],
    hedges: [AtomicU64; HedgeEnd::ALL.len()],
    withheld: [AtomicU64; WITHHELD.len()],
}

/// What became of a hedge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HedgeEnd {
    /// Its answer was the first good one.
    Won,
    /// Another try was answered first.
    Outrun,
    /// It failed by itself.
    Failed,
    /// The caller went away.
    Cancelled,
}

impl HedgeEnd {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Won, Self::Outrun, Self::Failed, Self::Cancelled];

    /// The word used as metric label and in `explain`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Outrun => "outrun",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Every reason no hedge is sent for.
const WITHHELD: [WithheldWhy; 12] = [
    WithheldWhy::NotSafe,
    WithheldWhy::TooFewSamples,
    WithheldWhy::RetriedElsewhere,
    WithheldWhy::DeadlineTooClose,
    WithheldWhy::BreakerNotClosed,
    WithheldWhy::Throttled,
    WithheldWhy::NoHost,
    WithheldWhy::BulkheadFull,
    WithheldWhy::ShareReached,
    WithheldWhy::BudgetExhausted,
    WithheldWhy::BodyNotKept,
    WithheldWhy::PushedBack,
];

/// Every reason a call ends for.
const ENDS: [GiveUp; 22] = [
    GiveUp::Done,
    GiveUp::NotRetryable,
    GiveUp::NotSafe,
    GiveUp::NotNamed,
    GiveUp::NoAttempts,
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
    GiveUp::Throttled,
    GiveUp::ExhaustedElsewhere,
    GiveUp::Doomed,
    GiveUp::Displaced,
];

impl Counters {
    /// Calls.
    #[must_use]
    pub fn calls(&self) -> u64 {
        let others: u64 = self.ends.iter().map(get).sum();
        get(&self.at_once) + others
    }

    /// Tries sent.
    #[must_use]
    pub fn tries(&self) -> u64 {
        get(&self.at_once) + get(&self.tries)
    }

    /// Retries allowed, by the reason that allowed them; reasons that never did are left out.
    pub fn retries(&self) -> impl Iterator<Item = (RetryWhy, u64)> + '_ {
        let own = [RetryWhy::Refused, RetryWhy::Idempotent];
        let reasons = own.into_iter().chain(CONDITIONS.into_iter().map(RetryWhy::RetryOn));
        reasons.zip(&self.retries).map(|(why, count)| (why, get(count))).filter(|(_, count)| 0 < *count)
    }

    /// Calls, by the reason that ended them; reasons that never did are left out. A call that was dropped
    /// before its end counts as cancelled.
    pub fn ends(&self) -> impl Iterator<Item = (GiveUp, u64)> + '_ {
        let counts = ENDS.into_iter().zip(&self.ends).map(|(reason, count)| match reason {
            GiveUp::Done => (reason, get(count) + get(&self.at_once)),
            _ => (reason, get(count)),
        });
        counts.filter(|(_, count)| 0 < *count)
    }

    /// Hedges, by what became of them; what became of none is left out.
    pub fn hedges(&self) -> impl Iterator<Item = (HedgeEnd, u64)> + '_ {
        let counts = HedgeEnd::ALL.into_iter().zip(&self.hedges).map(|(end, count)| (end, get(count)));
        counts.filter(|(_, count)| 0 < *count)
    }

    /// Calls that were not hedged, or not any more, by reason; reasons that never were one are left out.
    pub fn withheld(&self) -> impl Iterator<Item = (WithheldWhy, u64)> + '_ {
        let counts = WITHHELD.into_iter().zip(&self.withheld).map(|(why, count)| (why, get(count)));
        counts.filter(|(_, count)| 0 < *count)
    }

    pub(crate) fn hedge_ended(&self, end: HedgeEnd) {
        add(&self.hedges[end as usize], 1);
    }

    pub(crate) fn hedge_withheld(&self, why: WithheldWhy) {
        if let Some(count) = self.withheld.get(why as usize) {
            add(count, 1);
        }
    }

    pub(crate) fn retry_allowed(&self, why: RetryWhy) {
        add(
            &self.retries[match why {
                RetryWhy::Refused => 0,
                RetryWhy::Idempotent => 1,
                RetryWhy::RetryOn(condition) => 2 + condition as usize,
            }],
            1,
        );
    }

    /// A call ended for this reason after so many tries.
    #[inline]
    pub(crate) fn call_ended(&self, reason: GiveUp, tries: u32) {
        if reason == GiveUp::Done && tries == 1 {
            add(&self.at_once, 1);
        } else {
            self.call_ended_otherwise(reason, tries);
        }
    }

    fn call_ended_otherwise(&self, reason: GiveUp, tries: u32) {
        add(&self.tries, tries.into());
        if let Some(count) = self.ends.get(reason as usize) {
            add(count, 1);
        }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            at_once: AtomicU64::new(0),
            tries: AtomicU64::new(0),
            retries: [const { AtomicU64::new(0) }; 2 + CONDITIONS.len()],
            ends: [const { AtomicU64::new(0) }; ENDS.len()],
            hedges: [const { AtomicU64::new(0) }; HedgeEnd::ALL.len()],
            withheld: [const { AtomicU64::new(0) }; WITHHELD.len()],
        }
    }
}

#[inline]
fn add(count: &AtomicU64, n: u64) {
    count.fetch_add(n, Ordering::Relaxed);
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_counted_under_its_own_name() {
        let counters = Counters::default();
        for (index, reason) in ENDS.into_iter().enumerate() {
            (0..=index).for_each(|tries| counters.call_ended(reason, tries as u32));
        }
        assert!(counters.ends().eq(ENDS.into_iter().zip(1..)));
        for condition in CONDITIONS {
            counters.retry_allowed(RetryWhy::RetryOn(condition));
        }
        counters.retry_allowed(RetryWhy::Refused);
        for (index, why) in WITHHELD.into_iter().enumerate() {
            (0..=index).for_each(|_| counters.hedge_withheld(why));
        }
        assert!(counters.withheld().eq(WITHHELD.into_iter().zip(1..)));
        assert_eq!(counters.retries().count(), CONDITIONS.len() + 1);
        assert!(counters.retries().all(|(_, count)| count == 1));
    }
}
