//! An HTTP/2 callee that does frame by frame what a test says.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const INTERNAL_ERROR: u32 = 2;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;

/// `:status: 200`, from the static table.
pub(crate) const OK: &[u8] = &[0x88];

/// The other side of one connection.
pub(crate) struct Peer {
    stream: TcpStream,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Peer {
    /// Accepts a connection and greets it with these settings.
    pub(crate) async fn accept(listener: &TcpListener, settings: &[(u16, u32)]) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        let mut peer = Self { stream };
        let mut preface = [0; 24];
        peer.stream.read_exact(&mut preface).await.unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut payload = Vec::new();
        for (id, value) in settings {
            payload.extend_from_slice(&id.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        peer.send(SETTINGS, 0, 0, &payload).await;
        peer.send(SETTINGS, ACK, 0, &[]).await;
        peer
    }

    /// The next frame that is about a request or about the end; `None` at the connection's.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
            if !matches!(head[3], SETTINGS | WINDOW_UPDATE) {
                return Some(Frame { kind: head[3], flags: head[4], stream, payload });
            }
        }
    }

    /// The next frame, which is of this kind: its stream.
    pub(crate) async fn expect(&mut self, kind: u8) -> u32 {
        let frame = self.next().await;
        match frame {
            Some(frame) if frame.kind == kind => frame.stream,
            other => panic!("not a frame of kind {kind}: {other:?}"),
        }
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = Vec::new();
        self::frame(&mut frame, kind, flags, stream, payload);
        self.write(&frame).await;
    }

    pub(crate) async fn write(&mut self, frames: &[u8]) {
        self.stream.write_all(frames).await.unwrap();
    }

    /// A whole answer without a body.
    pub(crate) async fn answer(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, OK).await;
    }

    pub(crate) async fn reset(&mut self, stream: u32, reason: u32) {
        self.send(RST_STREAM, 0, stream, &reason.to_be_bytes()).await;
    }

    pub(crate) async fn go_away(&mut self, last: u32) {
        let payload = [last.to_be_bytes(), NO_ERROR.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload).await;
    }
}

/// One frame.
pub(crate) fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// A field of a head, not compressed.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0, name.len() as u8];
    field.extend_from_slice(name.as_bytes());
    field.push(value.len() as u8);
    field.extend_from_slice(value.as_bytes());
    field
}
