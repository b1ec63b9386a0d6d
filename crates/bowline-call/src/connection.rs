//! One connection to an endpoint, driven by whoever uses it.
//!
//! hyper's connection comes as two halves: a sender, and a driver that must be polled. Giving the
//! driver a task of its own would cost two task switches for each request; here the task that waits
//! for the answer polls it. Dropping the connection closes the socket, which is how a call that nobody
//! waits for any more is cancelled at the callee.

use crate::endpoint::Opened;
use crate::nudge::Nudged;
use crate::replay::{BodyBroken, RequestBody};
use crate::wire::{Counts, Wire};
use bowline_model::Instant;
use bowline_model::decision::TryEnd;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;

/// The most an answer's head, and what is read ahead of a body, may occupy: 64 KiB. Envoy allows 60 KiB
/// for a head, nginx 32 KiB; more than that is a mistake of the callee.
const BUFFER_MAX: usize = 64 * 1024;

/// Rounds in which the two halves may signal each other before the task yields. Two are usual; what
/// needs more is an endless answer, and others want their turn.
const ROUNDS_MAX: u32 = 8;

/// One connection to an endpoint.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: http1::SendRequest<RequestBody>,
    /// `None` once the connection is over.
    driver: Option<http1::Connection<TokioIo<Wire>, RequestBody>>,
    nudged: Nudged,
    counts: Rc<Counts>,
    /// Requests sent on it, the present one included.
    pub(crate) served: u64,
    /// When it became spare.
    pub(crate) spare_since: Instant,
    /// When it is too old to be used again.
    pub(crate) expires: Instant,
    _opened: Opened,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    /// What was seen.
    pub(crate) end: TryEnd,
    /// The request, where it surely was not sent.
    pub(crate) unsent: Option<Request<RequestBody>>,
}

impl Connection {
    /// Speaks HTTP/1.1 over `stream`.
    pub(crate) async fn new(stream: TcpStream, opened: Opened, expires: Instant) -> hyper::Result<Box<Self>> {
        let (wire, counts) = Wire::new(stream);
        let (sender, driver) =
            http1::Builder::new().max_buf_size(BUFFER_MAX).handshake(TokioIo::new(wire)).await?;
        let nudged = Nudged::new();
        let (driver, spare_since) = (Some(driver), Instant::ZERO);
        Ok(Box::new(Self {
            sender,
            driver,
            nudged,
            counts,
            served: 0,
            spare_since,
            expires,
            _opened: opened,
        }))
    }

    /// Sends `request` and waits for the head of its answer.
    pub(crate) async fn ask(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, NoAnswer> {
        self.served += 1;
        let sent_before = self.counts.sent.get();
        let mut answer = pin!(self.sender.try_send_request(request));
        let answered = poll_fn(|cx| {
            self.nudged.enter(cx);
            for _ in 0..ROUNDS_MAX {
                drive(&mut self.driver, &self.nudged);
                if let Poll::Ready(answered) = answer.as_mut().poll(&mut self.nudged.context()) {
                    self.nudged.leave();
                    return Poll::Ready(answered);
                }
                if !self.nudged.noted() {
                    break;
                }
            }
            self.nudged.leave_and_wake();
            Poll::Pending
        })
        .await;
        answered.map_err(|mut failed| {
            let unsent = failed.take_message();
            let nothing_sent = unsent.is_some() || self.counts.sent.get() == sent_before;
            NoAnswer { end: end_of(&failed.into_error(), nothing_sent), unsent }
        })
    }

    /// Drives the connection for `cx` until its halves have nothing more to tell each other, and polls
    /// `body` for the next part of the answer between the rounds.
    pub(crate) fn poll_body<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut body: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.nudged.enter(cx);
        for _ in 0..ROUNDS_MAX {
            if let Poll::Ready(part) = body(&mut self.nudged.context()) {
                self.nudged.leave();
                return Poll::Ready(part);
            }
            drive(&mut self.driver, &self.nudged);
            if let Poll::Ready(part) = body(&mut self.nudged.context()) {
                self.nudged.leave();
                return Poll::Ready(part);
            }
            if !self.nudged.noted() {
                break;
            }
        }
        self.nudged.leave_and_wake();
        Poll::Pending
    }

    /// Whether the connection is free for another request, once its answer is through.
    pub(crate) fn settle(&mut self) -> bool {
        // It usually knows already: the round that brought the answer's end also asked for more.
        let free = self.driver.is_some() && self.sender.is_ready();
        if free {
            self.nudged.forget_user();
        }
        free || self.look()
    }

    /// Drives the connection once, for nobody in particular, and says whether it is alive and free.
    pub(crate) fn look(&mut self) -> bool {
        self.nudged.enter(&mut Context::from_waker(std::task::Waker::noop()));
        drive(&mut self.driver, &self.nudged);
        self.nudged.leave();
        self.nudged.forget_user();
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Drives the connection until it is free (`true`) or over, for an answer that came before the
    /// request's body was through.
    pub(crate) async fn until_free(&mut self) -> bool {
        poll_fn(|cx| {
            self.nudged.enter(cx);
            drive(&mut self.driver, &self.nudged);
            self.nudged.leave_and_wake();
            if self.driver.is_none() {
                return Poll::Ready(false);
            }
            if self.sender.is_ready() { Poll::Ready(true) } else { Poll::Pending }
        })
        .await
    }
}

/// Polls the driver once. What it reports at its end, the sender's side learns too.
fn drive(driver: &mut Option<http1::Connection<TokioIo<Wire>, RequestBody>>, nudged: &Nudged) {
    if let Some(running) = driver
        && Pin::new(running).poll(&mut nudged.context()).is_ready()
    {
        *driver = None;
    }
}

/// What was seen of a try whose connection gave `error`. Only what surely was not sent counts as
/// [`TryEnd::ResetBeforeRequest`]; everything in doubt counts as sent.
fn end_of(error: &hyper::Error, nothing_sent: bool) -> TryEnd {
    if error.is_user() || error.source().is_some_and(<dyn Error>::is::<BodyBroken>) {
        return TryEnd::Cancelled;
    }
    if nothing_sent {
        return TryEnd::ResetBeforeRequest;
    }
    if error.is_parse() { TryEnd::Malformed } else { TryEnd::Reset }
}
