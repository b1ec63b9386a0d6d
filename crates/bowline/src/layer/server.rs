//! For servers: what a request brought along, for every guard that works for it.

use crate::incoming::{CURRENT, Incoming};
use http::{HeaderValue, Request, Response, StatusCode, header};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::task::futures::TaskLocalFuture;
use tower_layer::Layer;
use tower_service::Service;

impl Incoming {
    /// A layer that reads each request's headers, as [`Incoming::of_headers`] does, and answers it in
    /// their scope. For axum, tonic's server and any other service of HTTP requests.
    ///
    /// Only behind a mesh or gateway: whoever sends the headers sets the deadline.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use bowline::{Incoming, Spans, deadline};
    /// use http::{Request, Response};
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// // What its caller no longer waits for is dropped, and answered by 504 or DEADLINE_EXCEEDED.
    /// let server = ServiceBuilder::new().layer(Incoming::layer().ending()).service(service_fn(
    ///     |_: Request<()>| async {
    ///         assert_eq!(deadline::remaining(), Some(99.ms()));
    ///         tokio::time::sleep(1.s()).await;
    ///         Ok::<_, std::convert::Infallible>(Response::new(String::from("too late")))
    ///     },
    /// ));
    /// let request = Request::get("/").header("x-envoy-expected-rq-timeout-ms", "100").body(()).unwrap();
    /// assert_eq!(server.oneshot(request).await.unwrap().status(), 504);
    /// # }
    /// ```
    #[must_use]
    pub const fn layer() -> IncomingLayer {
        IncomingLayer
    }
}

/// Answers each request in the scope of what it brought along; see [`Incoming::layer`].
#[derive(Clone, Copy, Debug)]
pub struct IncomingLayer;

impl IncomingLayer {
    /// The same, and work whose deadline is over is dropped: the caller is gone or has given up, whether or not
    /// the connection shows it. The answer is 504, for gRPC the status DEADLINE_EXCEEDED, without a body.
    ///
    /// An answer that has begun is not cut.
    #[must_use]
    pub const fn ending(self) -> EndingLayer {
        EndingLayer
    }
}

impl<S> Layer<S> for IncomingLayer {
    type Service = IncomingService<S>;

    fn layer(&self, service: S) -> Self::Service {
        IncomingService { service }
    }
}

/// A service in the scope of what its requests brought along; see [`Incoming::layer`].
#[derive(Clone, Debug)]
pub struct IncomingService<S> {
    service: S,
}

impl<S, A> Service<Request<A>> for IncomingService<S>
where
    S: Service<Request<A>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TaskLocalFuture<Incoming, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        scoped(Incoming::of_headers(request.headers()).bounded(), &mut self.service, request)
    }
}

/// Ends what its caller no longer waits for; see [`IncomingLayer::ending`].
#[derive(Clone, Copy, Debug)]
pub struct EndingLayer;

impl<S> Layer<S> for EndingLayer {
    type Service = EndingService<S>;

    fn layer(&self, service: S) -> Self::Service {
        EndingService { service }
    }
}

/// A service that ends what its caller no longer waits for; see [`IncomingLayer::ending`].
#[derive(Clone, Debug)]
pub struct EndingService<S> {
    service: S,
}

impl<S, A, B> Service<Request<A>> for EndingService<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Default + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let incoming = Incoming::of_headers(request.headers()).bounded();
        let is_grpc = super::http::is_grpc(request.headers());
        let remaining = incoming.remaining();
        if remaining.is_some_and(|remaining| remaining.is_zero()) {
            // Nothing that could be begun would be of use.
            return Box::pin(std::future::ready(Ok(too_late(is_grpc))));
        }
        let answer = scoped(incoming, &mut self.service, request);
        Box::pin(async move {
            match remaining {
                None => answer.await,
                Some(remaining) => {
                    tokio::time::timeout(remaining, answer).await.unwrap_or_else(|_| Ok(too_late(is_grpc)))
                }
            }
        })
    }
}

/// Calls `service` within the scope of what `request` brought along.
fn scoped<S: Service<Request<A>>, A>(
    incoming: Incoming,
    service: &mut S,
    request: Request<A>,
) -> TaskLocalFuture<Incoming, S::Future> {
    // A service that does its work while it is called, before its future is polled, is in the scope too.
    let answer = CURRENT.sync_scope(incoming.clone(), || service.call(request));
    CURRENT.scope(incoming, answer)
}

/// The answer to a caller that has given up.
fn too_late<B: Default>(is_grpc: bool) -> Response<B> {
    let mut answer = Response::new(B::default());
    if is_grpc {
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static("4"));
        headers.insert("grpc-message", HeaderValue::from_static("the caller's deadline has passed"));
    } else {
        *answer.status_mut() = StatusCode::GATEWAY_TIMEOUT;
    }
    answer
}
