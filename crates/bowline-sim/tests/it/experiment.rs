//! One server, one outage, seven ways to bear it: the closed forms hold, through a whole experiment.
//!
//! A server that manages 200 a second (exponential), asked 160 times a second, that stands still from 60 to 70 s.
//! Backlog λT = 1600; drain λT / (μ - λ) = 40 s; with ten percent of retries 1760 / (200 - 176) = 73 s; with
//! three retries each 640 a second are asked of 200, and it never ends.
//!
//! The drain of one seed scatters by 3 s: the backlog by √1600 = 40, and while it is worked off a random walk of
//! 360 steps a second by √(360 · 40) = 120, together √(40² + 120²) / 40 a second. Over four seeds that is 1.6 s,
//! and tests allow four times as much. With retries the way is longer and so is the walk: about twice that.

use bowline_model::Instant;
use bowline_policy::{BreakerSettings, BudgetSettings, CallPolicy, Ratio, RetrySettings};
use bowline_sim::definitions::{Class, Recovery};
use bowline_sim::experiment::{ArmPlan, Column, Experiment, FaultWords, Plan};
use bowline_sim::model::{
    Do, EdgeSpec, EntrySpec, EntryTo, IntakeSpec, ServiceSpec, Start, SubscriptionSpec, TopicSpec,
};
use bowline_sim::run::Limits;
use bowline_sim::stats::{Best, Value};
use bowline_sim::{Arrivals, Dist, FaultEvent, FaultKind, Model};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

const WARM_UP: Duration = Duration::from_secs(10);
const OUTAGE: (u64, u64) = (60, 10);
const RATE: f64 = 160.0;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What an arm has.
#[derive(Clone, Default)]
pub(crate) struct Way {
    pub(crate) tries: u32,
    pub(crate) budget: bool,
    pub(crate) breaker: bool,
    pub(crate) queue: Option<u32>,
    pub(crate) records: Records,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Records {
    /// Only calls.
    #[default]
    No,
    /// Only records.
    Only,
    /// Records for what calls did not do.
    Otherwise,
}

pub(crate) fn model(way: &Way) -> Model {
    let mut model = Model::builder();
    let server = model.service(ServiceSpec { queue: way.queue, ..ServiceSpec::new("server") });
    let serve = model.serve(server, "serve", vec![Do::Work(Dist::exponential(millis(5)))]);
    let ratio = |of: f64| Ratio::from_f64(of).unwrap();
    let budget = BudgetSettings {
        ratio: ratio(0.1),
        min_per_second: 0,
        window: Duration::from_secs(10),
        concurrent: None,
    };
    let breaker = BreakerSettings {
        window: Duration::from_secs(1),
        min_calls: 20,
        failure_ratio: Some(ratio(0.5)),
        open: Duration::from_secs(5),
        // Probed every five seconds while the server stands still, not ever more seldom.
        growth: 1,
        ..BreakerSettings::default()
    };
    let policy = CallPolicy {
        retry: RetrySettings { tries: way.tries, per_try: Some(millis(250)), ..RetrySettings::none() },
        budget: way.budget.then_some(budget),
        breaker: way.breaker.then_some(breaker),
        ..CallPolicy::default()
    };
    let call = EdgeSpec { policy, ..EdgeSpec::new("clients -> server.serve", serve) };
    let to = if way.records == Records::No {
        EntryTo::Call(model.edge(call))
    } else {
        let topic = model.topic(TopicSpec::new("orders"));
        let deliver = model.edge(EdgeSpec::new("orders -> server.serve", serve));
        // One consumer: it takes the next record when it is done with the one before.
        model.subscription(SubscriptionSpec {
            concurrency: 1,
            ..SubscriptionSpec::new("consumer", topic, deliver)
        });
        let start = match way.records {
            Records::Otherwise => Start::CallOr(model.edge(call), topic),
            Records::Only | Records::No => Start::Publish(topic),
        };
        let wait = if way.records == Records::Otherwise { millis(250) } else { Duration::ZERO };
        EntryTo::Intake(model.intake(IntakeSpec { name: "orders".into(), start, wait }))
    };
    let arrivals = Arrivals::Poisson { rate: RATE };
    model.entry(EntrySpec { name: "clients".into(), to, arrivals, clients: 1 });
    model.build().unwrap()
}

/// What stands still, from 60 to 70 s after the warm-up.
pub(crate) fn outage(model: &Model) -> Vec<FaultEvent> {
    let kind = FaultKind::Pause { service: model.service_named("server").unwrap(), replica: None };
    vec![FaultEvent {
        at: Instant::ZERO + WARM_UP + Duration::from_secs(OUTAGE.0),
        length: Some(Duration::from_secs(OUTAGE.1)),
        kind,
    }]
}

pub(crate) fn plan(ways: &[(&str, Way)], seeds: &[u64], length: u64) -> Plan {
    let arm = |(name, way): &(&str, Way)| {
        let model = model(way);
        ArmPlan {
            name: (*name).to_owned(),
            overlay: None,
            faults: outage(&model),
            model: Arc::new(model),
            objectives: Vec::new(),
            needs: Vec::new(),
        }
    };
    let arms: Vec<ArmPlan> = ways.iter().map(arm).collect();
    let faults = arms.iter().flat_map(|arm| &arm.faults).take(1);
    Plan {
        name: "outage".to_owned(),
        faults: faults.map(|fault| FaultWords::of(&arms[0].model, fault, WARM_UP)).collect(),
        arms,
        seeds: seeds.to_vec(),
        warm_up: WARM_UP,
        length: Duration::from_secs(length),
        drain: Duration::from_secs(60),
        limits: Limits::default(),
        within: millis(250),
        load: "160/s".to_owned(),
    }
}

pub(crate) fn run(plan: &Plan, threads: usize) -> Experiment {
    plan.run(NonZeroUsize::new(threads).unwrap(), &mut |_| ControlFlow::Continue(())).unwrap()
}

fn ways() -> Vec<(&'static str, Way)> {
    let four = Way { tries: 4, ..Way::default() };
    vec![
        ("no retry", Way { tries: 1, ..Way::default() }),
        ("3 retries", four.clone()),
        ("budget", Way { budget: true, ..four.clone() }),
        ("budget, cap", Way { budget: true, queue: Some(40), ..four.clone() }),
        ("breaker", Way { breaker: true, ..four }),
        ("async", Way { records: Records::Only, ..Way::default() }),
        ("hybrid", Way { tries: 1, queue: Some(40), records: Records::Otherwise, ..Way::default() }),
    ]
}

fn way(name: &'static str) -> (&'static str, Way) {
    ways().into_iter().find(|(each, _)| *each == name).unwrap()
}

fn mean(experiment: &Experiment, arm: &str, column: Column) -> f64 {
    let arm = experiment.arms.iter().find(|each| each.name == arm).unwrap();
    arm.figure(column).estimate.mean.unwrap()
}

#[track_caller]
fn near(got: f64, expected: f64, off: f64) {
    assert!((got - expected).abs() <= off, "{got}, expected {expected} +-{off}");
}

const SEEDS: [u64; 4] = [7, 11, 13, 17];

#[test]
fn the_closed_forms_of_an_outage_hold() {
    let names = ["no retry", "budget", "async"];
    let plan = plan(&names.map(way), &SEEDS, 240);
    let experiment = run(&plan, 2);
    for arm in &experiment.arms {
        near(arm.utilisation, 0.8, 0.02);
        assert_eq!(arm.class, Class::Stable, "{}: {:?}", arm.name, arm.recoveries);
    }
    // Drain: no retries, ten percent of retries, records.
    near(mean(&experiment, "no retry", Column::Recovery), 40.0, 6.4);
    near(mean(&experiment, "budget", Column::Recovery), 73.3, 13.0);
    near(mean(&experiment, "async", Column::Recovery), 40.0, 6.4);
    // Backlog, and how late the latest of it is: the outage itself.
    near(mean(&experiment, "async", Column::Backlog), 1600.0, 80.0);
    near(mean(&experiment, "async", Column::Staleness), 10.0, 0.5);
    // Failed: those of the outage and of the drain, of 240 s.
    near(mean(&experiment, "no retry", Column::Failed), 50.0 / 240.0, 6.4 / 240.0);
    near(mean(&experiment, "async", Column::Failed), 0.0, 0.0);
    // Work: one request each without retries; the budget's tenth while it lasts.
    near(mean(&experiment, "no retry", Column::Work), 1.0, 1e-9);
    near(mean(&experiment, "budget", Column::Work), 1.0 + 0.1 * 83.0 / 240.0, 0.01);
    // Nothing is lost, nothing twice, and each request is counted once.
    for arm in &experiment.arms {
        assert!(arm.first.fates.is_conserved(), "{}", arm.name);
        near(arm.figure(Column::Lost).estimate.mean.unwrap(), 0.0, 0.0);
        near(arm.figure(Column::Duplicated).estimate.mean.unwrap(), 0.0, 0.0);
    }
    // Arms see the same customers.
    assert!(experiment.arms.windows(2).all(|pair| pair[0].arrived == pair[1].arrived));
}

#[test]
fn three_retries_without_a_limit_never_end_and_are_not_called_never() {
    let plan = plan(&[way("3 retries"), way("budget, cap"), way("breaker")], &SEEDS[..2], 240);
    let experiment = run(&plan, 2);
    let [storm, cap, breaker] = experiment.arms.as_slice() else { panic!("three arms") };
    assert_eq!(storm.class, Class::Metastable);
    // Watched from the end of the outage to the end of the load.
    let watched = Recovery::Metastable { watched: Duration::from_secs(170) };
    assert_eq!(storm.recoveries, [watched; 2]);
    assert_eq!(storm.figure(Column::Recovery).values, [Value::AtLeast(170.0); 2]);
    // A short queue has nothing to drain. A breaker probes within five seconds of the end; what piled up before
    // it opened may make that probe wait, the next comes five seconds later, and then it lets calls in by and by.
    assert_eq!((cap.class, breaker.class), (Class::Stable, Class::Stable));
    assert!(cap.figure(Column::Recovery).estimate.high <= 1.0, "{:?}", cap.recoveries);
    assert!(breaker.figure(Column::Recovery).estimate.high <= 15.0, "{:?}", breaker.recoveries);
    let text = bowline_sim::hero::text(&experiment);
    assert!(text.contains("not in 170 s") && !text.contains("never"), "{text}");
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let plan = plan(&[way("no retry"), way("async"), way("hybrid")], &SEEDS, 90);
    let (one, two) = (run(&plan, 1), run(&plan, 2));
    assert_eq!(bowline_sim::hero::text(&one), bowline_sim::hero::text(&two));
    assert_eq!(bowline_sim::hero::json(&one), bowline_sim::hero::json(&two));
    assert_eq!(bowline_sim::hero::csv(&one), bowline_sim::hero::csv(&two));
    // 90 s are not enough to tell: 20 s watched, and three drain times of 40 s would be needed.
    assert_eq!(one.arms[0].class, Class::Censored);
    assert!(bowline_sim::hero::text(&one).contains("> 20 s (censored)"));
}

#[test]
fn a_winner_is_named_outside_the_noise_and_nobody_within_it() {
    // Four ways of which two are the same but for a name that draws other service times.
    let mut plan = plan(&[way("no retry"), way("async")], &[1, 2, 3, 4, 5, 6], 150);
    plan.arms.iter_mut().for_each(|arm| arm.faults.clear());
    let calm = run(&plan, 2);
    assert_eq!(calm.comparison(Column::Failed).best, Best::Same);
    // Records and calls wait in the same line for the same server.
    assert!(!matches!(calm.comparison(Column::CompletedP50).best, Best::One(_)));
    assert_eq!(calm.comparison(Column::AnsweredInTime).best, Best::One(0));
}

#[test]
fn without_seeds_or_arms_there_is_no_experiment() {
    let mut plan = plan(&[way("no retry")], &[], 10);
    let threads = NonZeroUsize::MIN;
    let mut go_on = |_| ControlFlow::Continue(());
    assert_eq!(plan.run(threads, &mut go_on).unwrap_err().to_string(), "an experiment needs a seed");
    plan.seeds = vec![1];
    plan.arms.clear();
    assert_eq!(plan.run(threads, &mut go_on).unwrap_err().to_string(), "an experiment needs an arm");
}

#[test]
fn whoever_watches_may_break_it_off() {
    let plan = plan(&[way("no retry")], &[1, 2, 3], 20);
    let mut seen = Vec::new();
    let broken = plan.run(NonZeroUsize::MIN, &mut |progress| {
        seen.push((progress.done, progress.of));
        if progress.done == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(broken.unwrap_err().to_string(), "it was broken off");
    assert_eq!(seen, [(1, 6), (2, 6)]);
}

#[test]
fn a_run_without_an_end_ends_the_experiment_and_says_where_it_was() {
    let limits = Limits { events_max: 20_000, ..Limits::default() };
    let plan = Plan {
        limits,
        ..plan(
            &[("no retry", Way { tries: 1, ..Way::default() }), ("3 retries", Way::default())],
            &[7, 11],
            600,
        )
    };
    let mut over = 0;
    let ended = plan.run(NonZeroUsize::new(2).unwrap(), &mut |progress| {
        over = progress.done;
        ControlFlow::Continue(())
    });
    let said = ended.expect_err("20,000 events are no ten minutes").to_string();
    assert!(said.starts_with("arm `no retry`, seed 7: after 20"), "{said}");
    assert!(
        said.contains("as many as a run may take, 22 s were simulated") && said.contains("shorten the run"),
        "{said}"
    );
    assert!(over < plan.runs() / 2, "the other runs are not waited for: {over} of {}", plan.runs());
}
