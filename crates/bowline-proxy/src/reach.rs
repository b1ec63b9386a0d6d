//! How the endpoints of a destination are reached, as its design says.

use crate::trouble::Trouble;
use bowline_call::tls::{Source, Tls, TlsError, TlsSettings, Trust, Until};
use bowline_call::{Endpoint, Endpoints, Http, Transport};
use bowline_design::resolved::Service;
use bowline_design::routing::{CalleeTls, Destination};
use std::collections::BTreeMap;
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
    before: Option<&'a Spoken>,
    /// `None`: it cannot be spoken.
    read: BTreeMap<(CalleeTls, bool), Option<Arc<Tls>>>,
    troubles: Vec<Trouble>,
}

impl<'a> Reach<'a> {
    /// `before`: what serves on where a file cannot be used.
    pub(crate) fn new(endpoints: &'a Endpoints, files: &'a dyn Source, before: Option<&'a Spoken>) -> Self {
        Self { endpoints, files, before, read: BTreeMap::new(), troubles: Vec::new() }
    }

    /// How TLS is spoken, and where it cannot be.
    pub(crate) fn end(self) -> (Spoken, Vec<Trouble>) {
        let spoken = self.read.into_iter().filter_map(|(asked, tls)| Some((asked, tls?)));
        (Spoken(spoken.collect()), self.troubles)
    }

    /// The endpoints of `destination`, a part of `service`. None, where TLS is asked for and cannot be
    /// spoken: what was to be protected does not go out in plain text.
    pub(crate) fn all(&mut self, service: &Service, destination: &Destination) -> Vec<Arc<Endpoint>> {
        let chosen = destination.endpoints.iter().filter_map(|index| service.endpoints.get(*index));
        let reached = chosen.filter_map(|endpoint| {
            let http2 = destination.upgraded || endpoint.protocol.is_http2();
            let tls = match &destination.tls {
                None => None,
                Some(asked) => Some(self.tls(asked, http2, &service.name)?),
            };
            let http = if http2 { Http::Two } else { Http::One };
            Some(self.endpoints.reached(&endpoint.address, &Transport { http, tls }))
        });
        reached.collect()
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
