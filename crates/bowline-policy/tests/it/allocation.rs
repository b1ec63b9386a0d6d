//! The hot path allocates nothing.

use crate::world::{MS, World};
use bowline_fault::{Fault, Kind, Percent, Plan};
use bowline_model::decision::TryEnd;
use bowline_model::{Outcome, SplitMix64};
use bowline_policy::{
    AdmissionSettings, BreakerSettings, BudgetSettings, BulkheadSettings, Call, CallPolicy, DoomedSettings,
    RateSettings, Report, RetrySettings, Step,
};

/// Everything a call can have.
fn policy() -> CallPolicy {
    CallPolicy {
        retry: RetrySettings { per_try: Some(MS * 100), ..RetrySettings::tries(3) },
        budget: Some(BudgetSettings::default()),
        breaker: Some(BreakerSettings::default()),
        bulkhead: Some(BulkheadSettings { concurrent: 64, queue: 32, wait: MS * 20 }),
        rate: Some(RateSettings { per_second: 1_000_000, burst: 1_000 }),
        admission: Some(AdmissionSettings::default()),
        doomed: Some(DoomedSettings::default()),
        faults: Plan::new(vec![Fault { kind: Kind::DropFirst(1), percent: Percent::NEVER }]),
        ..CallPolicy::default()
    }
}

/// Allocations of a thousand calls whose first try ends this way.
fn allocations(first: TryEnd, outcome: Outcome) -> u64 {
    let mut world = World::new(policy());
    let mut rng = SplitMix64::new(1);
    allocation_counter::measure(|| {
        for _ in 0..1_000 {
            world.now += MS;
            let (mut call, mut step) = Call::begin(&world.edge, world.ask(), &mut rng, &mut ());
            while !matches!(step, Step::End(_)) {
                step = match step {
                    Step::Send(what) if what.number == 1 => {
                        call.ended(world.now, Report::new(first, outcome), &mut rng, &mut ())
                    }
                    Step::Sleep { until } => {
                        world.now = until;
                        call.woke(world.now, &mut rng, &mut ())
                    }
                    _ => {
                        let good = Report::new(TryEnd::Answered { status: 200 }, Outcome::Succeeded);
                        call.ended(world.now, good, &mut rng, &mut ())
                    }
                };
            }
            drop(call.into_permit());
        }
    })
    .count_total
}

#[test]
fn a_call_allocates_nothing() {
    assert_eq!(allocations(TryEnd::Answered { status: 200 }, Outcome::Succeeded), 0);
}

#[test]
fn a_call_that_is_tried_again_allocates_nothing() {
    assert_eq!(allocations(TryEnd::Answered { status: 429 }, Outcome::Refused), 0);
}

#[test]
fn a_breaker_that_opens_and_closes_allocates_nothing() {
    assert_eq!(allocations(TryEnd::TimedOut, Outcome::Unknown), 0);
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocation_counter::measure(|| drop(Box::new(1))).count_total, 1);
}
