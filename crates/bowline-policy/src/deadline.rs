//! Who sets the deadline, and how it travels.
//!
//! Everybody who speaks may shorten it and nobody can lengthen it. Between processes it travels as what is
//! left, rounded down, because clocks differ and because a rounding that went up would let it grow at each
//! hop.

use bowline_model::decision::DeadlineSource;
use bowline_model::{Deadline, Instant};
use std::fmt;
use std::time::Duration;

/// The earliest deadline that anybody sets with a span from `now`, and who does. Of two that are equal the
/// first is named.
///
/// ```
/// use bowline_model::decision::DeadlineSource;
/// use bowline_model::{Deadline, Instant};
/// use bowline_policy::deadline::combine;
/// use std::time::Duration;
///
/// let now = Instant::from_millis(50);
/// let route = (DeadlineSource::Route, Duration::from_secs(1));
/// let policy = (DeadlineSource::Policy, Duration::from_millis(300));
/// assert_eq!(combine(now, [route, policy]), (Deadline::at(Instant::from_millis(350)), DeadlineSource::Policy));
/// assert_eq!(combine(now, []), (Deadline::NEVER, DeadlineSource::Nobody));
/// ```
#[must_use]
pub fn combine(
    now: Instant,
    spans: impl IntoIterator<Item = (DeadlineSource, Duration)>,
) -> (Deadline, DeadlineSource) {
    let mut earliest = (Deadline::NEVER, DeadlineSource::Nobody);
    for (by, span) in spans {
        let deadline = Deadline::after(now, span);
        if deadline < earliest.0 {
            earliest = (deadline, by);
        }
    }
    earliest
}

/// What is left here of what the caller has left: its answer must travel back, and it must still be there
/// to take it.
///
/// ```
/// use bowline_policy::deadline::less_hop;
/// use std::time::Duration;
/// let allowance = Duration::from_millis(5);
/// assert_eq!(less_hop(Duration::from_millis(80), allowance), Duration::from_millis(75));
/// assert_eq!(less_hop(Duration::from_millis(3), allowance), Duration::ZERO);
/// ```
#[must_use]
pub const fn less_hop(remaining: Duration, allowance: Duration) -> Duration {
    remaining.saturating_sub(allowance)
}

/// By when a try that begins `now` must be over, and whether that is the call's own deadline. A per-try time
/// that reaches beyond the deadline is no limit; Envoy ignores it as well.
///
/// ```
/// use bowline_model::{Deadline, Instant};
/// use bowline_policy::deadline::until_of_try;
/// use std::time::Duration;
///
/// let deadline = Deadline::at(Instant::from_millis(300));
/// let per_try = Some(Duration::from_millis(200));
/// assert_eq!(until_of_try(deadline, per_try, Instant::ZERO), (Instant::from_millis(200), false));
/// assert_eq!(until_of_try(deadline, per_try, Instant::from_millis(150)), (Instant::from_millis(300), true));
/// ```
#[inline]
#[must_use]
pub fn until_of_try(deadline: Deadline, per_try: Option<Duration>, now: Instant) -> (Instant, bool) {
    match per_try.map(|span| now + span) {
        Some(until) if until < deadline.instant() => (until, false),
        _ => (deadline.instant(), true),
    }
}

/// Reads a `grpc-timeout` header: at most eight digits and a unit (gRPC over HTTP/2, "Timeout"). Anything
/// else is `None`.
///
/// ```
/// use bowline_policy::deadline::parse_grpc_timeout;
/// use std::time::Duration;
/// assert_eq!(parse_grpc_timeout("300m"), Some(Duration::from_millis(300)));
/// assert_eq!(parse_grpc_timeout("123456789n"), None);
/// ```
#[must_use]
pub fn parse_grpc_timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.len() > GRPC_DIGITS_MAX {
        return None;
    }
    let amount = parse_digits(digits)?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3_600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// Writes a `grpc-timeout` header.
///
/// ```
/// use bowline_policy::deadline::format_grpc_timeout;
/// use std::time::Duration;
/// assert_eq!(format_grpc_timeout(Duration::from_millis(300)), "300000u");
/// ```
#[must_use]
pub fn format_grpc_timeout(span: Duration) -> String {
    GrpcTimeout(span).to_string()
}

/// A span as a `grpc-timeout` header writes it: in the finest unit whose eight digits hold it, rounded
/// down. For who wants to write it into a buffer of his own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcTimeout(pub Duration);

impl fmt::Display for GrpcTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = 10_u128.pow(GRPC_DIGITS_MAX as u32) - 1;
        let seconds = u128::from(self.0.as_secs());
        let units = [
            (self.0.as_nanos(), 'n'),
            (self.0.as_micros(), 'u'),
            (self.0.as_millis(), 'm'),
            (seconds, 'S'),
            (seconds / 60, 'M'),
            (seconds / 3_600, 'H'),
        ];
        let (amount, unit) = units.into_iter().find(|(amount, _)| *amount <= most).unwrap_or((most, 'H'));
        write!(f, "{amount}{unit}")
    }
}

/// The most digits of a `grpc-timeout`.
const GRPC_DIGITS_MAX: usize = 8;

/// Reads an `x-envoy-expected-rq-timeout-ms` header: milliseconds, in digits. Anything else is `None`.
#[must_use]
pub fn parse_expected_ms(value: &str) -> Option<Duration> {
    parse_digits(value).map(Duration::from_millis)
}

/// What an `x-envoy-expected-rq-timeout-ms` header says: rounded down, and one where nothing is left,
/// because zero means "no timeout" to who reads it. Envoy writes one then, too.
///
/// ```
/// use bowline_policy::deadline::format_expected_ms;
/// use std::time::Duration;
/// assert_eq!(format_expected_ms(Duration::from_micros(1_999)), 1);
/// assert_eq!(format_expected_ms(Duration::ZERO), 1);
/// ```
#[must_use]
pub fn format_expected_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// A number in digits alone: no sign, no space, not empty.
fn parse_digits(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_grpc_timeout_is_refused() {
        for bad in
            ["", "m", "1", "1x", "-1m", "+1m", " 1m", "1 m", "1.5S", "123456789n", "\u{663}m", "1\u{b5}"]
        {
            assert_eq!(parse_grpc_timeout(bad), None, "{bad:?}");
        }
        assert_eq!(parse_grpc_timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        assert_eq!(parse_grpc_timeout("0n"), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_no_expected_timeout_is_refused() {
        for bad in ["", "-1", "+1", "1.5", "1 ", "0x10", "99999999999999999999"] {
            assert_eq!(parse_expected_ms(bad), None, "{bad:?}");
        }
        assert_eq!(parse_expected_ms("250"), Some(Duration::from_millis(250)));
    }

    #[test]
    fn the_longest_span_still_fits_eight_digits() {
        assert_eq!(format_grpc_timeout(Duration::MAX), "99999999H");
        assert_eq!(format_grpc_timeout(Duration::ZERO), "0n");
    }

    fn span() -> impl Strategy<Value = Duration> {
        // Spans of every magnitude, not only the long ones that a uniform number would give.
        (any::<u64>(), 0_u32..64).prop_map(|(bits, shift)| Duration::from_nanos(bits >> shift))
    }

    proptest! {
        #[test]
        fn a_deadline_never_grows_on_its_way(span in span()) {
            let grpc = parse_grpc_timeout(&format_grpc_timeout(span)).unwrap();
            prop_assert!(grpc <= span);
            // The next unit is a thousand of the last, so at least five of the eight digits are used.
            prop_assert!(span - grpc <= span / 10_000, "{span:?} became {grpc:?}");
            let expected = parse_expected_ms(&format_expected_ms(span).to_string()).unwrap();
            prop_assert!(expected <= span.max(Duration::from_millis(1)));
        }

        #[test]
        fn whoever_speaks_only_shortens(
            now in any::<u64>(),
            spans in prop::collection::vec(span(), 0..5),
            more in span(),
        ) {
            let now = Instant::from_nanos(now);
            let spoken: Vec<_> = spans.into_iter().map(|span| (DeadlineSource::Policy, span)).collect();
            let (before, _) = combine(now, spoken.clone());
            let (after, by) = combine(now, spoken.into_iter().chain([(DeadlineSource::Route, more)]));
            prop_assert!(after <= before);
            prop_assert_eq!(after < before, by == DeadlineSource::Route);
        }

        #[test]
        fn no_try_outlives_the_call(now in any::<u64>(), deadline in any::<u64>(), per_try in span()) {
            let deadline = Deadline::at(Instant::from_nanos(deadline));
            let (until, _) = until_of_try(deadline, Some(per_try), Instant::from_nanos(now));
            prop_assert!(until <= deadline.instant());
        }
    }
}
