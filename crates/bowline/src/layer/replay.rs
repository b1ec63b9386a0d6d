//! Request bodies that can be sent again.

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};
use http_body_util::{Empty, Full};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// The most of a body that is kept to be sent again. Linkerd keeps as much; what is larger is worth more
/// than the memory for it.
pub const REPLAY_BYTES_MAX: usize = 64 * 1024;

/// A request body that can be sent again, if it is small and all there.
///
/// For a body of one's own that is cheap to clone, `again` is `Some(self.clone())`.
pub trait Replay: Sized {
    /// A copy of the body, to be sent should this one have to be asked again; `None` if that cannot be:
    /// it is too large, or still on its way. Called before any of it is sent; may replace the body by
    /// one that sends the same.
    fn again(&mut self) -> Option<Self>;
}

impl<D: Clone> Replay for Full<D> {
    fn again(&mut self) -> Option<Self> {
        Some(self.clone())
    }
}

impl<D> Replay for Empty<D> {
    fn again(&mut self) -> Option<Self> {
        Some(Self::new())
    }
}

impl Replay for String {
    fn again(&mut self) -> Option<Self> {
        (self.len() <= REPLAY_BYTES_MAX).then(|| self.clone())
    }
}

impl<E: Send + Sync + 'static> Replay for BoxBody<Bytes, E> {
    fn again(&mut self) -> Option<Self> {
        let (now, again) = Buffered::take(std::mem::take(self));
        *self = Self::new(now);
        again.map(Self::new)
    }
}

impl<E: Send + 'static> Replay for UnsyncBoxBody<Bytes, E> {
    fn again(&mut self) -> Option<Self> {
        let (now, again) = Buffered::take(std::mem::take(self));
        *self = Self::new(now);
        again.map(Self::new)
    }
}

#[cfg(feature = "tonic")]
impl Replay for tonic::body::Body {
    fn again(&mut self) -> Option<Self> {
        let (now, again) = Buffered::take(std::mem::take(self));
        *self = Self::new(now);
        again.map(Self::new)
    }
}

/// A body of which the beginning has been read, and perhaps all.
///
/// For implementors of [`Replay`] whose body is a stream:
///
/// ```
/// use bowline::layer::Buffered;
/// use bytes::Bytes;
/// use http_body_util::Full;
///
/// let (now, again) = Buffered::take(Full::new(Bytes::from_static(b"two of A47")));
/// assert!(again.is_some(), "small and all there");
/// # drop(now);
/// ```
#[derive(Debug)]
pub struct Buffered<B: Body> {
    frames: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    error: Option<B::Error>,
    rest: Option<B>,
}

impl<B: Body<Data = Bytes> + Unpin> Buffered<B> {
    /// Reads what of `body` is there at once: the body to send now, and a copy of it if that was all and
    /// no more than [`REPLAY_BYTES_MAX`].
    ///
    /// It never waits, because a body that is still on its way may wait for the answer.
    #[must_use]
    pub fn take(mut body: B) -> (Self, Option<Self>) {
        let mut read = Self { frames: VecDeque::new(), trailers: None, error: None, rest: None };
        let mut bytes = 0;
        // Whoever polls next leaves its own waker.
        let mut cx = Context::from_waker(Waker::noop());
        let is_whole = loop {
            match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
                Poll::Ready(Some(Err(error))) => {
                    read.error = Some(error);
                    break false;
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        bytes += data.len();
                        read.frames.push_back(data);
                    }
                    Err(frame) => read.trailers = frame.into_trailers().ok(),
                },
            }
            if REPLAY_BYTES_MAX < bytes {
                break false;
            }
        };
        if !is_whole {
            read.rest = Some(body);
            return (read, None);
        }
        let (frames, trailers) = (read.frames.clone(), read.trailers.clone());
        (read, Some(Self { frames, trailers, error: None, rest: None }))
    }
}

/// Nothing in it is pinned but the rest, which says itself that it need not be.
impl<B: Body> Unpin for Buffered<B> {}

impl<B: Body<Data = Bytes> + Unpin> Body for Buffered<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let body = &mut *self;
        if let Some(data) = body.frames.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(error) = body.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        if let Some(trailers) = body.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        match &mut body.rest {
            Some(rest) => Pin::new(rest).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
            && self.trailers.is_none()
            && self.error.is_none()
            && self.rest.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let read: u64 = self.frames.iter().map(|data| data.len() as u64).sum();
        let rest = self.rest.as_ref().map_or_else(|| SizeHint::with_exact(0), B::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(read + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(read + upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    /// A body of `frames` that then waits for ever, or ends.
    struct Frames {
        frames: Vec<&'static str>,
        ends: bool,
    }

    impl Body for Frames {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
            if self.frames.is_empty() {
                return if self.ends { Poll::Ready(None) } else { Poll::Pending };
            }
            let data = Bytes::from_static(self.frames.remove(0).as_bytes());
            Poll::Ready(Some(Ok(Frame::data(data))))
        }
    }

    async fn text(body: impl Body<Data = Bytes, Error = std::io::Error>) -> String {
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_small_body_is_sent_the_same_twice() {
        let (now, again) = Buffered::take(Frames { frames: vec!["two ", "of A47"], ends: true });
        assert_eq!(now.size_hint().exact(), Some(10));
        assert_eq!(text(now).await, "two of A47");
        assert_eq!(text(again.unwrap()).await, "two of A47");
    }

    #[tokio::test]
    async fn a_body_still_on_its_way_is_not_waited_for() {
        let (mut now, again) = Buffered::take(Frames { frames: vec!["two "], ends: false });
        assert!(again.is_none());
        let first = now.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first, "two ");
    }

    #[test]
    fn a_large_body_is_sent_once() {
        let large = "x".repeat(REPLAY_BYTES_MAX + 1);
        let mut body = UnsyncBoxBody::<Bytes, std::convert::Infallible>::new(Full::new(Bytes::from(large)));
        assert!(body.again().is_none());
        assert_eq!(body.size_hint().exact(), Some(REPLAY_BYTES_MAX as u64 + 1), "and all of it");
    }
}
