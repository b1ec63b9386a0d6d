//! One connection to an endpoint, driven by whoever uses it.
//!
//! Why not a client library's: its connection is a task (or a future to be polled beside the request)
//! that speaks to its user through channels and wakers, and it takes the fields of a request away to
//! encode them. Measured, that was a third of what a proxied request cost. What a proxy needs of HTTP/1.1
//! is little (one request at a time), so it is done here, in the task that waits for
//! the answer, with the parser that such libraries use. Dropping the connection closes the socket, which
//! is how a call that nobody waits for any more is cancelled at the callee.

use crate::ask::HeadWriter;
use crate::beginning::Beginning;
use crate::endpoint::Opened;
use crate::framing::{Head, Malformed};
use crate::incoming::{Decoded, Incoming, Part};
use crate::io::Io;
use crate::replay::Replay;
use crate::scratch;
use crate::switched::Switched;
use crate::upload::Upload;
use bowline_model::Instant;
use bowline_model::decision::TryEnd;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, ReadHalf};
use tokio::task::JoinHandle;

/// How long a request may go on after its answer is through. 30 s, what the edge gives a whole call.
const UPLOAD_AFTER_ANSWER: Duration = Duration::from_secs(30);

/// One connection to an endpoint.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    upload: Upload,
    beginning: Beginning,
    incoming: Incoming,
    /// Whether the present request asks for another protocol, which the answer may grant.
    switches: bool,
    /// Whether it may be used again after the present answer.
    keeps: bool,
    /// Requests that it has carried.
    pub(crate) asked: u32,
    /// When it became spare.
    pub(crate) spare_since: Instant,
    /// When it is too old to be used again.
    pub(crate) expires: Instant,
    opened: Opened,
}

#[derive(Debug)]
enum Stream {
    Whole(Io),
    /// The rest of the request goes out in a task of its own, which ends with this.
    Reading {
        reader: ReadHalf<Io>,
        upload: AbortOnDrop,
    },
    /// Between the two.
    Gone,
}

#[derive(Debug)]
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why an answer's body ended early.
#[derive(Debug)]
pub enum Broken {
    /// The connection failed.
    Io(io::Error),
    /// The connection ended before the body did.
    Incomplete,
    /// The body broke the protocol.
    Malformed,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Io(_) => "the connection failed within the answer",
            Self::Incomplete => "the connection ended within the answer",
            Self::Malformed => "the answer's body breaks the protocol",
        })
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Incomplete | Self::Malformed => None,
        }
    }
}

impl Connection {
    /// Speaks HTTP/1.1 over `stream`.
    pub(crate) fn new(stream: Io, opened: Opened, expires: Instant) -> Box<Self> {
        Box::new(Self {
            stream: Stream::Whole(stream),
            upload: Upload::default(),
            beginning: Beginning::default(),
            incoming: Incoming::default(),
            switches: false,
            keeps: true,
            asked: 0,
            spare_since: Instant::ZERO,
            expires,
            opened,
        })
    }

    /// Whether a spare connection has ended or, against the protocol, said something.
    pub(crate) fn is_dead(&mut self) -> bool {
        let mut noop = Context::from_waker(Waker::noop());
        // A look is no wait: it does not count among what a task may do in one turn of its runtime. Beyond
        // that every connection would seem alive.
        let look = tokio::task::unconstrained(poll_fn(|cx| self.stream.poll_read(cx, |_| ())));
        pin!(look).poll(&mut noop).is_ready()
    }

    /// Whether it may carry another request: all of the present one and of its answer is through.
    pub(crate) fn is_free(&self) -> bool {
        self.keeps
            && self.is_through()
            && self.incoming.pending() == 0
            && self.upload.is_done()
            && matches!(self.stream, Stream::Whole(_))
    }

    /// Whether all of the request is out.
    pub(crate) fn is_sent(&self) -> bool {
        self.upload.is_done() && matches!(self.stream, Stream::Whole(_))
    }

    /// The answer is through and was passed on, the request is not: its rest may still go out, for a
    /// while. A callee that answered it has taken it, and should not find it broken off.
    pub(crate) fn finish_upload(mut self) {
        if !self.upload.is_done() {
            self.detach_upload();
        }
        let Self { stream, opened, .. } = self;
        if let Stream::Reading { mut upload, .. } = stream {
            tokio::task::spawn_local(async move {
                let _ = tokio::time::timeout(UPLOAD_AFTER_ANSWER, &mut upload.0).await;
                // The connection counts as long as it is there.
                drop(opened);
            });
        }
    }

    /// Hands out what is left of a connection whose answer was 101.
    pub(crate) fn switched(mut self) -> Option<Switched> {
        match self.stream {
            Stream::Whole(io) => Some(Switched::new(self.incoming.take_pending(), io, self.opened)),
            Stream::Reading { .. } | Stream::Gone => None,
        }
    }

    /// Whether all of the answer is through.
    pub(crate) const fn is_through(&self) -> bool {
        self.incoming.is_through()
    }

    /// Sends a request and waits for the head of its answer, whose fields go into `headers`. `head`
    /// writes the request's head; `to_head`: its method is HEAD; `switches`: it asks for another protocol.
    pub(crate) async fn ask(
        &mut self,
        head: impl FnOnce(&mut HeadWriter<'_>),
        body: &Replay,
        to_head: bool,
        switches: bool,
        headers: HeaderMap,
    ) -> Result<Head, TryEnd> {
        self.switches = switches;
        self.asked = self.asked.saturating_add(1);
        let write = |out: &mut Vec<u8>| {
            let mut writer = HeadWriter::new(out);
            head(&mut writer);
            writer.end(body);
        };
        self.upload.begin(write, body.body(), body.length());
        let mut headers = Some(headers);
        poll_fn(|cx| self.poll_answer(cx, to_head, &mut headers)).await
    }

    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        to_head: bool,
        headers: &mut Option<HeaderMap>,
    ) -> Poll<Result<Head, TryEnd>> {
        if let Stream::Whole(stream) = &mut self.stream
            && let Poll::Ready(Err(_)) = self.upload.poll(stream, cx)
        {
            return Poll::Ready(Err(TryEnd::Cancelled));
        }
        loop {
            let beginning = &mut self.beginning;
            let read = ready!(self.stream.poll_read(cx, |bytes| {
                (!bytes.is_empty()).then(|| beginning.read(bytes, to_head, headers))
            }));
            match read {
                // Nobody asked to switch, so nobody may.
                Ok(Some(Ok(Some((head, _)))))
                    if head.status == StatusCode::SWITCHING_PROTOCOLS && !self.switches =>
                {
                    return Poll::Ready(Err(TryEnd::Malformed));
                }
                Ok(Some(Ok(Some((head, rest))))) => {
                    self.keeps = head.keeps;
                    self.incoming = Incoming::new(head.framing, rest);
                    return Poll::Ready(Ok(head));
                }
                Ok(Some(Ok(None))) => (),
                Ok(Some(Err(Malformed))) => return Poll::Ready(Err(TryEnd::Malformed)),
                Ok(None) | Err(_) => {
                    let heard = !self.beginning.is_empty();
                    let sent = self.upload.any_sent() || heard;
                    return Poll::Ready(Err(if sent { TryEnd::Reset } else { TryEnd::ResetBeforeRequest }));
                }
            }
        }
    }

    /// The next part of the body, if it was read already; `Ok(None)` if it has to be waited for, or if
    /// there is none ([`Connection::is_through`] tells).
    pub(crate) fn ready_part(&mut self) -> Result<Option<Part>, Broken> {
        match self.incoming.decode() {
            Ok(Decoded::Part(part)) => Ok(Some(part)),
            Ok(Decoded::End | Decoded::More) => Ok(None),
            Err(Malformed) => Err(Broken::Malformed),
        }
    }

    /// The next part of the body.
    pub(crate) fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Part, Broken>>> {
        if !self.upload.is_done() {
            self.detach_upload();
        }
        loop {
            match self.incoming.decode() {
                Ok(Decoded::Part(part)) => return Poll::Ready(Some(Ok(part))),
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::More) => (),
                Err(Malformed) => return Poll::Ready(Some(Err(Broken::Malformed))),
            }
            match ready!(self.stream.poll_read(cx, Bytes::copy_from_slice)) {
                Ok(bytes) if bytes.is_empty() => {
                    let whole = self.incoming.close();
                    return Poll::Ready((!whole).then_some(Err(Broken::Incomplete)));
                }
                Ok(bytes) => self.incoming.fill(bytes),
                Err(error) => return Poll::Ready(Some(Err(Broken::Io(error)))),
            }
        }
    }

    /// Lets the rest of the request go out by itself: the callee answers before it has read everything,
    /// and the two directions must go on independently of each other, or a callee and a caller that both
    /// insist on speaking first would wait for ever. The connection ends with this answer.
    fn detach_upload(&mut self) {
        if !matches!(self.stream, Stream::Whole(_)) {
            return;
        }
        let taken = std::mem::replace(&mut self.stream, Stream::Gone);
        let Stream::Whole(stream) = taken else { return };
        let (reader, mut writer) = tokio::io::split(stream);
        let mut upload = std::mem::take(&mut self.upload);
        let sending = tokio::task::spawn_local(async move {
            // A source that breaks off ends the connection: the callee must not take it for the end. A
            // request that is through does not: to a callee that still answers, a shut would look as if
            // its caller had gone away.
            if poll_fn(|cx| upload.poll(&mut writer, cx)).await.is_err() {
                let _ = writer.shutdown().await;
            }
        });
        self.stream = Stream::Reading { reader, upload: AbortOnDrop(sending) };
        self.keeps = false;
    }
}

impl Stream {
    fn poll_read<R>(&mut self, cx: &mut Context<'_>, show: impl FnOnce(&[u8]) -> R) -> Poll<io::Result<R>> {
        match self {
            Self::Whole(stream) => scratch::read(stream, cx, show),
            Self::Reading { reader, .. } => scratch::read(reader, cx, show),
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}
