//! How the endpoints of a destination are reached, as its design says.

use bowline_call::tls::{Source, Tls, TlsError, TlsSettings, Trust};
use bowline_call::{Endpoint, Endpoints, Http, Transport};
use bowline_design::resolved::Service;
use bowline_design::routing::{CalleeTls, Destination};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Makes endpoints of one design. Files are read once, however many destinations name them.
pub(crate) struct Reach<'a> {
    endpoints: &'a Endpoints,
    files: &'a dyn Source,
    read: BTreeMap<(CalleeTls, bool), Option<Arc<Tls>>>,
}

impl<'a> Reach<'a> {
    pub(crate) fn new(endpoints: &'a Endpoints, files: &'a dyn Source) -> Self {
        Self { endpoints, files, read: BTreeMap::new() }
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
        let files = self.files;
        let read = self.read.entry(key).or_insert_with(|| match load(asked, http2, files) {
            Ok(tls) => Some(Arc::new(tls)),
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::error!(service, %error, source, "no call to it is made");
                None
            }
        });
        read.clone()
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
