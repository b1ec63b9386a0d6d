//! One caller's connection.

use crate::body::Body;
use crate::ending::Ending;
use crate::gate::{GateHandle, Gated};
use crate::http1::{self, Answers};
use crate::http2;
use crate::incoming::Incoming;
use crate::metrics::DoorTally;
use crate::protocol::Protocol;
use crate::request;
use crate::snapshot::Door;
use crate::sniff::{self, Rewound};
use crate::tls::{self, Begun, Secured};
use crate::tunnel::Tunnel;
use crate::worker::Worker;
use bowline_model::Identity;
use http::header::HeaderValue;
use http::{Request, Response};
use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
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
    let (gated, gate) = Gated::new(io, worker.clock(), own, Rc::clone(worker.patience()));
    let answers = Requests { connection, control, gate };
    let served = http1::serve(gated, &answers).await;
    if let Some(violation) = answers.gate.violation() {
        worker.shared().metrics.violated(violation.reason);
    }
    let (mut io, ahead) = served?;
    io.rewind(&ahead);
    Some((io, connection.next.take()?))
}

/// The requests of a connection of HTTP/1.
struct Requests<'c> {
    connection: &'c Connection,
    control: &'c Control,
    gate: GateHandle,
}

impl Answers for Requests<'_> {
    type Body = Body;

    fn answer(&self, request: Request<http1::Body>) -> impl Future<Output = Response<Body>> {
        request::answer(self.connection, self.gate.answering(), request.map(Incoming::Http1))
    }

    fn date(&self) -> Option<HeaderValue> {
        Some(self.connection.worker.date())
    }

    fn ending(&self) -> Ending {
        self.control.ending()
    }

    fn listen(&self, cx: &Context<'_>) {
        self.control.listen(cx);
    }
}
