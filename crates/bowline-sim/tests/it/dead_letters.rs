//! What sets a record aside: that somebody tried in vain, not that nobody could be asked.

use bowline_fault::Percent;
use bowline_policy::{Backoff, BreakerSettings, BulkheadSettings, CallPolicy, Ratio};
use bowline_sim::fault::Calls;
use bowline_sim::model::{
    Do, EdgeSpec, EntrySpec, EntryTo, IntakeSpec, ServiceId, ServiceSpec, Start, SubscriptionSpec, TopicSpec,
};
use bowline_sim::run::at;
use bowline_sim::{Arrivals, Dist, FaultEvent, FaultKind, Model, Run, RunSpec, run};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

const SEED: u64 = 7;
/// Far fewer than a record is handed out during twenty seconds of trouble.
const DEAD_LETTER_AFTER: u32 = 3;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Five records a second for a consumer whose service is one of 100 a second, with trouble from 10 to 30 s.
fn records(policy: CallPolicy, service: ServiceSpec, trouble: Option<FaultKind>) -> Run {
    let mut model = Model::builder();
    let server = model.service(service);
    let serve = model.serve(server, "serve", vec![Do::Work(Dist::Constant(ms(10)))]);
    let deliver = model.edge(EdgeSpec { policy, ..EdgeSpec::new("consumer", serve) });
    let topic = model.topic(TopicSpec::new("orders"));
    model.subscription(SubscriptionSpec {
        backoff: Backoff::Full { base: ms(100), max: ms(500) },
        dead_letter_after: DEAD_LETTER_AFTER,
        ..SubscriptionSpec::new("orders", topic, deliver)
    });
    let start = Start::Publish(topic);
    let intake = model.intake(IntakeSpec { name: "orders".into(), start, wait: Duration::ZERO });
    let arrivals = Arrivals::Constant { rate: 5.0 };
    model.entry(EntrySpec { name: "in".into(), to: EntryTo::Intake(intake), arrivals, clients: 1 });
    let fault =
        |kind| FaultEvent { at: at(Duration::from_secs(10)), length: Some(Duration::from_secs(20)), kind };
    let spec = RunSpec::new(Arc::new(model.build().unwrap()), SEED, Duration::ZERO, Duration::from_secs(60));
    let spec = spec.unwrap().with_faults(trouble.into_iter().map(fault).collect()).unwrap();
    run(&spec, &mut |_| ControlFlow::Continue(()))
}

#[track_caller]
fn all_done_in_the_end(run: &Run) {
    let told = &run.subscriptions[0];
    assert!(0 < told.redelivered, "seed {SEED}: nothing was refused, so nothing is shown");
    assert_eq!((told.dead, run.fates.completed), (0, run.fates.arrived), "seed {SEED}");
}

fn errors(status: u16) -> FaultKind {
    FaultKind::Error { calls: Calls::to(ServiceId(0)), replica: None, status, percent: Percent::ALWAYS }
}

#[test]
fn a_record_that_bowline_did_not_send_is_not_set_aside() {
    // One at a time, and whoever finds it taken is refused at once: as it is for fifteen of sixteen of a burst.
    let bulkhead = BulkheadSettings { concurrent: 1, queue: 0, wait: Duration::ZERO };
    let paused = FaultKind::Pause { service: ServiceId(0), replica: None };
    let policy = CallPolicy { bulkhead: Some(bulkhead), ..CallPolicy::default() };
    all_done_in_the_end(&records(policy, ServiceSpec::new("server"), Some(paused)));
}

#[test]
fn a_record_that_an_open_breaker_held_back_counts_only_what_was_sent() {
    let half = Ratio::percent(50);
    let breaker = BreakerSettings { min_calls: 4, failure_ratio: Some(half), ..BreakerSettings::default() };
    let policy = CallPolicy { breaker: Some(breaker), ..CallPolicy::default() };
    let run = records(policy, ServiceSpec::new("server"), Some(errors(500)));
    let told = &run.subscriptions[0];
    // Each that is dead was sent that often, and what the breaker held back was sent to nobody.
    assert!(told.dead * u64::from(DEAD_LETTER_AFTER) <= run.edges[0].tries, "seed {SEED}: {told:?}");
    assert!(told.dead < 20, "seed {SEED}: of 100 in the outage {} are dead", told.dead);
    assert!(run.edges[0].tries < told.delivered, "seed {SEED}: the breaker held nothing back");
}

#[test]
fn a_record_that_was_shed_or_met_nobody_is_not_set_aside() {
    let crash = FaultKind::Crash { service: ServiceId(0), replica: None, restart_after: Duration::ZERO };
    all_done_in_the_end(&records(CallPolicy::default(), ServiceSpec::new("server"), Some(crash)));
    let full = ServiceSpec { queue: Some(0), ..ServiceSpec::new("server") };
    let paused = FaultKind::Pause { service: ServiceId(0), replica: None };
    all_done_in_the_end(&records(CallPolicy::default(), full, Some(paused)));
}

#[test]
fn a_record_that_somebody_may_have_acted_on_is_set_aside_after_so_many_deliveries() {
    let run = records(CallPolicy::default(), ServiceSpec::new("server"), Some(errors(500)));
    let told = &run.subscriptions[0];
    assert!(90 < told.dead, "seed {SEED}: of 100 in the outage {} are dead", told.dead);
    assert_eq!(told.redelivered, told.delivered - run.fates.arrived, "seed {SEED}");
    // What is plainly wrong with it is wrong the first time.
    let run = records(CallPolicy::default(), ServiceSpec::new("server"), Some(errors(400)));
    assert_eq!((run.subscriptions[0].redelivered, 90 < run.subscriptions[0].dead), (0, true), "seed {SEED}");
}
