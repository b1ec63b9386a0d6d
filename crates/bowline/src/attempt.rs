//! One try of a call, as the guarded work sees it.

use crate::clock;
use crate::headers::Headers;
use crate::incoming::Carried;
use bowline_model::{Instant, Priority, TraceContext};
use std::sync::Arc;
use std::time::Duration;

/// One try of a call: which it is, how long it may take, and what to tell the next hop.
#[derive(Clone, Debug)]
pub struct Try {
    pub(crate) number: u32,
    pub(crate) until: Instant,
    pub(crate) trace: TraceContext,
    /// Whether the guard may try again: only then must the layers behind it not.
    pub(crate) retried_here: bool,
    /// What it matters, where the callee has to be told.
    pub(crate) priority: Option<Priority>,
    pub(crate) carried: Option<Arc<Carried>>,
    pub(crate) key: Option<Arc<str>>,
}

impl Try {
    /// Which try this is, from one.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// How long it may still take: the per-try time or what is left of the deadline, whichever is less.
    /// A hundred years where nobody set one.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        // What clients do with a timeout is to add it to a clock, so it must not be the largest number.
        const ENDLESS: Duration = Duration::from_secs(100 * 365 * 86_400);
        self.until.since(clock::now()).min(ENDLESS)
    }

    /// The headers to put on the outgoing request: remaining time, trace with its state and baggage, try number,
    /// idempotency key.
    ///
    /// ```no_run
    /// # #[cfg(feature = "reqwest")]
    /// # async fn example(http: reqwest::Client, guard: bowline::Guard) -> Result<(), bowline::Error> {
    /// guard.call(|try_| http.get("http://127.0.0.1:7103/stock/A47").headers(try_.headers().into()).send()).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn headers(&self) -> Headers {
        Headers {
            remaining: (self.until != Instant::FAR).then(|| self.remaining()),
            try_number: self.retried_here.then_some(self.number),
            priority: self.priority,
            traceparent: self.trace.to_string(),
            carried: self.carried.clone(),
            key: self.key.clone(),
        }
    }

    /// `message` as the request of a tonic client, with the same as metadata, and the remaining time as
    /// `grpc-timeout`, which gRPC servers obey.
    ///
    /// ```no_run
    /// # #[derive(Clone)]
    /// # struct Client;
    /// # impl Client {
    /// #     async fn authorize(&mut self, _: tonic::Request<String>) -> Result<tonic::Response<()>, tonic::Status> { Ok(tonic::Response::new(())) }
    /// # }
    /// # async fn example(guard: bowline::Guard, client: Client) -> Result<(), bowline::Error> {
    /// use bowline::outcome::of_grpc;
    ///
    /// let guard = guard.classify(of_grpc);
    /// let authorize = |try_: bowline::Try| {
    ///     let mut client = client.clone();
    ///     async move { client.authorize(try_.grpc("A47".to_owned())).await }
    /// };
    /// guard.call_by_key("order-17", authorize).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tonic")]
    #[must_use]
    pub fn grpc<T>(&self, message: T) -> tonic::Request<T> {
        let mut map = http::HeaderMap::with_capacity(7);
        self.headers().put_grpc(&mut map);
        let metadata = tonic::metadata::MetadataMap::from_headers(map);
        tonic::Request::from_parts(metadata, tonic::Extensions::default(), message)
    }
}
