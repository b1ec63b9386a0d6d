//! What every service has: a port, a database, a health page, a deadline, and an orderly end.

use crate::reply::Reply;
use crate::settings::{Service, Settings};
use crate::store::{Closed, Store};
use crate::{inventory, notification, once, orders, payment};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bowline::Incoming;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tonic::Status;

/// The largest body. An order of a hundred items is five kilobytes; a body is stored with its key.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long an ending service waits for the requests under way. What is cut off is settled at the next
/// start, as after a crash: there is only one way to recover, so it is well trodden.
const DRAIN: Duration = Duration::from_secs(5);

/// A service that serves.
pub struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    background: Option<JoinHandle<()>>,
    closed: Closed,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new request, finishes those under way, closes the database.
    pub async fn stop(self) {
        let _gone = self.stop.send(());
        let drained = async {
            let _served = self.served.await;
            if let Some(background) = self.background {
                background.abort();
            }
            self.closed.wait().await;
        };
        if timeout(DRAIN, drained).await.is_err() {
            eprintln!("stopped with requests under way");
        }
    }
}

/// Opens the service's database and port, and serves until it is stopped.
///
/// # Errors
/// The port or the database's file cannot be had.
pub async fn start(settings: &Settings) -> Result<Running, Box<dyn std::error::Error>> {
    let name = settings.service.name();
    // The port first: of two processes with the same arguments only one gets to touch the database.
    let listener = TcpListener::bind(settings.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", settings.listen))?;
    std::fs::create_dir_all(&settings.data)
        .map_err(|error| format!("cannot make the folder {}: {error}", settings.data.display()))?;
    let file = settings.data.join(format!("{name}.db"));
    let schema = match settings.service {
        Service::Orders => orders::SCHEMA,
        Service::Payment => payment::SCHEMA,
        Service::Inventory => inventory::SCHEMA,
        Service::Notification => notification::SCHEMA,
    };
    let (store, closed) = Store::open(&file, &[once::SCHEMA, schema].concat())
        .map_err(|error| format!("cannot open {}: {error}", file.display()))?;
    let (routes, background) = match settings.service {
        Service::Orders => {
            let shop = orders::Shop::open(store, settings.peers).await?;
            (orders::routes(shop.clone()), Some(tokio::spawn(orders::settle_for_ever(shop))))
        }
        Service::Payment => (payment::routes(store), None),
        Service::Inventory => (inventory::routes(store), None),
        Service::Notification => (notification::routes(store), None),
    };
    let verbose = settings.verbose;
    let app = routes
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(|| async {
            Reply::problem(StatusCode::NOT_FOUND, "there is nothing here", "see the README's list")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(within_the_callers_deadline))
        .layer(from_fn(move |request, next| log(verbose, name, request, next)));

    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(async move {
        let until_stopped = async { drop(stopped.await) };
        if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(until_stopped).await {
            eprintln!("{name}: {error}");
        }
    });
    Ok(Running { address, stop, served, background, closed })
}

/// Lets nobody work for a caller that has given up: the caller says how long it waits.
///
/// What cannot be answered in time is dropped, and work that still waits for the database with it. Calls
/// to other services get what is left of the time, and the trace.
async fn within_the_callers_deadline(request: Request, next: Next) -> Response {
    let incoming = Incoming::of_headers(request.headers());
    let remaining = incoming.remaining();
    let is_grpc = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let answer = incoming.scope(next.run(request));
    match remaining {
        None => answer.await,
        Some(remaining) => timeout(remaining, answer).await.unwrap_or_else(|_| {
            if is_grpc {
                return Status::deadline_exceeded("the caller's deadline has passed").into_http();
            }
            let hint = "ask with the same Idempotency-Key what became of it";
            Reply::problem(StatusCode::GATEWAY_TIMEOUT, "the caller's deadline has passed", hint)
                .into_response()
        }),
    }
}

/// One line for each request, if asked for.
async fn log(verbose: bool, service: &'static str, request: Request, next: Next) -> Response {
    if !verbose {
        return next.run(request).await;
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let began = Instant::now();
    let response = next.run(request).await;
    eprintln!("{service}: {method} {path} {} {:.1?}", response.status().as_u16(), began.elapsed());
    response
}
