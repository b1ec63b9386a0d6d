//! gRPC's policies in virtual time, decided by the very code that runs.

use bowline_fault::Percent;
use bowline_model::Instant;
use bowline_model::decision::GiveUp;
use bowline_policy::{Backoff, CallPolicy, Codes, RetryRule, RetrySettings, RetryThrottleSettings};
use bowline_sim::fault::{Calls, FaultEvent, FaultKind};
use bowline_sim::model::{Do, EdgeSpec, EntrySpec, EntryTo, ServiceId, ServiceSpec};
use bowline_sim::run::EdgeRun;
use bowline_sim::{Arrivals, Dist, Model, RunSpec, run};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// A hundred calls a second for a minute, each tried four times at most; from 20 s to 40 s all are answered 503.
fn outage(retry_throttle: Option<RetryThrottleSettings>) -> EdgeRun {
    let mut model = Model::builder();
    let server = model.service(ServiceSpec { concurrency: 100, ..ServiceSpec::new("server") });
    let serve = model.serve(server, "serve", vec![Do::Work(Dist::Constant(Duration::from_millis(1)))]);
    let (base, max) = (Duration::from_millis(10), Duration::from_millis(40));
    let policy = CallPolicy {
        retry: RetrySettings {
            tries: 4,
            per_try: None,
            backoff: Backoff::Grpc { base, max, multiplier: 2_000_000 },
            rule: RetryRule::Codes(Codes::NONE.with(14)),
        },
        retry_throttle,
        ..CallPolicy::default()
    };
    let edge = model.edge(EdgeSpec { policy, ..EdgeSpec::new("in", serve) });
    let arrivals = Arrivals::Constant { rate: 100.0 };
    model.entry(EntrySpec { name: "in".into(), to: EntryTo::Call(edge), arrivals, clients: 1 });
    let fault = FaultEvent {
        at: Instant::ZERO + Duration::from_secs(20),
        length: Some(Duration::from_secs(20)),
        kind: FaultKind::Error {
            calls: Calls::to(ServiceId(0)),
            replica: None,
            status: 503,
            percent: Percent::ALWAYS,
        },
    };
    let spec = RunSpec::new(Arc::new(model.build().unwrap()), 5, Duration::ZERO, Duration::from_secs(60));
    let spec = spec.unwrap().with_faults(vec![fault]).unwrap();
    let mut run = run(&spec, &mut |_| ControlFlow::Continue(()));
    run.edges.remove(0)
}

#[test]
fn a_throttle_ends_the_retries_of_an_outage_within_half_of_its_tokens() {
    let free = outage(None);
    // Two thousand calls fail, and each is tried three times more; those at the end of it may get through.
    let extra = free.tries - free.calls;
    assert!((5_900..=6_000).contains(&extra), "{extra}");

    let tokens = RetryThrottleSettings { tokens_max: 10_000, ratio: 100 };
    let throttled = outage(Some(tokens));
    // Half of ten tokens are five failures; what was asleep by then still comes.
    let extra = throttled.tries - throttled.calls;
    assert!((4..=12).contains(&extra), "{extra}");
    let ended =
        throttled.ends.iter().find(|(why, _)| *why == GiveUp::RetryThrottled).map(|(_, count)| *count);
    assert!(ended.is_some_and(|count| 1_980 < count), "{:?}", throttled.ends);
    assert_eq!(throttled.calls, free.calls);
}
