//! Hosts that are left out because of how their tries ended.

use crate::world::{MS, World};
use bowline_model::decision::{EjectWhy, GiveUp, SpareWhy, TryEnd};
use bowline_model::{Decision, Instant, Outcome, SplitMix64};
use bowline_policy::balance::{Balancer, HostState, Joining, Tried};
use bowline_policy::outlier::{FailureShare, Judged, OutlierSettings, Statuses, SuccessRate};
use bowline_policy::{
    BalanceSettings, CallPolicy, Edge, Parts, Ratio, Report, RetrySettings, Step, classify,
};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const NOW: Instant = Instant::from_millis(1_000);
const OK: TryEnd = TryEnd::Answered { status: 200 };
const E500: TryEnd = TryEnd::Answered { status: 500 };
const E503: TryEnd = TryEnd::Answered { status: 503 };
const NOBODY: TryEnd = TryEnd::ConnectFailed;
const SETTINGS: OutlierSettings = OutlierSettings { out_max: Ratio::ONE, ..OutlierSettings::ISTIO };

fn of(hosts: u16, outlier: OutlierSettings) -> Arc<Balancer> {
    let joining = (0..hosts).map(|host| Joining { key: host.to_string().into(), weight: 1 });
    Balancer::new(BalanceSettings::default(), Some(outlier), joining, NOW, None)
}

/// A try at `host` ends this way; what is decided for it.
fn ends(balancer: &Balancer, host: u16, now: Instant, end: TryEnd) -> Vec<(u16, Judged)> {
    let mut told = Vec::new();
    let report = Report::new(end, classify::of(end, false));
    balancer.settle_unpicked(host, now, &report, &mut |host, judged| told.push((host, judged)));
    told
}

/// The same, so many times.
fn end(balancer: &Balancer, host: u16, now: Instant, end: TryEnd, times: u32) -> Vec<(u16, Judged)> {
    (0..times).flat_map(|_| ends(balancer, host, now, end)).collect()
}

fn is_out(balancer: &Balancer, host: u16, now: Instant) -> bool {
    matches!(balancer.hosts().nth(host.into()).unwrap().state(now), HostState::Ejected { .. })
}

fn ejected(why: EjectWhy, seconds: u64) -> Judged {
    Judged::Ejected { why, span: Duration::from_secs(seconds) }
}

trait SettleUnpicked {
    fn settle_unpicked(&self, host: u16, now: Instant, report: &Report, tell: &mut dyn FnMut(u16, Judged));
}

impl SettleUnpicked for Balancer {
    fn settle_unpicked(&self, host: u16, now: Instant, report: &Report, tell: &mut dyn FnMut(u16, Judged)) {
        // Picks until it is the one: what settles must have begun.
        let mut rng = SplitMix64::new(7);
        let mut others = Vec::new();
        let mut held = None;
        for _ in 0..10_000 {
            match self.pick(now, &mut Tried::default(), None, &mut rng) {
                Some(picked) if picked.host == host => {
                    held = Some(host);
                    break;
                }
                Some(picked) => others.push(picked.host),
                None => break,
            }
        }
        others.into_iter().for_each(|other| self.give_back(other));
        if held.is_some() {
            self.settle(host, now, report, MS, tell);
        }
    }
}

// === what counts ===

#[test]
fn five_5xx_in_a_row_put_a_host_out_and_four_do_not() {
    let balancer = of(3, SETTINGS);
    assert_eq!(end(&balancer, 1, NOW, E500, 4), []);
    assert_eq!(ends(&balancer, 1, NOW, OK), []);
    assert_eq!(end(&balancer, 1, NOW, E500, 4), []);
    assert_eq!(end(&balancer, 1, NOW, E500, 1), [(1, ejected(EjectWhy::Consecutive5xx, 30))]);
    assert!(is_out(&balancer, 1, NOW + SECOND * 29));
    assert!(!is_out(&balancer, 1, NOW + SECOND * 30));
}

#[test]
fn every_way_to_fail_counts_where_it_should() {
    let gateway = OutlierSettings { consecutive_gateway: Some(2), ..SETTINGS };
    let split = OutlierSettings { consecutive_local: Some(2), ..SETTINGS };
    let ways = |settings, end_as| {
        let balancer = of(3, settings);
        let told = end(&balancer, 0, NOW, end_as, 5);
        told.first().map(|(_, judged)| match judged {
            Judged::Ejected { why, .. } | Judged::Spared { why, .. } => *why,
        })
    };
    use EjectWhy::{Consecutive5xx, ConsecutiveGateway, ConsecutiveLocal};
    for (end_as, plain, with_gateway, with_split) in [
        (OK, None, None, None),
        (TryEnd::Answered { status: 404 }, None, None, None),
        (TryEnd::Answered { status: 429 }, None, None, None),
        (E500, Some(Consecutive5xx), Some(Consecutive5xx), Some(Consecutive5xx)),
        (E503, Some(Consecutive5xx), Some(ConsecutiveGateway), Some(Consecutive5xx)),
        (NOBODY, Some(Consecutive5xx), Some(ConsecutiveGateway), Some(ConsecutiveLocal)),
        (TryEnd::TimedOut, Some(Consecutive5xx), Some(ConsecutiveGateway), Some(ConsecutiveLocal)),
        (TryEnd::Cancelled, None, None, None),
        (grpc(14), Some(Consecutive5xx), Some(ConsecutiveGateway), Some(Consecutive5xx)),
        (grpc(13), Some(Consecutive5xx), Some(Consecutive5xx), Some(Consecutive5xx)),
        (grpc(5), None, None, None),
    ] {
        assert_eq!(ways(SETTINGS, end_as), plain, "{end_as:?}");
        assert_eq!(ways(gateway, end_as), with_gateway, "{end_as:?}, gateway errors");
        assert_eq!(ways(split, end_as), with_split, "{end_as:?}, local ones apart");
    }
}

const fn grpc(code: u8) -> TryEnd {
    TryEnd::AnsweredGrpc { code, trailers_only: true }
}

#[test]
fn a_caller_who_is_slow_and_a_callee_who_is_busy_put_nobody_out() {
    let balancer = of(2, SETTINGS);
    let slow = Report { callers_turn: true, ..Report::new(TryEnd::TimedOut, Outcome::Unknown) };
    // A hop that we trust says that it shed the request.
    let shed = Report::new(E503, Outcome::Refused);
    for report in [slow, shed] {
        (0..20)
            .for_each(|_| balancer.settle_unpicked(0, NOW, &report, &mut |_, judged| panic!("{judged:?}")));
    }
}

// === for how long ===

#[test]
fn each_time_it_is_out_for_longer_and_every_good_interval_forgives_one() {
    let balancer = of(3, SETTINGS);
    let mut now = NOW;
    for seconds in [30, 60, 90] {
        assert_eq!(end(&balancer, 0, now, E500, 5), [(0, ejected(EjectWhy::Consecutive5xx, seconds))]);
        now += Duration::from_secs(seconds);
    }
    // Two intervals of ten seconds, seen by whoever's try ends next: two of three are forgotten.
    now += SECOND * 25;
    ends(&balancer, 1, now, OK);
    assert_eq!(end(&balancer, 0, now, E500, 5), [(0, ejected(EjectWhy::Consecutive5xx, 60))]);
    assert_eq!(balancer.detector().returned(), 3, "sweeps have seen it back each time");
}

#[test]
fn the_longest_time_is_the_longest() {
    let balancer = of(3, OutlierSettings { max: SECOND * 70, ..SETTINGS });
    let mut now = NOW;
    for seconds in [30, 60, 70, 70] {
        assert_eq!(end(&balancer, 0, now, E500, 5), [(0, ejected(EjectWhy::Consecutive5xx, seconds))]);
        now += Duration::from_secs(seconds);
    }
}

#[test]
fn what_comes_back_from_a_host_that_is_out_counts_for_nothing() {
    let balancer = of(3, SETTINGS);
    let mut rng = SplitMix64::new(1);
    // Twenty tries are on their way to host 0.
    let mut held = 0;
    while held < 20 {
        let picked = balancer.pick(NOW, &mut Tried::default(), None, &mut rng).unwrap();
        if picked.host == 0 { held += 1 } else { balancer.give_back(picked.host) }
    }
    let report = Report::new(E500, Outcome::Unknown);
    let mut told = Vec::new();
    for _ in 0..20 {
        balancer.settle(0, NOW, &report, MS, |host, judged| told.push((host, judged)));
    }
    assert_eq!(told, [(0, ejected(EjectWhy::Consecutive5xx, 30))]);
    // Back, it must fail five times again, and is out for the second time, not for the fourth.
    let back = NOW + SECOND * 30;
    assert_eq!(end(&balancer, 0, back, E500, 4), []);
    assert_eq!(end(&balancer, 0, back, E500, 1), [(0, ejected(EjectWhy::Consecutive5xx, 60))]);
}

// === how many ===

#[test]
fn the_share_that_is_out_is_computed_with_the_candidate() {
    // hosts, percent, whether one of few may always be out -> how many can be out
    for (hosts, percent, one_always, most) in [
        (1, 100, true, 0),
        (2, 100, true, 1),
        (2, 10, false, 0),
        (2, 10, true, 1),
        (3, 10, false, 0),
        (3, 10, true, 1),
        (3, 34, false, 1),
        (3, 33, false, 0),
        (9, 10, false, 0),
        (10, 10, false, 1),
        (10, 10, true, 1),
        (10, 25, true, 2),
        (10, 0, false, 0),
        (10, 100, true, 9),
    ] {
        let settings =
            OutlierSettings { out_max: Ratio::percent(percent), one_always, ..OutlierSettings::ISTIO };
        let balancer = of(hosts, settings);
        (0..hosts).for_each(|host| drop(end(&balancer, host, NOW, E500, 5)));
        let out = (0..hosts).filter(|host| is_out(&balancer, *host, NOW)).count();
        assert_eq!(out, most, "{hosts} hosts, {percent} %, {one_always}");
    }
}

#[test]
fn the_last_host_stays_unless_told_and_says_why() {
    let spared = |because| Judged::Spared { why: EjectWhy::Consecutive5xx, because };
    let balancer = of(2, SETTINGS);
    end(&balancer, 0, NOW, E500, 5);
    assert_eq!(end(&balancer, 1, NOW, E500, 9), [(1, spared(SpareWhy::LastOne))]);
    let balancer = of(10, OutlierSettings::ISTIO);
    end(&balancer, 0, NOW, E500, 5);
    assert_eq!(end(&balancer, 1, NOW, E500, 5), [(1, spared(SpareWhy::TooManyOut))]);
    assert_eq!(
        balancer.detector().spared().collect::<Vec<_>>(),
        [(SpareWhy::TooManyOut, 1), (SpareWhy::LastOne, 0)]
    );
    let balancer = of(1, OutlierSettings { last_too: true, ..SETTINGS });
    end(&balancer, 0, NOW, E500, 5);
    assert!(is_out(&balancer, 0, NOW));
}

#[test]
fn a_host_that_checks_found_ill_is_not_one_that_is_in() {
    let balancer = of(2, SETTINGS);
    balancer.hosts().next().unwrap().checked(NOW, false);
    end(&balancer, 1, NOW, E500, 5);
    assert!(!is_out(&balancer, 1, NOW), "it is the last one");
}

proptest! {
    /// Whatever ends how and when: never more out than may be, never all, and out for as long as is said.
    #[test]
    fn never_too_many_and_never_all(
        hosts in 1_u16..12,
        percent in 0_u32..=100,
        one_always in any::<bool>(),
        events in prop::collection::vec((0_u16..12, 0_u64..4_000, prop::sample::select(vec![OK, E500, E503, NOBODY])), 1..300),
    ) {
        let settings = OutlierSettings {
            consecutive_5xx: Some(2), out_max: Ratio::percent(percent), one_always, ..OutlierSettings::ISTIO
        };
        let balancer = of(hosts, settings);
        let mut now = NOW;
        for (host, pause, end_as) in events {
            now += MS * pause as u32;
            let host = host % hosts;
            for (judged_host, judged) in ends(&balancer, host, now, end_as) {
                prop_assert_eq!(judged_host, host);
                if let Judged::Ejected { span, .. } = judged {
                    prop_assert!(is_out(&balancer, host, now + span - MS) && !is_out(&balancer, host, now + span));
                }
            }
            let out = (0..hosts).filter(|host| is_out(&balancer, *host, now)).count() as u32;
            let may = (u32::from(hosts) * percent / 100).max(u32::from(one_always));
            prop_assert!(out <= may && out < u32::from(hosts), "{} of {} are out", out, hosts);
        }
    }
}

// === shares of successes ===

#[test]
fn a_share_of_successes_far_below_the_others_puts_a_host_out_at_the_sweep() {
    let rate = SuccessRate { hosts_min: 5, calls_min: 100, deviations: 1.9 };
    let settings = OutlierSettings { consecutive_5xx: None, success_rate: Some(rate), ..SETTINGS };
    let balancer = of(6, settings);
    ends(&balancer, 0, NOW, OK);
    for turn in 0..100 {
        for host in 0..6 {
            // A hundredth fails everywhere; at host 4 every other one.
            let fails = if host == 4 { turn % 2 == 0 } else { turn == 50 };
            assert_eq!(ends(&balancer, host, NOW + SECOND, if fails { E500 } else { OK }), []);
        }
    }
    let told = ends(&balancer, 0, NOW + SECOND * 10, OK);
    assert_eq!(told, [(4, ejected(EjectWhy::SuccessRate, 30))]);
}

#[test]
fn a_share_of_failures_puts_a_host_out_at_the_sweep_where_enough_hosts_had_enough_calls() {
    for (hosts, calls, share, out) in [
        // Nearly everybody fails as often, so that no share of successes is far below the others'; the first host has had
        // one good call more, and the last one is spared.
        (6, 50, 50, vec![1, 2, 3, 4, 5]),
        (5, 50, 51, vec![]),
        (5, 48, 50, vec![]),
        (4, 50, 50, vec![]),
    ] {
        let failures = Some(FailureShare::of(Ratio::percent(share)));
        let settings = OutlierSettings { consecutive_5xx: None, failures, ..SETTINGS };
        let balancer = of(hosts, settings);
        ends(&balancer, 0, NOW, OK);
        // The first try of a destination is before the first interval.
        for turn in 0..calls {
            for host in 0..hosts {
                assert_eq!(ends(&balancer, host, NOW + SECOND, if turn % 2 == 0 { E500 } else { OK }), []);
            }
        }
        let told = ends(&balancer, 0, NOW + SECOND * 10, OK);
        let expected: Vec<_> = out.iter().map(|host| (*host, ejected(EjectWhy::FailureShare, 30))).collect();
        let put_out: Vec<_> =
            told.iter().filter(|(_, judged)| matches!(judged, Judged::Ejected { .. })).copied().collect();
        assert_eq!(put_out, expected, "{hosts} hosts, {calls} calls, {share} %");
    }
}

#[test]
fn where_statuses_are_named_they_are_errors_and_no_others() {
    let errors = Some(Statuses::of([429, 503]));
    let settings =
        OutlierSettings { errors, consecutive_5xx: Some(2), consecutive_gateway: Some(3), ..SETTINGS };
    let named = TryEnd::Answered { status: 429 };
    let grpc = |code| TryEnd::AnsweredGrpc { code, trailers_only: true };
    let five = [(1, ejected(EjectWhy::Consecutive5xx, 30))];
    for (end_as, times, told) in [
        (E500, 9, &[][..]),
        (named, 2, &five[..]),
        (E503, 2, &five[..]),
        (grpc(14), 2, &five[..]),
        (grpc(8), 2, &five[..]),
        (grpc(13), 9, &[][..]),
        (NOBODY, 2, &five[..]),
    ] {
        assert_eq!(end(&of(3, settings), 1, NOW, end_as, times), told, "{end_as:?}");
    }
    // A gateway error is one only if it is named, and what is named is one only if it is a gateway's.
    let gateway = OutlierSettings { consecutive_5xx: None, ..settings };
    assert_eq!(end(&of(3, gateway), 1, NOW, named, 9), []);
    assert_eq!(end(&of(3, gateway), 1, NOW, E503, 3), [(1, ejected(EjectWhy::ConsecutiveGateway, 30))]);
    assert_eq!(end(&of(3, gateway), 1, NOW, TryEnd::Answered { status: 502 }, 9), []);
    // What is not named ends a row.
    let balancer = of(3, settings);
    for end_as in [named, E500, named, E500] {
        assert_eq!(ends(&balancer, 1, NOW, end_as), []);
    }
}

// === seen by a call ===

#[test]
fn a_call_tells_who_was_picked_and_who_was_put_out_and_goes_elsewhere() {
    let outlier = OutlierSettings { consecutive_5xx: Some(1), ..SETTINGS };
    let policy = CallPolicy {
        retry: RetrySettings::tries(3),
        balance: BalanceSettings::OURS,
        outlier: Some(outlier),
        ..CallPolicy::default()
    };
    let joining = (0..2_u16).map(|host| Joining { key: host.to_string().into(), weight: 1 });
    let balancer = Balancer::new(policy.balance, policy.outlier, joining, NOW, None);
    let parts = Parts { balancer: Some(balancer), ..Parts::default() };
    let mut world = World::on(Edge::with(policy, parts));
    let ask = bowline_policy::Ask { repeatable: true, hosts: 0, ..world.ask() };
    let (end, tries) = world.run(ask, &[NOBODY, NOBODY, OK]);
    assert_eq!((end.reason, tries.len()), (GiveUp::Done, 3));
    let (first, rest) = (tries[0].host, &tries[1..]);
    assert!(rest.iter().all(|what| what.host != first), "{tries:?}");
    let told: Vec<Decision> = world.trail.decisions().iter().map(|(_, decision)| *decision).collect();
    let picks = told.iter().filter(|decision| matches!(decision, Decision::HostPicked { .. })).count();
    let out = |decision: &&Decision| matches!(decision, Decision::HostEjected { host, .. } if *host == first);
    let spared =
        |decision: &&Decision| matches!(decision, Decision::HostSpared { because: SpareWhy::LastOne, .. });
    assert_eq!((picks, told.iter().filter(out).count(), told.iter().filter(spared).count()), (3, 1, 1));
}

#[test]
fn a_call_that_is_dropped_gives_its_host_back() {
    let policy = CallPolicy { balance: BalanceSettings::OURS, ..CallPolicy::default() };
    let joining = (0..3_u16).map(|host| Joining { key: host.to_string().into(), weight: 1 });
    let balancer = Balancer::new(policy.balance, None, joining, NOW, None);
    let parts = Parts { balancer: Some(Arc::clone(&balancer)), ..Parts::default() };
    let mut world = World::on(Edge::with(policy, parts));
    let under_way = || balancer.hosts().map(|host| host.pending()).sum::<u32>();
    let (call, step) = world.begin(world.ask());
    assert!(matches!(step, Step::Send(_)));
    assert_eq!(under_way(), 1);
    drop(call);
    assert_eq!(under_way(), 0);
    let (mut call, _) = world.begin(world.ask());
    world.report(&mut call, Report { begun: true, ..Report::new(OK, Outcome::Succeeded) });
    let permit = call.into_permit();
    assert_eq!(under_way(), 1, "its answer is still coming");
    drop(permit);
    assert_eq!(under_way(), 0);
}

#[test]
fn where_tries_have_put_out_all_hosts_there_is_no_host() {
    let outlier = OutlierSettings { consecutive_5xx: Some(1), last_too: true, ..OutlierSettings::OURS };
    let policy = CallPolicy { outlier: Some(outlier), ..CallPolicy::default() };
    let joining = [Joining { key: "only".into(), weight: 1 }];
    let balancer = Balancer::new(policy.balance, policy.outlier, joining, NOW, None);
    let failed = TryEnd::Answered { status: 503 };
    let failed = Report::new(failed, classify::of(failed, false));
    balancer.settle(0, NOW, &failed, Duration::ZERO, |_, _| ());
    let parts = Parts { balancer: Some(balancer), ..Parts::default() };
    let mut world = World::on(Edge::with(policy, parts));
    let (end, tries) = world.run(world.ask(), &[OK]);
    assert_eq!((end.reason, end.outcome, tries.len()), (GiveUp::NoHost, Outcome::Refused, 0));
}

#[test]
fn where_checks_find_all_hosts_ill_they_are_asked_all_the_same() {
    let policy = CallPolicy::default();
    let joining = [Joining { key: "only".into(), weight: 1 }];
    let balancer = Balancer::new(policy.balance, None, joining, NOW, None);
    balancer.hosts().for_each(|host| host.checked(NOW, false));
    let parts = Parts { balancer: Some(balancer), ..Parts::default() };
    let mut world = World::on(Edge::with(policy, parts));
    let (end, tries) = world.run(world.ask(), &[OK]);
    assert_eq!((end.reason, end.outcome, tries.len()), (GiveUp::Done, Outcome::Succeeded, 1));
}
