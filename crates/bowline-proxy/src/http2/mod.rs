//! HTTP/2 from callers.
//!
//! Frames, HPACK and flow control are the `h2` library's, on the connection's own task, and so are the streams. Around
//! the library stands a watch, as the gate stands around HTTP/1's: what the protocol lets a client do at our cost has a
//! budget, a name and a count.
//!
//! Why the library itself and no server above it: the proxy has to say with which code a stream or a connection ends,
//! to see a reset while it waits for a callee, and to leave nothing with the library beyond the caller's window.
//!
//! In reading order:
//! - [`limits`]: [`Limits`], every limit
//! - [`frames`]: follows frames in bytes; [`judge`]: [`Judge`], the budgets; both pure
//! - `watch`: both around a socket
//! - `head`: one request's head, judged and made to look like HTTP/1's; `body`: its body
//! - `stream`: one request and its answer; `streams`: all that are under way

mod body;
pub mod frames;
mod head;
pub mod judge;
pub mod limits;
mod stream;
mod streams;
mod watch;

pub(crate) use body::StreamBody;
pub use frames::Frames;
pub use judge::Judge;
pub use limits::Limits;
pub(crate) use watch::PREFACE;

use crate::connection::{Connection, Control};
use crate::ending::Ending;
use crate::gate::Reason;
use crate::limits::Limits as All;
use bowline_call::Alarm;
use bowline_model::{Instant, Random, SplitMix64};
use bytes::Bytes;
use h2::server::{self, Builder, SendResponse};
use h2::{Reason as Code, RecvStream};
use http::Request;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use streams::Streams;
use tokio::io::{AsyncRead, AsyncWrite};
use watch::{Watch, Watched};

/// Serves HTTP/2 over `io`, from which nothing was taken, until it ends.
pub(crate) async fn serve<T>(connection: &Rc<Connection>, io: T, control: &Control)
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let worker = connection.worker();
    let (watched, watch) = Watched::new(io, Rc::clone(worker));
    let limits = &worker.shared().limits;
    let handshake = builder(limits).handshake::<_, Bytes>(watched);
    let mut handshake = pin!(handshake);
    let shaken = poll_fn(|cx| {
        if control.ending() == Ending::Now {
            return Poll::Ready(None);
        }
        let shaken = handshake.as_mut().poll(cx).map(Some);
        // Whoever is slow to begin has nothing to be told.
        if shaken.is_pending() && watch.violation().is_some() {
            return Poll::Ready(None);
        }
        control.listen(cx);
        shaken
    })
    .await;
    match shaken {
        Some(Ok(http)) => Serving::new(connection, http, watch).run(control).await,
        Some(Err(error)) => tracing::debug!(error = &error as &dyn std::error::Error, "no HTTP/2 began"),
        None => (),
    }
}

fn builder(limits: &All) -> Builder {
    let own = &limits.http2;
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(own.streams_max)
        .initial_window_size(own.window_bytes)
        .initial_connection_window_size(own.connection_window_bytes)
        .max_send_buffer_size(own.send_buffer_bytes)
        .max_header_list_size(limits.gate.head_bytes_max as u32)
        // The watch counts resets, with a word of its own.
        .max_pending_accept_reset_streams(own.resets_max as usize + 1)
        .max_local_error_reset_streams(Some(own.malformed_max));
    builder
}

/// A connection that is served.
struct Serving<'c, T> {
    connection: &'c Rc<Connection>,
    http: server::Connection<Watched<T>, Bytes>,
    watch: Rc<Watch>,
    alarm: Alarm,
    /// When it is too old.
    expires: Instant,
    /// Since when it has no stream.
    idle_since: Option<Instant>,
    end: End,
}

/// How far a connection is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    None,
    /// It was told to bring no more streams; what it has goes on. A caller that has none and stays is left then.
    Graceful(Instant),
    /// It was told why nothing more is read.
    Abrupt,
}

/// How long a caller without a stream may take to close, once it was told to. 10 s, as long as a head may take.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

impl<'c, T: AsyncRead + AsyncWrite + Unpin> Serving<'c, T> {
    fn new(
        connection: &'c Rc<Connection>,
        http: server::Connection<Watched<T>, Bytes>,
        watch: Rc<Watch>,
    ) -> Self {
        let worker = connection.worker();
        let (clock, own) = (worker.clock(), &worker.shared().limits.http2);
        let jitter = u64::from(own.age_jitter_percent.min(100));
        let percent = 100 - jitter + SplitMix64::new(worker.next_seed()).below(2 * jitter + 1);
        let age = own.age / 100 * percent as u32;
        Self {
            connection,
            http,
            watch,
            alarm: Alarm::new(clock),
            expires: clock.now() + age,
            idle_since: Some(clock.now()),
            end: End::None,
        }
    }

    async fn run(mut self, control: &Control) {
        let (connection, watch) = (Rc::clone(self.connection), Rc::clone(&self.watch));
        let begin =
            |request, respond| stream::serve(Rc::clone(&connection), Rc::clone(&watch), request, respond);
        let mut streams = Streams::new();
        poll_fn(|cx| self.poll(control, &mut streams, begin, cx)).await;
    }

    /// One turn: all that is to be said in it leaves at its end.
    fn poll<F: Future<Output = ()>>(
        &mut self,
        control: &Control,
        streams: &mut Streams<F>,
        begin: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            self.watch.gather(true);
            let ended = self.poll_turn(control, streams, &begin, cx);
            self.watch.gather(false);
            if ended.is_ready() || !self.watch.holds() {
                return ended;
            }
            // The library flushes whenever it is asked for streams.
            match self.http.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.idle_since = None;
                    streams.begin(begin(request, respond));
                }
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Streams first: what they say leaves with what the library has to say.
    fn poll_turn<F: Future<Output = ()>>(
        &mut self,
        control: &Control,
        streams: &mut Streams<F>,
        begin: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            streams.poll(cx);
            match control.ending() {
                Ending::None => (),
                Ending::Graceful => self.end_gracefully(),
                Ending::Now => return Poll::Ready(()),
            }
            if let (Some(reason), true) = (self.watch.violation(), self.end != End::Abrupt) {
                self.end = End::Abrupt;
                self.http.abrupt_shutdown(code(reason));
            }
            match self.http.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.idle_since = None;
                    streams.begin(begin(request, respond));
                    continue;
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a caller's connection ended");
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => (),
            }
            if self.watch.violation().is_some() && self.end != End::Abrupt {
                continue;
            }
            control.listen(cx);
            return match self.poll_times(cx) {
                Poll::Ready(()) if self.end == End::None => {
                    self.end_gracefully();
                    continue;
                }
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => Poll::Pending,
            };
        }
    }

    /// Two steps: first a GOAWAY that names no last stream, so that what is on its way is still taken; a round trip
    /// later one that does.
    fn end_gracefully(&mut self) {
        if self.end == End::None {
            self.end = End::Graceful(self.alarm.clock().now() + LEAVE_WITHIN);
            self.http.graceful_shutdown();
        }
    }

    /// Ready when the connection is to come to its end, or to be left.
    fn poll_times(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_idle = !self.http.has_streams();
        if !is_idle {
            self.idle_since = None;
        } else if self.idle_since.is_none() {
            self.idle_since = Some(self.alarm.clock().now());
        }
        let idle = self.connection.worker().shared().limits.http2.idle;
        let at = match (self.end, self.idle_since) {
            (End::Abrupt, _) => return Poll::Pending,
            (End::Graceful(until), Some(_)) => until,
            (End::Graceful(_), None) => return Poll::Pending,
            (End::None, Some(since)) => self.expires.min(since + idle),
            (End::None, None) => self.expires,
        };
        self.alarm.poll(at, cx)
    }
}

/// The code that goes with a reason for which a connection is ended.
const fn code(reason: Reason) -> Code {
    match reason {
        Reason::FrameMalformed => Code::PROTOCOL_ERROR,
        _ => Code::ENHANCE_YOUR_CALM,
    }
}
