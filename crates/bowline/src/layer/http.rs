//! A guard around a service of HTTP requests, gRPC included.

use super::replay::Replay;
use super::watched::{GRPC_STATUS, Watched, of_trailers};
use crate::attempt::Try;
use crate::drive::{Asked, Drive, Turn};
use crate::error::{BoxError, Error};
use crate::guard::{Guard, Shared};
use crate::headers;
use crate::outcome::{Classify, Seen, of_error, of_head};
use bowline_model::TraceContext;
use bowline_model::decision::{GiveUp, TryEnd};
use bowline_policy::deadline::parse_grpc_timeout;
use bowline_policy::retry::used_up;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_layer::Layer;
use tower_service::Service;

/// How long the first frame of a gRPC answer is waited for, to see whether it is a message or an error.
///
/// A server that fails sends its trailers right behind its headers. One that sends headers early and its
/// first message late is a stream, and its client should not wait for what it need not.
const PEEK: Duration = Duration::from_millis(20);

impl<C: Clone> Guard<C> {
    /// This guard as a layer around a service of HTTP requests: a client, tonic's channel.
    ///
    /// What may be repeated is decided for each request: GET, HEAD, PUT, DELETE, OPTIONS and TRACE
    /// unless the guard is told otherwise; others if it is [idempotent](Guard::idempotent), or
    /// [by key](Guard::idempotent_by_key) and the request has an `idempotency-key`. A body is repeated
    /// if it [can be](Replay).
    ///
    /// Answers are classified by their status, or by the guard's own classifier, which sees an answer's
    /// head alone; gRPC answers by `grpc-status`, in the headers or in the trailers. The last answer is
    /// handed through whatever it says. Where there is none, a gRPC client gets one that says so
    /// (UNAVAILABLE, DEADLINE_EXCEEDED or RESOURCE_EXHAUSTED), others an [`Error`].
    ///
    /// The per-try time ends with an answer's head, or a gRPC answer's first message; the deadline holds
    /// until the body is through.
    ///
    /// # Cancel safety
    /// Dropping the future, or later the answer's body, cancels the call: everything is given back.
    #[must_use]
    pub fn layer(&self) -> GuardLayer<C> {
        GuardLayer { guard: self.clone() }
    }
}

/// A guard as a layer; see [`Guard::layer`].
#[derive(Clone, Debug)]
pub struct GuardLayer<C> {
    guard: Guard<C>,
}

impl<S, C: Clone> Layer<S> for GuardLayer<C> {
    type Service = Guarded<S, C>;

    fn layer(&self, service: S) -> Self::Service {
        Guarded { guard: self.guard.clone(), service }
    }
}

/// A service of HTTP requests behind a guard; see [`Guard::layer`].
#[derive(Clone, Debug)]
pub struct Guarded<S, C> {
    guard: Guard<C>,
    service: S,
}

impl<S, A, B, C> Service<Request<A>> for Guarded<S, C>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    A: Replay + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    C: Classify<Response<()>, Infallible> + Clone + Send + Sync + 'static,
{
    type Response = Response<Watched<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    /// Always ready: whether the service is, is asked within each try.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let Self { guard, service } = self.clone();
        Box::pin(async move {
            let (shared, classify) = guard.parts();
            call(shared, classify, service, request).await
        })
    }
}

/// One call, all its tries.
async fn call<S, A, B, C>(
    shared: &Arc<Shared>,
    classify: &C,
    mut service: S,
    request: Request<A>,
) -> Result<Response<Watched<B>>, Error>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    A: Replay,
    B: Body,
    B::Error: Into<BoxError>,
    C: Classify<Response<()>, Infallible>,
{
    let is_grpc = is_grpc(request.headers());
    let mut drive = Drive::begin(shared, asked(&request, is_grpc));
    let mut waiting = Some(request);
    let mut raised: Option<BoxError> = None;
    loop {
        let try_ = match drive.next().await {
            Turn::Try(try_) => try_,
            Turn::End(end) => {
                drive.finish(&end);
                let injected = drive.was_injected();
                return no_answer(injected, is_grpc, raised.is_some(), drive.error(&end, raised));
            }
        };
        let Some(mut request) = waiting.take() else {
            unreachable!("the machine sends no further try once it was told that the request is gone")
        };
        if drive.may_follow(&try_) {
            waiting = again(&mut request);
            if waiting.is_none() {
                drive.forbid_retry(GiveUp::BodyTooLarge);
            }
        }
        mark(request.headers_mut(), &try_, is_grpc);
        let sent = async {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(request).await
        };
        let (mut head, mut body) = match Drive::within(&try_, sent).await {
            None => {
                drive.timed_out();
                continue;
            }
            Some(Err(error)) => {
                raised = Some(failed(&mut drive, error.into()));
                continue;
            }
            Some(Ok(answer)) => {
                let (head, body) = answer.into_parts();
                (head, Box::pin(body))
            }
        };
        let wait = if waiting.is_some() { PEEK.min(try_.remaining()) } else { Duration::ZERO };
        match look(classify, &head, body.as_mut(), wait).await {
            Looked::Known { seen, mut trailers } => {
                drive.ended(seen.report(true));
                if drive.goes_on() {
                    continue;
                }
                finish(&mut drive);
                say_exhausted(&drive, trailers.as_mut().unwrap_or(&mut head.headers));
                let body = Watched::known(body, drive).after(trailers.map(Frame::trailers));
                return Ok(Response::from_parts(head, body));
            }
            Looked::Awaited(first) => {
                return Ok(Response::from_parts(head, Watched::awaited(body, drive).after(first)));
            }
            Looked::Failed(error) => raised = Some(failed(&mut drive, error)),
        }
    }
}

/// The try ended with `error`.
fn failed(drive: &mut Drive, error: BoxError) -> BoxError {
    drive.ended(of_error(&*error).report(false));
    error
}

/// Tells whoever keeps trails that the call is over.
fn finish(drive: &mut Drive) {
    if let Some(end) = drive.end() {
        drive.finish(&end);
    }
}

/// Says in the answer that is handed through that tries are used up, where gRPC's clients look for it: with the status.
fn say_exhausted(drive: &Drive, fields: &mut HeaderMap) {
    let what = drive.end().and_then(|end| used_up(end.reason, end.tries));
    if let Some(what) = what {
        fields.insert(headers::EXHAUSTED, HeaderValue::from_static(what));
    }
}

// === the request ===

fn asked<A>(request: &Request<A>, is_grpc: bool) -> Asked {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    Asked {
        key: None,
        has_key: request.headers().contains_key(headers::IDEMPOTENCY_KEY),
        by_method: !is_grpc && is_idempotent(request.method()),
        trace: text(headers::TRACEPARENT).and_then(TraceContext::parse),
        within: text(headers::GRPC_TIMEOUT).and_then(parse_grpc_timeout),
    }
}

/// RFC 9110 section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE].contains(method)
}

fn again<A: Replay>(request: &mut Request<A>) -> Option<Request<A>> {
    let mut copy = Request::new(request.body_mut().again()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

fn mark(map: &mut HeaderMap, try_: &Try, is_grpc: bool) {
    let headers = try_.headers();
    if is_grpc { headers.put_grpc(map) } else { headers.put(map) }
}

// === the answer ===

pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    // application/grpc, +proto, ;charset: all but grpc-web, whose trailers are part of its body.
    kind.strip_prefix(b"application/grpc").is_some_and(|rest| !rest.starts_with(b"-web"))
}

/// An answer of another status or type comes from something in between that speaks no gRPC.
fn is_grpc_answer(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::OK && is_grpc(headers)
}

fn as_head(parts: &http::response::Parts) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = parts.status;
    *head.headers_mut() = parts.headers.clone();
    head
}

/// What an answer shows before any of it is handed through.
enum Looked<D> {
    /// Its outcome, and the trailers if they are all there is and were read.
    Known { seen: Seen, trailers: Option<HeaderMap> },
    /// A gRPC answer whose outcome is still to come; perhaps its first message.
    Awaited(Option<Frame<D>>),
    /// The connection broke.
    Failed(BoxError),
}

/// Looks at an answer, waiting no longer than `wait` for the first frame of a gRPC answer.
async fn look<B, C>(
    classify: &C,
    head: &http::response::Parts,
    mut body: Pin<&mut B>,
    wait: Duration,
) -> Looked<B::Data>
where
    B: Body,
    B::Error: Into<BoxError>,
    C: Classify<Response<()>, Infallible>,
{
    let known = |seen| Looked::Known { seen, trailers: None };
    if !is_grpc_answer(head.status, &head.headers) {
        return known(if C::CHOSEN {
            classify.classify(&Ok(as_head(head)))
        } else {
            of_head(head.status.as_u16(), &head.headers)
        });
    }
    if head.headers.contains_key(GRPC_STATUS) {
        return known(of_trailers(&head.headers, true));
    }
    if wait.is_zero() {
        return Looked::Awaited(None);
    }
    match tokio::time::timeout(wait, poll_fn(|cx| body.as_mut().poll_frame(cx))).await {
        Err(_) => Looked::Awaited(None),
        Ok(Some(Ok(frame))) => match frame.into_trailers() {
            Ok(trailers) => Looked::Known { seen: of_trailers(&trailers, true), trailers: Some(trailers) },
            Err(message) => Looked::Awaited(Some(message)),
        },
        Ok(Some(Err(error))) => Looked::Failed(error.into()),
        // An end without trailers: what they would have said is unknown.
        Ok(None) => known(Seen::ended(TryEnd::Malformed)),
    }
}

/// What is handed on where no try was answered.
fn no_answer<B: Body>(
    injected: Option<TryEnd>,
    is_grpc: bool,
    has_raised: bool,
    error: Error,
) -> Result<Response<Watched<B>>, Error> {
    match injected {
        Some(TryEnd::Answered { status }) if !is_grpc => {
            let mut answer = Response::new(Watched::empty());
            // A status that is none would have been refused where the fault was put in.
            *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            Ok(answer)
        }
        Some(TryEnd::AnsweredGrpc { code, .. }) if is_grpc => Ok(grpc_answer(code, &error)),
        // A gRPC client makes a status of its transport's own errors.
        None if has_raised => Err(error),
        _ if !is_grpc => Err(error),
        _ if error.is_timeout() => Ok(grpc_answer(GRPC_DEADLINE_EXCEEDED, &error)),
        _ if error.is_full() => Ok(grpc_answer(GRPC_RESOURCE_EXHAUSTED, &error)),
        _ => Ok(grpc_answer(GRPC_UNAVAILABLE, &error)),
    }
}

const GRPC_DEADLINE_EXCEEDED: u8 = 4;
const GRPC_RESOURCE_EXHAUSTED: u8 = 8;
const GRPC_UNAVAILABLE: u8 = 14;

/// A gRPC answer of trailers only.
fn grpc_answer<B: Body>(code: u8, error: &Error) -> Response<Watched<B>> {
    let mut answer = Response::new(Watched::empty());
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(code)));
    if let Some((name, what)) = error.exhausted_header() {
        headers.insert(name, HeaderValue::from_static(what));
    }
    // grpc-message is percent-encoded; of what our messages are made of, only `%` needs it.
    if let Ok(message) = HeaderValue::try_from(error.to_string().replace('%', "%25")) {
        headers.insert("grpc-message", message);
    }
    answer
}
