//! Events a second, on one core.
//!
//! Two models: one server without any policy (M/M/1), which is what other simulators print, and a chain of
//! six services with retry, budget, breaker, bulkhead and deadline on every edge. Each line also says how many
//! requests and tries a second that is, because events can be made cheap by making more of them.

use bowline_policy::{
    Backoff, BreakerSettings, BudgetSettings, BulkheadSettings, CallPolicy, Ratio, RetrySettings,
};
use bowline_sim::model::{Do, EdgeSpec, EntrySpec, EntryTo, ServiceSpec};
use bowline_sim::{Arrivals, Dist, Model, RunSpec, run};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn main() {
    report("mm1_events_per_s", mm1(), 2_000);
    report("policies_events_per_s", policies(6), 250);
}

fn mm1() -> Model {
    let mut model = Model::builder();
    let server = model.service(ServiceSpec::new("server"));
    let serve = model.serve(server, "serve", vec![Do::Work(Dist::exponential(Duration::from_millis(1)))]);
    let edge = model.edge(EdgeSpec::new("in", serve));
    let arrivals = Arrivals::Poisson { rate: 800.0 };
    model.entry(EntrySpec { name: "in".into(), to: EntryTo::Call(edge), arrivals, clients: 1 });
    model.build().expect("the model is sound")
}

fn policies(services: usize) -> Model {
    let policy = CallPolicy {
        retry: RetrySettings {
            tries: 3,
            per_try: Some(Duration::from_millis(100)),
            backoff: Backoff::ENVOY,
            ..RetrySettings::none()
        },
        budget: Some(BudgetSettings::default()),
        breaker: Some(BreakerSettings {
            failure_ratio: Some(Ratio::percent(50)),
            ..BreakerSettings::default()
        }),
        bulkhead: Some(BulkheadSettings { concurrent: 200, queue: 50, wait: Duration::from_millis(20) }),
        ..CallPolicy::default()
    };
    let mut model = Model::builder();
    let mut next = None;
    for index in (0..services).rev() {
        let service =
            model.service(ServiceSpec { concurrency: 64, ..ServiceSpec::new(&format!("s{index}")) });
        let work = Do::Work(Dist::exponential(Duration::from_millis(2)));
        let does = std::iter::once(work).chain(next.map(Do::Call)).collect();
        let operation = model.serve(service, "get", does);
        next = Some(model.edge(EdgeSpec {
            policy: policy.clone(),
            deadline: Some(Duration::from_millis(300)),
            latency: Dist::Constant(Duration::from_micros(200)),
            ..EdgeSpec::new(&format!("to s{index}"), operation)
        }));
    }
    let arrivals = Arrivals::Poisson { rate: 1_000.0 };
    let to = EntryTo::Call(next.expect("there is a service"));
    model.entry(EntrySpec { name: "in".into(), to, arrivals, clients: 1 });
    model.build().expect("the model is sound")
}

#[expect(clippy::disallowed_methods, reason = "what is measured here is the clock's time")]
fn report(name: &str, model: Model, seconds: u64) {
    let spec =
        RunSpec::new(Arc::new(model), 7, Duration::ZERO, Duration::from_secs(seconds)).expect("it lasts");
    let begun = Instant::now();
    let run = run(&spec, &mut |_| ControlFlow::Continue(()));
    let took = begun.elapsed().as_secs_f64();
    let tries: u64 = run.edges.iter().map(|edge| edge.tries).sum();
    println!(
        "{name:<24} {:>11.0}   {:>9.0} requests/s  {:>9.0} tries/s  {:>9} events in {took:.2} s, {}",
        run.events as f64 / took,
        run.fates.arrived as f64 / took,
        tries as f64 / took,
        run.events,
        run.ending,
    );
    println!("{:24} mean {:?}  p99 {:?}", "", run.clocks.answered.mean(), run.clocks.answered.quantile(0.99));
}
