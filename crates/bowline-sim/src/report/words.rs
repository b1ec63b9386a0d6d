//! Numbers as people read them: few digits, a unit, thousands apart.

use std::time::Duration;

/// `6 ms`, `0.14 s`, `22 s`, `3 min 20 s`: two digits that count, in the unit that is closest.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    if seconds == 0.0 {
        "0".to_owned()
    } else if 120.0 <= seconds {
        let whole = seconds.round() as u64;
        let (minutes, rest) = (whole / 60, whole % 60);
        match (minutes / 60, minutes % 60, rest) {
            (0, minutes, 0) => format!("{minutes} min"),
            (0, minutes, rest) => format!("{minutes} min {rest} s"),
            (hours, 0, _) => format!("{} h", thousands(hours)),
            (hours, minutes, _) => format!("{} h {minutes} min", thousands(hours)),
        }
    } else if 0.1 <= seconds {
        format!("{} s", digits(seconds))
    } else if 0.000_1 <= seconds {
        format!("{} ms", digits(seconds * 1e3))
    } else if 0.000_000_1 <= seconds {
        format!("{} µs", digits(seconds * 1e6))
    } else {
        format!("{} ns", span.as_nanos())
    }
}

/// A span as it was written down: exactly, not to two digits. Loads are written in seconds up to a quarter of an
/// hour.
pub(super) fn exact(span: Duration) -> String {
    let (seconds, nanos) = (span.as_secs(), span.subsec_nanos());
    match nanos {
        0 if seconds < 900 => format!("{seconds} s"),
        0 => self::span(span),
        _ if seconds == 0 && nanos % 1_000_000 == 0 => format!("{} ms", nanos / 1_000_000),
        _ => format!("{} s", trimmed(format!("{:.3}", span.as_secs_f64()))),
    }
}

/// Two digits that count; whole numbers from ten on, with the thousands apart.
pub(super) fn digits(value: f64) -> String {
    let size = value.abs();
    if 10.0 <= size || size == 0.0 {
        let whole = thousands(size.round() as u64);
        return if value < 0.0 { format!("-{whole}") } else { whole };
    }
    // One digit after the point from 1 on, two from 0.1 on, and so forth.
    let after = (1 - size.log10().floor() as i32).clamp(0, 6) as usize;
    trimmed(format!("{value:.after$}"))
}

/// `7951` as `7,951`.
pub(super) fn thousands(value: u64) -> String {
    let plain = value.to_string();
    let mut text = String::with_capacity(plain.len() + plain.len() / 3);
    for (index, digit) in plain.chars().enumerate() {
        if 0 < index && (plain.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A moment on a time axis: `0`, `90 s`, `5 min 30 s`, `2 d`.
pub(super) fn moment(seconds: f64) -> String {
    let whole = seconds.round() as i64;
    let (sign, size) = (if whole < 0 { "-" } else { "" }, whole.unsigned_abs());
    match size {
        0 => "0".to_owned(),
        1..=119 => format!("{sign}{size} s"),
        _ if size % 86_400 == 0 => format!("{sign}{} d", size / 86_400),
        _ => format!("{sign}{}", span(Duration::from_secs(size))),
    }
}

/// `1 service`, `2 services`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{} {noun}s", thousands(count as u64)) }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn trimmed(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_digits_and_the_closest_unit() {
        let said = |nanos: u64| span(Duration::from_nanos(nanos));
        assert_eq!(said(0), "0");
        assert_eq!(said(40), "40 ns");
        assert_eq!(said(6_040_000), "6 ms");
        assert_eq!(said(140_000_000), "0.14 s");
        assert_eq!(said(8_840_000_000), "8.8 s");
        assert_eq!(said(200_000_000_000), "3 min 20 s");
        assert_eq!(said(7_200_000_000_000), "2 h");
    }

    #[test]
    fn what_was_written_is_said_as_it_was_written() {
        assert_eq!(exact(Duration::from_millis(680)), "680 ms");
        assert_eq!(exact(Duration::from_millis(1_500)), "1.5 s");
        assert_eq!(exact(Duration::from_secs(3)), "3 s");
    }

    #[test]
    fn counts_have_their_thousands_apart() {
        assert_eq!(thousands(7), "7");
        assert_eq!(thousands(7_951), "7,951");
        assert_eq!(thousands(1_007_951), "1,007,951");
        assert_eq!(digits(1_234.4), "1,234");
        assert_eq!(digits(0.98), "0.98");
        assert_eq!(digits(1.0), "1");
    }
}
