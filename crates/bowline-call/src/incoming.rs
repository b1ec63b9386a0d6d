//! An answer's body as it is read: where it ends, and what of it is here. Pure.

use crate::chunks::{Chunks, EXTENSION_BYTES_MAX, Piece};
use crate::framing::{Framing, Malformed};
use bytes::{Buf, Bytes};
use http::HeaderMap;

/// An answer's body as it is read.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// What was read and is not passed on yet.
    pending: Bytes,
    reading: Reading,
}

/// What is to be read of it.
#[derive(Debug, Default)]
enum Reading {
    #[default]
    Nothing,
    Length(u64),
    Chunked(Box<Chunks>),
    UntilClose,
}

/// A part of an answer's body.
#[derive(Debug)]
pub(crate) enum Part {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// What can be read of a body without waiting.
#[derive(Debug)]
pub(crate) enum Decoded {
    Part(Part),
    End,
    /// More has to be read first.
    More,
}

impl Incoming {
    /// The body of an answer whose head was read, and what came behind that.
    pub(crate) fn new(framing: Framing, rest: Bytes) -> Self {
        let reading = match framing {
            Framing::Nothing => Reading::Nothing,
            Framing::Length(length) => Reading::Length(length),
            Framing::Chunked => Reading::Chunked(Box::new(Chunks::new(EXTENSION_BYTES_MAX))),
            Framing::UntilClose => Reading::UntilClose,
        };
        Self { pending: rest, reading }
    }

    /// Whether all of it is through.
    pub(crate) const fn is_through(&self) -> bool {
        matches!(self.reading, Reading::Nothing)
    }

    /// How much was read and not passed on: behind the end, what nobody asked for.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// What was read and not passed on.
    pub(crate) fn take_pending(&mut self) -> Bytes {
        std::mem::take(&mut self.pending)
    }

    /// More was read. What was read before has to be passed on first.
    pub(crate) fn fill(&mut self, bytes: Bytes) {
        self.pending = bytes;
    }

    /// The connection has ended; whether that is the body's end.
    pub(crate) fn close(&mut self) -> bool {
        if matches!(self.reading, Reading::UntilClose) {
            self.reading = Reading::Nothing;
        }
        self.is_through()
    }

    /// What of it is here.
    pub(crate) fn decode(&mut self) -> Result<Decoded, Malformed> {
        if self.is_through() {
            return Ok(Decoded::End);
        }
        if self.pending.is_empty() {
            return Ok(Decoded::More);
        }
        match &mut self.reading {
            Reading::Nothing => Ok(Decoded::End),
            Reading::UntilClose => Ok(Decoded::Part(Part::Data(std::mem::take(&mut self.pending)))),
            Reading::Length(left) => {
                let some = self.pending.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= some as u64;
                if *left == 0 {
                    self.reading = Reading::Nothing;
                }
                Ok(Decoded::Part(Part::Data(self.pending.split_to(some))))
            }
            Reading::Chunked(chunks) => {
                let mut at = 0;
                let piece = chunks.next(&self.pending, &mut at)?;
                let decoded = match piece {
                    Piece::Data(range) => Decoded::Part(Part::Data(self.pending.slice(range))),
                    Piece::More => Decoded::More,
                    Piece::End(trailers) => {
                        self.reading = Reading::Nothing;
                        trailers.map_or(Decoded::End, |trailers| Decoded::Part(Part::Trailers(trailers)))
                    }
                };
                self.pending.advance(at);
                Ok(decoded)
            }
        }
    }
}
