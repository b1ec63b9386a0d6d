//! The gate around a socket, as the server reads and writes it.
//!
//! Every read is judged by the [`Machine`] before the server gets it. After a violation the server gets nothing
//! more. In a body the read fails at once, and the handler that has the request decides what to say. In a
//! head the gate answers itself once the requests before it are answered, lingers, and only then ends the read.
//!
//! While a request is under way the gate watches for a caller that leaves, so that no work goes on for nobody.

use super::handle::{GateHandle, Shared};
use super::limits::{Limits, Patience};
use super::machine::{Machine, Phase};
use super::refusal::{Refusal, discard};
use super::scratch;
use super::violation::{Part, Reason, Violation};
use super::wait::{Owed, Wait};
use bowline_call::Clock;
use bytes::Bytes;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What one read takes at most where no body is: a few heads. What is read ahead of an answer is kept until then.
const HEADS_MAX: usize = 8 << 10;

/// A socket behind the gate. See the [module](self).
#[derive(Debug)]
pub struct Gated<T> {
    io: T,
    clock: Clock,
    patience: Rc<Patience>,
    machine: Machine,
    shared: Rc<Shared>,
    /// What may pass.
    input: Bytes,
    end: End,
    refusal: Option<Refusal>,
    /// What may still be thrown away while an answer is under way and the next request is known to be bad.
    discard_left: usize,
    reading: Wait,
    writing: Wait,
}

/// How far the reading side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// The client has shut its side, or was idle for too long: nothing is due to it.
    Closed,
    /// Nothing more is passed on.
    Stopped(Violation),
}

impl<T> Gated<T> {
    /// Puts the gate before `io`, from which nothing was read yet. A thread's connections may share their patience.
    #[must_use]
    pub fn new(io: T, clock: Clock, limits: Limits, patience: impl Into<Rc<Patience>>) -> (Self, GateHandle) {
        let (shared, patience) = (Rc::new(Shared::default()), patience.into());
        let handle = GateHandle::new(Rc::clone(&shared));
        let gated = Self {
            io,
            clock,
            discard_left: patience.linger_bytes_max,
            patience,
            machine: Machine::new(limits),
            shared,
            input: Bytes::new(),
            end: End::Open,
            refusal: None,
            reading: Wait::new(clock),
            writing: Wait::new(clock),
        };
        (gated, handle)
    }

    /// The socket.
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// The socket, to be used without the gate from now on, and what was read from it and not passed on.
    pub fn into_parts(self) -> (T, Bytes) {
        (self.io, self.input)
    }

    /// What was judged and may be taken: a head is here in whole or not at all.
    pub fn input(&mut self) -> &mut Bytes {
        &mut self.input
    }

    /// Refuses the head that was just taken; nothing is under way. [`poll_fill`](Self::poll_fill) tells the caller.
    pub fn refuse(&mut self, violation: Violation) {
        self.stop(violation);
        self.input = Bytes::new();
    }

    fn stop(&mut self, violation: Violation) {
        self.end = End::Stopped(violation);
        self.shared.violation.set(Some(violation));
        self.reading.done();
    }

    /// Keeps the books after `bytes` more were read and judged.
    fn note_read(&mut self, bytes: usize) {
        let heads = self.machine.heads();
        let next_head = self.shared.passed.replace(heads) != heads;
        self.reading.blocked = false;
        match self.reading.owed {
            // The same head has to be complete in one time, however often a byte of it arrives.
            Owed::Head if !next_head => (),
            Owed::Body if !next_head && self.machine.phase() == Phase::Body => {
                self.reading.progressed(bytes, self.patience.body);
            }
            _ => self.reading.done(),
        }
    }

    /// What the client owes us while a read waits, and for how long.
    fn owed(&self) -> (Owed, Duration) {
        match self.machine.phase() {
            Phase::Between if self.shared.unanswered() == 0 => (Owed::Request, self.patience.idle),
            Phase::Head => (Owed::Head, self.patience.head),
            Phase::Body => (Owed::Body, self.patience.body.every),
            Phase::Between | Phase::Tunnel => (Owed::Nothing, Duration::ZERO),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Gated<T> {
    /// Waits until there is [`input`](Self::input); if there is none, the client has ended.
    ///
    /// # Errors
    /// The socket's, or a [`Violation`]; in a head the caller has been told then.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.input.is_empty() {
            if self.end != End::Open {
                return self.poll_end(cx);
            }
            match self.poll_judged(cx) {
                Poll::Ready(read) => read?,
                Poll::Pending => return self.poll_patience(cx),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once and judges what came.
    fn poll_judged(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        scratch::with(|buffer| {
            let room = if self.machine.phase() == Phase::Body { buffer.len() } else { HEADS_MAX };
            let mut buffer = ReadBuf::new(&mut buffer[..room]);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            let bytes = buffer.filled();
            if bytes.is_empty() {
                self.end = End::Closed;
                return Poll::Ready(Ok(()));
            }
            if self.shared.tunnel.get() {
                self.machine.grant_tunnel();
            }
            self.machine.set_answered(self.shared.answered.get());
            let judged = self.machine.feed(bytes);
            self.note_read(bytes.len());
            if self.machine.phase() == Phase::Tunnel {
                self.shared.asks.set(true);
            }
            if let Some(violation) = judged.violation {
                self.stop(violation);
            }
            let now = &bytes[..judged.now];
            self.input = if judged.earlier.is_empty() {
                Bytes::copy_from_slice(now)
            } else {
                let mut whole = judged.earlier;
                whole.extend_from_slice(now);
                whole.into()
            };
            Poll::Ready(Ok(()))
        })
    }

    /// Waits for more to read, unless the client has kept us waiting for too long.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_slow(cx));
        self.poll_end(cx)
    }

    /// Ready once the client has kept us waiting for too long.
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.machine.set_answered(self.shared.answered.get());
        let (owed, patience) = self.owed();
        ready!(self.reading.poll(owed, patience, cx));
        match owed {
            Owed::Head => self.stop(Violation { reason: Reason::HeadTooSlow, part: Part::Head }),
            Owed::Body => self.stop(Violation { reason: Reason::BodyTooSlow, part: Part::Body }),
            Owed::Nothing | Owed::Request | Owed::Reading => self.end = End::Closed,
        }
        Poll::Ready(())
    }

    /// What a read answers once the good bytes are over.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let violation = match self.end {
            End::Open => return Poll::Pending,
            End::Closed => return Poll::Ready(Ok(())),
            End::Stopped(violation) => violation,
        };
        if violation.part == Part::Head {
            let (clock, patience) = (self.clock, &*self.patience);
            let refusal = self.refusal.get_or_insert_with(|| Refusal::answer(violation, clock, patience));
            ready!(refusal.poll(&mut self.io, cx));
        }
        Poll::Ready(Err(violation.into()))
    }

    /// Looks after the caller of a request that is under way and all here. What it sends ahead is kept.
    ///
    /// # Errors
    /// The caller is gone.
    pub fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.shared.tunnel.get() {
            return Ok(());
        }
        while self.end == End::Open && self.input.is_empty() {
            match self.poll_judged(cx) {
                Poll::Ready(read) => read?,
                Poll::Pending => {
                    let _ = self.poll_slow(cx);
                    return Ok(());
                }
            }
        }
        // What is bad and behind a good request is refused once that one is answered, and thrown away until then.
        while self.input.is_empty() && matches!(self.end, End::Stopped(_)) && 0 < self.discard_left {
            match discard(&mut self.io, cx) {
                Poll::Ready(0) => self.end = End::Closed,
                Poll::Ready(some) => self.discard_left = self.discard_left.saturating_sub(some),
                Poll::Pending => return Ok(()),
            }
        }
        if self.end == End::Closed { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Watches the pace at which the client reads.
    fn watch_write(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => self.writing.progressed(*bytes, self.patience.reader),
            Poll::Ready(Err(_)) => (),
            Poll::Pending => {
                ready!(self.writing.poll(Owed::Reading, self.patience.reader.every, cx));
                let violation = Violation { reason: Reason::ReaderTooSlow, part: Part::Body };
                self.stop(violation);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, violation)));
            }
        }
        written
    }

    /// Writes some of `bytes`.
    ///
    /// # Errors
    /// The socket's; `TimedOut` if the client reads too slowly.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.watch_write(written, cx)
    }

    /// Writes some of `slices`.
    ///
    /// # Errors
    /// As [`poll_write`](Self::poll_write)'s.
    pub fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.watch_write(written, cx)
    }

    /// Ready once all that was written has left.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.writing.done();
        Poll::Ready(Ok(()))
    }

    /// Ends the connection so that the client can read all that it was told.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let owes_bytes = match self.end {
            End::Open => self.machine.phase() != Phase::Between,
            End::Closed => false,
            End::Stopped(_) => true,
        };
        if !owes_bytes {
            return Pin::new(&mut self.io).poll_shutdown(cx);
        }
        // The answer has gone out before the request was all in, or because it was bad.
        let (clock, patience) = (self.clock, &*self.patience);
        let refusal = self.refusal.get_or_insert_with(|| Refusal::close(clock, patience));
        refusal.poll(&mut self.io, cx).map(Ok)
    }
}
