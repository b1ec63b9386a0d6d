//! One keep-alive connection with at most one request in flight.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// The request that every benchmark sends; the path is one that every configuration routes.
const REQUEST: &[u8] = b"GET /api/x HTTP/1.1\r\nhost: bench.test\r\naccept: */*\r\n\r\n";

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    answer: Vec<u8>,
}

/// What reading found.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    /// The answer is not whole yet.
    More,
    /// A whole answer; whether it was a 200.
    Whole { good: bool },
}

impl Connection {
    pub(super) fn open(target: &SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(target)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(4_096) })
    }

    pub(super) fn send(&mut self) -> io::Result<()> {
        self.stream.write_all(REQUEST)
    }

    pub(super) fn read(&mut self) -> io::Result<Progress> {
        let mut buffer = [0; 4_096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                self.answer.extend_from_slice(&buffer[..read]);
                match whole(&self.answer)? {
                    None => Ok(Progress::More),
                    Some(good) => {
                        self.answer.clear();
                        Ok(Progress::Whole { good })
                    }
                }
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(Progress::More),
            Err(e) => Err(e),
        }
    }
}

/// Whether these bytes are a whole answer, and whether it is a 200; an error if it says nothing that
/// we can measure by (no length, or chunks: no proxy here has a reason to chunk an answer of 1 KiB).
fn whole(bytes: &[u8]) -> io::Result<Option<bool>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length =
        length.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "an answer without a length"))?;
    let good = head.starts_with("HTTP/1.1 200");
    Ok((bytes.len() >= end + 4 + length).then_some(good))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_length_is_there() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        for cut in 0..answer.len() {
            assert_eq!(whole(&answer[..cut]).expect("readable"), None, "cut at {cut}");
        }
        assert_eq!(whole(answer).expect("readable"), Some(true));
    }

    #[test]
    fn another_status_is_whole_and_not_good() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(whole(answer).expect("readable"), Some(false));
    }

    #[test]
    fn an_answer_without_a_length_cannot_be_measured() {
        assert!(whole(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
