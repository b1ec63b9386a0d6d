//! A request's head, judged as the HTTP/1 gate would, and made to look as if it had come by HTTP/1.
//!
//! What HTTP/2 itself forbids (upper case, pseudo-headers, fields of the connection, `TE` but `trailers`) its library
//! has refused already. What is left is what two readers could understand in two ways once the request goes on in
//! HTTP/1: the path's bytes, the host, the length, names that look like others.

use crate::gate::line::{self, Name};
use crate::gate::{Limits, Reason};
use http::header::{self, HeaderValue};
use http::{Method, Uri, request};

/// What a field adds to the size of a head beyond its name and value (RFC 9113, 6.5.2).
const FIELD_OVERHEAD: usize = 32;

/// What the stream needs to know of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The body's length, where the head says it.
    pub(super) length: Option<u64>,
    /// Whether the caller sends the body only when told to.
    pub(super) expects: bool,
}

/// Judges a head and rewrites it: the authority becomes `Host`, the target a path, cookies one field. `usual_port`: the
/// one that the connection's scheme lets be left out, as `:443`.
pub(super) fn accept(parts: &mut request::Parts, limits: &Limits, usual_port: &str) -> Result<Said, Reason> {
    if parts.method == Method::CONNECT {
        return Err(Reason::Connect);
    }
    let uri = std::mem::take(&mut parts.uri).into_parts();
    let target = uri.path_and_query.ok_or(Reason::Target)?;
    let is_asterisk = target.as_str() == "*" && parts.method == Method::OPTIONS;
    if limits.request_line_bytes_max < target.as_str().len() {
        return Err(Reason::RequestLineTooLong);
    }
    if !is_asterisk && !line::is_path(target.as_str().as_bytes()) {
        return Err(Reason::Target);
    }
    let mut size = target.as_str().len();
    let mut said = Said::default();
    let mut host: Option<&HeaderValue> = None;
    let mut cookies = 0_u32;
    for (name, value) in &parts.headers {
        let bytes = name.as_str().len() + value.len();
        if limits.field_bytes_max < bytes {
            return Err(Reason::FieldTooLong);
        }
        size += bytes + FIELD_OVERHEAD;
        match line::name_of(name.as_str().as_bytes())? {
            Name::Host if host.is_some() => return Err(Reason::HostRepeated),
            Name::Host => host = Some(value),
            Name::ContentLength if said.length.is_some() => return Err(Reason::LengthRepeated),
            Name::ContentLength => said.length = Some(line::length(value.as_bytes())?),
            Name::Expect if value.as_bytes().eq_ignore_ascii_case(b"100-continue") => said.expects = true,
            Name::Expect => return Err(Reason::Expectation),
            // HTTP/2 has none of these, and who passes them on would be understood.
            Name::TransferEncoding | Name::Connection | Name::Upgrade => return Err(Reason::StreamMalformed),
            Name::Other => cookies += u32::from(*name == header::COOKIE),
        }
    }
    let fields = parts.headers.len() as u32 - cookies.saturating_sub(1);
    if limits.fields_max < fields {
        return Err(Reason::TooManyFields);
    }
    if limits.head_bytes_max < size {
        return Err(Reason::HeadTooLarge);
    }
    if said.length.is_some_and(|length| limits.body_bytes_max < length) {
        return Err(Reason::BodyTooLarge);
    }
    let authority = uri.authority.as_ref().map(|authority| authority.as_str().as_bytes());
    if !line::is_authority(authority.or(host.map(HeaderValue::as_bytes)).ok_or(Reason::HostMissing)?) {
        return Err(Reason::Host);
    }
    match (authority, host) {
        (Some(authority), Some(host)) if !line::is_same_authority(authority, host.as_bytes(), usual_port) => {
            return Err(Reason::HostMismatch);
        }
        (Some(authority), None) => {
            let host = HeaderValue::from_bytes(authority).map_err(|_| Reason::Host)?;
            parts.headers.insert(header::HOST, host);
        }
        _ => (),
    }
    if 1 < cookies {
        join_cookies(parts);
    }
    parts.uri = Uri::from(target);
    Ok(said)
}

/// HTTP/2 lets a client cut `cookie` into fields, to compress them better; in HTTP/1 there is one (RFC 9113, 8.2.3).
fn join_cookies(parts: &mut request::Parts) {
    let all: Vec<&[u8]> = parts.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
        parts.headers.insert(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn judge(method: &str, uri: &str, fields: &[(&str, &str)]) -> Result<(request::Parts, Said), Reason> {
        let mut builder = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        let (mut parts, ()) = builder.body(()).unwrap().into_parts();
        let said = accept(&mut parts, &Limits::default(), ":80")?;
        Ok((parts, said))
    }

    fn reason(uri: &str, fields: &[(&str, &str)]) -> Reason {
        judge("POST", uri, fields).unwrap_err()
    }

    #[test]
    fn a_good_head_looks_as_if_it_had_come_by_http1() {
        let fields = [("cookie", "a=1"), ("x", "1"), ("cookie", "b=2"), ("content-length", "12")];
        let (parts, said) = judge("POST", "http://shop.test:8080/a?b=1", &fields).unwrap();
        assert_eq!(parts.uri, "/a?b=1");
        assert_eq!(parts.headers["host"], "shop.test:8080");
        assert_eq!(parts.headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2"]);
        assert_eq!(said, Said { length: Some(12), expects: false });
        let (parts, _) = judge("GET", "/a", &[("host", "shop.test")]).unwrap();
        assert_eq!(
            (parts.uri.to_string().as_str(), &parts.headers["host"]),
            ("/a", &"shop.test".parse().unwrap())
        );
        let (parts, _) = judge("OPTIONS", "*", &[("host", "shop.test")]).unwrap();
        assert_eq!(parts.uri, "*");
        assert!(judge("GET", "http://a:80/", &[("host", "A")]).is_ok(), "the same host");
    }

    #[test]
    fn the_port_that_may_be_left_out_is_the_schemes() {
        for (usual, authority, same) in
            [(":80", "a:80", true), (":443", "a:443", true), (":443", "a:80", false), (":80", "a:443", false)]
        {
            let uri = format!("https://{authority}/");
            let (mut parts, ()) = Request::get(uri).header("host", "a").body(()).unwrap().into_parts();
            let accepted = accept(&mut parts, &Limits::default(), usual);
            assert_eq!(accepted.err(), (!same).then_some(Reason::HostMismatch), "{usual} {authority}");
        }
    }

    #[test]
    fn what_the_gate_refuses_in_http1_is_refused_here_for_the_same_reason() {
        for target in ["/a\\b", "/a\"b", "*"] {
            let uri: Uri = target.parse().unwrap();
            assert_eq!(reason(&uri.to_string(), &[("host", "a")]), Reason::Target, "{target}");
        }
        assert_eq!(reason("/", &[]), Reason::HostMissing);
        assert_eq!(reason("/", &[("host", "a"), ("host", "a")]), Reason::HostRepeated);
        assert_eq!(reason("/", &[("host", "a b")]), Reason::Host);
        assert_eq!(reason("http://user@a/", &[]), Reason::Host);
        assert_eq!(reason("http://a/", &[("host", "b")]), Reason::HostMismatch);
        assert_eq!(
            reason("http://a/", &[("content-length", "1"), ("content-length", "1")]),
            Reason::LengthRepeated
        );
        assert_eq!(reason("http://a/", &[("content-length", "+1")]), Reason::Length);
        assert_eq!(reason("http://a/", &[("content-length", "2000000000")]), Reason::BodyTooLarge);
        assert_eq!(reason("http://a/", &[("content_length", "1")]), Reason::Lookalike);
        assert_eq!(reason("http://a/", &[("transfer-encoding", "chunked")]), Reason::StreamMalformed);
        assert_eq!(reason("http://a/", &[("expect", "tea")]), Reason::Expectation);
        assert_eq!(reason(&format!("http://a/{}", "a".repeat(9_000)), &[]), Reason::RequestLineTooLong);
        assert_eq!(reason("http://a/", &[("x", &"a".repeat(17 << 10))]), Reason::FieldTooLong);
        let large = "a".repeat(15 << 10);
        let fields: Vec<_> = ["x1", "x2", "x3", "x4"].iter().map(|name| (*name, large.as_str())).collect();
        assert_eq!(reason("http://a/", &fields), Reason::HeadTooLarge);
        assert_eq!(reason("http://a/", &[("x", "1"); 101]), Reason::TooManyFields);
        assert_eq!(judge("CONNECT", "a:80", &[]).unwrap_err(), Reason::Connect);
    }

    #[test]
    fn a_cut_cookie_is_one_field() {
        assert!(judge("GET", "http://a/", &[("cookie", "a=1"); 150]).is_ok());
    }
}
