//! gRPC's status codes as a set, and the one that a gRPC client would see of each way a try can end.
//!
//! gRPC's own policies name codes and nothing else, so everything that can happen to a try has to have one: a
//! connection that is refused is UNAVAILABLE, an answer of plain HTTP has the code that gRPC's table gives its
//! status.

use bowline_model::decision::TryEnd;

/// A set of gRPC status codes.
///
/// ```
/// use bowline_policy::Codes;
/// let codes = Codes::NONE.with(14).with(8);
/// assert!(codes.contains(14) && !codes.contains(13));
/// assert!(codes.iter().eq([8, 14]));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Codes(u32);

impl Codes {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// The last code that gRPC defines, UNAUTHENTICATED (grpc/grpc, doc/statuscodes.md).
    pub const LAST: u8 = 16;

    /// These and `code`. A code that gRPC does not define is none.
    #[must_use]
    pub const fn with(self, code: u8) -> Self {
        if code > Self::LAST { self } else { Self(self.0 | 1 << code) }
    }

    /// Whether `code` is among them.
    #[must_use]
    pub const fn contains(self, code: u8) -> bool {
        code <= Self::LAST && self.0 & (1 << code) != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, the lowest first.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..=Self::LAST).filter(move |code| self.contains(*code))
    }
}

/// The code that a gRPC client sees of a try that ended this way.
///
/// ```
/// use bowline_model::decision::TryEnd;
/// use bowline_policy::codes;
/// assert_eq!(codes::seen(TryEnd::ConnectFailed), 14);
/// assert_eq!(codes::seen(TryEnd::Answered { status: 404 }), 12);
/// assert_eq!(codes::seen(TryEnd::AnsweredGrpc { code: 10, trailers_only: false }), 10);
/// ```
#[must_use]
pub const fn seen(end: TryEnd) -> u8 {
    match end {
        TryEnd::AnsweredGrpc { code, .. } => code,
        TryEnd::Answered { status } => of_http(status),
        TryEnd::Returned => 0,
        TryEnd::Cancelled | TryEnd::Outrun => 1,
        TryEnd::TimedOut | TryEnd::DeadlineExceeded => 4,
        TryEnd::Malformed => 13,
        TryEnd::ConnectFailed | TryEnd::StreamRefused | TryEnd::ResetBeforeRequest | TryEnd::Reset => 14,
        // Raised, and whatever comes to be seen.
        _ => 2,
    }
}

/// The code of an answer that carries none: gRPC's table (grpc/grpc, doc/http-grpc-status-mapping.md). That an
/// answer of 200 went well is for its trailers to say; here it has only begun.
const fn of_http(status: u16) -> u8 {
    match status {
        200 => 0,
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_grpc_does_not_define_is_in_no_set() {
        let all = (0..=u8::MAX).fold(Codes::NONE, Codes::with);
        assert_eq!(all.iter().count(), 17);
        assert!(!all.contains(17) && !all.contains(64));
    }

    #[test]
    fn what_never_reached_a_callee_is_unavailable_and_what_broke_its_protocol_internal() {
        for end in [TryEnd::ConnectFailed, TryEnd::StreamRefused, TryEnd::ResetBeforeRequest, TryEnd::Reset] {
            assert_eq!(seen(end), 14, "{end}");
        }
        assert_eq!(seen(TryEnd::Malformed), 13);
        assert_eq!(seen(TryEnd::TimedOut), 4);
    }

    #[test]
    fn an_answer_of_plain_http_has_the_code_of_its_status() {
        for (status, code) in
            [(200, 0), (400, 13), (401, 16), (403, 7), (404, 12), (418, 2), (429, 14), (500, 2)]
        {
            assert_eq!(seen(TryEnd::Answered { status }), code, "{status}");
        }
        for status in [502, 503, 504] {
            assert_eq!(seen(TryEnd::Answered { status }), 14, "{status}");
        }
    }
}
