//! `match` blocks as conditions of a table.

use super::findings::Findings;
use crate::kinds::common::StringMatch;
use crate::kinds::virtual_service::HttpMatch;
use crate::mistake::Spot;
use crate::routing::text_match::FullRegex;
use crate::routing::{Condition, TextMatch};
use http::HeaderName;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names that Istio ignores among the headers: each has a matcher of its own.
const NOT_HEADERS: [&str; 4] = ["uri", "scheme", "method", "authority"];

/// Which proxy a table belongs to: the gateways whose rules it takes, as `namespace/name`, or `mesh`.
pub(super) type Proxies<'p> = &'p [String];

/// One `match` block, seen by these proxies. `namespace` is the rule's.
pub(super) fn condition(
    written: &Spot<HttpMatch>,
    namespace: &str,
    proxies: Proxies<'_>,
    findings: &mut Findings,
) -> Condition {
    let text = |spot: &Option<Spot<StringMatch>>, findings: &mut Findings| {
        spot.as_ref().and_then(|spot| text_match(&spot.value, &spot.place, findings))
    };
    let mut excluded = selects(written, namespace, proxies, findings);
    let claims =
        written.headers.iter().chain(&written.without_headers).find(|(name, _)| name.starts_with('@'));
    if let Some((name, spot)) = claims {
        findings.not_acted_on(&format!("match on {name}"), &spot.place);
        excluded = excluded.or_else(|| Some("claims of a token, which this version does not read".into()));
    }
    Condition {
        name: written.name.as_ref().map(|name| name.value.as_str().into()),
        place: Some(written.place.clone()),
        uri: text(&written.uri, findings),
        ignore_uri_case: written.ignore_uri_case.as_ref().is_some_and(|ignore| ignore.value),
        scheme: text(&written.scheme, findings),
        method: text(&written.method, findings),
        authority: text(&written.authority, findings),
        headers: headers(&written.headers, findings),
        without_headers: headers(&written.without_headers, findings),
        query: written
            .query_params
            .iter()
            .filter_map(|(name, spot)| Some((name.as_str().into(), optional_match(spot, findings)?)))
            .collect(),
        port: written.port.as_ref().map(|port| port.value),
        excluded,
    }
}

/// Why no request of these proxies can meet a block: it selects others.
fn selects(
    written: &Spot<HttpMatch>,
    namespace: &str,
    proxies: Proxies<'_>,
    findings: &mut Findings,
) -> Option<Arc<str>> {
    // As in Istio: gateways, where there are any, decide alone.
    if !written.gateways.is_empty() {
        let names = written.gateways.iter().map(|gateway| gateway_name(gateway, namespace));
        let mine = names.clone().any(|name| proxies.contains(&name));
        return (!mine).then(|| format!("gateway {}", names.collect::<Vec<_>>().join(" or ")).into());
    }
    if !written.source_labels.is_empty() {
        let labels: Vec<String> =
            written.source_labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
        let text = "selects callers by their labels, which this version does not know: the block is left out";
        findings.note("match.sourceLabels", text, &written.place);
        return Some(format!("callers with {}", labels.join(", ")).into());
    }
    if let Some(source) = &written.source_namespace {
        let text =
            "selects callers by their namespace, which this version does not know: the block is left out";
        findings.note("match.sourceNamespace", text, &source.place);
        return Some(format!("callers in namespace {}", source.value).into());
    }
    None
}

/// A gateway's full name: `mesh`, or `namespace/name`.
pub(super) fn gateway_name(written: &str, namespace: &str) -> String {
    match written {
        "mesh" => written.to_owned(),
        _ if written.contains('/') => written.to_owned(),
        _ => format!("{namespace}/{written}"),
    }
}

fn headers(
    written: &BTreeMap<String, Spot<Option<StringMatch>>>,
    findings: &mut Findings,
) -> Vec<(HeaderName, TextMatch)> {
    let real =
        written.iter().filter(|(name, _)| !NOT_HEADERS.contains(&name.as_str()) && !name.starts_with('@'));
    real.filter_map(|(name, spot)| {
        let header = HeaderName::from_bytes(name.as_bytes());
        if header.is_err() {
            let found = format!("`{name}` is no header name");
            findings.mistake(
                "bad-header",
                &spot.place,
                found,
                "lower-case letters, digits and hyphens",
                None,
            );
        }
        Some((header.ok()?, optional_match(spot, findings)?))
    })
    .collect()
}

/// A matcher that may be empty, which asks for presence; so does the regex `*`, which is none
/// (Istio, `canBeConvertedToPresentMatch`).
fn optional_match(spot: &Spot<Option<StringMatch>>, findings: &mut Findings) -> Option<TextMatch> {
    match &spot.value {
        None => Some(TextMatch::Present),
        Some(StringMatch::Regex(regex)) if regex == "*" => Some(TextMatch::Present),
        Some(written) => text_match(written, &spot.place, findings),
    }
}

/// A matcher; an expression that does not compile is a mistake.
pub(super) fn text_match(
    written: &StringMatch,
    place: &crate::mistake::Place,
    findings: &mut Findings,
) -> Option<TextMatch> {
    match written {
        StringMatch::Exact(exact) => Some(TextMatch::Exact(exact.as_str().into())),
        StringMatch::Prefix(prefix) => Some(TextMatch::Prefix(prefix.as_str().into())),
        StringMatch::Regex(regex) => match FullRegex::new(regex) {
            Ok(regex) => Some(TextMatch::Regex(regex)),
            Err(why) => {
                findings.mistake(
                    "bad-regex",
                    place,
                    format!("`{regex}` is no regular expression"),
                    "RE2 syntax",
                    Some(why),
                );
                None
            }
        },
    }
}
