//! What is left of a callee at three times its capacity, and what a throttle lets through to it.

use super::{Row, Small, Tolerance, ms, number, ratio, simulate};
use crate::model::{EdgeSpec, ServiceSpec};
use crate::{Arrivals, Dist, Run};
use bowline_model::decision::GiveUp;
use bowline_policy::{AdmissionSettings, BulkheadSettings, CallPolicy};
use std::time::Duration;

/// What the callee of the overload rows can do: eight at once, a tenth of a second each.
const CAPACITY: f64 = 80.0;
const SECONDS: u64 = 60;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row {
            id: "V4",
            long: false,
            title: "adaptive throttling at the caller",
            setting: "300/s on one server of 100/s where five may wait and others are refused; K = 2, two minutes",
            source: "SRE book, chapter 21: the backend sees K times what it accepts; 1 - K a / r is rejected here",
            numbers: vec![
                number("tries per accepted call", "", 2.0, Tolerance::Share(0.05)),
                number("rejected at the caller", "", 0.333, Tolerance::Within(0.03)),
            ],
            measure: |seed| {
                let run = throttled(seed);
                let edge = &run.edges[0];
                let rejected = edge.ends.iter().find(|(why, _)| *why == GiveUp::Throttled);
                let rejected = rejected.map_or(0, |(_, count)| *count);
                vec![ratio(edge.tries, edge.succeeded), ratio(rejected, edge.calls)]
            },
        },
        Row {
            id: "overload 1",
            long: false,
            title: "three times the capacity, a deadline alone",
            setting: "240/s on 80/s, who waits longer than 1 s is gone, its work is done all the same",
            source: "shape: once the queue is longer than the deadline, all work is for nobody",
            numbers: vec![number("answered in time, of the capacity", "", 0.02, Tolerance::AtMost)],
            measure: |seed| vec![goodput(&CallPolicy::default(), seed)],
        },
        Row {
            id: "overload 2",
            long: false,
            title: "the same behind a bulkhead and a throttle",
            setting: "12 at once, 40 may wait for 500 ms; admission over 30 s",
            source: "the bar: 0.85 of the peak; `cargo xtask bench overload` measures the same through the gateway",
            numbers: vec![number("answered in time, of the capacity", "", 0.85, Tolerance::AtLeast)],
            measure: |seed| {
                let bulkhead = BulkheadSettings { concurrent: 12, queue: 40, wait: ms(500) };
                let admission =
                    AdmissionSettings { window: Duration::from_secs(30), ..AdmissionSettings::default() };
                let policy = CallPolicy {
                    bulkhead: Some(bulkhead),
                    admission: Some(admission),
                    ..CallPolicy::default()
                };
                vec![goodput(&policy, seed)]
            },
        },
    ]
}

fn throttled(seed: u64) -> Run {
    let server = ServiceSpec { queue: Some(5), ..ServiceSpec::new("server") };
    let model = Small::new(server, Dist::Constant(ms(10)));
    let policy = CallPolicy { admission: Some(AdmissionSettings::default()), ..CallPolicy::default() };
    let edge = EdgeSpec { policy, ..EdgeSpec::new("in", model.operation) };
    simulate(model.asked(edge, Arrivals::Poisson { rate: 300.0 }, 1), seed, 20, 1_000, Vec::new())
}

/// What is answered in time at three times the capacity, of the capacity.
fn goodput(policy: &CallPolicy, seed: u64) -> f64 {
    let server = ServiceSpec { concurrency: 8, ..ServiceSpec::new("server") };
    let model = Small::new(server, Dist::Constant(ms(100)));
    let deadline = Some(Duration::from_secs(1));
    let edge = EdgeSpec { policy: policy.clone(), deadline, ..EdgeSpec::new("in", model.operation) };
    let run = simulate(
        model.asked(edge, Arrivals::Poisson { rate: 3.0 * CAPACITY }, 1),
        seed,
        30,
        SECONDS,
        Vec::new(),
    );
    run.clocks.answered.count_within(Duration::from_secs(1)) as f64 / SECONDS as f64 / CAPACITY
}
