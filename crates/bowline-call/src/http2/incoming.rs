//! An answer's body over HTTP/2, as it comes.

use crate::connection::Broken;
use crate::http2::Slot;
use crate::http2::upload::Upload;
use crate::incoming::Part;
use h2::RecvStream;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long a request may go on after its answer is through. 30 s, what the edge gives a whole call.
const UPLOAD_AFTER_ANSWER: Duration = Duration::from_secs(30);

/// An answer's body as it comes. Dropping it before its end resets the stream.
#[derive(Debug)]
pub(crate) struct Incoming {
    stream: RecvStream,
    /// The rest of the request, which goes out by itself.
    upload: Option<Sending>,
    slot: Slot,
    data_over: bool,
    over: bool,
}

#[derive(Debug)]
enum Sending {
    Here(Upload),
    Alone(AbortOnDrop),
}

#[derive(Debug)]
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Incoming {
    pub(crate) fn new(stream: RecvStream, upload: Option<Upload>, slot: Slot) -> Self {
        Self { over: false, data_over: false, stream, upload: upload.map(Sending::Here), slot }
    }

    /// Whether all of the request is out.
    pub(crate) const fn is_sent(&self) -> bool {
        self.upload.is_none()
    }

    /// Whether all of the answer is through.
    pub(crate) fn is_through(&self) -> bool {
        self.over || self.stream.is_end_stream()
    }

    /// The next part of the body, if it is here; `Ok(None)` if it has to be waited for, or if there is none.
    pub(crate) fn ready_part(&mut self) -> Result<Option<Part>, Broken> {
        match self.poll_data(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(part) => part.transpose(),
            Poll::Pending => Ok(None),
        }
    }

    /// The next part of the body.
    pub(crate) fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Part, Broken>>> {
        if let Some(Sending::Here(_)) = &self.upload {
            self.detach_upload();
        }
        self.poll_data(cx)
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Part, Broken>>> {
        while !self.data_over {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // The caller takes it now, so there is room for as much again.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    if !data.is_empty() {
                        return Poll::Ready(Some(Ok(Part::Data(data))));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(self.broken(error)))),
                None => self.data_over = true,
            }
        }
        if self.over {
            return Poll::Ready(None);
        }
        let trailers = ready!(self.stream.poll_trailers(cx));
        self.over = true;
        Poll::Ready(match trailers {
            Ok(trailers) => trailers.map(|trailers| Ok(Part::Trailers(trailers))),
            Err(error) => Some(Err(self.broken(error))),
        })
    }

    /// The answer was passed on. The rest of the request may still go out, and the end of an answer that said
    /// it has no body may still come, for a while: to break off what went well would look like a caller who
    /// gave up.
    pub(crate) fn finish(mut self) {
        if self.is_through() && self.is_sent() {
            return;
        }
        self.detach_upload();
        tokio::task::spawn_local(async move {
            let _ = tokio::time::timeout(UPLOAD_AFTER_ANSWER, self.end()).await;
        });
    }

    async fn end(&mut self) {
        while let Some(Ok(_)) = poll_fn(|cx| self.poll_data(cx)).await {}
        if let Some(Sending::Alone(upload)) = &mut self.upload {
            let _ = (&mut upload.0).await;
        }
    }

    /// Lets the rest of the request go out by itself: the two directions are independent of each other, and
    /// a callee and a caller that both insist on speaking first would wait for ever otherwise.
    fn detach_upload(&mut self) {
        match self.upload.take() {
            Some(Sending::Here(mut upload)) => {
                let sending = tokio::task::spawn_local(async move {
                    let _ = poll_fn(|cx| upload.poll(cx)).await;
                });
                self.upload = Some(Sending::Alone(AbortOnDrop(sending)));
            }
            other => self.upload = other,
        }
    }

    fn broken(&mut self, error: h2::Error) -> Broken {
        self.over = true;
        self.data_over = true;
        if error.is_io() {
            self.slot.close();
            return Broken::Io(error.into_io().unwrap_or_else(|| io::ErrorKind::ConnectionReset.into()));
        }
        if error.is_library() { Broken::Malformed } else { Broken::Incomplete }
    }
}
