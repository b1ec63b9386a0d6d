//! Arbitrary bytes from a caller, cut arbitrarily, before gate and server.
//!
//! - However a stream is cut, the same requests are handed over, with the same bodies, and the same bytes go back.
//! - Whatever comes, the connection ends once the caller has ended.
#![no_main]

use bowline_call::Clock;
use bowline_proxy::Ending;
use bowline_proxy::gate::{Answering, GateHandle, Gated, Limits, Patience};
use bowline_proxy::http1::{self, Answers};
use bytes::Bytes;
use http::header::HeaderValue;
use http::{Request, Response};
use http_body::{Body, Frame};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

fuzz_target!(|input: &[u8]| {
    // The first bytes choose cuts; what is left is the stream.
    let Some((&[a, b], stream)) = input.split_first_chunk() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without a driver").block_on(async {
        let whole = serve(vec![stream.to_vec()]).await;
        let (first, second) = stream.split_at(stream.len().min(usize::from(a) * 4));
        let size = usize::from(b) % 7 + 1;
        let cut =
            serve(std::iter::once(first).chain(second.chunks(size)).map(<[u8]>::to_vec).collect()).await;
        assert_eq!(whole, cut);
    });
});

/// What a stream came to: the requests that were handed over, and what went back.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    handled: Vec<String>,
    answers: Vec<u8>,
}

async fn serve(pieces: Vec<Vec<u8>>) -> Seen {
    let mut limits = Limits::default();
    // How far callers may run ahead of their answers depends on how the stream is cut.
    limits.pipelined_max = u64::MAX;
    limits.websocket = false;
    let seen = RefCell::new(Seen::default());
    let caller =
        Caller { pieces: pieces.into_iter().filter(|piece| !piece.is_empty()).collect(), seen: &seen };
    let (gated, gate) = Gated::new(caller, Clock::start(), limits, Patience::default());
    http1::serve(gated, &Server { gate, seen: &seen }).await;
    seen.take()
}

/// Says its pieces and listens.
struct Caller<'s> {
    pieces: std::collections::VecDeque<Vec<u8>>,
    seen: &'s RefCell<Seen>,
}

impl AsyncRead for Caller<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(piece) = self.pieces.front_mut() {
            let some = piece.len().min(buffer.remaining());
            buffer.put_slice(&piece[..some]);
            piece.drain(..some);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Caller<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.seen.borrow_mut().answers.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Server<'s> {
    gate: GateHandle,
    seen: &'s RefCell<Seen>,
}

impl Answers for Server<'_> {
    type Body = Echo;

    async fn answer(&self, request: Request<http1::Body>) -> Response<Echo> {
        let answering = self.gate.answering();
        let (head, body) = request.into_parts();
        let mut body = pin!(body);
        let mut whole = Vec::new();
        let end = loop {
            match poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
                None => break "whole",
                Some(Err(_)) => break "broken",
                Some(Ok(frame)) => whole.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
            }
        };
        // Of a body that broke off as much was read as had come by then.
        let length = if end == "whole" { whole.len() } else { 0 };
        self.seen.borrow_mut().handled.push(format!("{} {} {length} {end}", head.method, head.uri));
        if end == "broken" {
            whole.clear();
        }
        Response::new(Echo { bytes: whole.into(), _answering: answering })
    }

    fn date(&self) -> Option<HeaderValue> {
        None
    }

    fn ending(&self) -> Ending {
        Ending::None
    }

    fn listen(&self, _: &Context<'_>) {}
}

/// Says a body back, in chunks.
struct Echo {
    bytes: Bytes,
    _answering: Answering,
}

impl Body for Echo {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let some = self.bytes.len().min(10_000);
        let part = self.bytes.split_to(some);
        Poll::Ready((!part.is_empty()).then(|| Ok(Frame::data(part))))
    }
}
