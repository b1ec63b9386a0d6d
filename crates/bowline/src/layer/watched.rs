//! The body of an answer, watched until it is through.

use crate::clock;
use crate::drive::Drive;
use crate::error::BoxError;
use crate::outcome::{GRPC_PUSHBACK_MS, Seen, exhausted_by, grpc_pushback, of_error};
use bowline_model::Deadline;
use bowline_model::decision::{GiveUp, TryEnd};
use bowline_policy::Permit;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::Sleep;

/// The body of an answer, watched until it is through.
///
/// It keeps the call's place in the bulkhead, and it ends with an error when the call's deadline is
/// over. Of a gRPC answer it also reads the outcome from the trailers, which is when a breaker learns of
/// it. Dropping it early cancels the call.
pub struct Watched<B: Body> {
    // `None`: nothing (more) comes. Boxed, so that it can be polled without being pinned in here.
    body: Option<Pin<Box<B>>>,
    /// What was read to see what comes.
    first: Option<Frame<B::Data>>,
    hold: Hold,
    timer: Option<Pin<Box<Sleep>>>,
}

/// What is kept until the body is through.
enum Hold {
    Nothing,
    /// The outcome is known.
    Place(#[expect(dead_code, reason = "held, not read")] Permit),
    /// The outcome comes with the trailers.
    Call(Box<Drive>),
}

impl<B: Body> Watched<B> {
    /// A body with nothing in it.
    pub(super) const fn empty() -> Self {
        Self { body: None, first: None, hold: Hold::Nothing, timer: None }
    }

    /// The body of an answer whose outcome is known.
    pub(super) fn known(body: Pin<Box<B>>, drive: Drive) -> Self {
        let timer = timer(drive.deadline());
        let hold = drive.into_permit().map_or(Hold::Nothing, Hold::Place);
        Self { body: Some(body), first: None, hold, timer }
    }

    /// The body of a gRPC answer whose outcome comes with the trailers. Part of it is about to be handed
    /// through: no try may follow.
    pub(super) fn awaited(body: Pin<Box<B>>, mut drive: Drive) -> Self {
        drive.forbid_retry(GiveUp::Committed);
        let timer = timer(drive.deadline());
        Self { body: Some(body), first: None, hold: Hold::Call(Box::new(drive)), timer }
    }

    /// The same, after what was already read of it.
    pub(super) fn after(self, first: Option<Frame<B::Data>>) -> Self {
        Self { first, ..self }
    }

    /// The call's outcome is known now.
    fn ended(&mut self, seen: Seen) {
        if let Hold::Call(mut drive) = std::mem::replace(&mut self.hold, Hold::Nothing) {
            drive.ended(seen.report(true));
            if let Some(end) = drive.end() {
                drive.finish(&end);
            }
            self.hold = drive.into_permit().map_or(Hold::Nothing, Hold::Place);
        }
    }

    /// Nothing more comes.
    fn over(&mut self) {
        self.body = None;
        self.timer = None;
        self.hold = Hold::Nothing;
    }
}

/// Nothing in it is pinned but what is boxed.
impl<B: Body> Unpin for Watched<B> {}

impl<B> Body for Watched<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let watched = &mut *self;
        if let Some(frame) = watched.first.take() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let Some(body) = &mut watched.body else { return Poll::Ready(None) };
        match body.as_mut().poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    watched.ended(of_trailers(trailers, false));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let error = error.into();
                watched.ended(of_error(&*error));
                watched.over();
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                // gRPC always ends with trailers: without them nobody knows.
                watched.ended(Seen::ended(TryEnd::Malformed));
                watched.over();
                Poll::Ready(None)
            }
            Poll::Pending => {
                if watched.timer.as_mut().is_none_or(|timer| timer.as_mut().poll(cx).is_pending()) {
                    return Poll::Pending;
                }
                watched.ended(Seen::ended(TryEnd::DeadlineExceeded));
                watched.over();
                Poll::Ready(Some(Err(Box::new(DeadlineExceeded))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.first, &self.body) {
            (None, Some(body)) => body.size_hint(),
            (None, None) => SizeHint::with_exact(0),
            (Some(_), _) => SizeHint::new(),
        }
    }
}

impl<B: Body> fmt::Debug for Watched<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let awaits_outcome = matches!(self.hold, Hold::Call(_));
        f.debug_struct("Watched").field("awaits_outcome", &awaits_outcome).finish_non_exhaustive()
    }
}

/// What gRPC's trailers say, wherever they came: behind messages, or `alone` in the place of an answer.
pub(super) fn of_trailers(trailers: &HeaderMap, alone: bool) -> Seen {
    let text = |name| trailers.get(name).and_then(|value| value.to_str().ok());
    // A status that is missing or no number is UNKNOWN (grpc/doc/statuscodes.md).
    let code = text(GRPC_STATUS).and_then(|code| code.parse().ok()).unwrap_or(2);
    let seen = Seen::ended(TryEnd::AnsweredGrpc { code, trailers_only: alone });
    let seen = exhausted_by(trailers, seen);
    text(GRPC_PUSHBACK_MS).map_or(seen, |value| grpc_pushback(seen, value))
}

/// gRPC's outcome.
pub(super) const GRPC_STATUS: &str = "grpc-status";

fn timer(deadline: Deadline) -> Option<Pin<Box<Sleep>>> {
    clock::timer(deadline.instant()).map(|at| Box::pin(tokio::time::sleep_until(at)))
}

/// The call's deadline is over while its answer still comes.
#[derive(Debug)]
struct DeadlineExceeded;

impl fmt::Display for DeadlineExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline exceeded while the answer was coming")
    }
}

impl std::error::Error for DeadlineExceeded {}
