//! A late GET gets another try beside it, through a real gateway: who is answered first, what the loser sees, what is told.

use crate::support::{Callee, Do, Hit, World, eventually, policy, route, route_to};
use h2::Reason;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Every call may be hedged, after 20 ms: none waits for a share of many.
const AFTER_20_MS: &str = "  hedge: { after: 20ms, ratio: 1 }";

/// Two callees: whichever is asked first never answers, all that comes later is answered.
async fn first_hangs() -> [Callee; 2] {
    let asked = Arc::<AtomicUsize>::default();
    let script = move |_: &Hit| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Do::Hang,
        _ => Do::Answer(200, "in time".to_owned()),
    };
    let (one, other) = (script.clone(), script);
    [Callee::start(one).await, Callee::start(other).await]
}

fn addresses(callees: &[Callee; 2]) -> [SocketAddr; 2] {
    [callees[0].address, callees[1].address]
}

#[tokio::test]
async fn the_winner_answers_and_the_loser_finds_its_connection_closed() {
    let callees = first_hangs().await;
    let world = World::start(&(route(&addresses(&callees), "") + &policy(AFTER_20_MS)));
    let answer = world.get("/stock").await;
    assert_eq!((answer.status(), answer.text().as_str()), (200, "in time"));
    eventually("the loser is cancelled", || callees.iter().map(Callee::cancelled).sum::<usize>() == 1).await;
    let tries: Vec<Option<String>> = callees
        .iter()
        .flat_map(Callee::hits)
        .map(|hit| hit.message.header("x-bowline-try").map(str::to_owned))
        .collect();
    assert_eq!(tries.len(), 2, "each callee is asked once");
    assert!(tries.contains(&Some("1".to_owned())) && tries.contains(&Some("2".to_owned())), "{tries:?}");
}

#[tokio::test]
async fn metrics_and_the_trail_tell_of_both_tries_and_nothing_stays_held() {
    let callees = first_hangs().await;
    let spec =
        format!("{AFTER_20_MS}\n  breaker: {{}}\n  bulkhead: {{ concurrent: 4 }}\n  retry: {{ tries: 1 }}");
    let world = World::start(&(route(&addresses(&callees), "") + &policy(&spec)));
    assert_eq!(world.get("/stock").await.status(), 200);

    assert_eq!(world.metric("bowline_tries_total", &["operation=\"read\""]), 2.0);
    assert_eq!(world.metric("bowline_hedges_total", &["result=\"won\""]), 1.0);
    assert_eq!(world.metric("bowline_hedges_total", &[]), 1.0);
    assert_eq!(world.metric("bowline_hedges_withheld_total", &[]), 0.0);
    assert_eq!(world.metric("bowline_hedge_after_seconds", &["operation=\"read\""]), 0.02);
    let words = world.last_words();
    for word in ["hedge-planned", "hedge-sent"] {
        assert!(words.contains(&word), "{words:?}");
    }
    let ends = words.iter().filter(|word| **word == "try-ended").count();
    assert_eq!(ends, 2, "{words:?}");

    for gauge in [
        "bowline_hedges_running",
        "bowline_budget_calls_running",
        "bowline_budget_retries_running",
        "bowline_bulkhead_running",
        "bowline_host_pending",
    ] {
        assert!(world.proxy.metrics().contains(&format!("\n{gauge}{{")), "{gauge} is told");
        eventually(gauge, || world.metric(gauge, &[]) == 0.0).await;
    }
    // Being outrun is no failure.
    assert_eq!(world.metric("bowline_breaker_window_calls", &["failed=\"yes\""]), 0.0);
}

#[tokio::test]
async fn without_a_share_or_a_budget_that_gives_one_nothing_is_hedged() {
    for (spec, reason) in [
        // One hedge for ten calls: the first call has none.
        ("  hedge: { after: 20ms, ratio: 0.1 }", "share reached"),
        (
            "  hedge: { after: 20ms, ratio: 1 }\n  retry: { tries: 1, budget: { ratio: 0, minPerSecond: 0 } }",
            "budget exhausted",
        ),
    ] {
        let late = || Callee::start(|_| Do::Late(Duration::from_millis(80), 200));
        let callees = [late().await, late().await];
        let world = World::start(&(route(&addresses(&callees), "") + &policy(spec)));
        assert_eq!(world.get("/stock").await.status(), 200, "{spec}");
        assert_eq!(callees.iter().map(Callee::count).sum::<usize>(), 1, "{spec}");
        let label = format!("reason=\"{reason}\"");
        assert_eq!(
            world.metric("bowline_hedges_withheld_total", &[&label]),
            1.0,
            "{}",
            world.proxy.metrics()
        );
    }
}

#[tokio::test]
async fn an_order_is_not_hedged() {
    let callees = [0, 1].map(|_| Callee::start(|_| Do::Late(Duration::from_millis(80), 201)));
    let [one, other] = callees;
    let callees = [one.await, other.await];
    let world = World::start(&(route(&addresses(&callees), "") + &policy(AFTER_20_MS)));
    assert_eq!(world.caller().await.ask("POST", "/charges", "", "once").await.status(), 201);
    assert_eq!(callees.iter().map(Callee::count).sum::<usize>(), 1);
    assert_eq!(world.metric("bowline_hedges_total", &[]), 0.0);
}

#[tokio::test]
async fn over_http_2_the_losers_stream_is_reset_with_cancel() {
    let (asked, resets) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<Reason>>>::default());
    let mut serving = JoinSet::new();
    let mut endpoints = Vec::new();
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        endpoints.push(format!("{{ address: \"{}\" }}", listener.local_addr().unwrap()));
        serving.spawn(http2(listener, Arc::clone(&asked), Arc::clone(&resets)));
    }
    let to = route_to(&endpoints.join(", "), "")
        .replace("spec:\n  endpoints", "spec:\n  protocol: http2\n  endpoints");
    let world = World::start(&(to + &policy(AFTER_20_MS)));
    for _ in 0..2 {
        assert_eq!(world.get("/stock").await.status(), 200);
    }
    eventually("a reset", || resets.lock().unwrap().as_slice() == [Reason::CANCEL]).await;
    assert_eq!(world.metric("bowline_hedges_total", &["result=\"won\""]), 1.0);
    let connections: f64 = world.metric("bowline_endpoint_connections", &[]);
    assert!(connections <= 2.0, "the loser's connection serves on: {connections}");
}

/// A callee over HTTP/2. The first request that any of them gets is never answered; how its stream ends is kept.
async fn http2(listener: TcpListener, asked: Arc<AtomicUsize>, resets: Arc<Mutex<Vec<Reason>>>) {
    let mut streams = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (asked, resets) = (Arc::clone(&asked), Arc::clone(&resets));
        streams.spawn(async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let mut hanging = JoinSet::new();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                if asked.fetch_add(1, Ordering::SeqCst) > 0 {
                    respond.send_response(http::Response::new(()), true).unwrap();
                    continue;
                }
                let resets = Arc::clone(&resets);
                hanging.spawn(async move {
                    let reason = poll_fn(|cx| respond.poll_reset(cx)).await.unwrap();
                    resets.lock().unwrap().push(reason);
                });
            }
        });
    }
}
