//! What an answer says about the rate limit it passed, or did not.
//!
//! The fields are those of the IETF's draft "RateLimit header fields for HTTP" from its eighth edition on, which are
//! lists: a callee that has limits of its own adds them beside ours. The quota is the bucket and the window the time in
//! which an empty one fills, so that whoever keeps to the pair is never refused.

use bowline_policy::rate::Standing;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Adds `RateLimit-Policy` and `RateLimit`.
pub(crate) fn tell(standing: &Standing, headers: &mut HeaderMap) {
    let policy = match seconds(standing.fills_in) {
        Some(window) => format!("\"bowline\";q={};w={window}", standing.most),
        None => format!("\"bowline\";q={}", standing.most),
    };
    let limit = match seconds(standing.full_in) {
        Some(reset) => format!("\"bowline\";r={};t={reset}", standing.left),
        None => format!("\"bowline\";r={}", standing.left),
    };
    for (name, value) in [(&RATE_LIMIT_POLICY, policy), (&RATE_LIMIT, limit)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.append(name, value);
        }
    }
}

/// Whole seconds, rounded up: who waits that long does not come too early. `None`: never.
fn seconds(span: Duration) -> Option<u64> {
    (span < Duration::MAX).then(|| span.as_secs() + u64::from(0 < span.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_and_what_is_left_of_it_stand_beside_those_of_the_callee() {
        let mut headers = HeaderMap::new();
        headers.insert(&RATE_LIMIT, HeaderValue::from_static("\"own\";r=3;t=9"));
        let standing = Standing {
            left: 4,
            most: 100,
            full_in: Duration::from_millis(1_200),
            fills_in: Duration::from_secs(1),
        };
        tell(&standing, &mut headers);
        let all =
            |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(all("ratelimit"), ["\"own\";r=3;t=9", "\"bowline\";r=4;t=2"]);
        assert_eq!(all("ratelimit-policy"), ["\"bowline\";q=100;w=1"]);
    }

    #[test]
    fn a_bucket_that_is_never_filled_names_no_time() {
        let mut headers = HeaderMap::new();
        let standing = Standing { left: 0, most: 1, full_in: Duration::MAX, fills_in: Duration::MAX };
        tell(&standing, &mut headers);
        assert_eq!(headers["ratelimit"], "\"bowline\";r=0");
        assert_eq!(headers["ratelimit-policy"], "\"bowline\";q=1");
    }
}
