//! One `match` block: conditions that must hold together.

use super::text_match::TextMatch;
use crate::mistake::Place;
use http::{HeaderMap, HeaderName, Method};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A request as routing sees it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its path, without query.
    pub path: &'a str,
    /// Its query, without the question mark.
    pub query: Option<&'a str>,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Its authority as it came: the host, and the port where it names one.
    pub authority: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The port it was sent to: a gateway's own; in the mesh the one that the authority names, or 80.
    pub port: u16,
}

/// One `match` block. All of it must hold.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Where it is written; `None` for what no document says.
    pub place: Option<Place>,
    /// The path.
    pub uri: Option<TextMatch>,
    /// Whether the path is compared without regard to case.
    pub ignore_uri_case: bool,
    /// The scheme.
    pub scheme: Option<TextMatch>,
    /// The method.
    pub method: Option<TextMatch>,
    /// The authority as it came, with its port.
    pub authority: Option<TextMatch>,
    /// Headers that must be there and match, sorted by name.
    pub headers: Vec<(HeaderName, TextMatch)>,
    /// Headers that must not match.
    pub without_headers: Vec<(HeaderName, TextMatch)>,
    /// Query parameters that must match.
    pub query: Vec<(Box<str>, TextMatch)>,
    /// The port it was sent to.
    pub port: Option<u16>,
    /// Why no request can meet it here: it selects callers or gateways that this table does not serve.
    pub excluded: Option<Arc<str>>,
}

impl Condition {
    /// Whether a request meets it.
    #[must_use]
    pub fn holds(&self, asked: &Asked<'_>) -> bool {
        self.unmet(asked).is_none()
    }

    /// The first part that a request does not meet.
    #[must_use]
    pub fn unmet<'c>(&'c self, asked: &Asked<'_>) -> Option<Unmet<'c>> {
        if let Some(why) = &self.excluded {
            return Some(Unmet::Excluded(why));
        }
        if let Some(port) = self.port.filter(|port| *port != asked.port) {
            return Some(Unmet::Port(port));
        }
        if let Some(uri) = &self.uri {
            let matches = match self.ignore_uri_case {
                true => uri.matches_ignoring_case(asked.path),
                false => uri.matches(asked.path),
            };
            if !matches {
                return Some(Unmet::Uri(uri));
            }
        }
        if let Some(method) = self.method.as_ref().filter(|method| !method.matches(asked.method.as_str())) {
            return Some(Unmet::Method(method));
        }
        if let Some(scheme) = self.scheme.as_ref().filter(|scheme| !scheme.matches(asked.scheme)) {
            return Some(Unmet::Scheme(scheme));
        }
        if let Some(authority) = self.authority.as_ref().filter(|own| !own.matches(asked.authority)) {
            return Some(Unmet::Authority(authority));
        }
        for (name, wanted) in &self.headers {
            if !has_header(asked.headers, name, wanted) {
                return Some(Unmet::Header(name, wanted));
            }
        }
        for (name, unwanted) in &self.without_headers {
            if lacks_not_header(asked.headers, name, unwanted) {
                return Some(Unmet::WithoutHeader(name, unwanted));
            }
        }
        for (name, wanted) in &self.query {
            let given = asked.query.and_then(|query| parameter(query, name));
            if !given.is_some_and(|given| wanted.matches(given)) {
                return Some(Unmet::Query(name, wanted));
            }
        }
        None
    }

    /// Whether it asks for nothing but a method and a path.
    pub(crate) fn asks_only_method_and_path(&self) -> bool {
        self.scheme.is_none()
            && self.authority.is_none()
            && self.headers.is_empty()
            && self.without_headers.is_empty()
            && self.query.is_empty()
            && self.port.is_none()
            && self.excluded.is_none()
    }

    /// Whether every request meets it.
    #[must_use]
    pub fn is_catch_all(&self) -> bool {
        let every_path = match &self.uri {
            None | Some(TextMatch::Present) => true,
            Some(TextMatch::Prefix(prefix)) => matches!(&**prefix, "" | "/"),
            Some(TextMatch::Exact(_)) => false,
            Some(TextMatch::Regex(regex)) => matches!(regex.text(), ".*" | "*"),
        };
        every_path && self.method.is_none() && self.asks_only_method_and_path()
    }
}

/// The part of a condition that a request does not meet. Its text completes "it asks for ..".
#[derive(Clone, Debug)]
pub enum Unmet<'c> {
    /// It is for other callers or gateways.
    Excluded(&'c str),
    /// Another port.
    Port(u16),
    /// Another path.
    Uri(&'c TextMatch),
    /// Another method.
    Method(&'c TextMatch),
    /// Another scheme.
    Scheme(&'c TextMatch),
    /// Another authority.
    Authority(&'c TextMatch),
    /// A header that is not there or says something else.
    Header(&'c HeaderName, &'c TextMatch),
    /// A header that should not be there, or not so.
    WithoutHeader(&'c HeaderName, &'c TextMatch),
    /// A query parameter that is not there or says something else.
    Query(&'c str, &'c TextMatch),
}

impl fmt::Display for Unmet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Excluded(why) => f.write_str(why),
            Self::Port(port) => write!(f, "port {port}"),
            Self::Uri(uri) => write!(f, "uri {uri}"),
            Self::Method(method) => write!(f, "method {method}"),
            Self::Scheme(scheme) => write!(f, "scheme {scheme}"),
            Self::Authority(authority) => write!(f, "authority {authority}"),
            Self::Header(name, wanted) => write!(f, "header {name} {wanted}"),
            Self::WithoutHeader(name, unwanted) => write!(f, "no header {name} {unwanted}"),
            Self::Query(name, wanted) => write!(f, "query parameter {name} {wanted}"),
        }
    }
}

fn has_header(headers: &HeaderMap, name: &HeaderName, wanted: &TextMatch) -> bool {
    match wanted {
        TextMatch::Present => headers.contains_key(name),
        _ => header_text(headers, name).is_some_and(|given| wanted.matches(&given)),
    }
}

/// Whether a header that a rule does not want is there. One that is missing counts as empty, unless
/// only its presence is asked about (Istio: `TreatMissingHeaderAsEmpty`).
fn lacks_not_header(headers: &HeaderMap, name: &HeaderName, unwanted: &TextMatch) -> bool {
    match unwanted {
        TextMatch::Present => headers.contains_key(name),
        _ if headers.contains_key(name) => has_header(headers, name, unwanted),
        _ => unwanted.matches(""),
    }
}

/// A header's value; several are joined by commas, as Envoy joins them to compare. What is not UTF-8
/// matches nothing.
fn header_text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Cow<'h, str>> {
    let mut values = headers.get_all(name).iter().map(|value| std::str::from_utf8(value.as_bytes()));
    let first = values.next()?.ok()?;
    let Some(second) = values.next() else { return Some(Cow::Borrowed(first)) };
    let mut joined = format!("{first},{}", second.ok()?);
    for value in values {
        joined.push(',');
        joined.push_str(value.ok()?);
    }
    Some(Cow::Owned(joined))
}

/// The first value of a query parameter, not decoded, as Envoy compares it; `?key` has the value "".
fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}
