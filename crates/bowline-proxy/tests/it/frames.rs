//! A caller that writes HTTP/2 frames as it likes, which no client library would let it.

use crate::support::{PATIENCE, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of a RST_STREAM or a GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let bytes = self.payload[if self.kind == GOAWAY { 4 } else { 0 }..][..4].try_into().unwrap();
        u32::from_be_bytes(bytes)
    }

    /// The last stream that a GOAWAY names.
    pub(crate) fn last_stream(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }
}

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields in the plainest form of HPACK: literals that are not indexed (RFC 7541, 6.2.2).
pub(crate) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            match text.len() {
                length @ 0..127 => block.push(length as u8),
                length => {
                    block.push(127);
                    let mut rest = length - 127;
                    while rest >= 128 {
                        block.push((rest % 128) as u8 | 128);
                        rest /= 128;
                    }
                    block.push(rest as u8);
                }
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

/// The fields of a good request, and more.
pub(crate) fn request(method: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut all =
        vec![(":method", method), (":scheme", "http"), (":path", "/stock"), (":authority", "shop.test")];
    all.extend(more);
    fields(&all)
}

/// A caller that writes frames.
pub(crate) struct Framer {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Framer {
    /// Connects and says the preface, with these settings.
    pub(crate) async fn connect(world: &World, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(world.gateway).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut framer = Self { stream, buffer: Vec::new() };
        // SETTINGS_HEADER_TABLE_SIZE: answers come without a table that would have to be kept here.
        let payload: Vec<u8> = [(1, 0)]
            .iter()
            .chain(settings)
            .flat_map(|(id, value)| id.to_be_bytes().into_iter().chain(value.to_be_bytes()))
            .collect();
        framer.write(&[PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat()).await;
        framer
    }

    /// Writes; a peer that has closed is not its business.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.write(&frame(kind, flags, stream, payload)).await;
    }

    /// The next frame; `None` if the connection ends first.
    pub(crate) async fn receive(&mut self) -> Option<Frame> {
        let reading = async {
            loop {
                if let Some(&[a, b, c, kind, flags, s1, s2, s3, s4]) = self.buffer.first_chunk() {
                    let length = u32::from_be_bytes([0, a, b, c]) as usize;
                    if 9 + length <= self.buffer.len() {
                        let payload = self.buffer[9..9 + length].to_vec();
                        self.buffer.drain(..9 + length);
                        let stream = u32::from_be_bytes([s1, s2, s3, s4]);
                        return Some(Frame { kind, flags, stream, payload });
                    }
                }
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => (),
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("a frame in time")
    }

    /// The next frame of this type, others passed over; `None` if the connection ends first.
    pub(crate) async fn next(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.receive().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }
}
