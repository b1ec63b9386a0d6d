//! The gate around a socket, as hyper reads and writes it.
//!
//! Every read is judged by the [`Machine`] before hyper gets it. After a violation hyper gets nothing
//! more. In a body the read fails at once, and the handler that has the request decides what to say. In a
//! head the gate waits until the requests before it are answered and flushed, answers itself, lingers, and
//! only then ends the read, so that hyper never writes again.
//!
//! While a request is under way the gate watches for a caller that leaves, so that no work goes on for nobody. hyper
//! can do that, too, but reads into a buffer of its own for it, which is 8 KiB more for each connection that is busy.

use super::handle::{GateHandle, Shared};
use super::limits::{Limits, Patience};
use super::machine::{Machine, Phase};
use super::refusal::{Refusal, discard};
use super::scratch;
use super::violation::{Part, Reason, Violation};
use super::wait::{Owed, Wait};
use bowline_call::Clock;
use bytes::Bytes;
use hyper::rt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is read ahead of an answer at most: as much as hyper would take in.
const AHEAD_MAX: usize = 8 << 10;

/// A socket behind the gate. See the [module](self).
#[derive(Debug)]
pub struct Gated<T> {
    io: T,
    clock: Clock,
    patience: Patience,
    machine: Machine,
    shared: Rc<Shared>,
    /// Requests that were answered when hyper last flushed: their answers have left.
    flushed: u64,
    /// What may pass and waits for room in hyper's buffer, or for hyper to read: heads that arrived in pieces, and
    /// what was sent before the answer.
    overflow: Bytes,
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
    /// Puts the gate before `io`, from which nothing was read yet.
    #[must_use]
    pub fn new(io: T, clock: Clock, limits: Limits, patience: Patience) -> (Self, GateHandle) {
        let shared = Rc::new(Shared::default());
        let handle = GateHandle::new(Rc::clone(&shared));
        let gated = Self {
            io,
            clock,
            discard_left: patience.linger_bytes_max,
            patience,
            machine: Machine::new(limits),
            shared,
            flushed: 0,
            overflow: Bytes::new(),
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
        (self.io, self.overflow)
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
    /// Reads once and judges what came: into hyper's buffer, or ahead of it.
    fn poll_judged(
        &mut self,
        cx: &mut Context<'_>,
        cursor: Option<&mut rt::ReadBufCursor<'_>>,
    ) -> Poll<io::Result<()>> {
        scratch::with(|buffer| {
            let room = cursor.as_ref().map_or(AHEAD_MAX, |cursor| cursor.remaining()).min(buffer.len());
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
            match cursor {
                Some(cursor) if judged.earlier.is_empty() => cursor.put_slice(now),
                _ => {
                    let mut whole = judged.earlier;
                    whole.extend_from_slice(now);
                    self.overflow = whole.into();
                }
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Gives hyper what fits of what did not fit before.
    fn pass_overflow(&mut self, cursor: &mut rt::ReadBufCursor<'_>) {
        let fitting = self.overflow.len().min(cursor.remaining());
        cursor.put_slice(&self.overflow.split_to(fitting));
    }

    /// Waits for more to read, unless the client has kept us waiting for too long.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.machine.set_answered(self.shared.answered.get());
        let (owed, patience) = self.owed();
        ready!(self.reading.poll(owed, patience, cx));
        match owed {
            Owed::Head => self.stop(Violation { reason: Reason::HeadTooSlow, part: Part::Head }),
            Owed::Body => self.stop(Violation { reason: Reason::BodyTooSlow, part: Part::Body }),
            Owed::Nothing | Owed::Request | Owed::Reading => self.end = End::Closed,
        }
        self.poll_end(cx)
    }

    /// What a read answers once the good bytes are over.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let violation = match self.end {
            End::Open => return Poll::Pending,
            End::Closed => return Poll::Ready(Ok(())),
            End::Stopped(violation) => violation,
        };
        if violation.part == Part::Head {
            if self.refusal.is_none() && self.flushed < self.shared.passed.get() {
                return self.poll_discard(cx);
            }
            let (clock, patience) = (self.clock, &self.patience);
            let refusal = self.refusal.get_or_insert_with(|| Refusal::answer(violation, clock, patience));
            ready!(refusal.poll(&mut self.io, cx));
        }
        Poll::Ready(Err(violation.into()))
    }

    /// Waits for an answer under way to leave, and for the client to leave, whichever is first.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        *self.shared.waiting.borrow_mut() = Some(cx.waker().clone());
        while 0 < self.discard_left {
            let some = ready!(discard(&mut self.io, cx));
            if some == 0 {
                self.end = End::Closed;
                return Poll::Ready(Ok(()));
            }
            self.discard_left = self.discard_left.saturating_sub(some);
        }
        Poll::Pending
    }

    /// Reads ahead while a request is under way and hyper does not read: once something is there, it waits until hyper
    /// does. An error once the caller is gone.
    fn watch_caller(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let idle = self.shared.unanswered() == 0;
        if idle || self.shared.tunnel.get() || self.machine.phase() == Phase::Body {
            return Ok(());
        }
        while self.end == End::Open && self.overflow.is_empty() {
            match self.poll_judged(cx, None) {
                Poll::Ready(read) => read?,
                Poll::Pending => {
                    let _ = self.poll_patience(cx)?;
                    break;
                }
            }
        }
        // What is behind a good request and bad is thrown away until that one is answered.
        if self.overflow.is_empty() && matches!(self.end, End::Stopped(_)) {
            let _ = self.poll_discard(cx)?;
        }
        match self.end {
            End::Closed => Err(io::ErrorKind::ConnectionAborted.into()),
            End::Open | End::Stopped(_) => Ok(()),
        }
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
}

// === impl rt::Read, rt::Write ===

impl<T: AsyncRead + AsyncWrite + Unpin> rt::Read for Gated<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let room = cursor.remaining();
        while cursor.remaining() == room {
            if !self.overflow.is_empty() {
                self.pass_overflow(&mut cursor);
            } else if self.end != End::Open {
                return self.poll_end(cx);
            } else {
                match self.poll_judged(cx, Some(&mut cursor)) {
                    Poll::Ready(end) => end?,
                    Poll::Pending => return self.poll_patience(cx),
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> rt::Write for Gated<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.watch_write(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.watch_write(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        // hyper flushes the socket when all it had to write is written.
        self.flushed = self.shared.answered.get();
        self.writing.done();
        let (owed, patience) = self.owed();
        if self.end != End::Open {
            self.shared.wake();
        } else if owed == Owed::Request && self.reading.blocked && self.reading.owed != owed {
            // hyper reads again only when there is something to read, so the wait begins here.
            let _ = self.reading.poll(owed, patience, cx);
        }
        // hyper flushes in every poll, whatever it waits for.
        Poll::Ready(self.watch_caller(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let owes_bytes = match this.end {
            End::Open => this.machine.phase() != Phase::Between,
            End::Closed => false,
            End::Stopped(_) => true,
        };
        if !owes_bytes {
            return Pin::new(&mut this.io).poll_shutdown(cx);
        }
        // The answer has gone out before the request was all in, or because it was bad.
        let (clock, patience) = (this.clock, &this.patience);
        let refusal = this.refusal.get_or_insert_with(|| Refusal::close(clock, patience));
        refusal.poll(&mut this.io, cx).map(Ok)
    }
}
