//! How values are written: durations, for now.
//!
//! As a design writes them: exact, and without a space, so that what is shown can be pasted back (`300ms`). What was
//! measured or worked out is told to people with a space and fewer digits (`41 ms`): `bowline_model::describe::span`.

use std::fmt::Write;
use std::time::Duration;

/// The units of a duration and their nanoseconds, longest word first so that `ms` is not read as `m`.
/// They are Go's, because Istio's durations are read by Go.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The longest duration: what fits into Go's 64-bit nanoseconds, 292 years.
const NANOS_MAX: u128 = i64::MAX as u128;

/// Why a text is not a duration, as a sentence's second half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadDuration {
    /// A number without a unit.
    NoUnit,
    /// Below zero.
    Negative,
    /// Beyond 292 years.
    TooLong,
    /// Something else.
    Malformed,
}

/// Reads a duration such as `250ms`, `1.5s` or `1h30m`.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse_duration(text: &str) -> Result<Duration, BadDuration> {
    if matches!(text, "0" | "+0" | "-0") {
        return Ok(Duration::ZERO);
    }
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return Err(BadDuration::Malformed);
    }
    let mut total = 0_u128;
    while !rest.is_empty() {
        let (part, after) = component(rest)?;
        total = total.checked_add(part).filter(|total| *total <= NANOS_MAX).ok_or(BadDuration::TooLong)?;
        rest = after;
    }
    if negative && total > 0 {
        return Err(BadDuration::Negative);
    }
    Ok(Duration::from_nanos(u64::try_from(total).map_err(|_| BadDuration::TooLong)?))
}

/// One number with its unit, in nanoseconds, and what follows it.
fn component(text: &str) -> Result<(u128, &str), BadDuration> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(BadDuration::Malformed);
    }
    if rest.is_empty() {
        return Err(BadDuration::NoUnit);
    }
    let (unit, rest) = UNITS
        .iter()
        .find_map(|(word, nanos)| Some((u128::from(*nanos), rest.strip_prefix(word)?)))
        .ok_or(BadDuration::Malformed)?;
    // 19 digits hold every duration up to the longest one; more cannot.
    if whole.len() > 19 {
        return Err(BadDuration::TooLong);
    }
    let mut nanos = whole.parse::<u128>().unwrap_or(0) * unit;
    let mut scale = unit;
    for digit in fraction.bytes() {
        scale /= 10;
        nanos += u128::from(digit - b'0') * scale;
    }
    Ok((nanos, rest))
}

/// Writes a duration the way [`parse_duration`] reads it, in its shortest exact form.
#[must_use]
pub fn format_duration(span: Duration) -> String {
    let nanos = span.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    // Hours, minutes and seconds add up in words; below a second one unit says it all.
    if nanos >= 1_000_000_000 {
        let (seconds, below) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let mut text = String::new();
        for (count, unit) in [(hours, "h"), (minutes, "m")] {
            if count > 0 {
                let _ = write!(text, "{count}{unit}");
            }
        }
        if seconds > 0 || below > 0 {
            text.push_str(&decimal(seconds, below, 9));
            text.push('s');
        }
        return text;
    }
    let (unit, digits, word) = match nanos {
        1_000_000.. => (1_000_000, 6, "ms"),
        1_000.. => (1_000, 3, "us"),
        _ => (1, 0, "ns"),
    };
    decimal(nanos / unit, nanos % unit, digits) + word
}

/// A number with what is left below one, without trailing zeros.
fn decimal(whole: u128, below: u128, digits: usize) -> String {
    if below == 0 {
        return whole.to_string();
    }
    let fraction = format!("{below:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("1ns", 1),
            ("250ms", 250_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1m2.5s", 62_500_000_000),
            ("+2s", 2_000_000_000),
            ("3us", 3_000),
            ("3\u{b5}s", 3_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for (text, why) in [
            ("", BadDuration::Malformed),
            ("-", BadDuration::Malformed),
            ("s", BadDuration::Malformed),
            ("2", BadDuration::NoUnit),
            ("1h2", BadDuration::NoUnit),
            ("2 s", BadDuration::Malformed),
            ("2d", BadDuration::Malformed),
            ("-2s", BadDuration::Negative),
            ("99999999999999999999h", BadDuration::TooLong),
            ("9999999999h", BadDuration::TooLong),
        ] {
            assert_eq!(parse_duration(text), Err(why), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for nanos in [1, 999, 1_000, 1_500, 2_000_000, 2_500_000, 999_999_999, 1_000_000_000, 90_000_000_000]
        {
            let span = Duration::from_nanos(nanos);
            assert_eq!(parse_duration(&format_duration(span)), Ok(span), "{}", format_duration(span));
        }
        assert_eq!(format_duration(Duration::from_secs(5_400)), "1h30m");
        assert_eq!(format_duration(Duration::from_millis(1_250)), "1.25s");
        assert_eq!(format_duration(Duration::from_millis(300)), "300ms");
    }
}
