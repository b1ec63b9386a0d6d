//! Which host a try goes to, and which are left out.

use crate::world::{MS, World};
use bowline_model::decision::{PickWhy, TryEnd};
use bowline_model::{Instant, Outcome, Random, SplitMix64};
use bowline_policy::balance::{Algorithm, Balancer, HostState, Joining, PeakEwma, SlowStart, Tried, hash};
use bowline_policy::outlier::OutlierSettings;
use bowline_policy::{
    Backoff, BalanceSettings, CallPolicy, Conditions, Edge, Parts, Pushback, Ratio, Report, RetryRule,
    RetrySettings, classify,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const NOW: Instant = Instant::from_millis(1_000);
const SEED: u64 = 20_261_125;

const ALL: [Algorithm; 6] = [
    Algorithm::RoundRobin,
    Algorithm::PeakEwma(PeakEwma::DEFAULT),
    Algorithm::LeastRequest,
    Algorithm::Random,
    Algorithm::RingHash { size_min: 1_024 },
    Algorithm::Maglev { size: 251 },
];

fn by(algorithm: Algorithm) -> BalanceSettings {
    BalanceSettings { algorithm, ..BalanceSettings::default() }
}

fn joining(weights: &[u32]) -> Vec<Joining> {
    let joining = |(index, weight): (usize, &u32)| Joining {
        key: format!("10.0.0.{index}:80").into(),
        weight: *weight,
    };
    weights.iter().enumerate().map(joining).collect()
}

fn balancer(settings: BalanceSettings, weights: &[u32]) -> Arc<Balancer> {
    Balancer::new(settings, None, joining(weights), NOW, None)
}

fn good() -> Report {
    Report::new(TryEnd::Answered { status: 200 }, Outcome::Succeeded)
}

fn of(end: TryEnd) -> Report {
    Report::new(end, classify::of(end, false))
}

/// How often each host is picked for calls of one try that take 50 ms and do not overlap.
fn shares(balancer: &Balancer, calls: u32, now: Instant) -> Vec<f64> {
    let mut rng = SplitMix64::new(SEED);
    let mut counts = vec![0_u32; usize::from(balancer.len())];
    for _ in 0..calls {
        let hash = Some(rng.next_u64());
        let picked = balancer.pick(now, &mut Tried::default(), hash, &mut rng).expect("there is a host");
        counts[usize::from(picked.host)] += 1;
        balancer.settle(picked.host, now, &good(), MS * 50, |_, _| ());
    }
    counts.into_iter().map(|count| f64::from(count) / f64::from(calls)).collect()
}

fn close(shares: &[f64], expected: &[f64], by: f64) {
    for (share, expected) in shares.iter().zip(expected) {
        assert!((share - expected).abs() <= by, "seed {SEED}: {shares:?}, expected {expected:?}");
    }
}

/// Makes `host` ill to active checks.
fn ill(balancer: &Balancer, host: usize) {
    balancer.hosts().nth(host).expect("a host").checked(NOW, false);
}

// === shares ===

#[test]
fn hosts_that_are_the_same_get_the_same_share() {
    for algorithm in ALL {
        let hashed = matches!(algorithm, Algorithm::RingHash { .. } | Algorithm::Maglev { .. });
        let shares = shares(&balancer(by(algorithm), &[1; 5]), 20_000, NOW);
        // A ring of 1024 points over five hosts is uneven by itself.
        close(&shares, &[0.2; 5], if hashed { 0.05 } else { 0.02 });
    }
}

#[test]
fn weights_are_shares() {
    for algorithm in ALL {
        let shares = shares(&balancer(by(algorithm), &[1, 2, 5]), 20_000, NOW);
        // Of two drawn at random that cost the same the first is taken, so weights stay what they are.
        close(&shares, &[0.125, 0.25, 0.625], 0.05);
    }
}

#[test]
fn turns_by_weight_are_even_over_short_stretches_too() {
    let balancer = balancer(by(Algorithm::RoundRobin), &[1, 3]);
    let mut rng = SplitMix64::new(SEED);
    let picks: Vec<u16> =
        (0..400).map(|_| balancer.pick(NOW, &mut Tried::default(), None, &mut rng).unwrap().host).collect();
    for stretch in picks.windows(16) {
        let light = stretch.iter().filter(|host| **host == 0).count();
        assert!((3..=5).contains(&light), "{light} of 16 instead of 4");
    }
}

#[test]
fn a_host_that_is_ill_leaves_its_share_to_all_others_alike() {
    for algorithm in [Algorithm::Random, Algorithm::RoundRobin, Algorithm::LeastRequest] {
        let balancer = balancer(by(algorithm), &[1; 4]);
        ill(&balancer, 1);
        close(&shares(&balancer, 20_000, NOW), &[1.0 / 3.0, 0.0, 1.0 / 3.0, 1.0 / 3.0], 0.02);
    }
}

#[test]
fn two_choices_keep_the_longest_queue_short() {
    // Nothing ends: after n picks per host chance alone leaves the fullest far above the mean, two choices
    // a few above it.
    let longest = |algorithm| {
        let balancer = balancer(by(algorithm), &[1; 100]);
        let mut rng = SplitMix64::new(SEED);
        for _ in 0..10_000 {
            balancer.pick(NOW, &mut Tried::default(), None, &mut rng).unwrap();
        }
        balancer.hosts().map(|host| host.pending()).max().unwrap()
    };
    assert!(longest(Algorithm::Random) > 115, "seed {SEED}");
    assert!(longest(Algorithm::LeastRequest) < 105, "seed {SEED}");
    assert!(longest(Algorithm::PeakEwma(PeakEwma::DEFAULT)) < 105, "seed {SEED}");
}

#[test]
fn a_new_host_gets_its_share_slowly() {
    let settings =
        BalanceSettings { slow_start: Some(SlowStart::over(SECOND * 10)), ..by(Algorithm::Random) };
    let first = balancer(settings, &[1; 2]);
    close(&shares(&first, 10_000, NOW), &[0.5; 2], 0.02);
    let grown = Balancer::new(settings, None, joining(&[1; 3]), NOW, Some(&first));
    for (later, weight) in [(0, 0.1), (5, 0.5), (10, 1.0), (60, 1.0)] {
        let all = 2.0 + weight;
        let shares = shares(&grown, 20_000, NOW + SECOND * later);
        close(&shares, &[1.0 / all, 1.0 / all, weight / all], 0.02);
    }
}

// === where a call has been ===

proptest! {
    /// Whatever is ill and whatever was tried: never one that is ill, and none twice while others are left.
    #[test]
    fn no_host_is_tried_twice_while_others_are_left(
        seed in any::<u64>(),
        algorithm in prop::sample::select(ALL.to_vec()),
        weights in prop::collection::vec(1_u32..5, 1..10),
        ills in prop::collection::vec(any::<bool>(), 10),
    ) {
        let balancer = balancer(by(algorithm), &weights);
        let (well, sick): (Vec<usize>, Vec<usize>) = (0..weights.len()).partition(|index| !ills[*index]);
        sick.iter().for_each(|index| ill(&balancer, *index));
        let (mut rng, mut tried) = (SplitMix64::new(seed), Tried::default());
        for round in 0..3 {
            let mut seen = Vec::new();
            // From the second round on the last host of the one before comes last at best.
            let picks = if round == 0 { well.len() } else { well.len().saturating_sub(1).max(1) };
            for _ in 0..picks.min(well.len()) {
                let picked = balancer.pick(NOW, &mut tried, Some(seed), &mut rng).expect("one is well");
                prop_assert!(well.contains(&usize::from(picked.host)));
                prop_assert!(!seen.contains(&picked.host), "{seen:?} and again {}", picked.host);
                seen.push(picked.host);
            }
        }
        if well.is_empty() {
            let picked = balancer.pick(NOW, &mut tried, None, &mut rng).expect("the ill are all there is");
            prop_assert_eq!(picked.why, PickWhy::Panic);
        }
    }
}

#[test]
fn of_two_hosts_the_other_one_is_tried_next() {
    for algorithm in ALL {
        let balancer = balancer(by(algorithm), &[1; 2]);
        let mut rng = SplitMix64::new(SEED);
        for _ in 0..100 {
            let mut tried = Tried::default();
            let hosts: Vec<u16> =
                (0..4).map(|_| balancer.pick(NOW, &mut tried, Some(9), &mut rng).unwrap().host).collect();
            assert!(hosts.windows(2).all(|pair| pair[0] != pair[1]), "{algorithm:?}: {hosts:?}");
        }
    }
}

#[test]
fn every_pick_is_given_back_once() {
    let balancer = balancer(BalanceSettings::OURS, &[1; 3]);
    let mut rng = SplitMix64::new(SEED);
    let picked: Vec<u16> =
        (0..30).map(|_| balancer.pick(NOW, &mut Tried::default(), None, &mut rng).unwrap().host).collect();
    assert_eq!(balancer.hosts().map(|host| host.pending()).sum::<u32>(), 30);
    for (turn, host) in picked.into_iter().enumerate() {
        match turn % 2 {
            0 => balancer.give_back(host),
            _ => balancer.settle(host, NOW, &good(), MS, |_, _| ()),
        }
    }
    assert_eq!(balancer.hosts().map(|host| host.pending()).sum::<u32>(), 0);
}

// === what is known ===

#[test]
fn a_slow_host_is_avoided_until_its_past_has_faded() {
    let balancer = balancer(BalanceSettings::OURS, &[1; 3]);
    for (host, took) in [(0, 50), (1, 50), (2, 1_000)] {
        balancer.settle_as_picked(host, NOW, &good(), MS * took);
    }
    close(&shares(&balancer, 3_000, NOW), &[0.5, 0.5, 0.0], 0.05);
    // Over a minute more than nine tenths of it fade, and the others are asked all the time.
    let later = NOW + SECOND * 60;
    balancer.settle_as_picked(0, later, &good(), MS * 50);
    balancer.settle_as_picked(1, later, &good(), MS * 50);
    assert!(shares(&balancer, 300, later)[2] > 0.0, "asked again");
}

#[test]
fn failing_fast_is_not_being_fast() {
    let balancer = balancer(BalanceSettings::OURS, &[1; 3]);
    for host in 0..3 {
        balancer.settle_as_picked(host, NOW, &good(), MS * 50);
    }
    balancer.settle_as_picked(1, NOW, &of(TryEnd::Answered { status: 503 }), Duration::from_micros(90));
    assert_eq!(shares(&balancer, 1_000, NOW + SECOND * 4)[1], 0.0, "for five seconds");
    assert!(shares(&balancer, 1_000, NOW + SECOND * 6)[1] > 0.2, "and no longer");
}

#[test]
fn of_two_hosts_that_fail_the_one_that_sometimes_answers_is_asked() {
    let balancer = balancer(BalanceSettings::OURS, &[1; 2]);
    let failure = of(TryEnd::Answered { status: 503 });
    let mut rng = SplitMix64::new(SEED);
    let mut asked = [0_u32; 2];
    // A call each 10 ms for a minute: the first host is dead, the second one fails one of four.
    for call in 0..6_000_u32 {
        let now = NOW + MS * 10 * call;
        let host = balancer.pick(now, &mut Tried::default(), None, &mut rng).expect("there is a host").host;
        asked[usize::from(host)] += 1;
        let report = if host == 0 || call % 4 == 0 { &failure } else { &good() };
        balancer.settle(host, now, report, MS, |_, _| ());
    }
    assert!(asked[0] < 60, "seed {SEED}: the dead one is asked {} of 6,000 times", asked[0]);
}

#[test]
fn a_busy_host_is_left_alone_for_as_long_as_it_asks() {
    let balancer = balancer(BalanceSettings::OURS, &[1; 3]);
    for host in 0..3 {
        balancer.settle_as_picked(host, NOW, &good(), MS * 50);
    }
    let busy =
        Report { pushback: Some(Pushback::After(SECOND * 20)), ..of(TryEnd::Answered { status: 429 }) };
    balancer.settle_as_picked(1, NOW, &busy, MS);
    assert_eq!(shares(&balancer, 1_000, NOW + SECOND * 19)[1], 0.0);
    assert!(shares(&balancer, 1_000, NOW + SECOND * 21)[1] > 0.2);
}

#[test]
fn a_caller_who_is_slow_says_nothing_about_the_host() {
    let balancer = balancer(BalanceSettings::OURS, &[1; 2]);
    let slow = Report { callers_turn: true, ..good() };
    balancer.settle_as_picked(0, NOW, &slow, SECOND * 9);
    balancer.settle_as_picked(0, NOW, &Report { callers_turn: true, ..of(TryEnd::TimedOut) }, SECOND * 9);
    close(&shares(&balancer, 1_000, NOW), &[0.5; 2], 0.05);
}

#[test]
fn what_is_known_of_a_host_outlives_a_reload_and_a_change_of_mind() {
    let before = balancer(BalanceSettings::OURS, &[1; 3]);
    for (host, took) in [(0, 10), (1, 10), (2, 1_000)] {
        before.settle_as_picked(host, NOW, &good(), MS * took);
    }
    let mut rng = SplitMix64::new(SEED);
    let under_way = before.pick(NOW, &mut Tried::default(), None, &mut rng).unwrap();
    // The first host is gone, a new one has come, and another way is asked for in between.
    let hosts = joining(&[1; 4]).split_off(1);
    let between = Balancer::new(by(Algorithm::Random), None, hosts.clone(), NOW, Some(&before));
    let after = Balancer::new(BalanceSettings::OURS, None, hosts, NOW, Some(&between));
    assert_eq!(after.len(), 3);
    assert_eq!(shares(&after, 1_000, NOW)[1], 0.0, "still slow, under another index");
    before.give_back(under_way.host);
    assert_eq!(after.hosts().map(|host| host.pending()).sum::<u32>(), 0);
}

// === hashes ===

#[test]
fn a_hash_leads_to_the_same_host_and_few_move_when_one_leaves() {
    for algorithm in [Algorithm::RingHash { size_min: 1_024 }, Algorithm::Maglev { size: 2_503 }] {
        let ten = balancer(by(algorithm), &[1; 10]);
        let nine = balancer(by(algorithm), &[1; 9]);
        let mut rng = SplitMix64::new(SEED);
        let mut moved = 0;
        for user in 0..1_000 {
            let hash = Some(hash(format!("user-{user}").as_bytes()));
            let mut to = |balancer: &Balancer| {
                balancer
                    .pick(NOW, &mut Tried::default(), hash, &mut rng)
                    .map(|picked| (picked.host, picked.why))
            };
            let first = to(&ten).unwrap();
            assert_eq!(to(&ten), Some(first));
            assert_eq!(first.1, PickWhy::Hash);
            moved += u32::from(first.0 != 9 && to(&nine).unwrap().0 != first.0);
        }
        // The ring moves nobody who was not on the host that left; the table a few.
        assert!(moved <= 60, "{algorithm:?}: {moved} of 1000 moved without need");
    }
}

#[test]
fn a_host_that_comes_back_gets_its_callers_back() {
    let balancer = balancer(by(Algorithm::RingHash { size_min: 1_024 }), &[1; 5]);
    let mut rng = SplitMix64::new(SEED);
    let mut to = |user: u32| {
        let hash = Some(hash(&user.to_le_bytes()));
        balancer.pick(NOW, &mut Tried::default(), hash, &mut rng).unwrap().host
    };
    let before: Vec<u16> = (0..100).map(&mut to).collect();
    ill(&balancer, 2);
    let meanwhile: Vec<u16> = (0..100).map(&mut to).collect();
    for (before, meanwhile) in before.iter().zip(&meanwhile) {
        assert!(*meanwhile != 2 && (*before == 2 || before == meanwhile));
    }
    balancer.hosts().nth(2).unwrap().checked(NOW, true);
    assert_eq!((0..100).map(&mut to).collect::<Vec<_>>(), before);
}

// === panic ===

#[test]
fn below_the_threshold_all_hosts_are_used() {
    let settings = BalanceSettings { panic: Ratio::percent(50), ..by(Algorithm::Random) };
    let balancer = balancer(settings, &[1; 4]);
    ill(&balancer, 0);
    ill(&balancer, 1);
    close(&shares(&balancer, 10_000, NOW), &[0.0, 0.0, 0.5, 0.5], 0.02);
    ill(&balancer, 2);
    close(&shares(&balancer, 10_000, NOW), &[0.25; 4], 0.02);
    let mut rng = SplitMix64::new(SEED);
    let picked = balancer.pick(NOW, &mut Tried::default(), None, &mut rng).unwrap();
    assert_eq!(picked.why, PickWhy::Panic);
}

#[test]
fn where_checks_find_everybody_ill_everybody_is_used() {
    for algorithm in ALL {
        let balancer = balancer(by(algorithm), &[1; 2]);
        let mut rng = SplitMix64::new(SEED);
        ill(&balancer, 0);
        let picked = balancer.pick(NOW, &mut Tried::default(), Some(9), &mut rng).unwrap();
        assert_eq!(picked.host, 1, "{algorithm:?}: one is well");
        ill(&balancer, 1);
        let mut tried = Tried::default();
        let mut hosts = Vec::new();
        for _ in 0..4 {
            assert!(hosts.len() != 1 || balancer.has_untried(NOW, &tried));
            let picked = balancer.pick(NOW, &mut tried, Some(9), &mut rng).unwrap();
            assert_eq!(picked.why, PickWhy::Panic);
            hosts.push(picked.host);
        }
        assert!(hosts.windows(2).all(|pair| pair[0] != pair[1]), "{algorithm:?}: {hosts:?}");
        assert_eq!(balancer.hosts().next().unwrap().state(NOW), HostState::Ill);
    }
}

#[test]
fn what_tries_have_put_out_stays_out_where_checks_find_everybody_ill() {
    let outlier = OutlierSettings {
        consecutive_5xx: Some(1),
        out_max: Ratio::ONE,
        last_too: true,
        ..OutlierSettings::OURS
    };
    let balancer = Balancer::new(by(Algorithm::Random), Some(outlier), joining(&[1; 2]), NOW, None);
    let mut rng = SplitMix64::new(SEED);
    balancer.settle(0, NOW, &of(TryEnd::Answered { status: 503 }), MS, |_, _| ());
    ill(&balancer, 1);
    for _ in 0..20 {
        assert_eq!(balancer.pick(NOW, &mut Tried::default(), None, &mut rng).unwrap().host, 1);
    }
    balancer.settle(1, NOW, &of(TryEnd::Answered { status: 503 }), MS, |_, _| ());
    assert_eq!(balancer.pick(NOW, &mut Tried::default(), None, &mut rng), None);
}

/// A try that the test sends to a host of its own choice.
trait SettleAsPicked {
    fn settle_as_picked(&self, host: u16, now: Instant, report: &Report, took: Duration);
}

impl SettleAsPicked for Balancer {
    fn settle_as_picked(&self, host: u16, now: Instant, report: &Report, took: Duration) {
        let mut tried = Tried::default();
        (0..self.len()).filter(|other| *other != host).for_each(|other| tried.add(other));
        let mut rng = SplitMix64::new(SEED);
        let picked = self.pick(now, &mut tried, None, &mut rng).expect("a host");
        assert_eq!(picked.host, host);
        self.settle(host, now, report, took, |_, _| ());
    }
}

#[test]
fn our_outlier_detection_differs_from_istios_in_one_word() {
    assert_eq!(OutlierSettings { one_always: false, ..OutlierSettings::OURS }, OutlierSettings::ISTIO);
}

#[test]
fn a_host_is_asked_again_before_the_others_only_where_that_is_asked_for() {
    let conditions = Conditions::parse("5xx").unwrap();
    for (conditions, hosts) in [(conditions.clone(), 3), (conditions.with_previous_hosts(), 1)] {
        let policy = CallPolicy {
            retry: RetrySettings {
                backoff: Backoff::None,
                rule: RetryRule::Named(conditions),
                ..RetrySettings::tries(3)
            },
            // By hash, so that the host that is meant stays the same.
            balance: by(Algorithm::RingHash { size_min: 1_024 }),
            ..CallPolicy::default()
        };
        let parts = Parts { balancer: Some(balancer(policy.balance, &[1; 5])), ..Parts::default() };
        let mut world = World::on(Edge::with(policy, parts));
        let (_, tries) = world.run(world.ask(), &[TryEnd::Answered { status: 503 }]);
        let asked: BTreeSet<u16> = tries.iter().map(|this| this.host).collect();
        assert_eq!((tries.len(), asked.len()), (3, hosts));
    }
}
