//! What the policies cost: one call with everything on, and its parts.
//!
//! `cargo bench -p bowline-policy`. The limit is 150 ns for `call_all_policies`, a two-hundredth of what the
//! proxy spends on a request without any policy.

use bowline_model::decision::{DeadlineSource, TryEnd};
use bowline_model::{Deadline, Instant, Outcome, SplitMix64};
use bowline_policy::{
    Ask, Backoff, BreakerSettings, BudgetSettings, BulkheadSettings, Call, CallPolicy, Edge, RateSettings,
    Report, RetrySettings, Step,
};
use criterion::Criterion;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

fn policy() -> CallPolicy {
    CallPolicy {
        retry: RetrySettings { per_try: Some(Duration::from_millis(120)), ..RetrySettings::tries(2) },
        budget: Some(BudgetSettings::default()),
        breaker: Some(BreakerSettings::default()),
        bulkhead: Some(BulkheadSettings { concurrent: 64, queue: 32, wait: Duration::from_millis(20) }),
        ..CallPolicy::default()
    }
}

/// A call that succeeds at once, a microsecond after the last.
fn call(edge: &Arc<Edge>, now: &mut Instant, rng: &mut SplitMix64) -> Step {
    *now += Duration::from_micros(1);
    let ask = Ask {
        now: *now,
        deadline: Deadline::after(*now, Duration::from_millis(300)),
        deadline_by: DeadlineSource::Policy,
        repeatable: false,
        hosts: 3,
        hash: None,
        arrived_try: 0,
        priority: None,
        seed: 5,
    };
    let (mut call, step) = Call::begin(edge, black_box(ask), rng, &mut ());
    black_box(step);
    let report = Report::new(TryEnd::Answered { status: 200 }, Outcome::Succeeded);
    call.ended(*now, black_box(report), rng, &mut ())
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut one = |name: &str, policy: CallPolicy| {
        let edge = Edge::new(policy);
        let (mut now, mut rng) = (Instant::from_millis(1), SplitMix64::new(1));
        criterion.bench_function(name, |bench| bench.iter(|| call(&edge, &mut now, &mut rng)));
    };
    one("call_all_policies", policy());
    one("call_no_policy", CallPolicy::default());
    one("call_budget", CallPolicy { budget: policy().budget, ..CallPolicy::default() });
    one("call_breaker", CallPolicy { breaker: policy().breaker, ..CallPolicy::default() });
    one("call_bulkhead", CallPolicy { bulkhead: policy().bulkhead, ..CallPolicy::default() });
    let rate = Some(RateSettings { per_second: 2_000_000, burst: 1_000 });
    one("call_rate", CallPolicy { rate, ..CallPolicy::default() });
    criterion.bench_function("backoff", |bench| {
        let mut rng = SplitMix64::new(1);
        bench.iter(|| Backoff::ENVOY.delay(black_box(2), Duration::ZERO, &mut rng));
    });
    criterion.final_summary();
}
