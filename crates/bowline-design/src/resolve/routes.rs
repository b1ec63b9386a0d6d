//! The rules of a VirtualService as routes of a table.

use super::conditions::{self, Proxies};
use super::findings::Findings;
use super::settings::{self, Caller, Layer, Voices};
use crate::kinds::common::Destination as WrittenDestination;
use crate::kinds::virtual_service::{
    CorsPolicy, HeaderOperations, Headers, HttpBody, HttpRedirect, HttpRewrite, HttpRoute,
    RedirectPort as WrittenPort, UnmatchedPreflights,
};
use crate::kinds::{Doc, VirtualService};
use crate::mistake::{Place, Spot};
use crate::resolved::{Operation, PlannedCall, ServiceId};
use crate::routing::headers::{HeaderPut, HeaderSide};
use crate::routing::redirect::{RedirectPath, RedirectPort};
use crate::routing::{
    Action, Condition, Cors, Destination, HeaderOps, IstioFault, Mirror, Redirect, Rewrite, Route,
    UriRewrite, Weighted, reach,
};
use bowline_fault::Percent;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The annotation that puts a VirtualService's fault inside the try.
pub(super) const FAULTS_INSIDE_TRY: &str = "bowline.dev/faults-inside-try";

/// A VirtualService, seen by some proxies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'s> {
    pub(super) document: &'s Doc<VirtualService>,
    pub(super) proxies: Proxies<'s>,
    pub(super) layer: Layer,
}

/// Its rules, as routes. A rule that delegates has become its delegate's rules before.
pub(super) fn routes(
    seen: Seen<'_>,
    rules: &[(usize, Spot<HttpRoute>)],
    voices: Voices<'_>,
    findings: &mut Findings,
) -> Vec<Arc<Route>> {
    let several = rules.len() > 1;
    let mut routes: Vec<Arc<Route>> = Vec::with_capacity(rules.len());
    for (index, rule) in rules {
        let next =
            route(seen, Rule { written: rule, index: *index, before: &routes }, several, voices, findings);
        routes.push(Arc::new(next));
    }
    routes
}

/// One rule of a VirtualService.
#[derive(Clone, Copy)]
struct Rule<'r> {
    written: &'r Spot<HttpRoute>,
    index: usize,
    /// The rules before it.
    before: &'r [Arc<Route>],
}

/// Every name by which the rule at `index` can be targeted.
pub(super) fn names_of(document: &Doc<VirtualService>, rule: &HttpRoute, index: usize) -> Vec<String> {
    let meta = &document.meta;
    let mut names = vec![
        meta.name.clone(),
        format!("{}/{}", meta.namespace, meta.name),
        format!("{}[{index}]", meta.name),
    ];
    names.extend(rule.name.as_ref().map(|name| name.value.clone()));
    names
}

fn route(
    seen: Seen<'_>,
    written: Rule<'_>,
    several: bool,
    voices: Voices<'_>,
    findings: &mut Findings,
) -> Route {
    let Rule { written: rule, index, .. } = written;
    let meta = &seen.document.meta;
    let namespace = &meta.namespace;
    let faults_inside = meta.annotations.get(FAULTS_INSIDE_TRY).is_some_and(|value| **value == "true");
    let own = rule.headers.as_ref().map(|headers| header_ops(headers, findings)).unwrap_or_default();
    let name = match &rule.name {
        Some(name) => name.value.clone(),
        None if several => format!("{}[{index}]", meta.name),
        None => meta.name.clone(),
    };
    note_what_is_not_acted_on(rule, findings);
    let fault = rule.fault.as_ref().filter(|_| !faults_inside).map(|fault| IstioFault {
        delay: settings::delay(fault, findings),
        abort: settings::abort(fault, findings),
        place: fault.place.clone(),
    });
    let conditions: Vec<_> = rule
        .matches
        .iter()
        .map(|written| conditions::condition(written, namespace, seen.proxies, findings))
        .collect();
    Route {
        name: name.into(),
        place: rule.place.clone(),
        action: action(seen, written, &conditions, (&own, faults_inside), voices, findings),
        conditions,
        timeout: settings::timeout(rule, faults_inside),
        headers: own,
        fault,
        cors: rule.cors_policy.as_ref().map(|cors| self::cors(cors, findings)),
        mirrors: mirrors(rule, namespace, voices, findings),
        implied: false,
    }
}

fn action(
    seen: Seen<'_>,
    Rule { written: rule, index, before }: Rule<'_>,
    conditions: &[Condition],
    (own, faults_inside): (&HeaderOps, bool),
    voices: Voices<'_>,
    findings: &mut Findings,
) -> Action {
    if let Some(written) = &rule.redirect {
        return Action::Redirect(redirect(written));
    }
    if let Some(response) = &rule.direct_response {
        let status = u16::try_from(response.status.value).unwrap_or(500);
        let body = response.body.as_ref().map(|body| self::body(body, findings)).unwrap_or_default();
        return Action::Respond { status, body };
    }
    let names = names_of(seen.document, rule, index);
    let rewrite = rule.rewrite.as_ref().and_then(|written| rewrite(written, findings));
    let uri = rewrite.as_ref().and_then(|rewrite| rewrite.uri.as_ref());
    let carries = |operation: &Operation| {
        // A path that is rewritten is another one to the rules before. One that accepts everything may
        // yet be moved behind this one.
        let taken = |before: &Arc<Route>| {
            uri.is_none() && !before.is_catch_all() && reach::surely_takes(&before.conditions, operation)
        };
        reach::may_carry(conditions, uri, operation) && !before.iter().any(taken)
    };
    let mut destinations = Vec::new();
    // Of several, those without weight get nothing (Istio, `applyHTTPRouteDestination`); one alone gets
    // everything, whatever its weight.
    let several = rule.route.len() > 1;
    for written in &rule.route {
        let weight = written.weight.as_ref().map_or(0, |weight| weight.value);
        if several && weight == 0 {
            continue;
        }
        let Some(destination) =
            destination(&written.destination, &seen.document.meta.namespace, voices, findings)
        else {
            continue;
        };
        let theirs =
            written.headers.as_ref().map(|headers| header_ops(headers, findings)).unwrap_or_default();
        // Istio appends a lone destination's operations to the route's; of several, Envoy does the
        // destination's first. An authority that the rule itself rewrites stands in both cases.
        let mut headers = if several { theirs.then(own) } else { own.and(&theirs) };
        headers.authority = if several {
            theirs.authority.clone().or_else(|| own.authority.clone())
        } else {
            own.authority.clone().or_else(|| theirs.authority.clone())
        };
        let caller = |operation| Caller {
            layer: seen.layer,
            service: destination.service,
            subset: destination.subset.as_ref(),
            port: destination.port,
            operation,
            route: Some(&rule.value),
            route_names: &names,
            faults_inside,
        };
        let calls = planned(voices, destination.service, carries, caller, findings);
        let weight = if several { weight } else { 1 };
        destinations.push(Weighted { weight, destination, headers, calls });
    }
    if destinations.is_empty() {
        // What Istio answers where a rule leads nowhere.
        return Action::Respond { status: 503, body: Bytes::new() };
    }
    Action::Forward { destinations, rewrite }
}

/// The calls that a destination can become. An operation that the rule cannot carry is planned like a
/// request that is none: what a policy says of it is not said of this rule.
fn planned<'c>(
    voices: Voices<'_>,
    service: ServiceId,
    carries: impl Fn(&Operation) -> bool,
    caller: impl Fn(Option<usize>) -> Caller<'c>,
    findings: &mut Findings,
) -> Vec<PlannedCall> {
    let undeclared = Arc::new(voices.settings(&caller(None), findings));
    let mut calls: Vec<PlannedCall> = Vec::new();
    for (index, operation) in voices.services.get(service).operations.iter().enumerate() {
        let mut settings = Arc::clone(&undeclared);
        if carries(operation) {
            let own = voices.settings(&caller(Some(index)), findings);
            // Many are alike, and a design has rules times operations of them.
            settings = match calls.last() {
                Some(last) if *last.settings == own => Arc::clone(&last.settings),
                _ => Arc::new(own),
            };
        }
        calls.push(PlannedCall { operation: Some(index), settings });
    }
    calls.push(PlannedCall { operation: None, settings: undeclared });
    calls
}

/// The route that Istio makes for a service that no rule speaks for.
pub(super) fn default_route(service: ServiceId, voices: Voices<'_>, findings: &mut Findings) -> Route {
    let destination = destination_of(service, None, None, voices);
    let caller = |operation| Caller {
        layer: Layer::Mesh,
        service,
        subset: None,
        port: destination.port,
        operation,
        route: None,
        route_names: &[],
        faults_inside: false,
    };
    let calls = planned(voices, service, |_| true, caller, findings);
    let place = voices.services.get(service).place.clone();
    let weighted = Weighted { weight: 1, destination, headers: HeaderOps::default(), calls };
    Route {
        name: "default".into(),
        place,
        conditions: Vec::new(),
        action: Action::Forward { destinations: vec![weighted], rewrite: None },
        timeout: None,
        headers: HeaderOps::default(),
        fault: None,
        cors: None,
        mirrors: Vec::new(),
        implied: true,
    }
}

/// A written destination, looked up. Every exact host is known by now: at worst, only by its name.
fn destination(
    written: &Spot<WrittenDestination>,
    namespace: &str,
    voices: Voices<'_>,
    findings: &mut Findings,
) -> Option<Destination> {
    let Some(id) = voices.services.names.find(&written.host, namespace) else {
        let text = "no destination: a wildcard names no one service";
        findings.note(&written.host.value, text, &written.host.place);
        return None;
    };
    let service = voices.services.get(id);
    let subset = written.subset.as_ref().filter(|subset| !subset.value.is_empty());
    let port = written.port.as_ref().and_then(|port| port.number.as_ref()).map(|number| number.value);
    let destination = destination_of(id, subset.map(|subset| subset.value.as_str().into()), port, voices);
    if let Some(subset) = subset
        && !service.subsets.iter().any(|known| *known.name == *subset.value)
    {
        let subject = format!("subset {} of {}", subset.value, service.host());
        findings.note(
            subject,
            "no DestinationRule defines it; a request routed there gets 503",
            &subset.place,
        );
    }
    Some(destination)
}

/// The endpoints of a service, of a subset of it, at a port.
fn destination_of(
    id: ServiceId,
    subset: Option<Arc<str>>,
    port: Option<u16>,
    voices: Voices<'_>,
) -> Destination {
    let service = voices.services.get(id);
    let host = service.host();
    let known =
        subset.as_ref().map(|subset| (subset, service.subsets.iter().find(|known| known.name == *subset)));
    // Without a port in the rule: the only one, or the first, of a service that has some.
    let at = port.or_else(|| service.endpoints.iter().find_map(|endpoint| endpoint.port));
    let candidates: Vec<usize> = match &known {
        Some((_, Some(subset))) => subset.endpoints.clone(),
        Some((_, None)) => Vec::new(),
        None => (0..service.endpoints.len()).collect(),
    };
    let answers = |index: &usize| service.endpoints[*index].port.is_none_or(|own| Some(own) == at);
    let endpoints: Vec<usize> = candidates.iter().copied().filter(answers).collect();
    let missing = endpoints.is_empty().then(|| match &known {
        Some((subset, None)) => format!("no DestinationRule defines subset {subset} of {host}"),
        Some((_, Some(subset))) if !service.endpoints.is_empty() && candidates.is_empty() => {
            let labels: Vec<String> =
                subset.labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
            format!("no endpoint of {host} carries {}", labels.join(", "))
        }
        _ if service.endpoints.is_empty() => format!("no document says where {host} answers"),
        _ => format!("{host} has no port {}", at.unwrap_or_default()),
    });
    let traffic = voices.rules.traffic(service, subset.as_ref(), port);
    let (upgraded, tls) = (traffic.is_upgraded(), traffic.tls(service));
    let (connections, missing) = (traffic.connections(), missing.map(Arc::from));
    Destination { service: id, subset, port, upgraded, tls, connections, endpoints, missing }
}

fn mirrors(rule: &HttpRoute, namespace: &str, voices: Voices<'_>, findings: &mut Findings) -> Vec<Mirror> {
    let old = rule.mirror_percent.as_ref().or(rule.mirror_percent_once.as_ref());
    let old = old.and_then(|percent| Percent::from_percent(f64::from(percent.value)));
    let share = |percentage: &Option<Spot<crate::kinds::common::Percent>>, findings: &mut Findings| {
        let written = percentage.as_ref().map(|percentage| percentage.value.value.as_ref());
        // A percentage without a value is zero, no percentage is all (Istio, `MirrorPercent`).
        written.map(|value| value.map_or(Percent::NEVER, |value| super::policies::share(value, findings)))
    };
    let mut mirrors = Vec::new();
    if let Some(written) = &rule.mirror {
        let percent = share(&rule.mirror_percentage, findings).or(old).unwrap_or(Percent::ALWAYS);
        let destination = destination(written, namespace, voices, findings);
        mirrors.extend(destination.map(|destination| Mirror { destination, percent }));
    }
    for written in &rule.mirrors {
        let percent = share(&written.percentage, findings).unwrap_or(Percent::ALWAYS);
        let destination = destination(&written.destination, namespace, voices, findings);
        mirrors.extend(destination.map(|destination| Mirror { destination, percent }));
    }
    mirrors.retain(|mirror| mirror.percent != Percent::NEVER);
    mirrors
}

fn redirect(written: &HttpRedirect) -> Redirect {
    let text = |spot: &Option<Spot<String>>| -> Option<Box<str>> {
        spot.as_ref().filter(|spot| !spot.value.is_empty()).map(|spot| spot.value.as_str().into())
    };
    let path = match (text(&written.uri), text(&written.prefix_rewrite)) {
        (Some(uri), _) => RedirectPath::Whole(uri),
        (None, Some(prefix)) => RedirectPath::Matched(prefix),
        (None, None) => RedirectPath::Same,
    };
    let port = match (&written.port, written.derive_port.as_ref().map(|port| port.value)) {
        (Some(port), _) => RedirectPort::Number(port.value),
        (None, Some(WrittenPort::FromRequestPort)) => RedirectPort::FromRequest,
        (None, Some(WrittenPort::FromProtocolDefault) | None) => RedirectPort::AsAuthority,
    };
    let code = written.redirect_code.as_ref().and_then(|code| u16::try_from(code.value).ok());
    Redirect {
        path,
        authority: text(&written.authority),
        scheme: text(&written.scheme),
        port,
        status: code.filter(|code| *code != 0).unwrap_or(301),
    }
}

fn rewrite(written: &Spot<HttpRewrite>, findings: &mut Findings) -> Option<Rewrite> {
    let by_regex = written.uri_regex_rewrite.as_ref().and_then(|by_regex| {
        let pattern = by_regex.pattern.as_ref().map_or("", |pattern| pattern.value.as_str());
        let with = by_regex.rewrite.as_ref().map_or("", |with| with.value.as_str());
        match UriRewrite::regex(pattern, with) {
            Ok(rewrite) => Some(rewrite),
            Err(why) => {
                findings.mistake(
                    "bad-regex",
                    &by_regex.place,
                    "a rewrite that cannot be done",
                    "RE2 syntax",
                    Some(why),
                );
                None
            }
        }
    });
    let uri = written.uri.as_ref().filter(|uri| !uri.value.is_empty());
    let uri = by_regex.or_else(|| uri.map(|uri| UriRewrite::Matched(uri.value.as_str().into())));
    let authority =
        written.authority.as_ref().and_then(|authority| value(&authority.value, &authority.place, findings));
    (uri.is_some() || authority.is_some()).then_some(Rewrite { uri, authority })
}

fn body(written: &Spot<HttpBody>, findings: &mut Findings) -> Bytes {
    if let Some(text) = &written.string {
        return Bytes::from(text.value.clone());
    }
    let Some(encoded) = &written.bytes else { return Bytes::new() };
    match base64(&encoded.value) {
        Some(bytes) => Bytes::from(bytes),
        None => {
            findings.mistake("bad-base64", &encoded.place, "bytes that are not base 64", "base 64", None);
            Bytes::new()
        }
    }
}

/// Base 64 of RFC 4648 section 4; white space and missing padding are forgiven, as YAML folds lines.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for character in
        text.trim_end_matches(['=', '\n', ' ']).bytes().filter(|byte| !byte.is_ascii_whitespace())
    {
        let six = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    (held != 6).then_some(bytes)
}

fn cors(written: &Spot<CorsPolicy>, findings: &mut Findings) -> Cors {
    let mut origins: Vec<_> = written
        .allow_origins
        .iter()
        .filter_map(|origin| conditions::text_match(&origin.value, &origin.place, findings))
        .collect();
    if origins.is_empty() {
        let old = written
            .allow_origin
            .iter()
            .map(|origin| crate::routing::TextMatch::Exact(origin.value.as_str().into()));
        origins.extend(old);
    }
    let mut joined = |spots: &[Spot<String>]| {
        let first = spots.first()?;
        let text: Vec<&str> = spots.iter().map(|spot| spot.value.as_str()).collect();
        value(&text.join(","), &first.place, findings)
    };
    let (methods, headers) = (joined(&written.allow_methods), joined(&written.allow_headers));
    let exposed = joined(&written.expose_headers);
    Cors {
        origins,
        methods,
        headers,
        exposed,
        max_age: written.max_age.as_ref().map(|age| HeaderValue::from(age.value.as_secs())),
        credentials: written.allow_credentials.as_ref().is_some_and(|allow| allow.value),
        forwards_unmatched: !written
            .unmatched_preflights
            .as_ref()
            .is_some_and(|unmatched| unmatched.value == UnmatchedPreflights::Ignore),
    }
}

fn header_ops(written: &Headers, findings: &mut Findings) -> HeaderOps {
    let mut authority = None;
    let request = written.request.as_ref().map(|side| header_side(side, Some(&mut authority), findings));
    let response = written.response.as_ref().map(|side| header_side(side, None, findings));
    HeaderOps { request: request.unwrap_or_default(), response: response.unwrap_or_default(), authority }
}

/// One direction. `host` and names with a colon are the authority's, or nobody's.
fn header_side(
    written: &HeaderOperations,
    mut authority: Option<&mut Option<HeaderValue>>,
    findings: &mut Findings,
) -> HeaderSide {
    let mut side = HeaderSide::default();
    let both: [(&BTreeMap<String, Spot<String>>, bool); 2] = [(&written.set, true), (&written.add, false)];
    for (entries, replaces) in both {
        for (name, spot) in entries {
            let means_authority =
                name.eq_ignore_ascii_case(":authority") || name.eq_ignore_ascii_case("host");
            if means_authority && let Some(authority) = authority.as_deref_mut() {
                // Of `set` and `add` the former holds.
                if authority.is_none() {
                    *authority = value(&spot.value, &spot.place, findings);
                }
            }
            if means_authority || name.starts_with(':') {
                continue;
            }
            if spot.value.contains('%') {
                let text = "sent as it is written: this version does not fill in Envoy's %COMMANDS%";
                findings.note(format!("header {name}"), text, &spot.place);
            }
            let name = self::name(name, &spot.place, findings);
            if let (Some(name), Some(value)) = (name, value(&spot.value, &spot.place, findings)) {
                side.put.push(HeaderPut { name, value, replaces });
            }
        }
    }
    let removed = written.remove.iter().filter(|name| !name.value.starts_with(':'));
    let removed = removed.filter(|name| !name.value.eq_ignore_ascii_case("host"));
    side.remove = removed.filter_map(|removed| name(&removed.value, &removed.place, findings)).collect();
    side
}

fn name(text: &str, place: &Place, findings: &mut Findings) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(text.as_bytes());
    if name.is_err() {
        findings.mistake(
            "bad-header",
            place,
            format!("`{text}` is no header name"),
            "letters, digits and hyphens",
            None,
        );
    }
    name.ok()
}

fn value(text: &str, place: &Place, findings: &mut Findings) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(text);
    if value.is_err() {
        findings.mistake(
            "bad-header",
            place,
            "a header value with control characters",
            "visible characters",
            None,
        );
    }
    value.ok()
}

/// Says by name what a rule asks for and does not get from this version.
fn note_what_is_not_acted_on(rule: &HttpRoute, findings: &mut Findings) {
    if let Some(spot) = rule.retries.as_ref().and_then(|retries| retries.retry_remote_localities.as_ref()) {
        let field = "retries.retryRemoteLocalities (nobody here knows where endpoints are)";
        findings.not_acted_on(field, &spot.place);
    }
    if let Some(prefix) = rule.matches.iter().find_map(|written| written.stat_prefix.as_ref()) {
        findings.not_acted_on("match.statPrefix (metrics have the rule's name)", &prefix.place);
    }
}

/// Puts the routes that accept everything behind all others, and keeps the order otherwise: what Istio
/// does where several VirtualServices share a gateway's host (`SortVHostRoutes`).
pub(super) fn catch_all_last(routes: Vec<Arc<Route>>) -> Vec<Arc<Route>> {
    let mut first = Vec::with_capacity(routes.len());
    let mut last = Vec::new();
    for route in routes {
        let (all, some): (Vec<Condition>, Vec<Condition>) =
            route.conditions.iter().cloned().partition(Condition::is_catch_all);
        if route.conditions.is_empty() || some.is_empty() && !all.is_empty() {
            last.push(route);
        } else if all.is_empty() {
            first.push(route);
        } else {
            // Istio makes a route of each block; only the one that accepts everything moves.
            last.push(Arc::new(Route { conditions: all, ..(*route).clone() }));
            first.push(Arc::new(Route { conditions: some, ..(*route).clone() }));
        }
    }
    first.append(&mut last);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        // RFC 4648 section 10.
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")]
        {
            assert_eq!(base64(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(base64("Zg=$"), None);
        assert_eq!(base64("Z"), None);
    }

    #[test]
    fn a_policy_of_an_operation_is_not_said_of_a_route_that_keeps_it_out() {
        let design = |method: &str| {
            let yaml = format!(
                r#"
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: inventory }}
spec:
  endpoints: [ {{ address: "127.0.0.1:7103" }} ]
  operations:
  - {{ name: allocate, http: {{ method: POST, path: /allocations }} }}
  - {{ name: stock, http: {{ method: GET, path: /stock }} }}
---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: {{ name: allocations }}
spec:
  targets: [ {{ operation: inventory.allocate }} ]
  retry: {{ tries: 3 }}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: stock }}
spec:
  hosts: [ shop.example ]
  http:
  - match: [ {{ method: {{ exact: {method} }} }} ]
    route: [ {{ destination: {{ host: inventory }} }} ]
    retries: {{ attempts: 3 }}
"#
            );
            crate::load(&[crate::Text { name: "design.yaml".into(), text: yaml }])
        };
        assert!(design("GET").is_ok());
        assert_eq!(design("POST").unwrap_err()[0].code, "said-twice");
    }
}
