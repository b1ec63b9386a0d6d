//! The beginning of a head that has not all arrived.
//!
//! A callee may send its head a byte at a time. To read it anew for each byte would cost the square of its
//! length, seconds for one head at the limit; so what has come is read again only when it may be all, or is
//! twice what was read before: then nonsense that never ends is found out, too.

use crate::framing::{self, HEAD_BYTES_MAX, Head, Malformed, Parsed};
use bytes::Bytes;
use http::HeaderMap;

/// The beginning of a head that has not all arrived.
#[derive(Debug, Default)]
pub(crate) struct Beginning {
    bytes: Vec<u8>,
    /// How much of it there was when it was last read.
    read: usize,
}

impl Beginning {
    /// Whether nothing has arrived.
    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Reads a head from what came before and `more`, passing over interim answers. Answers with it what
    /// came behind it. The head's fields go into `headers`.
    pub(crate) fn read(
        &mut self,
        more: &[u8],
        to_head: bool,
        headers: &mut Option<HeaderMap>,
    ) -> Result<Option<(Head, Bytes)>, Malformed> {
        if self.bytes.is_empty() {
            return self.parse(more, to_head, headers);
        }
        let new = self.bytes.len().saturating_sub(b"\n\r".len());
        self.bytes.extend_from_slice(more);
        let length = self.bytes.len();
        if length < (2 * self.read).min(HEAD_BYTES_MAX) && !has_empty_line(&self.bytes[new..]) {
            return Ok(None);
        }
        let all = std::mem::take(&mut self.bytes);
        self.parse(&all, to_head, headers)
    }

    fn parse(
        &mut self,
        mut bytes: &[u8],
        to_head: bool,
        headers: &mut Option<HeaderMap>,
    ) -> Result<Option<(Head, Bytes)>, Malformed> {
        loop {
            match framing::parse(bytes, to_head, headers.take().unwrap_or_default())? {
                Parsed::Head(head, rest) => return Ok(Some((head, rest))),
                Parsed::Interim(length) => bytes = &bytes[length..],
                Parsed::Partial => {
                    self.bytes = bytes.to_vec();
                    self.read = bytes.len();
                    return Ok(None);
                }
            }
        }
    }
}

/// Whether a line without anything is in `bytes`, by whatever ends lines.
fn has_empty_line(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|three| three == b"\n\r\n") || bytes.windows(2).any(|two| two == b"\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that were read until a head was there, and where.
    fn cost(text: &[u8]) -> (usize, Option<usize>) {
        let (mut beginning, mut read) = (Beginning::default(), 0);
        for at in 0..text.len() {
            let before = beginning.read;
            if beginning.read(&text[at..=at], false, &mut None).unwrap().is_some() {
                return (read + at + 1, Some(at + 1));
            }
            if beginning.read != before {
                read += beginning.read;
            }
        }
        (read, None)
    }

    #[test]
    fn a_head_that_comes_a_byte_at_a_time_is_not_read_anew_for_each() {
        let mut text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n".to_vec();
        while text.len() < HEAD_BYTES_MAX - 2_000 {
            text.extend_from_slice(format!("x-y: {}\r\n", "z".repeat(900)).as_bytes());
        }
        text.extend_from_slice(b"\r\n");
        let whole = text.len();
        text.extend_from_slice(b"ok");
        let (read, at) = cost(&text);
        assert_eq!(at, Some(whole), "found as soon as it is there");
        assert!(read <= 4 * whole, "{read} bytes were read for {whole}");
    }

    #[test]
    fn interim_answers_that_come_a_byte_at_a_time_are_passed_over() {
        let text = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(cost(text).1, Some(text.len()));
    }

    #[test]
    fn a_head_without_an_end_is_given_up_however_it_comes() {
        let mut beginning = Beginning::default();
        beginning.read(b"HTTP/1.1 200 OK\r\nx: ", false, &mut None).unwrap();
        let refused = (0..=HEAD_BYTES_MAX).find(|_| beginning.read(b"a", false, &mut None).is_err());
        assert!(refused.is_some_and(|bytes| bytes <= HEAD_BYTES_MAX), "{refused:?}");
    }

    #[test]
    fn nonsense_is_found_out_before_it_ends() {
        let mut beginning = Beginning::default();
        let nonsense =
            b"HTTP/1.1 200 OK\r\nx : 1\r\ny: 2\r\nz: 3\r\nmore: 4\r\nand more: 5\r\nand so on: 6\r\n";
        let refused = nonsense.iter().position(|byte| beginning.read(&[*byte], false, &mut None).is_err());
        assert!(refused.is_some());
    }
}
