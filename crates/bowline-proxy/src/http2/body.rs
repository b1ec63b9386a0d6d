//! The body of one stream's request.

use crate::gate::wait::{Owed, Wait};
use crate::gate::{GateHandle, Limits, Part, Patience, Reason, Violation, line};
use bowline_call::Clock;
use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use std::error::Error;
use std::task::{Context, Poll, ready};

/// Whatever goes wrong with a body.
type BoxError = Box<dyn Error + Send + Sync>;

/// The body of one stream's request.
#[derive(Debug)]
pub(crate) struct StreamBody {
    stream: RecvStream,
    /// What the head says is still to come, if it does.
    left: Option<u64>,
    room: u64,
    trailers_max: (u32, usize),
    patience: Patience,
    waiting: Wait,
    gate: GateHandle,
    data_ended: bool,
}

impl StreamBody {
    pub(super) fn new(
        stream: RecvStream,
        length: Option<u64>,
        limits: &Limits,
        patience: Patience,
        clock: Clock,
        gate: GateHandle,
    ) -> Self {
        Self {
            left: if stream.is_end_stream() { Some(0) } else { length },
            stream,
            room: limits.body_bytes_max,
            trailers_max: (limits.trailers_max, limits.trailer_bytes_max),
            patience,
            waiting: Wait::new(clock),
            gate,
            data_ended: false,
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.data_ended {
            match self.stream.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => return Poll::Ready(Some(self.passed(data))),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Ready(None) => self.data_ended = true,
                Poll::Pending => return self.poll_patience(cx),
            }
        }
        match self.stream.poll_trailers(cx) {
            Poll::Ready(Ok(None)) => Poll::Ready(None),
            Poll::Ready(Ok(Some(trailers))) => Poll::Ready(Some(self.judged(trailers))),
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error.into()))),
            Poll::Pending => self.poll_patience(cx),
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    fn passed(&mut self, data: Bytes) -> Result<Frame<Bytes>, BoxError> {
        let length = data.len() as u64;
        self.waiting.progressed(data.len(), self.patience.body);
        // The window grows again by what is taken on to the callee, so that a slow callee slows its caller.
        self.stream.flow_control().release_capacity(data.len())?;
        self.room = self.room.checked_sub(length).ok_or_else(|| self.violated(Reason::BodyTooLarge))?;
        self.left = self.left.map(|left| left.saturating_sub(length));
        Ok(Frame::data(data))
    }

    fn judged(&self, trailers: HeaderMap) -> Result<Frame<Bytes>, BoxError> {
        let (count, bytes) = self.trailers_max;
        let size: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if (count as usize) < trailers.len() || bytes < size {
            return Err(self.violated(Reason::TrailersTooLarge).into());
        }
        if !trailers.keys().all(|name| line::is_in_trailers(name.as_str().as_bytes())) {
            return Err(self.violated(Reason::Trailer).into());
        }
        Ok(Frame::trailers(trailers))
    }

    /// Waits for more, unless the caller has kept us waiting for too long.
    fn poll_patience<T>(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, BoxError>>> {
        ready!(self.waiting.poll(Owed::Body, self.patience.body.every, cx));
        Poll::Ready(Some(Err(self.violated(Reason::BodyTooSlow).into())))
    }

    fn violated(&self, reason: Reason) -> Violation {
        let violation = Violation { reason, part: Part::Body };
        self.gate.violate(violation);
        violation
    }
}
