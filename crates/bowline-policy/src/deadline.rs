//! Who sets the deadline, and how it travels.

use bowline_model::decision::DeadlineSource;
use bowline_model::{Deadline, Instant};
use std::time::Duration;

/// The earliest deadline that anybody set, and who: a deadline never grows.
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

/// Until when a try may take, and whether that is the call's own deadline.
#[must_use]
pub fn until_of_try(deadline: Deadline, per_try: Option<Duration>, now: Instant) -> (Instant, bool) {
    match per_try.map(|span| now + span) {
        Some(until) if until < deadline.instant() => (until, false),
        _ => (deadline.instant(), true),
    }
}

/// Reads a `grpc-timeout` header.
#[must_use]
pub fn parse_grpc_timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
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
#[must_use]
pub fn format_grpc_timeout(span: Duration) -> String {
    const DIGITS_MAX: u128 = 99_999_999;
    for (amount, unit) in [
        (span.as_nanos(), 'n'),
        (span.as_micros(), 'u'),
        (span.as_millis(), 'm'),
        (u128::from(span.as_secs()), 'S'),
        (u128::from(span.as_secs() / 60), 'M'),
    ] {
        if amount <= DIGITS_MAX {
            return format!("{amount}{unit}");
        }
    }
    format!("{}H", u128::from(span.as_secs() / 3_600).min(DIGITS_MAX))
}

/// Reads an `x-envoy-expected-rq-timeout-ms` header.
#[must_use]
pub fn parse_expected_ms(value: &str) -> Option<Duration> {
    if value.is_empty() || !value.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    value.parse().ok().map(Duration::from_millis)
}

/// Writes an `x-envoy-expected-rq-timeout-ms` header: never zero, which would mean "no timeout".
#[must_use]
pub fn format_expected_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}
