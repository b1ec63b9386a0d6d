//! The watch around a socket that speaks HTTP/2.
//!
//! As the gate does for HTTP/1, it sees the bytes before the server does: floods end here, before they cost more than
//! nine bytes each, and a client that is slow in the middle of a frame, or to read, is not waited for. It also sees what
//! the server answers by itself, because that is where the server's own verdicts can be counted.
//!
//! The library flushes behind each frame of data. What leaves in one turn of a connection is gathered here and written at
//! the turn's end: a system call costs more than copying what it writes.

use super::frames::{Frames, Head, Seen, kind};
use super::judge::Judge;
use crate::gate::refusal::Refusal;
use crate::gate::wait::{Owed, Wait};
use crate::gate::{Patience, Reason};
use crate::worker::Worker;
use bowline_call::Clock;
use h2::{Reason as Code, StreamId};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What an HTTP/2 connection begins with (RFC 9113, 3.4).
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is gathered before it is written: as much as one write takes well, and not more than a connection may hold.
const GATHERED_MAX: usize = 32 << 10;

/// What is not copied first: 8 KiB, where copying begins to cost what the system call does.
const LARGE: usize = 8 << 10;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A socket under watch.
#[derive(Debug)]
pub(super) struct Watched<T> {
    io: T,
    worker: Rc<Worker>,
    clock: Clock,
    judge: Judge,
    arriving: Frames,
    leaving: Frames,
    /// The stream that the server last answered by itself.
    refused: u32,
    watch: Rc<Watch>,
    ended: bool,
    /// Whether the server gives up the connection.
    gives_up: bool,
    closing: Option<Refusal>,
    /// What is to be written.
    gathered: Vec<u8>,
    written: usize,
    reading: Wait,
    writing: Wait,
}

/// What the watch has found.
#[derive(Debug, Default)]
pub(super) struct Watch {
    violation: Cell<Option<Reason>>,
    /// Whether what leaves is gathered for now.
    gathers: Cell<bool>,
    /// Whether something was gathered and has not left.
    holds: Cell<bool>,
    /// Streams whose answer or trailers are ours and have not left yet.
    ours: RefCell<Vec<u32>>,
}

impl Watch {
    /// Why nothing more is read, if so.
    pub(super) const fn violation(&self) -> Option<Reason> {
        self.violation.get()
    }

    /// From here on what leaves is gathered, or is written when the library flushes.
    pub(super) fn gather(&self, gathers: bool) {
        self.gathers.set(gathers);
    }

    /// Whether something was gathered and has not left: a flush is due.
    pub(super) fn holds(&self) -> bool {
        self.holds.get()
    }

    /// An answer of ours on `stream`, or its trailers, are about to be sent.
    pub(super) fn answers(&self, stream: StreamId) {
        self.ours.borrow_mut().push(stream.into());
    }

    /// Fields leave on `stream`; whether they are ours.
    fn left(&self, stream: u32) -> bool {
        let mut ours = self.ours.borrow_mut();
        let found = ours.iter().position(|own| *own == stream);
        found.map(|at| ours.swap_remove(at)).is_some()
    }

    /// The stream is over; what of it has not left never will.
    fn is_over(&self, stream: u32) {
        self.ours.borrow_mut().retain(|own| *own != stream);
    }
}

impl<T> Watched<T> {
    pub(super) fn new(io: T, worker: Rc<Worker>) -> (Self, Rc<Watch>) {
        let clock = worker.clock();
        let watch = Rc::new(Watch::default());
        let watched = Self {
            io,
            judge: Judge::new(&worker.shared().limits.http2, clock.now()),
            arriving: Frames::after(PREFACE.len() as u32),
            leaving: Frames::after(0),
            refused: 0,
            watch: Rc::clone(&watch),
            ended: false,
            gives_up: false,
            closing: None,
            gathered: Vec::new(),
            written: 0,
            reading: Wait::new(clock),
            writing: Wait::new(clock),
            clock,
            worker,
        };
        (watched, watch)
    }

    fn patience(&self) -> &Patience {
        &self.worker.shared().limits.patience
    }

    fn violate(&mut self, reason: Reason) {
        if self.watch.violation.get().is_none() {
            self.watch.violation.set(Some(reason));
            self.worker.shared().metrics.violated(reason);
        }
        self.reading.done();
    }

    /// Judges what arrived; how much of it the server may have.
    fn judge(&mut self, bytes: &[u8]) -> usize {
        let (judge, watch, now) = (&mut self.judge, &self.watch, self.clock.now());
        let fed = self.arriving.feed(bytes, |seen| match seen {
            Seen::Frame(frame) => judge.arrived(frame, now),
            Seen::Code(frame, _) => {
                watch.is_over(frame.stream);
                Ok(())
            }
        });
        let passed = match fed {
            Ok(()) => bytes.len(),
            Err((before, reason)) => {
                self.violate(reason);
                before
            }
        };
        self.reading.blocked = false;
        match (self.reading.owed, self.owed().0) {
            // The same fields have to be complete in one time, however often a byte of them arrives.
            (Owed::Head, Owed::Head) => (),
            (Owed::Body, Owed::Body) => {
                let pace = self.patience().body;
                self.reading.progressed(bytes.len(), pace);
            }
            _ => self.reading.done(),
        }
        passed
    }

    /// What the client owes while a read waits, and for how long.
    fn owed(&self) -> (Owed, Duration) {
        let is_data = |frame: &Head| frame.kind == kind::DATA && frame.stream != 0;
        let patience = self.patience();
        if self.arriving.inside().is_some_and(is_data) && !self.judge.is_in_fields() {
            (Owed::Body, patience.body.every)
        } else if !self.arriving.is_between() || self.judge.is_in_fields() {
            (Owed::Head, patience.head)
        } else {
            (Owed::Nothing, Duration::ZERO)
        }
    }

    /// Follows what left.
    fn left(&mut self, bytes: &[u8]) {
        let Self { judge, watch, refused, gives_up, worker, .. } = self;
        let metrics = &worker.shared().metrics;
        let judged = watch.violation.get().is_some();
        let _ = self.leaving.feed(bytes, |seen| {
            match seen {
                Seen::Frame(frame) => {
                    judge.sent(frame);
                    if frame.kind == kind::HEADERS && !watch.left(frame.stream) {
                        // Only fields beyond the limit are answered by the server itself, with 431.
                        *refused = frame.stream;
                        metrics.violated(Reason::HeadTooLarge);
                    }
                }
                Seen::Code(frame, code) => {
                    *gives_up |= frame.kind == kind::GOAWAY && code != 0;
                    watch.is_over(frame.stream);
                    if let Some(reason) = verdict(frame, code, *refused, judged) {
                        metrics.violated(reason);
                    }
                }
            }
            Ok::<(), Infallible>(())
        });
    }
}

/// What the server itself found wrong, by the code it sends. Our own resets use other codes. `refused`: the stream that
/// it last answered by itself; `judged`: the watch has spoken already.
fn verdict(frame: Head, code: u32, refused: u32, judged: bool) -> Option<Reason> {
    match (frame.kind, Code::from(code)) {
        (kind::RST_STREAM, Code::PROTOCOL_ERROR) => {
            (frame.stream != refused).then_some(Reason::StreamMalformed)
        }
        (kind::RST_STREAM, Code::REFUSED_STREAM) => Some(Reason::StreamsTooMany),
        (kind::RST_STREAM, Code::NO_ERROR | Code::CANCEL | Code::INTERNAL_ERROR) => None,
        (kind::GOAWAY, Code::NO_ERROR) => None,
        (kind::GOAWAY, _) if judged => None,
        (kind::GOAWAY, Code::ENHANCE_YOUR_CALM) => Some(Reason::FrameFlood),
        _ => Some(Reason::FrameMalformed),
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Watched<T> {
    /// Writes what was gathered.
    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.gathered.len() {
            let written = Pin::new(&mut self.io).poll_write(cx, &self.gathered[self.written..]);
            match ready!(self.watch_write(written, cx))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                some => self.written += some,
            }
        }
        self.watch.holds.set(false);
        self.written = 0;
        self.gathered.clear();
        let buffer = std::mem::take(&mut self.gathered);
        // The next connection of this thread gathers in it.
        if buffer.capacity() <= 2 * GATHERED_MAX {
            BUFFER.set(buffer);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes `slices` in, or writes them where they lie if they are large.
    fn poll_gather(&mut self, slices: &[IoSlice<'_>], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let size: usize = slices.iter().map(|slice| slice.len()).sum();
        let small = self.watch.gathers.get() && size < LARGE;
        if !small || GATHERED_MAX <= self.gathered.len() {
            ready!(self.poll_gathered(cx))?;
        }
        if !small {
            let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
            if let Poll::Ready(Ok(some)) = written {
                self.leave(slices, some);
            }
            return self.watch_write(written, cx);
        }
        if self.gathered.capacity() == 0 {
            self.gathered = BUFFER.take();
        }
        for slice in slices {
            self.gathered.extend_from_slice(slice);
        }
        self.watch.holds.set(true);
        self.leave(slices, size);
        Poll::Ready(Ok(size))
    }

    /// Follows the first `some` bytes of `slices`.
    fn leave(&mut self, slices: &[IoSlice<'_>], mut some: usize) {
        for slice in slices {
            let of_this = some.min(slice.len());
            self.left(&slice[..of_this]);
            some -= of_this;
        }
    }

    fn watch_write(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let pace = self.patience().reader;
        match &written {
            Poll::Ready(Ok(bytes)) => self.writing.progressed(*bytes, pace),
            Poll::Ready(Err(_)) => (),
            Poll::Pending => {
                ready!(self.writing.poll(Owed::Reading, pace.every, cx));
                self.violate(Reason::ReaderTooSlow);
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        written
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.watch.violation.get().is_some() {
            // Whoever polls the connection looks for that, and ends it.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.io).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) if buffer.filled().len() == before => {
                this.ended = true;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) => match this.judge(&buffer.filled()[before..]) {
                0 => {
                    buffer.set_filled(before);
                    Poll::Pending
                }
                passed => {
                    buffer.set_filled(before + passed);
                    Poll::Ready(Ok(()))
                }
            },
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let (owed, patience) = this.owed();
                ready!(this.reading.poll(owed, patience, cx));
                this.violate(if owed == Owed::Body { Reason::BodyTooSlow } else { Reason::HeadTooSlow });
                Poll::Pending
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_gather(&[IoSlice::new(bytes)], cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_gather(slices, cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.watch.gathers.get() {
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_gathered(cx))?;
        ready!(Pin::new(&mut this.io).poll_flush(cx))?;
        this.writing.done();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_gathered(cx))?;
        if this.ended || !this.gives_up {
            return Pin::new(&mut this.io).poll_shutdown(cx);
        }
        // The client has to read why before a reset takes it away.
        let (clock, patience) = (this.clock, &this.worker.shared().limits.patience);
        let closing = this.closing.get_or_insert_with(|| Refusal::close(clock, patience));
        closing.poll(&mut this.io, cx).map(Ok)
    }
}
