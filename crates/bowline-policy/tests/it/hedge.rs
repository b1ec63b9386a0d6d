//! A second try beside one that is late.

use crate::world::{MS, World};
use bowline_model::decision::{BreakerState, GiveUp, TryEnd, WithheldWhy};
use bowline_model::{Deadline, Decision, Instant, Outcome, SplitMix64};
use bowline_policy::balance::{Balancer, HostState, Joining};
use bowline_policy::{
    AdmissionSettings, Ask, BalanceSettings, BreakerSettings, BudgetSettings, BulkheadSettings, Call,
    CallPolicy, ConcurrentBudget, CrossHop, Edge, HedgeAfter, HedgeEnd, HedgeSettings, OutlierSettings,
    Parts, Pushback, Ratio, Report, RetrySettings, Step, Try, classify,
};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const OK: TryEnd = TryEnd::Answered { status: 200 };
const ANSWERED_503: TryEnd = TryEnd::Answered { status: 503 };
const LATE: Duration = Duration::from_millis(20);

/// A hedge after 20 ms for every call, and everything that a try can hold.
fn policy() -> CallPolicy {
    CallPolicy {
        hedge: Some(HedgeSettings { after: HedgeAfter::Fixed(LATE), tries: 2, ratio: Ratio::ONE }),
        budget: Some(BudgetSettings {
            concurrent: Some(ConcurrentBudget { ratio: Ratio::ONE, min: 9 }),
            ..BudgetSettings::default()
        }),
        breaker: Some(BreakerSettings { consecutive: Some(9), ..BreakerSettings::default() }),
        bulkhead: Some(BulkheadSettings { concurrent: 9, queue: 0, wait: MS }),
        ..CallPolicy::default()
    }
}

fn world(policy: CallPolicy) -> World {
    world_of(policy, 3)
}

fn world_of(policy: CallPolicy, hosts: u16) -> World {
    let joining = (0..hosts).map(|host| Joining { key: host.to_string().into(), weight: 1 });
    let outlier = Some(OutlierSettings { consecutive_5xx: Some(1), ..OutlierSettings::OURS });
    let balancer = Balancer::new(BalanceSettings::OURS, outlier, joining, Instant::ZERO, None);
    World::on(Edge::with(policy, Parts { balancer: Some(balancer), ..Parts::default() }))
}

fn ask(world: &World) -> Ask {
    Ask { repeatable: true, ..world.ask() }
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

fn ended(world: &mut World, call: &mut Call, number: u32, end: TryEnd) -> Step {
    let report = Report::new(end, classify::of(end, false));
    call.ended_try(number, world.now, report, &mut world.rng, &mut world.trail)
}

/// A call whose first try is late, and which is hedged then.
fn hedged(world: &mut World) -> (Call, Try, Try) {
    let (mut call, step) = world.begin(ask(world));
    let first = sent(step);
    world.now = first.hedge_at;
    let second = sent(overdue(world, &mut call));
    (call, first, second)
}

/// Calls of which a share may be hedges.
fn calls_before(world: &mut World) {
    (0..9).for_each(|_| drop(world.begin(ask(world))));
    world.trail.clear();
}

fn holds_nothing(edge: &Edge, now: Instant) {
    let bulkhead = edge.bulkhead().unwrap();
    assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0), "bulkhead");
    let budget = edge.budget().unwrap();
    assert_eq!((budget.active(), budget.retrying()), (0, 0), "budget");
    assert_eq!(edge.breaker().unwrap().probes_out(now), 0, "breaker");
    assert_eq!(edge.hedge().unwrap().under_way(), 0, "hedges");
    let pending: u32 = edge.balancer().unwrap().hosts().map(|host| host.pending()).sum();
    assert_eq!(pending, 0, "balancer");
}

fn withheld(world: &World) -> Vec<WithheldWhy> {
    let of = |decision: &Decision| match decision {
        Decision::HedgeWithheld { why } => Some(*why),
        _ => None,
    };
    world.trail.decisions().iter().filter_map(|(_, decision)| of(decision)).collect()
}

fn hedges(edge: &Edge) -> Vec<(HedgeEnd, u64)> {
    edge.counters().hedges().collect()
}

// === who wins ===

#[test]
fn a_late_try_gets_another_beside_it_on_another_host_and_the_first_good_answer_wins() {
    for winner in [1, 2] {
        let mut world = world(policy());
        let (mut call, first, second) = hedged(&mut world);
        assert_eq!((second.number, call.under_way()), (2, 2));
        assert_ne!(first.host, second.host);
        world.now += MS * 5;
        let Step::End(end) = ended(&mut world, &mut call, winner, OK) else { panic!() };
        assert_eq!((end.reason, end.outcome, end.tries), (GiveUp::Done, Outcome::Succeeded, 2));
        drop(call.into_permit());
        holds_nothing(&world.edge, world.now);
        let expected = if winner == 2 { HedgeEnd::Won } else { HedgeEnd::Outrun };
        assert_eq!(hedges(&world.edge), [(expected, 1)]);
        let loser = world.trail.decisions().iter().find_map(|(_, decision)| match *decision {
            Decision::TryEnded { number, end: TryEnd::Outrun, took, .. } => Some((number, took)),
            _ => None,
        });
        assert_eq!(loser, Some(if winner == 2 { (1, LATE + MS * 5) } else { (2, MS * 5) }));
    }
}

#[test]
fn a_cancelled_loser_is_no_failure_of_its_host_and_its_host_counts_as_at_least_so_slow() {
    let mut world = world(policy());
    let (mut call, first, second) = hedged(&mut world);
    world.now += MS * 5;
    ended(&mut world, &mut call, 2, OK);
    drop(call);
    let (now, edge) = (world.now, Arc::clone(&world.edge));
    assert_eq!(edge.breaker().unwrap().counts(now).0, 0, "no failure in the breaker");
    let balancer = edge.balancer().unwrap();
    assert!(balancer.hosts().all(|host| host.state(now) == HostState::Well), "nobody is left out");
    // Many picks of two: whoever was late is expected to take at least 25 ms, the winner 5.
    let mut rng = SplitMix64::new(7);
    let mut picked = [0; 3];
    for _ in 0..300 {
        let host = balancer.pick(now, &mut Default::default(), None, &mut rng).unwrap().host;
        balancer.give_back(host);
        picked[usize::from(host)] += 1;
    }
    assert!(picked[usize::from(first.host)] < picked[usize::from(second.host)], "{picked:?}");
}

#[test]
fn a_failure_of_one_does_not_end_the_other() {
    for (fails, wins) in [(1, 2), (2, 1)] {
        for end in [ANSWERED_503, TryEnd::Reset, TryEnd::TimedOut, TryEnd::ConnectFailed] {
            let mut world = world(policy());
            let (mut call, ..) = hedged(&mut world);
            let step = ended(&mut world, &mut call, fails, end);
            assert_eq!(step, Step::Watch { until: Instant::FAR }, "{end}");
            assert_eq!(call.under_way(), 1);
            let Step::End(done) = ended(&mut world, &mut call, wins, OK) else { panic!("{end}") };
            assert_eq!((done.reason, done.outcome), (GiveUp::Done, Outcome::Succeeded));
            drop(call);
            holds_nothing(&world.edge, world.now);
        }
    }
}

#[test]
fn an_answer_that_asking_again_cannot_change_ends_both() {
    let mut world = world(policy());
    let (mut call, ..) = hedged(&mut world);
    let Step::End(end) = ended(&mut world, &mut call, 2, TryEnd::Answered { status: 404 }) else { panic!() };
    assert_eq!(end.reason, GiveUp::NotRetryable);
    assert_eq!(end.outcome, Outcome::Unknown, "what was cancelled may have had an effect");
    assert_eq!(hedges(&world.edge), [(HedgeEnd::Won, 1)]);
}

#[test]
fn when_all_have_failed_the_retry_rule_decides_as_ever_and_hedges_count_as_tries() {
    for (tries, follows) in [(2, false), (3, true)] {
        let mut world = world(CallPolicy { retry: RetrySettings::tries(tries), ..policy() });
        let (mut call, ..) = hedged(&mut world);
        ended(&mut world, &mut call, 1, ANSWERED_503);
        let step = ended(&mut world, &mut call, 2, ANSWERED_503);
        assert_eq!(matches!(step, Step::Sleep { .. }), follows, "{step:?}");
        if let Step::Sleep { until } = step {
            world.now = until;
            let third = sent(world.woke(&mut call));
            assert_eq!((third.number, third.hedge_at), (3, Instant::FAR), "its hedges are used up");
        }
        assert_eq!(hedges(&world.edge), [(HedgeEnd::Failed, 1)]);
    }
}

#[test]
fn more_copies_follow_one_after_the_other_and_never_more_than_allowed() {
    let hedge = HedgeSettings { tries: 9, ..policy().hedge.unwrap() };
    let mut world = world_of(CallPolicy { hedge: Some(hedge), ..policy() }, 9);
    calls_before(&mut world);
    let (mut call, step) = world.begin(ask(&world));
    let mut hedge_at = sent(step).hedge_at;
    for number in 2..=HedgeSettings::TRIES_MAX {
        world.now = hedge_at;
        let what = sent(overdue(&mut world, &mut call));
        assert_eq!((what.number, call.under_way()), (number, number));
        hedge_at = what.hedge_at;
    }
    assert_eq!(hedge_at, Instant::FAR);
    drop(call);
    holds_nothing(&world.edge, world.now);
    assert_eq!(hedges(&world.edge), [(HedgeEnd::Cancelled, 4)]);
}

// === what is not hedged ===

fn not_hedged(policy: CallPolicy, ask: impl FnOnce(Ask) -> Ask, hosts: u16) -> Vec<WithheldWhy> {
    let mut world = world_of(policy, hosts);
    let (mut call, step) = world.begin(ask(ask_of(&world)));
    let first = sent(step);
    if first.hedge_at < Instant::FAR {
        world.now = first.hedge_at;
        let step = overdue(&mut world, &mut call);
        assert_eq!(step, Step::Watch { until: Instant::FAR });
        let Step::End(end) = ended(&mut world, &mut call, 1, OK) else { panic!() };
        assert_eq!(end.reason, GiveUp::Done, "a hedge that is withheld does not fail the call");
    }
    drop(call);
    holds_nothing(&world.edge, world.now);
    withheld(&world)
}

fn ask_of(world: &World) -> Ask {
    ask(world)
}

#[test]
fn each_call_that_is_not_hedged_says_why() {
    let same = |ask: Ask| ask;
    let not_repeatable = |ask: Ask| Ask { repeatable: false, ..ask };
    assert_eq!(not_hedged(policy(), not_repeatable, 3), [WithheldWhy::NotSafe]);

    let second_try = |ask: Ask| Ask { arrived_try: 2, ..ask };
    assert_eq!(not_hedged(policy(), second_try, 3), [WithheldWhy::RetriedElsewhere]);
    let ignored = CallPolicy { cross_hop: CrossHop::Ignored, ..policy() };
    let mut world = world(ignored);
    let asked = Ask { arrived_try: 2, ..ask(&world) };
    assert!(sent(world.begin(asked).1).hedge_at < Instant::FAR);

    let soon = |ask: Ask| Ask { deadline: Deadline::after(ask.now, LATE), ..ask };
    assert_eq!(not_hedged(policy(), soon, 3), [WithheldWhy::DeadlineTooClose]);

    let learned = HedgeSettings { ratio: Ratio::ONE, ..HedgeSettings::OURS };
    let learned = CallPolicy { hedge: Some(learned), ..policy() };
    assert_eq!(not_hedged(learned, same, 3), [WithheldWhy::TooFewSamples]);

    let never = HedgeSettings { ratio: Ratio::percent(5), ..policy().hedge.unwrap() };
    let never = CallPolicy { hedge: Some(never), ..policy() };
    assert_eq!(not_hedged(never, same, 3), [WithheldWhy::ShareReached]);

    let spent = BudgetSettings { ratio: Ratio::ZERO, min_per_second: 0, ..policy().budget.unwrap() };
    let spent = CallPolicy { budget: Some(spent), ..policy() };
    assert_eq!(not_hedged(spent, same, 3), [WithheldWhy::BudgetExhausted]);

    let full = BulkheadSettings { concurrent: 1, queue: 5, wait: MS };
    let full = CallPolicy { bulkhead: Some(full), ..policy() };
    assert_eq!(not_hedged(full, same, 3), [WithheldWhy::BulkheadFull]);
}

#[test]
fn a_body_that_is_not_kept_is_not_hedged() {
    let mut world = world(policy());
    let (mut call, step) = world.begin(ask(&world));
    world.now = sent(step).hedge_at;
    call.overdue(world.now, false, &mut world.rng, &mut world.trail);
    assert_eq!(withheld(&world), [WithheldWhy::BodyNotKept]);
}

#[test]
fn while_the_breaker_is_not_closed_nothing_is_hedged() {
    let mut world = world(policy());
    let (mut call, step) = world.begin(ask(&world));
    let first = sent(step);
    for _ in 0..9 {
        let (mut other, _) = world.begin(ask(&world));
        world.ended(&mut other, TryEnd::Reset);
    }
    assert_eq!(world.edge.breaker().unwrap().state(world.now), BreakerState::Open);
    world.now = first.hedge_at;
    overdue(&mut world, &mut call);
    assert_eq!(withheld(&world), [WithheldWhy::BreakerNotClosed]);
}

#[test]
fn while_calls_are_rejected_nothing_is_hedged_and_no_reject_is_counted_for_it() {
    let admission = Some(AdmissionSettings::default());
    let mut world = world(CallPolicy { admission, breaker: None, ..policy() });
    let (mut call, step) = world.begin(ask(&world));
    let first = sent(step);
    world.now = first.hedge_at;
    // Of thirty tries three are accepted: twice as many are let through.
    for number in 0..30 {
        let accepted = number % 10 == 0;
        world.edge.admission().unwrap().decided(world.now, accepted);
    }
    let counted = world.edge.admission().unwrap().counts(world.now);
    overdue(&mut world, &mut call);
    assert_eq!(withheld(&world), [WithheldWhy::Throttled]);
    assert_eq!(world.edge.admission().unwrap().counts(world.now), counted);
}

#[test]
fn a_hedge_counts_for_admission_when_it_has_ended_and_who_is_outrun_does_not() {
    let admission = Some(AdmissionSettings::default());
    let mut world = world(CallPolicy { admission, ..policy() });
    let (mut call, _, second) = hedged(&mut world);
    ended(&mut world, &mut call, second.number, OK);
    assert_eq!(world.edge.admission().unwrap().counts(world.now), (1, 1));
}

#[test]
fn one_host_is_asked_again_and_of_several_only_another() {
    let mut world = world_of(policy(), 1);
    let (_, first, second) = hedged(&mut world);
    assert_eq!((first.host, second.host), (0, 0), "it may be many behind an address");

    let mut world = world_of(policy(), 2);
    let (mut call, step) = world.begin(ask(&world));
    let first = sent(step);
    let balancer = Arc::clone(world.edge.parts().balancer.as_ref().unwrap());
    balancer.hosts().enumerate().filter(|(index, _)| *index != usize::from(first.host)).for_each(
        |(_, host)| {
            host.checked(world.now, false);
        },
    );
    world.now = first.hedge_at;
    overdue(&mut world, &mut call);
    assert_eq!(withheld(&world), [WithheldWhy::NoHost]);
}

#[test]
fn a_pushback_stops_hedging_and_a_never_stops_retries_too() {
    let hedge = HedgeSettings { tries: 3, ..policy().hedge.unwrap() };
    let retry = RetrySettings::tries(5);
    for (pushback, follows) in [(Pushback::After(MS), true), (Pushback::Never, false)] {
        let mut world = world(CallPolicy { hedge: Some(hedge), retry: retry.clone(), ..policy() });
        let (mut call, ..) = hedged(&mut world);
        let end = TryEnd::AnsweredGrpc { code: 14, trailers_only: true };
        let report = Report { pushback: Some(pushback), ..Report::new(end, Outcome::Unknown) };
        let step = call.ended_try(2, world.now, report, &mut world.rng, &mut world.trail);
        assert_eq!(step, Step::Watch { until: Instant::FAR });
        assert_eq!(withheld(&world), [WithheldWhy::PushedBack]);
        let step = ended(&mut world, &mut call, 1, ANSWERED_503);
        assert_eq!(matches!(step, Step::Sleep { .. }), follows, "{step:?}");
    }
}

#[test]
fn a_driver_that_cannot_send_two_at_once_may_leave_it() {
    let mut world = world(policy());
    let (end, tries) = world.run(ask(&world), &[OK]);
    assert_eq!((end.reason, tries.len()), (GiveUp::Done, 1));
}

// === what is learned ===

#[test]
fn the_delay_is_the_p95_of_first_tries_however_many_are_outrun() {
    let hedge = HedgeSettings { ratio: Ratio::ONE, ..HedgeSettings::OURS };
    let policy = CallPolicy { hedge: Some(hedge), ..CallPolicy::default() };
    let mut world = world(policy);
    let seed = 11;
    let mut chance = SplitMix64::new(seed);
    let (mut hedged, mut delays) = (0, Vec::new());
    for _ in 0..20_000_u32 {
        world.trail.clear();
        let begun = world.now;
        let (mut call, step) = world.begin(ask(&world));
        let first = sent(step);
        // Evenly from 1 to 101 ms.
        let takes = Duration::from_micros(1_000 + bowline_model::Random::below(&mut chance, 100_000));
        if first.hedge_at <= begun + takes {
            world.now = first.hedge_at;
            sent(overdue(&mut world, &mut call));
            hedged += 1;
            delays.push(first.hedge_at.since(begun));
            ended(&mut world, &mut call, 2, OK);
        } else {
            world.now = begun + takes;
            ended(&mut world, &mut call, 1, OK);
        }
        world.now = begun + MS;
    }
    let last = delays[delays.len() - 100..].iter().sum::<Duration>() / 100;
    let share = f64::from(hedged) / 20_000.0;
    println!("seed {seed}: hedged {:.2} %, the delay is {last:?}", share * 1e2);
    assert!((0.04..0.06).contains(&share), "seed {seed}: {share}");
    assert!((MS * 90..MS * 102).contains(&last), "seed {seed}: {last:?}");
}

#[test]
fn over_a_reload_what_is_late_stays_known() {
    let before = Edge::new(policy());
    let kept = Edge::with(policy(), before.parts().clone());
    assert!(Arc::ptr_eq(before.parts().hedge.as_ref().unwrap(), kept.parts().hedge.as_ref().unwrap()));
    let other = HedgeSettings { tries: 3, ..policy().hedge.unwrap() };
    let anew = Edge::with(CallPolicy { hedge: Some(other), ..policy() }, before.parts().clone());
    assert!(!Arc::ptr_eq(before.parts().hedge.as_ref().unwrap(), anew.parts().hedge.as_ref().unwrap()));
}

// === every order of events ===

#[derive(Clone, Copy, Debug)]
enum Event {
    Late,
    Ends(u32, TryEnd),
    Wakes,
}

const ALPHABET: [Event; 8] = [
    Event::Late,
    Event::Ends(1, OK),
    Event::Ends(1, ANSWERED_503),
    Event::Ends(2, OK),
    Event::Ends(2, TryEnd::TimedOut),
    Event::Ends(2, TryEnd::Cancelled),
    Event::Ends(3, OK),
    Event::Wakes,
];

/// Plays `events` on a call and gives it up after them; says how many were under way at most.
fn play(events: &[Event]) -> u32 {
    let hedge = HedgeSettings { tries: 3, ..policy().hedge.unwrap() };
    let mut world = world(CallPolicy { hedge: Some(hedge), retry: RetrySettings::tries(4), ..policy() });
    calls_before(&mut world);
    let asked = ask(&world);
    let (mut call, mut step) = world.begin(asked);
    let mut most = 0;
    for event in events {
        step = match (*event, step) {
            (_, Step::End(_)) => break,
            (Event::Late, _) => {
                world.now += LATE;
                overdue(&mut world, &mut call)
            }
            (Event::Ends(number, end), _) => ended(&mut world, &mut call, number, end),
            (Event::Wakes, Step::Sleep { until }) => {
                world.now = until;
                world.woke(&mut call)
            }
            (Event::Wakes, _) => world.woke(&mut call),
        };
        most = most.max(call.under_way());
        let (edge, under_way) = (&world.edge, call.under_way());
        let pending: u32 = edge.balancer().unwrap().hosts().map(|host| host.pending()).sum();
        assert_eq!(pending, under_way, "{events:?}");
        assert!(edge.hedge().unwrap().under_way() <= 2, "{events:?}");
        assert!(edge.bulkhead().unwrap().running() <= 1 + edge.hedge().unwrap().under_way(), "{events:?}");
        assert!(call.tries() <= 4, "{events:?}");
    }
    drop(call);
    holds_nothing(&world.edge, world.now);
    let counted: u64 = world.edge.counters().hedges().map(|(_, count)| count).sum();
    let told = |decision: &Decision| matches!(decision, Decision::HedgeSent { .. });
    let told = world.trail.decisions().iter().filter(|(_, decision)| told(decision)).count() as u64;
    assert_eq!(counted, told, "every hedge is counted once: {events:?}");
    most
}

#[test]
fn whatever_the_order_of_events_never_more_than_allowed_are_under_way_and_all_comes_back() {
    const LENGTH: u32 = 5;
    let letters = ALPHABET.len() as u32;
    let mut most = 0;
    for word in 0..letters.pow(LENGTH) {
        let events: Vec<Event> =
            (0..LENGTH).map(|place| ALPHABET[(word / letters.pow(place) % letters) as usize]).collect();
        most = most.max(play(&events));
    }
    assert_eq!(most, 3, "a walk that never had three under way proves nothing");
}

proptest! {
    /// The same for long histories, several calls at once on one edge.
    #[test]
    fn long_histories_of_several_calls_give_everything_back(
        seed in any::<u64>(),
        events in prop::collection::vec((0_usize..4, 0_usize..ALPHABET.len(), 0_u64..30), 1..200),
    ) {
        let hedge = HedgeSettings { tries: 3, ratio: Ratio::percent(50), after: HedgeAfter::Fixed(LATE) };
        let mut world = world(CallPolicy { hedge: Some(hedge), retry: RetrySettings::tries(4), ..policy() });
        world.rng = SplitMix64::new(seed);
        let mut calls: Vec<Option<(Call, Step)>> = (0..4).map(|_| None).collect();
        for (which, letter, pause) in events {
            world.now += Duration::from_millis(pause);
            let Some((call, step)) = &mut calls[which] else {
                let asked = ask(&world);
                calls[which] = Some(world.begin(asked));
                continue;
            };
            *step = match (ALPHABET[letter], *step) {
                (Event::Late, _) => overdue(&mut world, call),
                (Event::Ends(number, end), _) => ended(&mut world, call, number, end),
                (Event::Wakes, _) => world.woke(call),
            };
            if matches!(step, Step::End(_)) {
                calls[which] = None;
            }
        }
        drop(calls);
        holds_nothing(&world.edge, world.now);
    }
}
