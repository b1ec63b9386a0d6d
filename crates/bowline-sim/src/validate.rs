//! What the simulator must be able to reproduce: closed forms of queueing theory, and what others have published.
//!
//! Each row has its setting, where its numbers come from, and how far ours may be off. The tolerances stand
//! here, in the code, and were there before the numbers: 1 % on means and 2 % on 99th percentiles of closed
//! forms; for published simulations what their own runs scatter by. A row that fails is shown as failing.
//!
//! - [`closed_forms`]: queues, products, the drain law
//! - [`budgets`]: what retry budgets allow
//! - [`hedging`]: what a second try beside a late one makes of the tail
//! - [`asynchronous`]: what a consumer's death does to who published
//! - [`collapse`]: what does not recover, and the jitter that would have helped
//! - [`networks`]: branching, feedback, fork and join, by means that share nothing with the engine
//! - [`bad_host`]: one of ten that fails, is slow or refuses
//! - [`overload`]: what is left at three times the capacity, and how much of it a throttle lets through
//! - [`outage`]: one outage under seven designs

pub mod asynchronous;
pub mod bad_host;
pub mod budgets;
pub mod closed_forms;
pub mod collapse;
pub mod hedging;
pub mod networks;
pub mod outage;
pub mod overload;

use crate::model::{Do, EdgeId, EdgeSpec, EntrySpec, EntryTo, OperationId, ServiceSpec};
use crate::{Arrivals, Dist, FaultEvent, Model, Run, RunSpec, model, run};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// One published or derived result.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is called in the table.
    pub id: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// The exact setting.
    pub setting: &'static str,
    /// Where the numbers come from.
    pub source: &'static str,
    /// Whether it takes more than a moment.
    pub long: bool,
    /// The numbers.
    pub numbers: Vec<Number>,
    measure: fn(u64) -> Vec<f64>,
}

/// One number that must come out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// What it is.
    pub what: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it should be.
    pub expected: f64,
    /// How far it may be off.
    pub tolerance: Tolerance,
}

/// How far a number may be off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// This share of what is expected.
    Share(f64),
    /// This much.
    Within(f64),
    /// Not below it: a shape, not a number.
    AtLeast,
    /// Not above it.
    AtMost,
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// What should have.
    pub number: Number,
    /// What did.
    pub value: f64,
}

impl Row {
    /// Runs the row.
    #[must_use]
    pub fn run(&self, seed: u64) -> Vec<Measured> {
        let values = (self.measure)(seed);
        debug_assert_eq!(values.len(), self.numbers.len(), "{}", self.id);
        self.numbers.iter().zip(values).map(|(number, value)| Measured { number: *number, value }).collect()
    }
}

impl Measured {
    /// Whether it is as near as it must be.
    #[must_use]
    pub fn passes(&self) -> bool {
        let Number { expected, tolerance, .. } = self.number;
        match tolerance {
            Tolerance::Share(share) => (self.value - expected).abs() <= share * expected.abs(),
            Tolerance::Within(span) => (self.value - expected).abs() <= span,
            Tolerance::AtLeast => expected <= self.value,
            Tolerance::AtMost => self.value <= expected,
        }
    }
}

/// All rows, in the order of the table.
#[must_use]
pub fn rows() -> Vec<Row> {
    [
        closed_forms::rows(),
        networks::rows(),
        budgets::rows(),
        overload::rows(),
        hedging::rows(),
        bad_host::rows(),
        collapse::rows(),
        asynchronous::rows(),
        outage::rows(),
    ]
    .concat()
}

/// Rows of the published list that do not run, and why.
#[must_use]
pub const fn absent() -> &'static [(&'static str, &'static str)] {
    &[
        (
            "V5 adaptive, breaker",
            "the published buckets and breakers count otherwise than ours; the plain retries run",
        ),
        ("V10", "the distribution was not published; the row called hedging has one of its own"),
        ("V12", "garbage collection is not modelled"),
        ("V13", "the published example is solved as a Markov chain, not simulated"),
        ("V18", "a design that asks for more than five tries at once is refused"),
        ("V19", "the topology's availabilities were not published"),
        ("V21", "only qualitative"),
    ]
}

const fn number(what: &'static str, unit: &'static str, expected: f64, tolerance: Tolerance) -> Number {
    Number { what, unit, expected, tolerance }
}

// === small models ===

/// A model with one service and one operation, to be changed before it is built.
struct Small {
    model: model::Builder,
    operation: OperationId,
}

impl Small {
    fn new(service: ServiceSpec, takes: Dist) -> Self {
        let mut model = Model::builder();
        let service = model.service(service);
        let operation = model.serve(service, "serve", vec![Do::Work(takes)]);
        Self { model, operation }
    }

    /// Lets requests in by an edge.
    fn asked(mut self, edge: EdgeSpec, arrivals: Arrivals, clients: u32) -> Model {
        let edge = self.model.edge(edge);
        enter(&mut self.model, EntryTo::Call(edge), arrivals, clients);
        built(self.model)
    }
}

fn enter(model: &mut model::Builder, to: EntryTo, arrivals: Arrivals, clients: u32) {
    model.entry(EntrySpec { name: "in".into(), to, arrivals, clients });
}

/// A chain of services, each asked by the one before under the same policy; the last edge leads to `last`.
fn chain(layers: usize, policy: &bowline_policy::CallPolicy) -> (Model, Vec<EdgeId>) {
    let mut model = Model::builder();
    let mut edges = Vec::new();
    for layer in (0..layers).rev() {
        let service = ServiceSpec { concurrency: u32::MAX, ..ServiceSpec::new(&format!("layer {layer}")) };
        let service = model.service(service);
        let does = edges.last().map(|next| Do::Call(*next)).into_iter().collect();
        let operation = model.serve(service, "ask", does);
        edges.push(model.edge(EdgeSpec {
            policy: policy.clone(),
            ..EdgeSpec::new(&format!("to layer {layer}"), operation)
        }));
    }
    if let Some(first) = edges.last() {
        enter(&mut model, EntryTo::Call(*first), Arrivals::Constant { rate: 10.0 }, 1);
    }
    edges.reverse();
    (built(model), edges)
}

#[expect(clippy::expect_used, reason = "the models of this module are constants; a test builds every one")]
fn built(model: model::Builder) -> Model {
    model.build().expect("a model of the validation table is sound")
}

/// Runs a model for so many seconds after a warm-up.
#[expect(clippy::expect_used, reason = "the runs of this module are constants; a test runs every one")]
fn simulate(model: Model, seed: u64, warm_up: u64, seconds: u64, faults: Vec<FaultEvent>) -> Run {
    let (warm_up, length) = (Duration::from_secs(warm_up), Duration::from_secs(seconds));
    let spec = RunSpec::new(Arc::new(model), seed, warm_up, length).and_then(|spec| spec.with_faults(faults));
    run(&spec.expect("a run of the validation table is sound"), &mut |_| ControlFlow::Continue(()))
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn in_ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

fn quantile_ms(histogram: &crate::Histogram, share: f64) -> f64 {
    histogram.quantile(share).map_or(f64::NAN, in_ms)
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
