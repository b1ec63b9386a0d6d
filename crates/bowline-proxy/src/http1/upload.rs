//! A request's body on its way from the connection to whoever reads it.
//!
//! One part at a time, and only when it is asked for, so that a slow callee slows its caller. As a rule both sides are
//! the same task; a body that is read elsewhere (a mirror's, or one that goes on after an early answer) wakes the
//! connection, and is woken by it.

use super::decoder::{Coding, Decoder};
use crate::gate::Gated;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite};

/// A request's body.
#[derive(Debug)]
pub struct Body {
    /// `None`: there is nothing to come.
    upload: Option<Rc<Upload>>,
    /// What is still to come, if that is known.
    left: Option<u64>,
}

/// Whatever goes wrong with a body.
type BoxError = Box<dyn Error + Send + Sync>;

/// The caller went away before all of its request was here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incomplete;

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the caller went away before all of its request was here")
    }
}

impl Error for Incomplete {}

/// What both sides know.
#[derive(Debug, Default)]
struct Upload {
    part: RefCell<Option<Result<Frame<Bytes>, BoxError>>>,
    /// Whether the reader waits for a part.
    wanted: Cell<bool>,
    /// No part comes any more.
    over: Cell<bool>,
    /// Nobody reads any more.
    abandoned: Cell<bool>,
    reader: RefCell<Option<Waker>>,
    connection: RefCell<Option<Waker>>,
}

/// The connection's side.
#[derive(Debug)]
pub(super) struct Feeding {
    upload: Rc<Upload>,
    decoder: Decoder,
}

/// Both sides of a body; the connection has none where nothing is to come.
pub(super) fn channel(coding: Coding) -> (Option<Feeding>, Body) {
    let decoder = Decoder::new(coding);
    if decoder.is_over() {
        return (None, Body { upload: None, left: Some(0) });
    }
    let upload = Rc::new(Upload::default());
    let left = match coding {
        Coding::Length(length) => Some(length),
        Coding::Chunked | Coding::None => None,
    };
    (Some(Feeding { upload: Rc::clone(&upload), decoder }), Body { upload: Some(upload), left })
}

fn wake(waker: &RefCell<Option<Waker>>) {
    let waker = waker.take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

// === the connection's side ===

impl Feeding {
    /// Whether the reader waits for a part. If not, the task of `cx` is woken once it does.
    pub(super) fn is_wanted(&self, cx: &Context<'_>) -> bool {
        let wanted = self.upload.wanted.get();
        let waker = (!wanted).then(|| cx.waker().clone());
        *self.upload.connection.borrow_mut() = waker;
        wanted
    }

    /// Whether nobody reads any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.upload.abandoned.get()
    }

    /// Whether all of it has come and was handed over.
    pub(super) fn is_complete(&self) -> bool {
        self.upload.over.get()
    }

    /// Hands the next part over; `None`: it is not here yet. Whether it is good: if not, the body has broken off.
    pub(super) fn feed<T>(&mut self, gated: &mut Gated<T>, cx: &mut Context<'_>) -> Option<bool>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let Poll::Ready(part) = self.poll_part(gated, cx) else { return None };
        let good = !matches!(part, Some(Err(_)));
        let last = self.decoder.is_over() || !good;
        *self.upload.part.borrow_mut() = part;
        self.upload.over.set(last);
        self.upload.wanted.set(false);
        let reader = self.upload.reader.take();
        match reader {
            // It is asked again at once.
            Some(reader) if reader.will_wake(cx.waker()) => (),
            Some(reader) => reader.wake(),
            None => (),
        }
        Some(good)
    }

    fn poll_part<T>(
        &mut self,
        gated: &mut Gated<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            match self.decoder.next(gated.input()) {
                Err(violation) => return Poll::Ready(Some(Err(violation.into()))),
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(None) if self.decoder.is_over() => return Poll::Ready(None),
                Ok(None) => (),
            }
            match std::task::ready!(gated.poll_fill(cx)) {
                Ok(()) if gated.input().is_empty() => return Poll::Ready(Some(Err(Incomplete.into()))),
                Ok(()) => (),
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
        }
    }

    /// Throws away what nobody reads; whether that is all of it. What has not arrived yet is not waited for.
    pub(super) fn skip<T>(&mut self, gated: &mut Gated<T>, cx: &mut Context<'_>) -> bool
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        // As much as one read brings: a caller with more to say is better told by the end of the connection.
        let mut reads = 1;
        loop {
            match self.decoder.next(gated.input()) {
                Ok(Some(_)) => continue,
                Ok(None) if self.decoder.is_over() => return true,
                Err(_) => return false,
                Ok(None) if reads == 0 => return false,
                Ok(None) => reads -= 1,
            }
            if !matches!(gated.poll_fill(cx), Poll::Ready(Ok(()))) || gated.input().is_empty() {
                return false;
            }
        }
    }
}

impl Drop for Feeding {
    fn drop(&mut self) {
        if !self.upload.over.replace(true) {
            *self.upload.part.borrow_mut() = Some(Err(Incomplete.into()));
            wake(&self.upload.reader);
        }
    }
}

// === the reader's side ===

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(upload) = &self.upload else { return Poll::Ready(None) };
        if let Some(part) = upload.part.take() {
            if let (Some(left), Ok(frame)) = (self.left, &part) {
                self.left = frame.data_ref().map(|data| left.saturating_sub(data.len() as u64));
            }
            return Poll::Ready(Some(part));
        }
        if upload.over.get() {
            return Poll::Ready(None);
        }
        *upload.reader.borrow_mut() = Some(cx.waker().clone());
        upload.wanted.set(true);
        wake(&upload.connection);
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        let Some(upload) = &self.upload else { return true };
        upload.over.get() && upload.part.borrow().is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(upload) = &self.upload {
            upload.abandoned.set(true);
            wake(&upload.connection);
        }
    }
}
