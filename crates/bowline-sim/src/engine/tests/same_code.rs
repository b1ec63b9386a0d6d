//! The simulator decides nothing: driven by hand on the same script, the machine decides the same.
//!
//! Equal decisions, not equal outcomes: what the world answers is modelled, what Bowline does about it is not.

use crate::fault::{Calls, FaultEvent, FaultKind};
use crate::model::{Do, EdgeId, EdgeSpec, EntrySpec, EntryTo, ServiceId, ServiceSpec};
use crate::run::{RunSpec, at, trail};
use crate::stream::{self, Draw, Purpose};
use crate::{Arrivals, Dist, Model};
use bowline_fault::{Fault, Kind, Percent, Plan, Then};
use bowline_model::decision::{DeadlineSource, TryEnd};
use bowline_model::{Decision, Instant, Random, Trail};
use bowline_policy::deadline::combine;
use bowline_policy::{
    Ask, Backoff, BreakerSettings, BudgetSettings, BulkheadSettings, Call, CallPolicy, ConcurrentBudget,
    Edge, Ratio, Report, RetrySettings, Step, classify,
};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const SEED: u64 = 23;
const WORK: Duration = ms(5);
const DEADLINE: Duration = ms(150);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What the world does: errors from 20 s to 30 s, ten times as slow from 50 s to 60 s.
fn world() -> Vec<FaultEvent> {
    let service = ServiceId(0);
    let event = |from, kind| FaultEvent {
        at: at(Duration::from_secs(from)),
        length: Some(Duration::from_secs(10)),
        kind,
    };
    vec![
        event(
            20,
            FaultKind::Error {
                calls: Calls::to(service),
                replica: None,
                status: 503,
                percent: Percent::ALWAYS,
            },
        ),
        event(50, FaultKind::Slow { service, replica: None, factor: 10.0 }),
    ]
}

fn answer(now: Instant) -> (Duration, Report) {
    let second = now.as_nanos() / 1_000_000_000;
    let report = |status| {
        let end = TryEnd::Answered { status };
        Report::new(end, classify::of(end, false))
    };
    match second {
        20..30 => (Duration::ZERO, report(503)),
        50..60 => (10 * WORK, report(200)),
        _ => (WORK, report(200)),
    }
}

fn policy() -> CallPolicy {
    CallPolicy {
        retry: RetrySettings {
            per_try: Some(ms(40)),
            backoff: Backoff::Decorrelated { base: ms(3), max: ms(30) },
            ..RetrySettings::tries(3)
        },
        budget: Some(BudgetSettings {
            ratio: Ratio::percent(30),
            min_per_second: 1,
            concurrent: Some(ConcurrentBudget::default()),
            ..BudgetSettings::default()
        }),
        breaker: Some(BreakerSettings {
            window: Duration::from_secs(10),
            min_calls: 10,
            failure_ratio: Some(Ratio::percent(50)),
            open: Duration::from_secs(3),
            ..BreakerSettings::default()
        }),
        bulkhead: Some(BulkheadSettings { concurrent: 5, queue: 5, wait: ms(10) }),
        faults: Plan::new(vec![
            Fault { kind: Kind::DropFirst(1), percent: Percent::from_percent(20.0).unwrap() },
            Fault { kind: Kind::Delay(ms(2)), percent: Percent::from_percent(50.0).unwrap() },
        ]),
        ..CallPolicy::default()
    }
}

/// Ten requests a second, far enough from each other that a hand can drive one after the other.
fn spec(policy: CallPolicy, arrivals: Arrivals, faults: Vec<FaultEvent>) -> RunSpec {
    let mut model = Model::builder();
    let server = model.service(ServiceSpec { concurrency: 9, ..ServiceSpec::new("server") });
    let serve = model.serve(server, "serve", vec![Do::Work(Dist::Constant(WORK))]);
    let edge = model.edge(EdgeSpec { policy, deadline: Some(DEADLINE), ..EdgeSpec::new("in", serve) });
    model.entry(EntrySpec { name: "in".into(), to: EntryTo::Call(edge), arrivals, clients: 1 });
    let model = Arc::new(model.build().unwrap());
    RunSpec::new(model, SEED, Duration::ZERO, Duration::from_secs(80)).unwrap().with_faults(faults).unwrap()
}

fn ask(now: Instant, number: u64) -> Ask {
    let (deadline, deadline_by) = combine(now, [(DeadlineSource::Policy, DEADLINE)]);
    let seed = stream(number, Purpose::Injection).next_u64();
    Ask {
        now,
        deadline,
        deadline_by,
        repeatable: true,
        hosts: 1,
        hash: None,
        arrived_try: 0,
        priority: None,
        seed,
    }
}

fn stream(number: u64, purpose: Purpose) -> bowline_model::SplitMix64 {
    let draw = Draw { request: number, ..Draw::default() };
    stream::draw(SEED, stream::of(&["edge", "in"]), purpose, draw)
}

/// One call from its beginning to its end, as a driver would do it whose clock stands still between steps.
fn by_hand(edge: &Arc<Edge>, mut now: Instant, number: u64) -> Trail {
    let (mut rng, mut trail) = (stream(number, Purpose::Policy), Trail::default());
    let (mut call, mut step) = Call::begin(edge, ask(now, number), &mut rng, &mut trail);
    loop {
        step = match step {
            Step::Send(what) => {
                let sent = now + what.injection.delay.unwrap_or_default();
                let (took, report) = match what.injection.then {
                    Then::Drop => {
                        let end = TryEnd::ConnectFailed;
                        (Duration::ZERO, Report::new(end, classify::of(end, false)))
                    }
                    _ => answer(sent),
                };
                let timely = sent + took < what.until;
                let end = if what.until_is_deadline { TryEnd::DeadlineExceeded } else { TryEnd::TimedOut };
                let late = Report::new(end, classify::of(end, false));
                now = if timely { sent + took } else { what.until };
                call.ended(now, if timely { report } else { late }, &mut rng, &mut trail)
            }
            Step::Sleep { until } => {
                now = until;
                call.woke(now, &mut rng, &mut trail)
            }
            Step::Wait { .. } | Step::Watch { .. } => panic!("nobody else is there, nothing is hedged"),
            Step::End(_) => return trail,
        };
    }
}

#[test]
fn driven_by_hand_on_the_same_script_the_machine_decides_the_same() {
    let spec = spec(policy(), Arrivals::Constant { rate: 4.0 }, world());
    let edge = Edge::new(policy());
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..319 {
        let now = Instant::from_nanos((number + 1) * 250_000_000);
        let hand = by_hand(&edge, now, number);
        let simulated = trail(&spec, EdgeId(0), number);
        assert_eq!(hand.decisions(), simulated.decisions(), "request {number}");
        seen.extend(hand.decisions().iter().map(|(_, decision)| kind(decision)));
    }
    // A script that exercises nothing proves nothing.
    for kind in ["BreakerMoved", "BreakerRefused", "RetryScheduled", "FaultInjected", "GaveUp", "TryEnded"] {
        assert!(seen.contains(kind), "{kind} never happened: {seen:?}");
    }
}

#[test]
fn who_waits_for_a_place_gets_it_when_production_would_give_it() {
    let bulkhead = BulkheadSettings { concurrent: 1, queue: 2, wait: ms(8) };
    let policy = CallPolicy { bulkhead: Some(bulkhead), ..CallPolicy::default() };
    let second = 1_000_000_000;
    let arrivals = Arrivals::Trace([second, second, second, second].into());
    let spec = spec(policy.clone(), arrivals, vec![]);

    // One is inside, two wait, one is turned away. The first waits 5 ms for its place, the other 8 ms in vain.
    let edge = Edge::new(policy);
    let start = Instant::from_nanos(second);
    let mut trails: Vec<Trail> = vec![Trail::default(); 4];
    let mut rngs: Vec<_> = (0..4).map(|number| stream(number, Purpose::Policy)).collect();
    let mut calls: Vec<(Option<Call>, Step)> = Vec::new();
    for number in 0..4 {
        let (call, step) =
            Call::begin(&edge, ask(start, number as u64), &mut rngs[number], &mut trails[number]);
        calls.push((Some(call), step));
    }
    let waker = Waker::noop();
    for number in [1, 2] {
        let call = calls[number].0.as_mut().unwrap();
        let polled =
            call.poll_place(start, &mut Context::from_waker(waker), &mut rngs[number], &mut trails[number]);
        assert!(polled.is_pending());
    }
    let done = start + WORK;
    let mut first = calls[0].0.take().unwrap();
    first.ended(done, answer(done).1, &mut rngs[0], &mut trails[0]);
    drop(first);
    let mut second = calls[1].0.take().unwrap();
    let granted = second.poll_place(done, &mut Context::from_waker(waker), &mut rngs[1], &mut trails[1]);
    assert!(matches!(granted, Poll::Ready(Step::Send(_))));
    let too_late = start + ms(8);
    let third = calls[2].0.as_mut().unwrap();
    assert!(matches!(third.woke(too_late, &mut rngs[2], &mut trails[2]), Step::End(_)));
    second.ended(done + WORK, answer(done).1, &mut rngs[1], &mut trails[1]);

    for (number, hand) in trails.iter().enumerate() {
        let simulated = trail(&spec, EdgeId(0), number as u64);
        assert_eq!(hand.decisions(), simulated.decisions(), "request {number}");
    }
}

fn kind(decision: &Decision) -> String {
    let text = format!("{decision:?}");
    text.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}
