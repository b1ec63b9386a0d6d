//! A request's head, from bytes that the gate has let pass. Pure.

use super::decoder::Coding;
use crate::gate::Reason;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Uri, Version};
use std::mem::MaybeUninit;

/// The most fields that are read: what the gate lets pass.
const FIELDS_MAX: usize = 128;

/// What the connection needs to know of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) body: Coding,
    /// Whether the body is sent only when the caller is told to.
    pub(super) expects: bool,
    /// Whether another request may follow.
    pub(super) keeps: bool,
    /// Whether it is HTTP/1.0.
    pub(super) old: bool,
    /// Whether only the head of the answer is wanted.
    pub(super) head: bool,
    /// Whether a tunnel is asked for.
    pub(super) connect: bool,
    /// Whether the caller reads trailers.
    pub(super) trailers: bool,
}

/// Takes a head, which is whole, from the beginning of `bytes`. Its fields go into `headers`, which is empty, as slices
/// of `bytes`.
pub(super) fn parse(bytes: &mut Bytes, mut headers: HeaderMap) -> Result<(Request<()>, Said), Reason> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete(length)) => length,
        // The gate reads what is read here, and stricter.
        Ok(httparse::Status::Partial) => return Err(Reason::HeadTooLarge),
        Err(httparse::Error::TooManyHeaders) => return Err(Reason::TooManyFields),
        Err(_) => return Err(Reason::RequestLine),
    };
    let at = |part: &[u8]| {
        let start = part.as_ptr().addr() - bytes.as_ptr().addr();
        bytes.slice(start..start + part.len())
    };
    let method = request.method.unwrap_or_default();
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Reason::Method)?;
    let target = request.path.unwrap_or_default();
    let target = Uri::from_maybe_shared(at(target.as_bytes())).map_err(|_| Reason::Target)?;
    let mut said = Said { old: request.version == Some(0), ..Said::default() };
    let (mut close, mut keep_alive) = (false, false);
    for field in &*request.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Reason::FieldName)?;
        let value = HeaderValue::from_maybe_shared(at(field.value)).map_err(|_| Reason::ControlByte)?;
        if name == header::CONTENT_LENGTH {
            said.body = Coding::Length(digits(field.value).ok_or(Reason::Length)?);
        } else if name == header::TRANSFER_ENCODING {
            said.body = Coding::Chunked;
        } else if name == header::CONNECTION {
            for option in options(field.value) {
                close |= option.eq_ignore_ascii_case(b"close");
                keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if name == header::EXPECT {
            said.expects = true;
        } else if name == header::TE {
            said.trailers = options(field.value).any(|option| option.eq_ignore_ascii_case(b"trailers"));
        }
        headers.try_append(name, value).map_err(|_| Reason::TooManyFields)?;
    }
    said.keeps = !close && (!said.old || keep_alive);
    said.expects &= !said.old;
    said.head = method == Method::HEAD;
    said.connect = method == Method::CONNECT;
    let _ = bytes.split_to(length);
    let mut head = Request::new(());
    *head.method_mut() = method;
    *head.uri_mut() = target;
    *head.version_mut() = if said.old { Version::HTTP_10 } else { Version::HTTP_11 };
    *head.headers_mut() = headers;
    Ok((head, said))
}

fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// A plain decimal number.
fn digits(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.trim_ascii().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Request<()>, Said, usize) {
        let mut bytes = Bytes::copy_from_slice(text.as_bytes());
        let (head, said) = parse(&mut bytes, HeaderMap::new()).unwrap();
        (head, said, bytes.len())
    }

    #[test]
    fn a_head_says_what_it_asks_and_what_comes_behind_it() {
        let (head, said, rest) = read(
            "POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\nTE: trailers\r\n\r\nhello",
        );
        assert_eq!((head.method().as_str(), head.uri().path(), rest), ("POST", "/a", 5));
        assert_eq!(
            (head.uri().query(), &head.headers()["host"]),
            (Some("b"), &HeaderValue::from_static("x"))
        );
        let expected =
            Said { body: Coding::Length(5), expects: true, keeps: true, trailers: true, ..Said::default() };
        assert_eq!(said, expected);
    }

    #[test]
    fn whether_a_request_may_follow_depends_on_the_version_and_the_options() {
        for (text, keeps) in [
            ("GET / HTTP/1.1\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ] {
            assert_eq!(read(text).1.keeps, keeps, "{text}");
        }
    }

    #[test]
    fn targets_of_every_form_are_read() {
        assert_eq!(read("OPTIONS * HTTP/1.1\r\n\r\n").0.uri(), "*");
        assert_eq!(read("GET http://a:1/b HTTP/1.1\r\n\r\n").0.uri(), "http://a:1/b");
        let (head, said, _) = read("CONNECT a:1 HTTP/1.1\r\n\r\n");
        assert_eq!((head.uri().authority().unwrap().as_str(), said.connect), ("a:1", true));
    }
}
