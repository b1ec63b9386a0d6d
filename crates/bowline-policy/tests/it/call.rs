//! One call, driven from its admission to its end.

use crate::world::{MS, World};
use bowline_fault::{Fault, Kind, Percent, Plan, Then};
use bowline_model::decision::{BreakerMove, BreakerState, DeadlineSource, GiveUp, RetryWhy, TryEnd};
use bowline_model::{Deadline, Decision, Instant, Outcome, Priority};
use bowline_policy::{
    AdmissionSettings, Ask, Backoff, BreakerSettings, BudgetSettings, BulkheadSettings, CallPolicy,
    ConcurrentBudget, CrossHop, DoomedSettings, Pushback, RateSettings, Ratio, Report, RetrySettings, Step,
    classify,
};
use proptest::prelude::*;
use std::task::Poll;
use std::time::Duration;

const OK: TryEnd = TryEnd::Answered { status: 200 };
const REFUSED: TryEnd = TryEnd::ConnectFailed;
const ANSWERED_500: TryEnd = TryEnd::Answered { status: 500 };

fn tries(tries: u32) -> CallPolicy {
    CallPolicy { retry: RetrySettings::tries(tries), ..CallPolicy::default() }
}

fn everything() -> CallPolicy {
    CallPolicy {
        budget: Some(BudgetSettings::default()),
        breaker: Some(BreakerSettings { consecutive: Some(1), probes: 1, ..BreakerSettings::default() }),
        bulkhead: Some(BulkheadSettings { concurrent: 1, queue: 1, wait: MS * 20 }),
        ..tries(3)
    }
}

fn holds_nothing(world: &World) {
    let (edge, now) = (&world.edge, world.now);
    let bulkhead = edge.bulkhead().unwrap();
    assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0), "bulkhead");
    let budget = edge.budget().unwrap();
    assert_eq!((budget.active(), budget.retrying()), (0, 0), "budget");
    assert_eq!(edge.breaker().unwrap().probes_out(now), 0, "breaker");
}

// === tries ===

#[test]
fn one_call_by_default_is_one_try_and_nothing_else() {
    let mut world = World::new(CallPolicy::default());
    let (end, tries) = world.run(world.ask(), &[REFUSED]);
    assert_eq!((end.reason, end.outcome, tries.len()), (GiveUp::TriesExhausted, Outcome::Refused, 1));
}

#[test]
fn a_refused_call_is_tried_on_the_other_hosts_in_turn() {
    let mut world = World::new(tries(4));
    let ask = Ask { hash: Some(2), ..world.ask() };
    let (end, tries) = world.run(ask, &[REFUSED]);
    let hosts: Vec<_> = tries.iter().map(|what| what.host).collect();
    assert_eq!(hosts, [2, 0, 1, 2]);
    assert_eq!((end.reason, end.tries, end.last), (GiveUp::TriesExhausted, 4, Some(REFUSED)));
}

#[test]
fn with_the_first_two_tries_dropped_the_third_gets_through() {
    let faults = Plan::new(vec![Fault { kind: Kind::DropFirst(2), percent: Percent::ALWAYS }]);
    let mut world = World::new(CallPolicy { faults, ..tries(3) });
    let (mut call, mut step) = world.begin(world.ask());
    let mut sent = Vec::new();
    let end = loop {
        step = match step {
            Step::Send(what) => {
                sent.push(what.injection.then);
                let end = if what.injection.then == Then::Drop { TryEnd::ConnectFailed } else { OK };
                world.ended(&mut call, end)
            }
            Step::Sleep { until } => {
                world.now = until;
                world.woke(&mut call)
            }
            Step::End(end) => break end,
            Step::Wait { .. } | Step::Watch { .. } => panic!("no bulkhead to wait for, nothing to hedge"),
        };
    };
    assert_eq!(sent, [Then::Drop, Then::Drop, Then::Send]);
    assert_eq!((end.reason, end.outcome, end.tries), (GiveUp::Done, Outcome::Succeeded, 3));
}

#[test]
fn a_refusal_after_an_unknown_try_does_not_make_the_call_refused() {
    for last in [REFUSED, TryEnd::Answered { status: 404 }] {
        let mut world = World::new(tries(2));
        let ask = Ask { repeatable: true, ..world.ask() };
        let (end, tries) = world.run(ask, &[TryEnd::Reset, last]);
        assert_eq!((end.outcome, tries.len()), (Outcome::Unknown, 2), "{last}");
    }
    let mut world = World::new(tries(2));
    let ask = Ask { repeatable: true, ..world.ask() };
    assert_eq!(world.run(ask, &[TryEnd::Reset, OK]).0.outcome, Outcome::Succeeded);
}

#[test]
fn what_the_driver_forbids_is_not_sent_again() {
    let mut world = World::new(tries(3));
    let (mut call, _) = world.begin(world.ask());
    call.forbid_retry(GiveUp::BodyTooLarge);
    let Step::End(end) = world.ended(&mut call, REFUSED) else { panic!("sent again") };
    assert_eq!(end.reason, GiveUp::BodyTooLarge);
}

#[test]
fn what_arrives_as_a_second_try_is_tried_again_only_after_a_refusal() {
    for (arrived, cross_hop, expected) in [
        (0, CrossHop::SecondTries, 2),
        (1, CrossHop::SecondTries, 2),
        (2, CrossHop::SecondTries, 1),
        (1, CrossHop::AnyTry, 1),
        (9, CrossHop::Ignored, 2),
    ] {
        let mut world = World::new(CallPolicy { cross_hop, ..tries(2) });
        let ask = Ask { repeatable: true, arrived_try: arrived, ..world.ask() };
        assert_eq!(world.run(ask, &[TryEnd::Reset]).1.len(), expected, "{arrived} {cross_hop:?}");
        assert_eq!(
            world.run(Ask { now: world.now, ..ask }, &[REFUSED]).1.len(),
            2,
            "{arrived} {cross_hop:?}"
        );
    }
}

#[test]
fn a_step_out_of_turn_repeats_what_is_due() {
    let mut world = World::new(tries(2));
    let (mut call, sent) = world.begin(world.ask());
    assert_eq!(world.woke(&mut call), sent);
    assert_eq!(world.poll_place(&mut call), Poll::Ready(sent));
    let slept = world.ended(&mut call, REFUSED);
    assert_eq!(world.woke(&mut call), slept, "woken too early");
    assert_eq!(world.ended(&mut call, OK), slept, "nothing was sent");
    let Step::Sleep { until } = slept else { panic!("{slept:?}") };
    world.now = until;
    world.woke(&mut call);
    let ended = world.ended(&mut call, OK);
    assert_eq!(world.woke(&mut call), ended);
    assert_eq!(world.ended(&mut call, REFUSED), ended);
    let ends: Vec<_> = world.edge.counters().ends().collect();
    assert_eq!(ends, [(GiveUp::Done, 1)], "ended once");
}

// === time ===

#[test]
fn a_call_that_arrives_too_late_sends_nothing() {
    let mut world = World::new(tries(3));
    let ask = Ask { deadline: Deadline::at(world.now), ..world.ask() };
    let (end, tries) = world.run(ask, &[OK]);
    assert_eq!((end.reason, end.outcome, tries.len()), (GiveUp::DeadlineExceeded, Outcome::Refused, 0));
}

#[test]
fn a_try_ends_with_its_own_time_or_the_deadline_whichever_is_first() {
    let retry = RetrySettings { per_try: Some(MS * 600), backoff: Backoff::None, ..RetrySettings::tries(2) };
    let mut world = World::new(CallPolicy { retry, ..CallPolicy::default() });
    let (mut call, step) = world.begin(world.ask());
    let Step::Send(first) = step else { panic!("{step:?}") };
    assert_eq!((first.until, first.until_is_deadline), (world.now + MS * 600, false));
    world.now += MS * 500;
    let step = world.ended(&mut call, REFUSED);
    let Step::Send(second) = step else { panic!("{step:?}") };
    assert_eq!((second.until, second.until_is_deadline), (world.now + MS * 500, true));
}

#[test]
fn a_call_without_a_deadline_is_never_too_late() {
    let mut world = World::new(tries(5));
    let ask = Ask { deadline: Deadline::NEVER, deadline_by: DeadlineSource::Nobody, ..world.ask() };
    let (end, tries) = world.run(ask, &[REFUSED]);
    assert_eq!((end.reason, tries.len()), (GiveUp::TriesExhausted, 5));
    assert_eq!(tries[0].until, Instant::FAR);
}

#[test]
fn a_pushback_is_slept_exactly_and_told_at_the_end() {
    let mut world = World::new(tries(2));
    let asked = Some(Pushback::After(MS * 77));
    let pushed = Report { pushback: asked, ..Report::new(REFUSED, Outcome::Refused) };
    let (mut call, _) = world.begin(world.ask());
    let step = world.report(&mut call, pushed);
    assert_eq!(step, Step::Sleep { until: world.now + MS * 77 });
    world.now += MS * 77;
    world.woke(&mut call);
    let Step::End(end) = world.report(&mut call, pushed) else { panic!("a third try") };
    assert_eq!(end.retry_after, Some(MS * 77));
}

// === the edge ===

#[test]
fn an_open_breaker_refuses_and_says_when_to_come_back() {
    let mut world = World::new(CallPolicy { bulkhead: None, ..everything() });
    world.run(world.ask(), &[ANSWERED_500]);
    let (end, tries) = world.run(world.ask(), &[OK]);
    assert_eq!((end.reason, end.outcome, tries.len()), (GiveUp::BreakerOpen, Outcome::Refused, 0));
    assert!(end.retry_after.is_some_and(|span| Duration::from_secs(4) < span), "{end:?}");
}

#[test]
fn a_try_that_waited_for_the_caller_says_nothing_about_the_callee() {
    let breaker = BreakerSettings { consecutive: Some(1), ..BreakerSettings::default() };
    let mut world = World::new(CallPolicy { breaker: Some(breaker), ..CallPolicy::default() });
    let late = Report::new(TryEnd::DeadlineExceeded, Outcome::Unknown);
    for (callers_turn, opens) in [(true, false), (false, true)] {
        let (mut call, _) = world.begin(world.ask());
        world.report(&mut call, Report { callers_turn, ..late });
        let state = world.edge.breaker().unwrap().state(world.now);
        assert_eq!(state == BreakerState::Open, opens, "{callers_turn}");
    }
}

#[test]
fn a_breaker_that_opens_under_a_call_ends_its_tries() {
    let mut world = World::new(CallPolicy { bulkhead: None, ..everything() });
    let ask = Ask { repeatable: true, ..world.ask() };
    let (end, tries) = world.run(ask, &[ANSWERED_500]);
    assert_eq!((end.reason, tries.len()), (GiveUp::BreakerOpen, 1));
    assert_eq!(end.outcome, Outcome::Unknown, "the try before may have had an effect");
}

#[test]
fn a_dropped_probe_makes_room_for_the_next() {
    let mut world = World::new(CallPolicy { bulkhead: None, ..everything() });
    world.run(world.ask(), &[ANSWERED_500]);
    world.now += Duration::from_secs(60);
    let (probe, step) = world.begin(world.ask());
    assert!(matches!(step, Step::Send(_)));
    assert!(matches!(world.begin(world.ask()).1, Step::End(end) if end.reason == GiveUp::BreakerOpen));
    drop(probe);
    assert!(matches!(world.begin(world.ask()).1, Step::Send(_)));
}

#[test]
fn a_full_bulkhead_queues_and_then_refuses() {
    let mut world = World::new(everything());
    let (first, step) = world.begin(world.ask());
    assert!(matches!(step, Step::Send(_)));
    let (mut second, step) = world.begin(world.ask());
    assert_eq!(step, Step::Wait { until: world.now + MS * 20 });
    let (_, step) = world.begin(world.ask());
    assert!(matches!(step, Step::End(end) if end.reason == GiveUp::BulkheadFull));
    assert_eq!(world.poll_place(&mut second), Poll::Pending);
    drop(first);
    assert!(matches!(world.poll_place(&mut second), Poll::Ready(Step::Send(_))));
}

#[test]
fn a_place_is_held_until_the_body_is_through() {
    let mut world = World::new(everything());
    let (mut first, _) = world.begin(world.ask());
    let (mut second, _) = world.begin(world.ask());
    world.ended(&mut first, OK);
    assert_eq!(world.poll_place(&mut second), Poll::Pending);
    let permit = first.into_permit();
    assert_eq!(world.poll_place(&mut second), Poll::Pending);
    drop(permit);
    assert!(matches!(world.poll_place(&mut second), Poll::Ready(Step::Send(_))));
}

#[test]
fn a_wait_in_the_queue_ends() {
    let mut world = World::new(everything());
    let (_first, _) = world.begin(world.ask());
    let (mut second, _) = world.begin(world.ask());
    world.now += MS * 20;
    let Step::End(end) = world.woke(&mut second) else { panic!("still waiting") };
    assert_eq!((end.reason, end.outcome, end.tries), (GiveUp::QueueTimedOut, Outcome::Refused, 0));
}

#[test]
fn a_wait_in_the_queue_ends_with_the_deadline() {
    let mut world = World::new(everything());
    let (_first, _) = world.begin(world.ask());
    let ask = Ask { deadline: Deadline::after(world.now, MS * 5), ..world.ask() };
    let (mut second, step) = world.begin(ask);
    assert_eq!(step, Step::Wait { until: world.now + MS * 5 });
    world.now += MS * 5;
    let Poll::Ready(Step::End(end)) = world.poll_place(&mut second) else { panic!("still waiting") };
    assert_eq!(end.reason, GiveUp::DeadlineExceeded);
}

#[test]
fn a_rate_limited_call_is_told_when_to_come_back() {
    let rate = Some(RateSettings { per_second: 10, burst: 1 });
    let mut world = World::new(CallPolicy { rate, ..CallPolicy::default() });
    let ask = world.ask();
    world.begin(ask);
    let (_, step) = world.begin(ask);
    let Step::End(end) = step else { panic!("{step:?}") };
    assert_eq!((end.reason, end.retry_after), (GiveUp::RateLimited, Some(MS * 100)));
}

#[test]
fn a_call_of_low_priority_gives_its_place_in_the_queue_up_and_says_why() {
    let bulkhead = Some(BulkheadSettings { concurrent: 1, queue: 1, wait: MS * 20 });
    let mut world = World::new(CallPolicy { bulkhead, ..tries(1) });
    let of = |priority| Ask { priority, ..world.ask() };
    let (usual, low, high) = (of(None), of(Some(Priority::Low)), of(Some(Priority::High)));
    let (inside, _) = world.begin(usual);
    let (mut first, _) = world.begin(low);
    let (mut second, step) = world.begin(high);
    assert!(matches!(step, Step::Wait { .. }), "{step:?}");
    let Poll::Ready(Step::End(end)) = world.poll_place(&mut first) else { panic!("still waiting") };
    assert_eq!((end.reason, end.outcome, end.tries), (GiveUp::Displaced, Outcome::Refused, 0));
    drop(first);
    drop(inside);
    assert!(matches!(world.poll_place(&mut second), Poll::Ready(Step::Send(_))));
    drop(second);
    let bulkhead = world.edge.bulkhead().unwrap();
    assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0));
}

#[test]
fn the_policy_says_what_a_call_matters_that_does_not_say_it_itself() {
    let bulkhead = Some(BulkheadSettings { concurrent: 1, queue: 1, wait: MS * 20 });
    let mut world = World::new(CallPolicy { bulkhead, priority: Priority::High, ..tries(1) });
    let (_inside, _) = world.begin(world.ask());
    let (_waits, _) = world.begin(world.ask());
    let told = world
        .trail
        .decisions()
        .iter()
        .any(|(_, decision)| matches!(decision, Decision::Queued { priority: Priority::High, .. }));
    assert!(told, "{:?}", world.trail);
}

/// Fifty tries of a millisecond each are known.
fn with_known_times(let_through: Ratio) -> World {
    let doomed = Some(DoomedSettings { let_through, ..DoomedSettings::default() });
    let mut world = World::new(CallPolicy { doomed, ..tries(1) });
    (0..60).for_each(|_| drop(world.run(world.ask(), &[OK])));
    // What is said of the times may be this much older than the tries.
    world.now += MS * 200;
    world
}

#[test]
fn a_call_with_less_time_left_than_half_of_the_tries_take_is_shed_on_arrival() {
    let mut world = with_known_times(Ratio::ZERO);
    let left = |micros| Deadline::after(world.now, Duration::from_micros(micros));
    let (short, enough) = (left(500), left(2_000));
    let (end, tries) = world.run(Ask { deadline: short, ..world.ask() }, &[OK]);
    assert_eq!((end.reason, end.outcome, tries.len()), (GiveUp::Doomed, Outcome::Refused, 0));
    let told = |decision: &Decision| matches!(decision, Decision::Doomed { remaining, median } if remaining < median);
    assert!(world.trail.decisions().iter().any(|(_, decision)| told(decision)) || 0 < world.trail.dropped());
    let (end, _) = world.run(Ask { deadline: enough, ..world.ask() }, &[OK]);
    assert_eq!(end.reason, GiveUp::Done);
}

#[test]
fn a_few_doomed_calls_pass_so_that_it_is_noticed_when_tries_become_quick_again() {
    let mut world = with_known_times(Ratio::percent(50));
    let ends: Vec<_> = (0..100)
        .map(|_| {
            let ask = Ask { deadline: Deadline::after(world.now, Duration::from_micros(900)), ..world.ask() };
            let (mut call, step) = world.begin(ask);
            if let Step::End(end) = step {
                return end.reason;
            }
            world.now += Duration::from_micros(10);
            world.ended(&mut call, OK);
            GiveUp::Done
        })
        .collect();
    assert!(ends.iter().filter(|end| **end == GiveUp::Done).count() > 20);
    // Now quick ones are the greater part.
    (0..60).for_each(|_| drop(world.run(Ask { now: world.now, ..world.ask() }, &[OK])));
    world.now += Duration::from_secs(300);
    let ask = Ask { deadline: Deadline::after(world.now, Duration::from_micros(900)), ..world.ask() };
    assert!(matches!(world.begin(ask).1, Step::Send(_)), "what is known fades");
}

#[test]
fn too_few_tries_prove_nothing_about_the_time_they_take() {
    let mut world = World::new(CallPolicy { doomed: Some(DoomedSettings::default()), ..tries(1) });
    (0..49).for_each(|_| drop(world.run(world.ask(), &[OK])));
    world.now += MS * 200;
    let ask = Ask { deadline: Deadline::after(world.now, Duration::from_micros(1)), ..world.ask() };
    assert!(matches!(world.begin(ask).1, Step::Send(_)));
}

/// A throttle that ten calls are enough for.
fn throttled() -> CallPolicy {
    let admission = AdmissionSettings { min_calls: 10, ..AdmissionSettings::default() };
    CallPolicy { admission: Some(admission), ..tries(1) }
}

#[test]
fn a_callee_that_accepts_nothing_is_asked_little_and_the_calls_are_refused_here() {
    let mut world = World::new(throttled());
    let busy = TryEnd::Answered { status: 429 };
    let ends: Vec<_> = (0..200).map(|_| world.run(world.ask(), &[busy]).0).collect();
    let rejected: Vec<_> = ends.iter().filter(|end| end.reason == GiveUp::Throttled).collect();
    assert!((150..195).contains(&rejected.len()), "{}", rejected.len());
    assert!(ends[..10].iter().all(|end| end.tries == 1), "ten prove something");
    assert!(rejected.iter().all(|end| (end.outcome, end.tries) == (Outcome::Refused, 0)));
    let told = |decision: &Decision| matches!(decision, Decision::Throttled { accepts: 0, .. });
    assert!(world.trail.decisions().iter().any(|(_, decision)| told(decision)));
}

#[test]
fn a_refusal_of_the_throttle_is_not_tried_again_and_a_retry_is_asked_about_too() {
    let mut world = World::new(CallPolicy { retry: RetrySettings::tries(3), ..throttled() });
    let ends: Vec<_> = (0..200).map(|_| world.run(world.ask(), &[REFUSED]).0).collect();
    assert!(ends.iter().any(|end| (end.reason, end.tries) == (GiveUp::Throttled, 0)));
    assert!(ends.iter().any(|end| (end.reason, end.tries) == (GiveUp::Throttled, 1)), "before its retry");
}

#[test]
fn what_was_answered_counts_as_accepted_and_who_goes_away_says_nothing() {
    let mut world = World::new(throttled());
    for end in [OK, TryEnd::Answered { status: 404 }, TryEnd::Answered { status: 302 }] {
        (0..20).for_each(|_| drop(world.run(world.ask(), &[end])));
    }
    let admission = std::sync::Arc::clone(world.edge.parts().admission.as_ref().unwrap());
    assert_eq!(admission.counts(world.now), (60, 60));
    world.run(world.ask(), &[TryEnd::Cancelled]);
    drop(world.begin(world.ask()));
    assert_eq!(admission.counts(world.now), (60, 60));
    world.run(world.ask(), &[ANSWERED_500]);
    assert_eq!(admission.counts(world.now), (61, 60));
}

#[test]
fn a_destination_without_endpoints_is_a_reason_of_its_own() {
    let mut world = World::new(CallPolicy::default());
    let (end, _) = world.run(Ask { hosts: 0, ..world.ask() }, &[OK]);
    assert_eq!(end.reason, GiveUp::NoHost);
}

#[test]
fn retries_that_sleep_in_back_off_count_against_the_budget_of_all() {
    let concurrent = Some(ConcurrentBudget { ratio: Ratio::ZERO, min: 1 });
    let budget = Some(BudgetSettings { concurrent, ..BudgetSettings::default() });
    let mut world = World::new(CallPolicy { budget, ..tries(2) });
    let (mut first, _) = world.begin(world.ask());
    let (mut second, _) = world.begin(world.ask());
    assert!(matches!(world.ended(&mut first, REFUSED), Step::Sleep { .. }));
    let step = world.ended(&mut second, REFUSED);
    assert!(matches!(step, Step::End(end) if end.reason == GiveUp::BudgetExhausted), "{step:?}");
    drop(first);
    let (mut third, _) = world.begin(world.ask());
    assert!(matches!(world.ended(&mut third, REFUSED), Step::Sleep { .. }), "the sleeper's share came back");
}

/// Drops a call after each of its steps, and before the first.
#[test]
fn a_call_dropped_at_any_step_gives_everything_back() {
    for steps in 0..8 {
        let mut world = World::new(everything());
        // Open, and again half-open, so that the first try is a probe.
        world.run(world.ask(), &[ANSWERED_500]);
        world.now += Duration::from_secs(60);
        let (holder, _) = world.begin(world.ask());
        let (mut call, mut step) = world.begin(world.ask());
        let mut holder = Some(holder);
        for _ in 0..steps {
            step = match step {
                Step::Wait { .. } => {
                    holder = None;
                    match world.poll_place(&mut call) {
                        Poll::Ready(step) => step,
                        Poll::Pending => panic!("the place was free"),
                    }
                }
                Step::Send(_) => world.ended(&mut call, TryEnd::StreamRefused),
                Step::Sleep { until } => {
                    world.now = until;
                    world.woke(&mut call)
                }
                Step::Watch { .. } => panic!("nobody asked for a hedge"),
                Step::End(_) => break,
            };
        }
        drop((call, holder));
        holds_nothing(&world);
    }
}

// === what is told ===

#[test]
fn every_decision_is_told_in_order_with_its_reason() {
    let retry = RetrySettings { per_try: Some(MS * 80), backoff: Backoff::None, ..RetrySettings::tries(2) };
    let consecutive = BreakerSettings { consecutive: Some(1), ..BreakerSettings::default() };
    let mut world = World::new(CallPolicy {
        retry,
        breaker: Some(consecutive),
        bulkhead: Some(BulkheadSettings { concurrent: 4, queue: 0, wait: MS }),
        ..CallPolicy::default()
    });
    world.run(world.ask(), &[TryEnd::StreamRefused, TryEnd::TimedOut]);
    let told: Vec<_> = world.trail.decisions().iter().map(|(_, decision)| *decision).collect();
    let passed = Decision::BreakerPassed { state: BreakerState::Closed, failures: 0, calls: 0 };
    let started = |number, host| Decision::TryStarted { number, host, within: MS * 80 };
    let ended = |number, end, outcome| Decision::TryEnded { number, outcome, end, took: MS };
    assert_eq!(
        told,
        [
            Decision::DeadlineSet { remaining: Duration::from_secs(1), by: DeadlineSource::Policy },
            Decision::Admitted { running: 1 },
            passed,
            started(1, 0),
            ended(1, TryEnd::StreamRefused, Outcome::Refused),
            Decision::RetryScheduled { number: 2, after: Duration::ZERO, why: RetryWhy::Refused },
            passed,
            started(2, 1),
            ended(2, TryEnd::TimedOut, Outcome::Unknown),
            Decision::BreakerMoved {
                from: BreakerState::Closed,
                to: BreakerState::Open,
                why: BreakerMove::Consecutive
            },
            Decision::GaveUp { reason: GiveUp::NotSafe, remaining: Duration::from_secs(1) - MS * 2 },
        ]
    );
}

// === whatever happens ===

fn any_end() -> impl Strategy<Value = TryEnd> {
    prop_oneof![
        Just(OK),
        Just(REFUSED),
        Just(ANSWERED_500),
        Just(TryEnd::Reset),
        Just(TryEnd::TimedOut),
        Just(TryEnd::StreamRefused),
        Just(TryEnd::Answered { status: 404 }),
        Just(TryEnd::Answered { status: 429 }),
        Just(TryEnd::AnsweredGrpc { code: 14, trailers_only: true }),
    ]
}

proptest! {
    /// One call after another over one edge, each with its own time, with everything on.
    #[test]
    fn whatever_the_callee_does_the_promises_hold(
        seed in any::<u64>(),
        calls in prop::collection::vec(
            (1_u64..400, any::<bool>(), 1_u16..4, prop::collection::vec((any_end(), 0_u64..120), 1..6)),
            1..20,
        ),
    ) {
        let breaker = BreakerSettings { consecutive: Some(3), open: MS * 50, ramp: MS * 50, ..BreakerSettings::default() };
        let mut world = World::new(CallPolicy { breaker: Some(breaker), ..everything() });
        world.rng = bowline_model::SplitMix64::new(seed);
        for (deadline_ms, repeatable, hosts, answers) in calls {
            let deadline = Deadline::after(world.now, Duration::from_millis(deadline_ms));
            let ask = Ask { deadline, repeatable, hosts, ..world.ask() };
            let (mut call, mut step) = world.begin(ask);
            let mut last: Option<TryEnd> = None;
            let end = loop {
                step = match step {
                    Step::Send(what) => {
                        prop_assert!(what.number <= 3 && what.host < hosts);
                        prop_assert!(!deadline.has_passed(world.now), "no try after the deadline");
                        prop_assert!(what.until <= deadline.instant());
                        if let Some(last) = last {
                            let outcome = classify::of(last, false);
                            prop_assert!(
                                outcome == Outcome::Refused || (outcome == Outcome::Unknown && repeatable),
                                "sent again after {last}"
                            );
                        }
                        let (end, took) = answers[(what.number as usize - 1).min(answers.len() - 1)];
                        let over = world.now + Duration::from_millis(took);
                        let late = what.until <= over;
                        world.now = over.min(what.until);
                        let end = if late { TryEnd::DeadlineExceeded } else { end };
                        last = Some(end);
                        world.ended(&mut call, end)
                    }
                    Step::Sleep { until } => {
                        prop_assert!(until < deadline.instant(), "never sleeps past the deadline");
                        world.now = until;
                        world.woke(&mut call)
                    }
                    Step::Wait { .. } | Step::Watch { .. } => {
                        return Err(TestCaseError::fail("nobody else is inside"));
                    }
                    Step::End(end) => break end,
                };
            };
            prop_assert_eq!(end.last, last);
            prop_assert!(end.outcome != Outcome::Succeeded || last == Some(OK));
            drop(call);
            holds_nothing(&world);
        }
        let counters = world.edge.counters();
        prop_assert_eq!(counters.ends().map(|(_, count)| count).sum::<u64>(), counters.calls());
    }
}

// === an answer that says at its end how it went ===

/// A call whose answer has only begun, and what its permit says in the end.
fn begun(world: &mut World, last: Option<TryEnd>) -> Step {
    let (mut call, _) = world.begin(world.ask());
    let report = Report { begun: true, ..Report::new(OK, Outcome::Pending) };
    let step = call.ended(world.now, report, &mut world.rng, &mut world.trail);
    let mut permit = call.into_permit();
    world.now += MS * 500;
    if let Some(last) = last {
        permit.settle(world.now, last, &mut world.rng, &mut world.trail);
        // Nothing is told twice.
        permit.settle(world.now, ANSWERED_500, &mut world.rng, &mut world.trail);
    }
    step
}

#[test]
fn the_breaker_waits_for_the_end_of_an_answer_that_has_only_begun() {
    let settings = BreakerSettings { consecutive: Some(1), ..BreakerSettings::default() };
    for (last, state) in [
        (Some(TryEnd::AnsweredGrpc { code: 14, trailers_only: false }), BreakerState::Open),
        (Some(TryEnd::Reset), BreakerState::Open),
        (Some(TryEnd::AnsweredGrpc { code: 0, trailers_only: false }), BreakerState::Closed),
        (None, BreakerState::Closed),
    ] {
        let mut world = World::new(CallPolicy { breaker: Some(settings), ..tries(3) });
        let Step::End(end) = begun(&mut world, last) else { panic!("sent again") };
        assert_eq!((end.reason, end.outcome), (GiveUp::Done, Outcome::Pending));
        assert_eq!(world.edge.breaker().unwrap().state(world.now), state, "{last:?}");
    }
}

#[test]
fn an_answer_that_has_begun_gives_everything_back_whoever_ends_it() {
    for last in [None, Some(TryEnd::Reset), Some(OK)] {
        let mut world = World::new(CallPolicy { breaker: None, ..everything() });
        begun(&mut world, last);
        assert_eq!(world.edge.bulkhead().unwrap().running(), 0);
        assert_eq!(world.edge.budget().unwrap().active(), 0);
    }
    let mut world = World::new(everything());
    begun(&mut world, None);
    holds_nothing(&world);
}
