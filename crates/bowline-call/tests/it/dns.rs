//! A small DNS server that says what a test tells it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What is said about a name.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// These addresses, for so many seconds.
    At(Vec<IpAddr>, u32),
    /// There is no such name.
    Nobody,
    /// SERVFAIL.
    Trouble,
    /// SERVFAIL about IPv6, these about IPv4.
    TroubleWithSix(Vec<IpAddr>, u32),
    /// Nothing at all.
    Nothing,
}

/// The server, over UDP at loopback.
pub(crate) struct Dns {
    pub(crate) address: SocketAddr,
    zone: Arc<Mutex<BTreeMap<String, Says>>>,
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A and AAAA (RFC 1035, 3.2.2; RFC 3596).
const A: u16 = 1;
const AAAA: u16 = 28;

impl Dns {
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (zone, asked) = (Arc::<Mutex<BTreeMap<String, Says>>>::default(), Arc::<AtomicUsize>::default());
        let (says, counts) = (Arc::clone(&zone), Arc::clone(&asked));
        let serving = tokio::spawn(async move {
            let mut question = [0; 1_024];
            while let Ok((length, peer)) = socket.recv_from(&mut question).await {
                counts.fetch_add(1, Ordering::Relaxed);
                let zone = says.lock().unwrap().clone();
                if let Some(answer) = answer(&question[..length], &zone) {
                    let _ = socket.send_to(&answer, peer).await;
                }
            }
        });
        Self { address, zone, asked, serving }
    }

    /// From now on it says this about `name`.
    pub(crate) fn says(&self, name: &str, says: Says) {
        self.zone.lock().unwrap().insert(name.to_owned(), says);
    }

    /// Questions so far.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(question: &[u8], zone: &BTreeMap<String, Says>) -> Option<Vec<u8>> {
    let (mut at, mut name) = (12, String::new());
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&String::from_utf8_lossy(question.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes(question.get(at..at + 2)?.try_into().ok()?);
    let is_asked = |address: &&IpAddr| if kind == A { address.is_ipv4() } else { address.is_ipv6() };
    let (code, addresses, ttl) = match zone.get(&name).cloned().unwrap_or(Says::Nobody) {
        Says::At(addresses, ttl) => (0, addresses, ttl),
        Says::TroubleWithSix(..) if kind == AAAA => (2, Vec::new(), 0),
        Says::TroubleWithSix(addresses, ttl) => (0, addresses, ttl),
        Says::Nobody => (3, Vec::new(), 0),
        Says::Trouble => (2, Vec::new(), 0),
        Says::Nothing => return None,
    };
    let addresses: Vec<_> = addresses.iter().filter(is_asked).collect();
    // An answer to a recursive question, to which recursion is available.
    let mut out =
        [&question[..2], &[0x81, 0x80 | code], &[0, 1], &(addresses.len() as u16).to_be_bytes()].concat();
    out.extend_from_slice(&[0, 0, 0, 0]);
    out.extend_from_slice(&question[12..at + 4]);
    for address in addresses {
        let bytes = match address {
            IpAddr::V4(four) => four.octets().to_vec(),
            IpAddr::V6(six) => six.octets().to_vec(),
        };
        // The name is that of the question (RFC 1035, 4.1.4).
        out.extend_from_slice(&[0xc0, 12]);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1]);
        out.extend_from_slice(&ttl.to_be_bytes());
        out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        out.extend_from_slice(&bytes);
    }
    Some(out)
}
