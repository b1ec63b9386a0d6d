//! One HTTP/2 connection: who may use it, and whether its peer is still there.

use crate::endpoint::Opened;
use crate::io::Io;
use crate::pool::PoolLimits;
use bowline_model::Instant;
use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use h2::{Ping, PingPong};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// How much of one answer may be under way before the caller has taken any. 256 KiB: 100 MB/s over the 2 ms
/// between two zones, while a caller who reads slowly costs no more than that.
const STREAM_WINDOW: u32 = 256 << 10;

/// How large an answer's head may be: what HTTP/1.1 allows here.
const HEAD_BYTES_MAX: u32 = crate::framing::HEAD_BYTES_MAX as u32;

/// What the answer to a ping occupies: a head of 9 bytes, and 8 of its own (RFC 9113, 6.7).
const PONG_BYTES: u64 = 17;

/// One HTTP/2 connection. It is closed once nobody holds it and its streams have ended.
pub(crate) struct Link {
    requests: SendRequest<Bytes>,
    wire: Rc<Wire>,
    driver: AbortHandle,
    /// Requests under way.
    streams: Cell<u32>,
    /// As many as may be at once, for our part.
    streams_max: u32,
    /// Requests so far, and as many as it may carry in its life.
    asked: Cell<u32>,
    requests_max: u32,
    /// When it is too old for another request.
    expires: Instant,
    /// Since when nobody uses it; [`Instant::FAR`] while somebody does, or nobody looked.
    spare_since: Cell<Instant>,
    /// Takes no more requests: the peer said so, or is gone.
    closing: Cell<bool>,
    pulse: RefCell<Pulse>,
}

/// What a connection's driver tells about it.
#[derive(Debug, Default)]
struct Wire {
    /// Bytes that the kernel took.
    written: Cell<u64>,
    /// Bytes that came.
    read: Cell<u64>,
    /// Whether it has ended.
    over: Cell<bool>,
    /// Told when the first bytes have come, and at the end.
    news: Notify,
}

/// Whether the peer is still there.
struct Pulse {
    ping: Option<PingPong>,
    /// What had come when somebody last looked.
    read: u64,
    /// Since when nothing has.
    quiet_since: Instant,
    /// When it was asked whether it is there, if it has not answered.
    asked: Option<Instant>,
    /// How long nothing may come before it is asked.
    patience: Duration,
}

/// A connection's bytes, counted.
struct Counted {
    io: Io,
    wire: Rc<Wire>,
}

/// A place for one request on a connection.
#[derive(Debug)]
pub(crate) struct Slot(Rc<Link>);

impl Link {
    /// Begins HTTP/2 over `io` and waits until the peer has shown that it speaks it: whoever does not is
    /// found out before any request was sent.
    pub(crate) async fn begin(
        io: Io,
        opened: Opened,
        expires: Instant,
        limits: &PoolLimits,
        now: Instant,
    ) -> io::Result<Rc<Self>> {
        let wire = Rc::new(Wire::default());
        let counted = Counted { io, wire: Rc::clone(&wire) };
        let (requests, mut connection) = settings(limits).handshake(counted).await.map_err(broken)?;
        let ping = connection.ping_pong();
        let driver = tokio::task::spawn_local(drive(connection, Rc::clone(&wire), opened)).abort_handle();
        let link = Rc::new(Self {
            requests,
            wire,
            driver,
            streams: Cell::new(0),
            streams_max: limits.streams,
            asked: Cell::new(0),
            requests_max: limits.requests,
            expires,
            spare_since: Cell::new(Instant::FAR),
            closing: Cell::new(false),
            pulse: RefCell::new(Pulse {
                ping,
                read: 0,
                quiet_since: now,
                asked: None,
                patience: limits.ping_after,
            }),
        });
        let begun = Beginning(Some(link));
        begun.greeted().await
    }

    /// Whether it may take another request, if it has room.
    pub(crate) fn is_usable(&self, now: Instant) -> bool {
        now < self.expires
            && !self.closing.get()
            && !self.wire.over.get()
            && self.asked.get() < self.requests_max
    }

    /// Whether it carries a request.
    pub(crate) fn is_busy(&self) -> bool {
        0 < self.streams.get()
    }

    /// Whether the peer and we let it take another request now.
    pub(crate) fn has_room(&self) -> bool {
        self.streams.get() < self.streams_max.min(self.peers_max())
    }

    /// How many requests the peer takes at once.
    pub(crate) fn peers_max(&self) -> u32 {
        u32::try_from(self.requests.current_max_send_streams()).unwrap_or(u32::MAX)
    }

    /// Looks after a connection that nobody is looking at: whether to keep it.
    pub(crate) fn tend(&self, now: Instant, limits: &PoolLimits) -> bool {
        if !self.is_usable(now) {
            return false;
        }
        if self.streams.get() > 0 {
            self.spare_since.set(Instant::FAR);
            return self.feel_pulse(now, limits);
        }
        let since = self.spare_since.get().min(now);
        self.spare_since.set(since);
        now.since(since) < limits.idle
    }

    /// Asks a peer that has been quiet whether it is there; `false` if it is not.
    fn feel_pulse(&self, now: Instant, limits: &PoolLimits) -> bool {
        let pulse = &mut *self.pulse.borrow_mut();
        let Some(ping) = &mut pulse.ping else { return true };
        let read = self.wire.read.get();
        let came = read - std::mem::replace(&mut pulse.read, read);
        if came > 0 {
            let only_pong = pulse.asked.take().is_some() && came == PONG_BYTES;
            let _ = ping.poll_pong(&mut Context::from_waker(Waker::noop()));
            pulse.quiet_since = now;
            pulse.patience = if only_pong { limits.ping_again } else { limits.ping_after };
            return true;
        }
        match pulse.asked {
            Some(asked) if limits.ping_timeout <= now.since(asked) => {
                self.closing.set(true);
                // Its streams end with it, as if the connection were reset.
                self.driver.abort();
                return false;
            }
            None if pulse.patience <= now.since(pulse.quiet_since) => {
                let _ = ping.send_ping(Ping::opaque());
                pulse.asked = Some(now);
            }
            _ => (),
        }
        true
    }
}

/// A connection whose peer has not spoken yet. Dropped before it has, it is closed at once.
struct Beginning(Option<Rc<Link>>);

impl Beginning {
    async fn greeted(mut self) -> io::Result<Rc<Link>> {
        if let Some(link) = &self.0 {
            loop {
                let news = link.wire.news.notified();
                if link.wire.over.get() {
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
                if link.wire.read.get() > 0 {
                    break;
                }
                news.await;
            }
        }
        self.0.take().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        if let Some(link) = self.0.take() {
            link.driver.abort();
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("streams", &self.streams)
            .field("closing", &self.closing)
            .field("wire", &self.wire)
            .finish_non_exhaustive()
    }
}

// === a place on it ===

impl Slot {
    pub(crate) fn new(link: &Rc<Link>) -> Self {
        link.streams.set(link.streams.get() + 1);
        link.asked.set(link.asked.get().saturating_add(1));
        link.spare_since.set(Instant::FAR);
        Self(Rc::clone(link))
    }

    /// What requests are sent with.
    pub(crate) fn requests(&self) -> SendRequest<Bytes> {
        // A copy, because the original would refuse to queue a second request before the first is out.
        self.0.requests.clone()
    }

    /// How many bytes the kernel has taken so far.
    pub(crate) fn written(&self) -> u64 {
        self.0.wire.written.get()
    }

    /// The connection takes no more requests.
    pub(crate) fn close(&self) {
        self.0.closing.set(true);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
    }
}

// === its task ===

fn settings(limits: &PoolLimits) -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        // As large as all streams' together: a caller who does not read holds up nobody but itself.
        .initial_connection_window_size(STREAM_WINDOW.saturating_mul(limits.streams).min((1 << 31) - 1))
        .max_header_list_size(HEAD_BYTES_MAX);
    builder
}

/// Reads and writes until the connection ends.
async fn drive(mut connection: Connection<Counted, Bytes>, wire: Rc<Wire>, opened: Opened) {
    // Told even where the task is aborted.
    let over = Over(wire);
    let mut greeted = false;
    let ended = poll_fn(|cx| {
        let ended = Pin::new(&mut connection).poll(cx);
        if !greeted && over.0.read.get() > 0 {
            greeted = true;
            over.0.news.notify_waiters();
        }
        ended
    })
    .await;
    drop((ended, opened));
}

struct Over(Rc<Wire>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over.set(true);
        self.0.news.notify_waiters();
    }
}

fn broken(error: h2::Error) -> io::Error {
    if error.is_io() {
        error.into_io().unwrap_or_else(|| io::ErrorKind::Other.into())
    } else {
        io::Error::other(error)
    }
}

impl AsyncRead for Counted {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.io).poll_read(cx, buf);
        this.wire.read.set(this.wire.read.get() + (buf.filled().len() - before) as u64);
        read
    }
}

impl Counted {
    fn count(&self, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = wrote {
            self.wire.written.set(self.wire.written.get() + bytes as u64);
        }
        wrote
    }
}

impl AsyncWrite for Counted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.io).poll_write(cx, buf);
        this.count(wrote)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.count(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
