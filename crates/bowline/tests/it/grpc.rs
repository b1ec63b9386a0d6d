//! The layer around tonic's channel, against a real gRPC server.

use bowline::{Backoff, Breaker, BreakerState, GiveUp, Guard, Retry, Spans, guard, outcome};
use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Status};
use tower::ServiceBuilder;

/// Texts as messages: what is under test is what stands around them.
#[derive(Clone, Copy, Default)]
struct Texts;

impl Codec for Texts {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Texts {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Texts {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        Ok(Some(String::from_utf8(bytes.to_vec()).unwrap()))
    }
}

/// How the server answers one request.
#[derive(Clone, Copy, Debug)]
enum Reply {
    /// The way tonic's own server does, echoing what was asked.
    Echo,
    /// A code in the headers and nothing else.
    TrailersOnly(Code),
    /// The same, and not to be asked again.
    Never(Code),
    /// Headers, no message, and the code in trailers.
    Trailers(Code),
    /// A message, and then the code in trailers.
    MessageThen(Code),
    /// Headers, and nothing more for this many milliseconds; then a message and OK.
    Slow(u64),
}

/// What the server saw of one request.
#[derive(Clone, Debug)]
struct Asked {
    headers: HeaderMap,
}

#[derive(Clone)]
struct Callee {
    asked: Arc<Mutex<Vec<Asked>>>,
    client: Channel,
}

impl Callee {
    /// A server that answers from a script, its last reply for ever.
    async fn start(script: impl Into<Vec<Reply>>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (script, seen) = (script.into(), Arc::clone(&asked));
        let service = tower::service_fn(move |request: Request<Body>| {
            let headers = request.headers().clone();
            let mut seen = seen.lock().unwrap();
            let reply = script[seen.len().min(script.len() - 1)];
            seen.push(Asked { headers });
            async move { Ok::<_, Infallible>(answer(reply, request).await) }
        });
        tokio::spawn(Server::builder().serve_with_incoming(service, TcpIncoming::from(listener)));
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        Self { asked, client: endpoint.connect_lazy() }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// One unary call through the guard's layer.
    async fn ask<C>(&self, guard: &Guard<C>, text: &str) -> Result<String, Status>
    where
        C: bowline::Classify<Response<()>, Infallible> + Clone + Send + Sync + 'static,
    {
        let service = ServiceBuilder::new().layer(guard.layer()).service(self.client.clone());
        let mut client = Grpc::new(service);
        client.ready().await.map_err(Status::from_error_of)?;
        let path = PathAndQuery::from_static("/bowline.test.Stock/Get");
        client.unary(tonic::Request::new(text.to_owned()), path, Texts).await.map(tonic::Response::into_inner)
    }
}

/// Makes a status of any error, for the one place that needs it.
trait FromErrorOf {
    fn from_error_of<E: Into<bowline::BoxError>>(error: E) -> Self;
}

impl FromErrorOf for Status {
    fn from_error_of<E: Into<bowline::BoxError>>(error: E) -> Self {
        Self::from_error(error.into())
    }
}

async fn answer(reply: Reply, request: Request<Body>) -> Response<Body> {
    let message = || {
        // One message: not compressed, length, text.
        let mut bytes = vec![0, 0, 0, 0, 2];
        bytes.extend_from_slice(b"17");
        Step::Frame(Frame::data(Bytes::from(bytes)))
    };
    let trailers = |code: Code| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", (code as i32).into());
        Step::Frame(Frame::trailers(trailers))
    };
    let steps = match reply {
        Reply::Echo => {
            let echo = tower::service_fn(|request: tonic::Request<String>| async move {
                Ok::<_, Status>(tonic::Response::new(request.into_inner()))
            });
            return tonic::server::Grpc::new(Texts).unary(Echoes(echo), request).await;
        }
        Reply::TrailersOnly(code) => return Status::new(code, "no").into_http(),
        Reply::Never(code) => {
            let mut answer: Response<Body> = Status::new(code, "no").into_http();
            answer.headers_mut().insert("grpc-retry-pushback-ms", (-1).into());
            return answer;
        }
        Reply::Trailers(code) => vec![trailers(code)],
        Reply::MessageThen(code) => vec![message(), trailers(code)],
        Reply::Slow(millis) => {
            vec![Step::Sleep(Duration::from_millis(millis)), message(), trailers(Code::Ok)]
        }
    };
    let body = Body::new(Steps { steps: steps.into(), sleep: None });
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

/// tonic wants a service of its own kind.
struct Echoes<S>(S);

impl<S> tonic::server::UnaryService<String> for Echoes<S>
where
    S: tower::Service<tonic::Request<String>, Response = tonic::Response<String>, Error = Status>,
{
    type Response = String;
    type Future = S::Future;

    fn call(&mut self, request: tonic::Request<String>) -> S::Future {
        self.0.call(request)
    }
}

enum Step {
    Sleep(Duration),
    Frame(Frame<Bytes>),
}

/// A body of frames and pauses.
struct Steps {
    steps: VecDeque<Step>,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl HttpBody for Steps {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                std::task::ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Frame(frame)) => return Poll::Ready(Some(Ok(frame))),
                Some(Step::Sleep(span)) => self.sleep = Some(Box::pin(tokio::time::sleep(span))),
            }
        }
    }
}

use std::future::Future as _;

fn stock() -> Guard {
    guard("inventory").deadline(2.s())
}

fn thrice() -> Retry {
    Retry::tries(3).backoff(Backoff::none())
}

#[tokio::test]
async fn an_error_in_the_headers_is_repeated_with_the_same_message() {
    let callee = Callee::start([Reply::TrailersOnly(Code::Unavailable), Reply::Echo]).await;
    let stock = stock().idempotent().retry(thrice());
    assert_eq!(callee.ask(&stock, "A47").await.unwrap(), "A47");
    assert_eq!((callee.asked(), stock.stats().tries()), (2, 2));
}

#[tokio::test]
async fn an_error_in_the_trailers_without_a_message_is_repeated_too() {
    let callee = Callee::start([Reply::Trailers(Code::Unavailable), Reply::Echo]).await;
    let stock = stock().idempotent().retry(thrice());
    assert_eq!(callee.ask(&stock, "A47").await.unwrap(), "A47");
    assert_eq!(callee.asked(), 2);
}

#[tokio::test]
async fn an_error_behind_a_message_is_handed_through_and_counted() {
    let callee = Callee::start([Reply::MessageThen(Code::DataLoss)]).await;
    let stock = stock().idempotent().retry(thrice()).breaker(Breaker::consecutive(1));
    let status = callee.ask(&stock, "A47").await.unwrap_err();
    assert_eq!(status.code(), Code::DataLoss);
    assert_eq!(callee.asked(), 1, "part of it was handed through");
    assert_eq!(stock.stats().breaker(), Some(BreakerState::Open), "the breaker learned it from the trailers");
    assert_eq!(stock.stats().ended(GiveUp::Committed), 1);
}

#[tokio::test]
async fn the_last_error_is_handed_through_as_the_server_sent_it() {
    for reply in [Reply::TrailersOnly(Code::Unavailable), Reply::Trailers(Code::Unavailable)] {
        let callee = Callee::start([reply]).await;
        let status = callee.ask(&stock().idempotent().retry(thrice()), "A47").await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{reply:?}");
        // A last answer that has begun is handed on as it comes: what it will say is not known by then.
        let said = status.metadata().get("x-retry-exhausted").map(|what| what.to_str().unwrap());
        let is_whole = matches!(reply, Reply::TrailersOnly(_));
        assert_eq!(said, is_whole.then_some("tries"), "{reply:?}");
        assert_eq!(callee.asked(), 3, "{reply:?}");
    }
}

#[tokio::test]
async fn unavailable_may_have_had_an_effect() {
    let callee = Callee::start([Reply::TrailersOnly(Code::Unavailable)]).await;
    callee.ask(&stock().retry(thrice()), "A47").await.unwrap_err();
    assert_eq!(callee.asked(), 1, "not declared idempotent");
}

#[tokio::test]
async fn a_code_that_says_no_is_not_repeated_and_opens_nothing() {
    let callee = Callee::start([Reply::TrailersOnly(Code::NotFound)]).await;
    let stock = stock().idempotent().retry(thrice()).breaker(Breaker::consecutive(1));
    assert_eq!(callee.ask(&stock, "A47").await.unwrap_err().code(), Code::NotFound);
    assert_eq!((callee.asked(), stock.stats().breaker()), (1, Some(BreakerState::Closed)));
}

#[tokio::test]
async fn a_server_that_says_never_is_not_asked_again() {
    let callee = Callee::start([Reply::Never(Code::Unavailable)]).await;
    callee.ask(&stock().idempotent().retry(thrice()), "A47").await.unwrap_err();
    assert_eq!(callee.asked(), 1);
}

#[tokio::test]
async fn an_open_breaker_is_unavailable_and_a_full_deadline_is_exceeded() {
    let callee = Callee::start([Reply::TrailersOnly(Code::Unavailable)]).await;
    let stock = stock().breaker(Breaker::consecutive(1));
    callee.ask(&stock, "A47").await.unwrap_err();
    let status = callee.ask(&stock, "A47").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().starts_with("inventory: not tried: breaker open"), "{}", status.message());
    assert_eq!(callee.asked(), 1);
}

#[tokio::test]
async fn a_message_that_comes_late_is_not_waited_for_beyond_the_deadline() {
    let callee = Callee::start([Reply::Slow(5_000)]).await;
    let began = tokio::time::Instant::now();
    let stock = guard("inventory").deadline(200.ms()).breaker(Breaker::consecutive(1));
    let status = callee.ask(&stock, "A47").await.unwrap_err();
    assert!(began.elapsed() < 1.s(), "{:?}", began.elapsed());
    assert!(status.message().contains("deadline") || status.code() == Code::DeadlineExceeded, "{status:?}");
    assert_eq!(stock.stats().breaker(), Some(BreakerState::Open));
}

#[tokio::test]
async fn a_message_that_comes_late_and_in_time_is_handed_through() {
    let callee = Callee::start([Reply::Slow(100)]).await;
    let stock = stock().idempotent().retry(thrice()).breaker(Breaker::consecutive(1));
    assert_eq!(callee.ask(&stock, "A47").await.unwrap(), "17");
    assert_eq!(stock.stats().ended(GiveUp::Done), 1);
}

#[tokio::test]
async fn each_try_tells_the_server_its_time_and_its_number() {
    let callee = Callee::start([Reply::TrailersOnly(Code::Unavailable), Reply::Echo]).await;
    let stock = stock().idempotent().retry(thrice().per_try(500.ms()));
    callee.ask(&stock, "A47").await.unwrap();
    let asked = callee.asked.lock().unwrap().clone();
    let header = |of: &Asked, name: &str| of.headers[name].to_str().unwrap().to_owned();
    assert_eq!(
        (header(&asked[0], "x-bowline-try"), header(&asked[1], "x-bowline-try")),
        ("1".into(), "2".into())
    );
    let timeout = bowline_policy::deadline::parse_grpc_timeout(&header(&asked[0], "grpc-timeout")).unwrap();
    assert!(400.ms() < timeout && timeout <= 500.ms(), "{timeout:?}");
    let trace = |of: &Asked| header(of, "traceparent")[3..35].to_owned();
    assert_eq!(trace(&asked[0]), trace(&asked[1]), "one trace");
    assert_ne!(header(&asked[0], "traceparent"), header(&asked[1], "traceparent"), "two spans");
}

#[tokio::test]
async fn a_server_that_is_not_there_was_surely_not_asked() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let callee = Callee { asked: Arc::default(), client };
    // Not idempotent, and repeated all the same.
    let stock = stock().retry(thrice());
    let status = callee.ask(&stock, "A47").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(stock.stats().tries(), 3);
}

#[tokio::test]
async fn a_tonic_client_can_also_be_called_through_the_guard() {
    let callee = Callee::start([Reply::TrailersOnly(Code::Unavailable), Reply::Echo]).await;
    let stock = stock().classify(outcome::of_grpc).idempotent().retry(thrice());
    let answer = stock
        .call(|_| {
            let mut client = Grpc::new(callee.client.clone());
            async move {
                client.ready().await.map_err(Status::from_error_of)?;
                let path = PathAndQuery::from_static("/bowline.test.Stock/Get");
                client.unary(tonic::Request::new("A47".to_owned()), path, Texts).await
            }
        })
        .await;
    assert_eq!(answer.unwrap().into_inner(), "A47");
    assert_eq!(callee.asked(), 2);
}
