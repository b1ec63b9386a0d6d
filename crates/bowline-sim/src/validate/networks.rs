//! Networks that branch, lead back and meet again: a second opinion on the engine, by means that share nothing
//! with it.
//!
//! A queue alone says little about the paths between queues. Here requests choose between services, come back to
//! one they have been at (which makes its arrivals no Poisson process any more), and go two ways at once and wait
//! for both. What must come out was reckoned on paper or from the balance equations of a Markov chain, and stood
//! here before the first run.

use super::{Row, Small, Tolerance, built, enter, in_ms, ms, number, quantile_ms, ratio, simulate};
use crate::model::{Builder, Do, EdgeId, EdgeSpec, EntryTo, OperationId, Overflow, ServiceSpec};
use crate::{Arrivals, Dist, Model};
use std::time::Duration;

const MEAN: Tolerance = Tolerance::Share(0.01);
const P99: Tolerance = Tolerance::Share(0.02);

/// Seconds that each runs: two to six million requests. At seven tenths of its capacity the mean number in a queue
/// has after so long a standard deviation of a quarter of a percent, by the formula that stands beside the closed
/// forms' lengths.
const LONG: u64 = 8_000;

/// How often a request may be led back, because a program has an end. A fifth of a fifth, and so on: of 10^16
/// requests one would be led back once more.
const AGAIN_MAX: usize = 23;
const AGAIN: f64 = 0.2;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row {
            id: "network 1",
            long: true,
            title: "branching and feedback",
            setting: "400/s to A of 1000/s; then six of ten to B of 500/s, the others to C of 400/s; then a fifth to \
                      A again",
            source: "closed form: Jackson 1957, each service as if alone at its rate of visits",
            numbers: vec![
                number("visits of A, per request", "", 1.0 / 0.8, MEAN),
                number("visits of B, per request", "", 0.6 / 0.8, MEAN),
                number("visits of C, per request", "", 0.4 / 0.8, MEAN),
                // At A and C as many as at a server half busy, one; at B three halves: 3.5 / 400 by Little's law.
                number("mean", "ms", 8.75, MEAN),
            ],
            measure: jackson,
        },
        Row {
            id: "network 2",
            long: true,
            title: "branching, the tail",
            setting: "600/s to A of 1000/s; then seven of ten to B of 700/s, the others to C of 300/s",
            source: "closed form: nobody overtakes, so stays are independent (Reich 1957): two exponential ones in a \
                     row, mixed",
            numbers: vec![number("mean", "ms", 7.5, MEAN), number("p99", "ms", tail_of_tree(0.01), P99)],
            measure: tree,
        },
        Row {
            id: "network 3",
            long: true,
            title: "two at once, and both must answer",
            setting: "700/s, each to two servers of 1000/s",
            source: "closed form: Flatto and Hahn 1984, Nelson and Tantawi 1988: (12 - rho) / 8 of one server's mean",
            numbers: vec![number("mean", "ms", (12.0 - 0.7) / 8.0 / 300.0 * 1e3, MEAN)],
            measure: |seed| vec![fork_join(700.0, [1_000.0, 1_000.0], 0.0, seed)],
        },
        Row {
            id: "network 4",
            long: true,
            title: "two at once, unequal, and a fifth once more",
            setting: "450/s, each to servers of 1000/s and 800/s; a fifth of those that are through begin anew",
            source: "no closed form; the stationary state of its Markov chain, which a test solves",
            numbers: vec![number("mean", "ms", 6.0794, MEAN)],
            measure: |seed| vec![fork_join(450.0, [1_000.0, 800.0], AGAIN, seed)],
        },
        Row {
            id: "network 5",
            long: true,
            title: "four places and no queue",
            setting: "300/s of 10 ms each; who finds all four taken is turned away",
            source: "closed form: Erlang 1917, B(4, 3), whatever the work's distribution (Sevastyanov 1957)",
            numbers: vec![
                number("turned away, exponential", "", 27.0 / 131.0, MEAN),
                number("turned away, gamma of cv 2", "", 27.0 / 131.0, MEAN),
                number("turned away, constant", "", 27.0 / 131.0, MEAN),
            ],
            measure: |seed| {
                let (exponential, constant) = (Dist::exponential(ms(10)), Dist::Constant(ms(10)));
                let gamma = Dist::Gamma { mean: ms(10), cv: 2.0 };
                [exponential, gamma, constant].map(|work| turned_away(work, seed)).to_vec()
            },
        },
    ]
}

// === what is run ===

fn jackson(seed: u64) -> Vec<f64> {
    let (mut model, [a, b, c]) = servers([1_000.0, 500.0, 400.0]);
    let branch = Do::Choice(vec![(0.6, vec![Do::Call(b)]), (0.4, vec![Do::Call(c)])]);
    let does = repeated(&[Do::Call(a), branch], AGAIN);
    let front = front(&mut model, does);
    let run = simulate(asked(model, front, 400.0), seed, 0, LONG, vec![]);
    let visits = [a, b, c].map(|edge| ratio(run.edges[edge.index()].calls, run.fates.arrived));
    [&visits[..], &[in_ms(run.clocks.answered.mean())]].concat()
}

fn tree(seed: u64) -> Vec<f64> {
    let (mut model, [a, b, c]) = servers([1_000.0, 700.0, 300.0]);
    let branch = Do::Choice(vec![(0.7, vec![Do::Call(b)]), (0.3, vec![Do::Call(c)])]);
    let front = front(&mut model, vec![Do::Call(a), branch]);
    let run = simulate(asked(model, front, 600.0), seed, 20, LONG, vec![]);
    vec![in_ms(run.clocks.answered.mean()), quantile_ms(&run.clocks.answered, 0.99)]
}

/// The mean until both servers have answered, the last time where it begins anew.
fn fork_join(rate: f64, servers_of: [f64; 2], again: f64, seed: u64) -> f64 {
    let (mut model, both) = servers(servers_of);
    let fork = Do::Parallel(both.map(|edge| vec![Do::Call(edge)]).to_vec());
    let does = if again == 0.0 { vec![fork] } else { repeated(&[fork], again) };
    let front = front(&mut model, does);
    in_ms(simulate(asked(model, front, rate), seed, 20, LONG, vec![]).clocks.answered.mean())
}

fn turned_away(work: Dist, seed: u64) -> f64 {
    let full = Overflow::Unavailable;
    let service =
        ServiceSpec { concurrency: 4, queue: Some(0), overflow: full, ..ServiceSpec::new("server") };
    let model = Small::new(service, work);
    let edge = EdgeSpec::new("in", model.operation);
    let model = model.asked(edge, Arrivals::Poisson { rate: 300.0 }, 1);
    let fates = simulate(model, seed, 20, LONG, vec![]).fates;
    ratio(fates.failed, fates.arrived)
}

// === how it is built ===

/// Servers of these rates, one at a time each, and the edges by which a front asks them.
fn servers<const N: usize>(rates: [f64; N]) -> (Builder, [EdgeId; N]) {
    let mut model = Model::builder();
    let mut number = 0;
    let edges = rates.map(|rate| {
        number += 1;
        let server = model.service(ServiceSpec::new(&format!("server {number}")));
        let work = Do::Work(Dist::exponential(Duration::from_secs_f64(1.0 / rate)));
        let serve = model.serve(server, "serve", vec![work]);
        model.edge(EdgeSpec::new(&format!("front -> server {number}"), serve))
    });
    (model, edges)
}

/// A front that has room for everybody and takes no time itself.
fn front(model: &mut Builder, does: Vec<Do>) -> OperationId {
    let front = model.service(ServiceSpec { concurrency: u32::MAX, ..ServiceSpec::new("front") });
    model.serve(front, "pass", does)
}

fn asked(mut model: Builder, front: OperationId, rate: f64) -> Model {
    let edge = model.edge(EdgeSpec::new("in", front));
    enter(&mut model, EntryTo::Call(edge), Arrivals::Poisson { rate }, 1);
    built(model)
}

/// Once, and then with this share anew.
fn repeated(once: &[Do], again: f64) -> Vec<Do> {
    let mut does = once.to_vec();
    for _ in 0..AGAIN_MAX {
        let rest = Do::Choice(vec![(again, does), (1.0 - again, vec![])]);
        does = [once, &[rest]].concat();
    }
    does
}

/// The time that this share of the requests of network 2 takes longer than, in milliseconds: by halving, from the
/// two-stage distributions whose stages leave at 400/s, and then at 280/s or 120/s.
fn tail_of_tree(share: f64) -> f64 {
    let both = |first: f64, second: f64, time: f64| {
        (first * (-second * time).exp() - second * (-first * time).exp()) / (first - second)
    };
    let longer = |time: f64| 0.7 * both(400.0, 280.0, time) + 0.3 * both(400.0, 120.0, time);
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if share < longer(middle) { low = middle } else { high = middle }
    }
    high * 1e3
}
