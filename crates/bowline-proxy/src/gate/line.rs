//! One complete line of a head, without its line end: what it says about framing, or why it is refused.

use super::violation::Reason;
use std::net::Ipv6Addr;
use std::str;

/// What the gate needs to know of a request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestLine<'a> {
    pub(super) http10: bool,
    pub(super) connect: bool,
    /// Where the target names one: its authority, which the Host header must repeat.
    pub(super) authority: Option<Authority<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    pub(super) bytes: &'a [u8],
    /// The port that may be left out, as `:80`.
    pub(super) default_port: &'static str,
}

/// The header fields that frame or direct a request; everything else is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    Upgrade,
    Expect,
    Other,
}

/// Where a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineEnd {
    /// The byte after its line feed.
    pub(super) at: usize,
    /// Whether the line surely holds no control byte, its end aside.
    pub(super) clean: bool,
}

/// Finds the end of the first line. In nearly every line the first control byte is the CR of its end, so
/// one pass finds the end and vouches for what stands before it.
#[inline]
pub(super) fn end(bytes: &[u8]) -> Option<LineEnd> {
    let control = first_control(bytes)?;
    if let Some(b"\r\n") = bytes.get(control..control + 2) {
        return Some(LineEnd { at: control + 2, clean: true });
    }
    let feed = memchr::memchr(b'\n', &bytes[control..])?;
    Some(LineEnd { at: control + feed + 1, clean: false })
}

// === the request line ===

pub(super) fn request_line(line: &[u8]) -> Result<RequestLine<'_>, Reason> {
    parse_request_line(line).map_err(|reason| control_byte(line).unwrap_or(reason))
}

fn parse_request_line(line: &[u8]) -> Result<RequestLine<'_>, Reason> {
    let method_end = span(line, TOKEN);
    match line.get(method_end) {
        Some(b' ') if 0 < method_end => (),
        Some(b' ') | None => return Err(Reason::RequestLine),
        Some(_) => return Err(Reason::Method),
    }
    let (method, rest) = (&line[..method_end], &line[method_end + 1..]);

    let path_end = span(rest, PATH);
    let target_end = match rest.get(path_end) {
        Some(b'?') => path_end + 1 + span(&rest[path_end + 1..], QUERY),
        _ => path_end,
    };
    match rest.get(target_end) {
        Some(b' ') if 0 < target_end => (),
        Some(b' ') | None => return Err(Reason::RequestLine),
        Some(_) => return Err(Reason::Target),
    }
    let (target, version) = (&rest[..target_end], &rest[target_end + 1..]);

    let http10 = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Reason::VersionUnsupported);
        }
        // A fourth word, or an empty one: too many spaces.
        _ if version.is_empty() || version.contains(&b' ') => return Err(Reason::RequestLine),
        _ => return Err(Reason::Version),
    };

    let connect = method == b"CONNECT";
    let authority = match target {
        _ if connect => Some(connect_target(target)?),
        [b'/', ..] => None,
        b"*" if method == b"OPTIONS" => None,
        _ => Some(absolute_target(target)?),
    };
    Ok(RequestLine { http10, connect, authority })
}

/// Whether `target` is a path with an optional query, of bytes that everybody reads alike.
pub(crate) fn is_path(target: &[u8]) -> bool {
    let path_end = span(target, PATH);
    let end = match target.get(path_end) {
        Some(b'?') => path_end + 1 + span(&target[path_end + 1..], QUERY),
        _ => path_end,
    };
    target.first() == Some(&b'/') && end == target.len()
}

fn connect_target(target: &[u8]) -> Result<Authority<'_>, Reason> {
    let has_port =
        matches!(target.rsplit(|&byte| byte == b':').next(), Some(port) if port.len() < target.len());
    if !has_port || !is_authority(target) {
        return Err(Reason::Target);
    }
    Ok(Authority { bytes: target, default_port: "" })
}

fn absolute_target(target: &[u8]) -> Result<Authority<'_>, Reason> {
    let (default_port, rest) = [("http://", ":80"), ("https://", ":443")]
        .into_iter()
        .find_map(|(scheme, port)| Some((port, strip_prefix_ignore_case(target, scheme.as_bytes())?)))
        .ok_or(Reason::Target)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let bytes = &rest[..end];
    if !is_authority(bytes) {
        return Err(Reason::Target);
    }
    Ok(Authority { bytes, default_port })
}

fn strip_prefix_ignore_case<'a>(bytes: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

// === hosts ===

/// Whether `bytes` is a host with an optional port.
///
/// A registered name may hold more by RFC 3986 (commas, percent-encoding, an empty port); no name that
/// resolves does, and each of them is read differently by somebody.
pub(crate) fn is_authority(bytes: &[u8]) -> bool {
    let host_end = match bytes {
        [b'[', ..] => bytes.iter().position(|&byte| byte == b']').map_or(0, |end| end + 1),
        _ => span(bytes, HOST),
    };
    let (host, port) = bytes.split_at(host_end);
    let host_is_good = match host {
        [] => false,
        [b'[', address @ .., b']'] => {
            str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
        }
        _ => true,
    };
    host_is_good && (port.is_empty() || is_port(port))
}

fn is_port(bytes: &[u8]) -> bool {
    match bytes {
        [b':', digits @ ..] if (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) => {
            let number = digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
            (1..=65_535).contains(&number)
        }
        _ => false,
    }
}

/// Whether two authorities name the same host and port, where `default_port` may be left out.
pub(crate) fn is_same_authority(one: &[u8], other: &[u8], default_port: &str) -> bool {
    let bare = |bytes| <[u8]>::strip_suffix(bytes, default_port.as_bytes()).unwrap_or(bytes);
    bare(one).eq_ignore_ascii_case(bare(other))
}

// === header fields ===

/// Splits a header line into the name, as far as it matters, and its value, without the white space
/// around it if it matters. `clean` says that there is no control byte in the line.
#[inline]
pub(super) fn field(line: &[u8], clean: bool) -> Result<(Name, &[u8]), Reason> {
    let name_end = span(line, TOKEN);
    if name_end == 0 || line.get(name_end) != Some(&b':') {
        return Err(control_byte(line).unwrap_or_else(|| misnamed(line, name_end)));
    }
    let (name, value) = (&line[..name_end], &line[name_end + 1..]);
    if !clean && let Some(reason) = control_byte(value) {
        return Err(reason);
    }
    match name_of(name)? {
        Name::Other => Ok((Name::Other, value)),
        name => Ok((name, trimmed(value))),
    }
}

/// Whether a field of this name may stand in a trailer.
pub(crate) fn is_in_trailers(name: &[u8]) -> bool {
    !NOT_IN_TRAILERS.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden.as_bytes()))
}

/// Splits a trailer line, whose name must not be one that acts only in the head.
pub(super) fn trailer(line: &[u8]) -> Result<(), Reason> {
    field(line, false)?;
    let name = &line[..span(line, TOKEN)];
    if is_in_trailers(name) { Ok(()) } else { Err(Reason::Trailer) }
}

/// RFC 9110 section 6.5.1: fields that frame, route, authenticate, condition or describe a message are
/// meaningless after it, and dangerous to whoever merges trailers into the head.
const NOT_IN_TRAILERS: [&str; 27] = [
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "max-forwards",
    "pragma",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn misnamed(line: &[u8], name_end: usize) -> Reason {
    let ahead = line[name_end..].iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    match line.first() {
        Some(b' ' | b'\t') => Reason::Folded,
        _ if 0 < name_end && ahead == Some(&b':') => Reason::SpaceBeforeColon,
        _ => Reason::FieldName,
    }
}

#[inline]
pub(crate) fn name_of(name: &[u8]) -> Result<Name, Reason> {
    // By length and first letter: nearly every other name ends here.
    let (wanted, found) = match (name.len(), name[0] | 0x20) {
        (4, b'h') => ("host", Name::Host),
        (6, b'e') => ("expect", Name::Expect),
        (7, b'u') => ("upgrade", Name::Upgrade),
        (10, b'c') => ("connection", Name::Connection),
        (14, b'c') => ("content-length", Name::ContentLength),
        (17, b't') => ("transfer-encoding", Name::TransferEncoding),
        _ => return Ok(Name::Other),
    };
    let wanted = wanted.as_bytes();
    // In a token this bit distinguishes nothing but the two cases of a letter.
    if name.iter().zip(wanted).all(|(byte, wanted)| byte | 0x20 == *wanted) {
        return Ok(found);
    }
    // `content_length` becomes `CONTENT_LENGTH` behind a CGI-like interface, as `content-length` does.
    let dashed = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    if name.iter().map(dashed).eq(wanted.iter().copied()) {
        return Err(Reason::Lookalike);
    }
    Ok(Name::Other)
}

fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// One plain decimal number that everybody reads alike: no sign, no list, no leading zero, below 2^63.
pub(crate) fn length(value: &[u8]) -> Result<u64, Reason> {
    let plain = match value {
        [b'0'] => true,
        // 18 digits fit into 63 bits whatever they are.
        [b'1'..=b'9', rest @ ..] => rest.len() < 18 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !plain {
        return Err(Reason::Length);
    }
    Ok(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Whether a `Connection` names `Upgrade`. One that names a framing field asks the next hop to take it away.
pub(crate) fn connection(value: &[u8]) -> Result<bool, Reason> {
    let mut upgrades = false;
    for option in value.split(|&byte| byte == b',').map(trimmed) {
        upgrades |= option.eq_ignore_ascii_case(b"upgrade");
        if let 4 | 14 | 17 = option.len()
            && let Ok(Name::Host | Name::ContentLength | Name::TransferEncoding) = name_of(option)
        {
            return Err(Reason::ConnectionNamesFraming);
        }
    }
    Ok(upgrades)
}

// === classes of bytes ===

/// What no line may hold and `bytes` does: a control byte other than the tab.
fn control_byte(bytes: &[u8]) -> Option<Reason> {
    let found = bytes.iter().find(|byte| byte.is_ascii_control() && **byte != b'\t')?;
    Some(if *found == b'\r' { Reason::BareCr } else { Reason::ControlByte })
}

/// Where the first control byte is, eight bytes at a time: the first below 0x20 or equal to 0x7f.
#[inline]
fn first_control(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let delete = word ^ (ONES * 0x7f);
        // A borrow can mark bytes behind the first that is marked rightly, never before it.
        let below = word.wrapping_sub(ONES * 0x20) & !word;
        let equal = delete.wrapping_sub(ONES) & !delete;
        let marks = (below | equal) & HIGHS;
        if marks != 0 {
            return Some(index * 8 + marks.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(u8::is_ascii_control)?;
    Some(words.len() * 8 + at)
}

/// How many bytes from the start belong to `class`, four at a time while all four do.
#[inline]
fn span(bytes: &[u8], class: u8) -> usize {
    let of = |byte: u8| CLASSES[usize::from(byte)];
    let mut at = 0;
    while let Some(&[a, b, c, d]) = bytes[at..].first_chunk()
        && of(a) & of(b) & of(c) & of(d) & class != 0
    {
        at += 4;
    }
    at + bytes[at..].iter().take_while(|byte| of(**byte) & class != 0).count()
}

/// A method or a field name.
const TOKEN: u8 = 1;
/// A target up to its query. RFC 3986, and the few other bytes that browsers send as they are; not the
/// backslash, which some read as a slash, and not `#`, behind which some see nothing.
const PATH: u8 = 2;
/// A query; browsers leave more as it is there.
const QUERY: u8 = 4;
/// A host name: what resolves, and the underscore that container networks use.
const HOST: u8 = 8;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        let code = byte as u8;
        let alphanumeric = code.is_ascii_alphanumeric();
        let mut class = 0;
        if alphanumeric
            || matches!(code, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        {
            class |= TOKEN;
        }
        if !matches!(code, b'"' | b'#' | b'<' | b'>' | b'?' | b'\\' | b'`') {
            class |= PATH;
        }
        if !matches!(code, b'"' | b'#' | b'<' | b'>') {
            class |= QUERY;
        }
        if alphanumeric || matches!(code, b'-' | b'.' | b'_' | b'~') {
            class |= HOST;
        }
        table[byte] = class;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_hosts_with_an_optional_port() {
        for good in
            ["a", "shop.example", "shop_1:80", "127.0.0.1:65535", "[::1]", "[2001:db8::7]:8080", "A-b~c"]
        {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a:123456",
            "a b",
            "a,b",
            "user@a",
            "a/b",
            "a%41",
            "[::1",
            "[]",
            "[1.2.3.4]",
            "::1",
            "[::1]x",
            "[::1%25lo]",
            "a:80:80",
            "ä",
            "a\\b",
            "*",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn lengths_are_plain_numbers() {
        assert_eq!(length(b"0"), Ok(0));
        assert_eq!(length(b"999999999999999999"), Ok(999_999_999_999_999_999));
        for bad in ["", "+3", "-3", "3 3", "3,3", "03", "00", "0x3", "3.0", "1000000000000000000", "3;"] {
            assert_eq!(length(bad.as_bytes()), Err(Reason::Length), "{bad:?}");
        }
    }

    #[test]
    fn the_first_control_byte_is_found_wherever_it_stands() {
        for len in 0..20 {
            assert_eq!(first_control(&vec![b'x'; len]), None);
            for at in 0..len {
                for byte in 0..=u8::MAX {
                    let mut bytes = vec![b'x'; len];
                    bytes[at] = byte;
                    let expected = byte.is_ascii_control().then_some(at);
                    assert_eq!(first_control(&bytes), expected, "{byte:#x} at {at} of {len}");
                    // Another behind it changes nothing.
                    bytes[len - 1] = b'\n';
                    assert_eq!(
                        first_control(&bytes),
                        expected.or(Some(len - 1)),
                        "{byte:#x} at {at} of {len}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_line_ends_at_its_line_feed() {
        let found = |bytes: &str| end(bytes.as_bytes()).map(|end| (end.at, end.clean));
        assert_eq!(found("abcdefgh\r\nij\r\n"), Some((10, true)));
        assert_eq!(found("a\tb\r\n"), Some((5, false)));
        assert_eq!(found("a\rb\nc\r\n"), Some((4, false)));
        assert_eq!(found("a\r\r\n"), Some((4, false)));
        assert_eq!(found("\n"), Some((1, false)));
        for bytes in ["", "a", "a\r", "a\rb", "a\tb"] {
            assert_eq!(found(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn request_lines_name_what_is_wrong_with_them() {
        let reason = |line: &str| request_line(line.as_bytes()).unwrap_err();
        for line in [
            "GET",
            "GET /",
            " / HTTP/1.1",
            "GET  / HTTP/1.1",
            "GET /  HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET / ",
            "",
        ] {
            assert_eq!(reason(line), Reason::RequestLine, "{line:?}");
        }
        for line in ["G(T / HTTP/1.1", "GET\t/ HTTP/1.1", "@ / HTTP/1.1"] {
            assert_eq!(reason(line), Reason::Method, "{line:?}");
        }
        for target in [
            "a",
            "*",
            "/#a",
            "/a\\b",
            "/ä",
            "http://",
            "http:///a",
            "ftp://a/",
            "http://u@a/",
            "?a",
            "/\"",
            "/?\"",
            "/?<",
        ] {
            assert_eq!(reason(&format!("GET {target} HTTP/1.1")), Reason::Target, "{target:?}");
        }
        for target in ["a", "/", "http://a/", ":80", "a:"] {
            assert_eq!(reason(&format!("CONNECT {target} HTTP/1.1")), Reason::Target, "{target:?}");
        }
        for version in ["HTTP/1", "http/1.1", "HTTP/11", "HTTP/1.1x", "HTTP/a.b", "x"] {
            assert_eq!(reason(&format!("GET / {version}")), Reason::Version, "{version:?}");
        }
        for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/9.9"] {
            assert_eq!(reason(&format!("GET / {version}")), Reason::VersionUnsupported, "{version:?}");
        }
        assert_eq!(reason("GET /\rx HTTP/1.1"), Reason::BareCr);
        assert_eq!(reason("GET /\0 HTTP/1.1"), Reason::ControlByte);
    }

    #[test]
    fn request_lines_in_every_form_pass() {
        for line in
            ["GET / HTTP/1.1", "GET /a?{b:[1|2]}` HTTP/1.0", "OPTIONS * HTTP/1.1", "m!x /a/[b]{c} HTTP/1.1"]
        {
            assert_eq!(request_line(line.as_bytes()).map(|line| line.authority), Ok(None), "{line:?}");
        }
        for (target, expected) in
            [("http://a/b", "a"), ("HTTPS://a:443", "a:443"), ("http://[::1]:8?c", "[::1]:8")]
        {
            let line = format!("GET {target} HTTP/1.1");
            let found = request_line(line.as_bytes()).unwrap().authority.unwrap();
            assert_eq!(found.bytes, expected.as_bytes());
        }
        assert!(request_line(b"CONNECT a:443 HTTP/1.1").unwrap().connect);
    }

    #[test]
    fn the_default_port_may_be_left_out() {
        assert!(is_same_authority(b"A:80", b"a", ":80"));
        assert!(is_same_authority(b"a:81", b"A:81", ":80"));
        assert!(!is_same_authority(b"a:80", b"a", ":443"));
        assert!(!is_same_authority(b"a", b"b", ":80"));
    }

    #[test]
    fn the_list_of_names_forbidden_in_trailers_is_sorted() {
        assert!(NOT_IN_TRAILERS.is_sorted());
        assert_eq!(trailer(b"x-checksum: 1"), Ok(()));
        assert_eq!(trailer(b"Content-LENGTH: 1"), Err(Reason::Trailer));
        assert_eq!(trailer(b"content_length: 1"), Err(Reason::Lookalike));
    }
}
