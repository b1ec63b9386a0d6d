//! What Istio refuses in more than one of its kinds.
//!
//! The rules are those of `pkg/config/validation` in istio/istio; the words are ours. What Istio only
//! warns about is not refused here.

use crate::format::format_duration;
use crate::kinds::common::{Percent, StringMatch};
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::names::{is_label, quoted};
use crate::resolved::Protocol;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// The code of every mistake that Istio itself refuses.
pub(crate) const REFUSED: &str = "istio-refuses";

/// gRPC's status names, by number, from zero (grpc/grpc, doc/statuscodes.md).
pub(crate) const GRPC_STATUS: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Durations are at least a millisecond and whole milliseconds.
pub(crate) fn duration(span: Option<&Spot<Duration>>, mistakes: &mut Mistakes) {
    let Some(span) = span else { return };
    let (written, whole) = (format_duration(span.value), "at least 1ms, in whole milliseconds");
    if span.value < Duration::from_millis(1) {
        let mistake = mistakes.add(REFUSED, &span.place, written, whole);
        if span.value.is_zero() {
            mistake.hint("to have none, leave the field out");
        }
    } else if span.value.subsec_nanos() % 1_000_000 != 0 {
        mistakes.add(REFUSED, &span.place, written, whole);
    }
}

/// A share from 0 to 100, and not so small that it means none by accident.
pub(crate) fn percentage(percent: Option<&Spot<Percent>>, mistakes: &mut Mistakes) {
    if let Some(value) = percent.and_then(|percent| percent.value.value.as_ref())
        && !(value.value == 0.0 || (0.0001..=100.0).contains(&value.value))
    {
        mistakes.add(REFUSED, &value.place, format!("{} percent", value.value), "0, or 0.0001 to 100");
    }
}

/// A whole share from 0 to 100.
pub(crate) fn whole_percent(percent: Option<&Spot<u32>>, mistakes: &mut Mistakes) {
    if let Some(percent) = percent.filter(|percent| percent.value > 100) {
        mistakes.add(REFUSED, &percent.place, format!("{} percent", percent.value), "0 to 100");
    }
}

/// A port from 1 to 65535.
pub(crate) fn port<T: Copy + Into<u32>>(port: &Spot<T>, mistakes: &mut Mistakes) {
    let number: u32 = port.value.into();
    if !(1..=65_535).contains(&number) {
        mistakes.add(REFUSED, &port.place, format!("port {number}"), "1 to 65535");
    }
}

/// A host's name, dots between DNS labels, the last not all digits.
pub(crate) fn is_host(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let digits = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    (1..=255).contains(&host.len())
        && host.split('.').all(is_label)
        && !host.rsplit('.').next().is_some_and(digits)
}

/// A host's name, or `*` for its first label, or `*-` before it.
pub(crate) fn is_wildcard_host(host: &str) -> bool {
    if host.len() > 255 {
        return false;
    }
    let (first, rest) = host.split_once('.').map_or((host, None), |(first, rest)| (first, Some(rest)));
    let first_fits = first == "*" || is_label(first.strip_prefix("*-").unwrap_or(first));
    first_fits && rest.is_none_or(is_host)
}

/// An address without a name.
pub(crate) fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// Refuses what is neither a host's name nor one with a wildcard.
pub(crate) fn wildcard_host(host: &Spot<String>, mistakes: &mut Mistakes) {
    if !is_wildcard_host(host) {
        let expected = "a host's name: letters, digits and `-` between dots, `*` at most for the first part";
        mistakes.add(REFUSED, &host.place, quoted(host), expected);
    }
}

/// An address, or a subnet such as `10.0.0.0/8`.
pub(crate) fn subnet(subnet: &Spot<String>, mistakes: &mut Mistakes) {
    let (address, bits) = match subnet.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (subnet.as_str(), None),
    };
    let fits = address.parse::<IpAddr>().is_ok_and(|address| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits <= most))
    });
    if !fits {
        mistakes.add(REFUSED, &subnet.place, quoted(subnet), "an IP address or a subnet such as 10.0.0.0/8");
    }
}

/// Whether two hosts, either of them with a wildcard, may mean the same one.
pub(crate) fn hosts_overlap(a: &str, b: &str) -> bool {
    match (a.strip_prefix('*'), b.strip_prefix('*')) {
        (Some(a), Some(b)) => a.ends_with(b) || b.ends_with(a),
        (Some(a), None) => b.ends_with(a),
        (None, Some(b)) => a.ends_with(b),
        (None, None) => a == b,
    }
}

/// Whether every host that `part` means is one that `whole` means.
pub(crate) fn host_within(part: &str, whole: &str) -> bool {
    match (part.strip_prefix('*'), whole.strip_prefix('*')) {
        (Some(part), Some(whole)) => part.ends_with(whole),
        (Some(_), None) => false,
        (None, Some(whole)) => part.ends_with(whole),
        (None, None) => part == whole,
    }
}

/// Labels as Kubernetes has them.
pub(crate) fn labels(labels: &BTreeMap<String, String>, place: &Place, mistakes: &mut Mistakes) {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let ends = |text: &str| {
        let (first, last) = (text.as_bytes().first(), text.as_bytes().last());
        first.is_some_and(u8::is_ascii_alphanumeric) && last.is_some_and(u8::is_ascii_alphanumeric)
    };
    let word = |text: &str| text.len() <= 63 && text.bytes().all(inner) && ends(text);
    for (key, value) in labels {
        let (prefix, name) = key.split_once('/').map_or((None, key.as_str()), |(p, name)| (Some(p), name));
        if !word(name) || prefix.is_some_and(|prefix| !is_host(prefix)) {
            mistakes.add(REFUSED, place, format!("the label {}", quoted(key)), LABEL_EXPECTED);
        }
        if !value.is_empty() && !word(value) {
            let found = format!("{} as the label {}", quoted(value), quoted(key));
            mistakes.add(REFUSED, place, found, LABEL_EXPECTED);
        }
    }
}

const LABEL_EXPECTED: &str = "letters, digits, `-`, `_` and `.`, at most 63";

/// A subset's name is a DNS label.
pub(crate) fn subset_name(name: &Spot<String>, mistakes: &mut Mistakes) {
    if !is_label(name) {
        let found = format!("the subset name {}", quoted(name));
        mistakes.add(REFUSED, &name.place, found, "letters, digits and `-`, at most 63");
    }
}

/// An expression in RE2's syntax, of at most 1024 letters.
pub(crate) fn regex(text: &str, place: &Place, mistakes: &mut Mistakes) {
    // Istio's limit; Envoy's own counts the compiled program.
    const BYTES_MAX: usize = 1024;
    if text.is_empty() {
        mistakes.add(REFUSED, place, "an empty expression", "one that matches something");
    } else if text.len() > BYTES_MAX {
        let found = format!("an expression of {} bytes", text.len());
        mistakes.add(REFUSED, place, found, format!("at most {BYTES_MAX}"));
    } else if let Err(error) = regex::Regex::new(text) {
        let error = error.to_string();
        let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        let found = format!("{}, which is no RE2 expression: {why}", quoted(text));
        mistakes.add(REFUSED, place, found, "RE2 syntax: no look-around, no back-references");
    }
}

/// A string match; an empty prefix matches everything and is allowed for paths alone.
pub(crate) fn string_match(
    matcher: &StringMatch,
    place: &Place,
    empty_prefix: bool,
    mistakes: &mut Mistakes,
) {
    match matcher {
        StringMatch::Regex(text) => regex(text, place, mistakes),
        StringMatch::Prefix(text) if text.is_empty() && !empty_prefix => {
            mistakes.add(REFUSED, place, "an empty prefix", "a prefix; leave the condition out to match all");
        }
        StringMatch::Prefix(_) | StringMatch::Exact(_) => {}
    }
}

/// The namespaces a document is seen in: `.`, `*`, or names, each once, `*` and `~` alone.
pub(crate) fn export_to(list: &[Spot<String>], namespace: &str, allow_none: bool, mistakes: &mut Mistakes) {
    let mut seen = BTreeSet::new();
    for entry in list {
        let key = if entry.value == "." { namespace } else { entry.as_str() };
        let fits = key == "*" || (allow_none && key == "~") || is_label(key);
        if !fits {
            mistakes.add(
                REFUSED,
                &entry.place,
                quoted(entry),
                "a namespace, `.` for this one or `*` for all",
            );
        } else if !seen.insert(key) {
            mistakes.add(REFUSED, &entry.place, format!("{} a second time", quoted(entry)), "each once");
        }
    }
    if let Some(entry) = list.iter().find(|entry| matches!(entry.as_str(), "*" | "~"))
        && list.len() > 1
    {
        let found = format!("`{}` beside others", entry.value);
        mistakes.add(REFUSED, &entry.place, found, format!("`{}` alone", entry.value));
    }
}

/// What is spoken at a port, as far as rules differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// HTTP in plain text.
    Http,
    /// Something inside TLS.
    Tls,
    /// Anything else that Istio knows.
    Other,
}

/// What a protocol's name means; `None` when Istio does not know it. Case does not matter.
pub(crate) fn spoken(protocol: &str) -> Option<Spoken> {
    match protocol.to_ascii_lowercase().as_str() {
        "http" | "http2" | "http_proxy" | "grpc" | "grpc-web" => Some(Spoken::Http),
        "https" | "tls" => Some(Spoken::Tls),
        "tcp" | "udp" | "mongo" | "redis" | "mysql" | "hbone" | "double-hbone" => Some(Spoken::Other),
        _ => None,
    }
}

/// How requests to a port of this protocol are carried (Istio, `IsHTTP2`).
pub(crate) fn carried_by(protocol: &str) -> Protocol {
    match protocol.to_ascii_lowercase().as_str() {
        "http2" => Protocol::Http2,
        "grpc" | "grpc-web" => Protocol::Grpc,
        _ => Protocol::Http,
    }
}

/// The protocols' names, for a mistake's second half.
pub(crate) const PROTOCOLS: &str =
    "one of HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP, UDP, MONGO, REDIS or MYSQL";

/// A Unix socket's path: absolute and a file, or abstract with `@`.
pub(crate) fn is_unix_path(path: &str) -> bool {
    path.starts_with('@') || (path.starts_with('/') && !path.ends_with('/'))
}

/// The names of gateways: `name`, `namespace/name`, or the reserved word `mesh`.
pub(crate) fn gateway_names(names: &[Spot<String>], mistakes: &mut Mistakes) {
    for name in names {
        let fits = match name.split_once('/') {
            Some((namespace, name)) => is_label(namespace) && is_label(name),
            None => is_host(name),
        };
        if !fits {
            mistakes.add(REFUSED, &name.place, quoted(name), "`name`, `namespace/name` or `mesh`");
        }
    }
}

/// A header's name.
pub(crate) fn is_header(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// A status of HTTP that Go has a name for: those Istio takes in `retryOn`.
pub(crate) fn is_named_status(status: u16) -> bool {
    matches!(status, 100..=103 | 200..=208 | 226 | 300..=305 | 307 | 308 | 400..=418 | 421..=426)
        || matches!(status, 428 | 429 | 431 | 451 | 500..=508 | 510 | 511)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_what_istio_takes_for_hosts() {
        for host in ["reviews", "reviews.default.svc.cluster.local", "ISTIOD-HOST.DOMAIN", "a.b."] {
            assert!(is_host(host), "{host}");
        }
        for host in ["", "a..b", "-a", "a_b", "1.2.3.4", "*", "a.5"] {
            assert!(!is_host(host), "{host}");
        }
        for host in ["*", "*.com", "*-x.com", "reviews"] {
            assert!(is_wildcard_host(host), "{host}");
        }
        for host in ["a.*.com", "**", "*a.com", "1.2.3.4"] {
            assert!(!is_wildcard_host(host), "{host}");
        }
    }

    #[test]
    fn wildcards_overlap_by_their_ends() {
        assert!(hosts_overlap("*.foo.com", "*.com"));
        assert!(hosts_overlap("*", "a"));
        assert!(hosts_overlap("a.com", "*.com"));
        assert!(!hosts_overlap("a.com", "b.com"));
        assert!(host_within("*.foo.com", "*.com"));
        assert!(!host_within("*.com", "*.foo.com"));
        assert!(!host_within("*.com", "a.com"));
    }
}
