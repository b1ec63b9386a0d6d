//! HTTP/1.1 as a test wants it: every byte in sight, nothing retried, nothing pooled behind its back.

use crate::clock::PATIENCE;
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

/// A request or an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// The first line.
    pub(crate) start: String,
    /// Names in lower case, in order.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// An answer's status.
    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    /// A request's target.
    pub(crate) fn path(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }

    /// Whether the connection ends with this message.
    pub(crate) fn is_last(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// A connection to a port of this machine.
#[derive(Debug)]
pub(crate) struct Caller {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Caller {
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends a request with these header lines and this body, and reads its answer.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &str,
    ) -> io::Result<Message> {
        self.send(method, path, headers, body)?;
        self.receive()
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &[&str], body: &str) -> io::Result<()> {
        let port = self.stream.peer_addr()?.port();
        let mut request = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|line| line.to_ascii_lowercase().starts_with("host:")) {
            request.push_str(&format!("host: 127.0.0.1:{port}\r\n"));
        }
        for line in headers {
            request.push_str(&format!("{line}\r\n"));
        }
        if !body.is_empty() {
            request
                .push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
        }
        request.push_str(&format!("\r\n{body}"));
        self.stream.write_all(request.as_bytes())
    }

    pub(crate) fn receive(&mut self) -> io::Result<Message> {
        let ended = || io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended before an answer");
        read(&mut self.stream, &mut self.buffer)?.ok_or_else(ended)
    }
}

/// One request on a connection of its own.
pub(crate) fn ask(port: u16, method: &str, path: &str, headers: &[&str], body: &str) -> io::Result<Message> {
    Caller::connect(port)?.ask(method, path, headers, body)
}

/// Gets a page; it must be answered.
#[track_caller]
pub(crate) fn get(port: u16, path: &str) -> Message {
    ask(port, "GET", path, &[], "").unwrap_or_else(|error| panic!("GET :{port}{path}: {error}"))
}

/// Reads one message; `None` if the peer closes before its first byte. What is read beyond it stays in
/// `buffer`.
pub(crate) fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Message>> {
    let Some(end) = fill_until(stream, buffer, b"\r\n\r\n")? else {
        return if buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let mut message = Message { start: lines.next().unwrap_or_default().to_owned(), ..Message::default() };
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        message.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = message.header("content-length").and_then(|length| length.parse::<usize>().ok());
    if message.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        message.body = read_chunks(stream, buffer)?;
    } else if let Some(length) = length {
        message.body = take(stream, buffer, length)?;
    } else if message.start.starts_with("HTTP/") && !matches!(message.status(), 100..=199 | 204 | 304) {
        stream.read_to_end(buffer)?;
        message.body = std::mem::take(buffer);
    }
    Ok(Some(message))
}

fn read_chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = fill_until(stream, buffer, b"\r\n")?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let size = std::str::from_utf8(&buffer[..end])
            .ok()
            .and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let size = size.ok_or(io::ErrorKind::InvalidData)?;
        buffer.drain(..end + 2);
        let chunk = take(stream, buffer, size + 2)?;
        body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            return Ok(body);
        }
    }
}

/// Where `mark` begins, once it is there; `None` if the peer closes first.
fn fill_until(stream: &mut TcpStream, buffer: &mut Vec<u8>, mark: &[u8]) -> io::Result<Option<usize>> {
    loop {
        if let Some(at) = buffer.windows(mark.len()).position(|window| window == mark) {
            return Ok(Some(at));
        }
        if fill(stream, buffer)? == 0 {
            return Ok(None);
        }
    }
}

fn take(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> io::Result<Vec<u8>> {
    while buffer.len() < length {
        if fill(stream, buffer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(buffer.drain(..length).collect())
}

fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let mut more = [0_u8; 4096];
    let read = stream.read(&mut more)?;
    buffer.extend_from_slice(&more[..read]);
    Ok(read)
}
