//! What the gate costs a request: a head of some 300 bytes, as a browser or a service sends it.

use bowline_proxy::gate::{Limits, Machine};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const HEAD: &str = "GET /orders/7f3c9a?expand=items HTTP/1.1\r\n\
    Host: shop.example:8080\r\n\
    User-Agent: curl/8.14.1\r\n\
    Accept: application/json\r\n\
    Accept-Encoding: gzip, br\r\n\
    Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n\
    Connection: keep-alive\r\n\
    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
    \r\n";

fn gate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gate");
    group.throughput(Throughput::Bytes(HEAD.len() as u64));
    group.bench_function("head", |bencher| {
        let mut machine = Machine::new(Limits::default());
        bencher.iter(|| {
            machine.set_answered(machine.heads());
            let judged = machine.feed(black_box(HEAD.as_bytes()));
            assert_eq!(judged.now, HEAD.len());
        });
    });
    group.finish();
}

criterion_group!(benches, gate);
criterion_main!(benches);
