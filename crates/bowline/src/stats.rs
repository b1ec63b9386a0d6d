//! What a guard has done so far, in numbers.

use crate::latency::Took;
use bowline_model::Instant;
use bowline_model::decision::{BreakerState, GiveUp, RetryWhy};
use bowline_policy::Edge;
use std::time::Duration;

/// What a guard has done so far, in numbers that only ever grow, and how it stands now.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use bowline::{GiveUp, guard};
///
/// let stock = guard("inventory");
/// let _: Result<u32, _> = stock.call(|_| async { Ok::<_, std::io::Error>(17) }).await;
/// assert_eq!(stock.stats().calls(), 1);
/// assert_eq!(stock.stats().ended(GiveUp::Done), 1);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    calls: u64,
    tries: u64,
    retries: Vec<(RetryWhy, u64)>,
    ends: Vec<(GiveUp, u64)>,
    breaker: Option<BreakerState>,
    running: Option<u32>,
    took: Took,
}

impl Stats {
    pub(crate) fn of(edge: &Edge, took: Took, now: Instant) -> Self {
        let counters = edge.counters();
        Self {
            calls: counters.calls(),
            tries: counters.tries(),
            retries: counters.retries().collect(),
            ends: counters.ends().collect(),
            breaker: edge.breaker().map(|breaker| breaker.state(now)),
            running: edge.bulkhead().map(bowline_policy::SharedBulkhead::running),
            took,
        }
    }

    /// Calls begun.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// Tries sent.
    #[must_use]
    pub const fn tries(&self) -> u64 {
        self.tries
    }

    /// Retries, by the reason that allowed them.
    #[must_use]
    pub fn retries(&self) -> &[(RetryWhy, u64)] {
        &self.retries
    }

    /// Calls ended, by the reason that ended them.
    #[must_use]
    pub fn ends(&self) -> &[(GiveUp, u64)] {
        &self.ends
    }

    /// Calls that this reason ended.
    #[must_use]
    pub fn ended(&self, reason: GiveUp) -> u64 {
        self.ends.iter().filter(|(ended_by, _)| *ended_by == reason).map(|(_, calls)| calls).sum()
    }

    /// The breaker's state, as the next call would meet it; `None` without a breaker. Guards that share a
    /// breaker all tell its state.
    #[must_use]
    pub const fn breaker(&self) -> Option<BreakerState> {
        self.breaker
    }

    /// How long this share of the calls took at most, all their tries and pauses included: the upper end of
    /// the bucket it falls into. `None` before the first call, and beyond 30 s.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        self.took.quantile(share)
    }

    pub(crate) const fn took(&self) -> &Took {
        &self.took
    }

    /// Calls under way in the bulkhead, those of all who share it; `None` without one.
    #[must_use]
    pub const fn running(&self) -> Option<u32> {
        self.running
    }
}
