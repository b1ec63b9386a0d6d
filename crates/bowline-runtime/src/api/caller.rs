//! Who may ask the local API: this machine's people, not a web page they happen to look at; and off loopback whoever
//! brings a token.
//!
//! A page from anywhere can make a browser send requests to loopback, and with a name that resolves
//! to 127.0.0.1 it can read the answers too (DNS rebinding). So `Host` must name loopback or the
//! address the API was told to listen at, and an `Origin`, which browsers send and cannot be talked
//! out of, must be the API itself.

use super::scoped::{Scope, ScopedTokens};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Where the API listens, and the tokens that it demands; `None`: none, on loopback.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) listens: SocketAddr,
    pub(super) tokens: Option<Arc<ScopedTokens>>,
}

/// Lets a request through whose `Host` and `Origin` are right and, where tokens are demanded, whose token is; answers 401
/// or 403 and says why otherwise.
pub(super) async fn check(State(terms): State<Terms>, request: Request, next: Next) -> Response {
    let Terms { listens, tokens } = terms;
    let Some(tokens) = tokens else {
        return match allowed(request.headers(), listens) {
            Ok(()) => next.run(request).await,
            Err(why) => refused(&why),
        };
    };
    if let Err(why) = same_origin(request.headers()) {
        return refused(&why);
    }
    let path = request.uri().path();
    // A probe has no token, and learns whether and not why; a library has the token of its process, which is looked at
    // where it asks.
    let is_link = [bowline::link::format::GUARDS_PATH, bowline::link::format::REPORT_PATH].contains(&path);
    if path == "/healthz" || is_link {
        return next.run(request).await;
    }
    let scope = tokens.scope(request.headers());
    if path == "/readyz" && scope.is_none() {
        let status = next.run(request).await.status();
        return (status, if status.is_success() { "ready\n" } else { "not ready\n" }).into_response();
    }
    let needed =
        if [Method::GET, Method::HEAD].contains(request.method()) { Scope::Read } else { Scope::Operate };
    match scope {
        None => {
            let why = "the local API is open to the network here and asks for a token: `Authorization: Bearer TOKEN`\n";
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], why).into_response()
        }
        Some(scope) if scope < needed => {
            refused("this token may look, and change nothing: its scope is `read`")
        }
        Some(_) => next.run(request).await,
    }
}

fn refused(why: &str) -> Response {
    (StatusCode::FORBIDDEN, format!("{why}\n")).into_response()
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
    same_origin(headers)
}

/// Whether a page that asks is the API's own, or nobody's.
fn same_origin(headers: &HeaderMap) -> Result<(), String> {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
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
