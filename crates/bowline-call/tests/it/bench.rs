//! A client, and one callee's address as its endpoint.

use bowline_call::{
    Alarm, Allowance, Answer, AnswerBody, Asker, Client, Clock, Ended, Endpoint, Endpoints, HeadWriter,
    PoolLimits, Replay, Transport,
};
use bowline_model::decision::DeadlineSource;
use bowline_model::{Deadline, Instant, Outcome, SplitMix64};
use bowline_policy::{Ask, CallPolicy, Edge, Try};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, header};
use http_body::{Body, Frame};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A client, and one callee's address as its endpoint.
pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) edge: Arc<Edge>,
}

/// A request.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Replay,
    pub(crate) repeatable: bool,
}

/// An answer that has come whole.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) status: u16,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Bench {
    pub(crate) async fn start(transport: &Transport) -> (Rc<Self>, TcpListener) {
        Self::with(transport, CallPolicy::default(), PoolLimits::default()).await
    }

    pub(crate) async fn with(
        transport: &Transport,
        policy: CallPolicy,
        limits: PoolLimits,
    ) -> (Rc<Self>, TcpListener) {
        let (endpoint, listener) = listen(transport).await;
        (Rc::new(Self::of(endpoint, policy, limits, 1)), listener)
    }

    /// One whose connections' ages are drawn by this seed.
    pub(crate) async fn seeded(transport: &Transport, seed: u64) -> (Rc<Self>, TcpListener) {
        let (endpoint, listener) = listen(transport).await;
        (Rc::new(Self::of(endpoint, CallPolicy::default(), PoolLimits::default(), seed)), listener)
    }

    pub(crate) fn of(endpoint: Arc<Endpoint>, policy: CallPolicy, limits: PoolLimits, seed: u64) -> Self {
        let clock = Clock::start();
        Self { client: Client::new(limits, clock, seed), clock, endpoint, edge: Edge::new(policy) }
    }

    pub(crate) async fn call(&self, request: Request) -> Ended {
        self.call_by(request, Deadline::NEVER).await
    }

    pub(crate) async fn call_by(&self, mut request: Request, deadline: Deadline) -> Ended {
        let ask = Ask {
            now: self.clock.now(),
            deadline,
            deadline_by: DeadlineSource::Nobody,
            repeatable: request.repeatable,
            hosts: 1,
            hash: None,
            arrived_try: 0,
            priority: None,
            seed: 1,
        };
        let (mut alarm, mut random) = (Alarm::new(self.clock), SplitMix64::new(1));
        let body = std::mem::take(&mut request.body);
        let endpoints = [Arc::clone(&self.endpoint)];
        self.client
            .call(&self.edge, ask, &endpoints, &body, &mut request, &mut alarm, &mut random, &mut ())
            .await
    }
}

async fn listen(transport: &Transport) -> (Arc<Endpoint>, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (Endpoints::default().reached(&address, transport), listener)
}

impl Request {
    pub(crate) fn get() -> Self {
        let mut fields = HeaderMap::new();
        fields.insert(header::HOST, HeaderValue::from_static("shop.test"));
        Self { method: Method::GET, fields, body: Replay::empty(), repeatable: false }
    }

    pub(crate) fn post(body: Replay) -> Self {
        Self { method: Method::POST, body, ..Self::get() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.fields.append(name, HeaderValue::from_static(value));
        self
    }
}

impl Asker for Request {
    fn write_head(&mut self, _: &Try, _: Instant, out: &mut HeadWriter<'_>) {
        out.line(&self.method, "/orders?new");
        out.fields(&self.fields);
    }

    fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    fn is_grpc(&self) -> bool {
        bowline_call::grpc::is(&self.fields)
    }

    fn pending_allowed(&self) -> bool {
        false
    }

    fn named_outcome(&self, _: &HeaderMap) -> Option<Outcome> {
        None
    }
}

/// The answer of a call, all of it.
pub(crate) async fn whole(ended: Ended) -> Given {
    let Some(Answer::Given { status, headers, body, .. }) = ended.answer else { panic!("{:?}", ended.end) };
    let (mut bytes, mut trailers) = (BytesMut::new(), None);
    match body.passed_on() {
        AnswerBody::Whole(whole) => bytes.extend_from_slice(&whole),
        AnswerBody::Switched(_) => panic!("nobody asked to switch"),
        AnswerBody::Coming(mut relay) => {
            while let Some(frame) = frame(&mut *relay).await {
                match frame.unwrap().into_data() {
                    Ok(data) => bytes.extend_from_slice(&data),
                    Err(frame) => trailers = frame.into_trailers().ok(),
                }
            }
        }
    }
    Given { status: status.as_u16(), fields: headers, body: bytes.to_vec(), trailers }
}

/// The next frame of a body.
pub(crate) async fn frame<B: Body + Unpin>(body: &mut B) -> Option<Result<Frame<B::Data>, B::Error>> {
    std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}

/// A body of these parts, whose length nobody knows before.
pub(crate) fn parts<const N: usize>(parts: [&'static [u8]; N]) -> Replay {
    Replay::of(Parts(parts.iter().map(|part| Bytes::from_static(part)).collect()), &Arc::default())
}

/// A body whose parts are sent by somebody.
pub(crate) fn sent() -> (mpsc::UnboundedSender<Bytes>, Replay) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Replay::of(Sent(receiver), &Arc::<Allowance>::default()))
}

struct Parts(VecDeque<Bytes>);

impl Body for Parts {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        Poll::Ready(self.0.pop_front().map(|part| Ok(Frame::data(part))))
    }
}

struct Sent(mpsc::UnboundedReceiver<Bytes>);

impl Body for Sent {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}
