//! The chunked coding (RFC 9112, 7.1), as a machine. Pure: bytes in, pieces out, wherever they are split.

pub use crate::framing::Malformed;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use std::ops::Range;

/// What an answer's chunk's extensions may occupy. Nobody uses them; 1 KiB is what a signature would need.
pub(crate) const EXTENSION_BYTES_MAX: usize = 1 << 10;

/// What trailers may occupy together. Checksums and a status need some hundred bytes.
const TRAILER_BYTES_MAX: usize = 8 << 10;

/// The most trailer fields.
const TRAILERS_MAX: usize = 32;

/// Where in a chunked body we are.
#[derive(Debug)]
pub struct Chunks {
    state: State,
    extension_bytes_max: usize,
    trailers: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// A size's digits.
    Size {
        size: u64,
        digits: u32,
    },
    /// White space, and then, `named`, extensions; both are skipped.
    Extension {
        size: u64,
        bytes: usize,
        named: bool,
    },
    /// The line feed behind a size.
    SizeEnd {
        size: u64,
    },
    /// Data.
    Data {
        left: u64,
    },
    /// The carriage return and the line feed behind data.
    DataCr,
    DataLf,
    /// Trailers, and the empty line that ends them.
    Trailers,
    End,
}

/// What the next bytes are.
#[derive(Debug)]
pub enum Piece {
    /// Data, at this place of the bytes.
    Data(Range<usize>),
    /// All bytes are used.
    More,
    /// The body's end, with its trailers if it has any.
    End(Option<HeaderMap>),
}

impl Chunks {
    /// At the beginning of a body, a chunk of which may have extensions of so many bytes.
    #[must_use]
    pub const fn new(extension_bytes_max: usize) -> Self {
        Self { state: State::Size { size: 0, digits: 0 }, extension_bytes_max, trailers: Vec::new() }
    }

    /// The next piece of `bytes` from `at`, which moves behind it.
    ///
    /// # Errors
    /// [`Malformed`]; nothing is to be asked after that.
    pub fn next(&mut self, bytes: &[u8], at: &mut usize) -> Result<Piece, Malformed> {
        while *at < bytes.len() {
            if let State::Data { left } = self.state {
                let some = left.min((bytes.len() - *at) as u64);
                let data = *at..*at + some as usize;
                *at = data.end;
                self.state = if left == some { State::DataCr } else { State::Data { left: left - some } };
                return Ok(Piece::Data(data));
            }
            let byte = bytes[*at];
            *at += 1;
            self.state = match self.state {
                State::Size { size, digits } => match (byte, digits) {
                    (b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F', 0..16) => {
                        let digit = (byte as char).to_digit(16).ok_or(Malformed)?;
                        State::Size { size: (size << 4) | u64::from(digit), digits: digits + 1 }
                    }
                    (b'\r', 1..) => State::SizeEnd { size },
                    (b';' | b' ' | b'\t', 1..) => State::Extension { size, bytes: 0, named: byte == b';' },
                    _ => return Err(Malformed),
                },
                State::Extension { size, .. } if byte == b'\r' => State::SizeEnd { size },
                State::Extension { size, bytes, named } => match byte {
                    _ if bytes == self.extension_bytes_max => return Err(Malformed),
                    b' ' | b'\t' => State::Extension { size, bytes: bytes + 1, named },
                    b';' => State::Extension { size, bytes: bytes + 1, named: true },
                    _ if !named || byte.is_ascii_control() => return Err(Malformed),
                    _ => State::Extension { size, bytes: bytes + 1, named },
                },
                State::SizeEnd { size } => match (byte, size) {
                    (b'\n', 0) => State::Trailers,
                    (b'\n', left) => State::Data { left },
                    _ => return Err(Malformed),
                },
                State::DataCr if byte == b'\r' => State::DataLf,
                State::DataLf if byte == b'\n' => State::Size { size: 0, digits: 0 },
                State::Trailers => {
                    if byte == b'\n' && self.trailers.last() != Some(&b'\r') {
                        return Err(Malformed);
                    }
                    self.trailers.push(byte);
                    if self.trailers == b"\r\n" {
                        self.state = State::End;
                        return Ok(Piece::End(None));
                    }
                    if self.trailers.ends_with(b"\r\n\r\n") {
                        self.state = State::End;
                        return Ok(Piece::End(Some(trailers(&self.trailers)?)));
                    }
                    if self.trailers.len() == TRAILER_BYTES_MAX {
                        return Err(Malformed);
                    }
                    State::Trailers
                }
                State::DataCr | State::DataLf | State::Data { .. } | State::End => return Err(Malformed),
            };
        }
        Ok(Piece::More)
    }
}

fn trailers(bytes: &[u8]) -> Result<HeaderMap, Malformed> {
    let mut fields = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(bytes, &mut fields) else {
        return Err(Malformed);
    };
    let mut map = HeaderMap::new();
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed)?;
        map.append(name, HeaderValue::from_bytes(field.value).map_err(|_| Malformed)?);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A body's data, its trailers' names, and how many bytes are behind its end.
    type Body = (Vec<u8>, Vec<String>, usize);

    /// What arrives in pieces of `step` bytes; `None` if it has not ended.
    fn decode(bytes: &[u8], step: usize) -> Result<Option<Body>, Malformed> {
        let (mut chunks, mut data, mut begun) = (Chunks::new(EXTENSION_BYTES_MAX), Vec::new(), 0);
        for piece in bytes.chunks(step) {
            let mut at = 0;
            loop {
                match chunks.next(piece, &mut at)? {
                    Piece::Data(range) => data.extend_from_slice(&piece[range]),
                    Piece::More => break,
                    Piece::End(trailers) => {
                        let names = trailers.iter().flat_map(|map| map.keys().map(ToString::to_string));
                        return Ok(Some((data, names.collect(), bytes.len() - begun - at)));
                    }
                }
            }
            begun += piece.len();
        }
        Ok(None)
    }

    #[test]
    fn bodies_are_the_same_however_they_are_split() {
        let check = |text: &str, data: &str, trailers: &[&str]| {
            for step in 1..=text.len() {
                let (got, names, behind) = decode(text.as_bytes(), step).unwrap().unwrap();
                assert_eq!((got.as_slice(), behind), (data.as_bytes(), 0), "{text:?} by {step}");
                assert_eq!(names, trailers, "{text:?} by {step}");
            }
        };
        check("0\r\n\r\n", "", &[]);
        check("5\r\nhello\r\n0\r\n\r\n", "hello", &[]);
        check("00005;a=\"b\"\r\nhello\r\nA \t\r\n0123456789\r\n0\r\n\r\n", "hello0123456789", &[]);
        check("1\r\nx\r\n0\r\nsum: 1\r\nx-y: z\r\n\r\n", "x", &["sum", "x-y"]);
    }

    #[test]
    fn what_is_not_chunks_is_refused() {
        for text in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "0x5\r\nhello\r\n",
            "5\nhello\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhelloo\r\n0\r\n\r\n",
            "11111111111111111\r\n",
            "5;a\nb\r\nhello\r\n",
            "5;a\0\r\nhello\r\n",
            "5 5\r\nhello\r\n",
            "5\tx;a\r\nhello\r\n",
            "0\r\nbad trailer\r\n\r\n",
            "0\r\na: b\n\r\n\r\n",
            "0\r\na: b\n\nHTTP/1.1 200 OK\r\n\r\n",
            "0\r\na: b\nc: d\r\n\r\n",
            "0\r\n\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert!(decode(text.as_bytes(), 3).is_err(), "{text:?}");
        }
        let long = format!("5;{}\r\n", "e".repeat(EXTENSION_BYTES_MAX + 1));
        assert!(decode(long.as_bytes(), 100).is_err());
        let long = format!("0\r\n{}", "t".repeat(TRAILER_BYTES_MAX + 1));
        assert!(decode(long.as_bytes(), 100).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_the_same_in_any_pieces(
            bytes in proptest::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b'3'), Just(b';'), any::<u8>()], 1..60),
            step in 1_usize..8,
        ) {
            prop_assert_eq!(decode(&bytes, 1_000), decode(&bytes, step));
        }
    }
}
