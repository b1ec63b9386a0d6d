//! One caller's connection.

use crate::body::Body;
use crate::gate::Gated;
use crate::incoming::Incoming;
use crate::limits::Limits;
use crate::metrics::DoorTally;
use crate::request;
use crate::snapshot::Door;
use crate::worker::Worker;
use http::Request;
use http::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

/// What a request of this connection asks about it.
#[derive(Debug)]
pub(crate) struct Connection {
    worker: Rc<Worker>,
    door: Door,
    local: bool,
    /// The caller's address, as `x-forwarded-for` has it.
    caller: HeaderValue,
}

/// How a worker tells a connection to come to its end.
#[derive(Debug, Default)]
pub(crate) struct Control {
    ending: Cell<Ending>,
    waker: RefCell<Option<Waker>>,
}

/// How a connection is to come to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Not at all.
    #[default]
    None,
    /// At once if it is idle, else after the answer under way.
    Graceful,
    /// Now.
    Now,
}

impl Control {
    /// Tells the connection; a weaker word than before changes nothing.
    pub(crate) fn end(&self, how: Ending) {
        if (self.ending.get() as u8) < how as u8 {
            self.ending.set(how);
            if let Some(waker) = self.waker.borrow_mut().take() {
                waker.wake();
            }
        }
    }
}

impl Connection {
    pub(crate) const fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    pub(crate) const fn door(&self) -> Door {
        self.door
    }

    /// Whether the caller is on this machine.
    pub(crate) const fn is_local(&self) -> bool {
        self.local
    }

    pub(crate) const fn caller(&self) -> &HeaderValue {
        &self.caller
    }
}

/// Serves `stream` until it ends. The place and the tally are its listener's.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    door: Door,
    stream: TcpStream,
    peer: SocketAddr,
    tally: Arc<DoorTally>,
    _place: OwnedSemaphorePermit,
) {
    // Answers are written whole; waiting for more to send with one would only delay it.
    let _ = stream.set_nodelay(true);
    let shared = Arc::clone(worker.shared());
    let limits = &shared.limits;
    let (gated, gate) = Gated::new(stream, worker.clock(), limits.gate.clone(), limits.patience.clone());
    let caller = HeaderValue::from_str(&peer.ip().to_canonical().to_string());
    let connection = Rc::new(Connection {
        door,
        local: peer.ip().to_canonical().is_loopback(),
        caller: caller.unwrap_or_else(|_| HeaderValue::from_static("unknown")),
        worker: Rc::clone(&worker),
    });
    let control = worker.register();
    {
        let handle = gate.clone();
        let answers = service_fn(move |request: Request<hyper::body::Incoming>| {
            let connection = Rc::clone(&connection);
            let answering = handle.answering();
            async move { Ok(request::answer(&connection, answering, request.map(Incoming::Http1)).await) }
        });
        let serving = pin!(worker.http().serve_connection(gated, answers));
        run(serving, &control).await;
    }
    if let Some(violation) = gate.violation() {
        shared.metrics.violated(violation.reason);
    }
    worker.unregister(&control);
    tally.closed();
}

/// Polls a connection and obeys its control.
async fn run<S>(mut serving: Pin<&mut http1::Connection<Gated<TcpStream>, S>>, control: &Control)
where
    S: HttpService<hyper::body::Incoming, ResBody = Body, Error = Infallible>,
{
    let mut told = Ending::None;
    poll_fn(|cx| {
        let ending = control.ending.get();
        if ending != told {
            told = ending;
            match ending {
                Ending::None => (),
                Ending::Graceful => serving.as_mut().graceful_shutdown(),
                Ending::Now => return Poll::Ready(()),
            }
        }
        if let Poll::Ready(ended) = serving.as_mut().poll(cx) {
            if let Err(error) = ended {
                tracing::debug!(error = &error as &dyn std::error::Error, "a caller's connection ended");
            }
            return Poll::Ready(());
        }
        // A task's waker stays the same: it is left once, and again after each word.
        control.waker.borrow_mut().get_or_insert_with(|| cx.waker().clone());
        Poll::Pending
    })
    .await;
}

/// hyper's settings for callers' connections.
pub(crate) fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    // The gate keeps the times and the limits; hyper would set a timer for each request. A caller that
    // closes is gone: half-closed callers would be indistinguishable from those, and work for nobody would go on.
    http.header_read_timeout(None).half_close(false).keep_alive(true);
    // A head fits, and then as much of a body as is read ahead.
    http.max_buf_size((2 * limits.gate.head_bytes_max).max(8 * 1024));
    http
}
