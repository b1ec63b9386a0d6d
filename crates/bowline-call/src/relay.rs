//! An answer's body, passed on as it comes.
//!
//! Most answers are small and arrive with their head: then the body is whole already, the connection is
//! free again before the caller has read a byte, and nothing is left to drive. A longer body keeps its
//! connection, and whoever reads the body drives it.

use crate::connection::{Broken, Connection};
use crate::incoming::Part;
use crate::pool::Spares;
use bowline_model::Instant;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// An answer's body.
#[derive(Debug)]
pub enum AnswerBody {
    /// All of it is here, perhaps nothing.
    Whole(Bytes),
    /// It is still coming.
    Coming(Box<Relay>),
}

/// What was read of a body before it was known whether that is all.
type Ahead = [Option<Result<Part, Broken>>; 2];

/// A body that is still coming. Dropping it before its end closes the connection.
#[derive(Debug)]
pub struct Relay {
    ahead: Ahead,
    /// Bytes that are still to come; `None` if the answer does not say.
    left: Option<u64>,
    /// `None` once the body is through.
    connection: Option<Box<Connection>>,
    spares: Rc<Spares>,
}

impl AnswerBody {
    /// Takes over what follows an answer's head, and reads what is already there. `length`: that of the
    /// body, where the head says it.
    pub(crate) fn new(
        mut connection: Box<Connection>,
        length: Option<u64>,
        spares: &Rc<Spares>,
        now: Instant,
    ) -> Self {
        let whole = |connection, bytes| {
            spares.park(connection, now);
            Self::Whole(bytes)
        };
        let coming = |connection, ahead| {
            let spares = Rc::clone(spares);
            Self::Coming(Box::new(Relay { ahead, left: length, connection: Some(connection), spares }))
        };
        if !connection.is_sent() {
            // An early answer. Whether the rest of the request is wanted is known when it is passed on.
            return coming(connection, [None, None]);
        }
        if connection.is_through() {
            return whole(connection, Bytes::new());
        }
        let first = match connection.ready_part() {
            Ok(Some(Part::Data(bytes))) if connection.is_through() => return whole(connection, bytes),
            Ok(None) if connection.is_through() => return whole(connection, Bytes::new()),
            Ok(None) => None,
            first => first.transpose(),
        };
        let second = match &first {
            Some(Ok(_)) => connection.ready_part().transpose(),
            _ => None,
        };
        match (first, second) {
            (Some(Ok(Part::Data(bytes))), None) if connection.is_through() => whole(connection, bytes),
            (first, second) => coming(connection, [first, second]),
        }
    }
}

impl AnswerBody {
    /// The answer is passed on, no other try follows. One without a body is whole then, although its request
    /// is not through: the rest of that goes out by itself.
    #[must_use]
    pub fn passed_on(self) -> Self {
        match self {
            Self::Coming(mut relay) if relay.left == Some(0) => {
                if let Some(connection) = relay.connection.take() {
                    let now = relay.spares.now();
                    relay.spares.park(connection, now);
                }
                Self::Whole(Bytes::new())
            }
            other => other,
        }
    }
}

impl Relay {
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Part, Broken>>> {
        for slot in &mut self.ahead {
            if let Some(part) = slot.take() {
                return Poll::Ready(Some(part));
            }
        }
        match &mut self.connection {
            Some(connection) => connection.poll_part(cx),
            None => Poll::Ready(None),
        }
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let part = ready!(self.next(cx));
        let through = self.connection.as_ref().is_some_and(|connection| connection.is_through());
        if through
            && self.ahead.iter().all(Option::is_none)
            && let Some(connection) = self.connection.take()
        {
            let now = self.spares.now();
            self.spares.park(connection, now);
        }
        Poll::Ready(part.map(|part| match part {
            Ok(Part::Data(bytes)) => {
                self.left = self.left.map(|left| left.saturating_sub(bytes.len() as u64));
                Ok(Frame::data(bytes))
            }
            Ok(Part::Trailers(trailers)) => Ok(Frame::trailers(trailers)),
            Err(broken) => {
                self.connection = None;
                Err(broken)
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none() && self.ahead.iter().all(Option::is_none)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
