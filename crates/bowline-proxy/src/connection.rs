//! One caller's connection.

use crate::body::Body;
use crate::gate::Gated;
use crate::http2;
use crate::incoming::Incoming;
use crate::limits::Limits;
use crate::metrics::DoorTally;
use crate::protocol::Protocol;
use crate::request;
use crate::snapshot::Door;
use crate::sniff::{self, Rewound};
use crate::tls::{self, Begun, Secured};
use crate::tunnel::Tunnel;
use crate::worker::Worker;
use bowline_model::Identity;
use http::Request;
use http::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use std::cell::{Cell, OnceCell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

/// What a request of this connection asks about it.
#[derive(Debug)]
pub(crate) struct Connection {
    worker: Rc<Worker>,
    door: Door,
    speaks: Protocol,
    local: bool,
    /// What a handshake has told of the caller; `None`: the connection is plain.
    secured: Option<Rc<Secured>>,
    /// Where everything on it goes: what a CONNECT named.
    destination: Option<Box<str>>,
    /// The service that the caller is, where it proved that before.
    process: Option<Arc<str>>,
    /// What comes after it.
    next: RefCell<Option<Next>>,
    /// The caller's address, as `x-forwarded-for` has it.
    caller: HeaderValue,
}

/// What comes after HTTP/1 on a connection.
#[derive(Debug)]
pub(crate) enum Next {
    /// HTTP again, to this authority: the caller takes us for its proxy, and may have proved which service it is.
    Proxied(Box<str>, Option<Arc<str>>),
    /// What was upgraded to.
    Tunnel(Tunnel),
}

/// How a worker tells a connection to come to its end.
#[derive(Debug, Default)]
pub(crate) struct Control {
    ending: Cell<Ending>,
    waker: RefCell<Option<Waker>>,
    secured: OnceCell<(Door, Rc<Secured>)>,
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
    /// How the connection is to come to its end.
    pub(crate) const fn ending(&self) -> Ending {
        self.ending.get()
    }

    /// Where a handshake was made, and in whose terms.
    pub(crate) fn secured(&self) -> Option<&(Door, Rc<Secured>)> {
        self.secured.get()
    }

    /// The task of `cx` is to be woken by the next word. A task's waker stays the same: it is left once, and again
    /// after each word.
    pub(crate) fn listen(&self, cx: &Context<'_>) {
        self.waker.borrow_mut().get_or_insert_with(|| cx.waker().clone());
    }

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

    /// What the caller speaks.
    pub(crate) const fn speaks(&self) -> Protocol {
        self.speaks
    }

    /// What a handshake has told of the caller; `None`: the connection is plain.
    pub(crate) fn secured(&self) -> Option<&Secured> {
        self.secured.as_deref()
    }

    /// Who the caller has proved to be: what decides over access, and nothing that it says in a header.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.secured()?.identity()
    }

    /// The scheme of its requests.
    pub(crate) const fn scheme(&self) -> &'static str {
        if self.secured.is_some() { "https" } else { "http" }
    }

    /// Where everything on it goes, if that was said before.
    pub(crate) fn destination(&self) -> Option<&str> {
        self.destination.as_deref()
    }

    /// The service that the caller is, where it proved that when it took us for its proxy.
    pub(crate) const fn process(&self) -> Option<&Arc<str>> {
        self.process.as_ref()
    }

    /// Says what comes once the present answer is out.
    pub(crate) fn follow(&self, next: Next) {
        *self.next.borrow_mut() = Some(next);
    }

    pub(crate) const fn caller(&self) -> &HeaderValue {
        &self.caller
    }
}

/// A caller that was accepted: where, and whose place it takes.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) door: Door,
    pub(crate) peer: SocketAddr,
    pub(crate) tally: Arc<DoorTally>,
    pub(crate) place: OwnedSemaphorePermit,
}

/// Serves a plain connection until it ends.
pub(crate) async fn serve(worker: Rc<Worker>, stream: TcpStream, accepted: Accepted) {
    let control = worker.register();
    converse(&worker, stream, None, None, &accepted, &control).await;
    worker.unregister(&control);
    accepted.tally.closed();
    drop(accepted.place);
}

/// Serves a connection under TLS until it ends. `shaking`: the place that its handshake takes.
pub(crate) async fn serve_secured(
    worker: Rc<Worker>,
    stream: TcpStream,
    accepted: Accepted,
    shaking: Option<OwnedSemaphorePermit>,
) {
    let control = worker.register();
    let handshake = accepted.tally.handshake();
    let begun = Box::pin(tls::begin(&worker, accepted.door, stream, &control)).await;
    handshake.ended(begun.as_ref().map_or_else(|ending| *ending, |begun| begun.ending));
    drop(shaking);
    match begun {
        Ok(Begun { io, speaks, secured, .. }) => {
            let secured = Rc::new(secured);
            let _ = control.secured.set((accepted.door, Rc::clone(&secured)));
            // The design may have changed meanwhile.
            if !worker.snapshot().honours(accepted.door, &secured) {
                control.end(Ending::Graceful);
            }
            Box::pin(converse(&worker, io, speaks, Some(secured), &accepted, &control)).await;
        }
        Err(ending) => {
            let (door, peer, ending) = (accepted.door, accepted.peer, ending.as_str());
            tracing::debug!(?door, %peer, ending, "no TLS began");
        }
    }
    worker.unregister(&control);
    accepted.tally.closed();
    drop(accepted.place);
}

/// Answers what comes over `io` until it ends. `speaks`: what was agreed on before, as under TLS; else the first bytes
/// tell.
async fn converse<T>(
    worker: &Rc<Worker>,
    io: T,
    speaks: Option<Protocol>,
    secured: Option<Rc<Secured>>,
    accepted: &Accepted,
    control: &Control,
) where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let caller = HeaderValue::from_str(&accepted.peer.ip().to_canonical().to_string());
    let caller = caller.unwrap_or_else(|_| HeaderValue::from_static("unknown"));
    let (mut io, mut speaks, mut destination) = (Rewound::new(io), speaks, None);
    let mut process = None;
    while let Some(speaks) = match speaks.take() {
        Some(speaks) => Some(speaks),
        None => sniff::sniff(&mut io, worker, control).await,
    } {
        let connection = Rc::new(Connection {
            door: accepted.door,
            speaks,
            local: accepted.peer.ip().to_canonical().is_loopback(),
            caller: caller.clone(),
            destination: destination.take(),
            process: process.take(),
            next: RefCell::default(),
            secured: secured.clone(),
            worker: Rc::clone(worker),
        });
        // In boxes: an ordinary connection of HTTP/1 should not weigh as much.
        if speaks == Protocol::Http2 {
            Box::pin(http2::serve(&connection, io, control)).await;
            break;
        }
        match serve_http1(&connection, io, control).await {
            Some((behind, Next::Proxied(authority, who))) => {
                (io, destination, process) = (behind, Some(authority), who);
            }
            Some((behind, Next::Tunnel(tunnel))) => {
                Box::pin(tunnel.run(behind, worker, control, &accepted.tally)).await;
                break;
            }
            None => break,
        }
    }
}

/// Serves HTTP/1 until it ends; what comes after it, if something does.
async fn serve_http1<T>(
    connection: &Rc<Connection>,
    io: Rewound<T>,
    control: &Control,
) -> Option<(Rewound<T>, Next)>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let worker = connection.worker();
    let limits = &worker.shared().limits;
    let mut own = limits.gate.clone();
    // A tunnel leads to one destination: there is none inside of it.
    own.connect |= connection.door == Door::Mesh;
    own.connect &= connection.destination.is_none();
    let (gated, gate) = Gated::new(io, worker.clock(), own, limits.patience.clone());
    let answers = {
        let (connection, gate) = (Rc::clone(connection), gate.clone());
        service_fn(move |request: Request<hyper::body::Incoming>| {
            let connection = Rc::clone(&connection);
            let answering = gate.answering();
            async move { Ok(request::answer(&connection, answering, request.map(Incoming::Http1)).await) }
        })
    };
    let mut serving = worker.http().serve_connection(gated, answers);
    let ended = run(Pin::new(&mut serving), control).await;
    if let Some(violation) = gate.violation() {
        worker.shared().metrics.violated(violation.reason);
    }
    let next = connection.next.take().filter(|_| ended)?;
    let parts = serving.into_parts();
    let mut io = parts.io.into_inner();
    io.rewind(&parts.read_buf);
    Some((io, next))
}

/// Polls a connection and obeys its control; whether it came to a good end by itself.
async fn run<T, S>(mut serving: Pin<&mut http1::Connection<Gated<T>, S>>, control: &Control) -> bool
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
    S: HttpService<hyper::body::Incoming, ResBody = Body, Error = Infallible>,
{
    let mut told = Ending::None;
    poll_fn(|cx| {
        let ending = control.ending();
        if ending != told {
            told = ending;
            match ending {
                Ending::None => (),
                Ending::Graceful => serving.as_mut().graceful_shutdown(),
                Ending::Now => return Poll::Ready(false),
            }
        }
        if let Poll::Ready(ended) = serving.as_mut().poll(cx) {
            if let Err(error) = &ended {
                tracing::debug!(error = error as &dyn std::error::Error, "a caller's connection ended");
            }
            return Poll::Ready(ended.is_ok());
        }
        control.listen(cx);
        Poll::Pending
    })
    .await
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
