//! An answer that sends the caller elsewhere.

use super::condition::{Asked, Condition};
use super::host;
use super::rewrite::replace_matched;
use std::borrow::Cow;

/// An answer that sends the caller elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// The new path. The query stays, unless the new path brings one.
    pub path: RedirectPath,
    /// The new authority; `None`: the same.
    pub authority: Option<Box<str>>,
    /// The new scheme; `None`: the same.
    pub scheme: Option<Box<str>>,
    /// The new port.
    pub port: RedirectPort,
    /// The status: 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// What becomes of the path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RedirectPath {
    /// It stays.
    #[default]
    Same,
    /// This one takes its place (Istio's `uri`).
    Whole(Box<str>),
    /// What the condition matched is replaced (Istio's `prefixRewrite`): of a prefix the prefix, of
    /// everything else the path, as Envoy's `prefix_rewrite` of a redirect does it.
    Matched(Box<str>),
}

/// Where a redirect takes its port from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedirectPort {
    /// The authority as it is: a kept one keeps its port, unless it was the old scheme's usual one.
    #[default]
    AsAuthority,
    /// The port that the request was sent to.
    FromRequest,
    /// This port.
    Number(u16),
    /// The authority as it is, but where it names the first of these ports, the second: where HTTP is sent to HTTPS.
    Moved(u16, u16),
}

impl Redirect {
    /// The `location` for a request that was routed by `condition`.
    #[must_use]
    pub fn location(&self, asked: &Asked<'_>, condition: Option<&Condition>) -> String {
        let scheme = self.scheme.as_deref().unwrap_or(asked.scheme);
        let usual = usual_port(scheme);
        let named = host::port_of(asked.authority);
        let (port, moved) = match self.port {
            RedirectPort::AsAuthority => (None, false),
            RedirectPort::FromRequest => (Some(asked.port), false),
            RedirectPort::Number(port) => (Some(port), false),
            RedirectPort::Moved(from, to) if named == Some(from) => (Some(to), true),
            RedirectPort::Moved(..) => (None, false),
        };
        // A usual port is not spelt out (Istio, `ApplyRedirect`).
        let port = port.filter(|port| Some(*port) != usual);
        let authority = match &self.authority {
            Some(authority) => authority,
            None if port.is_some() || moved => host::without_port(asked.authority),
            None => match named {
                Some(given) if scheme != asked.scheme && Some(given) == usual_port(asked.scheme) => {
                    host::without_port(asked.authority)
                }
                _ => asked.authority,
            },
        };
        let path = match &self.path {
            RedirectPath::Same => Cow::Borrowed(asked.path),
            RedirectPath::Whole(path) => Cow::Borrowed(&**path),
            RedirectPath::Matched(with) => replace_matched(with, asked.path, condition),
        };
        let query = asked.query.filter(|_| !path.contains('?'));
        let mut location = format!("{scheme}://{authority}");
        if let Some(port) = port {
            location.push_str(&format!(":{port}"));
        }
        location.push_str(&path);
        if let Some(query) = query {
            location.push('?');
            location.push_str(query);
        }
        location
    }
}

fn usual_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::text_match::{FullRegex, TextMatch};
    use super::*;
    use http::{HeaderMap, Method};

    fn check(redirect: &Redirect, authority: &str, expected: &str) {
        let headers = HeaderMap::new();
        let asked = Asked {
            method: &Method::GET,
            path: "/a",
            query: Some("b=1"),
            scheme: "http",
            authority,
            headers: &headers,
            port: 8080,
        };
        assert_eq!(redirect.location(&asked, None), expected);
    }

    const KEEP: Redirect = Redirect {
        path: RedirectPath::Same,
        authority: None,
        scheme: None,
        port: RedirectPort::AsAuthority,
        status: 301,
    };

    fn whole(path: &str) -> Redirect {
        Redirect { path: RedirectPath::Whole(path.into()), ..KEEP }
    }

    #[test]
    fn what_is_not_named_stays() {
        check(&KEEP, "shop:8080", "http://shop:8080/a?b=1");
        check(&whole("/c"), "shop", "http://shop/c?b=1");
        check(&whole("/c?d=2"), "shop", "http://shop/c?d=2");
        check(&Redirect { authority: Some("new".into()), ..KEEP }, "shop:8080", "http://new/a?b=1");
    }

    #[test]
    fn usual_ports_are_not_spelt_out() {
        let secure = Redirect { scheme: Some("https".into()), ..KEEP };
        check(&secure, "shop:80", "https://shop/a?b=1");
        check(&secure, "shop:8080", "https://shop:8080/a?b=1");
        check(&Redirect { port: RedirectPort::Number(443), ..secure.clone() }, "shop", "https://shop/a?b=1");
        check(&Redirect { port: RedirectPort::Number(8443), ..secure }, "shop:80", "https://shop:8443/a?b=1");
        check(&Redirect { port: RedirectPort::FromRequest, ..KEEP }, "shop", "http://shop:8080/a?b=1");
    }

    /// Where `GET http://shop/old/a?b=1` is sent, if `uri` is what routed it.
    #[track_caller]
    fn check_matched(with: &str, uri: Option<TextMatch>, ignore_uri_case: bool, expected: &str) {
        let redirect = Redirect { path: RedirectPath::Matched(with.into()), ..KEEP };
        let condition = Condition { uri, ignore_uri_case, ..Condition::default() };
        let headers = HeaderMap::new();
        let asked = Asked {
            method: &Method::GET,
            path: "/old/a",
            query: Some("b=1"),
            scheme: "http",
            authority: "shop",
            headers: &headers,
            port: 80,
        };
        assert!(condition.holds(&asked));
        assert_eq!(redirect.location(&asked, Some(&condition)), expected);
    }

    #[test]
    fn what_matched_is_replaced_and_the_query_stays() {
        let prefix = |text: &str| Some(TextMatch::Prefix(text.into()));
        check_matched("/new", prefix("/old"), false, "http://shop/new/a?b=1");
        check_matched("/new/", prefix("/OLD/"), true, "http://shop/new/a?b=1");
        check_matched("/", prefix("/old/"), false, "http://shop/a?b=1");
        check_matched("/new", prefix("/old/a"), false, "http://shop/new?b=1");
        check_matched("/new", Some(TextMatch::Exact("/old/a".into())), false, "http://shop/new?b=1");
        let expression = TextMatch::Regex(FullRegex::new("/o.*").unwrap());
        check_matched("/new", Some(expression), false, "http://shop/new?b=1");
        check_matched("/new/", None, false, "http://shop/new/old/a?b=1");
        check_matched("/new?c=2", prefix("/old/a"), false, "http://shop/new?c=2");
    }
}
