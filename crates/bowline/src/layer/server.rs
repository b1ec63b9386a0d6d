//! For servers: what a request brought along, for every guard that works for it.

use crate::incoming::{CURRENT, Incoming};
use std::task::{Context, Poll};
use tokio::task::futures::TaskLocalFuture;
use tower_layer::Layer;
use tower_service::Service;

impl Incoming {
    /// A layer that reads each request's headers, as [`Incoming::of_headers`] does, and answers it in
    /// their scope. For axum, tonic's server and any other service of HTTP requests.
    ///
    /// Only behind a mesh or gateway: whoever sends the headers sets the deadline.
    #[must_use]
    pub const fn layer() -> IncomingLayer {
        IncomingLayer
    }
}

/// Answers each request in the scope of what it brought along; see [`Incoming::layer`].
#[derive(Clone, Copy, Debug)]
pub struct IncomingLayer;

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

impl<S, A> Service<http::Request<A>> for IncomingService<S>
where
    S: Service<http::Request<A>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TaskLocalFuture<Incoming, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<A>) -> Self::Future {
        let incoming = Incoming::of_headers(request.headers());
        // A service that does its work while it is called, before its future is polled, is in the scope too.
        let answer = CURRENT.sync_scope(incoming, || self.service.call(request));
        CURRENT.scope(incoming, answer)
    }
}
