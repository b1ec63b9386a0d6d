//! What the fuzzer sees of this crate: an answer out of pieces of bytes, as a connection would read it.

use crate::beginning::Beginning;
use crate::framing::Framing;
use crate::incoming::{Decoded, Incoming, Part};
use bytes::Bytes;

/// An answer as far as it was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Heard {
    /// The status.
    pub status: u16,
    /// The head's fields, in order.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Whether the connection may be used again.
    pub keeps: bool,
    /// The length of the body, where the head says it.
    pub length: Option<u64>,
    /// What was passed on of the body.
    pub body: Vec<u8>,
    /// The trailers' fields, in order.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// How far it came.
    pub end: End,
}

/// How far an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// To its end, with so many bytes behind it.
    Through(usize),
    /// More has to come.
    More,
    /// Its body breaks the protocol.
    Malformed,
}

/// Reads an answer, to a request that was `HEAD` or not, out of `pieces`; `None` if there is no good head.
pub fn hear<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, to_head: bool) -> Option<Heard> {
    let mut pieces = pieces.into_iter();
    let mut beginning = Beginning::default();
    let (head, rest) = loop {
        if let Some(found) = beginning.read(pieces.next()?, to_head, &mut None).ok()? {
            break found;
        }
    };
    if head.status == http::StatusCode::SWITCHING_PROTOCOLS {
        // As a connection takes it whose request asked for no switch.
        return None;
    }
    let mut heard = Heard {
        status: head.status.as_u16(),
        fields: all(&head.headers),
        keeps: head.keeps,
        length: match head.framing {
            Framing::Nothing => Some(0),
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::UntilClose => None,
        },
        body: Vec::new(),
        trailers: Vec::new(),
        end: End::More,
    };
    let mut incoming = Incoming::new(head.framing, rest);
    loop {
        match incoming.decode() {
            Ok(Decoded::Part(Part::Data(bytes))) => heard.body.extend_from_slice(&bytes),
            Ok(Decoded::Part(Part::Trailers(trailers))) => heard.trailers = all(&trailers),
            Ok(Decoded::More) => match pieces.next() {
                Some(piece) => incoming.fill(Bytes::copy_from_slice(piece)),
                None => return Some(heard),
            },
            Ok(Decoded::End) => {
                heard.end = End::Through(incoming.pending() + pieces.map(<[u8]>::len).sum::<usize>());
                return Some(heard);
            }
            Err(_) => {
                heard.end = End::Malformed;
                return Some(heard);
            }
        }
    }
}

fn all(fields: &http::HeaderMap) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}
