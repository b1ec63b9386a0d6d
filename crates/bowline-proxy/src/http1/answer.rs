//! An answer's head, to bytes, and how its body is framed (RFC 9112, section 6). Pure.

use super::head::Said;
use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body::SizeHint;
use std::io::Write as _;

/// How an answer's body goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Nothing,
    /// This many bytes are still to go.
    Length(u64),
    /// Chunks; `trailers`: the caller reads them.
    Chunked { trailers: bool },
    /// All until the connection ends: HTTP/1.0 knows nothing better for what has no length.
    UntilClose,
}

/// What the head has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) framing: Framing,
    /// Whether another request may follow.
    pub(super) keeps: bool,
}

/// Writes a head. `size`: what is known of the body; `keeps`: whether we would let another request follow.
pub(super) fn write(
    out: &mut Vec<u8>,
    status: StatusCode,
    headers: &HeaderMap,
    date: Option<&HeaderValue>,
    size: &SizeHint,
    said: &Said,
    keeps: bool,
) -> Terms {
    out.extend_from_slice(if said.old { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");

    // What comes after these is a tunnel.
    let switches = status == StatusCode::SWITCHING_PROTOCOLS || (said.connect && status.is_success());
    let no_length = switches || status.is_informational() || status == StatusCode::NO_CONTENT;
    let no_body = no_length || said.head || status == StatusCode::NOT_MODIFIED;
    let (mut length, mut close, mut keep_alive) = (None, false, false);
    for (name, value) in headers {
        if name == header::CONTENT_LENGTH {
            length = value.to_str().ok().and_then(|text| text.parse().ok());
            if length.is_none() || no_length {
                continue;
            }
        } else if name == header::TRANSFER_ENCODING {
            continue;
        } else if name == header::CONNECTION {
            close |= value.as_bytes().eq_ignore_ascii_case(b"close");
            keep_alive |= value.as_bytes().eq_ignore_ascii_case(b"keep-alive");
        }
        field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    if let Some(date) = date {
        field(out, b"date", date.as_bytes());
    }
    let framing = match length.or(size.exact()) {
        _ if no_body => Framing::Nothing,
        Some(known) => {
            if length.is_none() {
                let _ = write!(out, "content-length: {known}\r\n");
            }
            Framing::Length(known)
        }
        None if said.old => Framing::UntilClose,
        None => {
            field(out, b"transfer-encoding", b"chunked");
            Framing::Chunked { trailers: said.trailers }
        }
    };
    let keeps = keeps && !close && framing != Framing::UntilClose;
    if !keeps && !close && !switches {
        field(out, b"connection", b"close");
    } else if keeps && said.old && !keep_alive {
        field(out, b"connection", b"keep-alive");
    }
    out.extend_from_slice(b"\r\n");
    Terms { framing, keeps }
}

/// Writes trailers, and the end of a chunked body.
pub(super) fn write_end(out: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Said = Said {
        body: super::super::decoder::Coding::None,
        expects: false,
        keeps: true,
        old: false,
        head: false,
        connect: false,
        trailers: false,
    };

    fn written(
        status: u16,
        fields: &[(&'static str, &str)],
        size: Option<u64>,
        said: &Said,
    ) -> (String, Terms) {
        let fields = fields.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        let size = size.map_or_else(SizeHint::default, SizeHint::with_exact);
        let mut out = Vec::new();
        let status = StatusCode::from_u16(status).unwrap();
        let terms = write(&mut out, status, &fields.collect(), None, &size, said, said.keeps);
        (String::from_utf8(out).unwrap(), terms)
    }

    #[test]
    fn a_body_is_framed_by_what_is_known_of_it() {
        use Framing::{Chunked, Length, Nothing, UntilClose};
        let old = Said { old: true, ..NEW };
        let head = Said { head: true, ..NEW };
        let trailers = Said { trailers: true, ..NEW };
        let length = [("content-length", "5")];
        for (status, fields, size, said, line, framing, keeps) in [
            (200, &[][..], Some(3), NEW, "content-length: 3", Length(3), true),
            (200, &length[..], None, NEW, "content-length: 5", Length(5), true),
            (200, &[][..], None, NEW, "transfer-encoding: chunked", Chunked { trailers: false }, true),
            (200, &[][..], None, trailers, "transfer-encoding: chunked", Chunked { trailers: true }, true),
            (200, &[][..], None, old, "connection: close", UntilClose, false),
            (200, &[][..], Some(3), old, "connection: keep-alive", Length(3), true),
            (200, &length[..], None, head, "content-length: 5", Nothing, true),
            (200, &[][..], Some(0), head, "", Nothing, true),
            (304, &length[..], None, NEW, "content-length: 5", Nothing, true),
            (204, &length[..], None, NEW, "", Nothing, true),
            (
                200,
                &[("connection", "close")][..],
                Some(0),
                NEW,
                "connection: close\r\ncontent-length: 0",
                Length(0),
                false,
            ),
        ] {
            let (text, terms) = written(status, fields, size, &said);
            let version = if said.old { "1.0" } else { "1.1" };
            let reason = StatusCode::from_u16(status).unwrap().canonical_reason().unwrap().to_owned();
            let lines = text.split_once("\r\n").unwrap();
            assert_eq!(lines.0, format!("HTTP/{version} {status} {reason}"));
            let expected = if line.is_empty() { "\r\n".to_owned() } else { format!("{line}\r\n\r\n") };
            assert!(lines.1.ends_with(&expected) && lines.1.matches("connection").count() < 2, "{text}");
            assert_eq!(terms, Terms { framing, keeps }, "{text}");
        }
    }

    #[test]
    fn a_tunnel_begins_where_its_head_ends() {
        let connect = Said { connect: true, ..NEW };
        let (text, terms) = written(200, &[], Some(0), &connect);
        assert_eq!((text.as_str(), terms.framing), ("HTTP/1.1 200 OK\r\n\r\n", Framing::Nothing));
        let (text, _) = written(101, &[("connection", "upgrade"), ("upgrade", "websocket")], Some(0), &NEW);
        assert_eq!(
            text,
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        );
    }

    #[test]
    fn trailers_stand_behind_the_last_chunk() {
        let mut out = Vec::new();
        let trailers =
            HeaderMap::from_iter([(header::HeaderName::from_static("sum"), HeaderValue::from_static("1"))]);
        write_end(&mut out, Some(&trailers));
        assert_eq!(out, b"0\r\nsum: 1\r\n\r\n");
    }
}
