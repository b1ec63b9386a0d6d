//! Cross-origin rules, as a route states them.

use super::text_match::TextMatch;
use http::{HeaderValue, Method};

/// Cross-origin rules. Matching an origin is decided here; answering is up to the proxy.
#[derive(Clone, Debug)]
pub struct Cors {
    /// Origins that may ask.
    pub origins: Vec<TextMatch>,
    /// `access-control-allow-methods`, joined.
    pub methods: Option<HeaderValue>,
    /// `access-control-allow-headers`, joined.
    pub headers: Option<HeaderValue>,
    /// `access-control-expose-headers`, joined.
    pub exposed: Option<HeaderValue>,
    /// `access-control-max-age`, in seconds.
    pub max_age: Option<HeaderValue>,
    /// Whether credentials may be sent.
    pub credentials: bool,
    /// Whether a preflight from an origin that may not ask is sent on (Istio's default) or answered
    /// without permission.
    pub forwards_unmatched: bool,
}

impl Cors {
    /// Whether `origin` may ask.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        self.origins.iter().any(|own| match own {
            // Istio hands `*` to Envoy as it is, which takes it for every origin.
            TextMatch::Exact(any) if &**any == "*" => true,
            own => own.matches(origin),
        })
    }

    /// Whether a request is a preflight: OPTIONS with `access-control-request-method`.
    #[must_use]
    pub fn is_preflight(method: &Method, headers: &http::HeaderMap) -> bool {
        *method == Method::OPTIONS
            && headers.contains_key(http::header::ORIGIN)
            && headers.contains_key(http::header::ACCESS_CONTROL_REQUEST_METHOD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_allows_every_origin() {
        let mut cors = Cors {
            origins: vec![TextMatch::Exact("https://a.example".into())],
            methods: None,
            headers: None,
            exposed: None,
            max_age: None,
            credentials: false,
            forwards_unmatched: true,
        };
        assert!(cors.allows("https://a.example"));
        assert!(!cors.allows("https://b.example"));
        cors.origins.push(TextMatch::Exact("*".into()));
        assert!(cors.allows("https://b.example"));
    }
}
