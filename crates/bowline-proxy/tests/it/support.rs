//! A callee that does what a test tells it, a caller that writes bytes, and a proxy between them.

use bowline_design::Text;
use bowline_proxy::{Config, Door, Proxy, Sockets};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How long a test waits for anything before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A message as it arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// The first line.
    pub(crate) start: String,
    /// Names in lower case, in order.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What came behind a chunked body.
    pub(crate) trailers: Vec<String>,
}

impl Message {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    pub(crate) fn path(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads one message; `None` at a clean end. An answer without a length ends with the connection.
pub(crate) async fn read_message(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    answer_to: &str,
) -> Option<Message> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head: Vec<u8> = buffer.drain(..head_end + 4).collect();
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.trim_end().split("\r\n");
    let mut message = Message { start: lines.next()?.to_owned(), ..Message::default() };
    for line in lines {
        let (name, value) = line.split_once(':')?;
        message.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let bodiless = answer_to == "HEAD" || matches!(message.status(), 204 | 304);
    let length = message.header("content-length").and_then(|length| length.parse::<usize>().ok());
    if bodiless {
        return Some(message);
    }
    if message.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        (message.body, message.trailers) = read_chunks(stream, buffer).await?;
    } else if let Some(length) = length {
        while buffer.len() < length {
            if stream.read_buf(buffer).await.ok()? == 0 {
                return None;
            }
        }
        message.body = buffer.drain(..length).collect();
    } else if !answer_to.is_empty() {
        while stream.read_buf(buffer).await.ok()? != 0 {}
        message.body = std::mem::take(buffer);
    }
    Some(message)
}

async fn read_line(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(at) = buffer.windows(2).position(|window| window == b"\r\n") {
            let line = String::from_utf8_lossy(&buffer[..at]).into_owned();
            buffer.drain(..at + 2);
            return Some(line);
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

async fn read_chunks(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> Option<(Vec<u8>, Vec<String>)> {
    let (mut body, mut trailers) = (Vec::new(), Vec::new());
    loop {
        let size = usize::from_str_radix(read_line(stream, buffer).await?.trim(), 16).ok()?;
        if size == 0 {
            break;
        }
        while buffer.len() < size + 2 {
            if stream.read_buf(buffer).await.ok()? == 0 {
                return None;
            }
        }
        body.extend_from_slice(&buffer[..size]);
        buffer.drain(..size + 2);
    }
    loop {
        match read_line(stream, buffer).await? {
            line if line.is_empty() => return Some((body, trailers)),
            line => trailers.push(line),
        }
    }
}

/// What the callee does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Do {
    /// Answers with this status and body.
    Answer(u16, String),
    /// Answers with this status and these header lines, each ending in CR LF.
    AnswerWith(u16, String, String),
    /// Answers after this long.
    Late(Duration, u16),
    /// Never answers.
    Hang,
    /// Closes the connection instead of answering.
    Close,
    /// Writes these bytes, then waits for the peer to close.
    Raw(Vec<u8>),
    /// Writes these bytes, then closes the connection.
    AnswerRawThenClose(Vec<u8>),
    /// Answers, then closes the connection after this long without saying so.
    AnswerThenClose(u16, Duration),
}

/// A request as the callee saw it.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    /// Its number, from zero.
    pub(crate) number: usize,
    pub(crate) message: Message,
}

/// A small real server.
pub(crate) struct Callee {
    pub(crate) address: SocketAddr,
    hits: Arc<Mutex<Vec<Hit>>>,
    connections: Arc<AtomicU64>,
    /// Requests whose peer closed before they were answered.
    cancelled: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl Callee {
    /// Starts one that does what `script` says of each request.
    pub(crate) async fn start(script: impl Fn(&Hit) -> Do + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), script).await
    }

    /// The same at this address.
    pub(crate) async fn start_at(
        address: SocketAddr,
        script: impl Fn(&Hit) -> Do + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let mut callee = Self {
            address: listener.local_addr().unwrap(),
            hits: Arc::default(),
            connections: Arc::default(),
            cancelled: Arc::default(),
            tasks: JoinSet::new(),
        };
        let (hits, connections, cancelled) =
            (Arc::clone(&callee.hits), Arc::clone(&callee.connections), Arc::clone(&callee.cancelled));
        let script = Arc::new(script);
        callee.tasks.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                let (hits, cancelled, script) =
                    (Arc::clone(&hits), Arc::clone(&cancelled), Arc::clone(&script));
                serving.spawn(async move { serve(stream, &hits, &cancelled, &*script).await });
            }
        });
        callee
    }

    /// One that answers 200 and says which request it was.
    pub(crate) async fn friendly() -> Self {
        Self::start(|hit| Do::Answer(200, format!("hit {}", hit.number))).await
    }

    pub(crate) fn hits(&self) -> Vec<Hit> {
        self.hits.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.hits.lock().unwrap().len()
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn cancelled(&self) -> usize {
        self.cancelled.load(Ordering::Relaxed)
    }
}

async fn serve(
    mut stream: TcpStream,
    hits: &Mutex<Vec<Hit>>,
    cancelled: &AtomicUsize,
    script: &(dyn Fn(&Hit) -> Do + Send + Sync),
) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Some(message) = read_message(&mut stream, &mut buffer, "").await {
        let head_only = message.start.starts_with("HEAD ");
        let hit = {
            let mut hits = hits.lock().unwrap();
            let hit = Hit { number: hits.len(), message };
            hits.push(hit.clone());
            hit
        };
        let answer = |status: u16, headers: &str, body: &str| {
            let length = body.len();
            let body = if head_only { "" } else { body };
            format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
        };
        let text = match script(&hit) {
            Do::Answer(status, body) => answer(status, "", &body),
            Do::AnswerWith(status, headers, body) => answer(status, &headers, &body),
            Do::Late(delay, status) => {
                let gone = tokio::time::timeout(delay, stream.read_buf(&mut buffer)).await;
                if matches!(gone, Ok(Ok(0) | Err(_))) {
                    cancelled.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                answer(status, "", "late")
            }
            Do::Hang => {
                let _ = stream.read_buf(&mut buffer).await;
                cancelled.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Do::Close => return,
            Do::Raw(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.read_buf(&mut buffer).await;
                return;
            }
            Do::AnswerRawThenClose(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Do::AnswerThenClose(status, after) => {
                let _ = stream.write_all(answer(status, "", "bye").as_bytes()).await;
                tokio::time::sleep(after).await;
                return;
            }
        };
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A connection to the proxy.
pub(crate) struct Caller<S = TcpStream> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

impl Caller {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Caller<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next answer; `None` if the connection ends first.
    pub(crate) async fn receive(&mut self, method: &str) -> Option<Message> {
        let reading = read_message(&mut self.stream, &mut self.buffer, method);
        tokio::time::timeout(PATIENCE, reading).await.expect("an answer in time")
    }

    /// Sends a request with header lines (each ending in CR LF) and a body, and reads its answer.
    pub(crate) async fn ask(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Message {
        let length = match body.len() {
            0 => String::new(),
            length => format!("content-length: {length}\r\n"),
        };
        self.send(&format!("{method} {path} HTTP/1.1\r\nhost: shop.test\r\n{headers}{length}\r\n{body}"))
            .await;
        self.receive(method).await.expect("an answer")
    }

    /// All that comes until the connection ends.
    pub(crate) async fn rest(&mut self) -> String {
        while tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await.unwrap().unwrap()
            != 0
        {}
        String::from_utf8(std::mem::take(&mut self.buffer)).unwrap()
    }

    /// Whether the peer closes the connection before anything else.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let reading = self.stream.read_buf(&mut self.buffer);
        matches!(tokio::time::timeout(PATIENCE, reading).await, Ok(Ok(0) | Err(_)))
    }
}

/// A proxy in front of callees.
pub(crate) struct World {
    pub(crate) proxy: Proxy,
    pub(crate) gateway: SocketAddr,
    pub(crate) mesh: SocketAddr,
}

/// Where every test's gateway is bound, as its design says; the socket itself takes any port.
const BIND: &str = "127.0.0.1:18080";

impl World {
    pub(crate) fn start(yaml: &str) -> Self {
        Self::start_with(yaml, 1, |_| ())
    }

    /// `yaml` completes a design that has the gateway `gate`.
    pub(crate) fn start_with(yaml: &str, workers: usize, change: impl FnOnce(&mut Config)) -> Self {
        let design = design(yaml);
        let mut config = Config::new(design);
        config.workers = workers;
        config.seed = Some(7);
        let gate = Door::Gateway(BIND.parse().unwrap());
        let any = "127.0.0.1:0".parse().unwrap();
        config.sockets.push(Sockets::bind(gate, any, workers, 128).unwrap());
        config.sockets.push(Sockets::bind(Door::Mesh, any, workers, 128).unwrap());
        change(&mut config);
        let proxy = Proxy::start(config).unwrap();
        let addresses: HashMap<Door, SocketAddr> = proxy.addresses().into_iter().collect();
        Self { gateway: addresses[&gate], mesh: addresses[&Door::Mesh], proxy }
    }

    pub(crate) async fn caller(&self) -> Caller {
        Caller::connect(self.gateway).await
    }

    /// One GET on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Message {
        self.caller().await.ask("GET", path, "", "").await
    }

    /// The decisions of the last request that was kept, one word each.
    pub(crate) fn last_words(&self) -> Vec<&'static str> {
        let record = self.proxy.trails().last(&bowline_proxy::Filter::default()).expect("a record");
        record.trail.decisions().iter().map(|(_, decision)| bowline_model::describe::word(decision)).collect()
    }

    /// The sum of the samples whose line starts with `name` and contains all of `labels`.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let page = self.proxy.metrics();
        let lines = page.lines().filter(|line| {
            line.starts_with(name)
                && matches!(line.as_bytes().get(name.len()), Some(b'{' | b' '))
                && labels.iter().all(|label| line.contains(label))
        });
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }
}

pub(crate) fn design(yaml: &str) -> Arc<bowline_design::Design> {
    let gate = r#"
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: gate }
spec:
  servers:
  - port: { number: 18080, name: http, protocol: HTTP }
    bind: 127.0.0.1
    hosts: [ "*" ]
"#;
    let texts = [Text { name: "test.yaml".into(), text: format!("{gate}---{yaml}") }];
    match bowline_design::load(&texts) {
        Ok(design) => Arc::new(design),
        Err(mistakes) => {
            let all: Vec<_> = mistakes.iter().map(|mistake| mistake.render(&texts, false)).collect();
            panic!("the test's design has mistakes:\n{}", all.join("\n"));
        }
    }
}

/// A route `all` to service `stock` at `endpoints`; `rule` are further lines of the rule.
pub(crate) fn route(endpoints: &[SocketAddr], rule: &str) -> String {
    let endpoints: Vec<_> = endpoints.iter().map(|address| format!("{{ address: \"{address}\" }}")).collect();
    route_to(&endpoints.join(", "), rule)
}

/// The same with `endpoints` as the design writes them.
pub(crate) fn route_to(endpoints: &str, rule: &str) -> String {
    format!(
        r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: all }}
spec:
  hosts: [ "*" ]
  gateways: [ gate ]
  http:
  - name: all
    route: [ {{ destination: {{ host: stock }} }} ]
{rule}
---
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: stock }}
spec:
  endpoints: [ {endpoints} ]
  operations:
  - name: read
    http: {{ method: GET, path: /stock }}
  - name: allocate
    http: {{ method: POST, path: /allocations }}
    idempotent: by-key
  - name: charge
    http: {{ method: POST, path: /charges }}
"#
    )
}

/// A policy for service `stock`; `spec` are the lines of its spec.
pub(crate) fn policy(spec: &str) -> String {
    format!(
        r#"
---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: {{ name: stock }}
spec:
  targets: [ {{ service: stock }} ]
{spec}
"#
    )
}

/// An address where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Waits until `done`, or fails.
pub(crate) async fn eventually(what: &str, done: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}
