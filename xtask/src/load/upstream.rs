//! What stands behind the proxies: a server that answers every request with 1 KiB.
//!
//! It looks for the empty line that ends a request's head and answers; requests with a body are not
//! for it. One `write` an answer, as a good server does.

use crate::Stop;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// Bytes of the answer's body.
const BODY_BYTES: usize = 1_024;

/// `xtask upstream ADDRESS`: serves until killed.
pub(crate) fn main(args: &[String]) -> Result<(), Stop> {
    let [address] = args else { return Err(Stop::Usage("xtask upstream ADDRESS".to_owned())) };
    let address = address.parse().map_err(|_| Stop::Usage(format!("`{address}` is no address")))?;
    let failed = |e: io::Error| Stop::Missing(format!("the upstream at {address} failed: {e}"));
    let listener = bind(&address).map_err(failed)?;
    serve(&listener).map_err(failed)
}

pub(crate) fn bind(address: &SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The listener's own event; connections count from 1.
const LISTENER: u64 = 0;

pub(crate) fn serve(listener: &TcpListener) -> io::Result<()> {
    let answer = answer();
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&poll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut connections: HashMap<u64, Connection> = HashMap::new();
    let mut next = LISTENER + 1;
    let mut events = Vec::with_capacity(256);
    loop {
        events.clear();
        match epoll::wait(&poll, spare_capacity(&mut events), None) {
            Ok(_) => (),
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(e.into()),
        }
        for event in &events {
            let id = event.data.u64();
            if id == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    epoll::add(&poll, &stream, EventData::new_u64(next), EventFlags::IN)?;
                    connections.insert(next, Connection { stream, seen: 0 });
                    next += 1;
                }
            } else if let Some(connection) = connections.get_mut(&id)
                && connection.serve(&answer).is_err()
            {
                // Closing a socket takes it out of the poll as well.
                connections.remove(&id);
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// How many bytes of the head's end (`\r\n\r\n`) were the last ones read.
    seen: usize,
}

impl Connection {
    /// Answers each head that is complete; an error once the connection is of no more use.
    fn serve(&mut self, answer: &[u8]) -> io::Result<()> {
        let mut buffer = [0; 4_096];
        // One read: `epoll` tells again when there is more.
        let read = match self.stream.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::ConnectionReset.into()),
            Ok(read) => read,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(e) => return Err(e),
        };
        for _ in 0..heads_ended(&mut self.seen, &buffer[..read]) {
            // An answer fits the socket's buffer; a peer that does not read its answers is dropped.
            self.stream.write_all(answer)?;
        }
        Ok(())
    }
}

/// How many heads end in these bytes, given how much of an end came before.
fn heads_ended(seen: &mut usize, bytes: &[u8]) -> usize {
    const END: &[u8; 4] = b"\r\n\r\n";
    let mut ended = 0;
    for &byte in bytes {
        *seen = if byte == END[*seen] { *seen + 1 } else { usize::from(byte == END[0]) };
        if *seen == END.len() {
            ended += 1;
            *seen = 0;
        }
    }
    ended
}

/// A head of the size that servers send, and the body.
fn answer() -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {BODY_BYTES}\r\n\
         date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
    );
    let mut answer = head.into_bytes();
    answer.resize(answer.len() + BODY_BYTES, b'b');
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_at_its_empty_line_wherever_reads_cut_it() {
        let two = b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        for cut in 0..two.len() {
            let mut seen = 0;
            let ended = heads_ended(&mut seen, &two[..cut]) + heads_ended(&mut seen, &two[cut..]);
            assert_eq!(ended, 2, "cut at {cut}");
        }
    }

    #[test]
    fn a_line_break_alone_ends_no_head() {
        assert_eq!(heads_ended(&mut 0, b"GET / HTTP/1.1\r\n\r"), 0);
        assert_eq!(heads_ended(&mut 0, b"a\r\n\rb\n\r\n\n"), 0);
    }
}
