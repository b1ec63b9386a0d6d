//! How the endpoints of a destination are reached, as its design says.

use crate::found::{self, Found};
use crate::trouble::Trouble;
use bowline_call::tls::{Source, Tls, TlsError, TlsSettings, Trust, Until};
use bowline_call::{ConnectionSettings, Endpoint, Endpoints, Http, Keepalive, Transport};
use bowline_design::hosts_file::FileEndpoint;
use bowline_design::resolved::{Endpoint as Written, Located, Service};
use bowline_design::routing::{CalleeTls, Connections, Destination};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// How TLS is spoken, by what is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spoken(BTreeMap<(CalleeTls, bool), Arc<Tls>>);

impl Spoken {
    /// Our certificates, and when each ends.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &Until> {
        self.0.values().flat_map(|tls| tls.own())
    }
}

/// Makes endpoints of one design. Files are read once, however many destinations name them.
pub(crate) struct Reach<'a> {
    endpoints: &'a Endpoints,
    files: &'a dyn Source,
    found: &'a Found,
    before: Option<&'a Spoken>,
    /// `None`: it cannot be spoken.
    read: BTreeMap<(CalleeTls, bool), Option<Arc<Tls>>>,
    troubles: Vec<Trouble>,
    /// Names that are looked up for it.
    names: BTreeSet<Arc<str>>,
    /// Files that list endpoints of it.
    lists: BTreeSet<Arc<str>>,
}

/// What was learned while endpoints were made.
pub(crate) struct Learned {
    /// How TLS is spoken.
    pub(crate) spoken: Spoken,
    /// Where it cannot be.
    pub(crate) troubles: Vec<Trouble>,
    /// Names that are to be looked up.
    pub(crate) names: BTreeSet<Arc<str>>,
    /// Files that list endpoints.
    pub(crate) lists: BTreeSet<Arc<str>>,
}

/// An endpoint, and its share beside the others.
pub(crate) type Reached = (Arc<Endpoint>, u32);

impl<'a> Reach<'a> {
    /// `before`: what serves on where a file cannot be used.
    pub(crate) fn new(
        endpoints: &'a Endpoints,
        files: &'a dyn Source,
        found: &'a Found,
        before: Option<&'a Spoken>,
    ) -> Self {
        let (read, names, lists) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { endpoints, files, found, before, read, troubles: Vec::new(), names, lists }
    }

    /// Whether this was asked for and cannot be spoken.
    pub(crate) fn cannot_speak(&self, asked: &CalleeTls) -> bool {
        self.read.iter().any(|((own, _), tls)| own == asked && tls.is_none())
    }

    /// What was learned on the way.
    pub(crate) fn end(self) -> Learned {
        let Self { read, troubles, names, lists, .. } = self;
        let spoken = read.into_iter().filter_map(|(asked, tls)| Some((asked, tls?)));
        Learned { spoken: Spoken(spoken.collect()), troubles, names, lists }
    }

    /// The endpoints of `destination`, a part of `service`, each once. None, where TLS is asked for and cannot
    /// be spoken: what was to be protected does not go out in plain text.
    pub(crate) fn all(&mut self, service: &Service, destination: &Destination) -> Vec<Reached> {
        let mut all: Vec<Reached> = Vec::new();
        for endpoint in destination.endpoints.iter().filter_map(|index| service.endpoints.get(*index)) {
            let http2 = destination.upgraded || endpoint.protocol.is_http2();
            let tls = match &destination.tls {
                None => None,
                Some(asked) => match self.tls(asked, http2, &service.name) {
                    Some(tls) => Some(tls),
                    None => continue,
                },
            };
            let transport = Transport {
                http: if http2 { Http::Two } else { Http::One },
                tls,
                connections: destination
                    .connections
                    .as_ref()
                    .map_or(ConnectionSettings::NONE, |asked| kept(&asked.value)),
            };
            for (address, weight) in self.addresses(service, destination, endpoint) {
                let reached = self.endpoints.reached(&address, &transport);
                self.tell_its_addresses(&reached);
                if !all.iter().any(|(known, _)| Arc::ptr_eq(known, &reached)) {
                    all.push((reached, weight));
                }
            }
        }
        all
    }

    /// The addresses that an endpoint of the design stands for, as far as is known.
    fn addresses(
        &mut self,
        service: &Service,
        destination: &Destination,
        endpoint: &Written,
    ) -> Vec<(String, u32)> {
        let Written { address, located, weight, labels, .. } = endpoint;
        let named = found::name_in(address).filter(|_| *located != Located::InFile);
        if let Some((name, _)) = named {
            self.names.insert(name.into());
        }
        match located {
            Located::AsWritten => vec![(address.clone(), *weight)],
            Located::ByDns => match named.and_then(|(name, port)| Some((self.found.name(name)?, port))) {
                Some((known, port)) => {
                    known.iter().map(|ip| (SocketAddr::new(*ip, port).to_string(), *weight)).collect()
                }
                // Until DNS has answered the name stands for itself.
                None => vec![(address.clone(), *weight)],
            },
            Located::InFile => {
                self.lists.insert(address.as_str().into());
                let wanted = destination.subset.as_ref().and_then(|wanted| {
                    service.subsets.iter().find(|subset| subset.name == *wanted).map(|subset| &subset.labels)
                });
                let listed = self.found.file(address).map(|listed| &**listed).unwrap_or_default();
                let belongs = |listed: &&FileEndpoint| {
                    wanted.is_none_or(|wanted| {
                        wanted.iter().all(|(label, value)| {
                            listed.labels.get(label).or_else(|| labels.get(label)) == Some(value)
                        })
                    })
                };
                let belonging = listed.iter().filter(belongs);
                belonging
                    .map(|listed| (listed.address.clone(), listed.weight.saturating_mul(*weight)))
                    .collect()
            }
        }
    }

    /// Tells an endpoint whose host is a name the addresses of that, so that no call has to look it up.
    fn tell_its_addresses(&mut self, endpoint: &Endpoint) {
        let Some((name, port)) = found::name_in(endpoint.address()) else { return };
        self.names.insert(name.into());
        if let Some(known) = self.found.name(name) {
            endpoint.is_at(known.iter().map(|ip| SocketAddr::new(*ip, port)).collect());
        }
    }

    fn tls(&mut self, asked: &CalleeTls, http2: bool, service: &str) -> Option<Arc<Tls>> {
        let key = (asked.clone(), http2);
        if let Some(read) = self.read.get(&key) {
            return read.clone();
        }
        let read = match load(asked, http2, self.files) {
            Ok(tls) => Some(Arc::new(tls)),
            Err(error) => {
                let before = self.before.and_then(|before| before.0.get(&key)).cloned();
                self.troubles.push(Trouble::new(format!("service {service}"), &error, before.is_some()));
                before
            }
        };
        self.read.insert(key, read.clone());
        read
    }
}

/// How connections are kept, in the words of those who keep them.
fn kept(asked: &Connections) -> ConnectionSettings {
    let Connections { connect, idle, age, requests, streams, ping_after, ping_timeout, keepalive } = *asked;
    let keepalive =
        keepalive.map(|asked| Keepalive { time: asked.time, interval: asked.interval, probes: asked.probes });
    ConnectionSettings { connect, idle, age, requests, streams, ping_after, ping_timeout, keepalive }
}

fn load(asked: &CalleeTls, http2: bool, files: &dyn Source) -> Result<Tls, TlsError> {
    let settings = TlsSettings {
        server_name: asked.server_name.clone(),
        names: asked.names.clone(),
        trust: match &asked.trusted {
            _ if asked.blind => Trust::Blind,
            Some(file) => Trust::File(file.clone()),
            None => Trust::System,
        },
        revoked: asked.revoked.clone(),
        own: asked.own.clone(),
    };
    Tls::load(&settings, http2, files)
}
