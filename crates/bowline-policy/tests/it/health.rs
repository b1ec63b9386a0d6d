//! When a host is asked whether it is well, and what its answers come to.

use bowline_model::{Instant, SplitMix64};
use bowline_policy::Ratio;
use bowline_policy::health::{Health, HealthCheck, HealthSettings};
use proptest::prelude::*;
use std::time::Duration;

const SEED: u64 = 20_261_130;

/// What a host is found to be after each of these answers: `+` passes, `-` fails.
fn check(answers: &str, expected: &[Health]) {
    let mut rng = SplitMix64::new(SEED);
    let mut check = HealthCheck::new(HealthSettings::DEFAULT, Instant::ZERO, &mut rng);
    let found: Vec<Health> = answers
        .bytes()
        .map(|answer| {
            let before = check.health();
            let news = check.saw(check.due(), answer == b'+', &mut rng);
            assert_eq!(news.is_some(), before != check.health(), "news is told once: {answers}");
            check.health()
        })
        .collect();
    assert_eq!(found, expected, "{answers}");
}

#[test]
fn a_host_is_ill_after_three_failures_in_a_row_and_well_after_two_passes() {
    use Health::{Ill, Well};
    check("+---++", &[Well, Well, Well, Ill, Ill, Well]);
    check("+--+--+", &[Well; 7]);
    check("+---+-++", &[Well, Well, Well, Ill, Ill, Ill, Ill, Well]);
}

#[test]
fn a_host_that_never_passed_counts_as_well_until_it_failed_and_is_well_with_its_first_pass() {
    use Health::{Ill, Unknown, Well};
    check("--+", &[Unknown, Unknown, Well]);
    check("---+", &[Unknown, Unknown, Ill, Well]);
    assert!(Unknown.is_well());
}

#[test]
fn a_threshold_of_zero_is_one() {
    let settings = HealthSettings { healthy: 0, unhealthy: 0, ..HealthSettings::DEFAULT };
    let mut rng = SplitMix64::new(SEED);
    let mut check = HealthCheck::new(settings, Instant::ZERO, &mut rng);
    assert_eq!(check.saw(Instant::ZERO, false, &mut rng), Some(Health::Ill));
    assert_eq!(check.saw(Instant::ZERO, true, &mut rng), Some(Health::Well));
}

#[test]
fn other_settings_keep_what_is_known_and_are_followed_at_once() {
    let mut rng = SplitMix64::new(SEED);
    let slow = HealthSettings { interval: Duration::from_secs(600), ..HealthSettings::DEFAULT };
    let mut check = HealthCheck::new(slow, Instant::ZERO, &mut rng);
    for _ in 0..3 {
        check.saw(Instant::from_millis(1_000), false, &mut rng);
    }
    check.change(HealthSettings::DEFAULT, Instant::from_millis(2_000));
    assert_eq!(check.health(), Health::Ill);
    assert_eq!(check.due(), Instant::from_millis(7_000));
}

proptest! {
    /// Whatever the seed: the first check comes within a tenth of the interval, each other one an interval
    /// after the one before, give or take a tenth.
    #[test]
    fn checks_come_at_their_interval_and_not_all_at_once(seed in any::<u64>(), passed in any::<bool>()) {
        let settings = HealthSettings { jitter: Ratio::percent(10), ..HealthSettings::DEFAULT };
        let mut rng = SplitMix64::new(seed);
        let mut check = HealthCheck::new(settings, Instant::ZERO, &mut rng);
        prop_assert!(check.due() <= Instant::ZERO + settings.interval / 10);
        for _ in 0..20 {
            let began = check.due();
            check.saw(began, passed, &mut rng);
            let gap = check.due().since(began);
            prop_assert!(settings.interval * 9 / 10 <= gap && gap <= settings.interval * 11 / 10, "{gap:?}");
        }
    }
}
