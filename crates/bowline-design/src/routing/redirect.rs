//! An answer that sends the caller elsewhere.

use super::condition::Asked;
use super::host;

/// An answer that sends the caller elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// The new path; `None`: the same. The query stays, unless the new path brings one.
    pub uri: Option<Box<str>>,
    /// The new authority; `None`: the same.
    pub authority: Option<Box<str>>,
    /// The new scheme; `None`: the same.
    pub scheme: Option<Box<str>>,
    /// The new port.
    pub port: RedirectPort,
    /// The status: 301, 302, 303, 307 or 308.
    pub status: u16,
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
}

impl Redirect {
    /// The `location` for a request.
    #[must_use]
    pub fn location(&self, asked: &Asked<'_>) -> String {
        let scheme = self.scheme.as_deref().unwrap_or(asked.scheme);
        let usual = usual_port(scheme);
        let port = match self.port {
            RedirectPort::AsAuthority => None,
            RedirectPort::FromRequest => Some(asked.port),
            RedirectPort::Number(port) => Some(port),
        };
        // A usual port is not spelt out (Istio, `ApplyRedirect`).
        let port = port.filter(|port| Some(*port) != usual);
        let authority = match &self.authority {
            Some(authority) => authority,
            None if port.is_some() => host::without_port(asked.authority),
            None => match host::port_of(asked.authority) {
                Some(given) if scheme != asked.scheme && Some(given) == usual_port(asked.scheme) => {
                    host::without_port(asked.authority)
                }
                _ => asked.authority,
            },
        };
        let path = self.uri.as_deref().unwrap_or(asked.path);
        let query = asked.query.filter(|_| !path.contains('?'));
        let mut location = format!("{scheme}://{authority}");
        if let Some(port) = port {
            location.push_str(&format!(":{port}"));
        }
        location.push_str(path);
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
        assert_eq!(redirect.location(&asked), expected);
    }

    const KEEP: Redirect =
        Redirect { uri: None, authority: None, scheme: None, port: RedirectPort::AsAuthority, status: 301 };

    #[test]
    fn what_is_not_named_stays() {
        check(&KEEP, "shop:8080", "http://shop:8080/a?b=1");
        check(&Redirect { uri: Some("/c".into()), ..KEEP }, "shop", "http://shop/c?b=1");
        check(&Redirect { uri: Some("/c?d=2".into()), ..KEEP }, "shop", "http://shop/c?d=2");
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
}
