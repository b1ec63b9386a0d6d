//! One stream: a request and its answer.

use super::body::StreamBody;
use super::head::{self, Said};
use super::watch::Watch;
use crate::body::Body;
use crate::connection::Connection;
use crate::gate::wait::{Owed, Wait};
use crate::gate::{GateHandle, Part, Reason, Violation};
use crate::incoming::Incoming;
use crate::request;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason as Code, RecvStream, SendStream};
use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Answers the request of one stream. A caller that resets the stream ends this, and with it the call.
pub(super) async fn serve(
    connection: Rc<Connection>,
    watch: Rc<Watch>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let gate = GateHandle::default();
    let (mut parts, stream) = request.into_parts();
    let worker = Rc::clone(connection.worker());
    let limits = &worker.shared().limits;
    let usual_port = if connection.secured().is_some() { ":443" } else { ":80" };
    let said = match head::accept(&mut parts, &limits.gate, usual_port) {
        Ok(said) => said,
        Err(reason) => {
            worker.shared().metrics.violated(reason);
            watch.answers(respond.stream_id());
            return refuse(&mut respond, reason);
        }
    };
    let Said { length, expects } = said;
    if expects && !stream.is_end_stream() {
        let mut go_on = Response::new(());
        *go_on.status_mut() = StatusCode::CONTINUE;
        watch.answers(respond.stream_id());
        let _ = respond.send_informational(go_on);
    }
    let body =
        StreamBody::new(stream, length, &limits.gate, limits.patience.clone(), worker.clock(), gate.clone());
    let incoming = Incoming::Http2(Box::new(body));
    let response = {
        let answering = gate.answering();
        let answer = request::answer(&connection, answering, Request::from_parts(parts, incoming));
        let mut answer = pin!(answer);
        poll_fn(|cx| {
            // The caller may change its mind, or be gone.
            if respond.poll_reset(cx).is_ready() {
                return Poll::Ready(None);
            }
            answer.as_mut().poll(cx).map(Some)
        })
        .await
    };
    if let Some(response) = response {
        let sent = send(&connection, &watch, &gate, &mut respond, response).await;
        if let Err(error) = sent {
            tracing::debug!(error = &error as &dyn std::error::Error, "a caller's stream ended");
        }
    }
    if let Some(violation) = gate.violation() {
        worker.shared().metrics.violated(violation.reason);
    }
}

/// Answers a request that was refused, in the gate's own words.
fn refuse(respond: &mut SendResponse<Bytes>, reason: Reason) {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(reason.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    // What cannot be sent has nobody to read it.
    let Ok(mut stream) = respond.send_response(response, false) else { return };
    let _ = stream.send_data(Bytes::from(format!("{}\n", reason.sentence())), true);
}

/// Sends an answer as far as the caller lets it.
async fn send(
    connection: &Connection,
    watch: &Watch,
    gate: &GateHandle,
    respond: &mut SendResponse<Bytes>,
    response: Response<Body>,
) -> Result<(), h2::Error> {
    let (parts, body) = response.into_parts();
    let mut response = Response::from_parts(parts, ());
    let worker = connection.worker();
    let headers = response.headers_mut();
    if !headers.contains_key(header::DATE) {
        headers.insert(header::DATE, worker.date());
    }
    watch.answers(respond.stream_id());
    if body.is_end_stream() {
        respond.send_response(response, true)?;
        return Ok(());
    }
    let stream = respond.send_response(response, false)?;
    let waiting = Wait::new(worker.clock());
    let mut sending = Sending { stream, body, part: Bytes::new(), waiting, connection, watch, gate };
    poll_fn(|cx| sending.poll(cx)).await
}

/// An answer's body on its way.
struct Sending<'c> {
    stream: SendStream<Bytes>,
    body: Body,
    /// What was read of it and waits for the caller's window.
    part: Bytes,
    waiting: Wait,
    connection: &'c Connection,
    watch: &'c Watch,
    gate: &'c GateHandle,
}

impl Sending<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            if !self.part.is_empty() {
                match ready!(self.poll_part(cx)) {
                    Ok(true) => return Poll::Ready(Ok(())),
                    Ok(false) => (),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                // Nobody to wait for the callee with: it is told by dropping this.
                return self.stream.poll_reset(cx).map(|_| Ok(()));
            };
            match frame {
                None => return Poll::Ready(self.stream.send_data(Bytes::new(), true)),
                Some(Err(_)) => {
                    // The caller must not take it for the end.
                    self.stream.send_reset(Code::INTERNAL_ERROR);
                    return Poll::Ready(Ok(()));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {
                        if self.body.is_end_stream() {
                            return Poll::Ready(self.stream.send_data(data, true));
                        }
                    }
                    Ok(data) => self.part = data,
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        self.watch.answers(self.stream.stream_id());
                        return Poll::Ready(self.stream.send_trailers(trailers));
                    }
                },
            }
        }
    }

    /// Sends of the present part what the caller's window takes; whether that was the end of it all. Nothing is left with
    /// the library beyond the window: a caller that opens none would fill our memory with it.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, h2::Error>> {
        self.stream.reserve_capacity(self.part.len());
        loop {
            let room = self.stream.capacity();
            if room == 0 {
                match self.stream.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(_))) => continue,
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                    // The stream is over.
                    Poll::Ready(None) => return Poll::Ready(Ok(true)),
                    Poll::Pending => return self.poll_patience(cx).map(|()| Ok(true)),
                }
            }
            let some = self.part.split_to(room.min(self.part.len()));
            let pace = self.connection.worker().shared().limits.patience.reader;
            self.waiting.progressed(some.len(), pace);
            let last = self.part.is_empty() && self.body.is_end_stream();
            if let Err(error) = self.stream.send_data(some, last) {
                return Poll::Ready(Err(error));
            }
            if self.part.is_empty() {
                self.waiting.done();
                return Poll::Ready(Ok(last));
            }
        }
    }

    /// Waits for the caller to read, but not for ever.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let pace = self.connection.worker().shared().limits.patience.reader;
        ready!(self.waiting.poll(Owed::Reading, pace.every, cx));
        self.gate.violate(Violation { reason: Reason::ReaderTooSlow, part: Part::Body });
        self.stream.send_reset(Code::CANCEL);
        Poll::Ready(())
    }
}
