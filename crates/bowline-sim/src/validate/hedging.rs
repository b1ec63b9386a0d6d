//! What a second try beside a late one makes of the tail, and what it costs.

use super::{Row, Small, Tolerance, ms, number, quantile_ms, ratio, simulate};
use crate::model::{EdgeSpec, ServiceSpec};
use crate::{Arrivals, Dist, Run};
use bowline_policy::{CallPolicy, HedgeAfter, HedgeSettings};

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row {
            id: "hedging",
            long: false,
            title: "a second try after the p95",
            setting: "500/s, ten replicas without queues, exponential work of 10 ms, the delay is learned",
            source: "closed form: beyond the delay d both must be late, e^-t e^-(t-d); Dean and Barroso 2013 (shape)",
            numbers: vec![
                number("p99 without", "ms", 10.0 * one_in(100.0), Tolerance::Share(0.02)),
                number("p99 with", "ms", 10.0 * hedged(100.0), Tolerance::Share(0.03)),
                number("p99.9 without", "ms", 10.0 * one_in(1_000.0), Tolerance::Share(0.04)),
                number("p99.9 with", "ms", 10.0 * hedged(1_000.0), Tolerance::Share(0.04)),
                number("tries per request with", "", 1.05, Tolerance::Within(0.005)),
            ],
            measure: |seed| {
                let (without, with) = (run(None, seed), run(Some(HedgeSettings::OURS), seed));
                let tail = |run: &Run, share| quantile_ms(&run.clocks.answered, share);
                vec![
                    tail(&without, 0.99),
                    tail(&with, 0.99),
                    tail(&without, 0.999),
                    tail(&with, 0.999),
                    tries(&with),
                ]
            },
        },
        Row {
            id: "hedging overload",
            long: false,
            title: "no storm of second tries",
            setting: "150/s on 100/s, a deadline of 300 ms, a hedge after 20 ms, which nearly all would want",
            source: "the cap: one request in ten",
            numbers: vec![
                number("tries per request", "", 1.1, Tolerance::AtMost),
                number("answered, of what is without hedges", "", 0.9, Tolerance::AtLeast),
            ],
            measure: |seed| {
                let fixed = HedgeSettings { after: HedgeAfter::Fixed(ms(20)), ..HedgeSettings::OURS };
                let (without, with) = (overloaded(None, seed), overloaded(Some(fixed), seed));
                vec![tries(&with), ratio(with.fates.acknowledged, without.fates.acknowledged)]
            },
        },
    ]
}

/// What one in so many exponential times is longer than, in their mean.
fn one_in(many: f64) -> f64 {
    many.ln()
}

/// The same of the quicker of two, of which the second begins where one in twenty is late.
fn hedged(many: f64) -> f64 {
    f64::midpoint(one_in(many), one_in(20.0))
}

fn tries(run: &Run) -> f64 {
    ratio(run.edges[0].tries, run.edges[0].calls)
}

fn run(hedge: Option<HedgeSettings>, seed: u64) -> Run {
    let server = ServiceSpec { concurrency: u32::MAX, replicas: 10, ..ServiceSpec::new("server") };
    let model = Small::new(server, Dist::exponential(ms(10)));
    let policy = CallPolicy { hedge, ..CallPolicy::default() };
    let edge = EdgeSpec { policy, ..EdgeSpec::new("in", model.operation) };
    simulate(model.asked(edge, Arrivals::Poisson { rate: 500.0 }, 1), seed, 20, 1_000, vec![])
}

fn overloaded(hedge: Option<HedgeSettings>, seed: u64) -> Run {
    // It leaves alone what nobody waits for any more; otherwise nobody would be answered, hedged or not.
    let server = ServiceSpec { forwards: true, ..ServiceSpec::new("server") };
    let model = Small::new(server, Dist::exponential(ms(10)));
    let policy = CallPolicy { hedge, ..CallPolicy::default() };
    let edge = EdgeSpec { policy, deadline: Some(ms(300)), ..EdgeSpec::new("in", model.operation) };
    simulate(model.asked(edge, Arrivals::Poisson { rate: 150.0 }, 1), seed, 20, 200, vec![])
}
