//! What a callee says about being asked again: `Retry-After`.

use bowline_model::WallTime;
use bowline_policy::Pushback;
use http::{HeaderMap, header};
use std::time::{Duration, UNIX_EPOCH};

/// Reads `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3). A date that has passed means now;
/// what cannot be read says nothing.
#[must_use]
pub fn of(headers: &HeaderMap, today: impl FnOnce() -> WallTime) -> Option<Pushback> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Pushback::After(Duration::from_secs(u64::from(seconds))));
    }
    let date = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Pushback::After(date.saturating_sub(Duration::from_nanos(today().as_unix_nanos()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        let today = || WallTime::from_unix_nanos(784_111_777 * 1_000_000_000); // Sun, 06 Nov 1994 08:49:37 GMT
        let expected = expected.map(|seconds| Pushback::After(Duration::from_secs(seconds)));
        assert_eq!(of(&headers, today), expected, "{value}");
    }

    #[test]
    fn seconds_and_dates_are_read_and_nonsense_says_nothing() {
        check("3", Some(3));
        check("Sun, 06 Nov 1994 08:49:47 GMT", Some(10));
        check("Sun, 06 Nov 1994 08:49:00 GMT", Some(0));
        check("-1", None);
        check("soon", None);
        assert_eq!(of(&HeaderMap::new(), WallTime::default), None);
    }
}
