//! What steers Bowline is taken from those whom a listener trusts, and goes no further from anybody else.

use crate::support::{Callee, Caller, Do, World, route};
use http::Request;
use tokio::net::TcpStream;

/// Every field that steers Bowline, or speaks in its name, with what a stranger might say in it.
const STEERING: [(&str, &str); 12] = [
    ("x-envoy-expected-rq-timeout-ms", "1"),
    ("x-bowline-try", "7"),
    ("x-envoy-attempt-count", "7"),
    ("x-bowline-priority", "high"),
    ("x-bowline-explain", "1"),
    ("x-bowline-explain-id", "7"),
    ("x-bowline-outcome", "succeeded"),
    ("x-bowline-reason", "done"),
    ("x-bowline-of-a-later-version", "1"),
    ("x-retry-exhausted", "tries"),
    ("x-forwarded-client-cert", "Hash=00;URI=spiffe://shop/admin"),
    ("x-forwarded-proto", "gopher"),
];

#[tokio::test]
async fn each_field_that_steers_ends_at_a_listener_that_does_not_trust_its_caller() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    for (name, value) in STEERING {
        let answer = world.caller().await.ask("GET", "/stock", &format!("{name}: {value}\r\n"), "").await;
        assert_eq!(answer.status(), 200, "{name} had an effect");
        let seen = callee.hits().last().unwrap().message.clone();
        assert_ne!(seen.header(name), Some(value), "{name} over HTTP/1.1");

        let stream = TcpStream::connect(world.gateway).await.unwrap();
        let (http, connection) = h2::client::handshake(stream).await.unwrap();
        let driving = tokio::spawn(connection);
        let request = Request::get("http://shop.test/stock").header(name, value).body(()).unwrap();
        let (answer, _) = http.ready().await.unwrap().send_request(request, true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200, "{name} had an effect");
        driving.abort();
        let seen = callee.hits().last().unwrap().message.clone();
        assert_ne!(seen.header(name), Some(value), "{name} over HTTP/2");
    }
    assert_eq!(callee.count(), 2 * STEERING.len());
}

#[tokio::test]
async fn several_of_them_at_once_end_and_what_is_not_ours_goes_on() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let fields: String = STEERING.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    world.caller().await.ask("GET", "/stock", &format!("{fields}x-bowlines: mine\r\n"), "").await;
    let seen = callee.hits()[0].message.clone();
    assert_eq!(seen.header("x-bowlines"), Some("mine"));
    assert!(STEERING.iter().all(|(name, value)| seen.header(name) != Some(*value)), "{seen:?}");
}

#[tokio::test]
async fn a_trusted_caller_steers() {
    let callee = Callee::start(|_| Do::Late(std::time::Duration::from_millis(500), 200)).await;
    let world = World::start(&route(&[callee.address], ""));
    let mut mesh = Caller::connect(world.mesh).await;
    mesh.send("GET /stock HTTP/1.1\r\nhost: stock\r\nx-envoy-expected-rq-timeout-ms: 20\r\n\r\n").await;
    assert_eq!(mesh.receive("GET").await.unwrap().status(), 504, "the deadline is taken from it");
}

#[tokio::test]
async fn what_a_callee_says_of_its_outcome_is_told_to_trusted_callers_alone() {
    let callee =
        Callee::start(|_| Do::AnswerWith(200, "x-bowline-outcome: pending\r\n".into(), String::new())).await;
    let world = World::start(&route(&[callee.address], ""));
    assert_eq!(world.get("/stock").await.header("x-bowline-outcome"), None);
    let mut mesh = Caller::connect(world.mesh).await;
    mesh.send("GET /stock HTTP/1.1\r\nhost: stock\r\n\r\n").await;
    assert_eq!(mesh.receive("GET").await.unwrap().header("x-bowline-outcome"), Some("pending"));
}
