//! Every run ends, and says why.

use bowline_policy::{Backoff, BulkheadSettings, CallPolicy};
use bowline_sim::model::{
    Do, EdgeSpec, EntrySpec, EntryTo, IntakeSpec, ServiceSpec, Start, SubscriptionSpec, TopicSpec,
};
use bowline_sim::run::{Ending, Limits, SpecError};
use bowline_sim::{Arrivals, Dist, Model, RunSpec, run};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// One server of 1000 requests a second.
fn server(rate: f64, policy: CallPolicy) -> Arc<Model> {
    let mut model = Model::builder();
    let server = model.service(ServiceSpec::new("server"));
    let work = vec![Do::Work(Dist::exponential(Duration::from_millis(1)))];
    let serve = model.serve(server, "serve", work);
    let edge = model.edge(EdgeSpec { policy, ..EdgeSpec::new("in", serve) });
    let arrivals = Arrivals::Poisson { rate };
    model.entry(EntrySpec { name: "in".into(), to: EntryTo::Call(edge), arrivals, clients: 1 });
    Arc::new(model.build().unwrap())
}

fn spec(model: Arc<Model>, seconds: u64) -> RunSpec {
    RunSpec::new(model, 1, Duration::ZERO, Duration::from_secs(seconds)).unwrap()
}

#[test]
fn a_queue_that_grows_without_end_ends_the_run() {
    let limits = Limits { in_flight_max: 5_000, ..Limits::default() };
    let spec = spec(server(2_000.0, CallPolicy::default()), 3_600).with_limits(limits);
    let run = run(&spec, &mut |_| ControlFlow::Continue(()));
    assert_eq!(run.ending, Ending::InFlightMax);
    assert_eq!(run.in_flight_max, 5_000);
    assert!(run.ended_at < Duration::from_secs(10), "{:?}", run.ended_at);
    assert!(run.fates.is_conserved() && 4_000 < run.fates.censored(), "{:?}", run.fates);
}

#[test]
fn events_have_a_limit_and_whoever_watches_may_stop() {
    let limits = Limits { events_max: 10_000, ..Limits::default() };
    let spec = spec(server(800.0, CallPolicy::default()), 3_600);
    let ended = run(&spec.clone().with_limits(limits), &mut |_| ControlFlow::Continue(()));
    assert_eq!(ended.ending, Ending::EventsMax);
    let mut seconds = 0;
    let stopped = run(&spec, &mut |progress| {
        seconds = progress.simulated.as_secs();
        if seconds == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((stopped.ending, seconds), (Ending::Stopped, 3));
}

#[test]
fn a_run_needs_a_length_and_may_not_last_for_ever() {
    let model = server(1.0, CallPolicy::default());
    let of = |length| RunSpec::new(Arc::clone(&model), 1, Duration::ZERO, length).map(|_| ());
    assert_eq!(of(Duration::ZERO), Err(SpecError::NoLength));
    assert_eq!(of(Duration::MAX), Err(SpecError::TooLong(Duration::MAX)));
}

#[test]
fn a_record_that_is_refused_in_no_time_is_not_handed_out_for_ever_in_no_time() {
    let mut model = Model::builder();
    let server = model.service(ServiceSpec { concurrency: 9, ..ServiceSpec::new("server") });
    let work = vec![Do::Work(Dist::Constant(Duration::from_millis(100)))];
    let serve = model.serve(server, "serve", work);
    // Room for one, and whoever finds it taken is refused at once.
    let bulkhead = BulkheadSettings { concurrent: 1, queue: 0, wait: Duration::ZERO };
    let policy = CallPolicy { bulkhead: Some(bulkhead), ..CallPolicy::default() };
    let deliver = model.edge(EdgeSpec { policy, ..EdgeSpec::new("consumer", serve) });
    let topic = model.topic(TopicSpec::new("topic"));
    model.subscription(SubscriptionSpec {
        backoff: Backoff::None,
        ..SubscriptionSpec::new("readers", topic, deliver)
    });
    let start = Start::Publish(topic);
    let intake = model.intake(IntakeSpec { name: "in".into(), start, wait: Duration::ZERO });
    let arrivals = Arrivals::Constant { rate: 5.0 };
    model.entry(EntrySpec { name: "in".into(), to: EntryTo::Intake(intake), arrivals, clients: 1 });
    let run = run(&spec(Arc::new(model.build().unwrap()), 10), &mut |_| ControlFlow::Continue(()));
    assert_eq!(run.ending, Ending::Done);
    assert_eq!(run.fates.completed, run.fates.arrived);
}

#[test]
fn a_long_run_remembers_no_more_than_a_short_one() {
    let run = run(&spec(server(5.0, CallPolicy::default()), 20_000), &mut |_| ControlFlow::Continue(()));
    assert_eq!(run.ending, Ending::Done);
    assert!(run.series.points.len() <= bowline_sim::series::Series::POINTS_MAX);
    assert_eq!(run.series.points.iter().map(|point| point.offered).sum::<u64>(), run.fates.arrived);
    assert!(run.in_flight_max < 20, "{}", run.in_flight_max);
}
