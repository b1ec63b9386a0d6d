//! An answer's head, and how its body is framed. Pure: bytes in, a head out.
//!
//! As strict towards callees as the gate is towards callers: an answer whose end two programs could
//! see in two places is no answer (RFC 9112, 6.3). Where that section offers a choice between mending
//! and refusing, this refuses.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use std::mem::MaybeUninit;

/// The most an answer's head may occupy: 64 KiB. Envoy allows 60 KiB, nginx 32 KiB.
pub(crate) const HEAD_BYTES_MAX: usize = 64 << 10;

/// The most fields an answer may have: what hyper and Envoy take.
const FIELDS_MAX: usize = 100;

/// How an answer's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Nothing,
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// All until the connection ends.
    UntilClose,
}

/// An answer's head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    /// Whether the connection may be used again.
    pub(crate) keeps: bool,
}

/// What the bytes so far are.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// The beginning of a head.
    Partial,
    /// An interim answer (1xx) of this many bytes; the answer comes after it.
    Interim(usize),
    /// A head, and what came behind it.
    Head(Head, Bytes),
}

/// What was sent breaks the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads `bytes`, the answer to a request that was `HEAD` or not. The head's fields go into `headers`,
/// which is empty.
pub(crate) fn parse(bytes: &[u8], to_head: bool, mut headers: HeaderMap) -> Result<Parsed, Malformed> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut response, bytes, &mut fields) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(Parsed::Partial),
        Ok(httparse::Status::Partial) | Err(_) => return Err(Malformed),
    };
    if !lines_end_in_crlf(&bytes[..length]) {
        return Err(Malformed);
    }
    let code = response.code.ok_or(Malformed)?;
    match code {
        // It is the last answer of this connection, and whether it may be is known to who asked.
        101 => (),
        100..=199 => return Ok(Parsed::Interim(length)),
        _ => (),
    }
    // One piece for the head's values, which are slices of it, and one for what came behind: a body that takes its
    // time does not keep the head, and two small pieces are allocated faster than one above a kilobyte.
    let whole = Bytes::copy_from_slice(&bytes[..length]);
    let mut said = Said { version_1_1: response.version == Some(1), ..Said::default() };
    for field in &*response.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed)?;
        if said.note(&name, field.value)? == Worth::Nothing {
            continue;
        }
        let start = field.value.as_ptr().addr() - bytes.as_ptr().addr();
        let value = whole.slice(start..start + field.value.len());
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Malformed)?;
        headers.try_append(name, value).map_err(|_| Malformed)?;
    }
    let framing = said.framing(code, to_head)?;
    let keeps = framing != Framing::UntilClose && code != 101 && said.keeps();
    let status = StatusCode::from_u16(code).map_err(|_| Malformed)?;
    Ok(Parsed::Head(Head { status, headers, framing, keeps }, Bytes::copy_from_slice(&bytes[length..])))
}

/// Whether every line feed follows a carriage return. The parser takes a bare one for a line's end; who does
/// not sees other fields, or the end of the head elsewhere. Without a branch, to be done many bytes at a time.
fn lines_end_in_crlf(head: &[u8]) -> bool {
    let pairs = head.iter().zip(head.get(1..).unwrap_or_default());
    head.first() != Some(&b'\n') && pairs.fold(true, |good, (a, b)| good & ((*b != b'\n') | (*a == b'\r')))
}

/// What the fields say about framing and the connection.
#[derive(Default)]
struct Said {
    version_1_1: bool,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

/// What to do with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    /// It goes on.
    Keeping,
    /// It was said before.
    Nothing,
}

impl Said {
    fn note(&mut self, name: &HeaderName, value: &[u8]) -> Result<Worth, Malformed> {
        if *name == header::CONTENT_LENGTH {
            let length = digits(value)?;
            // RFC 9110, 8.6 lets a recipient take a repeated, equal length; servers behind caches send it.
            // It is passed on once.
            match self.length.replace(length) {
                None => (),
                Some(before) if before == length => return Ok(Worth::Nothing),
                Some(_) => return Err(Malformed),
            }
        } else if *name == header::TRANSFER_ENCODING {
            if self.chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(Malformed);
            }
            self.chunked = true;
        } else if *name == header::CONNECTION {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        Ok(Worth::Keeping)
    }

    fn framing(&self, code: u16, to_head: bool) -> Result<Framing, Malformed> {
        if self.chunked && (self.length.is_some() || !self.version_1_1) {
            return Err(Malformed);
        }
        Ok(match self.length {
            _ if to_head || code == 101 || code == 204 || code == 304 => Framing::Nothing,
            _ if self.chunked => Framing::Chunked,
            Some(0) => Framing::Nothing,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        })
    }

    fn keeps(&self) -> bool {
        !self.close && (self.version_1_1 || self.keep_alive)
    }
}

/// A plain decimal number: no sign, no list, no space inside.
fn digits(value: &[u8]) -> Result<u64, Malformed> {
    let value = value.trim_ascii();
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    Ok(value.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The framing of an answer, whether its connection is kept, and what is left behind its head.
    fn read(text: &str, to_head: bool) -> Result<(Framing, bool, usize), Malformed> {
        match parse(text.as_bytes(), to_head, HeaderMap::new())? {
            Parsed::Head(head, rest) => Ok((head.framing, head.keeps, rest.len())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_end_of_an_answer_is_where_the_standard_puts_it() {
        use Framing::{Chunked, Length, Nothing, UntilClose};
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", (Length(5), true, 5)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", (Nothing, true, 0)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n", (Length(5), true, 0)),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n", (Chunked, true, 0)),
            ("HTTP/1.1 200 OK\r\n\r\nabc", (UntilClose, false, 3)),
            ("HTTP/1.1 204 No Content\r\n\r\n", (Nothing, true, 0)),
            ("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", (Nothing, true, 0)),
            ("HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 1\r\n\r\n", (Length(1), false, 0)),
            ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n", (Length(1), false, 0)),
            ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\n", (Length(1), true, 0)),
        ] {
            assert_eq!(read(text, false), Ok(expected), "{text}");
        }
        assert_eq!(read("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", true), Ok((Nothing, true, 0)));
    }

    #[test]
    fn an_answer_whose_end_is_in_doubt_is_no_answer() {
        for fields in [
            "content-length: 5\r\ncontent-length: 6",
            "content-length: 5, 5",
            "content-length: +5",
            "content-length: 5x",
            "content-length: ",
            "content-length: 99999999999999999999",
            "content-length: 5\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "transfer-encoding: gzip, chunked",
            "transfer-encoding: identity",
            "x: 1\r\n folded",
            "x : 1",
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
            assert!(parse(text.as_bytes(), false, HeaderMap::new()).is_err(), "{fields}");
        }
        for text in [
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
        ] {
            assert!(parse(text.as_bytes(), false, HeaderMap::new()).is_err(), "{text}");
        }
    }

    #[test]
    fn interim_answers_are_passed_over() {
        let text = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n";
        assert!(matches!(parse(text, false, HeaderMap::new()), Ok(Parsed::Interim(37))));
    }

    #[test]
    fn a_head_without_an_end_is_given_up() {
        let mut text = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
        assert!(matches!(parse(&text, false, HeaderMap::new()), Ok(Parsed::Partial)));
        text.resize(HEAD_BYTES_MAX, b'a');
        assert!(parse(&text, false, HeaderMap::new()).is_err());
    }
}
