//! The addresses behind a name, and how long an answer about them holds.
//!
//! Why not the system's own look-up: it does not tell how long an answer holds, and it blocks a thread. DNS is
//! asked as `/etc/resolv.conf` says, or at one server that somebody names; `/etc/hosts` comes first.

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RecordType;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// How long one question may take, and how often it is repeated: answers come within milliseconds or not at
/// all, and what was known holds meanwhile.
const QUESTION: Duration = Duration::from_secs(2);
const REPEATS: usize = 2;

/// Addresses of one name that are used. 1,024: a set that is larger is a mistake, or needs another directory.
pub const ADDRESSES_MAX: usize = 1_024;

/// Who is asked for addresses.
#[derive(Debug)]
pub struct Resolver(TokioResolver);

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its addresses, in order, each once.
    pub addresses: Vec<IpAddr>,
    /// How long that holds, as the answers say.
    pub ttl: Duration,
}

/// Why nothing is known of a name.
#[derive(Debug)]
pub enum Unknown {
    /// Whoever is asked says that it has no address.
    NoAddress,
    /// Nobody answered, or not in a way that can be used.
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAddress => "the name has no address",
            Self::Failed(_) => "DNS does not answer",
        })
    }
}

impl std::error::Error for Unknown {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoAddress => None,
            Self::Failed(source) => Some(&**source),
        }
    }
}

impl Resolver {
    /// Asks `server`, or whom the system asks.
    ///
    /// # Errors
    /// The system's configuration cannot be read.
    pub fn new(server: Option<SocketAddr>) -> Result<Self, Unknown> {
        let provider = TokioRuntimeProvider::default();
        let mut builder = match server {
            Some(server) => {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                    connection.port = server.port();
                    connection
                });
                let server = NameServerConfig::new(server.ip(), true, connections.into());
                TokioResolver::builder_with_config(ResolverConfig::from_name_servers(vec![server]), provider)
            }
            None => TokioResolver::builder(provider).map_err(failed)?,
        };
        let options = builder.options_mut();
        // Answers are kept by whoever asks, for as long as they hold.
        options.cache_size = 0;
        options.timeout = QUESTION;
        options.attempts = REPEATS;
        Ok(Self(builder.build().map_err(failed)?))
    }

    /// Asks for the addresses of `name`, of both families at once. Where one family has an answer and the
    /// other's question failed, what `before` holds of that family still holds. Addresses that this machine has
    /// no route to are left out, unless there are no others.
    ///
    /// # Errors
    /// There is none, or nobody answered.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn look_up(&self, name: &str, before: &[IpAddr]) -> Result<Known, Unknown> {
        let (other, own) = (self.0.clone(), name.to_owned());
        let sixes = tokio::spawn(async move { other.lookup(own, RecordType::AAAA).await });
        let fours = self.0.lookup(name, RecordType::A).await;
        let sixes = match sixes.await {
            Ok(sixes) => sixes,
            Err(_) => return Err(Unknown::Failed("the question was given up".into())),
        };
        let mut known = Known { addresses: Vec::new(), ttl: Duration::MAX };
        let mut trouble = None;
        for (answer, is_own) in [(fours, IpAddr::is_ipv4 as fn(&IpAddr) -> bool), (sixes, IpAddr::is_ipv6)] {
            match answer {
                Ok(lookup) => known.add(&lookup),
                Err(error) if error.is_no_records_found() => (),
                Err(error) => {
                    known.addresses.extend(before.iter().copied().filter(is_own));
                    trouble = Some(error);
                }
            }
        }
        if known.ttl == Duration::MAX {
            return Err(trouble.map_or(Unknown::NoAddress, failed));
        }
        known.addresses.sort_unstable();
        known.addresses.dedup();
        known.addresses.truncate(ADDRESSES_MAX);
        let reachable: Vec<IpAddr> = known.addresses.iter().copied().filter(has_route).collect();
        if !reachable.is_empty() {
            known.addresses = reachable;
        }
        Ok(known)
    }
}

impl Known {
    fn add(&mut self, lookup: &Lookup) {
        for record in lookup.answers() {
            // A name's way over other names (CNAME) holds no longer than each of them.
            self.ttl = self.ttl.min(Duration::from_secs(record.ttl.into()));
            self.addresses.extend(record.data.ip_addr());
        }
    }
}

fn failed(error: NetError) -> Unknown {
    Unknown::Failed(error.into())
}

/// Whether this machine knows a way to `address`. Nothing is sent: the kernel is asked for its route (RFC 6724,
/// rule 1, "avoid unusable destinations").
fn has_route(address: &IpAddr) -> bool {
    let any: SocketAddr = match address {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    UdpSocket::bind(any).and_then(|socket| socket.connect((*address, 9))).is_ok()
}
