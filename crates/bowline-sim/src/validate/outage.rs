//! One outage of ten seconds under seven designs: the experiment that the choice between them turns on.
//!
//! 800 requests a second, one server of 1000 a second, who waits longer than 50 ms is gone. From 60 s to 70 s
//! of 600 s the server does nothing; what is sent to it meanwhile waits.

use super::{Row, Tolerance, built, enter, ms, number, ratio, simulate};
use crate::fault::{FaultEvent, FaultKind};
use crate::model::{
    Do, EdgeSpec, EntryTo, IntakeSpec, Order, ServiceId, ServiceSpec, Start, SubscriptionSpec, TopicSpec,
};
use crate::run::at;
use crate::{Arrivals, Dist, Model, Run};
use bowline_policy::{Backoff, BreakerSettings, BudgetSettings, CallPolicy, Ratio, RetrySettings};
use std::time::Duration;

/// Who waits longer is gone.
pub const PATIENCE: Duration = ms(50);
/// How long requests come.
pub const LENGTH: Duration = Duration::from_secs(600);
/// When the server stops, and for how long.
pub const FAULT: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(10));

/// Two published seeds stand 0.3 and 0.9 points apart; so may ours.
const SHARE: Tolerance = Tolerance::Within(0.01);
/// The published drains are 39 s and 42 s, 72 s and 77 s.
const DRAIN: Tolerance = Tolerance::Within(8.0);
/// Published: 7951 and 8134. Four standard deviations of what arrives in ten seconds.
const BACKLOG: Tolerance = Tolerance::Within(360.0);
const SOURCE: &str = "measured with another simulator (seeds 7 and 11), and closed forms";

pub(super) fn rows() -> Vec<Row> {
    let never = (LENGTH - FAULT.0 - FAULT.1).as_secs_f64();
    vec![
        Row {
            id: "outage 1",
            long: false,
            title: "sync, no retry, endless queue",
            setting: "one try of 50 ms",
            source: SOURCE,
            numbers: vec![
                number("answered in 50 ms", "", 0.9165, SHARE),
                number("work per request", "", 1.0, Tolerance::Within(0.01)),
                // lambda T / (mu - lambda)
                number("recovered after", "s", 40.0, DRAIN),
            ],
            measure: |seed| called(sync(&NO_RETRY), seed),
        },
        Row {
            id: "outage 2",
            long: true,
            title: "sync, three retries at once, endless queue",
            setting: "four tries of 50 ms, no pause",
            source: SOURCE,
            numbers: vec![
                number("answered in 50 ms", "", 0.1, SHARE),
                number("work per request", "", 3.7, Tolerance::Within(0.1)),
                // Four tries of 800 are 3200 a second, more than 1000.
                number("recovered after (never)", "s", never, Tolerance::Within(0.0)),
            ],
            measure: |seed| called(sync(&THREE), seed),
        },
        Row {
            id: "outage 3",
            long: false,
            title: "sync, three retries within 10 %, endless queue",
            setting: "four tries of 50 ms, budget of 10 % without reserve",
            source: SOURCE,
            numbers: vec![
                number("answered in 50 ms", "", 0.86, SHARE),
                number("work per request", "", 1.01, Tolerance::Within(0.02)),
                // 8800 / (1000 - 880)
                number("recovered after", "s", 73.3, Tolerance::Within(12.0)),
            ],
            measure: |seed| called(sync(&BUDGET), seed),
        },
        Row {
            id: "outage 4",
            long: false,
            title: "sync, three retries within 10 %, 40 may wait",
            setting: "the same, and whoever finds 40 waiting is turned away",
            source: SOURCE,
            numbers: vec![
                number("answered in 50 ms", "", 0.983, SHARE),
                number("work per request", "", 0.98, Tolerance::Within(0.02)),
                number("recovered after", "s", 1.0, Tolerance::AtMost),
            ],
            measure: |seed| called(sync(&BUDGET_AND_CAP), seed),
        },
        Row {
            id: "outage 5",
            long: false,
            title: "sync, three retries, breaker, endless queue",
            setting: "half of at least 20 in 1 s, open for 5 s",
            source: SOURCE,
            numbers: vec![
                number("answered in 50 ms", "", 0.983, SHARE),
                number("work per request", "", 0.98, Tolerance::Within(0.02)),
                // Nobody asks while it is open: at worst all of 5 s later than the server.
                number("recovered after", "s", 6.0, Tolerance::AtMost),
            ],
            measure: |seed| called(sync(&BREAKER), seed),
        },
        Row {
            id: "outage 6",
            long: false,
            title: "async: a record, 202, one consumer",
            setting: "one record at a time, without an end to its call",
            source: SOURCE,
            numbers: vec![
                number("accepted", "", 1.0, Tolerance::Within(0.0)),
                number("work per request", "", 1.0, Tolerance::Within(0.0)),
                number("backlog", "records", 8_000.0, BACKLOG),
                number("longest until completed", "s", 10.0, Tolerance::Within(0.5)),
            ],
            measure: |seed| {
                let run = run(asynchronous(), seed);
                let (fates, clocks) = (&run.fates, &run.clocks);
                vec![
                    ratio(fates.accepted, fates.arrived),
                    work(&run),
                    run.subscriptions[0].backlog_max as f64,
                    clocks.completed.max().as_secs_f64(),
                ]
            },
        },
        Row {
            id: "outage 7",
            long: false,
            title: "hybrid: 50 ms for a call, else a record and 202",
            setting: "40 may wait; what waits as a record takes what is left, one at a time",
            source: SOURCE,
            numbers: vec![
                number("answered in 50 ms", "", 0.983, SHARE),
                number("accepted", "", 0.017, SHARE),
                number("failed", "", 0.0, Tolerance::Within(0.0)),
                number("work per request", "", 1.0, Tolerance::Within(0.02)),
                number("backlog", "records", 8_000.0, BACKLOG),
                number("longest until completed", "s", 40.0, DRAIN),
            ],
            measure: |seed| {
                let run = run(hybrid(), seed);
                let (fates, clocks) = (&run.fates, &run.clocks);
                vec![
                    ratio(clocks.answered.count_within(PATIENCE), fates.arrived),
                    ratio(fates.accepted, fates.arrived),
                    ratio(fates.failed, fates.arrived),
                    work(&run),
                    run.subscriptions[0].backlog_max as f64,
                    clocks.completed.max().as_secs_f64(),
                ]
            },
        },
    ]
}

/// The seven designs, each with a name of a few words, in the order of the rows.
#[must_use]
pub fn designs() -> Vec<(&'static str, Model)> {
    vec![
        ("no retry", sync(&NO_RETRY)),
        ("3 retries", sync(&THREE)),
        ("budget", sync(&BUDGET)),
        ("budget, cap", sync(&BUDGET_AND_CAP)),
        ("breaker", sync(&BREAKER)),
        ("async", asynchronous()),
        ("hybrid", hybrid()),
    ]
}

/// What happens to each of them.
#[must_use]
pub fn fault() -> FaultEvent {
    let kind = FaultKind::Pause { service: ServiceId(0), replica: None };
    FaultEvent { at: at(FAULT.0), length: Some(FAULT.1), kind }
}

/// A design that waits for the answer.
struct Sync {
    tries: u32,
    budget: bool,
    breaker: bool,
    queue: Option<u32>,
}

const THREE: Sync = Sync { tries: 4, budget: false, breaker: false, queue: None };
const NO_RETRY: Sync = Sync { tries: 1, ..THREE };
const BUDGET: Sync = Sync { budget: true, ..THREE };
const BUDGET_AND_CAP: Sync = Sync { queue: Some(40), ..BUDGET };
const BREAKER: Sync = Sync { breaker: true, ..THREE };

fn sync(design: &Sync) -> Model {
    let budget = BudgetSettings {
        ratio: Ratio::percent(10),
        min_per_second: 0,
        window: Duration::from_secs(10),
        concurrent: None,
    };
    let breaker = BreakerSettings {
        window: Duration::from_secs(1),
        min_calls: 20,
        failure_ratio: Some(Ratio::percent(50)),
        open: Duration::from_secs(5),
        open_max: Duration::from_secs(5),
        jitter: Ratio::percent(0),
        ramp: Duration::ZERO,
        consecutive: None,
        slow: None,
        ..BreakerSettings::default()
    };
    let retry = RetrySettings {
        per_try: Some(PATIENCE),
        backoff: Backoff::None,
        ..RetrySettings::tries(design.tries)
    };
    let policy = CallPolicy {
        retry,
        budget: design.budget.then_some(budget),
        breaker: design.breaker.then_some(breaker),
        ..CallPolicy::default()
    };
    let (mut model, serve) = server(design.queue);
    let edge = model.edge(EdgeSpec { policy, ..EdgeSpec::new("in", serve) });
    enter(&mut model, EntryTo::Call(edge), arrivals(), 1);
    built(model)
}

/// What is told of a design that waits for the answer.
fn called(model: Model, seed: u64) -> Vec<f64> {
    let run = run(model, seed);
    let within = ratio(run.clocks.answered.count_within(PATIENCE), run.fates.arrived);
    vec![within, work(&run), recovered(&run)]
}

fn asynchronous() -> Model {
    let (mut model, serve) = server(None);
    let topic = model.topic(TopicSpec::new("orders"));
    let deliver = model.edge(EdgeSpec::new("consumer", serve));
    model.subscription(SubscriptionSpec {
        concurrency: 1,
        order: Order::Topic,
        ..SubscriptionSpec::new("orders", topic, deliver)
    });
    let start = Start::Publish(topic);
    let intake = model.intake(IntakeSpec { name: "orders".into(), start, wait: Duration::ZERO });
    enter(&mut model, EntryTo::Intake(intake), arrivals(), 1);
    built(model)
}

fn hybrid() -> Model {
    let (mut model, serve) = server(Some(40));
    let topic = model.topic(TopicSpec::new("orders"));
    let deliver = model.edge(EdgeSpec::new("consumer", serve));
    model.subscription(SubscriptionSpec {
        concurrency: 1,
        order: Order::Topic,
        // Asks again soon: what it waits for is a place in the queue.
        backoff: Backoff::Full { base: ms(10), max: ms(10) },
        ..SubscriptionSpec::new("orders", topic, deliver)
    });
    let ask = model.edge(EdgeSpec { deadline: Some(PATIENCE), ..EdgeSpec::new("in", serve) });
    let start = Start::CallOr(ask, topic);
    let intake = model.intake(IntakeSpec { name: "orders".into(), start, wait: Duration::from_secs(1) });
    enter(&mut model, EntryTo::Intake(intake), arrivals(), 1);
    built(model)
}

fn server(queue: Option<u32>) -> (crate::model::Builder, crate::model::OperationId) {
    let mut model = Model::builder();
    let server = model.service(ServiceSpec { queue, ..ServiceSpec::new("server") });
    let serve = model.serve(server, "serve", vec![Do::Work(Dist::exponential(ms(1)))]);
    (model, serve)
}

const fn arrivals() -> Arrivals {
    Arrivals::Poisson { rate: 800.0 }
}

fn run(model: Model, seed: u64) -> Run {
    simulate(model, seed, 0, LENGTH.as_secs(), vec![fault()])
}

fn work(run: &Run) -> f64 {
    ratio(run.work, run.fates.arrived)
}

/// Seconds from the end of the fault to the first from which on nine of ten are always answered.
fn recovered(run: &Run) -> f64 {
    let (over, end) = ((FAULT.0 + FAULT.1).as_secs() as usize, LENGTH.as_secs() as usize);
    let well = |point: &crate::series::Point| point.offered * 9 <= point.answered * 10;
    let last_bad = run.series.points[over..end].iter().rposition(|point| !well(point));
    last_bad.map_or(0.0, |second| (second + 1) as f64)
}
