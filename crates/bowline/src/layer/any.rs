//! A guard around a service of any request that can be cloned.

use crate::error::{BoxError, Error};
use crate::guard::Guard;
use crate::outcome::Classify;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

impl<C: Clone> Guard<C> {
    /// This guard as a layer around a service of any request that can be cloned. It returns what
    /// [`Guard::call`] returns.
    #[must_use]
    pub fn any_layer(&self) -> AnyLayer<C> {
        AnyLayer { guard: self.clone() }
    }
}

/// A guard as a layer; see [`Guard::any_layer`].
#[derive(Clone, Debug)]
pub struct AnyLayer<C> {
    guard: Guard<C>,
}

impl<S, C: Clone> Layer<S> for AnyLayer<C> {
    type Service = GuardedAny<S, C>;

    fn layer(&self, service: S) -> Self::Service {
        GuardedAny { guard: self.guard.clone(), service }
    }
}

/// A service behind a guard; see [`Guard::any_layer`].
#[derive(Clone, Debug)]
pub struct GuardedAny<S, C> {
    guard: Guard<C>,
    service: S,
}

impl<S, R, C> Service<R> for GuardedAny<S, C>
where
    S: Service<R> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send + 'static,
    S::Error: Into<BoxError> + Send,
    R: Clone + Send + 'static,
    C: Classify<S::Response, S::Error> + Clone + Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Error>> + Send>>;

    /// Always ready: whether the service is, is asked within each try.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let Self { guard, service } = self.clone();
        Box::pin(async move {
            guard
                .call(move |_| {
                    let (mut service, request) = (service.clone(), request.clone());
                    async move {
                        poll_fn(|cx| service.poll_ready(cx)).await?;
                        service.call(request).await
                    }
                })
                .await
        })
    }
}
