//! A callee that speaks HTTP/2 by prior knowledge: what `cargo xtask bench proxy-h2` and `proxy-grpc` put behind
//! the proxies. Every request is answered with 200: a gRPC call by a message of 32 bytes and `grpc-status: 0`,
//! anything else by 1 KiB.
//!
//! ```text
//! cargo run --release -p bowline-proxy --example callee_http2 -- 127.0.0.1:17000
//! ```

use bytes::Bytes;
use h2::server::{SendResponse, handshake};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use std::error::Error;
use tokio::net::{TcpListener, TcpStream};

/// The body of an answer over plain HTTP/2.
static BODY: [u8; 1_024] = [b'b'; 1_024];
/// A gRPC message: not compressed, 27 bytes long, and these.
static MESSAGE: [u8; 32] = *b"\x00\x00\x00\x00\x1b\x0a\x19hello from behind a proxy";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("say where to listen: callee_http2 127.0.0.1:17000")?;
    let listener = TcpListener::bind(&address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A connection that breaks is the other side's business.
        tokio::spawn(async move { drop(serve(stream).await) });
    }
}

async fn serve(stream: TcpStream) -> Result<(), h2::Error> {
    let mut connection = handshake(stream).await?;
    while let Some(asked) = connection.accept().await {
        let (request, respond) = asked?;
        if is_grpc(&request) {
            // The message has to be read, or the connection's window never opens again.
            tokio::spawn(async move { drop(answer_call(request, respond).await) });
        } else {
            answer(respond)?;
        }
    }
    Ok(())
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    let value = request.headers().get(header::CONTENT_TYPE);
    value.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

fn answer(mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut head = Response::new(());
    head.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    head.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("1024"));
    respond.send_response(head, false)?.send_data(Bytes::from_static(&BODY), true)
}

async fn answer_call(
    mut request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    while let Some(data) = request.body_mut().data().await {
        let read = data?.len();
        request.body_mut().flow_control().release_capacity(read)?;
    }
    let mut head = Response::new(());
    head.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let mut body = respond.send_response(head, false)?;
    body.send_data(Bytes::from_static(&MESSAGE), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    body.send_trailers(trailers)
}
