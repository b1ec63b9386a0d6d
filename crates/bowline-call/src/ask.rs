//! A request's head, written in the form that its connection sends.
//!
//! The caller's fields stay where they are, so that another try can write them again. For HTTP/1.1 nothing is
//! cloned and no map is filled: the head goes straight into the bytes that go out. HTTP/2 has its fields
//! compressed from a map, which is filled here. How the body is framed is decided here and nowhere else.

use crate::http2;
use crate::replay::Replay;
use http::header::{self, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Method};

/// Writes one request's head.
#[derive(Debug)]
pub struct HeadWriter<'o> {
    out: Out<'o>,
    method: Method,
    /// Whether a field named a length, so that an empty body is said to be empty.
    length_named: bool,
}

#[derive(Debug)]
enum Out<'o> {
    Text(&'o mut Vec<u8>),
    Fields(&'o mut http2::Request),
}

impl<'o> HeadWriter<'o> {
    pub(crate) const fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out: Out::Text(out), method: Method::GET, length_named: false }
    }

    pub(crate) const fn http2(out: &'o mut http2::Request) -> Self {
        Self { out: Out::Fields(out), method: Method::GET, length_named: false }
    }

    /// The request line. `target` is a path and query, as [`http::Uri`] has checked it.
    pub fn line(&mut self, method: &Method, target: &str) {
        self.method = method.clone();
        // An absolute target may have a query and no path; a rewrite may leave out the slash.
        let slash = !matches!(target.as_bytes(), [b'/', ..] | b"*");
        match &mut self.out {
            Out::Text(out) => {
                out.extend_from_slice(method.as_str().as_bytes());
                out.extend_from_slice(if slash { b" /" } else { b" " });
                out.extend_from_slice(target.as_bytes());
                out.extend_from_slice(b" HTTP/1.1\r\n");
            }
            Out::Fields(request) => {
                request.method = method.clone();
                request.target = if slash {
                    PathAndQuery::try_from(format!("/{target}")).ok()
                } else {
                    PathAndQuery::try_from(target).ok()
                };
            }
        }
    }

    /// All of these fields, except those that frame a body.
    pub fn fields(&mut self, fields: &HeaderMap) {
        match &mut self.out {
            Out::Text(out) => {
                for (name, value) in fields {
                    if *name == header::CONTENT_LENGTH {
                        self.length_named = true;
                    } else if *name != header::TRANSFER_ENCODING {
                        put(out, name, value.as_bytes());
                    }
                }
            }
            Out::Fields(request) => {
                request.fields.reserve(fields.len() + FIELDS_OF_OURS);
                for (name, value) in fields {
                    match name.as_str() {
                        "host" => request.authority = Authority::try_from(value.as_bytes()).ok(),
                        "content-length" => (),
                        // RFC 9113, 8.2.2: what speaks of one connection of HTTP/1.1.
                        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding"
                        | "upgrade" => (),
                        "te" if value.as_bytes() != b"trailers" => (),
                        own => {
                            let mut value = value.clone();
                            value.set_sensitive(is_of_one_call(own));
                            request.fields.append(name, value);
                        }
                    }
                }
            }
        }
    }

    /// One field. `value` comes from an [`http::HeaderValue`], or is digits and letters of our own:
    /// there is no line end in it.
    pub fn field(&mut self, name: &HeaderName, value: &[u8]) {
        match &mut self.out {
            Out::Text(out) => put(out, name, value),
            Out::Fields(request) => {
                if let Ok(mut value) = HeaderValue::from_bytes(value) {
                    value.set_sensitive(is_of_one_call(name.as_str()));
                    request.fields.append(name, value);
                }
            }
        }
    }

    /// One field that is a number.
    pub fn number(&mut self, name: &HeaderName, value: u64) {
        self.field(name, itoa::Buffer::new().format(value).as_bytes());
    }

    /// How the body is framed, and the head's end.
    pub(crate) fn end(mut self, body: &Replay) {
        let length = body.length();
        match &mut self.out {
            Out::Text(out) => {
                if body.is_empty() {
                    // RFC 9110, 8.6: where the method anticipates a body, say that there is none.
                    if self.length_named || matches!(self.method, Method::POST | Method::PUT | Method::PATCH)
                    {
                        out.extend_from_slice(b"content-length: 0\r\n");
                    }
                } else if let Some(length) = length {
                    put(out, &header::CONTENT_LENGTH, itoa::Buffer::new().format(length).as_bytes());
                } else {
                    out.extend_from_slice(b"transfer-encoding: chunked\r\n");
                }
                out.extend_from_slice(b"\r\n");
            }
            Out::Fields(request) => {
                // The frames say where a body ends; the length is for whoever wants to make room for it.
                if let Some(length) = length.filter(|_| !body.is_empty()) {
                    request.fields.insert(header::CONTENT_LENGTH, length.into());
                }
            }
        }
    }
}

/// Whether a field has another value in each call. HTTP/2's compression remembers what it has sent; told not to
/// (RFC 7541, 6.2.3), it does not forget what repeats for the sake of what never comes again.
fn is_of_one_call(name: &str) -> bool {
    matches!(name, "traceparent" | "x-request-id" | "grpc-timeout" | "x-envoy-expected-rq-timeout-ms")
}

/// Fields that are added to a caller's: its address, how it came, trace, number, what is left of the time, which
/// try, what it matters, and the body's length.
const FIELDS_OF_OURS: usize = 9;

fn put(out: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_one_call_is_not_remembered_by_the_compression() {
        let mut map = HeaderMap::new();
        map.insert("user-agent", HeaderValue::from_static("a"));
        map.insert("x-request-id", HeaderValue::from_static("b"));
        let mut request = http2::Request::default();
        let mut writer = HeadWriter::http2(&mut request);
        writer.fields(&map);
        writer.field(&HeaderName::from_static("traceparent"), b"c");
        writer.field(&HeaderName::from_static("x-forwarded-proto"), b"http");
        let mut once: Vec<_> = request.fields.iter().filter(|(_, value)| value.is_sensitive()).collect();
        once.sort_by_key(|(name, _)| name.as_str());
        assert_eq!(
            once.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["traceparent", "x-request-id"]
        );
    }

    fn check(method: &Method, target: &str, fields: &[(&'static str, &'static str)], expected: &str) {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut out = Vec::new();
        let mut writer = HeadWriter::new(&mut out);
        writer.line(method, target);
        writer.fields(&map);
        writer.end(&Replay::empty());
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn framing_is_ours_whatever_the_fields_say() {
        check(
            &Method::GET,
            "/a?b",
            &[("host", "x"), ("a", "1"), ("a", "2")],
            "GET /a?b HTTP/1.1\r\nhost: x\r\na: 1\r\na: 2\r\n\r\n",
        );
        check(&Method::GET, "?b", &[], "GET /?b HTTP/1.1\r\n\r\n");
        check(&Method::GET, "a", &[], "GET /a HTTP/1.1\r\n\r\n");
        check(&Method::OPTIONS, "*", &[], "OPTIONS * HTTP/1.1\r\n\r\n");
        check(&Method::GET, "", &[("transfer-encoding", "chunked")], "GET / HTTP/1.1\r\n\r\n");
        check(&Method::GET, "/", &[("content-length", "0")], "GET / HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
        check(&Method::POST, "/", &[], "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
    }
}
