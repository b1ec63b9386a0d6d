//! Calls by gRPC's policies: retryable codes, throttling, hedging in its manner (proposal A6).

use crate::world::{MS, World};
use bowline_model::decision::{GiveUp, RetryWhy, TryEnd, WithheldWhy};
use bowline_model::{Decision, Instant, Outcome, SplitMix64};
use bowline_policy::balance::{Balancer, Joining};
use bowline_policy::{
    Backoff, BalanceSettings, Call, CallPolicy, Codes, Edge, HedgeAfter, HedgeSettings, Parts, Pushback,
    Ratio, Report, RetryRule, RetrySettings, RetryThrottleSettings, Step, Try, classify,
};
use std::time::Duration;

const UNAVAILABLE: TryEnd = code(14);
const DELAY: Duration = Duration::from_millis(20);

const fn code(code: u8) -> TryEnd {
    TryEnd::AnsweredGrpc { code, trailers_only: true }
}

fn policy(tries: u32) -> CallPolicy {
    CallPolicy {
        retry: RetrySettings {
            tries,
            per_try: None,
            backoff: Backoff::Grpc { base: MS * 10, max: MS * 100, multiplier: 2_000_000 },
            rule: RetryRule::Codes(Codes::NONE.with(14)),
        },
        retry_throttle: Some(RetryThrottleSettings { tokens_max: 4_000, ratio: 500 }),
        ..CallPolicy::default()
    }
}

/// Four tries at most, 20 ms apart, among two hosts.
fn hedging() -> World {
    let hedge = HedgeSettings { after: HedgeAfter::Fixed(DELAY), tries: 4, ratio: Ratio::ONE, by_grpc: true };
    let retry = RetrySettings { backoff: Backoff::None, ..policy(4).retry };
    let joining = (0..2).map(|host: u16| Joining { key: host.to_string().into(), weight: 1 });
    let balancer = Balancer::new(BalanceSettings::OURS, None, joining, Instant::ZERO, None);
    World::on(Edge::with(
        CallPolicy { hedge: Some(hedge), retry, ..policy(4) },
        Parts { balancer: Some(balancer), ..Parts::default() },
    ))
}

fn sent(step: Step) -> Try {
    match step {
        Step::Send(what) => what,
        other => panic!("{other:?}"),
    }
}

fn overdue(world: &mut World, call: &mut Call) -> Step {
    call.overdue(world.now, true, &mut world.rng, &mut world.trail)
}

fn ended(world: &mut World, call: &mut Call, number: u32, report: Report) -> Step {
    call.ended_try(number, world.now, report, &mut world.rng, &mut world.trail)
}

fn report(end: TryEnd) -> Report {
    Report::new(end, classify::of(end, false))
}

fn tokens(world: &World) -> u32 {
    world.edge.retry_throttle().unwrap().tokens()
}

// === retries ===

#[test]
fn a_code_that_is_named_is_tried_again_whatever_may_be_repeated_by_it() {
    let mut world = World::new(policy(3));
    let (end, tries) = world.run(world.ask(), &[UNAVAILABLE, code(0)]);
    assert_eq!((end.reason, tries.len()), (GiveUp::Done, 2));
    let why = world.trail.decisions().iter().find_map(|(_, decision)| match decision {
        Decision::RetryScheduled { after, why, .. } => Some((*after, *why)),
        _ => None,
    });
    let (after, why) = why.unwrap();
    assert_eq!(why, RetryWhy::Code);
    assert!((MS * 8..=MS * 12).contains(&after), "{after:?}");
    let (end, tries) = world.run(world.ask(), &[code(13)]);
    assert_eq!((end.reason, tries.len()), (GiveUp::CodeNotNamed, 1));
}

#[test]
fn an_answer_that_has_begun_is_committed() {
    let mut world = World::new(policy(3));
    let (mut call, _) = world.begin(world.ask());
    let begun = Report { begun: true, ..Report::new(TryEnd::Answered { status: 200 }, Outcome::Pending) };
    let Step::End(end) = ended(&mut world, &mut call, 1, begun) else { panic!("tried again") };
    assert_eq!(end.reason, GiveUp::Done);
    let mut permit = call.into_permit();
    world.edge.retry_throttle().unwrap().failed();
    permit.settle(world.now, UNAVAILABLE, &mut world.rng, &mut ());
    assert_eq!(tokens(&world), 3_000, "too late to be tried again, and to count as a failure");

    let (mut call, _) = world.begin(world.ask());
    let _ = ended(&mut world, &mut call, 1, begun);
    call.into_permit().settle(world.now, code(0), &mut world.rng, &mut ());
    assert_eq!(tokens(&world), 3_500, "a stream that ends well counts when it does");
}

// === throttling ===

#[test]
fn retries_stop_at_half_of_the_tokens_and_come_back_above_it() {
    let mut world = World::new(policy(2));
    // Two tries of one call, both of which fail: the second token that is taken leaves half.
    let (end, tries) = world.run(world.ask(), &[UNAVAILABLE]);
    assert_eq!((end.reason, tries.len(), tokens(&world)), (GiveUp::TriesExhausted, 2, 2_000));
    let (end, tries) = world.run(world.ask(), &[UNAVAILABLE]);
    assert_eq!((end.reason, tries.len(), tokens(&world)), (GiveUp::RetryThrottled, 1, 1_000));
    // 1 and three halves are more than 2 even after the next failure has taken one.
    for _ in 0..5 {
        assert_eq!(world.run(world.ask(), &[code(0)]).0.reason, GiveUp::Done);
    }
    assert_eq!(tokens(&world), 3_500);
    let (end, tries) = world.run(world.ask(), &[UNAVAILABLE, code(0)]);
    assert_eq!((end.reason, tries.len()), (GiveUp::Done, 2));
}

#[test]
fn a_failure_counts_only_if_another_try_could_follow_it_or_the_callee_forbids_one() {
    for (end, pushback, left) in [
        (code(3), None, 4_000),
        (UNAVAILABLE, None, 3_000),
        (TryEnd::ConnectFailed, None, 3_000),
        (code(3), Some(Pushback::Never), 3_000),
        (code(3), Some(Pushback::After(MS)), 4_000),
        (TryEnd::Cancelled, None, 4_000),
        (TryEnd::DeadlineExceeded, None, 4_000),
        (code(0), None, 4_000),
    ] {
        let mut world = World::new(policy(1));
        let (mut call, _) = world.begin(world.ask());
        let _ = ended(&mut world, &mut call, 1, Report { pushback, ..report(end) });
        assert_eq!(tokens(&world), left, "{end} {pushback:?}");
    }
}

#[test]
fn the_tokens_outlive_a_policy_that_did_not_change() {
    let world = World::new(policy(2));
    world.edge.retry_throttle().unwrap().failed();
    let parts = world.edge.parts().clone();
    assert_eq!(Edge::with(policy(3), parts.clone()).retry_throttle().unwrap().tokens(), 3_000);
    let other = CallPolicy {
        retry_throttle: Some(RetryThrottleSettings { tokens_max: 5_000, ratio: 500 }),
        ..policy(2)
    };
    assert_eq!(Edge::with(other, parts).retry_throttle().unwrap().tokens(), 5_000);
}

// === hedging ===

#[test]
fn hedges_follow_each_other_up_to_the_most_although_nobody_says_that_the_call_may_be_repeated() {
    let mut world = hedging();
    let (mut call, step) = world.begin(world.ask());
    let mut last = sent(step);
    for number in 2..=4 {
        assert_eq!(last.hedge_at, world.now + DELAY);
        world.now = last.hedge_at;
        last = sent(overdue(&mut world, &mut call));
        assert_eq!((last.number, call.under_way()), (number, number));
    }
    assert_eq!(last.hedge_at, Instant::FAR);
    let Step::End(end) = ended(&mut world, &mut call, 3, report(code(0))) else { panic!("goes on") };
    assert_eq!((end.reason, end.tries), (GiveUp::Done, 4));
}

#[test]
fn a_failure_that_is_not_fatal_brings_the_next_hedge_forward() {
    let mut world = hedging();
    let (mut call, step) = world.begin(world.ask());
    world.now = sent(step).hedge_at;
    assert_eq!(sent(overdue(&mut world, &mut call)).number, 2);
    world.now += MS;
    let step = ended(&mut world, &mut call, 1, report(UNAVAILABLE));
    assert_eq!(step, Step::Watch { until: world.now });
    let third = sent(overdue(&mut world, &mut call));
    assert_eq!((third.number, third.hedge_at), (3, world.now + DELAY));
}

#[test]
fn where_the_only_one_fails_the_next_is_sent_at_once() {
    let mut world = hedging();
    let (mut call, _) = world.begin(world.ask());
    let second = sent(ended(&mut world, &mut call, 1, report(UNAVAILABLE)));
    assert_eq!((second.number, second.hedge_at), (2, world.now + DELAY));
}

#[test]
fn a_fatal_code_ends_them_all() {
    let mut world = hedging();
    let (mut call, step) = world.begin(world.ask());
    world.now = sent(step).hedge_at;
    let _ = sent(overdue(&mut world, &mut call));
    let Step::End(end) = ended(&mut world, &mut call, 1, report(code(13))) else { panic!("goes on") };
    assert_eq!((end.reason, end.tries), (GiveUp::CodeNotNamed, 2));
}

#[test]
fn a_pushback_says_when_the_next_hedge_comes_or_that_none_does() {
    for (pushback, at) in [(Pushback::After(MS * 7), Some(MS * 7)), (Pushback::Never, None)] {
        let mut world = hedging();
        let (mut call, step) = world.begin(world.ask());
        world.now = sent(step).hedge_at;
        let _ = sent(overdue(&mut world, &mut call));
        let pushed = Report { pushback: Some(pushback), ..report(UNAVAILABLE) };
        let step = ended(&mut world, &mut call, 1, pushed);
        let until = at.map_or(Instant::FAR, |span| world.now + span);
        assert_eq!(step, Step::Watch { until }, "{pushback:?}");
    }
}

#[test]
fn a_hedge_is_withheld_where_too_much_fails_and_the_first_try_goes_on() {
    let mut world = hedging();
    (0..2).for_each(|_| world.edge.retry_throttle().unwrap().failed());
    let (mut call, step) = world.begin(world.ask());
    world.now = sent(step).hedge_at;
    assert_eq!(overdue(&mut world, &mut call), Step::Watch { until: Instant::FAR });
    let why = world.trail.decisions().iter().rev().find_map(|(_, decision)| match decision {
        Decision::HedgeWithheld { why } => Some(*why),
        _ => None,
    });
    assert_eq!(why, Some(WithheldWhy::RetryThrottled));
    let Step::End(end) = ended(&mut world, &mut call, 1, report(UNAVAILABLE)) else { panic!("goes on") };
    assert_eq!((end.reason, end.tries), (GiveUp::RetryThrottled, 1));
}

#[test]
fn without_a_share_every_call_may_be_hedged() {
    let mut world = hedging();
    let seed = 11;
    world.rng = SplitMix64::new(seed);
    for round in 0..100 {
        let (mut call, step) = world.begin(world.ask());
        world.now = sent(step).hedge_at;
        for number in 2..=4 {
            let hedge = sent(overdue(&mut world, &mut call));
            assert_eq!(hedge.number, number, "round {round}, seed {seed}");
            world.now = hedge.hedge_at.min(world.now + DELAY);
        }
    }
}
