//! The answer to a refused request, and the close after it.
//!
//! Why linger: closing a socket on which unread bytes wait makes the kernel send a reset, and a reset
//! makes the client's kernel throw away the answer it has not read yet. So after the answer our side is
//! shut, and what still arrives is thrown away for a little while.

use super::limits::Patience;
use super::scratch;
use super::violation::Violation;
use bowline_call::{Alarm, Clock};
use bowline_model::Instant;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Answers `violation` on `io` and closes it so that the client sees the answer.
///
/// Only where no response is under way; [`super::Gated`] sees to that for what it refuses itself.
///
/// # Cancel safety
/// Dropping the future leaves the answer half written; close the socket then.
pub async fn refuse<T: AsyncRead + AsyncWrite + Unpin>(
    io: &mut T,
    violation: Violation,
    clock: Clock,
    patience: &Patience,
) {
    let mut refusal = Refusal::answer(violation, clock, patience);
    poll_fn(|cx| refusal.poll(io, cx)).await;
}

/// Parts from a client that was told why: shuts, and lets it read that, within our patience.
pub(crate) async fn part<T: AsyncRead + AsyncWrite + Unpin>(io: &mut T, clock: Clock, patience: &Patience) {
    let mut refusal = Refusal::close(clock, patience);
    poll_fn(|cx| refusal.poll(io, cx)).await;
}

/// The bytes of the answer to `violation`.
#[must_use]
pub fn answer(violation: Violation) -> String {
    let status = violation.reason.status();
    let phrase = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let sentence = violation.reason.sentence();
    format!(
        "HTTP/1.1 {status} {phrase}\r\n\
         content-type: text/plain; charset=utf-8\r\n\
         content-length: {length}\r\n\
         connection: close\r\n\
         \r\n\
         {sentence}\n",
        phrase = phrase.unwrap_or("Refused"),
        length = sentence.len() + 1,
    )
}

/// An answer, a shut and a drain, in order and in bounds.
#[derive(Debug)]
pub(crate) struct Refusal {
    step: Step,
    until: Instant,
    alarm: Alarm,
    drain_left: usize,
}

#[derive(Debug)]
enum Step {
    Write { answer: Vec<u8>, written: usize },
    Shut,
    Drain,
}

impl Refusal {
    pub(super) fn answer(violation: Violation, clock: Clock, patience: &Patience) -> Self {
        let answer = answer(violation).into_bytes();
        Self { step: Step::Write { answer, written: 0 }, ..Self::close(clock, patience) }
    }

    /// No answer of our own: the server has written one, or none is due.
    pub(crate) fn close(clock: Clock, patience: &Patience) -> Self {
        Self {
            step: Step::Shut,
            until: clock.now() + patience.linger,
            alarm: Alarm::new(clock),
            drain_left: patience.linger_bytes_max,
        }
    }

    /// Ready once the client has closed, too, or has used up our patience. Errors end it as well: there
    /// is nobody left to be polite to.
    pub(crate) fn poll<T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if self.alarm.poll(self.until, cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            match &mut self.step {
                Step::Write { answer, written } if *written < answer.len() => {
                    match ready!(Pin::new(&mut *io).poll_write(cx, &answer[*written..])) {
                        Ok(0) | Err(_) => return Poll::Ready(()),
                        Ok(some) => *written += some,
                    }
                }
                Step::Write { .. } => self.step = Step::Shut,
                Step::Shut => match ready!(Pin::new(&mut *io).poll_shutdown(cx)) {
                    Ok(()) => self.step = Step::Drain,
                    Err(_) => return Poll::Ready(()),
                },
                Step::Drain => match ready!(discard(io, cx)) {
                    0 => return Poll::Ready(()),
                    some if self.drain_left <= some => return Poll::Ready(()),
                    some => self.drain_left -= some,
                },
            }
        }
    }
}

/// Reads once and forgets it; answers how much, and 0 for the end or an error.
pub(super) fn discard<T: AsyncRead + Unpin>(io: &mut T, cx: &mut Context<'_>) -> Poll<usize> {
    scratch::with(|buffer| {
        let mut buffer = ReadBuf::new(buffer);
        let end = ready!(Pin::new(io).poll_read(cx, &mut buffer));
        Poll::Ready(if end.is_ok() { buffer.filled().len() } else { 0 })
    })
}
