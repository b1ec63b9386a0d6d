//! Events a second, on one core, and what a whole comparison takes.
//!
//! - `plain_events_per_s`: one server without any policy (M/M/1), which is what other simulators print
//! - `policies_events_per_s`: a chain of six services with retry, budget, breaker, bulkhead and deadline on
//!   every edge
//! - `six_services`: the same chain, asked 1,000 times a second for ten minutes, in three arms with many seeds,
//!   on two threads
//!
//! Each line also says how many requests and tries a second that is, because events can be made cheap by making
//! more of them. Names choose; `--times N` simulates N times as long (`six_services`: N seeds an arm). Each line
//! is a JSON document with the clock's time, the processor's, and the most memory that was resident.

use bowline_policy::{
    Backoff, BreakerSettings, BudgetSettings, BulkheadSettings, CallPolicy, Ratio, RetrySettings,
};
use bowline_sim::model::{Do, EdgeSpec, EntrySpec, EntryTo, ServiceId, ServiceSpec};
use bowline_sim::parallel::run_all;
use bowline_sim::{Arrivals, Dist, FaultEvent, FaultKind, Model, Run, RunSpec, run};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn main() {
    // Cargo says `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let times = args.iter().position(|arg| arg == "--times");
    let times = times.map_or(1, |at| args[at + 1].parse().expect("--times wants a number"));
    let named = args.iter().any(|arg| !arg.starts_with("--") && arg.parse::<u64>().is_err());
    let wanted = |name: &str| !named || args.iter().any(|arg| arg == name);
    // About as many events in both: ten million.
    if wanted("plain_events_per_s") {
        report("plain_events_per_s", || alone(mm1(), 4_000 * times));
    }
    if wanted("policies_events_per_s") {
        report("policies_events_per_s", || alone(chain(&everything()), 250 * times));
    }
    if wanted("six_services") {
        report("six_services", || comparison(times));
    }
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

/// Retry, budget, breaker and bulkhead.
fn everything() -> CallPolicy {
    CallPolicy {
        budget: Some(BudgetSettings::default()),
        breaker: Some(BreakerSettings {
            failure_ratio: Some(Ratio::percent(50)),
            ..BreakerSettings::default()
        }),
        bulkhead: Some(BulkheadSettings { concurrent: 200, queue: 50, wait: Duration::from_millis(20) }),
        ..retries()
    }
}

fn retries() -> CallPolicy {
    let per_try = Some(Duration::from_millis(100));
    CallPolicy {
        retry: RetrySettings { tries: 3, per_try, backoff: Backoff::ENVOY, ..RetrySettings::none() },
        ..CallPolicy::default()
    }
}

/// Six services, each asked by the one before.
fn chain(policy: &CallPolicy) -> Model {
    let mut model = Model::builder();
    let mut next = None;
    for index in (0..6).rev() {
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

fn alone(model: Model, seconds: u64) -> Vec<Run> {
    let spec =
        RunSpec::new(Arc::new(model), 7, Duration::ZERO, Duration::from_secs(seconds)).expect("it lasts");
    vec![run(&spec, &mut |_| ControlFlow::Continue(()))]
}

/// Ten minutes, in the third of which the last service does nothing for ten seconds.
fn comparison(seeds: u64) -> Vec<Run> {
    let pause = FaultKind::Pause { service: ServiceId(0), replica: None };
    let at = run::at(Duration::from_secs(120));
    let pause = FaultEvent { at, length: Some(Duration::from_secs(10)), kind: pause };
    let mut specs = Vec::new();
    for policy in [CallPolicy::default(), retries(), everything()] {
        let spec = RunSpec::new(Arc::new(chain(&policy)), 7, Duration::ZERO, Duration::from_secs(600));
        let spec = spec.and_then(|spec| spec.with_faults(vec![pause.clone()])).expect("it lasts");
        specs.extend((1..=seeds).map(|seed| spec.clone().with_seed(seed)));
    }
    let two = NonZeroUsize::new(2).expect("two is not zero");
    run_all(&specs, two, &mut |_| ControlFlow::Continue(())).into_iter().flatten().collect()
}

#[expect(clippy::disallowed_methods, reason = "what is measured here is the clock's time")]
fn report(name: &str, measured: impl FnOnce() -> Vec<Run>) {
    let (begun, worked) = (Instant::now(), processor_s());
    let runs = measured();
    let (wall, cpu) = (begun.elapsed().as_secs_f64(), processor_s() - worked);
    let sum = |of: fn(&Run) -> u64| runs.iter().map(of).sum::<u64>();
    let events = sum(|run| run.events);
    println!(
        "{{\"bench\":\"{name}\",\"runs\":{},\"events\":{events},\"requests\":{},\"tries\":{},\
         \"wall_s\":{wall:.3},\"cpu_s\":{cpu:.3},\"events_per_s\":{:.0},\"memory_kib\":{}}}",
        runs.len(),
        sum(|run| run.fates.arrived),
        sum(|run| run.edges.iter().map(|edge| edge.tries).sum()),
        events as f64 / cpu,
        memory_kib(),
    );
}

/// Seconds that this process has been on a core so far. On a machine with other work, that is the figure that
/// belongs to the program.
fn processor_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in brackets: state is field 3, user and system time are 14 and 15, in hundredths.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(f64::NAN);
    (ticks(11) + ticks(12)) / 100.0
}

/// The most memory that was resident at one time.
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or_default()
}
