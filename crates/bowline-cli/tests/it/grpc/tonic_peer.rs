//! gRPC as tonic speaks it. Messages are plain bytes: what is under test is what stands between the two.

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use http::{Request, Response};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::metadata::{BinaryMetadataValue, MetadataMap, MetadataValue};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Status};

/// 3 MiB, below every library's limit of 4.
const LARGE_BYTES: usize = 3 * 1024 * 1024;
const MESSAGE: &str = "not here: Ünïcode, 100 %";
/// Longer than any case takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes as they are.
#[derive(Clone, Copy, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, bytes: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&bytes);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

fn binary() -> Bytes {
    (0..=255_u8).collect()
}

fn number(number: usize) -> Bytes {
    number.to_string().into()
}

fn failure() -> Status {
    Status::with_details(Code::NotFound, MESSAGE, binary())
}

// === the server ===

/// A server on a runtime of its own.
pub(super) struct Running(Option<Runtime>);

impl Running {
    pub(super) fn stop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

pub(super) fn serve(port: u16) -> Running {
    let runtime = runtime();
    let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))).unwrap();
    let cancelled = Arc::new(AtomicUsize::new(0));
    let service = tower::service_fn(move |request: Request<Body>| {
        let cancelled = Arc::clone(&cancelled);
        async move { Ok::<_, Infallible>(answer(request, cancelled).await) }
    });
    runtime.spawn(Server::builder().serve_with_incoming(service, TcpIncoming::from(listener)));
    Running(Some(runtime))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Counts a call that is given up before its end.
struct GivenUp(Arc<AtomicUsize>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

type Answer<T> = Result<tonic::Response<T>, Status>;
type Answers = ReceiverStream<Result<Bytes, Status>>;

async fn answer(request: Request<Body>, cancelled: Arc<AtomicUsize>) -> Response<Body> {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let mut grpc = tonic::server::Grpc::new(Plain);
    match &*method {
        "Unary" => grpc.unary(tower::service_fn(unary), request).await,
        "Collect" => grpc.client_streaming(tower::service_fn(collect), request).await,
        "Spread" => grpc.server_streaming(tower::service_fn(spread), request).await,
        "Chat" => grpc.streaming(tower::service_fn(chat), request).await,
        "Fail" => {
            let fail = |_: tonic::Request<Bytes>| async { Answer::<Bytes>::Err(failure()) };
            grpc.unary(tower::service_fn(fail), request).await
        }
        "FailLate" => {
            let fail = |_: tonic::Request<Bytes>| async {
                Ok::<_, Status>(stream(vec![Ok(Bytes::from_static(b"one")), Err(failure())]).await)
            };
            grpc.server_streaming(tower::service_fn(fail), request).await
        }
        "Slow" => {
            let slow = move |_: tonic::Request<Bytes>| {
                let given_up = GivenUp(Arc::clone(&cancelled));
                async move {
                    tokio::time::sleep(PATIENCE).await;
                    std::mem::forget(given_up);
                    Answer::Ok(tonic::Response::new(Bytes::new()))
                }
            };
            grpc.unary(tower::service_fn(slow), request).await
        }
        "Cancelled" => {
            let count = move |_: tonic::Request<Bytes>| {
                let answer = number(cancelled.load(Ordering::SeqCst));
                async move { Answer::Ok(tonic::Response::new(answer)) }
            };
            grpc.unary(tower::service_fn(count), request).await
        }
        _ => Status::unimplemented(method).into_http(),
    }
}

async fn unary(request: tonic::Request<Bytes>) -> Answer<Bytes> {
    let sent = request.metadata().clone();
    let mut response = tonic::Response::new(request.into_inner());
    let initial = response.metadata_mut();
    if let Some(tag) = sent.get("x-tag") {
        initial.insert("x-tag", tag.clone());
    }
    if let Some(tag) = sent.get_bin("x-tag-bin") {
        initial.insert_bin("x-tag-bin", tag.clone());
    }
    // tonic has no trailing metadata for a unary answer that is good: what it has is a stream's end.
    initial.insert_bin("x-trailer-bin", BinaryMetadataValue::from_bytes(&binary()));
    Ok(response)
}

async fn collect(request: tonic::Request<Streaming<Bytes>>) -> Answer<Bytes> {
    let mut requests = request.into_inner();
    let mut length = 0;
    while let Some(bytes) = requests.message().await? {
        length += bytes.len();
    }
    Ok(tonic::Response::new(number(length)))
}

async fn spread(request: tonic::Request<Bytes>) -> Answer<Answers> {
    let count = String::from_utf8_lossy(request.get_ref()).parse().unwrap_or(0);
    Ok(stream((0..count).map(|at| Ok(number(at))).collect()).await)
}

async fn chat(request: tonic::Request<Streaming<Bytes>>) -> Answer<Streaming<Bytes>> {
    Ok(tonic::Response::new(request.into_inner()))
}

async fn stream(items: Vec<Result<Bytes, Status>>) -> tonic::Response<Answers> {
    let (send, receive) = mpsc::channel(items.len().max(1));
    for item in items {
        send.send(item).await.unwrap();
    }
    tonic::Response::new(ReceiverStream::new(receive))
}

// === the client ===

/// Runs all cases; a line each.
pub(super) fn ask(port: u16, server: &str) -> String {
    let runtime = runtime();
    let said = runtime.block_on(async {
        let channel =
            Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap().connect().await.unwrap();
        let client = Client { channel, server: server.parse().unwrap() };
        let mut said = String::new();
        macro_rules! cases {
            ($($case:ident),+) => { $(
                let _ = match client.$case().await {
                    Ok(()) => writeln!(said, "{} ok", stringify!($case)),
                    Err(why) => writeln!(said, "{} FAILED {why}", stringify!($case)),
                };
            )+ };
        }
        cases!(
            unary,
            large,
            metadata,
            client_stream,
            server_stream,
            both_stream,
            status,
            late_status,
            deadline,
            cancel
        );
        said
    });
    runtime.shutdown_background();
    said
}

type Case = Result<(), String>;

struct Client {
    channel: Channel,
    server: MetadataValue<tonic::metadata::Ascii>,
}

/// What is not as it should be.
#[expect(clippy::needless_pass_by_value, reason = "what is compared is made for it")]
fn expect<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Case {
    if found == expected { Ok(()) } else { Err(format!("{found:?} instead of {expected:?}")) }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
fn told(status: Status) -> String {
    format!("{status:?}")
}

impl Client {
    async fn grpc(&self) -> tonic::client::Grpc<Channel> {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        grpc
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert("x-server", self.server.clone());
        request
    }

    async fn call(&self, method: &str, request: tonic::Request<Bytes>) -> Answer<Bytes> {
        self.grpc().await.unary(request, path(method), Plain).await
    }

    async fn unary(&self) -> Case {
        let hello = Bytes::from_static(b"hello there");
        expect(self.call("Unary", self.request(hello.clone())).await.map_err(told)?.into_inner(), hello)
    }

    async fn large(&self) -> Case {
        let large: Bytes = (0..LARGE_BYTES).map(|at| (at % 251) as u8).collect();
        let answer = self.call("Unary", self.request(large.clone())).await.map_err(told)?.into_inner();
        expect(answer == large, true)
    }

    async fn metadata(&self) -> Case {
        let mut request = self.request(Bytes::new());
        request.metadata_mut().insert("x-tag", MetadataValue::from_static("a tag"));
        request.metadata_mut().insert_bin("x-tag-bin", BinaryMetadataValue::from_bytes(&binary()));
        let answer = self.call("Unary", request).await.map_err(told)?;
        // tonic shows a unary answer's trailing metadata among its initial one.
        let all: &MetadataMap = answer.metadata();
        expect(all.get("x-tag").map(MetadataValue::as_bytes), Some(&b"a tag"[..]))?;
        for name in ["x-tag-bin", "x-trailer-bin"] {
            let value = all.get_bin(name).and_then(|value| value.to_bytes().ok());
            expect(value, Some(binary()))?;
        }
        Ok(())
    }

    async fn client_stream(&self) -> Case {
        let requests = tokio_stream::iter((0..50).map(|length| Bytes::from(vec![b'x'; length])));
        let answer = self.grpc().await.client_streaming(self.request(requests), path("Collect"), Plain).await;
        expect(answer.map_err(told)?.into_inner(), number(1_225))
    }

    async fn server_stream(&self) -> Case {
        let request = self.request(number(200));
        let answers =
            self.grpc().await.server_streaming(request, path("Spread"), Plain).await.map_err(told)?;
        let answers: Result<Vec<Bytes>, Status> = answers.into_inner().collect().await;
        expect(answers.map_err(told)?, (0..200).map(number).collect())
    }

    async fn both_stream(&self) -> Case {
        let (say, said) = mpsc::channel(1);
        say.send(number(0)).await.unwrap();
        let request = self.request(ReceiverStream::new(said));
        let answers = self.grpc().await.streaming(request, path("Chat"), Plain).await.map_err(told)?;
        let (mut answers, mut say, mut heard) = (answers.into_inner(), Some(say), Vec::new());
        while let Some(answer) = answers.message().await.map_err(told)? {
            heard.push(answer);
            // Each waits for the echo of the one before: nothing may be held back on the way.
            match &say {
                Some(next) if heard.len() < 20 => next.send(number(heard.len())).await.unwrap(),
                _ => drop(say.take()),
            }
        }
        expect(heard, (0..20).map(number).collect())
    }

    async fn status(&self) -> Case {
        let status = self.call("Fail", self.request(Bytes::new())).await.err().ok_or("it did not fail")?;
        expect((status.code(), status.message()), (Code::NotFound, MESSAGE))?;
        expect(status.details(), &*binary())
    }

    async fn late_status(&self) -> Case {
        let request = self.request(Bytes::new());
        let answers =
            self.grpc().await.server_streaming(request, path("FailLate"), Plain).await.map_err(told)?;
        let mut answers = answers.into_inner();
        expect(answers.message().await.map_err(told)?, Some(Bytes::from_static(b"one")))?;
        let status = answers.message().await.err().ok_or("it did not fail")?;
        expect((status.code(), status.message()), (Code::NotFound, MESSAGE))
    }

    async fn deadline(&self) -> Case {
        let before = self.cancellations().await?;
        let mut request = self.request(Bytes::new());
        request.set_timeout(Duration::from_millis(400));
        let status = self.call("Slow", request).await.err().ok_or("it did not fail")?;
        // The callee's, the gateway's, or that of tonic's own timer, which calls it so.
        expect(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), true)?;
        self.reaches(before).await
    }

    async fn cancel(&self) -> Case {
        let before = self.cancellations().await?;
        let call = self.call("Slow", self.request(Bytes::new()));
        if tokio::time::timeout(Duration::from_millis(200), call).await.is_ok() {
            return Err("it ended by itself".to_owned());
        }
        self.reaches(before).await
    }

    async fn cancellations(&self) -> Result<usize, String> {
        let answer = self.call("Cancelled", self.request(Bytes::new())).await.map_err(told)?.into_inner();
        String::from_utf8_lossy(&answer).parse().map_err(|_| format!("{answer:?}"))
    }

    async fn reaches(&self, before: usize) -> Case {
        let heard = async {
            while self.cancellations().await? <= before {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, heard).await.map_err(|_| "the callee never heard of it".to_owned())?
    }
}

fn path(method: &str) -> PathAndQuery {
    format!("/bowline.test.Matrix/{method}").parse().unwrap()
}
