//! What recording costs a worker: a request of one try, handed over; and the decision not to.
//!
//! Making the spans is measured, too, because it takes time from somebody: the thread of this crate.

use bowline_model::decision::{BreakerState, Decision, Observer, PickWhy, TryEnd};
use bowline_model::{Instant, Outcome, Random, SplitMix64, Trail, WallTime};
use bowline_proxy::{Record, Recorder};
use bowline_trace::{Sampler, Settings, Tracer, spans};
use criterion::{Criterion, criterion_group, criterion_main};
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
        flag: bowline_proxy::Flag::None,
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

fn recording(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("trace");
    let sampler = Sampler::ratio(0.0);
    let mut random = SplitMix64::new(1);
    group.bench_function("not recorded", |bencher| {
        bencher.iter(|| sampler.samples(None, black_box(u128::from(random.next_u64()))));
    });
    // Nobody listens there: what is measured is the hand-over, with a thread that empties the queue meanwhile.
    let mut settings = Settings::new("http://127.0.0.1:9").expect("an address");
    settings.queue_max = 1 << 20;
    let tracer = Tracer::start(settings).expect("a thread");
    let template = record();
    group.bench_function("recorded, one try", |bencher| {
        // The copy allocates what a worker allocates for its record.
        bencher.iter(|| tracer.finished(Arc::new(black_box(&template).clone())));
    });
    group
        .bench_function("spans made, one try", |bencher| bencher.iter(|| spans::spans(black_box(&template))));
    group.finish();
}

criterion_group!(benches, recording);
criterion_main!(benches);
