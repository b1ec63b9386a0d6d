//! HTTP/1 from callers.
//!
//! The gate has judged every byte before it comes here, so that what is left to do is small: heads become requests,
//! answers become bytes, and one request after the other has its turn.
//!
//! Why no server library: it would parse again what the gate has parsed, and keep two buffers of 8 KiB for each
//! connection that is open. Here nothing is kept of a connection between its requests; heads are read and answers
//! written in buffers that a thread's connections share.
//!
//! In reading order:
//! - [`serve`]: one connection; [`Answers`]: who answers
//! - `head`: a request's head, from bytes
//! - `upload`: its body, [`Body`], on the way to whoever reads it; `decoder`: what of the bytes is body
//! - `answer`: an answer's head, to bytes; `sending`: all of it on the way out

mod answer;
mod decoder;
mod head;
mod sending;
mod upload;

pub use upload::{Body, Incomplete};

use crate::ending::Ending;
use crate::gate::{Gated, Part, Violation};
use bytes::Bytes;
use head::Said;
use http::header::HeaderValue;
use http::{HeaderMap, Request, Response, StatusCode};
use sending::Sending;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};
use upload::Feeding;

/// Who answers the requests of a connection.
pub trait Answers {
    /// An answer's body. An error in it ends the connection.
    type Body: http_body::Body<Data = Bytes, Error: std::error::Error> + Unpin;

    /// Answers one request. Dropped, if the caller leaves before.
    fn answer(&self, request: Request<Body>) -> impl Future<Output = Response<Self::Body>>;

    /// The date for an answer that has none.
    fn date(&self) -> Option<HeaderValue>;

    /// How the connection is to come to its end.
    fn ending(&self) -> Ending;

    /// The task of `cx` is to be woken when that changes.
    fn listen(&self, cx: &Context<'_>);
}

/// Serves a connection until it ends; if what follows is no longer HTTP/1, its socket and what was read ahead.
///
/// # Cancel safety
/// Dropping the future ends the connection, and the answer under way with it.
pub async fn serve<T, A>(mut gated: Gated<T>, answers: &A) -> Option<(T, Bytes)>
where
    T: AsyncRead + AsyncWrite + Unpin,
    A: Answers,
{
    loop {
        match next_head(&mut gated, answers).await {
            Next::Head => (),
            Next::Close => break,
            Next::Gone => return None,
        }
        let (head, said) = match head::parse(gated.input(), SPARE.take()) {
            Ok(parsed) => parsed,
            Err(reason) => {
                gated.refuse(Violation { reason, part: Part::Head });
                // Ends in an error once the caller has been told.
                let _ = poll_fn(|cx| gated.poll_fill(cx)).await;
                return None;
            }
        };
        let mut exchange =
            Exchange { gated: &mut gated, answers, said, rest: None, broken: false, sending: Sending::new() };
        let body = exchange.body();
        let response = {
            let answer = pin!(answers.answer(head.map(|()| body)));
            exchange.wait_for(answer).await?
        };
        let follows = exchange.send(response).await?;
        if follows == Follows::Something {
            return Some(gated.into_parts());
        }
        if !exchange.take_rest().await || follows == Follows::Nothing {
            break;
        }
    }
    close(&mut gated, answers).await;
    None
}

thread_local! {
    /// The map of the answer before, emptied: it holds the next request's fields.
    static SPARE: Cell<HeaderMap> = Cell::default();
}

/// What comes next on a connection.
enum Next {
    Head,
    /// Nothing: it is to be closed.
    Close,
    /// Nothing, and there is nobody to close it with.
    Gone,
}

/// Waits for a head.
async fn next_head<T, A>(gated: &mut Gated<T>, answers: &A) -> Next
where
    T: AsyncRead + AsyncWrite + Unpin,
    A: Answers,
{
    poll_fn(|cx| {
        answers.listen(cx);
        match answers.ending() {
            Ending::Now => return Poll::Ready(Next::Gone),
            Ending::Graceful if gated.input().is_empty() => return Poll::Ready(Next::Close),
            Ending::Graceful | Ending::None => (),
        }
        Poll::Ready(match ready!(gated.poll_fill(cx)) {
            Ok(()) if gated.input().is_empty() => Next::Close,
            Ok(()) => Next::Head,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "a caller's connection ended");
                Next::Gone
            }
        })
    })
    .await
}

/// Shuts a connection so that the caller can read all that it was told.
async fn close<T, A>(gated: &mut Gated<T>, answers: &A)
where
    T: AsyncRead + AsyncWrite + Unpin,
    A: Answers,
{
    poll_fn(|cx| {
        answers.listen(cx);
        if answers.ending() == Ending::Now {
            return Poll::Ready(());
        }
        gated.poll_close(cx).map(|_| ())
    })
    .await;
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    /// Another request.
    Request,
    /// The end of the connection.
    Nothing,
    /// Another protocol, or HTTP through a tunnel.
    Something,
}

/// One request and its answer.
struct Exchange<'c, T, A: Answers> {
    gated: &'c mut Gated<T>,
    answers: &'c A,
    said: Said,
    /// What of the request's body is still to come.
    rest: Option<Feeding>,
    /// Whether it broke off.
    broken: bool,
    sending: Sending<A::Body>,
}

impl<T: AsyncRead + AsyncWrite + Unpin, A: Answers> Exchange<'_, T, A> {
    fn body(&mut self) -> Body {
        let (feeding, body) = upload::channel(self.said.body);
        self.rest = feeding;
        body
    }

    /// Drives an answer until it begins. `None`: it is wanted no more.
    async fn wait_for<F>(&mut self, mut answer: Pin<&mut F>) -> Option<Response<A::Body>>
    where
        F: Future<Output = Response<A::Body>>,
    {
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(response) = answer.as_mut().poll(cx) {
                    return Poll::Ready(Some(response));
                }
                if !self.go_on(cx) {
                    return self.poll_gone(cx).map(|()| None);
                }
            }
        })
        .await
    }

    /// Sends an answer; what follows it. `None`: it broke off.
    async fn send(&mut self, response: Response<A::Body>) -> Option<Follows> {
        let (parts, body) = response.into_parts();
        let mut headers = parts.headers;
        let keeps = self.said.keeps && !self.broken && self.answers.ending() == Ending::None;
        let date = if headers.contains_key(http::header::DATE) { None } else { self.answers.date() };
        let terms = self.sending.begin(parts.status, &headers, date.as_ref(), body, &self.said, keeps);
        headers.clear();
        SPARE.set(headers);
        poll_fn(|cx| {
            loop {
                match self.sending.poll(self.gated, cx) {
                    Poll::Ready(Ok(())) => return Poll::Ready(Some(())),
                    Poll::Ready(Err(error)) => {
                        tracing::debug!(error, "an answer broke off");
                        return Poll::Ready(None);
                    }
                    Poll::Pending => (),
                }
                if !self.go_on(cx) {
                    return self.poll_gone(cx).map(|()| None);
                }
            }
        })
        .await?;
        let switches = parts.status == StatusCode::SWITCHING_PROTOCOLS
            || (self.said.connect && parts.status.is_success());
        Some(match terms.keeps {
            _ if switches => Follows::Something,
            true => Follows::Request,
            false => Follows::Nothing,
        })
    }

    /// Gives whoever reads the request's body the next part of it, if it is wanted and here.
    fn go_on(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(feeding) = &mut self.rest else { return false };
        if !feeding.is_wanted(cx) {
            return false;
        }
        if self.said.expects {
            self.said.expects = false;
            self.sending.tell_to_go_on();
        }
        if self.sending.poll_told(self.gated, cx).is_pending() {
            return false;
        }
        let Some(good) = feeding.feed(self.gated, cx) else { return false };
        self.broken |= !good;
        if feeding.is_complete() {
            self.rest = None;
        }
        true
    }

    /// Ready once nobody waits for the answer any more.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.answers.listen(cx);
        if self.answers.ending() == Ending::Now {
            return Poll::Ready(());
        }
        match &self.rest {
            None => self.gated.watch(cx).map_or(Poll::Ready(()), |()| Poll::Pending),
            Some(_) => Poll::Pending,
        }
    }

    /// Takes what is left of the request after its answer; whether that is all of it.
    async fn take_rest(&mut self) -> bool {
        poll_fn(|cx| {
            loop {
                let Some(feeding) = &mut self.rest else { return Poll::Ready(!self.broken) };
                self.answers.listen(cx);
                if self.answers.ending() == Ending::Now {
                    return Poll::Ready(false);
                }
                if feeding.is_abandoned() {
                    return Poll::Ready(feeding.skip(self.gated, cx));
                }
                if !self.go_on(cx) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}
