//! Everything that governs one call, as data.

use crate::admission::AdmissionSettings;
use crate::balance::BalanceSettings;
use crate::breaker::BreakerSettings;
use crate::budget::BudgetSettings;
use crate::bulkhead::BulkheadSettings;
use crate::doomed::DoomedSettings;
use crate::hedge::HedgeSettings;
use crate::outlier::OutlierSettings;
use crate::rate::RateSettings;
use crate::retry::RetrySettings;
use crate::retry_throttle::RetryThrottleSettings;
use bowline_fault::Plan;
use bowline_model::Priority;

/// Everything that governs one call.
///
/// The default is one try and nothing else: a policy that nobody asked for surprises.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallPolicy {
    /// How often it is tried, and when again.
    pub retry: RetrySettings,
    /// When another try is sent beside one that is late.
    pub hedge: Option<HedgeSettings>,
    /// How many extra tries all calls of the edge may make together.
    pub budget: Option<BudgetSettings>,
    /// When no further tries are made because too much fails.
    pub retry_throttle: Option<RetryThrottleSettings>,
    /// When the destination is left alone.
    pub breaker: Option<BreakerSettings>,
    /// How many calls may be under way at once.
    pub bulkhead: Option<BulkheadSettings>,
    /// How many calls may begin a second.
    pub rate: Option<RateSettings>,
    /// When calls are rejected here because the callee would not accept them.
    pub admission: Option<AdmissionSettings>,
    /// What its calls matter, where a call does not say.
    pub priority: Priority,
    /// When calls are shed that have too little time left.
    pub doomed: Option<DoomedSettings>,
    /// Which host a try goes to.
    pub balance: BalanceSettings,
    /// When a host is left out for a while.
    pub outlier: Option<OutlierSettings>,
    /// What is broken on purpose, inside the try.
    pub faults: Plan,
    /// What happens to calls that a layer before this one already tries again.
    pub cross_hop: CrossHop,
}

impl CallPolicy {
    /// The priority of its calls, where it is one that callees have to be told.
    #[must_use]
    pub fn unusual_priority(&self) -> Option<Priority> {
        Some(self.priority).filter(|priority| *priority != Priority::Normal)
    }
}

/// What happens to calls that a layer before this one already tries again.
///
/// Budgets do not compose: three layers of three tries each make twenty-seven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CrossHop {
    /// What arrives as a second or later try is tried again here only after a refusal, which surely had
    /// no effect and cost the callee nothing.
    #[default]
    SecondTries,
    /// The same for whatever arrives with a try number at all: the layer before this one tries again.
    AnyTry,
    /// The layers know nothing of each other, neither of their tries nor of their having none left.
    Ignored,
}

impl CrossHop {
    /// Whether a call that arrived as try `arrived` (zero: nobody said) is tried again by others.
    #[must_use]
    pub const fn retried_elsewhere(self, arrived: u32) -> bool {
        match self {
            Self::SecondTries => arrived > 1,
            Self::AnyTry => arrived > 0,
            Self::Ignored => false,
        }
    }

    /// Whether a layer behind is heeded that has used up its tries for a call.
    #[must_use]
    pub const fn heeds_exhaustion(self) -> bool {
        !matches!(self, Self::Ignored)
    }
}
