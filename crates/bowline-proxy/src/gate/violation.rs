//! What the gate refuses, and how it says so.

use std::error::Error;
use std::{fmt, io};

/// A request that the gate refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Violation {
    /// What is wrong with it.
    pub reason: Reason,
    /// Where it is wrong, which decides who answers.
    pub part: Part,
}

/// The part of a request in which a violation was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The request never reached a handler; the gate itself answers.
    Head,
    /// A handler has the request and sees its body fail; it answers, if it has not begun to.
    Body,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the sentence of each row in `row` is its documentation")]
pub enum Reason {
    // The request line.
    EmptyLines,
    RequestLine,
    RequestLineTooLong,
    Method,
    Connect,
    Target,
    Version,
    VersionUnsupported,
    // Bytes that no line may hold.
    BareLf,
    BareCr,
    ControlByte,
    // Header fields.
    Folded,
    FieldName,
    SpaceBeforeColon,
    Lookalike,
    FieldTooLong,
    TooManyFields,
    HeadTooLarge,
    HostMissing,
    HostRepeated,
    Host,
    HostMismatch,
    Length,
    LengthRepeated,
    LengthWithCoding,
    Coding,
    CodingRepeated,
    CodingInHttp10,
    ConnectionNamesFraming,
    Upgrade,
    Expectation,
    // The body.
    BodyTooLarge,
    ChunkSize,
    ChunkExtension,
    ChunkLineTooLong,
    ChunkEnd,
    Trailer,
    TrailersTooLarge,
    // The connection.
    Pipelined,
    TunnelTooEarly,
    HeadTooSlow,
    BodyTooSlow,
    ReaderTooSlow,
    // HTTP/2.
    FrameMalformed,
    StreamMalformed,
    StreamsTooMany,
    ContinuationFlood,
    ResetFlood,
    SettingsFlood,
    PingFlood,
    FrameFlood,
    // TLS.
    PlainHttp,
}

impl Reason {
    /// Every reason, in declaration order.
    pub const ALL: [Self; 52] = [
        Self::EmptyLines,
        Self::RequestLine,
        Self::RequestLineTooLong,
        Self::Method,
        Self::Connect,
        Self::Target,
        Self::Version,
        Self::VersionUnsupported,
        Self::BareLf,
        Self::BareCr,
        Self::ControlByte,
        Self::Folded,
        Self::FieldName,
        Self::SpaceBeforeColon,
        Self::Lookalike,
        Self::FieldTooLong,
        Self::TooManyFields,
        Self::HeadTooLarge,
        Self::HostMissing,
        Self::HostRepeated,
        Self::Host,
        Self::HostMismatch,
        Self::Length,
        Self::LengthRepeated,
        Self::LengthWithCoding,
        Self::Coding,
        Self::CodingRepeated,
        Self::CodingInHttp10,
        Self::ConnectionNamesFraming,
        Self::Upgrade,
        Self::Expectation,
        Self::BodyTooLarge,
        Self::ChunkSize,
        Self::ChunkExtension,
        Self::ChunkLineTooLong,
        Self::ChunkEnd,
        Self::Trailer,
        Self::TrailersTooLarge,
        Self::Pipelined,
        Self::TunnelTooEarly,
        Self::HeadTooSlow,
        Self::BodyTooSlow,
        Self::ReaderTooSlow,
        Self::FrameMalformed,
        Self::StreamMalformed,
        Self::StreamsTooMany,
        Self::ContinuationFlood,
        Self::ResetFlood,
        Self::SettingsFlood,
        Self::PingFlood,
        Self::FrameFlood,
        Self::PlainHttp,
    ];

    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().0
    }

    /// The word used in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().1
    }

    /// What is wrong, in a sentence for whoever wrote the client.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        self.row().2
    }

    /// The table: status, word, sentence.
    const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::EmptyLines => (400, "empty-lines", "more than one empty line stands before the request"),
            Self::RequestLine => (
                400,
                "request-line",
                "the request line is not a method, a target and a version, one space apart",
            ),
            Self::RequestLineTooLong => (414, "request-line-too-long", "the request line is too long"),
            Self::Method => (400, "method", "the method is not a token"),
            Self::Connect => (501, "connect", "CONNECT is not served here"),
            Self::Target => (
                400,
                "target",
                "the request target has a wrong form, or holds a byte that must be percent-encoded",
            ),
            Self::Version => (400, "version", "the request line does not end in an HTTP version"),
            Self::VersionUnsupported => {
                (505, "version-unsupported", "only HTTP/1.1 and HTTP/1.0 are spoken here")
            }
            Self::BareLf => (400, "bare-lf", "a line ends in a bare line feed; lines end in CR LF"),
            Self::BareCr => (400, "bare-cr", "a carriage return stands inside a line"),
            Self::ControlByte => (400, "control-byte", "a control byte stands inside a line"),
            Self::Folded => {
                (400, "folded", "a header line begins with white space; folded lines are not accepted")
            }
            Self::FieldName => {
                (400, "field-name", "a header line does not begin with a field name and a colon")
            }
            Self::SpaceBeforeColon => {
                (400, "space-before-colon", "white space stands before a header's colon")
            }
            Self::Lookalike => {
                (400, "lookalike", "a header is named like a framing header, with an underscore for the dash")
            }
            Self::FieldTooLong => (431, "field-too-long", "a header line is too long"),
            Self::TooManyFields => (431, "too-many-fields", "the request has too many header lines"),
            Self::HeadTooLarge => {
                (431, "head-too-large", "the request's header lines are too large together")
            }
            Self::HostMissing => (400, "host-missing", "an HTTP/1.1 request needs a Host header"),
            Self::HostRepeated => (400, "host-repeated", "the request has more than one Host header"),
            Self::Host => (400, "host", "the Host header is not a host with an optional port"),
            Self::HostMismatch => {
                (400, "host-mismatch", "the request target and the Host header name different hosts")
            }
            Self::Length => (400, "length", "the Content-Length header is not one plain decimal number"),
            Self::LengthRepeated => {
                (400, "length-repeated", "the request has more than one Content-Length header")
            }
            Self::LengthWithCoding => {
                (400, "length-with-coding", "the request has both Content-Length and Transfer-Encoding")
            }
            Self::Coding => (501, "coding", "the only transfer coding understood is `chunked`, alone"),
            Self::CodingRepeated => {
                (400, "coding-repeated", "the request has more than one Transfer-Encoding header")
            }
            Self::CodingInHttp10 => {
                (400, "coding-in-http10", "an HTTP/1.0 request cannot have a Transfer-Encoding header")
            }
            Self::ConnectionNamesFraming => (
                400,
                "connection-names-framing",
                "the Connection header names a header that frames the request",
            ),
            Self::Upgrade => (501, "upgrade", "no upgrade to another protocol is served here"),
            Self::Expectation => (417, "expectation", "the only expectation understood is `100-continue`"),
            Self::BodyTooLarge => (413, "body-too-large", "the request body is too large"),
            Self::ChunkSize => (400, "chunk-size", "a chunk's size is not a plain hexadecimal number"),
            Self::ChunkExtension => (400, "chunk-extension", "a chunk extension is malformed"),
            Self::ChunkLineTooLong => {
                (400, "chunk-line-too-long", "a chunk's size and extensions are too long")
            }
            Self::ChunkEnd => (400, "chunk-end", "a chunk's data is not followed by CR LF"),
            Self::Trailer => (400, "trailer", "a trailer holds a field that may only stand in the head"),
            Self::TrailersTooLarge => (431, "trailers-too-large", "the request's trailers are too large"),
            Self::Pipelined => {
                (429, "pipelined", "too many requests were sent ahead of their answers on one connection")
            }
            Self::TunnelTooEarly => {
                (400, "tunnel-too-early", "bytes for a tunnel arrived before the tunnel was granted")
            }
            Self::HeadTooSlow => (408, "head-too-slow", "the request's header lines did not arrive in time"),
            Self::BodyTooSlow => (408, "body-too-slow", "the request's body arrives too slowly"),
            // Only a label: whoever does not read cannot be answered.
            Self::ReaderTooSlow => (408, "reader-too-slow", "the answer is read too slowly"),
            // HTTP/2 says these with a code of its own, in RST_STREAM or GOAWAY.
            Self::FrameMalformed => {
                (400, "frame-malformed", "an HTTP/2 frame is malformed, or comes where it may not")
            }
            Self::StreamMalformed => (
                400,
                "stream-malformed",
                "an HTTP/2 request is malformed: its pseudo-headers, a field's name, a field of the connection, or its length",
            ),
            Self::StreamsTooMany => {
                (429, "too-many-streams", "more HTTP/2 streams were opened at once than the settings allow")
            }
            Self::ContinuationFlood => (
                431,
                "continuation-flood",
                "the fields of an HTTP/2 request come in too many CONTINUATION frames",
            ),
            Self::ResetFlood => {
                (429, "reset-flood", "too many HTTP/2 streams were opened and reset before their answer")
            }
            Self::SettingsFlood => (429, "settings-flood", "too many HTTP/2 SETTINGS frames"),
            Self::PingFlood => (429, "ping-flood", "more HTTP/2 PING frames than traffic explains"),
            Self::FrameFlood => {
                (429, "frame-flood", "more HTTP/2 frames that carry nothing than traffic explains")
            }
            Self::PlainHttp => (400, "plain-http", "this port speaks TLS; ask again with https://"),
        }
    }
}

impl Violation {
    /// The violation inside a body error, however deep it is wrapped.
    #[must_use]
    pub fn find(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(violation) = error.downcast_ref::<Self>() {
                return Some(*violation);
            }
            next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.sentence())
    }
}

impl Error for Violation {}

impl From<Violation> for io::Error {
    fn from(violation: Violation) -> Self {
        Self::new(io::ErrorKind::InvalidData, violation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_has_a_word_of_its_own_and_a_client_error_or_a_refusal() {
        let words: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason} is out of order in ALL");
            assert!(matches!(reason.status(), 400..=431 | 501 | 505), "{reason}: {}", reason.status());
        }
    }

    #[test]
    fn a_violation_is_found_inside_the_errors_around_it() {
        let violation = Violation { reason: Reason::ChunkEnd, part: Part::Body };
        let wrapped = io::Error::other(io::Error::from(violation));
        assert_eq!(Violation::find(&wrapped), Some(violation));
        assert_eq!(Violation::find(&io::Error::other("else")), None);
    }
}
