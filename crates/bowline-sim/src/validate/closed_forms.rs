//! Queues that theory has solved, products that arithmetic has, and the drain law.

use super::{Row, Small, Tolerance, built, chain, enter, in_ms, ms, number, quantile_ms, ratio, simulate};
use crate::fault::{Calls, FaultEvent, FaultKind};
use crate::model::{Do, EdgeSpec, EntryTo, Overflow, ServiceId, ServiceSpec};
use crate::run::at;
use crate::{Arrivals, Dist, Model};
use bowline_fault::Percent;
use bowline_policy::{Backoff, CallPolicy, CrossHop, RetrySettings};
use std::time::Duration;

const MEAN: Tolerance = Tolerance::Share(0.01);
const P99: Tolerance = Tolerance::Share(0.02);
const EXACT: Tolerance = Tolerance::Within(0.0);

/// Seconds that queues at four fifths of their capacity run, sixty million requests. Their waits hang together
/// over seconds: after so long the mean's standard deviation is an eighth of a percent
/// (2 rho (1 + rho) / ((1 - rho)^4 mu t) is the variance of the mean number inside), so that 1 % is what an
/// engine that is right keeps with any seed.
const LONG: u64 = 72_000;
/// The same where only the wait counts, and many servers or scattered work leave little of it or scatter it more.
const LONGER: u64 = 144_000;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row {
            id: "V1",
            long: false,
            title: "nested retries multiply: three layers",
            setting: "3 layers of 4 tries each, the last always fails",
            source: "SRE book, chapter 22: 4^3",
            numbers: vec![number("tries at the last layer, per request", "", 64.0, EXACT)],
            measure: |seed| vec![nested(3, 4, seed)],
        },
        Row {
            id: "V2",
            long: false,
            title: "nested retries multiply: five layers",
            setting: "5 layers of 3 tries each, the last always fails",
            source: "AWS Builders' Library: 3^5",
            numbers: vec![number("tries at the last layer, per request", "", 243.0, EXACT)],
            measure: |seed| vec![nested(5, 3, seed)],
        },
        Row {
            id: "V9",
            long: true,
            title: "tail at scale",
            setting: "100 leaves at once, 1 % of each take 1 s",
            source: "Dean and Barroso 2013: 1 - 0.99^100",
            numbers: vec![number("requests of 1 s and longer", "", 0.634, MEAN)],
            measure: |seed| vec![fan_out(seed)],
        },
        Row {
            id: "V15 M/M/1",
            long: true,
            title: "one server, exponential work",
            setting: "800/s on 1000/s",
            source: "closed form: exponential sojourn of mean 1/(mu - lambda)",
            numbers: vec![
                number("mean", "ms", 5.0, MEAN),
                number("p99", "ms", 23.026, P99),
                number("p99.9", "ms", 34.539, P99),
            ],
            measure: |seed| {
                let run = simulate(one(Dist::exponential(ms(1)), 1), seed, 20, LONG, vec![]);
                let answered = &run.clocks.answered;
                vec![in_ms(answered.mean()), quantile_ms(answered, 0.99), quantile_ms(answered, 0.999)]
            },
        },
        Row {
            id: "V15 M/M/8",
            long: true,
            title: "eight servers, exponential work",
            setting: "800/s on 8 x 125/s",
            source: "closed form: Erlang C",
            numbers: vec![number("mean wait", "ms", erlang_c(8, 800.0, 125.0), MEAN)],
            measure: |seed| {
                let run = simulate(one(Dist::exponential(ms(8)), 8), seed, 20, LONGER, vec![]);
                vec![in_ms(run.services[0].queued.mean())]
            },
        },
        Row {
            id: "V15 M/D/1",
            long: true,
            title: "one server, constant work",
            setting: "800/s on 1000/s",
            source: "closed form: Pollaczek and Khinchine, rho / (2 mu (1 - rho))",
            numbers: vec![number("mean wait", "ms", 2.0, MEAN)],
            measure: |seed| {
                let run = simulate(one(Dist::Constant(ms(1)), 1), seed, 20, LONG, vec![]);
                vec![in_ms(run.services[0].queued.mean())]
            },
        },
        Row {
            id: "V15 M/G/1",
            long: true,
            title: "one server, gamma work that varies half as much again",
            setting: "700/s on 1000/s, coefficient of variation 1.5",
            source: "closed form: Pollaczek and Khinchine, rho (1 + cv^2) / (2 mu (1 - rho))",
            numbers: vec![number("mean wait", "ms", 0.7 * 3.25 / 0.6, MEAN)],
            measure: |seed| {
                let takes = Dist::Gamma { mean: ms(1), cv: 1.5 };
                let model = Small::new(ServiceSpec::new("server"), takes);
                let edge = EdgeSpec::new("in", model.operation);
                let model = model.asked(edge, Arrivals::Poisson { rate: 700.0 }, 1);
                vec![in_ms(simulate(model, seed, 20, LONG, vec![]).services[0].queued.mean())]
            },
        },
        Row {
            id: "V15 M/M/1/10",
            long: true,
            title: "one server, room for ten",
            setting: "800/s on 1000/s, nine may wait",
            source: "closed form: (1 - rho) rho^10 / (1 - rho^11)",
            numbers: vec![number("requests turned away", "", loss(0.8, 10), MEAN)],
            measure: |seed| {
                let server = ServiceSpec {
                    queue: Some(9),
                    overflow: Overflow::Unavailable,
                    ..ServiceSpec::new("server")
                };
                let model = Small::new(server, Dist::exponential(ms(1)));
                let edge = EdgeSpec::new("in", model.operation);
                let run =
                    simulate(model.asked(edge, Arrivals::Poisson { rate: 800.0 }, 1), seed, 20, LONG, vec![]);
                vec![ratio(run.fates.failed, run.fates.arrived)]
            },
        },
        Row {
            id: "V15 M/M/1-PS",
            long: true,
            title: "one core, shared evenly",
            setting: "800/s on 1000/s, everybody at once on one core",
            source: "closed form: processor sharing has the mean of M/M/1, whatever the work's distribution",
            numbers: vec![
                number("mean, exponential", "ms", 5.0, MEAN),
                number("mean, gamma of cv 2", "ms", 5.0, MEAN),
            ],
            measure: |seed| {
                let mean = |takes, seconds| {
                    in_ms(simulate(shared(takes), seed, 20, seconds, vec![]).clocks.answered.mean())
                };
                vec![mean(Dist::exponential(ms(1)), LONG), mean(Dist::Gamma { mean: ms(1), cv: 2.0 }, LONGER)]
            },
        },
        Row {
            id: "V15 tandem",
            long: true,
            title: "three queues in a row",
            setting: "700/s through 1000/s, 900/s and 800/s, by calls that wait for nobody",
            source: "closed form: Jackson 1957, the sum of 1/(mu - lambda)",
            numbers: vec![number("mean of all three", "ms", 1e3 / 300.0 + 5.0 + 10.0, MEAN)],
            measure: |seed| vec![tandem(seed)],
        },
        Row {
            id: "V16",
            long: false,
            title: "drain law",
            setting: "800/s on 1000/s, 10 s without service",
            source: "closed form: backlog lambda T, drained in lambda T / (mu - lambda)",
            numbers: vec![
                // Four standard deviations of what arrives in ten seconds are 360.
                number("backlog", "requests", 8_000.0, Tolerance::Within(360.0)),
                // The drain's scatter: about 2 s each way, from arrivals and work during 40 s.
                number("drained after", "s", 40.0, Tolerance::Within(6.0)),
            ],
            measure: drain,
        },
    ]
}

/// Tries at the last of `layers` layers that all try `tries` times, for one request.
fn nested(layers: usize, tries: u32, seed: u64) -> f64 {
    let policy = CallPolicy {
        retry: RetrySettings { backoff: Backoff::None, ..RetrySettings::tries(tries) },
        // The published layers know nothing of each other. Ours would: a second try is not tried again.
        cross_hop: CrossHop::Ignored,
        ..CallPolicy::default()
    };
    let (model, edges) = chain(layers, &policy);
    // Services are made from the last one on.
    let fault = FaultKind::Error {
        calls: Calls::to(ServiceId(0)),
        replica: None,
        status: 500,
        percent: Percent::ALWAYS,
    };
    let fault = FaultEvent { at: at(Duration::ZERO), length: None, kind: fault };
    let run = simulate(model, seed, 0, 10, vec![fault]);
    ratio(run.edges[edges[layers - 1].index()].tries, run.fates.arrived)
}

/// The share of requests to a hundred leaves that meet a slow one.
fn fan_out(seed: u64) -> f64 {
    let mut model = Model::builder();
    let everybody = |name: &str| ServiceSpec { concurrency: u32::MAX, ..ServiceSpec::new(name) };
    let (root, leaves) = (model.service(everybody("root")), model.service(everybody("leaves")));
    let slow = Do::Choice(vec![
        (0.99, vec![Do::Work(Dist::Constant(ms(10)))]),
        (0.01, vec![Do::Work(Dist::Constant(ms(1_000)))]),
    ]);
    let leaf = model.serve(leaves, "read", vec![slow]);
    let to_leaf = model.edge(EdgeSpec::new("root -> leaves.read", leaf));
    let all = Do::Parallel((0..100).map(|_| vec![Do::Call(to_leaf)]).collect());
    let search = model.serve(root, "search", vec![all]);
    let edge = model.edge(EdgeSpec::new("in", search));
    enter(&mut model, EntryTo::Call(edge), Arrivals::Poisson { rate: 100.0 }, 1);
    let answered = simulate(built(model), seed, 0, 300, vec![]).clocks.answered;
    1.0 - ratio(answered.count_within(ms(900)), answered.count())
}

/// Four fifths of what one service can do.
fn one(takes: Dist, concurrency: u32) -> Model {
    let model = Small::new(ServiceSpec { concurrency, ..ServiceSpec::new("server") }, takes);
    let edge = EdgeSpec::new("in", model.operation);
    model.asked(edge, Arrivals::Poisson { rate: 800.0 }, 1)
}

/// Everybody at once on one core.
fn shared(takes: Dist) -> Model {
    let mut model = Model::builder();
    let machine = model.machine(crate::model::MachineSpec { name: "machine".into(), cores: 1 });
    let server = model.service(ServiceSpec {
        concurrency: u32::MAX,
        machine: Some(machine),
        ..ServiceSpec::new("server")
    });
    let serve = model.serve(server, "serve", vec![Do::Work(takes)]);
    let edge = model.edge(EdgeSpec::new("in", serve));
    enter(&mut model, EntryTo::Call(edge), Arrivals::Poisson { rate: 800.0 }, 1);
    built(model)
}

/// A front that has room for everybody calls three servers one after the other.
fn tandem(seed: u64) -> f64 {
    let mut model = Model::builder();
    let front = model.service(ServiceSpec { concurrency: u32::MAX, ..ServiceSpec::new("front") });
    let mut calls = Vec::new();
    for (name, rate) in [("a", 1_000.0), ("b", 900.0), ("c", 800.0)] {
        let server = model.service(ServiceSpec::new(name));
        let work = Do::Work(Dist::exponential(Duration::from_secs_f64(1.0 / rate)));
        let serve = model.serve(server, "serve", vec![work]);
        calls.push(Do::Call(model.edge(EdgeSpec::new(&format!("front -> {name}"), serve))));
    }
    let pass = model.serve(front, "pass", calls);
    let edge = model.edge(EdgeSpec::new("in", pass));
    enter(&mut model, EntryTo::Call(edge), Arrivals::Poisson { rate: 700.0 }, 1);
    in_ms(simulate(built(model), seed, 30, LONG, vec![]).clocks.answered.mean())
}

/// The backlog when service comes back, and how long until nobody waits any more.
fn drain(seed: u64) -> Vec<f64> {
    let pause = FaultKind::Pause { service: ServiceId(0), replica: None };
    let pause =
        FaultEvent { at: at(Duration::from_secs(60)), length: Some(Duration::from_secs(10)), kind: pause };
    let run = simulate(one(Dist::exponential(ms(1)), 1), seed, 0, 200, vec![pause]);
    let backlog = f64::from(run.services[0].queue_max);
    // Above a hundred, chance alone is not why they wait: 0.8^100.
    let waits = |point: &crate::series::Point| point.queue > 100;
    let drained = run.series.points.iter().skip(70).position(|point| !waits(point));
    vec![backlog, drained.map_or(f64::INFINITY, |seconds| seconds as f64)]
}

/// The mean wait in milliseconds of M/M/c.
fn erlang_c(servers: u32, lambda: f64, mu: f64) -> f64 {
    let load = lambda / mu;
    // Erlang B by its recursion, then C from it.
    let mut blocked = 1.0;
    for server in 1..=servers {
        blocked = load * blocked / (f64::from(server) + load * blocked);
    }
    let rho = load / f64::from(servers);
    let waits = blocked / (1.0 - rho * (1.0 - blocked));
    waits / (f64::from(servers) * mu - lambda) * 1e3
}

/// The share that M/M/1 with room for `room` turns away.
fn loss(rho: f64, room: i32) -> f64 {
    (1.0 - rho) * rho.powi(room) / (1.0 - rho.powi(room + 1))
}
