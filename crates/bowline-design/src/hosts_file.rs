//! A file that lists a service's endpoints: written by another program, read again whenever it changes.

use crate::kinds::service::check_address;
use crate::mistake::{Mistake, Mistakes, Place, Spot, Text};
use crate::read::documents::body;
use crate::read::reader::{Read, Reader, Root};
use crate::read::record::record;
use crate::read::tree::parse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Endpoints in one file. More than a balancer has places for are a mistake.
pub const ENDPOINTS_MAX: usize = 65_535;

record! {
    /// What the file says.
    struct HostsFile {
        /// Where the service answers.
        endpoints: Vec<Spot<Listed>>,
    }
}

record! {
    /// One endpoint.
    struct Listed {
        /// Host and port.
        address: Spot<String>,
        /// Its labels; they make subsets.
        labels: BTreeMap<String, String>,
        /// Its share beside the others; 1 when absent.
        weight: Option<Spot<u32>>,
    } checked by check_listed
}

/// One endpoint of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEndpoint {
    /// `host:port`.
    pub address: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its share beside the others.
    pub weight: u32,
}

fn check_listed(listed: &Listed, _: &Place, mistakes: &mut Mistakes) {
    check_address(&listed.address, mistakes);
    if let Some(weight) = listed.weight.as_ref().filter(|weight| weight.value == 0) {
        mistakes.add("bad-value", &weight.place, "a weight of 0", "at least 1; leave the endpoint out");
    }
}

/// Reads a file of endpoints: `endpoints: [ { address: "10.0.0.1:80", labels: {..}, weight: 1 } ]`. An empty
/// list is no mistake: somebody has scaled to nothing. An empty file is one: somebody is writing it.
///
/// ```
/// use bowline_design::Text;
///
/// let text = Text { name: "stock.hosts".into(), text: "endpoints: [ { address: '10.0.0.1:80' } ]".to_owned() };
/// assert_eq!(bowline_design::hosts_file::read(&text).unwrap()[0].address, "10.0.0.1:80");
/// let cut = Text { name: "stock.hosts".into(), text: "endpoints: [ { addr".to_owned() };
/// assert!(bowline_design::hosts_file::read(&cut).is_err());
/// ```
///
/// # Errors
/// All mistakes in it.
pub fn read(text: &Text) -> Result<Vec<FileEndpoint>, Vec<Mistake>> {
    let mut mistakes = Mistakes::default();
    let endpoints = endpoints(text, &mut mistakes);
    let mistakes = mistakes.into_list(|_| Some(0));
    match endpoints {
        Some(endpoints) if mistakes.is_empty() => Ok(endpoints),
        _ => Err(mistakes),
    }
}

fn endpoints(text: &Text, mistakes: &mut Mistakes) -> Option<Vec<FileEndpoint>> {
    let files: Arc<[Arc<str>]> = [Arc::clone(&text.name)].into();
    let start = Place {
        file: Arc::clone(&text.name),
        line: 1,
        column: 1,
        end: (1, 1),
        resource: "".into(),
        path: "".into(),
    };
    let (documents, broken) = parse(body(text), 0);
    let mut outer = Reader::new(files, mistakes);
    for broken in broken {
        let place = outer.place(broken.extent);
        outer.mistakes().add(broken.code, &place, broken.found, broken.expected);
    }
    let document = match &documents[..] {
        [document] => document,
        documents => {
            let found = format!("{} documents", documents.len());
            outer.mistakes().add("wrong-type", &start, found, "one, with `endpoints`");
            return None;
        }
    };
    let mut reader = outer.inside("endpoints".into(), Root { shape: HostsFile::shape, path: "" });
    let file = HostsFile::read(document, &mut reader)?;
    let has_list = document.field("endpoints").is_some();
    if !has_list {
        outer.mistakes().add("missing-field", &start, "no `endpoints`", "a list, empty or not");
    }
    if ENDPOINTS_MAX < file.endpoints.len() {
        let found = format!("{} endpoints", file.endpoints.len());
        outer.mistakes().add("too-many", &start, found, format!("at most {ENDPOINTS_MAX}"));
    }
    let listed = file.endpoints.into_iter().map(|Spot { value: listed, .. }| FileEndpoint {
        address: listed.address.value,
        labels: listed.labels,
        weight: listed.weight.map_or(1, |weight| weight.value),
    });
    Some(listed.collect())
}
