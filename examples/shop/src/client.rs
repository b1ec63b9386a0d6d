//! One HTTP request to another service, its answer read whole.

use axum::body::Bytes;
use axum::http::uri::InvalidUri;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use std::fmt;
use std::time::Duration;

/// The largest answer that is read. The shop's are under a kilobyte.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How long a connection waits in the pool for its next request.
const IDLE: Duration = Duration::from_secs(30);

/// The connections kept for each service.
const IDLE_PER_HOST: usize = 64;

/// Sends requests; clones share the connections.
#[derive(Clone)]
pub struct Client(legacy::Client<HttpConnector, Full<Bytes>>);

/// Why there is no answer. Its cause says whether the request may have arrived.
#[derive(Debug)]
pub struct NoAnswer {
    what: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl NoAnswer {
    fn because(what: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { what, source: source.into() }
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl std::error::Error for NoAnswer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

impl Default for Client {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true); // small requests that somebody waits for
        Self(
            legacy::Client::builder(TokioExecutor::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(IDLE_PER_HOST)
                .build(connector),
        )
    }
}

impl Client {
    /// Gets `url`.
    ///
    /// # Errors
    /// There was no answer, or not a whole one.
    pub async fn get(&self, url: &str) -> Result<Response<Bytes>, NoAnswer> {
        self.send(Method::GET, url, HeaderMap::new(), Bytes::new()).await
    }

    /// Posts `body`, which is JSON, to `url`.
    ///
    /// # Errors
    /// There was no answer, or not a whole one.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection. The request may have arrived.
    pub async fn post(
        &self,
        url: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Bytes>, NoAnswer> {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.send(Method::POST, url, headers, body).await
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() =
            url.parse().map_err(|error: InvalidUri| NoAnswer::because("a bad address", error))?;
        *request.headers_mut() = headers;
        let answer = self.0.request(request).await.map_err(|error| NoAnswer::because("no answer", error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| NoAnswer::because("the answer broke off", error))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}
