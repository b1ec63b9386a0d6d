//! A callee of a fixed capacity: so many requests at once, so long for each, and whatever comes beyond that waits in
//! order, without an end. It does not notice that a caller went away: what is in its queue is done.

use crate::{Stop, clock};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\ndone\n";

/// `xtask fixed ADDRESS WORKERS MILLIS`: serves until killed.
pub(crate) fn main(args: &[String]) -> Result<(), Stop> {
    let [address, workers, millis] = args else {
        return Err(Stop::Usage("xtask fixed ADDRESS WORKERS MILLIS".to_owned()));
    };
    let address: SocketAddr = super::number(address)?;
    let (workers, takes) = (super::number(workers)?, Duration::from_millis(super::number(millis)?));
    let listener = TcpListener::bind(address)
        .map_err(|e| Stop::Missing(format!("the callee at {address} failed: {e}")))?;
    serve(&listener, workers, takes);
    Ok(())
}

/// Whose turn it is, in order.
#[derive(Default)]
struct Queue {
    waiting: Mutex<VecDeque<TcpStream>>,
    came: Condvar,
}

fn serve(listener: &TcpListener, workers: usize, takes: Duration) {
    let queue = Arc::new(Queue::default());
    for _ in 0..workers {
        let queue = Arc::clone(&queue);
        thread::spawn(move || work(&queue, takes));
    }
    for stream in listener.incoming().flatten() {
        let queue = Arc::clone(&queue);
        // A connection that breaks is the other side's business.
        thread::spawn(move || drop(read(&stream, &queue)));
    }
}

fn work(queue: &Queue, takes: Duration) {
    loop {
        let mut waiting = queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stream = loop {
            match waiting.pop_front() {
                Some(stream) => break stream,
                None => waiting = queue.came.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(waiting);
        clock::pause(takes);
        // Nobody may be there any more; the work was done all the same.
        let _ = stream.write_all(ANSWER);
    }
}

/// Puts a turn into the queue for every head that is complete.
fn read(stream: &TcpStream, queue: &Queue) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line == b"\r\n" {
            queue.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(stream.try_clone()?);
            queue.came.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn every_request_is_answered_in_its_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        thread::spawn(move || serve(&listener, 1, Duration::ZERO));
        let mut stream = TcpStream::connect(address).expect("it listens");
        for _ in 0..3 {
            stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
            let mut answer = vec![0; ANSWER.len()];
            stream.read_exact(&mut answer).expect("answered");
            assert_eq!(answer, ANSWER);
        }
    }
}
