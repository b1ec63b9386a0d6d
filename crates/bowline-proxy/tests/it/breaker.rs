//! Breaker, bulkhead, rate limit and what sheds load, seen from both sides.

use crate::support::{Callee, Caller, Do, World, eventually, policy, route};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const BREAKER: &str = "  breaker: { window: 10s, minCalls: 10, failureRatio: 0.5, open: 400ms, probes: 2 }\n  retry: { tries: 1 }";

/// Opens at half its calls failing, lets nothing through, then its probes, then closes.
async fn opens_probes_and_closes(workers: usize) {
    let sick = Arc::new(AtomicBool::new(true));
    let script = Arc::clone(&sick);
    let callee = Callee::start(move |_| match script.load(Ordering::Relaxed) {
        true => Do::Answer(500, String::new()),
        false => Do::Answer(200, String::new()),
    })
    .await;
    let world = World::start_with(&(route(&[callee.address], "") + &policy(BREAKER)), workers, |_| ());
    for _ in 0..10 {
        assert_eq!(world.get("/stock").await.status(), 500);
    }
    let is = |state: &str| world.metric("bowline_breaker_state", &[&format!("state=\"{state}\"")]) == 1.0;
    assert!(is("open"), "{}", world.proxy.metrics());
    for _ in 0..20 {
        let refused = world.get("/stock").await;
        assert_eq!((refused.status(), refused.header("x-bowline-reason")), (503, Some("breaker open")));
        assert_eq!(refused.header("x-bowline-outcome"), Some("refused"));
        assert!(refused.header("retry-after").is_some());
    }
    assert_eq!(callee.count(), 10, "an open breaker lets nothing through");
    assert_eq!(world.metric("bowline_requests_total", &["flag=\"UO\""]), 20.0);

    // The open time differs by up to a quarter.
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(world.get("/stock").await.status(), 500);
    assert_eq!((callee.count(), is("open")), (11, true), "one failed probe opens it again");

    sick.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for _ in 0..2 {
        assert_eq!(world.get("/stock").await.status(), 200);
    }
    assert!(is("ramping") || is("closed"), "{}", world.proxy.metrics());
    assert!(world.metric("bowline_breaker_moves_total", &["to=\"open\""]) >= 2.0);
}

#[tokio::test]
async fn a_breaker_opens_probes_and_closes() {
    opens_probes_and_closes(1).await;
}

#[tokio::test]
async fn a_breaker_means_the_same_with_two_workers() {
    opens_probes_and_closes(2).await;
}

#[tokio::test]
async fn callers_that_do_not_finish_their_requests_open_no_breaker() {
    let callee = Callee::friendly().await;
    let spec = "  deadline: 50ms\n  breaker: { consecutive: 3, open: 60s }";
    let world = World::start(&(route(&[callee.address], "") + &policy(spec)));
    for _ in 0..5 {
        let mut caller = world.caller().await;
        caller.send("POST /charges HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 10\r\n\r\nfirst").await;
        assert_eq!(caller.receive("POST").await.map(|answer| answer.status()), Some(504));
    }
    assert_eq!(world.get("/stock").await.status(), 200, "{}", world.proxy.metrics());
}

#[tokio::test]
async fn a_callee_that_does_not_read_requests_opens_its_breaker() {
    // It accepts, in the kernel, and reads nothing: the callers are ready to send more.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let spec = "  deadline: 200ms\n  breaker: { consecutive: 2, open: 60s }";
    let world = World::start(&(route(&[listener.local_addr().unwrap()], "") + &policy(spec)));
    for _ in 0..2 {
        let mut caller = world.caller().await;
        caller.send("POST /charges HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 50000000\r\n\r\n").await;
        let (mut reader, mut writer) = caller.stream.split();
        let piece = vec![b'x'; 1 << 20];
        let sending =
            async { while tokio::io::AsyncWriteExt::write_all(&mut writer, &piece).await.is_ok() {} };
        let mut start = [0; 12];
        let reading = tokio::io::AsyncReadExt::read_exact(&mut reader, &mut start);
        tokio::select! { () = sending => (), read = reading => { read.unwrap(); } }
    }
    let refused = world.get("/stock").await;
    assert_eq!((refused.status(), refused.header("x-bowline-reason")), (503, Some("breaker open")));
}

#[tokio::test]
async fn a_full_bulkhead_queues_then_refuses() {
    let callee = Callee::start(|_| Do::Late(Duration::from_millis(150), 200)).await;
    let limits = policy("  bulkhead: { concurrent: 1, queue: 1, wait: 1s }");
    let world = World::start(&(route(&[callee.address], "") + &limits));
    let mut callers = Vec::new();
    for already in 0..3 {
        let mut caller = world.caller().await;
        caller.send("GET /stock HTTP/1.1\r\nhost: shop.test\r\n\r\n").await;
        callers.push(caller);
        let inside = || {
            let running = world.metric("bowline_bulkhead_running", &[]);
            running + world.metric("bowline_bulkhead_waiting", &[]) >= f64::from((already + 1).min(2))
        };
        eventually("it is inside", inside).await;
    }
    let mut statuses = Vec::new();
    for caller in &mut callers {
        statuses.push(caller.receive("GET").await.unwrap().status());
    }
    assert_eq!(statuses, [200, 200, 503]);
    assert_eq!(callee.count(), 2);
    assert_eq!(world.metric("bowline_bulkhead_running", &[]), 0.0, "every place came back");
}

#[tokio::test]
async fn of_those_who_wait_the_low_priority_is_shed_first() {
    let callee = Callee::start(|_| Do::Late(Duration::from_millis(400), 200)).await;
    let limits = policy("  retry: { tries: 1 }\n  bulkhead: { concurrent: 1, queue: 1, wait: 5s }");
    let world = World::start(&(route(&[callee.address], "") + &limits));
    let mut callers = Vec::new();
    for priority in ["normal", "low", "high"] {
        let mut caller = Caller::connect(world.mesh).await;
        caller
            .send(&format!("GET /stock HTTP/1.1\r\nhost: stock\r\nx-bowline-priority: {priority}\r\n\r\n"))
            .await;
        let there = callers.len().min(1) as f64;
        eventually("it is there", || {
            world.metric("bowline_bulkhead_running", &[]) == 1.0
                && world.metric("bowline_bulkhead_waiting", &[]) == there
        })
        .await;
        callers.push(caller);
    }
    let displaced = callers[1].receive("GET").await.unwrap();
    assert_eq!((displaced.status(), displaced.header("x-bowline-reason")), (503, Some("displaced")));
    for at in [0, 2] {
        assert_eq!(callers[at].receive("GET").await.unwrap().status(), 200);
    }
    let told: Vec<_> =
        callee.hits().iter().map(|hit| hit.message.header("x-bowline-priority").map(str::to_owned)).collect();
    assert_eq!(told, [Some("normal".to_owned()), Some("high".to_owned())], "it goes on");
    assert_eq!(world.metric("bowline_bulkhead_waiting", &[]), 0.0, "every place came back");
}

#[tokio::test]
async fn answers_behind_a_rate_limit_say_how_it_stands() {
    let callee = Callee::friendly().await;
    let limit = policy("  rateLimit: { perSecond: 1, burst: 2 }");
    let world = World::start(&(route(&[callee.address], "") + &limit));
    let first = world.get("/stock").await;
    assert_eq!(first.header("ratelimit-policy"), Some("\"bowline\";q=2;w=2"));
    assert_eq!(first.header("ratelimit"), Some("\"bowline\";r=1;t=1"));
    // A machine that is busy may take a second for one of them.
    for _ in 0..20 {
        let answer = world.get("/stock").await;
        if answer.status() == 429 {
            assert_eq!(answer.header("x-bowline-reason"), Some("rate limited"));
            assert_eq!(answer.header("ratelimit"), Some("\"bowline\";r=0;t=2"));
            assert_eq!(answer.header("retry-after"), Some("1"));
            return;
        }
    }
    panic!("nothing was refused");
}

#[tokio::test]
async fn what_the_callee_would_not_accept_is_rejected_here() {
    let callee = Callee::start(|_| Do::Answer(429, String::new())).await;
    let throttle = policy("  retry: { tries: 1 }\n  admission: { minCalls: 5, rejectMax: 0.9 }");
    let world = World::start(&(route(&[callee.address], "") + &throttle));
    let mut rejected = 0;
    for _ in 0..100 {
        let answer = world.get("/stock").await;
        if answer.status() == 503 {
            rejected += 1;
            assert_eq!(answer.header("x-bowline-reason"), Some("throttled"));
            assert_eq!(answer.header("x-bowline-outcome"), Some("refused"));
        }
    }
    assert!(60 < rejected, "{rejected}");
    assert_eq!(callee.count(), 100 - rejected, "what is rejected costs the callee nothing");
    assert_eq!(world.metric("bowline_requests_total", &["flag=\"AR\""]), rejected as f64);
    assert_eq!(world.metric("bowline_admission_window_calls", &["accepted=\"no\""]), 100.0);
    assert_eq!(world.metric("bowline_call_ends_total", &["reason=\"throttled\""]), rejected as f64);
}

#[tokio::test]
async fn a_call_that_cannot_be_answered_in_time_is_shed_on_arrival() {
    let callee = Callee::start(|_| Do::Late(Duration::from_millis(40), 200)).await;
    let doomed = policy("  retry: { tries: 1 }\n  doomed: { minCalls: 5, letThrough: 0.000001 }");
    let world = World::start(&(route(&[callee.address], "") + &doomed));
    for _ in 0..8 {
        assert_eq!(world.get("/stock").await.status(), 200);
    }
    let known = || world.metric("bowline_try_median_seconds", &[]) >= 0.035;
    eventually("its times are known", known).await;
    let mut caller = Caller::connect(world.mesh).await;
    caller.send("GET /stock HTTP/1.1\r\nhost: stock\r\nx-envoy-expected-rq-timeout-ms: 20\r\n\r\n").await;
    let shed = caller.receive("GET").await.unwrap();
    assert_eq!((shed.status(), shed.header("x-bowline-reason")), (504, Some("doomed")));
    assert_eq!(callee.count(), 8, "nothing was sent");
    assert_eq!(world.metric("bowline_requests_total", &["flag=\"DM\""]), 1.0);
}

#[tokio::test]
async fn a_caller_that_leaves_gives_its_place_back() {
    let callee =
        Callee::start(|hit| if hit.number == 0 { Do::Hang } else { Do::Answer(200, String::new()) }).await;
    let limits = policy("  bulkhead: { concurrent: 1, queue: 1, wait: 5s }");
    let world = World::start(&(route(&[callee.address], "") + &limits));
    let mut first = world.caller().await;
    first.send("GET /stock HTTP/1.1\r\nhost: shop.test\r\n\r\n").await;
    eventually("it arrives", || callee.count() == 1).await;
    let mut second = world.caller().await;
    second.send("GET /stock HTTP/1.1\r\nhost: shop.test\r\n\r\n").await;
    eventually("it waits", || world.metric("bowline_bulkhead_waiting", &[]) == 1.0).await;
    drop(first);
    assert_eq!(second.receive("GET").await.unwrap().status(), 200);
}
