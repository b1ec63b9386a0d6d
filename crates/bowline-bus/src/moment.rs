//! Times as CloudEvents writes them: RFC 3339.

use bowline_model::WallTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The time in UTC, with as many digits as it needs. Empty after the year 9999, where RFC 3339 ends.
pub(crate) fn write(at: WallTime) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.as_unix_nanos()))
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// The time that the text names. None where it is none, or before 1970, which no record is.
pub(crate) fn parse(text: &str) -> Option<WallTime> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp_nanos()).ok().map(WallTime::from_unix_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_back_to_the_nanosecond() {
        for nanos in [0, 1, 1_700_000_000_000_000_001, 1_700_000_000_500_000_000, u64::MAX] {
            let at = WallTime::from_unix_nanos(nanos);
            assert_eq!(parse(&write(at)), Some(at), "{}", write(at));
        }
    }

    #[test]
    fn other_time_zones_are_the_same_moment() {
        assert_eq!(parse("2026-11-14T23:13:20+01:00"), parse("2026-11-14T22:13:20Z"));
        assert!(parse("2026-11-14T23:13:20+01:00").is_some());
        for bad in ["", "yesterday", "2026-11-14", "1969-12-31T23:59:59Z"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
