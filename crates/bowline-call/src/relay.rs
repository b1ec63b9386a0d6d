//! An answer's body, passed on as it comes.
//!
//! Most answers are small and arrive with their head: then the body is whole already, the connection is
//! free again before the caller has read a byte, and nothing is left to drive. A longer body keeps its
//! connection, and whoever reads the body drives it.

use crate::connection::Connection;
use crate::pool::Spares;
use crate::replay::Replay;
use bowline_model::Instant;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// An answer's body.
#[derive(Debug)]
pub enum AnswerBody {
    /// All of it is here, perhaps nothing.
    Whole(Bytes),
    /// It is still coming.
    Coming(Box<Relay>),
}

/// What was read of a body before it was known whether that is all.
type Ahead = [Option<hyper::Result<Frame<Bytes>>>; 2];

/// A body that is still coming. Dropping it before its end closes the connection.
#[derive(Debug)]
pub struct Relay {
    body: Incoming,
    /// What was read to find out whether the body is whole.
    ahead: Ahead,
    /// `None` once the body is through, or where the connection has a task of its own.
    connection: Option<Box<Connection>>,
    spares: Rc<Spares>,
}

impl AnswerBody {
    /// Takes over what follows an answer's head, and reads what is already there.
    pub(crate) fn new(
        mut body: Incoming,
        mut connection: Box<Connection>,
        request: &Replay,
        spares: &Rc<Spares>,
        now: Instant,
    ) -> Self {
        if request.is_being_sent() {
            // The callee answers before it has read everything. The two directions must go on
            // independently of each other, or a callee and a caller that both insist on speaking first
            // would wait for ever.
            let home = Rc::clone(spares);
            tokio::task::spawn_local(async move {
                if connection.until_free().await {
                    let now = home.now();
                    home.park(connection, now);
                }
            });
            return Self::coming(body, [None, None], None, spares);
        }
        if body.is_end_stream() {
            spares.park(connection, now);
            return Self::Whole(Bytes::new());
        }
        let mut noop = Context::from_waker(std::task::Waker::noop());
        let mut next = |connection: &mut Connection, body: &mut Incoming| {
            connection.poll_body(&mut noop, |cx| Pin::new(&mut *body).poll_frame(cx))
        };
        let first = match next(&mut connection, &mut body) {
            Poll::Pending => return Self::coming(body, [None, None], Some(connection), spares),
            Poll::Ready(None) => {
                spares.park(connection, now);
                return Self::Whole(Bytes::new());
            }
            Poll::Ready(Some(first)) => first,
        };
        let data = match first.as_ref().ok().and_then(Frame::data_ref) {
            Some(data) => data.clone(),
            // Broken, or trailers alone.
            None => return Self::coming(body, [Some(first), None], Some(connection), spares),
        };
        if body.is_end_stream() {
            spares.park(connection, now);
            return Self::Whole(data);
        }
        match next(&mut connection, &mut body) {
            Poll::Ready(None) => {
                spares.park(connection, now);
                Self::Whole(data)
            }
            Poll::Ready(second) => Self::coming(body, [Some(first), second], Some(connection), spares),
            Poll::Pending => Self::coming(body, [Some(first), None], Some(connection), spares),
        }
    }

    fn coming(
        body: Incoming,
        ahead: Ahead,
        connection: Option<Box<Connection>>,
        spares: &Rc<Spares>,
    ) -> Self {
        Self::Coming(Box::new(Relay { body, ahead, connection, spares: Rc::clone(spares) }))
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        for slot in &mut this.ahead {
            if let Some(frame) = slot.take() {
                return Poll::Ready(Some(frame));
            }
        }
        let Some(connection) = &mut this.connection else { return Pin::new(&mut this.body).poll_frame(cx) };
        let part = std::task::ready!(connection.poll_body(cx, |cx| Pin::new(&mut this.body).poll_frame(cx)));
        match &part {
            Some(Ok(_)) if !this.body.is_end_stream() => (),
            Some(Ok(_)) | None => {
                if let Some(connection) = this.connection.take() {
                    this.spares.park(connection, this.spares.now());
                }
            }
            Some(Err(_)) => this.connection = None,
        }
        Poll::Ready(part)
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.iter().all(Option::is_none) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let frames = self.ahead.iter().flatten().flatten();
        let ahead: u64 = frames.filter_map(Frame::data_ref).map(|data| data.len() as u64).sum();
        match self.body.size_hint().exact() {
            Some(rest) => SizeHint::with_exact(ahead + rest),
            None => SizeHint::default(),
        }
    }
}
