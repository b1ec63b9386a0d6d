//! An answer on its way out.
//!
//! Head and body leave in one write where they fit. What is to be written lies in a buffer that a thread's connections
//! share by turns; it stays with a connection only while its caller does not take it.

use super::answer::{self, Framing, Terms};
use super::head::Said;
use crate::gate::Gated;
use bytes::{Buf as _, Bytes};
use http::header::HeaderValue;
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use std::cell::Cell;
use std::error::Error;
use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};

/// What is gathered before it is written. Larger parts are written from where they lie.
const GATHERED_MAX: usize = 16 << 10;

/// What a buffer may have grown to, to be kept for the next answer.
const KEPT_MAX: usize = 64 << 10;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An answer on its way out.
#[derive(Debug)]
pub(super) struct Sending<B> {
    out: Out,
    /// `None`: all of it is in `out`, or nothing has begun.
    body: Option<B>,
    framing: Framing,
    begun: bool,
}

/// What is written next.
#[derive(Debug, Default)]
struct Out {
    gathered: Vec<u8>,
    written: usize,
    /// Comes behind that, and `end` behind this.
    large: Bytes,
    end: &'static [u8],
}

/// Why an answer broke off; the caller sees the connection end.
pub(super) type Cut = Box<dyn Error + Send + Sync>;

impl<B> Sending<B>
where
    B: http_body::Body<Data = Bytes, Error: Error> + Unpin,
{
    pub(super) const fn new() -> Self {
        let out = Out { gathered: Vec::new(), written: 0, large: Bytes::new(), end: b"" };
        Self { out, body: None, framing: Framing::Nothing, begun: false }
    }

    /// The caller is to send its body, unless it is answered already.
    pub(super) fn tell_to_go_on(&mut self) {
        if !self.begun {
            self.out.gathered.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    /// Ready when that has been said.
    pub(super) fn poll_told<T>(&mut self, gated: &mut Gated<T>, cx: &mut Context<'_>) -> Poll<()>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        if self.begun || self.out.is_empty() {
            return Poll::Ready(());
        }
        // Whoever cannot be written to is found out by what comes next.
        self.out.poll_write(gated, cx).map(|_| ())
    }

    /// Begins with the head.
    pub(super) fn begin(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        date: Option<&HeaderValue>,
        body: B,
        said: &Said,
        keeps: bool,
    ) -> Terms {
        self.begun = true;
        if self.out.gathered.is_empty() {
            self.out.gathered = BUFFER.take();
        }
        let terms =
            answer::write(&mut self.out.gathered, status, headers, date, &body.size_hint(), said, keeps);
        self.framing = terms.framing;
        self.body = Some(body);
        terms
    }

    /// Ready once all of it has left.
    pub(super) fn poll<T>(&mut self, gated: &mut Gated<T>, cx: &mut Context<'_>) -> Poll<Result<(), Cut>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            let waits = self.gather(cx)?.is_pending();
            if !self.out.is_empty() {
                ready!(self.out.poll_write(gated, cx))?;
                continue;
            }
            ready!(gated.poll_flush(cx))?;
            if waits {
                return Poll::Pending;
            }
            // It is answered: only now the body goes, which says so.
            self.body = None;
            self.out.put_back();
            return Poll::Ready(Ok(()));
        }
    }

    /// Takes of the body what is here and fits. Ready: that was all of it, or more has to leave first.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Cut> {
        let Some(body) = &mut self.body else { return Ok(Poll::Ready(())) };
        while self.framing != Framing::Nothing && self.out.has_room() {
            let part = match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(part) => part,
                Poll::Pending => return Ok(Poll::Pending),
            };
            let ends = match part {
                None => true,
                Some(Err(error)) => return Err(error.to_string().into()),
                Some(Ok(frame)) => {
                    put(&mut self.out, &mut self.framing, frame)?;
                    body.is_end_stream()
                }
            };
            if ends || self.framing == Framing::Length(0) {
                match self.framing {
                    Framing::Length(1..) => return Err("the answer is shorter than it said".into()),
                    Framing::Chunked { .. } => self.out.put_end(None),
                    Framing::Length(0) | Framing::UntilClose | Framing::Nothing => (),
                }
                self.framing = Framing::Nothing;
            }
        }
        Ok(Poll::Ready(()))
    }
}

fn put(out: &mut Out, framing: &mut Framing, frame: Frame<Bytes>) -> Result<(), Cut> {
    match frame.into_data() {
        Ok(data) if data.is_empty() => (),
        Ok(data) => match framing {
            Framing::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or("the answer is longer than it said")?;
                out.put(data, b"");
            }
            Framing::Chunked { .. } => {
                let _ = write!(out.gathered, "{:x}\r\n", data.len());
                out.put(data, b"\r\n");
            }
            Framing::UntilClose => out.put(data, b""),
            Framing::Nothing => (),
        },
        Err(frame) => {
            if let (Framing::Chunked { trailers: true }, Ok(trailers)) = (*framing, frame.into_trailers()) {
                out.put_end(Some(&trailers));
                *framing = Framing::Nothing;
            }
        }
    }
    Ok(())
}

impl Out {
    fn is_empty(&self) -> bool {
        self.gathered.len() == self.written && self.large.is_empty() && self.end.is_empty()
    }

    /// Whether more may be put behind what is there.
    fn has_room(&self) -> bool {
        self.gathered.len() < GATHERED_MAX && self.large.is_empty()
    }

    fn put(&mut self, data: Bytes, end: &'static [u8]) {
        if data.len() <= GATHERED_MAX / 2 {
            self.gathered.extend_from_slice(&data);
            self.gathered.extend_from_slice(end);
        } else {
            (self.large, self.end) = (data, end);
        }
    }

    /// The end of a chunked body. Trailers never come while there is no room.
    fn put_end(&mut self, trailers: Option<&HeaderMap>) {
        if self.large.is_empty() {
            answer::write_end(&mut self.gathered, trailers);
        } else {
            self.end = b"\r\n0\r\n\r\n";
        }
    }

    /// Ready once all of it is written.
    fn poll_write<T>(&mut self, gated: &mut Gated<T>, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        while !self.is_empty() {
            let gathered = &self.gathered[self.written..];
            let mut some = if self.large.is_empty() && self.end.is_empty() {
                ready!(gated.poll_write(cx, gathered))?
            } else {
                let slices = [IoSlice::new(gathered), IoSlice::new(&self.large), IoSlice::new(self.end)];
                ready!(gated.poll_write_vectored(cx, &slices))?
            };
            if some == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_gathered = some.min(gathered.len());
            self.written += of_gathered;
            some -= of_gathered;
            let of_large = some.min(self.large.len());
            self.large.advance(of_large);
            self.end = &self.end[some - of_large..];
        }
        self.gathered.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Gives the buffer to the next answer.
    fn put_back(&mut self) {
        let buffer = std::mem::take(&mut self.gathered);
        if buffer.capacity() <= KEPT_MAX {
            BUFFER.set(buffer);
        }
    }
}
