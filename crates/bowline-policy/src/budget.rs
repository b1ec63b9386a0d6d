//! How many extra tries all calls of an edge may make together.
//!
//! Why two limits. The one over the window (Finagle's) keeps the share of retries right over seconds, and a
//! burst can spend all of it at once. The one at each moment (Envoy's) holds a burst back, and over time
//! allows more than its share. A retry needs both.
//!
//! Why the second counts sleepers. A retry that waits in its back-off is a retry that will come; a budget
//! that does not see it lets the next one through as well, and they arrive together. And the calls whose
//! share it is are the calls that are not over yet, asleep or not, so that the limit does not shrink while
//! calls turn into retries.

use crate::ratio::Ratio;
use crate::window::{Count, Window};
use bowline_model::Instant;
use bowline_model::time::nanos;
use std::time::Duration;

/// How many extra tries all calls of an edge may make together.
///
/// The defaults are Finagle's (20 % and ten a second, over ten seconds) beside Envoy's (20 %, at least
/// three at once).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSettings {
    /// Retries per call, over the window.
    pub ratio: Ratio,
    /// What is always allowed, so that an edge with few calls can try again at all. All of a window's worth
    /// may be used at once.
    pub min_per_second: u32,
    /// How far back is counted.
    pub window: Duration,
    /// The limit at each moment, beside the one over the window.
    pub concurrent: Option<ConcurrentBudget>,
}

/// How many retries may be under way or asleep at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcurrentBudget {
    /// Of the calls that are not over.
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

impl ConcurrentBudget {
    /// Whether one more retry may begin beside `retrying` others, with `active` calls not over.
    ///
    /// ```
    /// use bowline_policy::{ConcurrentBudget, Ratio};
    /// let budget = ConcurrentBudget { ratio: Ratio::percent(20), min: 3 };
    /// assert!(budget.allows(1, 2));
    /// assert!(!budget.allows(15, 3));
    /// assert!(budget.allows(20, 3));
    /// ```
    #[must_use]
    pub const fn allows(&self, active: u32, retrying: u32) -> bool {
        let with_this = retrying.saturating_add(1);
        with_this <= self.min || with_this as u64 <= self.ratio.of(active as u64)
    }
}

/// Both budgets, as a pure machine.
///
/// ```
/// use bowline_model::Instant;
/// use bowline_policy::{Budget, BudgetSettings, Ratio};
///
/// let settings = BudgetSettings { ratio: Ratio::percent(50), min_per_second: 0, ..BudgetSettings::default() };
/// let mut budget = Budget::new(BudgetSettings { concurrent: None, ..settings });
/// let now = Instant::from_millis(1);
/// budget.called(now, 2);
/// assert!(budget.try_retry(now, 2, 0));
/// assert!(!budget.try_retry(now, 2, 0), "one retry for two calls");
/// ```
#[derive(Clone, Debug)]
pub struct Budget {
    settings: BudgetSettings,
    /// What is always allowed within the window, in millionths of a retry.
    floor: u64,
    window: Window<Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    calls: u32,
    retries: u32,
}

impl Count for Counts {
    fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.retries = self.retries.saturating_add(other.retries);
    }

    fn subtract(&mut self, other: Self) {
        self.calls = self.calls.saturating_sub(other.calls);
        self.retries = self.retries.saturating_sub(other.retries);
    }
}

impl Budget {
    /// A budget nobody has used yet.
    #[must_use]
    pub fn new(settings: BudgetSettings) -> Self {
        // `min_per_second * seconds` retries; nanoseconds are billionths of a second, so a thousandth of
        // the product is in millionths of a retry.
        let floor = u64::from(settings.min_per_second).saturating_mul(nanos(settings.window)) / 1_000;
        Self { settings, floor, window: Window::new(settings.window) }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &BudgetSettings {
        &self.settings
    }

    /// Counts `calls` calls that began.
    pub fn called(&mut self, now: Instant, calls: u32) {
        self.window.roll(now);
        self.window.add(Counts { calls, retries: 0 });
    }

    /// Takes a retry out of both budgets, if both have one, with `active` calls not over and `retrying`
    /// retries under way or asleep.
    pub fn try_retry(&mut self, now: Instant, active: u32, retrying: u32) -> bool {
        if self.settings.concurrent.is_some_and(|concurrent| !concurrent.allows(active, retrying)) {
            return false;
        }
        self.window.roll(now);
        let Counts { calls, retries } = self.window.sum();
        let allowed = u64::from(calls) * u64::from(self.settings.ratio.ppm());
        let asked = (u64::from(retries) + 1) * u64::from(Ratio::WHOLE);
        if allowed.saturating_add(self.floor) < asked {
            return false;
        }
        self.window.add(Counts { calls: 0, retries: 1 });
        true
    }

    /// Calls and retries in the window at `now`.
    #[must_use]
    pub fn counts(&mut self, now: Instant) -> (u32, u32) {
        self.window.roll(now);
        let Counts { calls, retries } = self.window.sum();
        (calls, retries)
    }

    /// Counts calls that began within the newest bucket.
    pub(crate) fn count(&mut self, calls: u32) {
        self.window.add(Counts { calls, retries: 0 });
    }

    /// Forgets what is too old at `now`.
    pub(crate) fn roll(&mut self, now: Instant) {
        self.window.roll(now);
    }

    /// When the newest bucket ends.
    pub(crate) const fn bucket_ends(&self) -> Instant {
        self.window.ends()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Instant = Instant::from_millis(1);

    /// How many retries `calls` calls allow with no floor and no other limit.
    fn allowed(ratio: f64, calls: u32) -> u32 {
        let ratio = Ratio::from_f64(ratio).unwrap();
        let mut budget = Budget::new(BudgetSettings { ratio, min_per_second: 0, ..windowed() });
        budget.called(NOW, calls);
        (0..).take_while(|_| budget.try_retry(NOW, calls, 0)).count() as u32
    }

    fn windowed() -> BudgetSettings {
        BudgetSettings { concurrent: None, ..BudgetSettings::default() }
    }

    #[test]
    fn a_ratio_of_seven_tenths_is_not_rounded_up_to_one() {
        assert_eq!(allowed(0.7, 1_000), 700);
    }

    #[test]
    fn ratios_of_fifteen_and_thirty_hundredths_stay_what_they_are() {
        assert_eq!(allowed(0.15, 1_000), 150);
        assert_eq!(allowed(0.3, 1_000), 300);
    }

    #[test]
    fn a_share_of_less_than_one_retry_is_none() {
        assert_eq!(allowed(0.3, 3), 0);
        assert_eq!(allowed(0.3, 4), 1);
    }

    #[test]
    fn an_edge_with_few_calls_can_try_again_all_the_same() {
        let mut budget = Budget::new(windowed());
        let granted = (0..).take_while(|_| budget.try_retry(NOW, 0, 0)).count();
        assert_eq!(granted, 100, "ten a second over ten seconds");
    }

    #[test]
    fn what_was_spent_comes_back_when_the_window_has_passed() {
        let mut budget = Budget::new(BudgetSettings { min_per_second: 1, ratio: Ratio::ZERO, ..windowed() });
        assert_eq!((0..).take_while(|_| budget.try_retry(NOW, 0, 0)).count(), 10);
        assert!(!budget.try_retry(NOW + Duration::from_secs(9), 0, 0));
        assert!(budget.try_retry(NOW + Duration::from_secs(10), 0, 0));
    }

    #[test]
    fn retries_that_sleep_in_back_off_count_against_the_budget() {
        let mut budget = Budget::new(BudgetSettings::default());
        budget.called(NOW, 10);
        // Ten calls are not over, three of them sleep before their retry: nothing is left, although no
        // retry is under way.
        assert!(budget.try_retry(NOW, 10, 2));
        assert!(!budget.try_retry(NOW, 10, 3));
    }

    #[test]
    fn the_limit_does_not_shrink_when_calls_turn_into_retries() {
        let budget = ConcurrentBudget { ratio: Ratio::percent(20), min: 0 };
        // A hundred calls are not over. However many of them are asleep, twenty may be retries.
        assert!(budget.allows(100, 19));
        assert!(!budget.allows(100, 20));
    }

    #[test]
    fn either_budget_alone_is_enough_to_refuse() {
        let concurrent = Some(ConcurrentBudget { ratio: Ratio::ZERO, min: 1 });
        let mut both =
            Budget::new(BudgetSettings { concurrent, min_per_second: 1, ..BudgetSettings::default() });
        assert!(!both.try_retry(NOW, 1, 1), "the window has room, the moment has none");
        assert_eq!((0..).take_while(|_| both.try_retry(NOW, 1, 0)).count(), 10);
        assert!(!both.try_retry(NOW, 1, 0), "the moment has room, the window has none");
    }

    #[test]
    fn a_refused_retry_costs_nothing() {
        let mut budget = Budget::new(BudgetSettings { min_per_second: 1, ratio: Ratio::ZERO, ..windowed() });
        let before = budget.counts(NOW);
        let concurrent = Some(ConcurrentBudget { ratio: Ratio::ZERO, min: 0 });
        let mut closed = Budget::new(BudgetSettings { concurrent, ..budget.settings });
        assert!(!closed.try_retry(NOW, 0, 0));
        assert_eq!(closed.counts(NOW), before);
    }

    proptest! {
        /// Within any window, whatever the order of calls and retries: never more than ratio plus floor.
        #[test]
        fn the_budget_never_exceeds_ratio_and_floor(
            ppm in 0_u32..=1_000_000,
            min_per_second in 0_u32..5,
            window_ms in 1_u64..20_000,
            events in prop::collection::vec((0_u64..300, any::<bool>()), 1..400),
        ) {
            let ratio = Ratio::from_f64(f64::from(ppm) / 1e6).unwrap();
            let window = Duration::from_millis(window_ms);
            let mut budget = Budget::new(BudgetSettings { ratio, min_per_second, window, concurrent: None });
            let mut now = Instant::ZERO;
            for (pause, is_call) in events {
                now += Duration::from_millis(pause);
                if is_call {
                    budget.called(now, 1);
                    continue;
                }
                let granted = budget.try_retry(now, 0, 0);
                let (calls, retries) = budget.counts(now);
                let limit = u128::from(calls) * u128::from(ppm)
                    + u128::from(min_per_second) * window.as_millis() * 1_000;
                if granted {
                    prop_assert!(u128::from(retries) * 1_000_000 <= limit);
                } else {
                    prop_assert!((u128::from(retries) + 1) * 1_000_000 > limit);
                }
            }
        }
    }
}
