//! Who answers: 1 KiB over HTTP/1.1 and HTTP/2, a message and `grpc-status: 0` to a gRPC call.

use crate::cuts::Cuts;
use bytes::Bytes;
use h2::RecvStream;
use h2::server::{SendResponse, handshake};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::sleep;

/// The body of an answer.
pub(crate) static BODY: [u8; 1_024] = [b'b'; 1_024];
/// A gRPC message: not compressed, 27 bytes long, and these.
pub(crate) static MESSAGE: [u8; 32] = *b"\x00\x00\x00\x00\x1b\x0a\x19hello from behind a proxy";
/// One request in so many takes longer: something has to be under way when a connection is cut, and late when it is
/// time for a hedge.
const LATE_ONE_IN: u64 = 100;
const LATE: Duration = Duration::from_millis(30);

#[derive(Clone, Copy)]
pub(crate) enum Speaks {
    Http1,
    Http2,
}

/// Serves until the program ends.
pub(crate) async fn serve(listener: TcpListener, speaks: Speaks, cuts: Rc<Cuts>) {
    let asked = Rc::new(Cell::new(0));
    while let Ok((stream, _)) = listener.accept().await {
        let Ok(cuttable) = cuts.watch(&stream) else { continue };
        let asked = Rc::clone(&asked);
        spawn_local(async move {
            let _ = stream.set_nodelay(true);
            tokio::select! {
                // A connection that breaks is the other side's business.
                _ = async {
                    match speaks {
                        Speaks::Http1 => http1(stream, &asked).await,
                        Speaks::Http2 => http2(stream, &asked).await,
                    }
                } => (),
                () = cuttable.cut() => (),
            }
        });
    }
}

/// Waits, one time in many.
async fn work(asked: &Cell<u64>) {
    asked.set(asked.get() + 1);
    if asked.get().is_multiple_of(LATE_ONE_IN) {
        sleep(LATE).await;
    }
}

async fn http1(mut stream: TcpStream, asked: &Cell<u64>) -> io::Result<()> {
    let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", BODY.len()).into_bytes();
    answer.extend_from_slice(&BODY);
    let mut buffer = Vec::with_capacity(4_096);
    loop {
        while let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            buffer.drain(..end + 4);
            work(asked).await;
            stream.write_all(&answer).await?;
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

async fn http2(stream: TcpStream, asked: &Rc<Cell<u64>>) -> io::Result<()> {
    let mut connection = handshake(stream).await.map_err(io::Error::other)?;
    while let Some(next) = connection.accept().await {
        let (request, respond) = next.map_err(io::Error::other)?;
        let asked = Rc::clone(asked);
        spawn_local(async move {
            work(&asked).await;
            drop(answer(request, respond).await);
        });
    }
    Ok(())
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let is_grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let mut head = Response::new(());
    if !is_grpc {
        head.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(BODY.len()));
        return respond.send_response(head, false)?.send_data(Bytes::from_static(&BODY), true);
    }
    let mut body = request.into_body();
    while let Some(data) = body.data().await {
        let read = data?.len();
        body.flow_control().release_capacity(read)?;
    }
    head.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let mut body = respond.send_response(head, false)?;
    body.send_data(Bytes::from_static(&MESSAGE), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    body.send_trailers(trailers)
}
