//! What recording costs a worker: a request of one try, handed over; and the decision not to.
//!
//! Making the spans is measured, too, because it takes time from somebody: the thread of this crate.

use bowline_model::decision::{BreakerState, Decision, Observer, PickWhy, TryEnd};
use bowline_model::{Instant, Outcome, Random, SplitMix64, TraceContext, Trail, WallTime};
use bowline_proxy::{Record, Recorder};
use bowline_trace::{Sampler, Settings, Tracer, spans};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

fn record() -> Record {
    let mut trail = Trail::default();
    let picked = Decision::HostPicked {
        number: 1,
        host: 0,
        why: PickWhy::LowerCost,
        pending: 2,
        expected: Duration::from_millis(2),
    };
    for decision in [
        Decision::BreakerPassed { state: BreakerState::Closed, failures: 0, calls: 90 },
        picked,
        Decision::TryStarted { number: 1, host: 0, within: Duration::from_millis(80) },
        Decision::TryEnded {
            number: 1,
            outcome: Outcome::Succeeded,
            end: TryEnd::Answered { status: 200 },
            took: Duration::from_millis(2),
        },
    ] {
        trail.decided(Instant::from_millis(1), decision);
    }
    Record {
        id: 0,
        at: WallTime::from_unix_nanos(1),
        began: Instant::ZERO,
        method: http::Method::GET,
        target: "/inventory/stock?sku=A47".into(),
        authority: "shop.example:8080".into(),
        status: 200,
        took: Duration::from_millis(2),
        through: Some(Duration::from_millis(2)),
        speaks: bowline_proxy::Protocol::Http1,
        callee: Some(bowline_proxy::Protocol::Http1),
        flag: bowline_proxy::Flag::None,
        caller: None,
        access: None,
        listener: "shop/gate".into(),
        route: None,
        destination: Some("inventory.stock".into()),
        hosts: Arc::new(["127.0.0.1:7001".into()]),
        grpc: false,
        trace: 7,
        span: 7,
        parent: None,
        trail,
    }
}

/// Requests handed over in one go: a quiet second's, which wake nobody; and a storm's, with a thread on the other core
/// that makes spans of them meanwhile.
const HANDED_OVER: [(&str, u64); 2] =
    [("500 requests of one try", 500), ("4,000 requests of one try", 4_000)];

/// A tracer that is over before the next begins.
struct Ended(Tracer);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.stop(Duration::from_secs(10));
    }
}

/// Nobody listens there: what is measured is the hand-over, with a thread that empties the queue meanwhile.
fn tracer(sampler: Sampler) -> Tracer {
    let mut settings = Settings::new("http://127.0.0.1:9").expect("an address");
    settings.sampler = sampler;
    Tracer::start(settings).expect("a thread")
}

fn recording(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("trace");
    let mut random = SplitMix64::new(1);
    let start = TraceContext::start(&mut random);
    let recorder: Arc<dyn Recorder> = Arc::new(tracer(Sampler::ratio(0.0)));
    group.bench_function("a try, not recorded", |bencher| {
        // The decision, and the span that the try is sent with all the same.
        bencher.iter(|| {
            let context = TraceContext { parent: random.next_u64(), ..start };
            (recorder.samples(None, context.trace), black_box(context).of_try(1))
        });
    });
    let template = record();
    group.bench_function("spans made, one try", |bencher| {
        bencher.iter(|| spans::spans(black_box(&template)));
    });
    for (name, requests) in HANDED_OVER {
        group.throughput(Throughput::Elements(requests));
        group.bench_function(name, |bencher| {
            // The copy allocates what a worker allocates for its record. An empty queue each time: a drop is cheap.
            bencher.iter_batched_ref(
                || Ended(tracer(Sampler::ratio(1.0))),
                |tracer| {
                    for _ in 0..requests {
                        tracer.0.finished(Arc::new(black_box(&template).clone()));
                    }
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, recording);
criterion_main!(benches);
