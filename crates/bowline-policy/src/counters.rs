//! What one edge's calls have done so far, in numbers.

use bowline_model::decision::{GiveUp, RetryWhy};

/// What one edge's calls have done so far. Each only ever grows.
#[derive(Debug, Default)]
pub struct Counters {}

impl Counters {
    /// Calls begun.
    #[must_use]
    pub fn calls(&self) -> u64 {
        0
    }

    /// Tries sent.
    #[must_use]
    pub fn tries(&self) -> u64 {
        0
    }

    /// Retries allowed, by the reason that allowed them; those that never happened are left out.
    pub fn retries(&self) -> impl Iterator<Item = (RetryWhy, u64)> + '_ {
        std::iter::empty()
    }

    /// Calls ended, by the reason that ended them; those that never happened are left out.
    pub fn ends(&self) -> impl Iterator<Item = (GiveUp, u64)> + '_ {
        std::iter::empty()
    }
}
