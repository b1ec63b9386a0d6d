//! Who the hosts are where the design does not say it itself: by DNS, or in a file.
//!
//! It stands beside the design: whatever is learned makes another snapshot of the same design, and a reload
//! keeps it. Nothing that is known is forgotten because somebody failed to say it again.

use bowline_call::tls::Source;
use bowline_design::hosts_file::{self, FileEndpoint};
use bowline_design::resolved::{Endpoint, Located};
use bowline_design::{Design, Text};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// A file of endpoints is at most so large: 65,535 lines of a hundred bytes.
const FILE_MAX: usize = 8 << 20;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    names: BTreeMap<Arc<str>, Arc<[IpAddr]>>,
    files: BTreeMap<Arc<str>, Arc<[FileEndpoint]>>,
}

impl Found {
    /// The addresses of a name, once somebody has said them.
    pub(crate) fn name(&self, name: &str) -> Option<&Arc<[IpAddr]>> {
        self.names.get(name)
    }

    /// What a file lists, once it could be read.
    pub(crate) fn file(&self, file: &str) -> Option<&Arc<[FileEndpoint]>> {
        self.files.get(file)
    }

    /// A name has these addresses; whether that is news.
    pub(crate) fn found_name(&mut self, name: &Arc<str>, addresses: &[IpAddr]) -> bool {
        let is_news = self.names.get(name).is_none_or(|known| **known != *addresses);
        if is_news {
            self.names.insert(Arc::clone(name), addresses.into());
        }
        is_news
    }

    /// A file lists these; whether that is news.
    pub(crate) fn found_file(&mut self, file: &Arc<str>, endpoints: Vec<FileEndpoint>) -> bool {
        let is_news = self.files.get(file).is_none_or(|known| **known != *endpoints);
        if is_news {
            self.files.insert(Arc::clone(file), endpoints.into());
        }
        is_news
    }

    /// Reads those files of a design that nobody has read yet, so that its first snapshot has their endpoints.
    pub(crate) fn read_files(&mut self, design: &Design, files: &dyn Source, sources: &Sources) {
        let named = design.services.iter().flat_map(|service| &service.endpoints);
        for file in named.filter(|endpoint| endpoint.located == Located::InFile) {
            let file: Arc<str> = file.address.as_str().into();
            if self.files.contains_key(&file) {
                continue;
            }
            match read_file(&file, files) {
                Ok(endpoints) => {
                    sources.went(&file, Kind::File, Looked::Changed(endpoints.len()));
                    self.found_file(&file, endpoints);
                }
                Err(why) => {
                    sources.went(&file, Kind::File, Looked::Failed);
                    tracing::error!(file = &*file, why, "its endpoints are not known");
                }
            }
        }
    }

    /// Forgets whatever `design` does not ask for.
    pub(crate) fn keep_for(&mut self, design: &Design, sources: &Sources) {
        let all = || design.services.iter().flat_map(|service| &service.endpoints);
        self.names.retain(|name, _| all().any(|endpoint| name_of(endpoint) == Some(name)));
        let names_file = |file: &str| {
            all().any(|endpoint| endpoint.located == Located::InFile && endpoint.address == file)
        };
        self.files.retain(|file, _| names_file(file));
        sources.retain(|source, kind| match kind {
            Kind::Name => all().any(|endpoint| name_of(endpoint) == Some(source)),
            Kind::File => names_file(source),
            Kind::Keys => design.issuers.iter().any(|issuer| issuer.keys.to_string() == source),
        });
    }
}

/// The name that an endpoint's address begins with, where that is no address by itself.
pub(crate) fn name_of(endpoint: &Endpoint) -> Option<&str> {
    let named = match endpoint.located {
        Located::AsWritten | Located::ByDns => name_in(&endpoint.address)?,
        Located::InFile => return None,
    };
    Some(named.0)
}

/// `name:port`, unless it is an address by itself.
pub(crate) fn name_in(address: &str) -> Option<(&str, u16)> {
    if address.parse::<std::net::SocketAddr>().is_ok() {
        return None;
    }
    let (name, port) = address.rsplit_once(':')?;
    Some((name, port.parse().ok()?))
}

/// What `file` lists.
///
/// # Errors
/// Why it cannot be used, for people.
pub(crate) fn read_file(file: &Arc<str>, files: &dyn Source) -> Result<Vec<FileEndpoint>, String> {
    let bytes = files.read(file).map_err(|error| error.to_string())?;
    parse(file, bytes)
}

/// What the bytes of `file` list.
///
/// # Errors
/// Why they cannot be used, for people.
pub(crate) fn parse(file: &Arc<str>, bytes: Vec<u8>) -> Result<Vec<FileEndpoint>, String> {
    if FILE_MAX < bytes.len() {
        return Err(format!("{} bytes; at most {FILE_MAX} are read", bytes.len()));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = Text { name: Arc::clone(file), text };
    hosts_file::read(&text).map_err(|mistakes| {
        let first = mistakes.first().map(|mistake| {
            let place = &mistake.place;
            format!("line {}: found {}, expected {}", place.line, mistake.found, mistake.expected)
        });
        first.unwrap_or_else(|| "it has mistakes".to_owned())
    })
}

// === what is told about it ===

/// What has come of looking, for `/metrics`.
#[derive(Debug, Default)]
pub(crate) struct Sources(Mutex<BTreeMap<Arc<str>, Tally>>);

/// Where something is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In DNS.
    Name,
    /// In a file.
    File,
    /// At an issuer of tokens.
    Keys,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "dns",
            Self::File => "file",
            Self::Keys => "keys",
        }
    }
}

/// How one look went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    /// There is news: so many are known now.
    Changed(usize),
    /// It is as it was.
    Same,
    /// Nothing came of it; what was known holds.
    Failed,
}

/// What has come of looking at one source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    pub(crate) kind: Kind,
    /// Known now.
    pub(crate) known: usize,
    /// Whether the last look failed.
    pub(crate) failing: bool,
    /// Looks that brought news, that brought none, and that failed.
    pub(crate) looks: [u64; 3],
}

/// The words for the three.
pub(crate) const LOOKS: [&str; 3] = ["changed", "same", "failed"];

impl Sources {
    /// A look went like this; whether it is another end than that of the look before.
    pub(crate) fn went(&self, source: &Arc<str>, kind: Kind, looked: Looked) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tally =
            all.entry(Arc::clone(source)).or_insert(Tally { kind, known: 0, failing: false, looks: [0; 3] });
        let was_failing = std::mem::replace(&mut tally.failing, looked == Looked::Failed);
        let index = match looked {
            Looked::Changed(known) => {
                tally.known = known;
                0
            }
            Looked::Same => 1,
            Looked::Failed => 2,
        };
        tally.looks[index] += 1;
        was_failing != tally.failing
    }

    fn retain(&self, mut stays: impl FnMut(&str, Kind) -> bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|source, tally| stays(source, tally.kind));
    }

    /// Every source.
    pub(crate) fn all(&self) -> Vec<(Arc<str>, Tally)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(source, tally)| (Arc::clone(source), *tally)).collect()
    }
}
