//! Requests that come by HTTP/2: what goes through, and what is changed on the way.

use crate::frames::{
    self, END_HEADERS, END_STREAM, Framer, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS,
};
use crate::support::{Callee, Caller, Do, Message, PATIENCE, World, eventually, policy, route};
use bowline_proxy::Drained;
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// A connection to the proxy that speaks HTTP/2.
struct Caller2 {
    http: SendRequest<Bytes>,
    connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

/// An answer, read to its end.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

impl Caller2 {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (http, connection) = h2::client::handshake(stream).await.unwrap();
        Self { http, connection: tokio::spawn(connection) }
    }

    async fn begin(&self, request: Request<()>, end: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let mut http = self.http.clone().ready().await.unwrap();
        http.send_request(request, end).unwrap()
    }

    async fn ask(&self, request: Request<()>) -> Answer {
        whole(self.begin(request, true).await.0).await.unwrap()
    }
}

fn request(method: &str, path: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("http://shop.test{path}")).body(()).unwrap()
}

async fn whole(answer: ResponseFuture) -> Result<Answer, h2::Error> {
    let reading = async {
        let (parts, mut stream) = answer.await?.into_parts();
        let mut body = Vec::new();
        while let Some(data) = stream.data().await {
            let data = data?;
            stream.flow_control().release_capacity(data.len())?;
            body.extend_from_slice(&data);
        }
        let trailers = stream.trailers().await?;
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body, trailers })
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("an answer in time")
}

/// The head of an answer, whose body is not read.
async fn head(answer: ResponseFuture) -> Response<RecvStream> {
    tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time").unwrap()
}

fn seen(callee: &Callee) -> Message {
    callee.hits().last().expect("a request").message.clone()
}

#[tokio::test]
async fn a_request_goes_to_a_callee_of_http1_and_its_answer_comes_back() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let caller = Caller2::connect(world.gateway).await;
    let answer = caller.ask(request("GET", "/stock?sku=A47")).await;
    assert_eq!((answer.status, &*answer.body), (200, &b"hit 0"[..]));
    assert!(answer.headers.contains_key("date") && !answer.headers.contains_key("connection"));
    let seen = seen(&callee);
    assert_eq!(seen.start, "GET /stock?sku=A47 HTTP/1.1");
    assert_eq!(seen.header("host"), Some("shop.test"));
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert!(
        world.metric("bowline_requests_total", &["service=\"stock\"", "class=\"2xx\"", "flag=\"-\""]) == 1.0
    );
}

#[tokio::test]
async fn the_mesh_speaks_it_too() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let caller = Caller2::connect(world.mesh).await;
    let request = Request::get("http://stock/stock").body(()).unwrap();
    assert_eq!(caller.ask(request).await.status, 200);
}

#[tokio::test]
async fn streams_of_one_connection_do_not_wait_for_each_other() {
    let callee = Callee::start(|hit| match hit.message.path() {
        "/slow" => Do::Hang,
        _ => Do::Answer(200, String::new()),
    })
    .await;
    let world = World::start(&route(&[callee.address], ""));
    let caller = Caller2::connect(world.gateway).await;
    let (_slow, _) = caller.begin(request("GET", "/slow"), true).await;
    eventually("the slow one is under way", || callee.count() == 1).await;
    for _ in 0..20 {
        assert_eq!(caller.ask(request("GET", "/stock")).await.status, 200);
    }
}

#[tokio::test]
async fn bodies_go_through_in_both_directions() {
    let callee = Callee::start(|hit| Do::Answer(200, "y".repeat(300_000 + hit.message.body.len()))).await;
    let world = World::start(&route(&[callee.address], ""));
    let caller = Caller2::connect(world.gateway).await;
    let mut sized = request("POST", "/charges");
    sized.headers_mut().insert("content-length", 200_000.into());
    for (request, length) in [(sized, Some("200000")), (request("POST", "/charges"), None)] {
        let (answer, mut body) = caller.begin(request, false).await;
        body.send_data(Bytes::from(vec![b'x'; 200_000]), true).unwrap();
        let answer = whole(answer).await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, 500_000));
        let seen = seen(&callee);
        assert_eq!((seen.body.len(), seen.header("content-length")), (200_000, length));
        assert_eq!(seen.header("transfer-encoding").is_some(), length.is_none());
    }
}

#[tokio::test]
async fn trailers_go_through_in_both_directions() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: grpc-status\r\n\r\n";
    let answer = format!("{head}5\r\nhello\r\n0\r\ngrpc-status: 0\r\nx-sum: 7\r\n\r\n");
    let callee = Callee::start(move |_| Do::Raw(answer.clone().into_bytes())).await;
    let world = World::start(&route(&[callee.address], ""));
    let caller = Caller2::connect(world.gateway).await;
    let mut asking = request("POST", "/charges");
    asking.headers_mut().insert("te", "trailers".parse().unwrap());
    let (answer, mut body) = caller.begin(asking, false).await;
    body.send_data(Bytes::from_static(b"abc"), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "9".parse().unwrap());
    body.send_trailers(trailers).unwrap();
    let answer = whole(answer).await.unwrap();
    assert_eq!(answer.body, b"hello");
    let trailers = answer.trailers.expect("trailers");
    assert_eq!(
        (&trailers["grpc-status"], &trailers["x-sum"]),
        (&"0".parse().unwrap(), &"7".parse().unwrap())
    );
    assert_eq!(seen(&callee).trailers, ["x-checksum: 9"]);
    assert_eq!(seen(&callee).header("te"), Some("trailers"));
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    let callee = Callee::start(|hit| match hit.message.path() {
        "/none" => Do::Raw(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec()),
        "/same" => Do::Raw(b"HTTP/1.1 304 Not Modified\r\nconnection: close\r\ncontent-length: 9\r\n\r\n".to_vec()),
        "/early" => Do::Raw(
            b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
                .to_vec(),
        ),
        _ => Do::Answer(200, "hello".to_owned()),
    })
    .await;
    let world = World::start(&route(&[callee.address], ""));
    let caller = Caller2::connect(world.gateway).await;
    let answer = caller.ask(request("HEAD", "/stock")).await;
    assert_eq!((answer.status, &answer.headers["content-length"]), (200, &"5".parse().unwrap()));
    assert!(answer.body.is_empty());
    for (path, status, body) in [("/none", 204, ""), ("/same", 304, ""), ("/early", 200, "ok")] {
        let answer = caller.ask(request("GET", path)).await;
        assert_eq!((answer.status, &*answer.body), (status, body.as_bytes()), "{path}");
    }
}

#[tokio::test]
async fn a_cookie_cut_into_pieces_arrives_in_one() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let mut asking = request("GET", "/stock");
    for crumb in ["a=1", "b=2", "c=3"] {
        asking.headers_mut().append("cookie", crumb.parse().unwrap());
    }
    assert_eq!(Caller2::connect(world.gateway).await.ask(asking).await.status, 200);
    assert_eq!(seen(&callee).header("cookie"), Some("a=1; b=2; c=3"));
}

#[tokio::test]
async fn a_stream_that_is_reset_cancels_the_call() {
    let callee = Callee::start(|_| Do::Hang).await;
    let world = World::start(&route(&[callee.address], ""));
    let caller = Caller2::connect(world.gateway).await;
    let (_answer, mut body) = caller.begin(request("POST", "/charges"), false).await;
    body.send_data(Bytes::from_static(b"x"), true).unwrap();
    eventually("it is under way", || callee.count() == 1).await;
    body.send_reset(Reason::CANCEL);
    eventually("the callee is told", || callee.cancelled() == 1).await;
    eventually("it is counted", || world.metric("bowline_requests_total", &["flag=\"DC\""]) == 1.0).await;
    // The connection goes on.
    assert!(!caller.connection.is_finished());
}

#[tokio::test]
async fn a_connection_that_is_cut_cancels_its_calls() {
    let callee = Callee::start(|_| Do::Hang).await;
    let world = World::start(&route(&[callee.address], ""));
    let caller = Caller2::connect(world.gateway).await;
    let (_one, _) = caller.begin(request("GET", "/stock"), true).await;
    let (_other, _) = caller.begin(request("GET", "/stock"), true).await;
    eventually("both are under way", || callee.count() == 2).await;
    caller.connection.abort();
    eventually("the callee is told", || callee.cancelled() == 2).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_reset_and_never_an_end() {
    for framing in ["content-length: 100", "transfer-encoding: chunked"] {
        let broken = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n5\r\nhello\r\n");
        let callee = Callee::start(move |_| Do::AnswerRawThenClose(broken.clone().into_bytes())).await;
        let world = World::start(&route(&[callee.address], ""));
        let caller = Caller2::connect(world.gateway).await;
        let error = whole(caller.begin(request("GET", "/stock"), true).await.0).await.err().expect("a reset");
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{framing}");
        eventually("it is counted", || world.metric("bowline_requests_total", &["flag=\"UC\""]) == 1.0).await;
    }
}

#[tokio::test]
async fn our_own_answers_come_in_http2() {
    let world = World::start(&route(&[crate::support::nobody()], &policy("  retry: { tries: 1 }")));
    let caller = Caller2::connect(world.gateway).await;
    let answer = caller.ask(request("GET", "/stock")).await;
    assert_eq!(
        (answer.status, &answer.headers["x-bowline-reason"]),
        (503, &"connect failed".parse().unwrap())
    );
}

#[tokio::test]
async fn the_preface_may_come_in_pieces_and_what_only_looks_like_it_goes_through_the_gate() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let mut stream = TcpStream::connect(world.gateway).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in PREFACE {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let (mut http, connection) = {
        // The library says the preface itself; its own is what is skipped here.
        let (near, mut far) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            let mut preface = [0; 24];
            tokio::io::AsyncReadExt::read_exact(&mut far, &mut preface).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut far, &mut stream).await;
        });
        h2::client::handshake(near).await.unwrap()
    };
    tokio::spawn(connection);
    let (answer, _) = http.send_request(request("GET", "/stock"), true).unwrap();
    assert_eq!(whole(answer).await.unwrap().status, 200);

    let mut caller = Caller::connect(world.gateway).await;
    for piece in ["P", "R", "OPFIND /stock HTTP/1.1\r\nho", "st: shop.test\r\n\r\n"] {
        caller.send(piece).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(caller.receive("PROPFIND").await.unwrap().status(), 200, "nothing of it was lost");
    assert_eq!(seen(&callee).start, "PROPFIND /stock HTTP/1.1");

    let mut caller = Caller::connect(world.gateway).await;
    caller.send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await;
    assert_eq!(caller.receive("GET").await.unwrap().status(), 505, "it is no HTTP/1.1 either");
}

#[tokio::test]
async fn a_caller_that_begins_a_preface_and_stops_is_told_so() {
    let world = World::start_with(&route(&[crate::support::nobody()], ""), 1, |config| {
        config.limits.patience.head = Duration::from_millis(50);
    });
    let mut caller = Caller::connect(world.gateway).await;
    caller.send("PRI * HT").await;
    assert_eq!(caller.receive("GET").await.unwrap().status(), 408);
    assert!(world.metric("bowline_gate_refusals_total", &["reason=\"head-too-slow\""]) == 1.0);
}

#[tokio::test]
async fn an_upgrade_to_h2c_is_ignored() {
    let callee = Callee::friendly().await;
    let world = World::start(&route(&[callee.address], ""));
    let mut caller = world.caller().await;
    let headers = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n";
    assert_eq!(caller.ask("GET", "/stock", headers, "").await.status(), 200);
    assert_eq!(caller.ask("GET", "/stock", "", "").await.status(), 200, "it goes on in HTTP/1.1");
    assert_eq!(callee.hits()[0].message.header("upgrade"), None);
}

// === ends ===

/// Answers PING and SETTINGS as a client must, until a GOAWAY that names a last stream; the GOAWAYs seen.
async fn goaways(framer: &mut Framer) -> Vec<(u32, u32)> {
    let mut seen = Vec::new();
    while let Some(frame) = framer.receive().await {
        match frame.kind {
            PING if frame.flags == 0 => framer.send(PING, 1, 0, &frame.payload).await,
            SETTINGS if frame.flags == 0 => framer.send(SETTINGS, 1, 0, &[]).await,
            GOAWAY => seen.push((frame.last_stream(), frame.code())),
            _ => (),
        }
    }
    seen
}

/// Twice: first none is named, so that streams on their way are still taken.
const TWO_STEPS: [(u32, u32); 2] = [(u32::MAX >> 1, 0), (1, 0)];

#[tokio::test]
async fn a_drain_says_goaway_and_lets_streams_finish() {
    let callee = Callee::start(|_| Do::Late(Duration::from_millis(300), 200)).await;
    let world = World::start_with(&route(&[callee.address], ""), 1, |config| {
        config.limits.drain_idle = Duration::from_millis(20);
    });
    let mut framer = Framer::connect(&world, &[]).await;
    framer.send(HEADERS, END_STREAM | END_HEADERS, 1, &frames::request("GET", &[])).await;
    eventually("it is under way", || callee.count() == 1).await;
    let draining = tokio::spawn(async move {
        let drained = world.proxy.drain(Duration::from_secs(5)).await;
        (world, drained)
    });
    assert_eq!(goaways(&mut framer).await, TWO_STEPS);
    assert_eq!(draining.await.unwrap().1, Drained { cut: 0 });
    assert_eq!(callee.cancelled(), 0);
}

#[tokio::test]
async fn a_connection_that_is_idle_or_old_is_told_to_go() {
    let callee = Callee::friendly().await;
    for (idle, age) in [(40, 60_000), (60_000, 40)] {
        let world = World::start_with(&route(&[callee.address], ""), 1, |config| {
            config.limits.http2.idle = Duration::from_millis(idle);
            config.limits.http2.age = Duration::from_millis(age);
        });
        let mut framer = Framer::connect(&world, &[]).await;
        framer.send(HEADERS, END_STREAM | END_HEADERS, 1, &frames::request("GET", &[])).await;
        assert_eq!(goaways(&mut framer).await, TWO_STEPS, "idle {idle}, age {age}");
        eventually("its place is free", || world.metric("bowline_connections_open", &[]) == 0.0).await;
    }
}

#[tokio::test]
async fn a_caller_that_hangs_on_does_not_hold_up_a_drain() {
    let callee = Callee::start(|_| Do::Hang).await;
    let world = World::start(&route(&[callee.address], ""));
    let caller = Caller2::connect(world.gateway).await;
    let (_answer, _) = caller.begin(request("GET", "/stock"), true).await;
    eventually("it is under way", || callee.count() == 1).await;
    assert_eq!(world.proxy.drain(Duration::from_millis(100)).await, Drained { cut: 1 });
    eventually("the callee is told", || callee.cancelled() == 1).await;
}

#[tokio::test]
async fn a_caller_slower_than_the_callee_gets_all_of_it() {
    let callee = Callee::start(|_| Do::Answer(200, "y".repeat(1 << 20))).await;
    let world = World::start(&route(&[callee.address], ""));
    let caller = Caller2::connect(world.gateway).await;
    let (mut body, mut got) =
        (head(caller.begin(request("GET", "/stock"), true).await.0).await.into_body(), 0);
    while let Some(data) = tokio::time::timeout(PATIENCE, body.data()).await.expect("more in time") {
        let data = data.unwrap();
        got += data.len();
        // A window a few bytes at a time.
        for _ in 0..data.len().div_ceil(4_000) {
            tokio::task::yield_now().await;
        }
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    assert_eq!(got, 1 << 20);
    let _ = RST_STREAM;
}
