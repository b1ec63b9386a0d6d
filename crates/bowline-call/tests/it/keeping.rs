//! How connections are made and kept where a destination has ways of its own, and who gives way to whom where it has as
//! many as it may.

use crate::bench::{Bench, Request, whole};
use crate::http2::{calling, local, paused};
use crate::peer::{ACK, HEADERS, PING, Peer};
use bowline_call::{ConnectionSettings, Endpoints, PoolLimits, Transport};
use bowline_model::decision::TryEnd;
use bowline_policy::CallPolicy;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Instant, advance};

const SECOND: Duration = Duration::from_secs(1);

/// A callee over HTTP/1.1 whose connections are made and kept like this, and how many it has had.
async fn callee(connections: ConnectionSettings) -> (Rc<Bench>, Rc<Cell<u32>>) {
    let (bench, listener) = Bench::start(&Transport { connections, ..Transport::PLAIN }).await;
    (bench, serve(listener))
}

/// Answers whatever comes, and counts connections.
fn serve(listener: TcpListener) -> Rc<Cell<u32>> {
    let count = Rc::<Cell<u32>>::default();
    let counted = Rc::clone(&count);
    spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.set(counted.get() + 1);
            spawn_local(answer(stream));
        }
    });
    count
}

async fn answer(mut stream: TcpStream) {
    let mut request = Vec::new();
    while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    }
}

async fn ask(bench: &Bench) {
    assert_eq!(whole(bench.call(Request::get()).await).await.status, 200);
}

#[tokio::test]
async fn a_connection_carries_as_many_requests_as_its_destination_has_it_carry() {
    local(async {
        for (requests, expected) in [(None, 1), (Some(1), 6), (Some(2), 3)] {
            let (bench, connections) =
                callee(ConnectionSettings { requests, ..ConnectionSettings::NONE }).await;
            for _ in 0..6 {
                ask(&bench).await;
            }
            assert_eq!(connections.get(), expected, "{requests:?}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_idle_for_too_long_is_not_used_again() {
    paused(async {
        let usual = PoolLimits::default().idle;
        for (idle, kept, longest) in [
            (None, usual - Duration::from_millis(1), Some(usual)),
            (Some(5 * SECOND), 5 * SECOND - Duration::from_millis(1), Some(5 * SECOND)),
            // For ever; but nobody gets older than the pool lets them.
            (Some(Duration::MAX), usual, None),
        ] {
            let (bench, connections) = callee(ConnectionSettings { idle, ..ConnectionSettings::NONE }).await;
            ask(&bench).await;
            advance(kept).await;
            ask(&bench).await;
            assert_eq!(connections.get(), 1, "{idle:?}");
            let Some(longest) = longest else { continue };
            advance(longest).await;
            ask(&bench).await;
            assert_eq!(connections.get(), 2, "{idle:?}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_gets_no_older_than_its_destination_has_it() {
    paused(async {
        for seed in 0..20 {
            let age = Some(10 * SECOND);
            let connections = ConnectionSettings { age, ..ConnectionSettings::NONE };
            let transport = Transport { connections, ..Transport::PLAIN };
            let (bench, listener) = Bench::seeded(&transport, seed).await;
            let connections = serve(listener);
            ask(&bench).await;
            // Ages differ, so that not all connections of a moment end in another: by a fifth, downwards.
            advance(8 * SECOND).await;
            ask(&bench).await;
            assert_eq!(connections.get(), 1, "seed {seed}");
            advance(2 * SECOND).await;
            ask(&bench).await;
            assert_eq!(connections.get(), 2, "seed {seed}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_made_within_the_time_of_its_destination_or_not_at_all() {
    paused(async {
        for (connect, within) in [(None, PoolLimits::default().connect), (Some(SECOND), SECOND)] {
            let connections = ConnectionSettings { connect, ..ConnectionSettings::NONE };
            // Of HTTP/2 somebody has made a connection whose peer has greeted; this one only listens.
            let (bench, _listener) = Bench::start(&Transport { connections, ..Transport::H2C }).await;
            let began = Instant::now();
            let ended = bench.call(Request::get()).await;
            assert_eq!(ended.end.last, Some(TryEnd::ConnectFailed));
            let took = began.elapsed();
            assert!((within..within + Duration::from_millis(5)).contains(&took), "{took:?} of {within:?}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_pinged_as_often_as_its_destination_says_and_has_that_long_to_answer() {
    paused(async {
        let connections = ConnectionSettings {
            ping_after: Some(5 * SECOND),
            ping_timeout: Some(2 * SECOND),
            ..ConnectionSettings::NONE
        };
        let (bench, listener) = Bench::start(&Transport { connections, ..Transport::H2C }).await;
        let call = calling(&bench, Request::get());
        let mut peer = Peer::accept(&listener, &[]).await;
        peer.expect(HEADERS).await;
        bench.client.pool().sweep();
        for _ in 0..3 {
            advance(5 * SECOND).await;
            bench.client.pool().sweep();
            let ping = peer.next().await.unwrap();
            assert_eq!(ping.kind, PING);
            peer.send(PING, ACK, 0, &ping.payload).await;
            // The answer is read by a task of its own.
            for _ in 0..10 {
                yield_now().await;
            }
            bench.client.pool().sweep();
        }
        advance(5 * SECOND).await;
        bench.client.pool().sweep();
        peer.expect(PING).await;
        advance(2 * SECOND - Duration::from_millis(1)).await;
        bench.client.pool().sweep();
        yield_now().await;
        assert!(!call.is_finished(), "it has time to answer");
        advance(Duration::from_millis(1)).await;
        bench.client.pool().sweep();
        assert_eq!(call.await.unwrap().end.last, Some(TryEnd::Reset));
    })
    .await;
}

/// Two workers' clients with one endpoint, to which one connection may be open.
async fn two_workers(transport: &Transport) -> (Rc<Endpoints>, [Rc<Bench>; 2], TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let endpoints = Rc::new(Endpoints::default());
    let limits = PoolLimits { connections: 1, ..PoolLimits::default() };
    let worker =
        || Rc::new(Bench::of(endpoints.reached(&address, transport), CallPolicy::default(), limits, 1));
    let workers = [worker(), worker()];
    (endpoints, workers, listener)
}

/// Does what a worker does beside its requests.
fn attend(worker: &Rc<Bench>, endpoints: &Rc<Endpoints>) {
    let (worker, endpoints) = (Rc::clone(worker), Rc::clone(endpoints));
    spawn_local(async move {
        loop {
            let wanted = endpoints.wanted();
            worker.client.pool().give_way();
            wanted.await;
        }
    });
}

#[tokio::test]
async fn what_one_worker_keeps_for_later_gives_way_to_what_another_needs_now() {
    local(async {
        let (endpoints, [one, other], listener) = two_workers(&Transport::PLAIN).await;
        let connections = serve(listener);
        attend(&one, &endpoints);
        attend(&other, &endpoints);
        for _ in 0..3 {
            ask(&one).await;
            ask(&one).await;
            ask(&other).await;
        }
        assert_eq!(connections.get(), 6, "one for each turn");
        assert_eq!(one.endpoint.open(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_connection_over_http2_that_carries_nothing_gives_way_too() {
    local(async {
        let (endpoints, [one, other], listener) = two_workers(&Transport::H2C).await;
        attend(&one, &endpoints);
        let call = calling(&one, Request::get());
        let mut first = Peer::accept(&listener, &[]).await;
        let stream = first.expect(HEADERS).await;
        first.answer(stream).await;
        assert_eq!(whole(call.await.unwrap()).await.status, 200);
        let call = calling(&other, Request::get());
        let mut second = Peer::accept(&listener, &[]).await;
        let stream = second.expect(HEADERS).await;
        second.answer(stream).await;
        assert_eq!(whole(call.await.unwrap()).await.status, 200);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn where_all_connections_are_busy_a_call_waits_no_longer_than_is_worth_it() {
    paused(async {
        let (endpoints, [one, other], listener) = two_workers(&Transport::PLAIN).await;
        attend(&one, &endpoints);
        attend(&other, &endpoints);
        let busy = calling(&one, Request::get());
        let (mut callee, _) = listener.accept().await.unwrap();
        let began = Instant::now();
        let ended = other.call(Request::get()).await;
        assert_eq!(ended.end.last, Some(TryEnd::ConnectFailed));
        let (waited, most) = (began.elapsed(), PoolLimits::default().give_way);
        assert!((most..most + Duration::from_millis(5)).contains(&waited), "{waited:?}");

        // Whoever waits when one closes has its place, and whoever gave up has none.
        let waiting = calling(&other, Request::get());
        for _ in 0..10 {
            yield_now().await;
        }
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            callee.read_buf(&mut head).await.unwrap();
        }
        callee.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        assert_eq!(whole(busy.await.unwrap()).await.status, 200);
        let (next, _) = listener.accept().await.unwrap();
        spawn_local(answer(next));
        assert_eq!(whole(waiting.await.unwrap()).await.status, 200);
        assert_eq!(one.endpoint.open(), 1);
    })
    .await;
}
