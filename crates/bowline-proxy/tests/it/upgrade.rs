//! What follows an upgrade, and what a mesh's caller means who takes it for a proxy.

use crate::support::{Callee, Caller, Do, PATIENCE, World, eventually, route};
use bowline_proxy::Drained;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const ASK: &str = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: a\r\n";
const GRANT: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello";

/// A callee that grants one upgrade, says hello with it, and then says everything back until its caller ends.
async fn echo() -> (std::net::SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut head).await.unwrap();
        }
        stream.write_all(GRANT).await.unwrap();
        let mut bytes = [0; 1024];
        loop {
            match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => break,
                Ok(some) => stream.write_all(&bytes[..some]).await.unwrap(),
            }
        }
        // The other direction is still open.
        let _ = stream.write_all(b"bye").await;
        String::from_utf8(head).unwrap()
    });
    (address, serving)
}

async fn upgraded(world: &World) -> Caller {
    let mut caller = world.caller().await;
    caller.send(&format!("GET /stock HTTP/1.1\r\nhost: shop.test\r\n{ASK}\r\n")).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(byte(&mut caller).await);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && head.contains("upgrade: websocket"), "{head}");
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
    caller
}

async fn byte(caller: &mut Caller) -> u8 {
    tokio::time::timeout(PATIENCE, caller.stream.read_u8()).await.expect("a byte in time").unwrap()
}

async fn hears(caller: &mut Caller, words: &str) {
    for expected in words.bytes() {
        assert_eq!(byte(caller).await as char, expected as char, "of {words:?}");
    }
}

#[tokio::test]
async fn an_upgrade_that_the_callee_grants_becomes_a_tunnel_with_half_close() {
    let (address, callee) = echo().await;
    let world = World::start(&route(&[address], ""));
    let mut caller = upgraded(&world).await;
    hears(&mut caller, "hello").await;
    assert_eq!(world.metric("bowline_tunnels_open", &[]), 1.0);
    caller.send("ping").await;
    hears(&mut caller, "ping").await;
    caller.stream.shutdown().await.unwrap();
    hears(&mut caller, "bye").await;
    assert!(caller.is_closed().await);
    let asked = callee.await.unwrap().to_ascii_lowercase();
    assert!(asked.contains("\r\nconnection: upgrade\r\nupgrade: websocket\r\n"), "{asked}");
    assert!(asked.contains("\r\nsec-websocket-key: a\r\n"), "{asked}");
    eventually("it is counted", || {
        world.metric("bowline_tunnels_total", &[]) == 1.0
            && world.metric("bowline_tunnels_open", &[]) == 0.0
            && world.metric("bowline_tunnel_bytes_total", &["direction=\"in\""]) == 4.0
            && world.metric("bowline_tunnel_bytes_total", &["direction=\"out\""]) == 12.0
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_that_the_callee_declines_is_a_request_like_any_other() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let mut caller = world.caller().await;
    assert_eq!(caller.ask("GET", "/stock", ASK, "").await.status(), 200);
    assert_eq!(caller.ask("GET", "/stock", "", "").await.text(), "hit 1", "the next one is judged anew");
    caller.send("GET /stock HTTP/1.1\r\nno host\r\n\r\n").await;
    assert_eq!(caller.receive("GET").await.unwrap().status(), 400);
}

#[tokio::test]
async fn bytes_that_do_not_wait_for_the_tunnel_are_refused() {
    let callee = Callee::start(|_| Do::Late(Duration::from_millis(50), 200)).await;
    let world = World::start(&route(&[callee.address], ""));
    let mut caller = world.caller().await;
    let early = "GET /smuggled HTTP/1.1\r\nhost: shop.test\r\n\r\n";
    caller.send(&format!("GET /stock HTTP/1.1\r\nhost: shop.test\r\n{ASK}\r\n{early}")).await;
    assert_eq!(caller.receive("GET").await.unwrap().status(), 200);
    assert_eq!(caller.receive("GET").await.unwrap().status(), 400);
    assert!(caller.is_closed().await, "what came too early is no request");
    assert_eq!(callee.count(), 1);
    let counted = || world.metric("bowline_gate_refusals_total", &["reason=\"tunnel-too-early\""]) == 1.0;
    eventually("it is counted", counted).await;
}

#[tokio::test]
async fn nobody_switches_unasked_or_to_something_else() {
    let other = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: irc\r\n\r\n".to_vec();
    let callee = Callee::start(move |_| Do::Raw(other.clone())).await;
    let world = World::start(&route(&[callee.address], ""));
    assert_eq!(world.get("/stock").await.status(), 502);
    assert_eq!(world.caller().await.ask("GET", "/stock", ASK, "").await.status(), 502);
    let unknown = "connection: upgrade\r\nupgrade: irc\r\n";
    assert_eq!(world.caller().await.ask("GET", "/stock", unknown, "").await.status(), 501);
}

#[tokio::test]
async fn an_idle_tunnel_ends_and_a_drain_ends_one_that_does_not() {
    let (address, _callee) = echo().await;
    let world = World::start_with(&route(&[address], ""), 1, |config| {
        config.limits.tunnel_idle = Duration::from_millis(50);
    });
    let mut caller = upgraded(&world).await;
    hears(&mut caller, "hello").await;
    assert!(caller.is_closed().await, "nothing moved");

    let (address, _callee) = echo().await;
    let world = World::start(&route(&[address], ""));
    let mut caller = upgraded(&world).await;
    hears(&mut caller, "hello").await;
    assert_eq!(world.proxy.drain(Duration::from_millis(50)).await, Drained { cut: 1 });
    assert!(caller.is_closed().await);
}

#[tokio::test]
async fn a_connect_at_the_mesh_is_served_here_whatever_is_said_in_it() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let connect = "CONNECT stock:80 HTTP/1.1\r\nhost: stock:80\r\n\r\n";
    let mut caller = Caller::connect(world.mesh).await;
    caller.send(connect).await;
    assert_eq!(head(&mut caller).await, 200);
    // Another host inside: the tunnel leads where it was said to lead.
    assert_eq!(caller.ask("GET", "/stock", "", "").await.status(), 200);
    assert_eq!(callee.hits()[0].message.header("host"), Some("shop.test"));
    caller.send("CONNECT stock:80 HTTP/1.1\r\nhost: stock:80\r\n\r\n").await;
    assert_eq!(caller.receive("GET").await.unwrap().status(), 501, "there is no tunnel in a tunnel");

    let mut caller = Caller::connect(world.mesh).await;
    caller.send(connect).await;
    assert_eq!(head(&mut caller).await, 200);
    let (mut http, connection) = h2::client::handshake(caller.stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("http://stock/stock").body(()).unwrap();
    let (answer, _) = http.send_request(request, true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200, "gRPC's way through a proxy");
    assert_eq!(world.metric("bowline_caller_requests_total", &["protocol=\"h2\""]), 1.0);

    let mut caller = Caller::connect(world.mesh).await;
    caller.send("CONNECT nobody:80 HTTP/1.1\r\nhost: nobody:80\r\n\r\n").await;
    assert_eq!(caller.receive("GET").await.unwrap().status(), 404);
    let mut caller = world.caller().await;
    caller.send(connect).await;
    assert_eq!(caller.receive("GET").await.unwrap().status(), 501, "a gateway is nobody's proxy");
}

/// The status of an answer that has no body and no length.
pub(crate) async fn head(caller: &mut Caller) -> u16 {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(byte(caller).await);
    }
    String::from_utf8(head).unwrap().split(' ').nth(1).unwrap().parse().unwrap()
}
