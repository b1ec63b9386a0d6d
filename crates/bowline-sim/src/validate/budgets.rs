//! What retries and their budgets add to a load when calls fail.

use super::{Row, Small, Tolerance, ms, number, ratio, simulate};
use crate::fault::{Calls, FaultEvent, FaultKind};
use crate::model::{EdgeSpec, ServiceId, ServiceSpec};
use crate::run::at;
use crate::{Arrivals, Dist, Run};
use bowline_fault::Percent;
use bowline_policy::{Backoff, BudgetSettings, CallPolicy, Ratio, RetrySettings};
use std::time::Duration;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row {
            id: "V3",
            long: false,
            title: "retries of a tenth of the requests",
            setting: "1000/s, all fail, at most 3 tries, budget of 10 % and no reserve",
            source: "SRE book, chapter 21: 1.1 times the load instead of 3 times",
            numbers: vec![
                number("tries per request with the budget", "", 1.1, Tolerance::Share(0.01)),
                number("without it", "", 3.0, Tolerance::Share(0.0)),
            ],
            measure: |seed| {
                let budget = budget(Ratio::percent(10), 0);
                let with = failing(3, Some(budget), 1_000.0, 1, 100, seed, 60);
                let without = failing(3, None, 1_000.0, 1, 100, seed, 10);
                vec![amplification(&with), amplification(&without)]
            },
        },
        Row {
            id: "V5",
            long: false,
            title: "three retries against failures by chance",
            setting: "100 clients of 10/s, each try fails with p",
            source: "Brooker 2022 and algebra: load 1 + p + p^2 + p^3, success 1 - p^4; his runs 1.106, 1.881",
            numbers: vec![
                number("load at p = 0.1", "", 1.111, Tolerance::Share(0.01)),
                number("success at p = 0.1", "", 0.9999, Tolerance::Within(0.0002)),
                number("load at p = 0.2", "", 1.248, Tolerance::Share(0.01)),
                number("success at p = 0.2", "", 0.9984, Tolerance::Within(0.0005)),
                number("load at p = 0.5", "", 1.875, Tolerance::Share(0.01)),
                number("success at p = 0.5", "", 0.9375, Tolerance::Share(0.005)),
            ],
            measure: |seed| {
                let runs = [10, 20, 50].map(|percent| failing(4, None, 1_000.0, 100, percent, seed, 100));
                let both = |run: &Run| [amplification(run), ratio(run.fates.acknowledged, run.fates.arrived)];
                runs.iter().flat_map(both).collect()
            },
        },
        Row {
            id: "V6",
            long: false,
            title: "the same budget, held by more and more clients",
            setting: "1000/s in all, everything fails, 4 tries, 10 % and 1/s for each of 10, 100, 1000 clients",
            source: "Brooker 2022 (shape): what each client may always do adds up, until it is no budget any more",
            numbers: vec![
                number("tries per request, 10 clients", "", 1.11, Tolerance::Share(0.02)),
                number("100 clients", "", 1.2, Tolerance::Share(0.02)),
                // Below 2.1, because each client's tenth is rounded down.
                number("1000 clients", "", 1.9, Tolerance::AtLeast),
            ],
            measure: |seed| {
                let budget = budget(Ratio::percent(10), 1);
                let run = |clients| failing(4, Some(budget), 1_000.0, clients, 100, seed, 100);
                [10, 100, 1_000].map(|clients| amplification(&run(clients))).into()
            },
        },
        Row {
            id: "V17",
            long: false,
            title: "the default budget of Finagle, tower and Linkerd",
            setting: "100/s, all fail, 4 tries, 20 % and 10/s over 10 s",
            source: "finagle.github.io 2016/02/08: at most 1.2 lambda + 10/s",
            numbers: vec![number("load", "/s", 130.0, Tolerance::Share(0.01))],
            measure: |seed| {
                let budget = budget(Ratio::percent(20), 10);
                let run = failing(4, Some(budget), 100.0, 1, 100, seed, 1_000);
                vec![run.edges[0].tries as f64 / 1_020.0]
            },
        },
    ]
}

/// A budget over ten seconds, without the limit at each moment, which the published ones do not have.
fn budget(ratio: Ratio, min_per_second: u32) -> BudgetSettings {
    BudgetSettings { ratio, min_per_second, window: Duration::from_secs(10), concurrent: None }
}

fn amplification(run: &Run) -> f64 {
    // Over the whole run, the warm-up included: both counts are.
    ratio(run.edges[0].tries, run.edges[0].calls)
}

/// Evenly spaced calls over a wire of 10 ms, of which each try fails with a probability.
fn failing(
    tries: u32,
    budget: Option<BudgetSettings>,
    rate: f64,
    clients: u32,
    percent: u32,
    seed: u64,
    seconds: u64,
) -> Run {
    let model = Small::new(ServiceSpec { concurrency: u32::MAX, ..ServiceSpec::new("server") }, Dist::ZERO);
    let policy = CallPolicy {
        retry: RetrySettings { backoff: Backoff::None, ..RetrySettings::tries(tries) },
        budget,
        ..CallPolicy::default()
    };
    let latency = Dist::exponential(ms(5));
    let edge = EdgeSpec { policy, latency, ..EdgeSpec::new("in", model.operation) };
    let model = model.asked(edge, Arrivals::Poisson { rate }, clients);
    let percent = Percent::from_percent(f64::from(percent)).unwrap_or(Percent::ALWAYS);
    let kind = FaultKind::Error { calls: Calls::to(ServiceId(0)), replica: None, status: 500, percent };
    let fault = FaultEvent { at: at(Duration::ZERO), length: None, kind };
    simulate(model, seed, 20, seconds, vec![fault])
}
