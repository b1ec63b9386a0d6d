//! An answer's body, passed on as it comes.
//!
//! Most answers are small and arrive with their head: then the body is whole already, the connection is
//! free again before the caller has read a byte, and nothing is left to drive. A longer body keeps its
//! connection, and whoever reads the body drives it.

use crate::connection::{Broken, Connection};
use crate::http2;
use crate::incoming::Part;
use crate::pool::Spares;
use crate::switched::Switched;
use bowline_model::Instant;
use bytes::Bytes;
use http::HeaderMap;
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
    /// There is none: the connection speaks another protocol now.
    Switched(Switched),
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
    from: Option<From>,
    spares: Rc<Spares>,
}

/// What an answer comes over, and what is left to read of it.
#[derive(Debug)]
pub(crate) enum From {
    /// A connection of its own.
    One(Box<Connection>),
    /// One of many on a connection.
    Two(http2::Incoming),
}

impl From {
    fn is_sent(&self) -> bool {
        match self {
            Self::One(connection) => connection.is_sent(),
            Self::Two(incoming) => incoming.is_sent(),
        }
    }

    fn is_through(&self) -> bool {
        match self {
            Self::One(connection) => connection.is_through(),
            Self::Two(incoming) => incoming.is_through(),
        }
    }

    fn ready_part(&mut self) -> Result<Option<Part>, Broken> {
        match self {
            Self::One(connection) => connection.ready_part(),
            Self::Two(incoming) => incoming.ready_part(),
        }
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Part, Broken>>> {
        match self {
            Self::One(connection) => connection.poll_part(cx),
            Self::Two(incoming) => incoming.poll_part(cx),
        }
    }

    /// All of the answer is through: what it came over may serve the next.
    fn finish(self, spares: &Spares, now: Instant) {
        match self {
            Self::One(connection) => spares.park(connection, now),
            Self::Two(incoming) => incoming.finish(),
        }
    }
}

impl AnswerBody {
    /// Takes over what follows an answer's head, and reads what is already there. `length`: that of the
    /// body, where the head says it.
    pub(crate) fn new(mut from: From, length: Option<u64>, spares: &Rc<Spares>, now: Instant) -> Self {
        let whole = |from: From, bytes| {
            from.finish(spares, now);
            Self::Whole(bytes)
        };
        let coming = |from, ahead| {
            let spares = Rc::clone(spares);
            Self::Coming(Box::new(Relay { ahead, left: length, from: Some(from), spares }))
        };
        if !from.is_sent() {
            // An early answer. Whether the rest of the request is wanted is known when it is passed on.
            return coming(from, [None, None]);
        }
        if from.is_through() {
            return whole(from, Bytes::new());
        }
        let first = match from.ready_part() {
            Ok(Some(Part::Data(bytes))) if from.is_through() => return whole(from, bytes),
            Ok(None) if from.is_through() => return whole(from, Bytes::new()),
            Ok(None) => None,
            first => first.transpose(),
        };
        let second = match &first {
            Some(Ok(_)) => from.ready_part().transpose(),
            _ => None,
        };
        match (first, second) {
            (Some(Ok(Part::Data(bytes))), None) if from.is_through() => whole(from, bytes),
            (first, second) => coming(from, [first, second]),
        }
    }
}

impl AnswerBody {
    /// What follows an answer of 101.
    pub(crate) fn switched(from: From) -> Self {
        let switched = match from {
            From::One(connection) => connection.switched(),
            From::Two(_) => None,
        };
        switched.map_or(Self::Whole(Bytes::new()), Self::Switched)
    }

    /// Its trailers, where they are here although nobody has asked for anything.
    pub(crate) fn trailers(&self) -> Option<&HeaderMap> {
        let Self::Coming(relay) = self else { return None };
        relay.ahead.iter().find_map(|part| match part {
            Some(Ok(Part::Trailers(trailers))) => Some(trailers),
            _ => None,
        })
    }

    /// The answer is passed on, no other try follows. One without a body is whole then, although its request
    /// is not through: the rest of that goes out by itself.
    #[must_use]
    pub fn passed_on(self) -> Self {
        match self {
            Self::Coming(mut relay) if relay.left == Some(0) => {
                if let Some(from) = relay.from.take() {
                    from.finish(&relay.spares, relay.spares.now());
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
        match &mut self.from {
            Some(from) => from.poll_part(cx),
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
        let through = self.from.as_ref().is_some_and(From::is_through);
        if through
            && self.ahead.iter().all(Option::is_none)
            && let Some(from) = self.from.take()
        {
            from.finish(&self.spares, self.spares.now());
        }
        Poll::Ready(part.map(|part| match part {
            Ok(Part::Data(bytes)) => {
                self.left = self.left.map(|left| left.saturating_sub(bytes.len() as u64));
                Ok(Frame::data(bytes))
            }
            Ok(Part::Trailers(trailers)) => Ok(Frame::trailers(trailers)),
            Err(broken) => {
                self.from = None;
                Err(broken)
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.from.is_none() && self.ahead.iter().all(Option::is_none)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
