//! A small real service, in the test's own process: it counts, and fails when it is told to.

use crate::http::{self, Message};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What it does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Do {
    /// Answers with this status and body.
    Answer(u16, String),
    /// Never answers; waits until the caller closes.
    Hang,
    /// Closes the connection instead of answering.
    Close,
}

/// A service that runs until the test ends.
#[derive(Debug)]
pub(crate) struct Callee {
    pub(crate) port: u16,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    requests: AtomicUsize,
    /// Requests that it hung on and whose caller closed the connection.
    closed: AtomicUsize,
}

impl Callee {
    /// Starts one that does what `script` says of each request. A script may wait: every connection has a
    /// thread of its own.
    pub(crate) fn start(script: impl Fn(&Message) -> Do + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let callee = Self { port: listener.local_addr().unwrap().port(), seen: Arc::default() };
        let (seen, script) = (Arc::clone(&callee.seen), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
                std::thread::spawn(move || serve(stream, &seen, &*script));
            }
        });
        callee
    }

    /// One that always answers 200 with this body.
    pub(crate) fn saying(word: &'static str) -> Self {
        Self::start(move |_| Do::Answer(200, word.to_owned()))
    }

    /// How many requests arrived.
    pub(crate) fn count(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    /// How many requests it hung on until their callers closed the connection.
    pub(crate) fn closed(&self) -> usize {
        self.seen.closed.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, seen: &Seen, script: &(dyn Fn(&Message) -> Do + Send + Sync)) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Ok(Some(request)) = http::read(&mut stream, &mut buffer) {
        seen.requests.fetch_add(1, Ordering::SeqCst);
        match script(&request) {
            Do::Answer(status, body) => {
                let answer =
                    format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
            Do::Hang => {
                let mut more = [0_u8; 1024];
                while matches!(stream.read(&mut more), Ok(read) if read > 0) {}
                seen.closed.fetch_add(1, Ordering::SeqCst);
                return;
            }
            Do::Close => {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}
