//! What goes through, and what is changed on the way.

use crate::support::{Callee, Caller, Do, World, policy, route};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_request_goes_there_and_its_answer_comes_back() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let answer = world.get("/stock?sku=A47").await;
    assert_eq!((answer.status(), answer.text().as_str()), (200, "hit 0"));
    assert_eq!(callee.hits()[0].message.path(), "/stock?sku=A47");
    assert!(
        world.metric("bowline_requests_total", &["service=\"stock\"", "class=\"2xx\"", "flag=\"-\""]) == 1.0
    );
    assert!(world.metric("bowline_request_seconds_count", &["service=\"stock\""]) == 1.0);
}

#[tokio::test]
async fn connections_to_the_callee_are_used_again() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let mut caller = world.caller().await;
    for _ in 0..5 {
        assert_eq!(caller.ask("GET", "/stock", "", "").await.status(), 200);
    }
    assert_eq!(world.get("/stock").await.status(), 200);
    assert_eq!(callee.connections(), 1);
}

#[tokio::test]
async fn a_callee_that_closed_while_idle_costs_no_request() {
    let callee = Callee::start(|_| Do::AnswerThenClose(200, Duration::from_millis(20))).await;
    let world = World::start(&route(&[callee.address], &policy("  retry: { tries: 1 }")));
    let mut caller = world.caller().await;
    for _ in 0..4 {
        // Not a repeatable request, and only one try: it must not be sent on a dead connection.
        assert_eq!(caller.ask("POST", "/charges", "", "x").await.status(), 200);
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    assert_eq!((callee.count(), callee.connections()), (4, 4));
}

#[tokio::test]
async fn headers_of_one_hop_end_here_and_the_callee_learns_who_asks() {
    let callee = Callee::start(|_| {
        let headers = "keep-alive: timeout=5\r\nconnection: x-inner\r\nx-inner: 1\r\nx-outer: 2\r\nx-bowline-outcome: failed\r\n";
        Do::AnswerWith(200, headers.to_owned(), "ok".to_owned())
    })
    .await;
    let world = World::start(&route(&[callee.address], "    timeout: 2s"));
    let steering = "x-envoy-expected-rq-timeout-ms: 1\r\nx-bowline-try: 3\r\n";
    let hop = "connection: keep-alive, x-mine\r\nx-mine: 1\r\nte: gzip\r\nproxy-connection: keep-alive\r\n";
    let answer =
        world.caller().await.ask("GET", "/stock", &format!("{steering}{hop}cookie: a=1\r\n"), "").await;

    let seen = &callee.hits()[0].message;
    assert_eq!(seen.header("host"), Some("shop.test"));
    assert_eq!(seen.header("cookie"), Some("a=1"));
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-request-id").map(str::len), Some(36));
    assert!(seen.header("traceparent").is_some());
    let left: u64 = seen.header("x-envoy-expected-rq-timeout-ms").unwrap().parse().unwrap();
    assert!((1_900..=2_000).contains(&left), "{left}: a stranger's 1 ms must not count");
    for gone in ["connection", "x-mine", "te", "proxy-connection"] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    assert_eq!(answer.header("x-outer"), Some("2"));
    for gone in ["keep-alive", "connection", "x-inner", "x-bowline-outcome"] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
}

#[tokio::test]
async fn a_trace_goes_on_by_w3cs_rules() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let mut caller = world.caller().await;
    let good = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n");
    let members = |count| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    // What comes; whether the trace goes on; its state.
    let cases = [
        (good.clone(), true, None),
        (format!("{good}tracestate: a=1\r\ntracestate: b=2\r\n"), true, Some("a=1,b=2".to_owned())),
        (format!("{good}tracestate: {}\r\n", members(32)), true, Some(members(32))),
        (format!("{good}tracestate: {}\r\n", members(33)), true, None),
        (format!("{good}tracestate: A=1\r\n"), true, None),
        (good.replace(": 00", ": cc").replace("-01", "-01-later"), true, None),
        (good.replace(": 00", ": ff"), false, None),
        (good.replace(TRACE, &TRACE.to_uppercase()), false, None),
        (good.replace(TRACE, &"0".repeat(32)), false, None),
        (format!("{good}{good}tracestate: a=1\r\n"), false, None),
        ("traceparent: \r\ntracestate: a=1\r\n".to_owned(), false, None),
        ("tracestate: a=1\r\n".to_owned(), false, None),
    ];
    for (headers, goes_on, state) in cases {
        caller.ask("GET", "/stock", &format!("{headers}baggage: user=7;p, b=%20\r\n"), "").await;
        let seen = callee.hits().pop().unwrap().message;
        let sent = seen.header("traceparent").unwrap();
        assert_eq!((sent.len(), &sent[..3], &sent[53..]), (55, "00-", "01"), "{headers}");
        assert_eq!(sent.contains(TRACE), goes_on, "{headers}");
        assert!(!sent.contains("00f067aa0ba902b7"), "{headers}");
        assert_eq!(seen.header("tracestate"), state.as_deref(), "{headers}");
        assert_eq!(seen.header("baggage"), Some("user=7;p, b=%20"));
    }
}

#[tokio::test]
async fn each_try_is_a_span_of_its_own() {
    let callee =
        Callee::start(|hit| if hit.number % 2 == 0 { Do::Close } else { Do::Answer(200, String::new()) })
            .await;
    // Where a rule touches the headers they are written in another way.
    for rule in ["", "    headers: { request: { set: { x-rule: here } } }"] {
        let before = callee.count();
        let retry = policy("  retry: { tries: 3, backoff: { base: 1ms, max: 2ms } }");
        let world = World::start(&(route(&[callee.address], rule) + &retry));
        world.get("/stock").await;
        let hits = callee.hits();
        let sent: Vec<_> =
            hits[before..].iter().map(|hit| hit.message.header("traceparent").unwrap()).collect();
        let different: std::collections::BTreeSet<_> = sent.iter().collect();
        assert_eq!((sent.len(), different.len()), (2, 2), "{sent:?}");
        assert!(sent.iter().all(|one| one[..36] == sent[0][..36]), "one trace: {sent:?}");
    }
}

#[tokio::test]
async fn bodies_go_through_in_both_directions() {
    let callee = Callee::start(|hit| Do::Answer(200, "y".repeat(300_000 + hit.message.body.len()))).await;
    let world = World::start(&route(&[callee.address], ""));
    let mut caller = world.caller().await;
    let body = "x".repeat(200_000);
    let answer = caller.ask("POST", "/charges", "", &body).await;
    assert_eq!(answer.body.len(), 500_000);
    assert_eq!(callee.hits()[0].message.body.len(), 200_000);

    let chunked = "POST /charges HTTP/1.1\r\nhost: shop.test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    caller.send(chunked).await;
    assert_eq!(caller.receive("POST").await.unwrap().status(), 200);
    assert_eq!(callee.hits()[1].message.text(), "abcde");
    assert_eq!(callee.connections(), 1, "both answers were read to their end");
}

#[tokio::test]
async fn an_answer_to_head_keeps_its_length_and_has_no_body() {
    let callee = Callee::start(|_| Do::Answer(200, "hello".to_owned())).await;
    let world = World::start(&route(&[callee.address], ""));
    let mut caller = world.caller().await;
    let answer = caller.ask("HEAD", "/stock", "", "").await;
    assert_eq!((answer.status(), answer.header("content-length")), (200, Some("5")));
    assert_eq!(caller.ask("GET", "/stock", "", "").await.text(), "hello", "the connection goes on");
}

#[tokio::test]
async fn a_chunked_answer_of_the_callee_arrives_whole() {
    let callee = Callee::start(|_| {
        Do::Raw(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
                .to_vec(),
        )
    })
    .await;
    let world = World::start(&route(&[callee.address], ""));
    assert_eq!(world.get("/stock").await.text(), "hello world");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_passed_off_as_whole() {
    for head in ["content-length: 100", "transfer-encoding: chunked"] {
        let broken = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n");
        let callee = Callee::start(move |_| Do::Raw(broken.clone().into_bytes())).await;
        let world = World::start(&route(&[callee.address], ""));
        let mut caller = world.caller().await;
        caller.send("GET /stock HTTP/1.1\r\nhost: shop.test\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(callee);
        assert!(caller.receive("GET").await.is_none(), "{head}: the connection must end");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let callee = Callee::start(|hit| Do::Answer(200, hit.message.path().to_owned())).await;
    let world = World::start(&route(&[callee.address], ""));
    let mut caller = world.caller().await;
    let each = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: shop.test\r\n\r\n");
    caller.send(&(each("/a") + &each("/b") + &each("/c"))).await;
    for path in ["/a", "/b", "/c"] {
        assert_eq!(caller.receive("GET").await.unwrap().text(), path);
    }
}

#[tokio::test]
async fn trailers_go_to_a_caller_that_reads_them_without_what_would_frame_the_answer() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
                          2\r\nok\r\n0\r\nsum: 7\r\ncontent-length: 9\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let world = World::start(&route(&[address], ""));
    for (te, end) in [("te: trailers\r\n", "2\r\nok\r\n0\r\nsum: 7\r\n\r\n"), ("", "2\r\nok\r\n0\r\n\r\n")] {
        let mut caller = world.caller().await;
        caller.send(&format!("GET / HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\n{te}\r\n")).await;
        let answer = caller.rest().await;
        assert!(answer.ends_with(&format!("\r\n\r\n{end}")), "{te:?}: {answer}");
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_its_request_along() {
    let callee = Callee::start(|_| Do::Hang).await;
    let world = World::start(&route(&[callee.address], ""));
    let mut caller = world.caller().await;
    caller.send("GET /stock HTTP/1.1\r\nhost: shop.test\r\n\r\n").await;
    crate::support::eventually("the request is there", || callee.count() == 1).await;
    drop(caller);
    crate::support::eventually("the callee is told", || callee.cancelled() == 1).await;
    let gone = || world.metric("bowline_requests_total", &["flag=\"DC\"", "class=\"none\""]) == 1.0;
    crate::support::eventually("it is counted", gone).await;
    assert_eq!(world.last_words().last(), Some(&"gave-up"));
}

#[tokio::test]
async fn what_no_rule_is_for_is_told_apart() {
    let yaml = r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: all }
spec:
  hosts: [ shop.test ]
  gateways: [ gate ]
  http:
  - match: [ { uri: { exact: /here } } ]
    directResponse: { status: 200, body: { string: "here" } }
  - match: [ { uri: { exact: /old } } ]
    redirect: { uri: /here, redirectCode: 302 }
  - match: [ { uri: { prefix: /older } } ]
    redirect: { prefixRewrite: /old }
  - match: [ { uri: { exact: /empty } } ]
    route: [ { destination: { host: nobody.test } } ]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: nobody }
spec: { hosts: [ nobody.test ], ports: [ { number: 80, name: http, protocol: HTTP } ], resolution: STATIC }
"#;
    let world = World::start(yaml);
    let mut caller = world.caller().await;
    assert_eq!(caller.ask("GET", "/here", "", "").await.text(), "here");
    let moved = caller.ask("GET", "/old", "", "").await;
    assert_eq!((moved.status(), moved.header("location")), (302, Some("http://shop.test/here")));
    let moved = caller.ask("GET", "/older/still?page=2", "", "").await;
    assert_eq!((moved.status(), moved.header("location")), (301, Some("http://shop.test/old/still?page=2")));
    let lost = caller.ask("GET", "/lost", "accept: application/json\r\n", "").await;
    assert_eq!((lost.status(), lost.header("x-bowline-reason")), (404, Some("no route")));
    assert!(lost.text().starts_with("{\"status\":404,"), "{}", lost.text());
    let empty = caller.ask("GET", "/empty", "", "").await;
    assert_eq!((empty.status(), empty.header("x-bowline-reason")), (503, Some("no host")));
    assert_eq!(world.metric("bowline_requests_total", &["flag=\"UH\""]), 1.0);
    caller.send("GET / HTTP/1.1\r\nhost: other.test\r\n\r\n").await;
    let unknown = caller.receive("GET").await.unwrap();
    assert_eq!((unknown.status(), unknown.header("x-bowline-reason")), (404, Some("unknown host")));
    assert_eq!(world.metric("bowline_requests_total", &["flag=\"NR\""]), 2.0);
}

#[tokio::test]
async fn rewrites_and_header_operations_are_done() {
    let callee = Callee::start(|_| Do::AnswerWith(200, "x-old: 1\r\n".to_owned(), String::new())).await;
    let rule = r#"
    match: [ { uri: { prefix: /api/ } } ]
    rewrite: { uri: /, authority: inner.test }
    headers:
      request: { set: { x-team: blue }, remove: [ x-drop ] }
      response: { add: { x-new: "2" }, remove: [ x-old ] }
"#;
    let world = World::start(&route(&[callee.address], rule));
    let answer = world.caller().await.ask("GET", "/api/stock?a=b", "x-drop: 1\r\n", "").await;
    assert_eq!((answer.header("x-old"), answer.header("x-new")), (None, Some("2")));
    let seen = &callee.hits()[0].message;
    assert_eq!((seen.path(), seen.header("host")), ("/stock?a=b", Some("inner.test")));
    assert_eq!((seen.header("x-team"), seen.header("x-drop")), (Some("blue"), None));
}

#[tokio::test]
async fn a_cross_origin_preflight_is_answered_here() {
    let callee = Callee::friendly().await;
    let rule = r#"
    corsPolicy:
      allowOrigins: [ { exact: "https://shop.example" } ]
      allowMethods: [ GET, POST ]
      exposeHeaders: [ x-cost ]
"#;
    let world = World::start(&route(&[callee.address], rule));
    let mut caller = world.caller().await;
    let preflight = "origin: https://shop.example\r\naccess-control-request-method: POST\r\n";
    let answer = caller.ask("OPTIONS", "/stock", preflight, "").await;
    assert_eq!((answer.status(), callee.count()), (200, 0));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
    let answer = caller.ask("GET", "/stock", "origin: https://shop.example\r\n", "").await;
    assert_eq!(answer.header("access-control-expose-headers"), Some("x-cost"));
    let answer = caller.ask("GET", "/stock", "origin: https://evil.example\r\n", "").await;
    assert_eq!((answer.status(), answer.header("access-control-allow-origin")), (200, None));
}

#[tokio::test]
async fn the_mesh_routes_by_authority_and_absolute_targets() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let mut caller = Caller::connect(world.mesh).await;
    caller.send("GET http://stock/stock?x=1 HTTP/1.1\r\nhost: stock\r\n\r\n").await;
    assert_eq!(caller.receive("GET").await.unwrap().status(), 200);
    let seen = &callee.hits()[0].message;
    assert_eq!((seen.path(), seen.header("host")), ("/stock?x=1", Some("stock")));
    caller.send("GET / HTTP/1.1\r\nhost: elsewhere\r\n\r\n").await;
    assert_eq!(caller.receive("GET").await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_copy_goes_to_the_mirror_and_nobody_waits_for_it() {
    let (callee, shadow) = (Callee::friendly().await, Callee::start(|_| Do::Hang).await);
    let mirror = format!(
        r#"
    mirror: {{ host: shadow.test }}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: shadow }}
spec:
  hosts: [ shadow.test ]
  ports: [ {{ number: {port}, name: http, protocol: HTTP }} ]
  resolution: STATIC
  endpoints: [ {{ address: 127.0.0.1 }} ]
"#,
        port = shadow.address.port()
    );
    let yaml = route(&[callee.address], "").replace("---", &format!("{}\n---", "#")).replacen(
        "#\n---",
        &format!("{mirror}\n---"),
        1,
    );
    let world = World::start(&yaml);
    let answer = world.caller().await.ask("POST", "/allocations", "", "hello").await;
    assert_eq!(answer.status(), 200);
    crate::support::eventually("the copy arrives", || shadow.count() == 1).await;
    let copy = &shadow.hits()[0].message;
    assert_eq!((copy.header("host"), copy.text().as_str()), (Some("shop.test-shadow"), "hello"));
}

#[tokio::test]
async fn what_the_gate_refuses_is_counted() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let mut caller = world.caller().await;
    caller.send("GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(caller.receive("GET").await.unwrap().status(), 400);
    let refused = || world.metric("bowline_gate_refusals_total", &["reason=\"host-missing\""]) == 1.0;
    crate::support::eventually("it is counted", refused).await;
    assert_eq!(callee.count(), 0);
}

#[tokio::test]
async fn interim_answers_end_here_and_nonsense_is_a_bad_gateway() {
    let callee = Callee::start(|hit| {
        let text = match hit.message.path() {
            "/hints" => {
                "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
            }
            "/twice" => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
            _ => "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        };
        Do::Raw(text.as_bytes().to_vec())
    })
    .await;
    let world = World::start(&(route(&[callee.address], "") + &policy("  retry: { tries: 1 }")));
    for path in ["/twice", "/switch"] {
        let answer = world.get(path).await;
        assert_eq!((answer.status(), answer.header("x-bowline-reason")), (502, Some("malformed")), "{path}");
    }
    assert_eq!(world.metric("bowline_requests_total", &["flag=\"UPE\""]), 2.0);
    assert_eq!(world.get("/hints").await.text(), "ok");
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_is_through_does_not_block_it() {
    // The callee answers at once with more than all buffers hold, and reads only after that; the caller
    // sends all of its body before it reads. Each waits for the other, unless both directions go on.
    const LENGTH: usize = 8 << 20;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let callee = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 64 << 10];
        let mut read = stream.read(&mut buffer).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let reading = async {
            while read < LENGTH {
                match reader.read(&mut buffer).await.unwrap() {
                    0 => panic!("the request ended early, after {read}"),
                    some => read += some,
                }
            }
        };
        let writing = async { writer.write_all(&vec![b'y'; LENGTH]).await.unwrap() };
        tokio::join!(reading, writing);
    });
    let world = World::start(&route(&[address], ""));
    let mut caller = world.caller().await;
    caller
        .send(&format!("POST /charges HTTP/1.1\r\nhost: shop.test\r\ncontent-length: {LENGTH}\r\n\r\n"))
        .await;
    let sent =
        tokio::time::timeout(crate::support::PATIENCE, caller.stream.write_all(&vec![b'x'; LENGTH])).await;
    sent.expect("the request goes through while its answer waits").unwrap();
    assert_eq!(caller.receive("POST").await.unwrap().body.len(), LENGTH);
    callee.await.unwrap();
}

#[tokio::test]
async fn an_answer_that_has_begun_may_take_its_time_unless_somebody_set_a_deadline() {
    for (limit, arrives) in [("", true), ("  deadline: 150ms", false)] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let callee = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 1 << 10];
            assert_ne!(stream.read(&mut buffer).await.unwrap(), 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab").await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            let _ = stream.write_all(b"cd").await;
        });
        let policy = if limit.is_empty() { String::new() } else { policy(limit) };
        let world = World::start(&(route(&[address], "") + &policy));
        let mut caller = world.caller().await;
        caller.send("GET /stock HTTP/1.1\r\nhost: shop.test\r\n\r\n").await;
        let answer = caller.receive("GET").await.map(|answer| answer.text());
        assert_eq!(answer.as_deref(), arrives.then_some("abcd"), "{limit}");
        callee.await.unwrap();
    }
}

#[tokio::test]
async fn an_old_caller_without_a_host_is_served() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let mut caller = world.caller().await;
    caller.send("GET /stock HTTP/1.0\r\n\r\n").await;
    let answer = caller.receive("GET").await.unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "hit 0"));
    assert!(callee.hits()[0].message.header("host").is_some_and(|host| host.starts_with("stock")));
    assert!(caller.is_closed().await);
}

#[tokio::test]
async fn a_request_that_ends_after_its_answer_began_does_not_shut_the_connection() {
    // A shut looks to the callee as if its caller had gone away.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let callee = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"first") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab").await.unwrap();
        while !request.ends_with(b"firstlater") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        let shut = tokio::time::timeout(Duration::from_millis(200), stream.read_buf(&mut request)).await;
        stream.write_all(b"cd").await.unwrap();
        assert!(shut.is_err(), "{shut:?}");
    });
    let world = World::start(&route(&[address], ""));
    let mut caller = world.caller().await;
    caller.send("POST /charges HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 10\r\n\r\nfirst").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    caller.send("later").await;
    assert_eq!(caller.receive("POST").await.unwrap().text(), "abcd");
    callee.await.unwrap();
}

#[tokio::test]
async fn an_absolute_target_without_a_path_gets_one() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let mut caller = Caller::connect(world.mesh).await;
    caller.send("GET http://stock?x=1 HTTP/1.1\r\nhost: stock\r\n\r\n").await;
    assert_eq!(caller.receive("GET").await.unwrap().status(), 200);
    assert_eq!(callee.hits()[0].message.path(), "/?x=1");
}

#[tokio::test]
async fn what_a_caller_takes_back_at_this_hop_is_made_anew() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let mine = "x-request-id: mine\r\nx-forwarded-proto: https\r\nx-forwarded-for: 192.0.2.1\r\n";
    let taken = "connection: x-request-id, x-forwarded-proto, x-forwarded-for\r\n";
    world.caller().await.ask("GET", "/stock", &format!("{mine}{taken}"), "").await;
    let seen = &callee.hits()[0].message;
    assert_eq!(seen.header("x-request-id").map(str::len), Some(36));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
}

#[tokio::test]
async fn a_stranger_does_not_say_how_it_came_here() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    world.caller().await.ask("GET", "/stock", "x-forwarded-proto: https\r\n", "").await;
    assert_eq!(callee.hits()[0].message.header("x-forwarded-proto"), Some("http"));
    let mut trusted = Caller::connect(world.mesh).await;
    trusted.send("GET /stock HTTP/1.1\r\nhost: stock\r\nx-forwarded-proto: https\r\n\r\n").await;
    assert_eq!(trusted.receive("GET").await.unwrap().status(), 200);
    assert_eq!(callee.hits()[1].message.header("x-forwarded-proto"), Some("https"));
}

#[tokio::test]
async fn a_rule_does_not_frame_an_answer() {
    let callee = Callee::start(|_| Do::Answer(200, "hello".to_owned())).await;
    let rule = r#"
    headers: { response: { set: { content-length: "3", transfer-encoding: chunked, x-new: "1" } } }
"#;
    let world = World::start(&route(&[callee.address], rule));
    let mut caller = world.caller().await;
    for method in ["GET", "HEAD", "GET"] {
        let answer = caller.ask(method, "/stock", "", "").await;
        assert_eq!(answer.header("x-new"), Some("1"));
        assert_eq!((answer.header("content-length"), answer.header("transfer-encoding")), (Some("5"), None));
    }
}

#[tokio::test]
async fn an_early_answer_without_a_body_arrives() {
    for (method, status) in [("HEAD", 200), ("GET", 304)] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let callee = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"first") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            let head = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: 5\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let _ = stream.read_buf(&mut request).await;
        });
        let world = World::start(&route(&[address], ""));
        let mut caller = world.caller().await;
        let head = format!("{method} /stock HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 10\r\n\r\nfirst");
        caller.send(&head).await;
        assert_eq!(caller.receive(method).await.map(|answer| answer.status()), Some(status), "{method}");
        drop(caller);
        callee.await.unwrap();
    }
}

#[tokio::test]
async fn a_length_said_twice_is_passed_on_once() {
    let twice = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok";
    for method in ["GET", "HEAD"] {
        let callee = Callee::start(move |_| Do::Raw(twice.as_bytes().to_vec())).await;
        let world = World::start(&route(&[callee.address], ""));
        let answer = world.caller().await.ask(method, "/stock", "", "").await;
        let lengths = answer.headers.iter().filter(|(name, _)| name == "content-length").count();
        assert_eq!((answer.status(), lengths), (200, 1), "{method}");
    }
}

#[tokio::test]
async fn a_connection_counts_until_the_rest_of_its_request_is_out() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let callee = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"first") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        while stream.read_buf(&mut request).await.unwrap() != 0 {}
        assert!(request.ends_with(b"firstlater"));
    });
    let world = World::start(&route(&[address], ""));
    let mut caller = world.caller().await;
    caller.send("POST /charges HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 10\r\n\r\nfirst").await;
    assert_eq!(caller.receive("POST").await.unwrap().text(), "ok");
    let open = || world.metric("bowline_endpoint_connections", &[]);
    assert_eq!(open(), 1.0);
    caller.send("later").await;
    callee.await.unwrap();
    crate::support::eventually("it is closed", || open() == 0.0).await;
}

#[tokio::test]
async fn a_caller_that_waits_to_be_told_is_told_to_go_on() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let mut caller = world.caller().await;
    let expects = "expect: 100-continue\r\ncontent-length: 5\r\n";
    caller.send(&format!("POST /charges HTTP/1.1\r\nhost: shop.test\r\n{expects}\r\n")).await;
    let mut told = [0; 25];
    tokio::time::timeout(crate::support::PATIENCE, caller.stream.read_exact(&mut told))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    caller.send("hello").await;
    assert_eq!(caller.receive("POST").await.unwrap().status(), 200);
    let seen = &callee.hits()[0].message;
    assert_eq!((seen.text().as_str(), seen.header("expect")), ("hello", None));
}

#[tokio::test]
async fn an_old_caller_gets_chunks_without_their_frames() {
    let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let callee = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_ne!(stream.read(&mut [0; 1_000]).await.unwrap(), 0);
        stream.write_all(chunks.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.write_all(b"6\r\n world\r\n0\r\n\r\n").await.unwrap();
    });
    let world = World::start(&route(&[address], ""));
    let mut caller = world.caller().await;
    caller.send("GET /stock HTTP/1.0\r\nhost: shop.test\r\nconnection: keep-alive\r\n\r\n").await;
    let answer = caller.receive("GET").await.unwrap();
    assert_eq!((answer.header("transfer-encoding"), answer.text().as_str()), (None, "hello world"));
    callee.await.unwrap();
}

#[tokio::test]
async fn a_record_of_a_stranger_is_not_larger_than_people_read() {
    let world = World::start(&route(&[], ""));
    let (path, host) = ("x".repeat(7_000), "a".repeat(10_000));
    let mut caller = world.caller().await;
    caller.send(&format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
    assert!(caller.receive("GET").await.unwrap().status() >= 400);
    let record = world.proxy.trails().last(&bowline_proxy::Filter::default()).unwrap();
    assert!(record.target.starts_with("/xxx") && record.target.len() <= 1_024, "{}", record.target.len());
    assert!(record.authority.starts_with("aaa") && record.authority.len() <= 1_024);
}
