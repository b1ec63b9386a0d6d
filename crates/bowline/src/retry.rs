//! How often a call is tried: retries and back-off as one writes them in code.

use crate::{clock, ratio};
use bowline_model::SplitMix64;
use bowline_policy::{BudgetSettings, RetrySettings};
use std::time::Duration;

/// How often a call is tried, how long a try may take, and how long to wait before the next.
///
/// Another try follows only where it cannot do harm: after a refusal, which surely had no effect, or,
/// for a guard that is [idempotent](crate::Guard::idempotent), after an unknown outcome. It must fit
/// into the deadline, and into the budget that all calls of the guard share. A callee that asks to slow
/// down (429) is asked again only if it names a time, and then after that time.
///
/// ```
/// use bowline::{Backoff, Retry, Spans};
///
/// let retry = Retry::tries(3).per_try(120.ms()).backoff(Backoff::full_jitter(25.ms(), 250.ms())).budget(0.2);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "hand it to `Guard::retry`"]
pub struct Retry {
    pub(crate) settings: RetrySettings,
    pub(crate) budget: Option<BudgetSettings>,
}

impl Retry {
    /// At most this many tries, the first included, with Envoy's back-off (25 ms, 75 ms, 175 ms, 250 ms
    /// at most, jittered) and a budget of 20 %.
    pub fn tries(tries: u32) -> Self {
        Self { settings: RetrySettings::tries(tries.max(1)), budget: Some(BudgetSettings::default()) }
    }

    /// How long one try may take. Without it a try may take all that is left, and none follows it.
    pub fn per_try(mut self, within: Duration) -> Self {
        self.settings.per_try = Some(within);
        self
    }

    /// How long to wait before another try.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff.0;
        self
    }

    /// How many extra tries all calls of the guard may make together: this share of the calls of the
    /// last ten seconds, and ten a second in any case.
    ///
    /// # Panics
    /// If `share` is no share from 0 to 1.
    pub fn budget(mut self, share: f64) -> Self {
        self.budget = Some(BudgetSettings { ratio: ratio(share), ..BudgetSettings::default() });
        self
    }

    /// No budget: an outage then multiplies the load by the number of tries.
    pub fn without_budget(mut self) -> Self {
        self.budget = None;
        self
    }
}

/// How long to wait before another try. Jittered always: calls that failed together would come back
/// together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "hand it to `Retry::backoff`"]
pub struct Backoff(pub(crate) bowline_policy::Backoff);

impl Backoff {
    /// At once.
    pub const fn none() -> Self {
        Self(bowline_policy::Backoff::None)
    }

    /// Anything up to `base`, twice that before the next, and so on up to `max`: spreads best.
    pub const fn full_jitter(base: Duration, max: Duration) -> Self {
        Self(bowline_policy::Backoff::Full { base, max })
    }

    /// As [`full_jitter`](Self::full_jitter), but never less than half of it.
    pub const fn equal_jitter(base: Duration, max: Duration) -> Self {
        Self(bowline_policy::Backoff::Equal { base, max })
    }

    /// Anything between `base` and three times the wait before, up to `max`.
    pub const fn decorrelated_jitter(base: Duration, max: Duration) -> Self {
        Self(bowline_policy::Backoff::Decorrelated { base, max })
    }

    /// The wait before asking again for the `again`th time (from one): for a loop of one's own, such as one
    /// that asks until it is told yes. Drawn anew at each asking.
    ///
    /// ```
    /// use bowline::{Backoff, Spans};
    ///
    /// let backoff = Backoff::equal_jitter(1.s(), 30.s());
    /// assert!((500.ms()..=1.s()).contains(&backoff.delay(1)));
    /// assert!((15.s()..=30.s()).contains(&backoff.delay(1_000)));
    /// ```
    #[must_use]
    pub fn delay(self, again: u32) -> Duration {
        self.0.delay(again.max(1), Duration::ZERO, &mut SplitMix64::new(clock::seed()))
    }
}
