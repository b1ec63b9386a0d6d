//! Who may ask the local API: this machine's people, not a web page they happen to look at.
//!
//! A page from anywhere can make a browser send requests to loopback, and with a name that resolves
//! to 127.0.0.1 it can read the answers too (DNS rebinding). So `Host` must name loopback or the
//! address the API was told to listen at, and an `Origin`, which browsers send and cannot be talked
//! out of, must be the API itself.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, SocketAddr};

/// Lets a request through whose `Host` and `Origin` are right; answers 403 and says why otherwise.
pub(super) async fn check(State(listens): State<SocketAddr>, request: Request, next: Next) -> Response {
    match allowed(request.headers(), listens) {
        Ok(()) => next.run(request).await,
        Err(why) => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
    }
}

fn allowed(headers: &HeaderMap, listens: SocketAddr) -> Result<(), String> {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    if !is_ours(host, listens) {
        return Err(format!(
            "host `{host}` is not this machine; ask 127.0.0.1:{} by that name",
            listens.port()
        ));
    }
    let Some(origin) = text(header::ORIGIN) else {
        return match headers.contains_key(header::ORIGIN) {
            true => Err("the origin is not text".to_owned()),
            false => Ok(()),
        };
    };
    let same = origin.strip_prefix("http://").is_some_and(|origin| origin.eq_ignore_ascii_case(host));
    if same { Ok(()) } else { Err(format!("a page of `{origin}` may not ask the local API")) }
}

/// Whether an authority names loopback or the very address we listen at, with our port.
fn is_ours(authority: &str, listens: SocketAddr) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (authority, Some(80)),
    };
    let ip: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let here =
        host.eq_ignore_ascii_case("localhost") || ip.is_some_and(|ip| ip.is_loopback() || ip == listens.ip());
    here && port == Some(listens.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        allowed(&headers, "127.0.0.1:9470".parse().unwrap()).is_ok()
    }

    #[test]
    fn this_machines_names_are_let_through() {
        assert!(check("127.0.0.1:9470", None));
        assert!(check("localhost:9470", None));
        assert!(check("[::1]:9470", None));
        assert!(check("localhost:9470", Some("http://localhost:9470")));
    }

    #[test]
    fn a_name_that_was_rebound_to_loopback_is_refused() {
        assert!(!check("evil.example:9470", None));
        assert!(!check("127.0.0.1.evil.example:9470", None));
        assert!(!check("127.0.0.1:80", None));
        assert!(!check("", None));
    }

    #[test]
    fn a_page_from_elsewhere_is_refused() {
        assert!(!check("127.0.0.1:9470", Some("http://evil.example")));
        assert!(!check("127.0.0.1:9470", Some("null")));
        assert!(!check("127.0.0.1:9470", Some("http://localhost:9470")));
    }
}
