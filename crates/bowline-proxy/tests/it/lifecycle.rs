//! Reload, hand-over, drain: no request is lost.

use crate::support::{Callee, Caller, Do, World, design, eventually, policy, route};
use bowline_proxy::{Config, Drained, Proxy};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Asks on `callers` connections until `stop`; how many were answered, none other than 200.
async fn load(world: &World, callers: usize, stop: &Arc<AtomicBool>) -> tokio::task::JoinSet<usize> {
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let (address, stop) = (world.gateway, Arc::clone(stop));
        asking.spawn(async move {
            let mut caller = Caller::connect(address).await;
            let mut answered = 0;
            while !stop.load(Ordering::Relaxed) {
                let answer = caller.ask("GET", "/stock", "", "").await;
                assert_eq!(answer.status(), 200);
                answered += 1;
                if answer.header("connection") == Some("close") {
                    caller = Caller::connect(address).await;
                }
            }
            answered
        });
    }
    asking
}

async fn sum(mut asking: tokio::task::JoinSet<usize>) -> usize {
    let mut all = 0;
    while let Some(answered) = asking.join_next().await {
        all += answered.expect("no request failed");
    }
    all
}

#[tokio::test]
async fn reloads_under_load_lose_nothing_and_keep_what_was_learned() {
    let callee = Callee::friendly().await;
    let yaml = route(&[callee.address], "")
        + &policy("  breaker: { window: 10s, minCalls: 20, failureRatio: 0.5, open: 10s, probes: 3 }");
    let world = World::start_with(&yaml, 2, |_| ());
    let stop = Arc::new(AtomicBool::new(false));
    let asking = load(&world, 4, &stop).await;
    for round in 0..20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let deadline = format!("{}\n  deadline: {}ms", yaml, 1_000 + round);
        world.proxy.reload(design(&deadline));
    }
    stop.store(true, Ordering::Relaxed);
    let answered = sum(asking).await;
    assert_eq!(callee.count(), answered);
    assert_eq!(
        world.metric("bowline_calls_total", &["service=\"stock\""]),
        answered as f64,
        "counters go on"
    );
    assert!(world.metric("bowline_breaker_window_calls", &["failed=\"no\""]) > 0.0, "the breaker remembers");
    assert!(callee.connections() <= 4, "connections stay: {}", callee.connections());
}

#[tokio::test]
async fn a_request_under_way_keeps_the_design_it_began_with() {
    let slow = Callee::start(|_| Do::Late(Duration::from_millis(150), 200)).await;
    let other = Callee::start(|_| Do::Answer(418, String::new())).await;
    let world = World::start(&route(&[slow.address], ""));
    let mut caller = world.caller().await;
    caller.send("GET /stock HTTP/1.1\r\nhost: shop.test\r\n\r\n").await;
    eventually("it is under way", || slow.count() == 1).await;
    world.proxy.reload(design(&route(&[other.address], "")));
    assert_eq!(caller.receive("GET").await.unwrap().status(), 200);
    assert_eq!(caller.ask("GET", "/stock", "", "").await.status(), 418);
}

#[tokio::test]
async fn a_drain_finishes_what_is_under_way_and_says_close() {
    let callee = Callee::start(|_| Do::Late(Duration::from_millis(200), 200)).await;
    let world = World::start(&route(&[callee.address], ""));
    let mut busy = world.caller().await;
    busy.send("GET /stock HTTP/1.1\r\nhost: shop.test\r\n\r\n").await;
    let mut idle = world.caller().await;
    eventually("it is under way", || callee.count() == 1).await;
    let gateway = world.gateway;
    let draining = tokio::spawn(async move {
        let drained = world.proxy.drain(Duration::from_secs(5)).await;
        (world, drained)
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let late = idle.ask("GET", "/stock", "", "").await;
    assert_eq!((late.status(), late.header("connection")), (200, Some("close")), "a last one is answered");
    let answer = busy.receive("GET").await.unwrap();
    assert_eq!((answer.status(), answer.header("connection")), (200, Some("close")));
    assert!(busy.is_closed().await && idle.is_closed().await);
    let (_world, drained) = draining.await.unwrap();
    assert_eq!(drained, Drained { cut: 0 });
    assert!(tokio::net::TcpStream::connect(gateway).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_drain_ends_on_time_whatever_hangs() {
    let callee = Callee::start(|_| Do::Hang).await;
    let world = World::start(&route(&[callee.address], ""));
    let mut caller = world.caller().await;
    caller.send("GET /stock HTTP/1.1\r\nhost: shop.test\r\n\r\n").await;
    eventually("it is under way", || callee.count() == 1).await;
    let drained =
        tokio::time::timeout(Duration::from_secs(2), world.proxy.drain(Duration::from_millis(200))).await;
    assert_eq!(drained.unwrap(), Drained { cut: 1 });
    eventually("the callee is told", || callee.cancelled() == 1).await;
}

#[tokio::test]
async fn a_proxy_hands_its_sockets_to_the_next_without_a_failed_request() {
    let callee = Callee::friendly().await;
    let yaml = route(&[callee.address], "");
    let world = World::start(&yaml);
    let stop = Arc::new(AtomicBool::new(false));
    let asking = load(&world, 4, &stop).await;
    let fresh = Arc::new(AtomicUsize::new(0));
    let connecting = {
        let (stop, fresh, gateway) = (Arc::clone(&stop), Arc::clone(&fresh), world.gateway);
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(Caller::connect(gateway).await.ask("GET", "/stock", "", "").await.status(), 200);
                fresh.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut config = Config::new(design(&yaml));
    config.workers = 1;
    config.sockets = world.proxy.sockets().unwrap();
    let next = Proxy::start(config).unwrap();
    assert_eq!(world.proxy.drain(Duration::from_secs(5)).await, Drained { cut: 0 });
    drop(world);
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.store(true, Ordering::Relaxed);
    let answered = sum(asking).await;
    connecting.await.expect("no connection was refused");
    assert_eq!(callee.count(), answered + fresh.load(Ordering::Relaxed));
    drop(next);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let callee = Callee::friendly().await;
    let world = World::start_with(&route(&[callee.address], ""), 1, |config| config.limits.connections = 2);
    let (mut first, mut second) = (world.caller().await, world.caller().await);
    assert_eq!(first.ask("GET", "/stock", "", "").await.status(), 200);
    assert_eq!(second.ask("GET", "/stock", "", "").await.status(), 200);
    let mut third = world.caller().await;
    third.send("GET /stock HTTP/1.1\r\nhost: shop.test\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(callee.count(), 2, "the third waits");
    drop(first);
    assert_eq!(third.receive("GET").await.unwrap().status(), 200);
}
