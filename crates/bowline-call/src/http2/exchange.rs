//! One request over HTTP/2, and the head of its answer.

use crate::framing::{Framing, Head};
use crate::http2::upload::Upload;
use crate::http2::{Incoming, Slot};
use crate::replay::Replay;
use crate::upload::SourceBroken;
use bowline_model::decision::TryEnd;
use h2::Reason;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, StatusCode, Uri, Version, header};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// A request's head as HTTP/2 wants it.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) target: Option<PathAndQuery>,
    pub(crate) authority: Option<Authority>,
    pub(crate) fields: HeaderMap,
}

impl Request {
    fn into_http(self, secure: bool) -> http::Request<()> {
        let Self { method, target, authority, fields } = self;
        let mut request = http::Request::new(());
        *request.method_mut() = method;
        *request.headers_mut() = fields;
        let mut parts = http::uri::Parts::default();
        parts.path_and_query = Some(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
        if let Some(authority) = authority {
            parts.scheme = Some(if secure { Scheme::HTTPS } else { Scheme::HTTP });
            parts.authority = Some(authority);
            *request.version_mut() = Version::HTTP_2;
        }
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        request
    }
}

/// Sends `request` in the place `slot` and waits for the head of its answer. `secure`: under TLS.
///
/// # Cancel safety
/// Dropping the future resets the stream: the callee learns that nobody waits any more.
pub(crate) async fn ask(
    slot: Slot,
    request: Request,
    body: &Replay,
    secure: bool,
) -> Result<(Head, Incoming), TryEnd> {
    let to_head = request.method == Method::HEAD;
    // What is written from here on may be of this request; what was before is not.
    let mark = slot.written();
    let sent = slot.requests().send_request(request.into_http(secure), body.is_empty());
    let Ok((mut response, stream)) = sent else {
        // The connection is at its end, and said so before this request had a number.
        slot.close();
        return Err(TryEnd::ResetBeforeRequest);
    };
    let mut upload = (!body.is_empty()).then(|| Upload::new(stream, body.body(), body.length()));
    let answered = poll_fn(|cx| {
        if let Some(sending) = &mut upload {
            match sending.poll(cx) {
                Poll::Ready(Ok(())) => upload = None,
                Poll::Ready(Err(SourceBroken)) => return Poll::Ready(Err(TryEnd::Cancelled)),
                Poll::Pending => (),
            }
        }
        Pin::new(&mut response).poll(cx).map_err(|error| how(&error, &slot, mark))
    })
    .await?;
    let (parts, stream) = answered.into_parts();
    let framing = framing(parts.status, &parts.headers, to_head || stream.is_end_stream());
    let head = Head { status: parts.status, headers: parts.headers, framing, keeps: true };
    Ok((head, Incoming::new(stream, upload, slot)))
}

/// How a try ended whose answer has no head.
fn how(error: &h2::Error, slot: &Slot, mark: u64) -> TryEnd {
    let surely_not_sent = slot.written() == mark;
    if error.is_go_away() && error.is_remote() {
        // Streams that the peer may have looked at stay open after its GOAWAY: this one came behind them.
        slot.close();
        return TryEnd::StreamRefused;
    }
    if error.is_reset() {
        return match error.reason() {
            Some(Reason::REFUSED_STREAM) if error.is_remote() => TryEnd::StreamRefused,
            _ if error.is_remote() => TryEnd::Reset,
            _ => TryEnd::Malformed,
        };
    }
    slot.close();
    if surely_not_sent { TryEnd::ResetBeforeRequest } else { TryEnd::Reset }
}

/// What is known of the length of an answer's body.
fn framing(status: StatusCode, headers: &HeaderMap, is_over: bool) -> Framing {
    if is_over || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Framing::Nothing;
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    length.map_or(Framing::UntilClose, Framing::Length)
}
