//! Callees that speak HTTP/2, and gRPC with them.

use crate::support::{Callee, Caller, Do, PATIENCE, World, policy, route};
use bowline_call::tls::Source;
use bowline_model::{Random, SplitMix64};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A message of gRPC, two bytes long.
const MESSAGE: &[u8] = b"\0\0\0\0\x02hi";

/// Heads as a callee saw them.
type Seen = Arc<Mutex<Vec<Request<()>>>>;

/// A callee that answers over HTTP/2 as `script` says, given the number of the request.
async fn callee2<S, F>(script: S) -> (SocketAddr, Seen)
where
    S: Fn(usize, Request<()>, RecvStream, SendResponse<Bytes>) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let heads = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (script, heads) = (script.clone(), Arc::clone(&heads));
            tokio::spawn(async move {
                let mut server = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, respond))) = server.accept().await {
                    let (parts, body) = request.into_parts();
                    let number = {
                        let mut heads = heads.lock().unwrap();
                        heads.push(Request::from_parts(parts.clone(), ()));
                        heads.len() - 1
                    };
                    tokio::spawn(script(number, Request::from_parts(parts, ()), body, respond));
                }
            });
        }
    });
    (address, seen)
}

async fn read(mut body: RecvStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        bytes.extend_from_slice(&data);
    }
    bytes
}

async fn echo(_: usize, _: Request<()>, body: RecvStream, mut respond: SendResponse<Bytes>) {
    let body = read(body).await;
    let mut out = respond.send_response(Response::new(()), body.is_empty()).unwrap();
    if !body.is_empty() {
        out.send_data(body.into(), true).unwrap();
    }
}

/// The design of `route` whose service speaks `protocol`.
fn speaking(protocol: &str, endpoint: SocketAddr, more: &str) -> String {
    let design = route(&[endpoint], "");
    assert!(design.contains("  endpoints: ["));
    format!("{}{more}", design.replace("  endpoints: [", &format!("  protocol: {protocol}\n  endpoints: [")))
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: u16,
    fields: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

/// One request over an HTTP/2 connection of its own.
async fn ask2(gateway: SocketAddr, request: Request<()>, body: &[u8]) -> Result<Answer, h2::Error> {
    let asking = async {
        let (http, connection) = h2::client::handshake(TcpStream::connect(gateway).await.unwrap()).await?;
        tokio::spawn(connection);
        let mut http = http.ready().await?;
        let (answer, mut out) = http.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            out.send_data(Bytes::copy_from_slice(body), true)?;
        }
        let (parts, mut stream) = answer.await?.into_parts();
        let mut body = Vec::new();
        while let Some(data) = stream.data().await {
            let data = data?;
            stream.flow_control().release_capacity(data.len())?;
            body.extend_from_slice(&data);
        }
        let trailers = stream.trailers().await?;
        Ok(Answer { status: parts.status.as_u16(), fields: parts.headers, body, trailers })
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("an answer in time")
}

fn request(path: &str) -> Request<()> {
    Request::builder().method("POST").uri(format!("http://shop.test{path}")).body(()).unwrap()
}

fn grpc(path: &str) -> Request<()> {
    let mut request = request(path);
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert("te", HeaderValue::from_static("trailers"));
    request
}

async fn call(world: &World, request: Request<()>) -> Answer {
    ask2(world.gateway, request, MESSAGE).await.unwrap()
}

fn status(answer: &Answer) -> &str {
    let fields = answer.trailers.as_ref().unwrap_or(&answer.fields);
    fields["grpc-status"].to_str().unwrap()
}

/// Answers a gRPC call with its own message and this status behind it.
async fn reply(body: RecvStream, mut respond: SendResponse<Bytes>, status: &'static str) {
    let message = read(body).await;
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut out = respond.send_response(head, false).unwrap();
    out.send_data(message.into(), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    trailers.insert("x-details-bin", HeaderValue::from_static("AAEC"));
    out.send_trailers(trailers).unwrap();
}

/// Answers a gRPC call with a status alone.
fn refuse(mut respond: SendResponse<Bytes>, status: &str) {
    let head = Response::builder().header("content-type", "application/grpc").header("grpc-status", status);
    respond.send_response(head.body(()).unwrap(), true).unwrap();
}

#[tokio::test]
async fn whatever_is_spoken_on_either_side_the_same_bytes_arrive() {
    let one = Callee::start(|hit| Do::Answer(200, hit.message.text())).await;
    let (two, _) = callee2(echo).await;
    let worlds =
        [World::start(&speaking("http", one.address, "")), World::start(&speaking("http2", two, ""))];
    let mut random = SplitMix64::new(11);
    for draw in 0..40 {
        let length = (random.next_u64() % 300_000) >> (random.next_u64() % 20);
        let body: Vec<u8> = (0..length).map(|_| b'a' + (random.next_u64() % 26) as u8).collect();
        for (callee, world) in worlds.iter().enumerate() {
            let which = format!("draw {draw}: {length} bytes to HTTP/{}", callee + 1);
            let text = std::str::from_utf8(&body).unwrap();
            let by_one = world.caller().await.ask("POST", "/echo?a=b", "", text).await;
            assert_eq!((by_one.status(), by_one.body == body), (200, true), "{which} from HTTP/1");
            let chunked = format!(
                "POST /echo HTTP/1.1\r\nhost: shop.test\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
                text.as_bytes().chunks(70_000).fold(String::new(), |all, chunk| {
                    format!("{all}{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap())
                })
            );
            let mut caller = Caller::connect(world.gateway).await;
            caller.send(&chunked).await;
            let by_chunks = caller.receive("POST").await.expect("an answer");
            assert_eq!((by_chunks.status(), by_chunks.body == body), (200, true), "{which} in chunks");
            let by_two = ask2(world.gateway, request("/echo"), &body).await.unwrap();
            assert_eq!((by_two.status, by_two.body == body), (200, true), "{which} from HTTP/2");
        }
    }
}

#[tokio::test]
async fn a_grpc_call_passes_with_its_trailers() {
    let (callee, seen) = callee2(|_, _, body, respond| reply(body, respond, "9")).await;
    let world = World::start(&speaking("grpc", callee, ""));
    let answer = call(&world, grpc("/shop.Stock/Read")).await;
    assert_eq!((answer.status, &*answer.body, status(&answer)), (200, MESSAGE, "9"));
    assert_eq!(answer.trailers.unwrap()["x-details-bin"], "AAEC");
    let head = seen.lock().unwrap().remove(0);
    assert_eq!(head.uri().path(), "/shop.Stock/Read");
    assert_eq!(head.uri().authority().unwrap(), "shop.test");
    assert_eq!(
        (&head.headers()["te"], &head.headers()["content-type"]),
        (&HeaderValue::from_static("trailers"), &HeaderValue::from_static("application/grpc"))
    );
}

#[tokio::test]
async fn the_time_of_a_grpc_call_only_shrinks_and_its_tries_are_counted() {
    let (callee, seen) =
        callee2(
            async |number, _, body, respond| {
                if number == 0 { refuse(respond, "14") } else { reply(body, respond, "0").await }
            },
        )
        .await;
    let tries = policy("  retry: { tries: 2 }\n  idempotent: true\n");
    let world = World::start(&speaking("grpc", callee, &tries));
    let mut request = grpc("/shop.Stock/Read");
    request.headers_mut().insert("grpc-timeout", HeaderValue::from_static("5S"));
    request.headers_mut().insert("grpc-previous-rpc-attempts", HeaderValue::from_static("3"));
    let answer = call(&world, request).await;
    assert_eq!(status(&answer), "0");
    let heads = seen.lock().unwrap();
    let left = |index: usize| {
        let value = heads[index].headers()["grpc-timeout"].to_str().unwrap();
        bowline_policy::deadline::parse_grpc_timeout(value).unwrap()
    };
    assert!(left(1) < left(0) && left(0) < Duration::from_secs(5), "{:?} {:?}", left(0), left(1));
    let previous = |index: usize| heads[index].headers()["grpc-previous-rpc-attempts"].to_str().unwrap();
    assert_eq!((previous(0), previous(1)), ("3", "4"));
}

#[tokio::test]
async fn our_own_answers_to_a_grpc_call_are_statuses() {
    let callee = Callee::friendly().await;
    let world = World::start(&speaking("http", callee.address, ""));
    let answer = call(&world, grpc("/shop.Stock/Read")).await;
    assert_eq!((answer.status, status(&answer), answer.body.len()), (200, "14", 0));
    assert_eq!(answer.fields["x-bowline-reason"], "no http2");
    assert_eq!(answer.fields["grpc-message"], "stock: no http2");
    assert_eq!(callee.count(), 0, "gRPC is not spoken over HTTP/1.1");
}

#[tokio::test]
async fn a_breaker_hears_of_a_status_that_comes_behind_messages() {
    let (wait, waiting) = mpsc::unbounded_channel::<()>();
    let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
    let (callee, seen) = callee2(move |_, _, body, mut respond| {
        let waiting = Arc::clone(&waiting);
        async move {
            let message = read(body).await;
            let mut out = respond.send_response(Response::new(()), false).unwrap();
            out.send_data(message.into(), false).unwrap();
            waiting.lock().await.recv().await;
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("13"));
            out.send_trailers(trailers).unwrap();
        }
    })
    .await;
    let breaker = policy("  breaker: { consecutive: 1 }\n");
    let world = World::start(&speaking("grpc", callee, &breaker));
    let (http, connection) =
        h2::client::handshake(TcpStream::connect(world.gateway).await.unwrap()).await.unwrap();
    tokio::spawn(connection);
    let (answer, mut out) =
        http.ready().await.unwrap().send_request(grpc("/shop.Stock/Read"), false).unwrap();
    out.send_data(Bytes::from_static(MESSAGE), true).unwrap();
    let mut body = answer.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), MESSAGE, "what has come is passed on");
    wait.send(()).unwrap();
    assert!(body.data().await.is_none());
    assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "13");
    let answer = call(&world, grpc("/shop.Stock/Read")).await;
    assert_eq!(answer.fields["x-bowline-reason"], "breaker open");
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_is_cancelled_at_the_callee() {
    let (gone, mut news) = mpsc::unbounded_channel();
    let (asked, mut asking) = mpsc::unbounded_channel();
    let (callee, _) = callee2(move |_, _, _body, mut respond| {
        let (gone, asked) = (gone.clone(), asked.clone());
        async move {
            asked.send(()).unwrap();
            let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await.unwrap();
            gone.send(reason).unwrap();
        }
    })
    .await;
    let world = World::start(&speaking("http2", callee, ""));
    let mut caller = world.caller().await;
    caller.send("GET /stock HTTP/1.1\r\nhost: shop.test\r\n\r\n").await;
    tokio::time::timeout(PATIENCE, asking.recv()).await.expect("a request in time");
    drop(caller);
    let reason = tokio::time::timeout(PATIENCE, news.recv()).await.expect("a reset in time");
    assert_eq!(reason, Some(Reason::CANCEL));
}

// === under TLS ===

/// A rule for `stock` whose traffic is protected like this.
fn protected(tls: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{ name: stock }}\n\
         spec: {{ host: stock, trafficPolicy: {{ tls: {tls} }} }}\n"
    )
}

/// The one file there is.
#[derive(Debug)]
struct OneFile(&'static str, String);

impl Source for OneFile {
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        if name == self.0 { Ok(self.1.clone().into_bytes()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

#[tokio::test]
async fn a_callee_under_tls_proves_its_name_before_it_is_asked() {
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

    // The name that is asked for is the service's longest.
    let names = vec!["stock.default.svc.cluster.local".to_owned()];
    let own = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let callee = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let mut server = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, respond))) = server.accept().await {
                let (parts, body) = request.into_parts();
                tokio::spawn(echo(0, Request::from_parts(parts, ()), body, respond));
            }
        }
    });
    for (tls, status) in [
        ("{ mode: SIMPLE, caCertificates: ca.pem }", 200),
        ("{ mode: SIMPLE, caCertificates: ca.pem, subjectAltNames: [ stock.other ] }", 503),
        ("{ mode: SIMPLE, caCertificates: ca.pem, sni: stock.other }", 503),
        ("{ mode: SIMPLE, insecureSkipVerify: true, sni: stock.other }", 200),
        ("{ mode: DISABLE }", 503),
    ] {
        let files = Arc::new(OneFile("ca.pem", own.cert.pem()));
        let world =
            World::start_with(&speaking("http2", callee, &protected(tls)), 1, |config| config.files = files);
        let got = world.caller().await.ask("POST", "/echo", "", "hello").await;
        assert_eq!(got.status(), status, "{tls}");
    }
}

#[tokio::test]
async fn where_a_certificate_cannot_be_read_nothing_goes_out_in_plain_text() {
    let callee = Callee::friendly().await;
    let rule = protected("{ mode: SIMPLE, caCertificates: ca.pem }");
    let files = Arc::new(OneFile("other.pem", String::new()));
    let design = speaking("http", callee.address, &rule);
    let world = World::start_with(&design, 1, |config| config.files = files);
    let got = world.get("/stock").await;
    assert_eq!((got.status(), got.header("x-bowline-reason")), (503, Some("no tls")));
    assert_eq!(callee.connections(), 0);
}

/// `stock` at `callee`, with a `connectionPool`.
fn pooled(callee: &Callee, pool: &str) -> String {
    route(&[callee.address], "")
        + &format!(
            "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{ name: stock }}
spec: {{ host: stock, trafficPolicy: {{ connectionPool: {pool} }} }}
"
        )
}

#[tokio::test]
async fn a_connection_carries_as_many_requests_as_its_rule_allows() {
    for (most, connections) in [(1, 6), (2, 3), (0, 1)] {
        let callee = Callee::friendly().await;
        let world =
            World::start(&pooled(&callee, &format!("{{ http: {{ maxRequestsPerConnection: {most} }} }}")));
        let mut caller = world.caller().await;
        for _ in 0..6 {
            assert_eq!(caller.ask("GET", "/stock", "", "").await.status(), 200);
        }
        assert_eq!(callee.connections(), connections, "{most}");
    }
}

#[tokio::test]
async fn a_connection_that_is_too_old_is_not_used_again() {
    let callee = Callee::friendly().await;
    let world = World::start(&pooled(&callee, "{ tcp: { maxConnectionDuration: 1ms } }"));
    let mut caller = world.caller().await;
    while callee.connections() < 3 {
        assert_eq!(caller.ask("GET", "/stock", "", "").await.status(), 200);
    }
}

#[tokio::test]
async fn an_answer_that_its_rule_names_as_an_error_puts_a_host_out() {
    let (well, busy) = (Callee::friendly().await, Callee::start(|_| Do::Answer(429, String::new())).await);
    let rule = "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: stock }
spec:
  host: stock
  trafficPolicy:
    outlierDetection: { outlierDetectionHttpErrorCodes: [ 429 ], consecutive5xxErrors: 1, maxEjectionPercent: 100 }
";
    let world = World::start(&(route(&[well.address, busy.address], "") + rule));
    while busy.count() == 0 {
        world.get("/stock").await;
    }
    for _ in 0..20 {
        assert_eq!(world.get("/stock").await.status(), 200);
    }
    assert_eq!(busy.count(), 1);
    assert_eq!(world.metric("bowline_host_ejections_total", &["reason=\"consecutive 5xx\""]), 1.0);
}

#[tokio::test]
async fn keepalive_of_the_kernel_is_no_hindrance() {
    let callee = Callee::friendly().await;
    let pool = "{ tcp: { connectTimeout: 5s, tcpKeepalive: { time: 60s, interval: 10s, probes: 3 } } }";
    let world = World::start(&pooled(&callee, pool));
    assert_eq!(world.get("/stock").await.status(), 200);
}
