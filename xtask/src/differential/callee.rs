//! What stands behind both proxies: servers that do what each request's script says, and remember it.

use super::draw::{Act, SERVICES};
use super::message::{self, Head};
use crate::Stop;
use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Names the request, so that its tries are found together.
pub(super) const CASE: &str = "x-case";
/// What to do with its tries.
pub(super) const SCRIPT: &str = "x-script";

/// How long a callee says nothing before it gives up and closes: longer than every deadline that is meant
/// to be met, and an end where there is none.
const HANG: Duration = Duration::from_millis(2_500);

/// One try as its callee saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Try {
    pub(super) service: usize,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) authority: String,
    /// Those that rules look at or change, by name, each name's values in one.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// The callees.
pub(super) struct Callees {
    pub(super) ports: [u16; SERVICES],
    seen: Seen,
}

type Seen = Arc<Mutex<HashMap<String, Vec<Try>>>>;

impl Callees {
    pub(super) fn start() -> Result<Self, Stop> {
        let failed = |error: io::Error| Stop::Missing(format!("cannot listen on loopback: {error}"));
        let seen = Seen::default();
        let mut ports = [0; SERVICES];
        for (service, port) in ports.iter_mut().enumerate() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
            *port = listener.local_addr().map_err(failed)?.port();
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let seen = Arc::clone(&seen);
                    // A connection that breaks is the proxy's business.
                    std::thread::spawn(move || drop(serve(service, stream, &seen)));
                }
            });
        }
        Ok(Self { ports, seen })
    }

    /// The tries of a request so far.
    pub(super) fn tries_of(&self, case: &str) -> Vec<Try> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(case).cloned().unwrap_or_default()
    }
}

fn serve(service: usize, stream: TcpStream, seen: &Seen) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some(head) = Head::read(&mut reader)? {
        let body = head.read_body(&mut reader)?;
        match note(service, &head, body, seen) {
            Act::Answer(status) => {
                let text = format!("{}\n", super::istio::service_name(service));
                write!(
                    stream,
                    "HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\nx-callee: {service}\r\nx-new: of the callee\r\n\r\n{text}",
                    text.len()
                )?;
            }
            Act::Reset => break,
            Act::Hang => {
                stream.set_read_timeout(Some(HANG))?;
                // Over as soon as the proxy closes.
                let _ = reader.read(&mut [0]);
                break;
            }
        }
    }
    stream.shutdown(Shutdown::Both)
}

/// Remembers a try; what its script has for it.
fn note(service: usize, head: &Head, body: String, seen: &Seen) -> Act {
    let (method, target) = head.request();
    let this = Try {
        service,
        method,
        target,
        authority: head.value("host").unwrap_or_default(),
        headers: message::watched(head),
        body,
    };
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let tries = seen.entry(head.value(CASE).unwrap_or_default()).or_default();
    tries.push(this);
    let script = head.value(SCRIPT).unwrap_or_default();
    let words: Vec<&str> = script.split(',').collect();
    match words[(tries.len() - 1).min(words.len() - 1)] {
        "reset" => Act::Reset,
        "hang" => Act::Hang,
        status => Act::Answer(status.parse().unwrap_or(200)),
    }
}
