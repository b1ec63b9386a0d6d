//! The hosts of one service, of which one may be bad.
//!
//! How long a request takes is drawn from the seed and its number, so that it takes as long behind one proxy as behind
//! another, at whichever good host it arrives. Each answer says which host gave it.

use super::heads::Head;
use crate::{Stop, clock};
use bowline_model::{Random, SplitMix64};
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The field of a request that has its number, and of an answer that has its host's.
pub(crate) const NUMBER: &str = "x-number";
pub(crate) const HOST: &str = "x-host";

/// How a host behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mood {
    /// It works as long as the request takes.
    Well,
    /// It answers 503 at once.
    Errors,
    /// It works so many times as long.
    Slow(u32),
    /// It is not there.
    Refuses,
}

/// Hosts that serve until this is dropped.
pub(crate) struct Hosts {
    serving: Vec<Serving>,
}

struct Serving {
    port: u16,
    closing: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Hosts {
    /// Starts one on each port from `first` on; `takes` is what a request takes on average.
    pub(crate) fn start(first: u16, moods: &[Mood], takes: Duration, seed: u64) -> Result<Self, Stop> {
        let mut hosts = Self { serving: Vec::new() };
        for (host, (port, mood)) in (first..).zip(moods).enumerate() {
            if *mood == Mood::Refuses {
                continue;
            }
            let failed = |e: io::Error| Stop::Missing(format!("host {host} at port {port}: {e}"));
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
            let (closing, open) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<_>>>::default());
            let (closes, mood, kept) = (Arc::clone(&closing), *mood, Arc::clone(&open));
            let accepting = thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    if closes.load(Ordering::Relaxed) {
                        return;
                    }
                    if let Ok(kept_stream) = stream.try_clone() {
                        kept.lock().unwrap_or_else(PoisonError::into_inner).push(kept_stream);
                    }
                    // A connection that breaks is the other side's business.
                    thread::spawn(move || drop(serve(&stream, host, mood, takes, seed)));
                }
            });
            hosts.serving.push(Serving { port, closing, accepting: Some(accepting), open });
        }
        Ok(hosts)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for serving in &mut self.serving {
            serving.closing.store(true, Ordering::Relaxed);
            // Who waits for a caller wakes up when one comes.
            let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, serving.port));
            for stream in serving.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
            if let Some(accepting) = serving.accepting.take() {
                let _ = accepting.join();
            }
        }
    }
}

fn serve(stream: &TcpStream, host: usize, mood: Mood, takes: Duration, seed: u64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    while let Some(head) = Head::read(&mut reader)? {
        let alone = work(seed, head.number(NUMBER).unwrap_or_default(), takes);
        let status = match mood {
            Mood::Errors | Mood::Refuses => "503 No",
            Mood::Well => {
                clock::pause(alone);
                "200 OK"
            }
            Mood::Slow(times) => {
                clock::pause(alone * times);
                "200 OK"
            }
        };
        writer.write_all(
            format!("HTTP/1.1 {status}\r\n{HOST}: {host}\r\ncontent-length: 0\r\n\r\n").as_bytes(),
        )?;
    }
    Ok(())
}

/// What request `number` takes: exponential, `mean` on average.
fn work(seed: u64, number: u64, mean: Duration) -> Duration {
    let mut random = SplitMix64::new(SplitMix64::new(seed ^ number).next_u64());
    mean.mul_f64(-(1.0 - random.unit()).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_belongs_to_the_request_and_has_its_mean() {
        let mean = Duration::from_millis(5);
        assert_eq!(work(1, 7, mean), work(1, 7, mean));
        let sum: Duration = (0..10_000).map(|number| work(1, number, mean)).sum();
        assert!((48.5..51.5).contains(&sum.as_secs_f64()), "{sum:?}");
    }
}
