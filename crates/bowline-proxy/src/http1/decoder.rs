//! What of the bytes behind a head is its body. Pure.

use crate::gate::{Part, Reason, Violation};
use bowline_call::chunks::{Chunks, Piece};
use bytes::{Buf as _, Bytes};
use http_body::Frame;

/// What chunks' extensions may occupy, each: what the gate lets pass of all together.
const EXTENSION_BYTES_MAX: usize = 4 << 10;

/// How a request's body is framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Coding {
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// There is none.
    #[default]
    None,
}

/// Takes a body out of bytes.
#[derive(Debug)]
pub(super) enum Decoder {
    /// What is still to come.
    Length(u64),
    Chunked(Chunks),
    /// It is through.
    Over,
}

impl Decoder {
    pub(super) const fn new(coding: Coding) -> Self {
        match coding {
            Coding::None | Coding::Length(0) => Self::Over,
            Coding::Length(length) => Self::Length(length),
            Coding::Chunked => Self::Chunked(Chunks::new(EXTENSION_BYTES_MAX)),
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// Takes the next part from the beginning of `input`; `None`: more has to come first, or it is over.
    pub(super) fn next(&mut self, input: &mut Bytes) -> Result<Option<Frame<Bytes>>, Violation> {
        match self {
            Self::Over => Ok(None),
            Self::Length(_) if input.is_empty() => Ok(None),
            Self::Length(left) => {
                let some = (*left).min(input.len() as u64);
                *left -= some;
                if *left == 0 {
                    *self = Self::Over;
                }
                Ok(Some(Frame::data(input.split_to(some as usize))))
            }
            Self::Chunked(chunks) => {
                let mut at = 0;
                let piece = chunks.next(input, &mut at);
                // The gate reads what is read here, and stricter.
                let piece = piece.map_err(|_| Violation { reason: Reason::ChunkSize, part: Part::Body })?;
                let frame = match piece {
                    Piece::Data(range) => Some(Frame::data(input.slice(range))),
                    Piece::More => None,
                    Piece::End(trailers) => {
                        *self = Self::Over;
                        trailers.map(Frame::trailers)
                    }
                };
                input.advance(at);
                Ok(frame)
            }
        }
    }
}
