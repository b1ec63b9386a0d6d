//! W3C trace context: which trace a call belongs to.

use crate::random::{Random, SplitMix64};
use std::fmt;

/// The `traceparent` of W3C Trace Context level 1: version 00, a 16-byte trace id, an 8-byte parent
/// id and the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace, shared by everything one request causes. Never zero.
    pub trace: u128,
    /// The span that caused this one. Never zero.
    pub parent: u64,
    /// Bit 0: sampled.
    pub flags: u8,
}

impl TraceContext {
    /// A new trace, sampled.
    pub fn start(random: &mut impl Random) -> Self {
        let trace = (u128::from(random.next_u64()) << 64) | u128::from(random.next_u64()) | 1;
        Self { trace, parent: random.next_u64() | 1, flags: 1 }
    }

    /// The flags that are defined: sampled, and random trace id (level 2, 2.2.5). Others are not handed on.
    pub const FLAGS: u8 = 0b11;

    /// The same trace, with a new span as the parent of what comes next.
    #[must_use]
    pub fn child(self, random: &mut impl Random) -> Self {
        Self { parent: random.next_u64() | 1, flags: self.flags & Self::FLAGS, ..self }
    }

    /// The same trace, with the span of this span's try `number` as the parent of what comes next.
    ///
    /// A function of the span and the number, so that whoever writes the try and whoever records it agree
    /// without a word: nothing has to be kept for each try.
    #[must_use]
    pub fn of_try(self, number: u32) -> Self {
        let span = SplitMix64::new(self.parent ^ u64::from(number)).next_u64();
        Self { parent: span.max(1), ..self }
    }

    /// Whether whoever handed it on records it.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.flags & 1 == 1
    }

    /// Reads a `traceparent` header value. Anything malformed is `None`, as the recommendation
    /// demands: the receiver then starts a trace of its own. A higher version is read by the fields
    /// of version 00.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let bytes = value.as_bytes();
        let separators = bytes.len() >= 55 && bytes[2] == b'-' && bytes[35] == b'-' && bytes[52] == b'-';
        if !separators || !value.is_ascii() {
            return None;
        }
        let version = hex(&bytes[..2])? as u8;
        let longer = bytes.len() > 55;
        if version == 0xff || (version == 0 && longer) || (longer && bytes[55] != b'-') {
            return None;
        }
        let trace = hex(&bytes[3..35])?;
        let parent = hex(&bytes[36..52])? as u64;
        let flags = hex(&bytes[53..55])? as u8;
        (trace != 0 && parent != 0).then_some(Self { trace, parent, flags })
    }
}

/// The `traceparent` header value.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.parent, self.flags)
    }
}

/// Lowercase hexadecimal, as the recommendation demands.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |value, digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((value << 4) | u128::from(nibble))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn what_is_written_is_read_back() {
        let context = TraceContext::start(&mut SplitMix64::new(1));
        assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
    }

    #[test]
    fn every_try_has_a_span_of_its_own_and_always_the_same() {
        let context = TraceContext::start(&mut SplitMix64::new(1));
        let spans: Vec<u64> = (1..=10).map(|number| context.of_try(number).parent).collect();
        let mut different = spans.clone();
        different.push(context.parent);
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 11);
        assert_eq!(context.of_try(1), context.of_try(1));
        assert_eq!(context.of_try(1).trace, context.trace);
    }

    #[test]
    fn flags_that_nobody_defined_are_not_handed_on() {
        let given = TraceContext { flags: 0xff, ..TraceContext::start(&mut SplitMix64::new(1)) };
        assert_eq!(given.child(&mut SplitMix64::new(2)).flags, 3);
    }

    #[test]
    fn malformed_contexts_start_a_trace_of_their_own() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(TraceContext::parse(good).is_some());
        assert!(TraceContext::parse(&good.replacen("00", "cc", 1)).is_some(), "a later version");
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }
}
