//! The gate's machine: bytes in, a verdict out.
//!
//! It follows the framing of one connection, request after request, and keeps of it no more than a
//! handful of numbers. A head passes when all of it was judged, and so does each line that frames a body;
//! until then what has arrived of it is held back, up to the limit on its size. So nothing of a refused
//! head is ever passed, and a verdict does not depend on how the bytes were cut on their way. A head that
//! arrives whole is judged where it lies, without allocating.

use super::limits::Limits;
use super::line::{self, Name};
use super::violation::{Part, Reason, Violation};
use std::mem;

/// Follows the framing of one connection. See the [module](self).
#[derive(Debug)]
pub struct Machine {
    limits: Limits,
    state: State,
    head: Head,
    body: Body,
    /// The authority of the request's target, where it has one, and the port it may leave out.
    authority: Vec<u8>,
    default_port: &'static str,
    /// What was fed and may not pass yet.
    held: Vec<u8>,
    /// How much at the end of it belongs to a line whose end has not arrived.
    line_held: usize,
    heads: u64,
    answered: u64,
    violation: Option<Violation>,
}

/// Where in the stream of requests the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Between two requests.
    Between,
    /// In a request's head.
    Head,
    /// In a request's body, its chunk frames and trailers included.
    Body,
    /// Past a CONNECT or an upgrade; the bytes are no longer HTTP, or nobody has said yet.
    Tunnel,
}

/// What may pass, after some bytes were fed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a violation stops the connection"]
pub struct Judged {
    /// Bytes fed earlier and held back until now.
    pub earlier: Vec<u8>,
    /// How many of the bytes just fed may pass after those.
    pub now: usize,
    /// Why nothing behind them ever will.
    pub violation: Option<Violation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    RequestLine { after_empty: bool },
    Fields,
    Sized { left: u64 },
    ChunkSize,
    ChunkData { left: u64 },
    ChunkEnd { after_cr: bool },
    Trailers,
    Tunnel { granted: bool },
}

/// What the head has said so far.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    bytes: usize,
    fields: u32,
    http10: bool,
    connect: bool,
    host: bool,
    length: Option<u64>,
    chunked: bool,
    /// What is asked for, and whether it is asked of this hop: both make a tunnel.
    websocket: bool,
    names_upgrade: bool,
}

/// What the chunked body has used up of its limits.
#[derive(Clone, Copy, Debug, Default)]
struct Body {
    bytes: u64,
    extension_bytes: usize,
    trailer_bytes: usize,
    trailers: u32,
}

/// The longest chunk size taken: sixteen hexadecimal digits fill 64 bits.
const CHUNK_DIGITS_MAX: usize = 16;

impl Machine {
    /// A machine for a connection on which nothing was read yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::RequestLine { after_empty: false },
            head: Head::default(),
            body: Body::default(),
            authority: Vec::new(),
            default_port: "",
            held: Vec::new(),
            line_held: 0,
            heads: 0,
            answered: 0,
            violation: None,
        }
    }

    /// Judges the next bytes of the connection.
    ///
    /// A violation is final: whatever is fed afterwards is stopped for the same reason.
    pub fn feed(&mut self, bytes: &[u8]) -> Judged {
        let held_before = self.held.len();
        let mut at = 0;
        let mut now = 0;
        while at < bytes.len() && self.violation.is_none() {
            match self.step(&bytes[at..]) {
                Ok(taken) => at += taken,
                Err(reason) => {
                    let part = match self.phase() {
                        // What does not wait for a tunnel comes behind a request, as the next one would.
                        Phase::Between | Phase::Head | Phase::Tunnel => Part::Head,
                        Phase::Body => Part::Body,
                    };
                    self.violation = Some(Violation { reason, part });
                }
            }
            if self.line_held == 0 && !self.is_in_head() && self.violation.is_none() {
                now = at;
            }
        }
        self.held.truncate(held_before);
        let earlier = if now == 0 { Vec::new() } else { mem::take(&mut self.held) };
        match self.violation {
            Some(_) => self.held = Vec::new(),
            None => self.held.extend_from_slice(&bytes[now..]),
        }
        Judged { earlier, now, violation: self.violation }
    }

    /// How many bytes are held back.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// How many heads were accepted.
    #[must_use]
    pub fn heads(&self) -> u64 {
        self.heads
    }

    /// Says how many requests were answered, which is what the limit on pipelining is measured from.
    pub fn set_answered(&mut self, answered: u64) {
        self.answered = answered;
    }

    /// Where the next byte belongs.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.state {
            State::RequestLine { after_empty: false } if self.line_held == 0 => Phase::Between,
            State::RequestLine { .. } | State::Fields => Phase::Head,
            State::Sized { .. }
            | State::ChunkSize
            | State::ChunkData { .. }
            | State::ChunkEnd { .. }
            | State::Trailers => Phase::Body,
            State::Tunnel { granted: false } if self.heads <= self.answered => Phase::Between,
            State::Tunnel { .. } => Phase::Tunnel,
        }
    }

    fn is_in_head(&self) -> bool {
        matches!(self.state, State::Fields | State::RequestLine { after_empty: true })
    }

    /// Opens the tunnel that an accepted CONNECT or upgrade asked for: from here on every byte passes.
    ///
    /// Until then, and until the request is answered with something else, the bytes that follow it are refused. A
    /// server that declines would read them as a request that nobody has judged.
    pub fn grant_tunnel(&mut self) {
        if let State::Tunnel { granted } = &mut self.state {
            *granted = true;
        }
    }

    /// Takes a first part of `bytes`, which is not empty; answers how long it was.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, Reason> {
        match &mut self.state {
            State::RequestLine { .. } | State::Fields | State::ChunkSize | State::Trailers => {
                self.line(bytes)
            }
            State::Sized { left } => {
                let taken = take(left, bytes.len());
                if *left == 0 {
                    self.next_request();
                }
                Ok(taken)
            }
            State::ChunkData { left } => {
                let taken = take(left, bytes.len());
                if *left == 0 {
                    self.state = State::ChunkEnd { after_cr: false };
                }
                Ok(taken)
            }
            State::ChunkEnd { after_cr } => {
                match (*after_cr, bytes[0]) {
                    (false, b'\r') => *after_cr = true,
                    (true, b'\n') => self.state = State::ChunkSize,
                    _ => return Err(Reason::ChunkEnd),
                }
                Ok(1)
            }
            State::Tunnel { granted: true } => Ok(bytes.len()),
            // The request was answered, and not with a tunnel: what follows is the next one.
            State::Tunnel { granted: false } if self.heads <= self.answered => {
                self.next_request();
                Ok(0)
            }
            State::Tunnel { granted: false } => Err(Reason::TunnelTooEarly),
        }
    }

    // === lines ===

    /// Takes the line at the start of `bytes`, or holds what there is of it.
    fn line(&mut self, bytes: &[u8]) -> Result<usize, Reason> {
        let end = line::end(bytes);
        let taken = end.map_or(bytes.len(), |end| end.at);
        let length = self.line_held + taken;
        if self.room() < length {
            return Err(self.too_long());
        }
        match end {
            Some(end) if self.line_held == 0 => self.judge(&bytes[..taken], end.clean)?,
            Some(_) => {
                let mut held = mem::take(&mut self.held);
                held.extend_from_slice(&bytes[..taken]);
                self.line_held = 0;
                let judged = self.judge(&held[held.len() - length..], false);
                self.held = held;
                judged?;
            }
            None => {
                self.held.extend_from_slice(bytes);
                self.line_held = length;
            }
        }
        Ok(taken)
    }

    /// How long the line may be that is being read.
    fn room(&self) -> usize {
        let (own, all) = self.rooms();
        own.min(all)
    }

    /// What to say of a line for which there is no room.
    fn too_long(&self) -> Reason {
        let (own, all) = self.rooms();
        match self.state {
            State::RequestLine { .. } if own <= all => Reason::RequestLineTooLong,
            State::Fields | State::Trailers if own <= all => Reason::FieldTooLong,
            State::RequestLine { .. } | State::Fields => Reason::HeadTooLarge,
            State::Trailers => Reason::TrailersTooLarge,
            _ => Reason::ChunkLineTooLong,
        }
    }

    /// How long the line may be by its own limit, and by the one on all lines of its kind.
    fn rooms(&self) -> (usize, usize) {
        let limits = &self.limits;
        let head_left = limits.head_bytes_max.saturating_sub(self.head.bytes);
        match self.state {
            State::RequestLine { .. } => (limits.request_line_bytes_max, head_left),
            State::Fields => (limits.field_bytes_max, head_left),
            State::Trailers => {
                (limits.field_bytes_max, limits.trailer_bytes_max.saturating_sub(self.body.trailer_bytes))
            }
            _ => {
                let left = limits.extension_bytes_max.saturating_sub(self.body.extension_bytes);
                (CHUNK_DIGITS_MAX + left + "\r\n".len(), usize::MAX)
            }
        }
    }

    /// Judges a whole line, its line feed included. `clean` spares it the search for control bytes.
    fn judge(&mut self, line: &[u8], clean: bool) -> Result<(), Reason> {
        let [content @ .., b'\r', b'\n'] = line else { return Err(Reason::BareLf) };
        match self.state {
            State::RequestLine { after_empty } => {
                self.head.bytes += line.len();
                match (content, after_empty) {
                    // RFC 9112 section 2.2: one empty line before a request is forgiven.
                    ([], false) => self.state = State::RequestLine { after_empty: true },
                    ([], true) => return Err(Reason::EmptyLines),
                    _ => self.request_line(content)?,
                }
            }
            State::Fields => {
                self.head.bytes += line.len();
                match content {
                    [] => self.end_head()?,
                    _ => self.field(content, clean)?,
                }
            }
            State::Trailers => {
                self.body.trailer_bytes += line.len();
                match content {
                    [] => self.next_request(),
                    _ => self.trailer(content)?,
                }
            }
            _ => self.chunk_size(content)?,
        }
        Ok(())
    }

    fn request_line(&mut self, content: &[u8]) -> Result<(), Reason> {
        let line = line::request_line(content)?;
        if line.connect && !self.limits.connect {
            return Err(Reason::Connect);
        }
        if let Some(authority) = line.authority {
            self.authority.extend_from_slice(authority.bytes);
            self.default_port = authority.default_port;
        }
        self.head.http10 = line.http10;
        self.head.connect = line.connect;
        self.state = State::Fields;
        Ok(())
    }

    fn field(&mut self, content: &[u8], clean: bool) -> Result<(), Reason> {
        self.head.fields += 1;
        if self.limits.fields_max < self.head.fields {
            return Err(Reason::TooManyFields);
        }
        let (name, value) = line::field(content, clean)?;
        let head = &mut self.head;
        match name {
            Name::Other => (),
            Name::Host if head.host => return Err(Reason::HostRepeated),
            Name::Host if !line::is_authority(value) => return Err(Reason::Host),
            Name::Host => {
                head.host = true;
                if !self.authority.is_empty()
                    && !line::is_same_authority(&self.authority, value, self.default_port)
                {
                    return Err(Reason::HostMismatch);
                }
            }
            Name::ContentLength if head.length.is_some() => return Err(Reason::LengthRepeated),
            Name::ContentLength => {
                let length = line::length(value)?;
                if head.chunked {
                    return Err(Reason::LengthWithCoding);
                }
                head.length = Some(length);
            }
            Name::TransferEncoding if head.http10 => return Err(Reason::CodingInHttp10),
            Name::TransferEncoding if head.chunked => return Err(Reason::CodingRepeated),
            Name::TransferEncoding if head.length.is_some() => return Err(Reason::LengthWithCoding),
            Name::TransferEncoding if !value.eq_ignore_ascii_case(b"chunked") => return Err(Reason::Coding),
            Name::TransferEncoding => head.chunked = true,
            Name::Connection => head.names_upgrade |= line::connection(value)?,
            Name::Upgrade if head.websocket => return Err(Reason::Upgrade),
            Name::Upgrade if value.eq_ignore_ascii_case(b"h2c") => (),
            Name::Upgrade
                if self.limits.websocket && !head.http10 && value.eq_ignore_ascii_case(b"websocket") =>
            {
                head.websocket = true;
            }
            Name::Upgrade => return Err(Reason::Upgrade),
            Name::Expect if !value.eq_ignore_ascii_case(b"100-continue") => return Err(Reason::Expectation),
            Name::Expect => (),
        }
        Ok(())
    }

    fn end_head(&mut self) -> Result<(), Reason> {
        let head = self.head;
        if !head.host && !head.http10 {
            return Err(Reason::HostMissing);
        }
        if self.limits.pipelined_max <= self.heads.saturating_sub(self.answered) {
            return Err(Reason::Pipelined);
        }
        let upgrades = head.websocket && head.names_upgrade;
        match head.length {
            // A tunnel has no body: what is announced as one would be read as the tunnel's first bytes.
            Some(1..) if head.connect => return Err(Reason::Connect),
            None if head.connect && head.chunked => return Err(Reason::Connect),
            Some(1..) if upgrades => return Err(Reason::Upgrade),
            None if upgrades && head.chunked => return Err(Reason::Upgrade),
            _ if head.connect || upgrades => self.state = State::Tunnel { granted: false },
            Some(length) if self.limits.body_bytes_max < length => return Err(Reason::BodyTooLarge),
            Some(left @ 1..) => self.state = State::Sized { left },
            None if head.chunked => self.state = State::ChunkSize,
            Some(0) | None => self.next_request(),
        }
        self.heads += 1;
        Ok(())
    }

    fn chunk_size(&mut self, content: &[u8]) -> Result<(), Reason> {
        let digits = content.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(content.len());
        if !(1..=CHUNK_DIGITS_MAX).contains(&digits) {
            return Err(Reason::ChunkSize);
        }
        let (size, extension) = content.split_at(digits);
        self.extension(extension)?;
        let size = size.iter().fold(0, |sum, digit| {
            let digit = char::from(*digit).to_digit(16).unwrap_or(0);
            sum << 4 | u64::from(digit)
        });
        if self.limits.body_bytes_max.saturating_sub(self.body.bytes) < size {
            return Err(Reason::BodyTooLarge);
        }
        self.body.bytes += size;
        self.state = if size == 0 { State::Trailers } else { State::ChunkData { left: size } };
        Ok(())
    }

    /// The extensions after a chunk's size: nothing, or a semicolon and text. White space before the
    /// semicolon is allowed for by RFC 9112 and read as an error by some, so it is refused.
    fn extension(&mut self, extension: &[u8]) -> Result<(), Reason> {
        self.body.extension_bytes += extension.len();
        if self.limits.extension_bytes_max < self.body.extension_bytes {
            return Err(Reason::ChunkLineTooLong);
        }
        match extension {
            [] => Ok(()),
            [b';', text @ ..] if text.iter().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e)) => Ok(()),
            [b';', ..] => Err(Reason::ChunkExtension),
            _ => Err(Reason::ChunkSize),
        }
    }

    fn trailer(&mut self, content: &[u8]) -> Result<(), Reason> {
        self.body.trailers += 1;
        if self.limits.trailers_max < self.body.trailers {
            return Err(Reason::TrailersTooLarge);
        }
        line::trailer(content)
    }

    fn next_request(&mut self) {
        self.state = State::RequestLine { after_empty: false };
        self.head = Head::default();
        self.body = Body::default();
        self.authority.clear();
    }
}

/// Takes up to `most` off `left`; answers how many.
fn take(left: &mut u64, most: usize) -> usize {
    let taken = usize::try_from(*left).map_or(most, |left| left.min(most));
    *left -= taken as u64;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How a stream was judged: what passed, heads accepted, and where it stands or why it stopped.
    type Verdict = (Vec<u8>, u64, Result<Phase, Violation>);

    fn judge_in(pieces: impl Iterator<Item = impl AsRef<[u8]>>, limits: Limits) -> Verdict {
        let mut machine = Machine::new(limits);
        let mut passed = Vec::new();
        for piece in pieces {
            let judged = machine.feed(piece.as_ref());
            passed.extend_from_slice(&judged.earlier);
            passed.extend_from_slice(&piece.as_ref()[..judged.now]);
            if let Some(violation) = judged.violation {
                return (passed, machine.heads(), Err(violation));
            }
        }
        (passed, machine.heads(), Ok(machine.phase()))
    }

    /// Judges a stream whole and byte by byte, which must not differ.
    fn judge(bytes: &[u8], limits: &Limits) -> Verdict {
        let whole = judge_in([bytes].into_iter(), limits.clone());
        assert_eq!(whole, judge_in(bytes.chunks(1), limits.clone()), "{}", bytes.escape_ascii());
        whole
    }

    fn check(bytes: impl AsRef<[u8]>, heads: u64, reason: Option<Reason>) {
        check_within(&Limits::default(), bytes, heads, reason);
    }

    fn check_within(limits: &Limits, bytes: impl AsRef<[u8]>, heads: u64, reason: Option<Reason>) {
        let bytes = bytes.as_ref();
        let (passed, found_heads, end) = judge(bytes, limits);
        assert!(bytes.starts_with(&passed));
        let found = (found_heads, end.err().map(|violation| violation.reason));
        assert_eq!(found, (heads, reason), "{}", bytes.escape_ascii());
    }

    fn with_fields(fields: &str) -> String {
        format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
    }

    fn chunked(body: &str) -> String {
        with_fields("Transfer-Encoding: chunked\r\n") + body
    }

    #[test]
    fn good_requests_pass_one_after_another() {
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, None);
        check("GET / HTTP/1.0\r\n\r\n", 1, None);
        check(
            "\r\nGET / HTTP/1.1\r\nhost:a:80\r\n\r\n\r\nGET / HTTP/1.1\r\nHost:\t[::1] \t\r\n\r\n",
            2,
            None,
        );
        check(with_fields("Content-Length: 5\r\n") + "a\r\nb\n" + &with_fields(""), 2, None);
        check(with_fields("Content-Length: 0\r\n") + &with_fields(""), 2, None);
        check(
            chunked("5;n=\"v\"; x\r\nab\r\nc\r\n0a\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n")
                + &with_fields(""),
            2,
            None,
        );
        check(with_fields("Transfer-Encoding: CHUNKED\r\n") + "0\r\n\r\n", 1, None);
        check("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 1, None);
        check("GET http://A:80/ HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n", 2, None);
        check(with_fields("Expect: 100-Continue\r\nConnection: close, TE, x-y\r\nTE: trailers\r\n"), 1, None);
        check(
            with_fields("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"),
            1,
            None,
        );
        check(b"GET / HTTP/1.1\r\nHost: a\r\nX-Name: caf\xc3\xa9 \xff\r\nEmpty:\r\n\r\n", 1, None);
    }

    #[test]
    fn lines_end_in_cr_lf_and_hold_no_control_bytes() {
        check("GET / HTTP/1.1\nHost: a\r\n\r\n", 0, Some(Reason::BareLf));
        check("GET / HTTP/1.1\r\nHost: a\n\r\n", 0, Some(Reason::BareLf));
        check("GET / HTTP/1.1\r\nHost: a\r\n\n", 0, Some(Reason::BareLf));
        check("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, Some(Reason::BareLf));
        check("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, Some(Reason::EmptyLines));
        check(with_fields("X: a\rb\r\n"), 0, Some(Reason::BareCr));
        check(with_fields("X: a\r\r\n"), 0, Some(Reason::BareCr));
        check(with_fields("X: a\0\r\n"), 0, Some(Reason::ControlByte));
        check(with_fields("X\0Y: a\r\n"), 0, Some(Reason::ControlByte));
        check(with_fields("X: \x7f\r\n"), 0, Some(Reason::ControlByte));
    }

    #[test]
    fn field_names_are_tokens_followed_by_a_colon() {
        check(with_fields("X: a\r\n b\r\n"), 0, Some(Reason::Folded));
        check("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 0, Some(Reason::Folded));
        check(with_fields("X : a\r\n"), 0, Some(Reason::SpaceBeforeColon));
        check(with_fields("Transfer-Encoding\t: chunked\r\n"), 0, Some(Reason::SpaceBeforeColon));
        check(with_fields(": a\r\n"), 0, Some(Reason::FieldName));
        check(with_fields("X\r\n"), 0, Some(Reason::FieldName));
        check(with_fields("X(: a\r\n"), 0, Some(Reason::FieldName));
        check(with_fields("Content_Length: 3\r\n"), 0, Some(Reason::Lookalike));
        check(with_fields("TRANSFER_encoding: chunked\r\n"), 0, Some(Reason::Lookalike));
    }

    #[test]
    fn every_request_names_one_host() {
        check("GET / HTTP/1.1\r\n\r\n", 0, Some(Reason::HostMissing));
        check("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 0, Some(Reason::HostRepeated));
        check("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 0, Some(Reason::HostRepeated));
        check("GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, Some(Reason::Host));
        check("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 0, Some(Reason::Host));
        check("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 0, Some(Reason::Host));
        check("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 0, Some(Reason::HostMismatch));
        check("GET http://a/ HTTP/1.1\r\n\r\n", 0, Some(Reason::HostMissing));
        check("GET https://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n", 0, Some(Reason::HostMismatch));
    }

    #[test]
    fn a_body_has_one_length_that_everybody_reads_alike() {
        let length = "Content-Length: 3\r\n";
        let coding = "Transfer-Encoding: chunked\r\n";
        check(with_fields(&[length, coding].concat()), 0, Some(Reason::LengthWithCoding));
        check(with_fields(&[coding, length].concat()), 0, Some(Reason::LengthWithCoding));
        check(with_fields(&[length, length].concat()), 0, Some(Reason::LengthRepeated));
        check(with_fields(&[length, "Content-Length: 4\r\n"].concat()), 0, Some(Reason::LengthRepeated));
        check(with_fields("Content-Length: 0\r\nContent-Length: 0\r\n"), 0, Some(Reason::LengthRepeated));
        for bad in ["+3", "-3", "3, 3", "", "0x3", "3 3", "18446744073709551617", "03"] {
            check(with_fields(&format!("Content-Length: {bad}\r\n")), 0, Some(Reason::Length));
        }
        for bad in
            ["xchunked", "gzip, chunked", "chunked, chunked", "identity", "", "chunked;q=1", "\"chunked\""]
        {
            check(with_fields(&format!("Transfer-Encoding: {bad}\r\n")), 0, Some(Reason::Coding));
        }
        check(with_fields(&[coding, coding].concat()), 0, Some(Reason::CodingRepeated));
        check("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 0, Some(Reason::CodingInHttp10));
        check(with_fields("Connection: close, Content-Length\r\n"), 0, Some(Reason::ConnectionNamesFraming));
        check(with_fields("Connection: HOST\r\n"), 0, Some(Reason::ConnectionNamesFraming));
    }

    #[test]
    fn chunks_are_framed_exactly() {
        for (body, reason) in [
            ("3\nabc\r\n0\r\n\r\n", Reason::BareLf),
            ("3;a\nabc\r\n0\r\n\r\n", Reason::BareLf),
            ("3\r\nabc\n0\r\n\r\n", Reason::ChunkEnd),
            ("3\r\nabcd\r\n0\r\n\r\n", Reason::ChunkEnd),
            ("3\r\nab\r\n0\r\n\r\n", Reason::ChunkEnd),
            ("3\r\nabc\rx", Reason::ChunkEnd),
            ("3 \r\nabc\r\n", Reason::ChunkSize),
            (" 3\r\nabc\r\n", Reason::ChunkSize),
            ("3 ;a\r\nabc\r\n", Reason::ChunkSize),
            ("0x3\r\nabc\r\n", Reason::ChunkSize),
            ("+3\r\nabc\r\n", Reason::ChunkSize),
            ("-3\r\nabc\r\n", Reason::ChunkSize),
            ("\r\nabc\r\n", Reason::ChunkSize),
            (";a\r\nabc\r\n", Reason::ChunkSize),
            ("g\r\n", Reason::ChunkSize),
            ("00000000000000003\r\nabc\r\n", Reason::ChunkSize),
            ("ffffffffffffffff\r\n", Reason::BodyTooLarge),
            ("3;\0\r\nabc\r\n", Reason::ChunkExtension),
            ("3;a\rb\r\nabc\r\n", Reason::ChunkExtension),
            ("0\r\nContent-Length: 3\r\n\r\n", Reason::Trailer),
            ("0\r\n X: 3\r\n\r\n", Reason::Folded),
            ("0\r\nX: 3\n\r\n", Reason::BareLf),
            ("0\r\n\n", Reason::BareLf),
        ] {
            check(chunked(body), 1, Some(reason));
        }
    }

    #[test]
    fn a_websocket_is_a_tunnel_once_granted_and_a_request_once_answered_otherwise() {
        let ask = with_fields("Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n");
        check(&ask, 1, None);
        check(ask.clone() + "GET", 1, Some(Reason::TunnelTooEarly));
        check(with_fields("Upgrade: websocket\r\n") + &with_fields(""), 2, None);
        check(with_fields("Upgrade: websocket\r\nUpgrade: h2c\r\n"), 0, Some(Reason::Upgrade));
        let body = with_fields("Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 1\r\n");
        check(body, 0, Some(Reason::Upgrade));

        let mut granted = Machine::new(Limits::default());
        assert_eq!(granted.feed(ask.as_bytes()).violation, None);
        assert_eq!(granted.phase(), Phase::Tunnel);
        granted.grant_tunnel();
        assert_eq!(granted.feed(b"\0anything").now, 9);

        let mut declined = Machine::new(Limits::default());
        assert_eq!(declined.feed(ask.as_bytes()).violation, None);
        declined.set_answered(1);
        assert_eq!(declined.phase(), Phase::Between);
        assert_eq!(declined.feed(ask.as_bytes()).now, ask.len());
        assert_eq!(declined.heads(), 2);
    }

    #[test]
    fn connections_turn_into_nothing_else() {
        check(with_fields("Upgrade: foo\r\nConnection: Upgrade\r\n"), 0, Some(Reason::Upgrade));
        check(with_fields("Upgrade: irc\r\nConnection: Upgrade\r\n"), 0, Some(Reason::Upgrade));
        check(with_fields("Upgrade: h2c, foo\r\n"), 0, Some(Reason::Upgrade));
        check(with_fields("Expect: magic\r\n"), 0, Some(Reason::Expectation));
        check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, Some(Reason::VersionUnsupported));
        check("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 0, Some(Reason::Connect));
    }

    #[test]
    fn a_tunnel_carries_nothing_before_it_is_granted() {
        let limits = Limits { connect: true, ..Limits::default() };
        let head = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";
        check_within(&limits, head, 1, None);
        check_within(&limits, [head, "x"].concat(), 1, Some(Reason::TunnelTooEarly));
        let sized = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 1\r\n\r\n";
        check_within(&limits, sized, 0, Some(Reason::Connect));

        let mut machine = Machine::new(limits);
        assert_eq!(machine.feed(head.as_bytes()).now, head.len());
        machine.grant_tunnel();
        assert_eq!(machine.feed(b"\x16\x03\x01\n\0").now, 5);
        assert_eq!(machine.phase(), Phase::Tunnel);
    }

    #[test]
    fn every_limit_holds_at_its_number_and_not_before() {
        /// A stream in which `size` is what the limit counts.
        type Stream = fn(usize) -> String;
        let rows: [(Limits, Stream, usize, u64, Reason); 9] = [
            (
                Limits { request_line_bytes_max: 100, ..Limits::default() },
                |size| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(size - 16)),
                100,
                0,
                Reason::RequestLineTooLong,
            ),
            (
                Limits { field_bytes_max: 100, ..Limits::default() },
                |size| with_fields(&format!("X:{}\r\n", "x".repeat(size - 4))),
                100,
                0,
                Reason::FieldTooLong,
            ),
            (
                Limits { fields_max: 10, ..Limits::default() },
                |size| with_fields(&"X: y\r\n".repeat(size - 1)),
                10,
                0,
                Reason::TooManyFields,
            ),
            (
                Limits { head_bytes_max: 100, ..Limits::default() },
                |size| with_fields(&format!("X:{}\r\n", "x".repeat(size - 33))),
                100,
                0,
                Reason::HeadTooLarge,
            ),
            (
                Limits { body_bytes_max: 100, ..Limits::default() },
                |size| with_fields(&format!("Content-Length: {size}\r\n")),
                100,
                0,
                Reason::BodyTooLarge,
            ),
            (
                Limits { body_bytes_max: 100, ..Limits::default() },
                |size| chunked(&format!("1e\r\n{}\r\n{:x}\r\n", "x".repeat(30), size - 30)),
                100,
                1,
                Reason::BodyTooLarge,
            ),
            (
                Limits { extension_bytes_max: 10, ..Limits::default() },
                |size| chunked(&format!("1;aaa\r\nx\r\n1;{}\r\n", "x".repeat(size - 5))),
                10,
                1,
                Reason::ChunkLineTooLong,
            ),
            (
                Limits { trailer_bytes_max: 20, ..Limits::default() },
                |size| chunked(&format!("0\r\nX: y\r\nZ:{}\r\n\r\n", "x".repeat(size - 12))),
                20,
                1,
                Reason::TrailersTooLarge,
            ),
            (
                Limits { trailers_max: 3, ..Limits::default() },
                |size| chunked(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(size))),
                3,
                1,
                Reason::TrailersTooLarge,
            ),
        ];
        for (limits, stream, size, heads, reason) in rows {
            check_within(&limits, stream(size), 1, None);
            check_within(&limits, stream(size + 1), heads, Some(reason));
        }
        let limits = Limits { pipelined_max: 3, ..Limits::default() };
        check_within(&limits, with_fields("").repeat(3), 3, None);
        check_within(&limits, with_fields("").repeat(4), 3, Some(Reason::Pipelined));
    }

    #[test]
    fn answered_requests_make_room_for_pipelined_ones() {
        let mut machine = Machine::new(Limits { pipelined_max: 1, ..Limits::default() });
        for number in 0..5 {
            machine.set_answered(number);
            assert_eq!(machine.feed(with_fields("").as_bytes()).violation, None);
        }
    }

    #[test]
    fn an_endless_line_is_refused_without_its_end() {
        let endless = "GET /".to_owned() + &"x".repeat(9_000);
        check(endless, 0, Some(Reason::RequestLineTooLong));
        check(
            with_fields("").replace("\r\n\r\n", "\r\nX: ") + &"x".repeat(17_000),
            0,
            Some(Reason::FieldTooLong),
        );
        check(chunked(&"0".repeat(9_000)), 1, Some(Reason::ChunkLineTooLong));
    }

    /// Feeds `pieces` and answers what passed of them.
    fn passed(pieces: &[&str]) -> String {
        let (passed, ..) = judge_in(pieces.iter(), Limits::default());
        String::from_utf8(passed).unwrap()
    }

    #[test]
    fn nothing_of_a_refused_head_passes_however_it_arrived() {
        let good = with_fields("Content-Length: 2\r\n") + "ab";
        let bad = "GET / HTTP/1.1\r\nX: y\r\n\r\n";
        let stream = good.clone() + bad;
        for cut in 0..stream.len() {
            assert_eq!(passed(&[&stream[..cut], &stream[cut..]]), good);
        }
    }

    #[test]
    fn a_head_passes_only_when_it_is_whole() {
        let head = with_fields("");
        let (start, end) = head.split_at(head.len() - 1);
        assert_eq!(passed(&[start]), "");
        assert_eq!(passed(&[start, end]), head);
    }

    #[test]
    fn a_refused_body_passes_up_to_the_line_that_is_wrong() {
        let good = chunked("3\r\nabc\r\n");
        for cut in 0..=good.len() + 1 {
            let stream = good.clone() + "2 \r\nab";
            assert_eq!(passed(&[&stream[..cut], &stream[cut..]]), good);
        }
        assert_eq!(passed(&[&good, "2;ext"]), good);
    }

    #[test]
    fn a_violation_is_final() {
        let mut machine = Machine::new(Limits::default());
        let violation = machine.feed(b"\n").violation;
        assert!(violation.is_some());
        let judged = machine.feed(with_fields("").as_bytes());
        assert_eq!(judged, Judged { earlier: Vec::new(), now: 0, violation });
    }

    #[test]
    fn a_head_that_arrives_whole_is_judged_where_it_lies() {
        let mut machine = Machine::new(Limits::default());
        let head = with_fields("Content-Length: 3\r\n");
        assert_eq!(machine.feed(head.as_bytes()).now, head.len());
        assert_eq!((machine.held.capacity(), machine.authority.capacity()), (0, 0));
    }

    /// Pieces that good and bad streams are made of.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let words: Vec<&[u8]> = vec![
            b"GET / HTTP/1.1\r\n",
            b"POST /a?b HTTP/1.1\r\nHost: a\r\n",
            b"GET / HTTP/1.0\r\n",
            b"GET http://a/ HTTP/1.1\r\n",
            b"CONNECT a:1 HTTP/1.1\r\n",
            b"Host: a\r\n",
            b"Content-Length: 3\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Connection: close\r\n",
            b"Upgrade: h2c\r\n",
            b"X: y\r\n",
            b"\r\n",
            b"\r",
            b"\n",
            b"abc",
            b"3\r\nabc\r\n",
            b"3;x\r\n",
            b"0\r\n",
            b"0\r\n\r\n",
            b" ",
            b"\0",
        ];
        prop_oneof![
            12 => proptest::sample::select(words).prop_map(<[u8]>::to_vec),
            1 => proptest::collection::vec(any::<u8>(), 0..4),
        ]
    }

    proptest! {
        #[test]
        fn a_verdict_does_not_depend_on_how_the_bytes_were_cut(
            pieces in proptest::collection::vec(piece(), 0..24),
            cuts in proptest::collection::vec(1usize..40, 1..32),
            connect: bool,
        ) {
            let small = Limits { request_line_bytes_max: 24, field_bytes_max: 30, head_bytes_max: 70, fields_max: 4,
                body_bytes_max: 8, extension_bytes_max: 3, trailer_bytes_max: 20, trailers_max: 2, pipelined_max: 3, connect, websocket: true };
            let bytes = pieces.concat();
            for limits in [Limits { connect, ..Limits::default() }, small] {
                let whole = judge(&bytes, &limits);
                let mut sizes = cuts.iter().cycle();
                let mut rest = bytes.as_slice();
                let cut = std::iter::from_fn(|| {
                    let size = rest.len().min(*sizes.next()?);
                    let (piece, after) = rest.split_at(size);
                    rest = after;
                    (!piece.is_empty()).then_some(piece)
                });
                prop_assert_eq!(judge_in(cut, limits), whole);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = judge(&bytes, &Limits::default());
        }
    }
}
