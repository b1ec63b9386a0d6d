//! Why a request's body is kept while it is sent: so that it can be sent again.
//!
//! The body streams through to the first try as it arrives; what has passed is kept up to a limit, and
//! a later try sends what was kept, then the rest as it comes. Beyond the limit nothing is kept any
//! more and the call may not be retried. A request without a body costs nothing.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// Whatever goes wrong with a source.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How much of one request's body is kept. 64 KiB is what Linkerd keeps; form posts and JSON commands
/// are far below it, uploads far above.
pub const KEPT_MAX: usize = 64 * 1024;

/// How much is kept for all requests of the process together. A thousand requests may each hold their
/// full share before the first is told that it cannot be retried.
pub const KEPT_TOTAL_MAX: u64 = 64 * 1024 * 1024;

/// The process-wide allowance for kept bodies, shared by all workers.
#[derive(Debug)]
pub struct Allowance {
    used: AtomicU64,
    max: u64,
}

impl Allowance {
    /// An allowance of `max` bytes.
    #[must_use]
    pub const fn new(max: u64) -> Self {
        Self { used: AtomicU64::new(0), max }
    }

    /// What is kept right now, over all requests.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.max {
            return true;
        }
        self.give_back(bytes);
        false
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Default for Allowance {
    fn default() -> Self {
        Self::new(KEPT_TOTAL_MAX)
    }
}

/// A request's body, of which each try gets a [`RequestBody`].
#[derive(Debug, Default)]
pub struct Replay(Option<Rc<Shared>>);

impl Replay {
    /// No body.
    #[must_use]
    pub const fn empty() -> Self {
        Self(None)
    }

    /// The body that arrives as `source`.
    #[must_use]
    pub fn of<B>(source: B, allowance: &Arc<Allowance>) -> Self
    where
        B: Body<Data = Bytes> + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        if source.is_end_stream() {
            return Self::empty();
        }
        let length = source.size_hint().exact();
        // What is announced as too large is never kept: no copy of a gigabyte's first 64 KiB.
        let overflowed = length.is_some_and(|length| length > KEPT_MAX as u64);
        Self(Some(Rc::new(Shared {
            length,
            allowance: Arc::clone(allowance),
            state: RefCell::new(State {
                source: Some(Box::pin(Source(source))),
                kept: Kept::Nothing,
                trailers: None,
                left: 0,
                overflowed,
                awaited: false,
                bodies: 0,
            }),
        })))
    }

    /// The body for one try, from its first byte.
    #[must_use]
    pub fn body(&self) -> RequestBody {
        if let Some(shared) = &self.0 {
            shared.state.borrow_mut().bodies += 1;
        }
        RequestBody { shared: self.0.clone(), passed: 0, trailers_passed: false }
    }

    /// Whether there is a body at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The length the caller announced, if it did.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.0.as_ref().map_or(Some(0), |shared| shared.length)
    }

    /// Whether more passed than is kept, so that it cannot be sent again.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| {
            let state = shared.state.borrow();
            state.overflowed && state.left > 0
        })
    }

    /// Whether all of it has arrived and is kept.
    #[must_use]
    pub fn is_kept_whole(&self) -> bool {
        self.0.as_ref().is_none_or(|shared| {
            let state = shared.state.borrow();
            state.source.is_none() && state.kept.len() as u64 == state.left
        })
    }

    /// Whether its next part has to come from the caller first.
    #[must_use]
    pub fn is_callers_turn(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.state.borrow().awaited)
    }

    /// Whether some try is still sending it.
    #[must_use]
    pub fn is_being_sent(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.state.borrow().bodies > 0)
    }
}

#[derive(Debug)]
struct Shared {
    length: Option<u64>,
    allowance: Arc<Allowance>,
    state: RefCell<State>,
}

struct State {
    source: Option<Pin<Box<dyn Body<Data = Bytes, Error = BoxError>>>>,
    kept: Kept,
    trailers: Option<HeaderMap>,
    /// Bytes that left the source.
    left: u64,
    /// From here on nothing is kept.
    overflowed: bool,
    /// Whether the source was asked and had nothing yet.
    awaited: bool,
    /// Bodies of tries that are not dropped yet.
    bodies: u32,
}

/// A source without the type of its errors.
struct Source<B>(B);

impl<B> Body for Source<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("left", &self.left).field("kept", &self.kept).finish_non_exhaustive()
    }
}

/// What has passed. One frame, the usual case, is kept as it came, without a copy; more are copied
/// into one buffer, so that a body sent a byte at a time occupies its length and not its frames.
#[derive(Debug)]
enum Kept {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Kept {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(bytes) => bytes.len(),
            Self::Many(bytes) => bytes.len(),
        }
    }

    fn push(&mut self, more: &Bytes) {
        match self {
            Self::Nothing => *self = Self::One(more.clone()),
            Self::One(first) => {
                let mut all = BytesMut::with_capacity((first.len() + more.len()).next_power_of_two());
                all.extend_from_slice(first);
                all.extend_from_slice(more);
                *self = Self::Many(all);
            }
            Self::Many(all) => all.extend_from_slice(more),
        }
    }

    fn from(&self, start: usize) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(bytes) => bytes.slice(start..),
            Self::Many(bytes) => Bytes::copy_from_slice(&bytes[start..]),
        }
    }
}

impl State {
    fn keep(&mut self, frame: &Bytes, allowance: &Allowance) {
        if self.overflowed {
            return;
        }
        let fits = self.kept.len() + frame.len() <= KEPT_MAX;
        if fits && allowance.take(frame.len() as u64) {
            self.kept.push(frame);
            return;
        }
        // What is kept is of no more use once something after it is not.
        self.overflowed = true;
        allowance.give_back(self.kept.len() as u64);
        self.kept = Kept::Nothing;
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.allowance.give_back(self.state.get_mut().kept.len() as u64);
    }
}

/// A request's body for one try: what was kept, then the rest as it comes.
#[derive(Debug)]
pub struct RequestBody {
    shared: Option<Rc<Shared>>,
    /// Bytes this try has passed on.
    passed: u64,
    trailers_passed: bool,
}

/// Why a request's body cannot go on.
#[derive(Debug)]
pub enum BodyBroken {
    /// The caller's side ended early.
    Source(BoxError),
    /// It was asked for again, and is no longer kept.
    NotKept,
}

impl std::fmt::Display for BodyBroken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source(_) => "the caller's body ended early",
            Self::NotKept => "the body is no longer kept",
        })
    }
}

impl std::error::Error for BodyBroken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Source(error) => Some(&**error),
            Self::NotKept => None,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        let Some(shared) = self.shared.clone() else { return Poll::Ready(None) };
        let state = &mut *shared.state.borrow_mut();
        let kept = state.kept.len() as u64;
        if self.passed < kept {
            let frame = state.kept.from(self.passed as usize);
            self.passed = kept;
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        if self.passed != state.left {
            return Poll::Ready(Some(Err(BodyBroken::NotKept)));
        }
        while let Some(source) = &mut state.source {
            let polled = source.as_mut().poll_frame(cx);
            state.awaited = polled.is_pending();
            match std::task::ready!(polled) {
                None => state.source = None,
                Some(Err(error)) => return Poll::Ready(Some(Err(BodyBroken::Source(error)))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        state.left += data.len() as u64;
                        if source.is_end_stream() {
                            state.source = None;
                        }
                        state.keep(&data, &shared.allowance);
                        self.passed = state.left;
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    Err(frame) => state.trailers = frame.into_trailers().ok(),
                },
            }
        }
        match &state.trailers {
            Some(trailers) if !self.trailers_passed => {
                self.trailers_passed = true;
                Poll::Ready(Some(Ok(Frame::trailers(trailers.clone()))))
            }
            _ => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| {
            let state = shared.state.borrow();
            state.source.is_none()
                && self.passed == state.left
                && (state.trailers.is_none() || self.trailers_passed)
        })
    }

    fn size_hint(&self) -> SizeHint {
        match &self.shared {
            None => SizeHint::with_exact(0),
            Some(shared) => match shared.length {
                Some(length) => SizeHint::with_exact(length.saturating_sub(self.passed)),
                None => SizeHint::default(),
            },
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.state.borrow_mut().bodies -= 1;
        }
    }
}
