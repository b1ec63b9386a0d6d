//! A request's body on its way out over HTTP/2.

use crate::replay::RequestBody;
use crate::upload::SourceBroken;
use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A request's body on its way out.
#[derive(Debug)]
pub(crate) struct Upload {
    stream: SendStream<Bytes>,
    body: RequestBody,
    /// Bytes that the head promised and that are still to come.
    left: Option<u64>,
    /// Whether a part is under way that may not have found room yet.
    pressed: bool,
}

impl Upload {
    pub(crate) const fn new(stream: SendStream<Bytes>, body: RequestBody, length: Option<u64>) -> Self {
        Self { stream, body, left: length, pressed: false }
    }

    /// Sends until all is out, the peer has no room or the body has to be waited for. Ready too once the peer
    /// takes no more: what it answers stands.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SourceBroken>> {
        loop {
            if self.pressed {
                // The part before this one was handed over whole, however little room there was: so at most
                // one waits in the connection's store.
                self.stream.reserve_capacity(1);
                if self.stream.capacity() == 0
                    && !matches!(ready!(self.stream.poll_capacity(cx)), Some(Ok(_)))
                {
                    return Poll::Ready(Ok(()));
                }
            }
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                return Poll::Ready(self.end());
            };
            let Ok(frame) = frame else { return Poll::Ready(Err(self.break_off())) };
            let sent = match frame.into_data() {
                Ok(data) if data.is_empty() => continue,
                Ok(data) => {
                    if let Some(left) = &mut self.left {
                        let Some(rest) = left.checked_sub(data.len() as u64) else {
                            return Poll::Ready(Err(self.break_off()));
                        };
                        *left = rest;
                    }
                    if self.body.is_end_stream() {
                        if self.left.is_some_and(|left| left > 0) {
                            return Poll::Ready(Err(self.break_off()));
                        }
                        let _ = self.stream.send_data(data, true);
                        return Poll::Ready(Ok(()));
                    }
                    self.pressed = true;
                    self.stream.send_data(data, false)
                }
                Err(frame) => {
                    let _ = self.stream.send_trailers(frame.into_trailers().unwrap_or_default());
                    return Poll::Ready(Ok(()));
                }
            };
            if sent.is_err() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn end(&mut self) -> Result<(), SourceBroken> {
        if self.left.is_some_and(|left| left > 0) {
            return Err(self.break_off());
        }
        let _ = self.stream.send_data(Bytes::new(), true);
        Ok(())
    }

    /// The callee must not take what it has for the whole.
    fn break_off(&mut self) -> SourceBroken {
        self.stream.send_reset(Reason::CANCEL);
        SourceBroken
    }
}
