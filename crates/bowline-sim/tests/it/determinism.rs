//! The same specification is the same run, and what one thing draws does not move with another.

use bowline_fault::Percent;
use bowline_policy::{Backoff, CallPolicy, RetrySettings};
use bowline_sim::fault::{Calls, FaultEvent, FaultKind};
use bowline_sim::model::{
    Do, EdgeSpec, EntrySpec, EntryTo, IntakeSpec, ServiceId, ServiceSpec, Start, SubscriptionSpec, TopicSpec,
};
use bowline_sim::parallel::run_all;
use bowline_sim::run::at;
use bowline_sim::{Arrivals, Dist, Model, Run, RunSpec, run};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// Orders ask payment, directly or by a record.
fn shop(asynchronous: bool, tries: u32) -> Model {
    let mut model = Model::builder();
    let room = |name: &str| ServiceSpec { concurrency: u32::MAX, ..ServiceSpec::new(name) };
    let payment = model.service(room("payment"));
    let orders = model.service(room("orders"));
    let pay = model.serve(payment, "pay", vec![Do::Work(Dist::exponential(Duration::from_millis(10)))]);
    let retry = RetrySettings { backoff: Backoff::ENVOY, ..RetrySettings::tries(tries) };
    let policy = CallPolicy { retry, ..CallPolicy::default() };
    let edge = |name: &str, to| EdgeSpec { policy: policy.clone(), ..EdgeSpec::new(name, to) };
    let topic = model.topic(TopicSpec::new("orders"));
    let to = if asynchronous {
        let deliver = model.edge(edge("consumer -> payment", pay));
        model.subscription(SubscriptionSpec {
            concurrency: 10_000,
            ..SubscriptionSpec::new("payments", topic, deliver)
        });
        let start = Start::Publish(topic);
        EntryTo::Intake(model.intake(IntakeSpec { name: "orders".into(), start, wait: Duration::ZERO }))
    } else {
        let to_pay = model.edge(edge("orders -> payment", pay));
        let place = model.serve(orders, "place", vec![Do::Call(to_pay)]);
        EntryTo::Call(model.edge(EdgeSpec::new("in", place)))
    };
    let arrivals = Arrivals::Poisson { rate: 200.0 };
    model.entry(EntrySpec { name: "in".into(), to, arrivals, clients: 1 });
    model.build().unwrap()
}

fn spec(model: Model, seed: u64) -> RunSpec {
    RunSpec::new(Arc::new(model), seed, Duration::ZERO, Duration::from_secs(20)).unwrap()
}

fn go(spec: &RunSpec) -> Run {
    run(spec, &mut |_| ControlFlow::Continue(()))
}

/// A fifth of all payments fail.
fn failing(spec: RunSpec) -> RunSpec {
    let percent = Percent::from_percent(20.0).unwrap();
    let kind = FaultKind::Error { calls: Calls::to(ServiceId(0)), replica: None, status: 503, percent };
    spec.with_faults(vec![FaultEvent { at: at(Duration::ZERO), length: None, kind }]).unwrap()
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_not() {
    let spec = failing(spec(shop(false, 3), 1));
    let (a, b) = (go(&spec), go(&spec));
    assert_eq!(a, b);
    assert_eq!(a.digest(), b.digest());
    assert_ne!(a.digest(), go(&spec.with_seed(2)).digest());
}

#[test]
fn the_number_of_threads_shows_in_nothing() {
    let specs: Vec<RunSpec> = (0..6).map(|seed| failing(spec(shop(seed % 2 == 0, 3), seed))).collect();
    let on = |threads| {
        let runs = run_all(&specs, NonZeroUsize::new(threads).unwrap(), &mut |_| ControlFlow::Continue(()));
        runs.into_iter().map(Option::unwrap).collect::<Vec<Run>>()
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn runs_that_are_broken_off_are_not_there() {
    let specs: Vec<RunSpec> = (0..4).map(|seed| spec(shop(false, 1), seed)).collect();
    let runs = run_all(&specs, NonZeroUsize::MIN, &mut |_| ControlFlow::Break(()));
    assert_eq!(runs.iter().filter(|run| run.is_some()).count(), 1);
}

#[test]
fn a_policy_does_not_move_who_comes_or_how_long_they_take() {
    // Without failures the policies do nothing, so the runs are equal in all that requests see.
    let (one, three) = (go(&spec(shop(false, 1), 5)), go(&spec(shop(false, 3), 5)));
    assert_eq!(one.clocks, three.clocks);
    // With failures only those that are tried again differ: the others take the very time they took.
    let failed = go(&failing(spec(shop(false, 1), 5)));
    assert_eq!(failed.fates.arrived, one.fates.arrived);
    for (end, count) in failed.clocks.answered.buckets() {
        let all = one.clocks.answered.buckets().find(|(other, _)| *other == end).map_or(0, |(_, all)| all);
        assert!(count <= all, "{count} of {all} take {end:?}");
    }
}

#[test]
fn arms_see_the_same_customers_and_the_same_work() {
    let (sync, asynchronous) = (go(&spec(shop(false, 1), 5)), go(&spec(shop(true, 1), 5)));
    assert_eq!(sync.fates.arrived, asynchronous.fates.arrived);
    // There is room for everybody, so what an order takes is its payment's own time, whoever asks for it.
    assert_eq!(sync.clocks.completed, asynchronous.clocks.completed);
}
