//! How the local API closes when a successor serves it: without a failed request.
//!
//! The socket is shared, so whoever accepts a connection has to answer it. First no more are accepted;
//! every answer from then on is its connection's last; and a connection that has not asked yet is given a
//! moment to.

use super::Running;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::Listener;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// How long a connection may take to bring its request: those who connect to this machine ask at once.
const MOMENT: Duration = Duration::from_millis(500);

/// Accepts until the local API closes.
#[derive(Debug)]
pub(super) struct Door {
    listener: TcpListener,
    running: Arc<Running>,
}

impl Door {
    pub(super) const fn new(listener: TcpListener, running: Arc<Running>) -> Self {
        Self { listener, running }
    }
}

impl Listener for Door {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        tokio::select! {
            biased;
            () = self.running.api_closes() => pending().await,
            accepted = Listener::accept(&mut self.listener) => accepted,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Says that the connection ends with this answer, once the local API has closed.
pub(super) async fn part(State(running): State<Arc<Running>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if *running.closed.borrow() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Ends when even the connections that have not asked yet may go.
pub(super) async fn rest(running: Arc<Running>) {
    running.api_closes().await;
    tokio::time::sleep(MOMENT).await;
}
