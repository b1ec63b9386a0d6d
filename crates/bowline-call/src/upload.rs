//! The way out: a request's head and body, in as few writes as they need.

use crate::replay::{BodyBroken, RequestBody};
use bytes::{Buf, Bytes};
use http_body::Body;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// What is on its way out.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    /// Heads and the lines around chunks; `out[written..]` is still to go.
    out: Vec<u8>,
    written: usize,
    /// The present part of the body, behind `out`.
    part: Bytes,
    /// What closes it, behind `part`.
    close: &'static [u8],
    body: Option<Sending>,
    /// Whether something was written that TLS may still hold back.
    held: bool,
    /// Whether any byte of this request was accepted by the kernel.
    any_sent: bool,
    /// The peer takes no more. Its answer may be there all the same.
    cut: bool,
}

#[derive(Debug)]
struct Sending {
    body: RequestBody,
    /// Bytes that the head promised and that are still to come; `None`: chunked.
    left: Option<u64>,
}

/// The caller's side of the body ended early.
#[derive(Debug)]
pub(crate) struct SourceBroken;

impl Upload {
    /// Begins a request: `head` writes it; `length` is that of `body`, `None` if nobody knows.
    pub(crate) fn begin(&mut self, head: impl FnOnce(&mut Vec<u8>), body: RequestBody, length: Option<u64>) {
        self.out.clear();
        self.written = 0;
        self.any_sent = false;
        self.cut = false;
        head(&mut self.out);
        self.body = (!body.is_end_stream()).then_some(Sending { body, left: length });
    }

    /// Whether any byte of this request was accepted by the kernel.
    pub(crate) const fn any_sent(&self) -> bool {
        self.any_sent
    }

    /// Whether all of the request is out.
    pub(crate) fn is_done(&self) -> bool {
        self.body.is_none() && self.is_flushed() && !self.cut
    }

    /// Sends until all is out, the socket is full or the body has to be waited for.
    pub(crate) fn poll(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SourceBroken>> {
        loop {
            // The body's first part goes out with the head, if it is there already.
            let waits = match self.poll_part(cx) {
                Poll::Ready(Ok(())) => false,
                Poll::Ready(Err(broken)) => return Poll::Ready(Err(broken)),
                Poll::Pending => true,
            };
            if ready!(self.poll_flush(io, cx)).is_err() {
                self.cut = true;
                self.body = None;
                self.forget();
                return Poll::Ready(Ok(()));
            }
            if waits {
                return Poll::Pending;
            }
            if self.body.is_none() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Takes the next part of the body, unless one is still on its way.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SourceBroken>> {
        let Some(sending) = &mut self.body else { return Poll::Ready(Ok(())) };
        if !self.part.is_empty() || !self.close.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let frame = match ready!(Pin::new(&mut sending.body).poll_frame(cx)) {
            None => return Poll::Ready(self.end_body()),
            Some(Err(BodyBroken::Source(_) | BodyBroken::NotKept)) => return Poll::Ready(Err(SourceBroken)),
            Some(Ok(frame)) => frame,
        };
        match (frame.into_data(), &mut sending.left) {
            (Ok(data), _) if data.is_empty() => (),
            (Ok(data), Some(left)) => {
                let Some(rest) = left.checked_sub(data.len() as u64) else {
                    return Poll::Ready(Err(SourceBroken));
                };
                *left = rest;
                self.part = data;
            }
            (Ok(data), None) => {
                let _ = write!(self.out, "{:x}\r\n", data.len());
                self.part = data;
                self.close = b"\r\n";
            }
            (Err(frame), None) => {
                self.out.extend_from_slice(b"0\r\n");
                for (name, value) in frame.into_trailers().unwrap_or_default().iter() {
                    self.out.extend_from_slice(name.as_str().as_bytes());
                    self.out.extend_from_slice(b": ");
                    self.out.extend_from_slice(value.as_bytes());
                    self.out.extend_from_slice(b"\r\n");
                }
                self.out.extend_from_slice(b"\r\n");
                self.body = None;
            }
            // Trailers have no place behind a body with a length.
            (Err(_), Some(_)) => (),
        }
        if self.body.as_ref().is_some_and(|sending| sending.left.is_some() && sending.body.is_end_stream()) {
            return Poll::Ready(self.end_body());
        }
        Poll::Ready(Ok(()))
    }

    fn end_body(&mut self) -> Result<(), SourceBroken> {
        match self.body.take().and_then(|sending| sending.left) {
            Some(0) => Ok(()),
            Some(_) => Err(SourceBroken),
            None => {
                self.out.extend_from_slice(b"0\r\n\r\n");
                Ok(())
            }
        }
    }

    fn poll_flush(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_written() {
            let out = &self.out[self.written..];
            let wrote = if self.part.is_empty() && self.close.is_empty() {
                ready!(Pin::new(&mut *io).poll_write(cx, out))?
            } else {
                let slices = [IoSlice::new(out), IoSlice::new(&self.part), IoSlice::new(self.close)];
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices))?
            };
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.any_sent = true;
            self.held = true;
            self.advance(wrote);
        }
        if self.held {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.held = false;
        }
        self.out.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    fn is_flushed(&self) -> bool {
        self.is_written() && !self.held
    }

    fn is_written(&self) -> bool {
        self.written == self.out.len() && self.part.is_empty() && self.close.is_empty()
    }

    fn advance(&mut self, wrote: usize) {
        let of_out = wrote.min(self.out.len() - self.written);
        self.written += of_out;
        let of_part = (wrote - of_out).min(self.part.len());
        self.part.advance(of_part);
        self.close = &self.close[wrote - of_out - of_part..];
    }

    fn forget(&mut self) {
        self.out.clear();
        self.written = 0;
        self.held = false;
        self.part = Bytes::new();
        self.close = b"";
    }
}
