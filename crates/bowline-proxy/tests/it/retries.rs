//! Tries, their times, and the deadline over all of them.

use crate::support::{Callee, Caller, Do, World, eventually, nobody, policy, route};
use bowline_fault::{Fault, Kind, Percent};
use std::time::{Duration, Instant};

fn no_wait(tries: u32) -> String {
    policy(&format!("  retry: {{ tries: {tries}, backoff: {{ base: 1ms, max: 2ms }} }}"))
}

#[expect(clippy::disallowed_methods, reason = "a test over real sockets measures real time")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn a_refused_connection_is_tried_elsewhere_even_for_a_post() {
    let callee = Callee::friendly().await;
    let world = World::start(&(route(&[nobody(), callee.address], "") + &no_wait(2)));
    let mut caller = world.caller().await;
    for _ in 0..4 {
        assert_eq!(caller.ask("POST", "/charges", "", "once").await.status(), 200);
    }
    assert_eq!(callee.count(), 4, "each order arrives once");
    assert!(world.metric("bowline_retries_total", &["reason=\"refused\""]) >= 1.0);
}

#[tokio::test]
async fn the_first_two_tries_are_dropped_and_the_third_gets_through() {
    let callee = Callee::friendly().await;
    let world = World::start(&(route(&[callee.address], "") + &no_wait(3)));
    world.proxy.add_fault("stock", None, Fault { kind: Kind::DropFirst(2), percent: Percent::ALWAYS });
    let answer = world.caller().await.ask("POST", "/charges", "x-bowline-explain: 1\r\n", "order").await;
    assert_eq!((answer.status(), callee.count()), (200, 1));
    let words = world.last_words();
    assert_eq!(words.iter().filter(|word| **word == "try-started").count(), 3, "{words:?}");
    assert_eq!(words.iter().filter(|word| **word == "fault-injected").count(), 2, "{words:?}");
    let id: u64 = answer.header("x-bowline-explain-id").unwrap().parse().unwrap();
    assert_eq!(world.proxy.trails().last(&bowline_proxy::Filter::default()).unwrap().id, id);
    assert_eq!(callee.hits()[0].message.header("x-bowline-try"), Some("3"));
}

#[tokio::test]
async fn an_unknown_outcome_is_repeated_only_where_that_is_safe() {
    // (method and path, headers, times it arrives)
    for (method, path, headers, arrivals) in [
        ("GET", "/stock", "", 3),
        ("PUT", "/whatever", "", 3),
        ("POST", "/charges", "", 1),
        ("POST", "/charges", "idempotency-key: k\r\n", 1),
        ("POST", "/allocations", "", 1),
        ("POST", "/allocations", "idempotency-key: k\r\n", 3),
    ] {
        let callee = Callee::start(|_| Do::Close).await;
        let world = World::start(&(route(&[callee.address], "") + &no_wait(3)));
        let answer = world.caller().await.ask(method, path, headers, "").await;
        assert_eq!((answer.status(), callee.count()), (503, arrivals), "{method} {path} {headers}");
    }
}

#[tokio::test]
async fn a_key_that_ends_at_this_hop_makes_nothing_repeatable() {
    let callee = Callee::start(|_| Do::Close).await;
    let world = World::start(&(route(&[callee.address], "") + &no_wait(3)));
    // The caller itself says that its key is for this hop alone: the callee never sees it.
    let headers = "idempotency-key: k\r\nconnection: idempotency-key\r\n";
    assert_eq!(world.caller().await.ask("POST", "/allocations", headers, "").await.status(), 503);
    assert_eq!((callee.count(), callee.hits()[0].message.header("idempotency-key")), (1, None));
}

#[tokio::test]
async fn a_try_that_takes_too_long_is_cancelled_and_another_follows() {
    let callee =
        Callee::start(|hit| if hit.number == 0 { Do::Hang } else { Do::Answer(200, String::new()) }).await;
    let retry = policy("  retry: { tries: 2, perTry: 80ms, backoff: { base: 1ms, max: 2ms } }");
    let world = World::start(&(route(&[callee.address], "") + &retry));
    let began = now();
    let answer = world.get("/stock").await;
    assert_eq!((answer.status(), callee.count()), (200, 2));
    // How soon after, is the machine's affair: without the limit there would be no answer at all.
    assert!(80 <= began.elapsed().as_millis(), "{:?}", began.elapsed());
    eventually("the first try is cancelled at the callee", || callee.cancelled() == 1).await;
}

#[tokio::test]
async fn the_deadline_is_met_within_twenty_milliseconds_and_nothing_follows_it() {
    let callee = Callee::start(|_| Do::Hang).await;
    let both = policy("  deadline: 300ms\n  retry: { tries: 5, perTry: 2s }");
    let world = World::start(&(route(&[callee.address], "") + &both));
    let mut caller = world.caller().await;
    for round in 1..=3 {
        let began = now();
        let answer = caller.ask("GET", "/stock", "", "").await;
        let took = began.elapsed().as_millis();
        assert_eq!((answer.status(), answer.header("x-bowline-reason")), (504, Some("deadline exceeded")));
        assert!((300..=320).contains(&took), "round {round}: {took} ms");
        eventually("the try is cancelled", || callee.cancelled() == round).await;
        assert_eq!(callee.count(), round, "no try after the deadline");
    }
    assert_eq!(world.metric("bowline_deadline_exhausted_total", &["service=\"stock\""]), 3.0);
}

#[tokio::test]
async fn the_time_a_trusted_caller_leaves_counts_and_travels_on() {
    let callee = Callee::start(|_| Do::Hang).await;
    let world = World::start(&(route(&[callee.address], "") + &policy("  deadline: 5s")));
    let mut caller = Caller::connect(world.mesh).await;
    let began = now();
    caller.send("GET /stock HTTP/1.1\r\nhost: stock\r\nx-envoy-expected-rq-timeout-ms: 100\r\n\r\n").await;
    assert_eq!(caller.receive("GET").await.unwrap().status(), 504);
    assert!((95..=120).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    let left: u64 =
        callee.hits()[0].message.header("x-envoy-expected-rq-timeout-ms").unwrap().parse().unwrap();
    assert!((80..100).contains(&left), "{left}");
}

#[tokio::test]
async fn the_edge_stamps_a_deadline_where_nobody_speaks() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    world.get("/stock").await;
    let left: u64 =
        callee.hits()[0].message.header("x-envoy-expected-rq-timeout-ms").unwrap().parse().unwrap();
    assert!((29_900..=30_000).contains(&left), "{left}");
}

#[tokio::test]
async fn istio_retries_follow_retry_on_and_count_attempts_after_the_first() {
    for (retry_on, arrivals) in [("5xx", 3), ("connect-failure", 1), ("503", 3), ("gateway-error", 3)] {
        let callee = Callee::start(|_| Do::Answer(503, "busy".to_owned())).await;
        let rule = format!("    retries: {{ attempts: 2, retryOn: \"{retry_on}\", backoff: 1ms }}");
        let world = World::start(&route(&[callee.address], &rule));
        let answer = world.get("/stock").await;
        assert_eq!((answer.status(), answer.text().as_str()), (503, "busy"), "the callee's own answer");
        assert_eq!(callee.count(), arrivals, "{retry_on}");
    }
}

#[tokio::test]
async fn the_mesh_does_not_repeat_what_the_library_repeats() {
    let callee = Callee::start(|_| Do::Answer(503, String::new())).await;
    let world = World::start(&(route(&[callee.address], "") + &no_wait(3)));
    let mut caller = Caller::connect(world.mesh).await;
    caller.send("GET /stock HTTP/1.1\r\nhost: stock\r\nx-bowline-try: 1\r\n\r\n").await;
    assert_eq!(caller.receive("GET").await.unwrap().status(), 503);
    assert_eq!(callee.count(), 1);
}

#[tokio::test]
async fn what_comes_as_a_later_attempt_of_an_envoy_is_repeated_only_after_a_refusal() {
    for (attempt, arrivals) in [("1", 3), ("2", 1), ("soon", 3)] {
        let callee = Callee::start(|_| Do::Answer(503, String::new())).await;
        let world = World::start(&(route(&[callee.address], "") + &no_wait(3)));
        let mut caller = Caller::connect(world.mesh).await;
        caller
            .send(&format!("GET /stock HTTP/1.1\r\nhost: stock\r\nx-envoy-attempt-count: {attempt}\r\n\r\n"))
            .await;
        assert_eq!(caller.receive("GET").await.unwrap().status(), 503);
        assert_eq!(callee.count(), arrivals, "attempt {attempt}");
        assert_eq!(callee.hits()[0].message.header("x-envoy-attempt-count"), Some(attempt));
    }
    // A stranger's is taken away and says nothing.
    let callee = Callee::start(|_| Do::Answer(503, String::new())).await;
    let world = World::start(&(route(&[callee.address], "") + &no_wait(3)));
    world.caller().await.ask("GET", "/stock", "x-envoy-attempt-count: 2\r\n", "").await;
    assert_eq!((callee.count(), callee.hits()[0].message.header("x-envoy-attempt-count")), (3, None));
}

#[tokio::test]
async fn used_up_tries_are_said_and_a_layer_before_does_not_multiply_them() {
    let callee = Callee::start(|_| Do::Answer(503, String::new())).await;
    let inner = World::start(&(route(&[callee.address], "") + &no_wait(3)));
    let outer = World::start(&(route(&[inner.gateway], "") + &no_wait(3)));
    let answer = outer.get("/stock").await;
    assert_eq!((answer.status(), answer.header("x-retry-exhausted")), (503, Some("tries")));
    assert_eq!(callee.count(), 3, "three tries, not nine");
    let reason = "reason=\"exhausted elsewhere\"";
    assert_eq!(outer.metric("bowline_call_ends_total", &[reason]), 1.0, "{}", outer.proxy.metrics());
}

#[tokio::test]
async fn an_empty_budget_is_said_and_one_try_is_nothing_that_was_used_up() {
    let callee = Callee::start(|_| Do::Close).await;
    let budget = "  retry: { tries: 2, budget: { ratio: 0, minPerSecond: 0 } }";
    let world = World::start(&(route(&[callee.address], "") + &policy(budget)));
    assert_eq!(world.get("/stock").await.header("x-retry-exhausted"), Some("budget"));
    let once = World::start(&(route(&[callee.address], "") + &policy("  retry: { tries: 1 }")));
    assert_eq!(once.get("/stock").await.header("x-retry-exhausted"), None);
}

#[tokio::test]
async fn a_body_that_is_kept_is_sent_again_and_a_larger_one_is_not() {
    for (length, chunked, arrivals) in
        [(60_000, false, 2), (60_000, true, 2), (70_000, true, 1), (300_000, false, 1), (300_000, true, 1)]
    {
        let callee = Callee::start(|hit| {
            if hit.number == 0 { Do::Answer(503, String::new()) } else { Do::Answer(200, String::new()) }
        })
        .await;
        let world = World::start(&(route(&[callee.address], "") + &no_wait(2)));
        let body: String = (0..length).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
        let mut caller = world.caller().await;
        let head = "POST /allocations HTTP/1.1\r\nhost: shop.test\r\nidempotency-key: k\r\n";
        if chunked {
            caller.send(&format!("{head}transfer-encoding: chunked\r\n\r\n")).await;
            for piece in body.as_bytes().chunks(10_000) {
                let piece = std::str::from_utf8(piece).unwrap();
                caller.send(&format!("{:x}\r\n{piece}\r\n", piece.len())).await;
            }
            caller.send("0\r\n\r\n").await;
        } else {
            caller.send(&format!("{head}content-length: {length}\r\n\r\n{body}")).await;
        }
        let answer = caller.receive("POST").await.unwrap();
        let expected = if arrivals == 2 { 200 } else { 503 };
        assert_eq!((answer.status(), callee.count()), (expected, arrivals), "{length} chunked {chunked}");
        for hit in callee.hits() {
            assert!(hit.message.text() == body, "{length} chunked {chunked}: hit {}", hit.number);
        }
    }
}

#[tokio::test]
async fn an_early_refusal_is_followed_by_a_try_with_the_whole_body() {
    let refusing = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = refusing.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = refusing.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"first") {
            assert_ne!(tokio::io::AsyncReadExt::read_buf(&mut stream, &mut request).await.unwrap(), 0);
        }
        let answer = b"HTTP/1.1 503 Busy\r\nx-bowline-outcome: refused\r\ncontent-length: 0\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
        let _ = tokio::io::AsyncReadExt::read_buf(&mut stream, &mut request).await;
    });
    let callee = Callee::friendly().await;
    let world = World::start(&(route(&[address, callee.address], "") + &no_wait(2)));
    let mut caller = world.caller().await;
    caller.send("POST /charges HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 10\r\n\r\nfirst").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    caller.send("later").await;
    assert_eq!(caller.receive("POST").await.unwrap().status(), 200);
    assert_eq!(callee.hits()[0].message.text(), "firstlater");
}

#[tokio::test]
async fn no_body_is_kept_beyond_the_allowance_of_the_process() {
    let callee = Callee::start(|_| Do::Answer(503, String::new())).await;
    let yaml = route(&[callee.address], "") + &no_wait(2);
    let world = World::start_with(&yaml, 1, |config| config.limits.kept_bodies = 1_000);
    let mut caller = world.caller().await;
    let key = "idempotency-key: k\r\n";
    caller.ask("POST", "/allocations", key, &"x".repeat(900)).await;
    assert_eq!(callee.count(), 2);
    caller.ask("POST", "/allocations", key, &"x".repeat(1_100)).await;
    assert_eq!(callee.count(), 3, "not kept, so not repeated");
    caller.ask("POST", "/allocations", key, &"x".repeat(900)).await;
    assert_eq!(callee.count(), 5, "what was kept before was given back");
}

#[tokio::test]
async fn a_callee_in_the_design_names_its_outcome() {
    // A 503 that surely did nothing may be asked again elsewhere, even for a POST that is not idempotent.
    let shedding =
        Callee::start(|_| Do::AnswerWith(503, "x-bowline-outcome: refused\r\n".to_owned(), String::new()))
            .await;
    let callee = Callee::friendly().await;
    let in_turn = no_wait(2) + "\n  balance: { by: round-robin }";
    let world = World::start(&(route(&[shedding.address, callee.address], "") + &in_turn));
    let answer = world.caller().await.ask("POST", "/charges", "", "x").await;
    assert_eq!((answer.status(), shedding.count(), callee.count()), (200, 1, 1));
}

#[tokio::test]
async fn a_time_to_wait_that_the_callee_names_is_waited_or_passed_on() {
    let callee =
        Callee::start(|_| Do::AnswerWith(429, "retry-after: 30\r\n".to_owned(), String::new())).await;
    let world =
        World::start(&(route(&[callee.address], "") + &policy("  deadline: 1s\n  retry: { tries: 3 }")));
    let began = now();
    let answer = world.get("/stock").await;
    assert_eq!((answer.status(), answer.header("retry-after"), callee.count()), (429, Some("30"), 1));
    assert!(began.elapsed() < Duration::from_millis(500), "30 s do not fit into 1 s");
}

#[tokio::test]
async fn a_thousand_orders_under_faults_have_no_effect_twice() {
    // The callee counts an order as soon as it has read it, and then answers, fails, or closes.
    let callee = Callee::start(|hit| match hit.number % 7 {
        2 => Do::Close,
        4 => Do::Answer(503, String::new()),
        5 => Do::AnswerThenClose(200, Duration::ZERO),
        _ => Do::Answer(200, String::new()),
    })
    .await;
    let spec = "  retry: { tries: 4, backoff: { base: 1ms, max: 2ms }, budget: { ratio: 1.0, minPerSecond: 10000 } }";
    let retry = policy(spec);
    let world = World::start_with(&(route(&[nobody(), callee.address], "") + &retry), 2, |_| ());
    let some = Percent::from_percent(20.0).unwrap();
    world.proxy.add_fault("stock", None, Fault { kind: Kind::Drop, percent: some });
    let mut asking = tokio::task::JoinSet::new();
    for lane in 0..4 {
        let gateway = world.gateway;
        asking.spawn(async move {
            let mut caller = Caller::connect(gateway).await;
            for number in 0..250 {
                caller.ask("POST", "/charges", "", &format!("order {lane}-{number}")).await;
            }
        });
    }
    while let Some(done) = asking.join_next().await {
        done.unwrap();
    }
    let mut orders: Vec<String> = callee.hits().iter().map(|hit| hit.message.text()).collect();
    let effects = orders.len();
    orders.sort();
    orders.dedup();
    assert_eq!(orders.len(), effects, "an order had its effect twice");
    // The budget's limit on tries at the same time leaves some refused; most are not lost.
    assert!(effects > 500, "{effects} of 1000");
    assert!(world.metric("bowline_retries_total", &["reason=\"refused\""]) > 100.0);
}

/// A callee that answers with `start`, and then with `more` for as long as anybody takes it.
async fn endless(start: &'static str, more: &str) -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let more = more.repeat((1 << 20) / more.len());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert_ne!(std::io::Read::read(&mut stream, &mut [0; 1_000]).unwrap(), 0);
        let mut write = |text: &str| std::io::Write::write_all(&mut stream, text.as_bytes()).is_ok();
        write(start);
        while write(&more) {}
    });
    address
}

#[tokio::test]
async fn a_callee_that_never_pauses_does_not_hold_off_the_deadline() {
    let address = endless("", "HTTP/1.1 100 Continue\r\n\r\n").await;
    let world = World::start(&(route(&[address], "") + &policy("  deadline: 200ms")));
    let began = now();
    assert_eq!(world.get("/stock").await.status(), 504);
    assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_answer_that_never_ends_is_cut_at_the_deadline() {
    let address = endless("HTTP/1.1 200 OK\r\n\r\n", "abcdefgh").await;
    let world = World::start(&(route(&[address], "") + &policy("  deadline: 200ms")));
    let mut caller = world.caller().await;
    let began = now();
    caller.send("GET /stock HTTP/1.1\r\nhost: shop.test\r\n\r\n").await;
    let mut buffer = vec![0; 1 << 20];
    // Slower than the callee, so that the next part is always there.
    let reading = async {
        while matches!(tokio::io::AsyncReadExt::read(&mut caller.stream, &mut buffer).await, Ok(1..)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let cut = || world.metric("bowline_requests_total", &["flag=\"UT\""]) == 1.0;
    tokio::select! {
        () = eventually("it is cut", cut) => (),
        () = reading => (),
    }
    assert!(began.elapsed() < Duration::from_millis(300), "{:?}", began.elapsed());
}
