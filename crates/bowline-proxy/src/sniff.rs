//! Which HTTP a caller speaks, told by its first bytes; nothing of them is lost.
//!
//! A client that knows that we speak HTTP/2 begins with bytes that no HTTP/1 request can begin with (RFC 9113, 3.4). What
//! only looks like it for a while goes through the HTTP/1 gate like everything else. Under TLS the handshake has told
//! already, and nobody asks here.

use crate::connection::Control;
use crate::ending::Ending;
use crate::gate::wait::{Owed, Wait};
use crate::gate::{self, Part, Reason, Violation, scratch};
use crate::http2::PREFACE;
use crate::protocol::Protocol;
use crate::worker::Worker;
use bytes::{Buf, Bytes};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket, before it what was read of it already.
#[derive(Debug)]
pub(crate) struct Rewound<T> {
    ahead: Bytes,
    io: T,
}

/// Which HTTP `bytes` begin; `None`: more are needed to tell.
#[must_use]
pub fn tell(bytes: &[u8]) -> Option<Protocol> {
    if bytes.starts_with(PREFACE) {
        Some(Protocol::Http2)
    } else if PREFACE.starts_with(bytes) {
        None
    } else {
        Some(Protocol::Http1)
    }
}

/// Waits for enough of `io` to tell what is spoken. `None`: it ended, or its time is over.
pub(crate) async fn sniff<T>(io: &mut Rewound<T>, worker: &Worker, control: &Control) -> Option<Protocol>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let patience = &worker.shared().limits.patience;
    let mut waiting = Wait::new(worker.clock());
    let told = poll_fn(|cx| {
        loop {
            if let Some(protocol) = tell(&io.ahead) {
                return Poll::Ready(Ok(protocol));
            }
            // Nobody has asked for anything yet.
            if control.ending() == Ending::Now || (control.ending() != Ending::None && io.ahead.is_empty()) {
                return Poll::Ready(Err(None));
            }
            match io.poll_more(cx) {
                // What has begun and ends there is the gate's to judge.
                Poll::Ready(Ok(0)) if !io.ahead.is_empty() => return Poll::Ready(Ok(Protocol::Http1)),
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(None)),
                Poll::Ready(Ok(_)) => (),
                Poll::Pending => {
                    control.listen(cx);
                    let (owed, within) = match io.ahead.is_empty() {
                        true => (Owed::Request, patience.idle),
                        false => (Owed::Head, patience.head),
                    };
                    ready!(waiting.poll(owed, within, cx));
                    return Poll::Ready(Err((owed == Owed::Head).then_some(Reason::HeadTooSlow)));
                }
            }
        }
    })
    .await;
    match told {
        Ok(protocol) => Some(protocol),
        Err(None) => None,
        Err(Some(reason)) => {
            worker.shared().metrics.violated(reason);
            let violation = Violation { reason, part: Part::Head };
            gate::refuse(io, violation, worker.clock(), patience).await;
            None
        }
    }
}

impl<T> Rewound<T> {
    pub(crate) const fn new(io: T) -> Self {
        Self { ahead: Bytes::new(), io }
    }

    /// Puts back what was read, before what is there.
    pub(crate) fn rewind(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.ahead = [bytes, &self.ahead].concat().into();
        }
    }
}

impl<T: AsyncRead + Unpin> Rewound<T> {
    /// The first byte, which is read again with the others; `None` where it ends before.
    pub(crate) async fn first(&mut self) -> Option<u8> {
        while self.ahead.is_empty() {
            match poll_fn(|cx| self.poll_more(cx)).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => (),
            }
        }
        self.ahead.first().copied()
    }

    /// Reads some more and keeps it; how much.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        scratch::with(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            let read = buffer.filled();
            self.ahead = [&self.ahead, read].concat().into();
            Poll::Ready(Ok(read.len()))
        })
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Rewound<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let some = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead[..some]);
        self.ahead.advance(some);
        if self.ahead.is_empty() {
            // The memory goes, too.
            self.ahead = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Rewound<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_preface_is_http2() {
        for length in 0..PREFACE.len() {
            assert_eq!(tell(&PREFACE[..length]), None, "{length}");
            let mut other = PREFACE[..length].to_vec();
            other.push(PREFACE[length] ^ 1);
            assert_eq!(tell(&other), Some(Protocol::Http1), "{length}");
        }
        assert_eq!(tell(PREFACE), Some(Protocol::Http2));
        assert_eq!(tell(&[PREFACE, &b"more"[..]].concat()), Some(Protocol::Http2));
        assert_eq!(tell(b"POST / HTTP/1.1\r\n"), Some(Protocol::Http1));
    }
}
