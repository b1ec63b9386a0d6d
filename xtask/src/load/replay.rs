//! Open loop at instants that a seed draws, the same for everybody who is measured.
//!
//! Each request waits for its instant, not for the answers to others, and its latency runs from that instant.

use super::heads::Head;
use super::hosts::{HOST, NUMBER};
use crate::clock;
use bowline_model::{Random, SplitMix64};
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What came of one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Asked {
    /// When it was due, from the beginning.
    pub(crate) due: Duration,
    /// From then until its answer was here.
    pub(crate) took: Duration,
    /// The status, and the host that answered where the answer was a host's; `None` where the connection broke.
    pub(crate) answer: Option<(u16, Option<u64>)>,
}

/// When requests are due: `rate` a second, independent of one another, for so long.
pub(crate) fn arrivals(seed: u64, rate: f64, length: Duration) -> Vec<Duration> {
    let mut random = SplitMix64::new(seed);
    let mut due = Duration::ZERO;
    let gaps = std::iter::from_fn(|| {
        due += Duration::from_secs_f64(-(1.0 - random.unit()).ln() / rate);
        (due < length).then_some(due)
    });
    gaps.collect()
}

/// Sends a GET at each of `arrivals`, over at most `connections`; what came of them, in order.
pub(crate) fn play(target: SocketAddr, arrivals: &[Duration], connections: usize) -> Vec<Asked> {
    let (next, start) = (AtomicUsize::new(0), clock::now());
    let all = Mutex::new(Vec::with_capacity(arrivals.len()));
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut connection = None;
                let mut own = Vec::new();
                while let number = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(due) = arrivals.get(number)
                {
                    clock::pause(due.saturating_sub(start.elapsed()));
                    let answer = ask(&mut connection, target, number);
                    if answer.is_err() {
                        connection = None;
                    }
                    let took = start.elapsed().saturating_sub(*due);
                    own.push((number, Asked { due: *due, took, answer: answer.ok() }));
                }
                all.lock().expect("no sender panics").extend(own);
            });
        }
    });
    let mut all = all.into_inner().expect("no sender panics");
    all.sort_unstable_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, asked)| asked).collect()
}

fn ask(
    connection: &mut Option<BufReader<TcpStream>>,
    target: SocketAddr,
    number: usize,
) -> io::Result<(u16, Option<u64>)> {
    let stream = match connection {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(target)?;
            stream.set_nodelay(true)?;
            connection.insert(BufReader::new(stream))
        }
    };
    let request = format!("GET /api/x HTTP/1.1\r\nhost: hosts.test\r\n{NUMBER}: {number}\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes())?;
    let head = Head::read(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let length = head.number("content-length").ok_or(io::ErrorKind::InvalidData)?;
    io::copy(&mut stream.take(length), &mut io::sink())?;
    Ok((head.status().ok_or(io::ErrorKind::InvalidData)?, head.number(HOST)))
}

#[cfg(test)]
mod tests {
    use super::super::hosts::{Hosts, Mood};
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_arrivals_at_their_rate() {
        let of = |seed| arrivals(seed, 400.0, Duration::from_secs(50));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert!((19_400..20_600).contains(&of(1).len()), "{}", of(1).len());
    }

    #[test]
    fn answers_tell_which_host_gave_them() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let moods = [Mood::Errors];
        let hosts = Hosts::start(free.port(), &moods, Duration::ZERO, 1).unwrap();
        let due = [Duration::ZERO; 20];
        let asked = play(free, &due, 3);
        assert_eq!(asked.len(), 20);
        assert!(asked.iter().all(|asked| asked.answer == Some((503, Some(0)))), "{asked:?}");
        drop(hosts);
        assert_eq!(play(free, &due[..1], 1)[0].answer, None, "nobody is there any more");
    }
}
