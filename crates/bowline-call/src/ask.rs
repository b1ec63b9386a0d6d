//! A request's head, written straight into the bytes that go out.
//!
//! The caller's fields stay where they are, so that another try can write them again; nothing is cloned
//! and no map is filled for the wire's sake. How the body is framed is decided here and nowhere else.

use crate::replay::Replay;
use http::header::{self, HeaderName};
use http::{HeaderMap, Method};

/// Writes one request's head.
#[derive(Debug)]
pub struct HeadWriter<'o> {
    out: &'o mut Vec<u8>,
    method: Method,
    /// Whether a field named a length, so that an empty body is said to be empty.
    length_named: bool,
}

impl<'o> HeadWriter<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, method: Method::GET, length_named: false }
    }

    /// The request line. `target` is a path and query, as [`http::Uri`] has checked it.
    pub fn line(&mut self, method: &Method, target: &str) {
        self.method = method.clone();
        self.put(method.as_str().as_bytes());
        self.put(b" ");
        // An absolute target may have a query and no path; a rewrite may leave out the slash.
        if !matches!(target.as_bytes(), [b'/', ..] | b"*") {
            self.put(b"/");
        }
        self.put(target.as_bytes());
        self.put(b" HTTP/1.1\r\n");
    }

    /// All of these fields, except those that frame a body.
    pub fn fields(&mut self, fields: &HeaderMap) {
        for (name, value) in fields {
            if *name == header::CONTENT_LENGTH {
                self.length_named = true;
            } else if *name != header::TRANSFER_ENCODING {
                self.field(name, value.as_bytes());
            }
        }
    }

    /// One field. `value` comes from an [`http::HeaderValue`], or is digits and letters of our own:
    /// there is no line end in it.
    pub fn field(&mut self, name: &HeaderName, value: &[u8]) {
        self.put(name.as_str().as_bytes());
        self.put(b": ");
        self.put(value);
        self.put(b"\r\n");
    }

    /// One field that is a number.
    pub fn number(&mut self, name: &HeaderName, value: u64) {
        self.field(name, itoa::Buffer::new().format(value).as_bytes());
    }

    /// How the body is framed, and the head's end.
    pub(crate) fn end(mut self, body: &Replay) {
        if body.is_empty() {
            // RFC 9110, 8.6: where the method anticipates a body, say that there is none.
            if self.length_named || matches!(self.method, Method::POST | Method::PUT | Method::PATCH) {
                self.put(b"content-length: 0\r\n");
            }
        } else if let Some(length) = body.length() {
            self.number(&header::CONTENT_LENGTH, length);
        } else {
            self.put(b"transfer-encoding: chunked\r\n");
        }
        self.put(b"\r\n");
    }

    fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, target: &str, fields: &[(&'static str, &'static str)], expected: &str) {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(name), http::HeaderValue::from_static(value));
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
