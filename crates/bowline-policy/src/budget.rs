//! How many extra tries all calls of an edge may make together.

use crate::ratio::Ratio;
use std::time::Duration;

/// How many extra tries all calls of an edge may make together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSettings {
    /// Retries per call, over the window.
    pub ratio: Ratio,
    /// What is always allowed, so that an edge with few calls can try again at all.
    pub min_per_second: u32,
    /// How far back is counted.
    pub window: Duration,
    /// The limit at each moment, beside the one over the window.
    pub concurrent: Option<ConcurrentBudget>,
}

/// How many retries may be under way or asleep at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcurrentBudget {
    /// Of the calls that are under way.
    pub ratio: Ratio,
    /// What is always allowed.
    pub min: u32,
}

impl Default for ConcurrentBudget {
    fn default() -> Self {
        Self { ratio: Ratio::percent(20), min: 3 }
    }
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            ratio: Ratio::percent(20),
            min_per_second: 10,
            window: Duration::from_secs(10),
            concurrent: Some(ConcurrentBudget::default()),
        }
    }
}

/// The budget over the window, as a pure machine.
#[derive(Clone, Debug)]
pub struct Budget {
    settings: BudgetSettings,
}

impl Budget {
    /// A budget nobody has used yet.
    #[must_use]
    pub const fn new(settings: BudgetSettings) -> Self {
        Self { settings }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &BudgetSettings {
        &self.settings
    }
}
