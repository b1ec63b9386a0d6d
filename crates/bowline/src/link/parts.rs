//! The parts that guards share because the design gives them one key.
//!
//! A service that fails fails for everybody who calls it: a breaker that each operation's guard kept for
//! itself would open several times as late, and a bulkhead would let several times as many in. The gateway
//! shares them by key; the guards of one link do the same.
//!
//! What is kept here keeps nothing alive: a part ends with the last guard, or call under way, that has it.

use super::format::StateKeys;
use bowline_policy::{
    AdmissionSettings, BreakerSettings, BudgetSettings, BulkheadSettings, CallPolicy, Parts, RateSettings,
    RetryThrottleSettings, SharedAdmission, SharedBreaker, SharedBudget, SharedBulkhead, SharedRate,
    SharedRetryThrottle,
};
use std::sync::{Arc, Weak};

/// The parts that guards of one link share.
#[derive(Debug, Default)]
pub(crate) struct SharedParts {
    breakers: Pool<SharedBreaker>,
    budgets: Pool<SharedBudget>,
    retry_throttles: Pool<SharedRetryThrottle>,
    bulkheads: Pool<SharedBulkhead>,
    rates: Pool<SharedRate>,
    admissions: Pool<SharedAdmission>,
}

impl SharedParts {
    /// What a guard goes on with under `policy` and these keys, which had `parts` under the keys `before`.
    ///
    /// A part is shared with all who have its key and the same settings. A guard that had a part to itself
    /// brings it along if it is the first; one whose key is another now, or gone, leaves what it shared to
    /// the others and begins anew.
    pub(crate) fn parts(
        &mut self,
        policy: &CallPolicy,
        keys: &StateKeys,
        before: &StateKeys,
        parts: &Parts,
    ) -> Parts {
        Parts {
            breaker: self.breakers.part(policy.breaker, &keys.breaker, &before.breaker, &parts.breaker),
            budget: self.budgets.part(policy.budget, &keys.budget, &before.budget, &parts.budget),
            retry_throttle: self.retry_throttles.part(
                policy.retry_throttle,
                &keys.retry_throttle,
                &before.retry_throttle,
                &parts.retry_throttle,
            ),
            bulkhead: self.bulkheads.part(policy.bulkhead, &keys.bulkhead, &before.bulkhead, &parts.bulkhead),
            rate: self.rates.part(policy.rate, &keys.rate, &before.rate, &parts.rate),
            admission: self.admissions.part(
                policy.admission,
                &keys.admission,
                &before.admission,
                &parts.admission,
            ),
            // What is known of a guard's own calls: one whose settings change begins anew.
            median: parts.median.clone(),
            // A guard's future is its caller's own: there is never a second one beside it.
            hedge: None,
            // Who answers is the client's choice: from here it is one destination.
            balancer: None,
            counters: Arc::clone(&parts.counters),
        }
    }
}

/// The parts of one kind. A handful: as many as policies of the design speak to this process.
#[derive(Debug)]
struct Pool<T>(Vec<(String, Weak<T>)>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Part> Pool<T> {
    fn part(
        &mut self,
        settings: Option<T::Settings>,
        key: &Option<String>,
        before: &Option<String>,
        had: &Option<Arc<T>>,
    ) -> Option<Arc<T>> {
        self.0.retain(|(_, part)| part.strong_count() > 0);
        let settings = settings?;
        let own = had.as_ref().filter(|part| before.is_none() && *part.settings() == settings).cloned();
        let Some(key) = key else { return own };
        // Two that have one key and different settings are in the middle of a change, or at odds; each finds
        // those who agree with it.
        let mut known =
            self.0.iter().filter(|(known, _)| known == key).filter_map(|(_, part)| part.upgrade());
        if let Some(part) = known.find(|part| *part.settings() == settings) {
            return Some(part);
        }
        let part = own.unwrap_or_else(|| Arc::new(T::new(settings)));
        self.0.push((key.clone(), Arc::downgrade(&part)));
        Some(part)
    }
}

/// What can be shared.
trait Part {
    type Settings: Copy + PartialEq;
    fn new(settings: Self::Settings) -> Self;
    fn settings(&self) -> &Self::Settings;
}

macro_rules! part {
    ($part:ty, $settings:ty) => {
        impl Part for $part {
            type Settings = $settings;

            fn new(settings: $settings) -> Self {
                Self::new(settings)
            }

            fn settings(&self) -> &$settings {
                self.settings()
            }
        }
    };
}

part!(SharedBreaker, BreakerSettings);
part!(SharedBudget, BudgetSettings);
part!(SharedRetryThrottle, RetryThrottleSettings);
part!(SharedBulkhead, BulkheadSettings);
part!(SharedRate, RateSettings);
part!(SharedAdmission, AdmissionSettings);

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn policy(open: u64) -> CallPolicy {
        let breaker = BreakerSettings { open: Duration::from_secs(open), ..BreakerSettings::default() };
        CallPolicy {
            breaker: Some(breaker),
            budget: Some(BudgetSettings::default()),
            retry_throttle: Some(RetryThrottleSettings { tokens_max: 10_000, ratio: 100 }),
            bulkhead: Some(BulkheadSettings { concurrent: 2, queue: 0, wait: Duration::ZERO }),
            rate: Some(RateSettings { per_second: 5, burst: 5 }),
            admission: Some(AdmissionSettings::default()),
            ..CallPolicy::default()
        }
    }

    fn all(key: &str) -> StateKeys {
        let key = Some(key.to_owned());
        StateKeys {
            breaker: key.clone(),
            budget: key.clone(),
            retry_throttle: key.clone(),
            bulkhead: key.clone(),
            rate: key.clone(),
            admission: key,
        }
    }

    fn is_same(a: &Parts, b: &Parts) -> [bool; 6] {
        fn same<T>(a: &Option<Arc<T>>, b: &Option<Arc<T>>) -> bool {
            Arc::ptr_eq(a.as_ref().unwrap(), b.as_ref().unwrap())
        }
        [
            same(&a.breaker, &b.breaker),
            same(&a.budget, &b.budget),
            same(&a.retry_throttle, &b.retry_throttle),
            same(&a.bulkhead, &b.bulkhead),
            same(&a.rate, &b.rate),
            same(&a.admission, &b.admission),
        ]
    }

    /// A guard's parts, as they were and under which keys.
    #[derive(Default)]
    struct Guard(StateKeys, Parts);

    impl Guard {
        fn told(&mut self, shared: &mut SharedParts, policy: &CallPolicy, keys: &StateKeys) {
            let parts = shared.parts(policy, keys, &self.0, &self.1);
            *self = Self(keys.clone(), bowline_policy::Edge::with(policy.clone(), parts).parts().clone());
        }
    }

    #[test]
    fn one_key_is_one_state_and_none_is_ones_own() {
        let mut shared = SharedParts::default();
        let (mut a, mut b) = (Guard::default(), Guard::default());
        for guard in [&mut a, &mut b] {
            guard.told(&mut shared, &policy(10), &StateKeys::default());
        }
        assert_eq!(is_same(&a.1, &b.1), [false; 6], "no key");
        let own = a.1.clone();
        for guard in [&mut a, &mut b] {
            guard.told(&mut shared, &policy(10), &all("k"));
        }
        assert_eq!(is_same(&a.1, &b.1), [true; 6], "one key");
        assert_eq!(is_same(&a.1, &own), [true; 6], "the first brings along what was its own");
        assert!(!Arc::ptr_eq(&a.1.counters, &b.1.counters), "each counts for itself");

        let only_breaker = StateKeys { breaker: Some("other".into()), ..all("k") };
        b.told(&mut shared, &policy(10), &only_breaker);
        assert_eq!(
            is_same(&a.1, &b.1),
            [false, true, true, true, true, true],
            "each part has a key of its own"
        );

        for guard in [&mut a, &mut b] {
            guard.told(&mut shared, &policy(10), &StateKeys::default());
        }
        assert_eq!(is_same(&a.1, &b.1), [false; 6], "no key again");
    }

    #[test]
    fn who_changes_to_another_key_together_does_not_take_the_old_state_along() {
        let mut shared = SharedParts::default();
        let (mut a, mut b) = (Guard::default(), Guard::default());
        for guard in [&mut a, &mut b] {
            guard.told(&mut shared, &policy(10), &all("k"));
        }
        a.told(&mut shared, &policy(10), &all("a"));
        b.told(&mut shared, &policy(10), &all("b"));
        assert_eq!(is_same(&a.1, &b.1), [false; 6]);
    }

    #[test]
    fn settings_that_stay_keep_their_state_and_those_that_change_begin_anew_together() {
        let mut shared = SharedParts::default();
        let (mut a, mut b) = (Guard::default(), Guard::default());
        for guard in [&mut a, &mut b] {
            guard.told(&mut shared, &policy(10), &all("k"));
        }
        let before = a.1.clone();
        a.told(&mut shared, &policy(20), &all("k"));
        assert_eq!(is_same(&a.1, &before), [false, true, true, true, true, true]);
        b.told(&mut shared, &policy(20), &all("k"));
        assert_eq!(is_same(&a.1, &b.1), [true; 6]);
    }

    #[test]
    fn two_at_odds_about_the_settings_keep_their_state_all_the_same() {
        let mut shared = SharedParts::default();
        let (mut a, mut b) = (Guard::default(), Guard::default());
        a.told(&mut shared, &policy(10), &all("k"));
        b.told(&mut shared, &policy(20), &all("k"));
        let (a_before, b_before) = (a.1.clone(), b.1.clone());
        a.told(&mut shared, &policy(10), &all("k"));
        b.told(&mut shared, &policy(20), &all("k"));
        assert_eq!((is_same(&a.1, &a_before), is_same(&b.1, &b_before)), ([true; 6], [true; 6]));
        assert_eq!(is_same(&a.1, &b.1), [false, true, true, true, true, true]);
    }

    #[test]
    fn nothing_is_kept_of_who_is_gone() {
        let mut shared = SharedParts::default();
        for round in 0..100 {
            let mut guard = Guard::default();
            guard.told(&mut shared, &policy(10), &all(&format!("k{round}")));
            let breaker = Arc::downgrade(guard.1.breaker.as_ref().unwrap());
            drop(guard);
            assert_eq!(breaker.strong_count(), 0);
        }
        assert_eq!(shared.breakers.0.len(), 1, "the last one's place, until somebody comes");
        Guard::default().told(&mut shared, &CallPolicy::default(), &StateKeys::default());
        assert_eq!(shared.breakers.0.len() + shared.rates.0.len(), 0);
    }
}
