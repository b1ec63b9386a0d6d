//! What of a request its host is picked by, where the design asks for that.

use bowline_design::resolved::HashBy;
use bowline_policy::balance::hash;
use http::{HeaderMap, HeaderValue, Uri, header};

/// The hash of what `by` names, if the request has it.
pub(crate) fn of(by: &HashBy, headers: &HeaderMap, target: &Uri, caller: &HeaderValue) -> Option<u64> {
    match by {
        HashBy::Header(name) => headers.get(&**name).map(|value| hash(value.as_bytes())),
        HashBy::Cookie(name) => cookie(headers, name).map(|value| hash(value.as_bytes())),
        HashBy::Query(name) => query(target, name).map(|value| hash(value.as_bytes())),
        HashBy::SourceIp => Some(hash(caller.as_bytes())),
    }
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(own, _)| *own == name)
        .map(|(_, value)| value)
}

/// As it is written: who escapes a value in two ways is sent to two hosts.
fn query<'u>(target: &'u Uri, name: &str) -> Option<&'u str> {
    let pairs = target.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(own, _)| *own == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_picked_by_what_is_named_and_by_nothing_else() {
        let target = Uri::from_static("/cart?user=7&user=8&u=9");
        let caller = HeaderValue::from_static("10.0.0.7");
        let mut headers = HeaderMap::new();
        headers.insert("x-user", HeaderValue::from_static("ada"));
        headers.append(header::COOKIE, HeaderValue::from_static("theme=dark; session=one"));
        headers.append(header::COOKIE, HeaderValue::from_static("other=2"));
        let of = |by: HashBy| of(&by, &headers, &target, &caller);
        assert_eq!(of(HashBy::Header("x-user".into())), Some(hash(b"ada")));
        assert_eq!(of(HashBy::Cookie("session".into())), Some(hash(b"one")));
        assert_eq!(of(HashBy::Cookie("other".into())), Some(hash(b"2")));
        assert_eq!(of(HashBy::Query("user".into())), Some(hash(b"7")));
        assert_eq!(of(HashBy::SourceIp), Some(hash(b"10.0.0.7")));
        let absent = [HashBy::Header("y".into()), HashBy::Cookie("sess".into()), HashBy::Query("use".into())];
        assert!(absent.into_iter().all(|by| of(by).is_none()));
    }
}
