//! Istio's VirtualService: which request goes where.

use crate::kinds::common::{Destination, Percent, StringMatch};
use crate::kinds::istio::{self, GRPC_STATUS, REFUSED};
use crate::kinds::{Documents, Meta};
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{Group, ISTIO, Kind};
use crate::read::names::{is_label, quoted};
use crate::read::record::{record, words};
use std::collections::BTreeMap;
use std::time::Duration;

record! {
    /// Which request goes where.
    pub struct VirtualService {
        /// The hosts it speaks for. Without any it is a delegate of another VirtualService.
        pub hosts: Vec<Spot<String>>,
        /// The gateways it is bound to; `mesh` when absent.
        pub gateways: Vec<Spot<String>>,
        /// Routes for HTTP, first match wins.
        pub http: Vec<Spot<HttpRoute>>,
        /// Routes for TLS passed through.
        pub tls: Vec<Spot<TlsRoute>>,
        /// Routes for TCP.
        pub tcp: Vec<Spot<TcpRoute>>,
        /// The namespaces that see it.
        pub export_to: Vec<Spot<String>>,
    }
}

record! {
    /// One rule: what it matches, and what is done with it.
    pub struct HttpRoute {
        /// A name for logs, metrics and `explain`.
        pub name: Option<Spot<String>>,
        /// The rule matches if one of these does, or if there is none.
        pub matches as "match": Vec<Spot<HttpMatch>>,
        /// Where matched requests go, by weight.
        pub route: Vec<Spot<HttpRouteDestination>>,
        /// Answer with a redirect.
        pub redirect: Option<Spot<HttpRedirect>>,
        /// Answer at once.
        pub direct_response: Option<Spot<HttpDirectResponse>>,
        /// Let another VirtualService decide.
        pub delegate: Option<Spot<Delegate>>,
        /// Change path or authority before the request is sent on.
        pub rewrite: Option<Spot<HttpRewrite>>,
        /// How long the whole call may take; without it, no limit.
        pub timeout: Option<Spot<Duration>>,
        /// Tries after the first.
        pub retries: Option<Spot<HttpRetry>>,
        /// Faults to inject.
        pub fault: Option<Spot<HttpFault>>,
        /// Where a copy of the request goes.
        pub mirror: Option<Spot<Destination>>,
        /// Where copies of the request go, each with its own share.
        pub mirrors: Vec<Spot<HttpMirror>>,
        /// The share to mirror, as it was spelt before `mirrorPercentage`.
        pub mirror_percent: Option<Spot<u32>>,
        /// The same, as it was spelt before that.
        pub mirror_percent_once as "mirror_percent": Option<Spot<u32>>,
        /// The share of requests that `mirror` copies; all of them when absent.
        pub mirror_percentage: Option<Spot<Percent>>,
        /// Cross-origin rules.
        pub cors_policy: Option<Spot<CorsPolicy>>,
        /// Header operations.
        pub headers: Option<Spot<Headers>>,
    } checked by check_route
}

record! {
    /// Conditions on a request; all have to hold.
    pub struct HttpMatch {
        /// A name for logs.
        pub name: Option<Spot<String>>,
        /// The path.
        pub uri: Option<Spot<StringMatch>>,
        /// The scheme.
        pub scheme: Option<Spot<StringMatch>>,
        /// The method.
        pub method: Option<Spot<StringMatch>>,
        /// The authority.
        pub authority: Option<Spot<StringMatch>>,
        /// Headers by lowercase name; `None` asks for presence only.
        pub headers: BTreeMap<String, Spot<Option<StringMatch>>>,
        /// Headers that must not match.
        pub without_headers: BTreeMap<String, Spot<Option<StringMatch>>>,
        /// Query parameters by name.
        pub query_params: BTreeMap<String, Spot<Option<StringMatch>>>,
        /// The port the request arrived at.
        pub port: Option<Spot<u16>>,
        /// Labels of the caller's workload.
        pub source_labels: BTreeMap<String, String>,
        /// The caller's namespace.
        pub source_namespace: Option<Spot<String>>,
        /// The gateways this condition holds for; the VirtualService's own when absent.
        pub gateways: Vec<Spot<String>>,
        /// Whether exact and prefix matches of the path ignore case.
        pub ignore_uri_case: Option<Spot<bool>>,
        /// A prefix for this route's statistics.
        pub stat_prefix: Option<Spot<String>>,
    } checked by check_match
}

record! {
    /// A destination and its share.
    pub struct HttpRouteDestination {
        /// Where.
        pub destination: Spot<Destination>,
        /// Its share relative to the sum of all.
        pub weight: Option<Spot<u32>>,
        /// Header operations for this destination alone.
        pub headers: Option<Spot<Headers>>,
    }
}

record! {
    /// An answer that sends the caller elsewhere.
    pub struct HttpRedirect {
        /// The new path; replaces the whole path.
        pub uri: Option<Spot<String>>,
        /// Or what replaces the prefix that matched; of another match than a prefix, the whole path.
        pub prefix_rewrite: Option<Spot<String>>,
        /// The new authority.
        pub authority: Option<Spot<String>>,
        /// The new port.
        pub port: Option<Spot<u16>>,
        /// Or where the new port comes from.
        pub derive_port: Option<Spot<RedirectPort>>,
        /// The new scheme.
        pub scheme: Option<Spot<String>>,
        /// The status; 301 when absent.
        pub redirect_code: Option<Spot<u32>>,
    } checked by check_redirect
}

words! {
    /// Where a redirect takes its port from.
    pub enum RedirectPort {
        /// The scheme's usual port.
        FromProtocolDefault = "FROM_PROTOCOL_DEFAULT",
        /// The port the request arrived at.
        FromRequestPort = "FROM_REQUEST_PORT",
    }
}

record! {
    /// An answer given at once.
    pub struct HttpDirectResponse {
        /// Its status.
        pub status: Spot<u32>,
        /// Its body; empty when absent.
        pub body: Option<Spot<HttpBody>>,
    } checked by check_direct_response
}

record! {
    /// A body, as text or as bytes.
    pub struct HttpBody {
        /// Text.
        pub string: Option<Spot<String>>,
        /// Bytes, in base 64.
        pub bytes: Option<Spot<String>>,
    } checked by check_body
}

record! {
    /// Another VirtualService that decides.
    pub struct Delegate {
        /// Its name.
        pub name: Option<Spot<String>>,
        /// Its namespace; the root's own when absent.
        pub namespace: Option<Spot<String>>,
    }
}

record! {
    /// What is changed before the request is sent on.
    pub struct HttpRewrite {
        /// The new path; where a prefix matched, it replaces the prefix alone.
        pub uri: Option<Spot<String>>,
        /// The new authority.
        pub authority: Option<Spot<String>>,
        /// A new path made with a regular expression.
        pub uri_regex_rewrite: Option<Spot<RegexRewrite>>,
    } checked by check_rewrite
}

record! {
    /// A rewrite by regular expression.
    pub struct RegexRewrite {
        /// What to replace, RE2.
        pub pattern as "match": Option<Spot<String>>,
        /// With what; `\1` is the first group.
        pub rewrite: Option<Spot<String>>,
    } checked by check_regex_rewrite
}

record! {
    /// Tries after the first.
    pub struct HttpRetry {
        /// How many tries may follow the first; 0 is none.
        pub attempts: Option<Spot<u32>>,
        /// How long each try may take, the first included.
        pub per_try_timeout: Option<Spot<Duration>>,
        /// After what, as a list of Envoy's conditions and status codes.
        pub retry_on: Option<Spot<String>>,
        /// Whether tries may go to other localities.
        pub retry_remote_localities: Option<Spot<bool>>,
        /// Whether hosts already tried are passed over; true when absent.
        pub retry_ignore_previous_hosts: Option<Spot<bool>>,
        /// The base of the exponential back-off; 25 ms when absent.
        pub backoff: Option<Spot<Duration>>,
    } checked by check_retry
}

record! {
    /// Faults to inject before a request is sent on.
    pub struct HttpFault {
        /// Hold requests back.
        pub delay: Option<Spot<FaultDelay>>,
        /// Answer requests instead of sending them on.
        pub abort: Option<Spot<FaultAbort>>,
    } checked by check_fault
}

record! {
    /// Hold requests back.
    pub struct FaultDelay {
        /// For this long.
        pub fixed_delay: Option<Spot<Duration>>,
        /// Read by no version of Istio.
        pub exponential_delay: Option<Spot<Duration>>,
        /// The share of requests; none when absent.
        pub percentage: Option<Spot<Percent>>,
        /// The share, as it was spelt before `percentage`.
        pub percent: Option<Spot<u32>>,
    } checked by check_delay
}

record! {
    /// Answer requests instead of sending them on.
    pub struct FaultAbort {
        /// With this status.
        pub http_status: Option<Spot<u32>>,
        /// With this gRPC status, by name or number.
        pub grpc_status: Option<Spot<String>>,
        /// Read by no version of Istio.
        pub http2_error: Option<Spot<String>>,
        /// The share of requests; none when absent.
        pub percentage: Option<Spot<Percent>>,
    } checked by check_abort
}

record! {
    /// Where a copy of the request goes.
    pub struct HttpMirror {
        /// Where.
        pub destination: Spot<Destination>,
        /// The share of requests; all when absent.
        pub percentage: Option<Spot<Percent>>,
    } checked by check_mirror
}

record! {
    /// Cross-origin rules.
    pub struct CorsPolicy {
        /// Origins, as they were spelt before `allowOrigins`.
        pub allow_origin: Vec<Spot<String>>,
        /// Origins that may ask.
        pub allow_origins: Vec<Spot<StringMatch>>,
        /// Methods they may use.
        pub allow_methods: Vec<Spot<String>>,
        /// Headers they may send.
        pub allow_headers: Vec<Spot<String>>,
        /// Headers they may read.
        pub expose_headers: Vec<Spot<String>>,
        /// How long a preflight's answer holds.
        pub max_age: Option<Spot<Duration>>,
        /// Whether credentials may be sent.
        pub allow_credentials: Option<Spot<bool>>,
        /// What happens to preflights that match no origin.
        pub unmatched_preflights: Option<Spot<UnmatchedPreflights>>,
    } checked by check_cors
}

words! {
    /// What happens to preflights that match no origin.
    pub enum UnmatchedPreflights {
        /// Istio's default, `FORWARD`.
        Unspecified = "UNSPECIFIED",
        /// They are sent on.
        Forward = "FORWARD",
        /// They are answered here, without permission.
        Ignore = "IGNORE",
    }
}

record! {
    /// Header operations, both ways.
    pub struct Headers {
        /// On the request.
        pub request: Option<HeaderOperations>,
        /// On the answer.
        pub response: Option<HeaderOperations>,
    } checked by check_headers
}

record! {
    /// Header operations.
    pub struct HeaderOperations {
        /// Replace these.
        pub set: BTreeMap<String, Spot<String>>,
        /// Append these.
        pub add: BTreeMap<String, Spot<String>>,
        /// Remove these.
        pub remove: Vec<Spot<String>>,
    }
}

record! {
    /// A rule for TLS passed through.
    pub struct TlsRoute {
        /// The rule matches if one of these does.
        pub matches as "match": Vec<Spot<TlsMatch>>,
        /// Where connections go, by weight.
        pub route: Vec<Spot<RouteDestination>>,
    } checked by check_tls_route
}

record! {
    /// Conditions on a TLS connection.
    pub struct TlsMatch {
        /// Server names.
        pub sni_hosts: Vec<Spot<String>>,
        /// Destination subnets.
        pub destination_subnets: Vec<Spot<String>>,
        /// The port the connection arrived at.
        pub port: Option<Spot<u16>>,
        /// Labels of the caller's workload.
        pub source_labels: BTreeMap<String, String>,
        /// The gateways this condition holds for.
        pub gateways: Vec<Spot<String>>,
        /// The caller's namespace.
        pub source_namespace: Option<Spot<String>>,
    } checked by check_tls_match
}

record! {
    /// A rule for TCP.
    pub struct TcpRoute {
        /// The rule matches if one of these does, or if there is none.
        pub matches as "match": Vec<Spot<L4Match>>,
        /// Where connections go, by weight.
        pub route: Vec<Spot<RouteDestination>>,
    } checked by check_tcp_route
}

record! {
    /// Conditions on a TCP connection.
    pub struct L4Match {
        /// Destination subnets.
        pub destination_subnets: Vec<Spot<String>>,
        /// The port the connection arrived at.
        pub port: Option<Spot<u16>>,
        /// The caller's subnet; read by no version of Istio.
        pub source_subnet: Option<Spot<String>>,
        /// Labels of the caller's workload.
        pub source_labels: BTreeMap<String, String>,
        /// The gateways this condition holds for.
        pub gateways: Vec<Spot<String>>,
        /// The caller's namespace.
        pub source_namespace: Option<Spot<String>>,
    } checked by check_l4_match
}

record! {
    /// A destination of connections and its share.
    pub struct RouteDestination {
        /// Where.
        pub destination: Spot<Destination>,
        /// Its share relative to the sum of all.
        pub weight: Option<Spot<u32>>,
    }
}

impl Kind for VirtualService {
    const KIND: &'static str = "VirtualService";
    const GROUP: Group = ISTIO;

    fn check(meta: &Meta, spec: &Self, place: &Place, mistakes: &mut Mistakes) {
        istio::export_to(&spec.export_to, &meta.namespace, false, mistakes);
        istio::gateway_names(&spec.gateways, mistakes);
        check_hosts(spec, mistakes);
        check_claims(spec, mistakes);
        if spec.hosts.is_empty() {
            check_as_delegate(spec, mistakes);
        }
        if spec.http.is_empty() && spec.tcp.is_empty() && spec.tls.is_empty() {
            mistakes.add(REFUSED, place, "no routes", "at least one of `http`, `tls` and `tcp`");
        }
        for sni in spec.tls.iter().flat_map(|route| &route.matches).flat_map(|matcher| &matcher.sni_hosts) {
            let known = spec.hosts.iter().any(|host| istio::host_within(sni, host));
            if !known && !istio::is_address(sni) {
                let found = format!("the server name {}", quoted(sni));
                mistakes.add(REFUSED, &sni.place, found, "one that the document's `hosts` include");
            }
        }
    }
}

/// What a document without hosts has to be: a delegate that some other document names.
pub(crate) fn check_delegates(documents: &Documents, mistakes: &mut Mistakes) {
    let roots = || {
        documents.virtual_services.iter().flat_map(|doc| doc.spec.http.iter().map(move |http| (doc, http)))
    };
    for doc in documents.virtual_services.iter().filter(|doc| doc.spec.hosts.is_empty()) {
        let path = format!("{}.hosts", doc.place.path);
        if mistakes.any(|mistake| {
            mistake.place.resource == doc.place.resource && mistake.place.path.starts_with(&path)
        }) {
            continue;
        }
        let named = roots().filter_map(|(root, http)| Some((root, http.delegate.as_ref()?))).any(
            |(root, delegate)| {
                let namespace = delegate.namespace.as_deref().filter(|namespace| !namespace.is_empty());
                delegate.name.as_deref().is_some_and(|name| *name == doc.meta.name)
                    && namespace.unwrap_or(&root.meta.namespace) == &doc.meta.namespace
            },
        );
        if !named || doc.meta.name.is_empty() {
            let place = Place { path: path.into(), ..doc.place.clone() };
            let found = "no `hosts`, and no other VirtualService delegates to it";
            mistakes.add("missing-field", &place, found, "the hosts it speaks for");
        }
    }
}

/// Whether it is bound to gateways alone. One that names none is bound to the mesh.
fn gateways_only(spec: &VirtualService) -> bool {
    !spec.gateways.is_empty() && spec.gateways.iter().all(|gateway| gateway.value != "mesh")
}

fn check_hosts(spec: &VirtualService, mistakes: &mut Mistakes) {
    let gateway = gateways_only(spec);
    let mut all_fit = true;
    for host in &spec.hosts {
        // Gateways for other clusters name hosts of the form outbound_.port_._.host.
        let sni = gateway && host.starts_with("outbound_");
        if !sni && !istio::is_address(host) && !istio::is_wildcard_host(host) {
            istio::wildcard_host(host, mistakes);
            all_fit = false;
        } else if host.value == "*" && !gateway {
            let expected = "hosts by name; `*` is for VirtualServices that are bound to gateways alone";
            mistakes.add(REFUSED, &host.place, "`*` as a host of the mesh", expected);
            all_fit = false;
        }
    }
    if !all_fit {
        return;
    }
    for (index, second) in spec.hosts.iter().enumerate() {
        if let Some(first) = spec.hosts[..index].iter().find(|first| istio::hosts_overlap(first, second)) {
            let found = format!("{} beside {}", quoted(second), quoted(first));
            let mistake =
                mistakes.add(REFUSED, &second.place, found, "hosts that do not include one another");
            mistake.also(first.place.clone());
        }
    }
}

/// The beginning of header names that mean a claim of the caller's token.
const CLAIMS: &str = "@request.auth.claims";

fn check_claims(spec: &VirtualService, mistakes: &mut Mistakes) {
    if gateways_only(spec) {
        return;
    }
    for matcher in spec.http.iter().flat_map(|http| &http.matches) {
        for (name, header) in matcher.headers.iter().chain(&matcher.without_headers) {
            if name.starts_with(CLAIMS) {
                let found = format!("a match on the claim {}", quoted(name));
                let expected = "such matches only where the VirtualService is bound to gateways alone";
                mistakes.add(REFUSED, &header.place, found, expected);
            }
        }
    }
}

/// A delegate has no door of its own and hands nothing on.
fn check_as_delegate(spec: &VirtualService, mistakes: &mut Mistakes) {
    let extra = spec.gateways.first().map(|gateway| (&gateway.place, "gateways"));
    let extra = extra.into_iter().chain(spec.tls.first().map(|tls| (&tls.place, "tls")));
    let extra = extra.chain(spec.tcp.first().map(|tcp| (&tcp.place, "tcp")));
    for (place, field) in extra {
        let found = format!("`{field}` without `hosts`");
        mistakes.add(
            REFUSED,
            place,
            found,
            "none: a VirtualService without hosts is a delegate, for HTTP only",
        );
    }
    for http in &spec.http {
        if let Some(delegate) = &http.delegate {
            let found = "a delegate that delegates";
            mistakes.add(REFUSED, &delegate.place, found, "one level of delegation");
        }
        http.matches.iter().for_each(|matcher| check_no_regex(matcher, mistakes));
    }
}

/// Where rules are handed on, Istio has to compare conditions, and cannot compare expressions.
fn check_no_regex(matcher: &HttpMatch, mistakes: &mut Mistakes) {
    let plain = [&matcher.uri, &matcher.scheme, &matcher.method, &matcher.authority];
    let plain = plain.into_iter().flatten().map(|spot| (&spot.value, &spot.place));
    let maps = [&matcher.headers, &matcher.without_headers, &matcher.query_params];
    let maps =
        maps.into_iter().flat_map(BTreeMap::values).filter_map(|s| Some((s.value.as_ref()?, &s.place)));
    for (matcher, place) in plain.chain(maps) {
        if matches!(matcher, StringMatch::Regex(_)) {
            mistakes.add(REFUSED, place, "a regular expression in a delegated route", "exact or prefix");
        }
    }
}

fn check_route(route: &HttpRoute, place: &Place, mistakes: &mut Mistakes) {
    let first = route.route.first().map(|first| ("route", &first.place));
    let redirect = route.redirect.as_ref().map(|spot| ("redirect", &spot.place));
    let direct = route.direct_response.as_ref().map(|spot| ("directResponse", &spot.place));
    let delegate = route.delegate.as_ref().map(|spot| ("delegate", &spot.place));
    let fault = route.fault.as_ref().map(|spot| ("fault", &spot.place));
    let rewrite = route.rewrite.as_ref().map(|spot| ("rewrite", &spot.place));
    let mirror = route.mirror.as_ref().map(|spot| ("mirror", &spot.place));
    let mirrors = route.mirrors.first().map(|spot| ("mirrors", &spot.place));

    let pairs = [
        (redirect, first),
        (redirect, fault),
        (redirect, rewrite),
        (direct, first),
        (direct, redirect),
        (direct, fault),
        (direct, rewrite),
        (delegate, first),
        (delegate, redirect),
        (delegate, direct),
        (mirror, mirrors),
    ];
    for ((one, one_place), (other, other_place)) in
        pairs.into_iter().filter_map(|(one, other)| one.zip(other))
    {
        let found = format!("`{one}` and `{other}` in one rule");
        mistakes.add(REFUSED, one_place, found, "one of them").also(other_place.clone());
    }
    if [first, redirect, direct, delegate].iter().all(Option::is_none) {
        let expected = "one of `route`, `redirect`, `directResponse` and `delegate`";
        mistakes.add(REFUSED, place, "a rule that leads nowhere", expected);
    }
    if delegate.is_some() {
        route.matches.iter().for_each(|matcher| check_no_regex(matcher, mistakes));
    }
    istio::duration(route.timeout.as_ref(), mistakes);
    istio::whole_percent(route.mirror_percent.as_ref().or(route.mirror_percent_once.as_ref()), mistakes);
    istio::percentage(route.mirror_percentage.as_ref(), mistakes);
    check_weights(route.route.iter().map(|to| &to.weight), place, mistakes);
    check_authority(route, mistakes);
}

/// The authority may be set in one place alone.
fn check_authority(route: &HttpRoute, mistakes: &mut Mistakes) {
    let rewrite =
        route.rewrite.as_ref().and_then(|rewrite| rewrite.authority.as_ref()).map(|spot| &spot.place);
    let request = route.headers.as_ref().and_then(|headers| headers.request.as_ref());
    let headers = request.into_iter().flat_map(|request| request.set.iter().chain(&request.add));
    let headers = headers.filter(|(name, _)| is_authority(name)).map(|(_, value)| &value.place);
    let places: Vec<&Place> = rewrite.into_iter().chain(headers).collect();
    if let [first, second, ..] = places.as_slice() {
        let found = "the authority set a second time";
        mistakes.add(REFUSED, second, found, "one place that sets it").also((*first).clone());
    }
}

fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority")
}

/// Several destinations need a weight between them.
fn check_weights<'w>(
    weights: impl ExactSizeIterator<Item = &'w Option<Spot<u32>>>,
    place: &Place,
    mistakes: &mut Mistakes,
) {
    let count = weights.len();
    let total: u64 = weights.flatten().map(|weight| u64::from(weight.value)).sum();
    if count > 1 && total == 0 {
        let found = format!("{count} destinations without any weight");
        mistakes.add(REFUSED, place, found, "a `weight` above 0 for at least one of them");
    }
    // Istio's weights are 32-bit and signed, and so is their sum in Envoy.
    if total > i32::MAX as u64 {
        mistakes.add(REFUSED, place, format!("weights that sum up to {total}"), "a sum below 2^31");
    }
}

fn check_match(matcher: &HttpMatch, place: &Place, mistakes: &mut Mistakes) {
    if let Some(uri) = &matcher.uri {
        istio::string_match(uri, &uri.place, true, mistakes);
    }
    for spot in [&matcher.scheme, &matcher.method, &matcher.authority].into_iter().flatten() {
        istio::string_match(spot, &spot.place, false, mistakes);
    }
    for (name, spot) in matcher.headers.iter().chain(&matcher.without_headers) {
        if !istio::is_header(name) && !name.starts_with(CLAIMS) {
            let found = format!("the header name {}", quoted(name));
            mistakes.add(REFUSED, &spot.place, found, "letters, digits, `-` and `_`");
        }
        // The regex `*` is Istio's word for presence among `withoutHeaders`.
        let presence = matches!(&spot.value, Some(StringMatch::Regex(text)) if text == "*");
        let without = matcher.without_headers.contains_key(name);
        if let Some(header) = spot.value.as_ref().filter(|_| !(presence && without)) {
            istio::string_match(header, &spot.place, false, mistakes);
        }
    }
    for spot in matcher.query_params.values() {
        if let Some(parameter) = &spot.value {
            istio::string_match(parameter, &spot.place, false, mistakes);
        }
    }
    if let Some(port) = matcher.port.as_ref().filter(|port| port.value != 0) {
        istio::port(port, mistakes);
    }
    check_source(&matcher.source_labels, matcher.source_namespace.as_ref(), place, mistakes);
    istio::gateway_names(&matcher.gateways, mistakes);
}

fn check_source(
    labels: &BTreeMap<String, String>,
    namespace: Option<&Spot<String>>,
    place: &Place,
    mistakes: &mut Mistakes,
) {
    istio::labels(labels, place, mistakes);
    if let Some(namespace) = namespace.filter(|namespace| !namespace.is_empty() && !is_label(namespace)) {
        mistakes.add(REFUSED, &namespace.place, quoted(namespace), "a namespace");
    }
}

fn check_redirect(redirect: &HttpRedirect, place: &Place, mistakes: &mut Mistakes) {
    let HttpRedirect { uri, prefix_rewrite, authority, port, derive_port, scheme, redirect_code } = redirect;
    let texts = [uri, prefix_rewrite, authority, scheme];
    let empty = texts.into_iter().flatten().all(|text| text.is_empty());
    if empty && port.is_none() && derive_port.is_none() {
        mistakes.add(
            REFUSED,
            place,
            "a redirect to the same place",
            "`uri`, `authority`, `scheme` or a port",
        );
    }
    if let (Some(uri), Some(prefix)) = (uri, prefix_rewrite) {
        let found = "`uri` and `prefixRewrite` together";
        mistakes.add(REFUSED, &prefix.place, found, "one of them").also(uri.place.clone());
    }
    if let (Some(port), Some(derived)) = (port, derive_port) {
        let found = "`port` and `derivePort` together";
        mistakes.add(REFUSED, &derived.place, found, "one of them").also(port.place.clone());
    }
    if let Some(port) = port {
        istio::port(port, mistakes);
    }
    if let Some(code) = redirect_code.as_ref().filter(|code| !matches!(code.value, 0 | 300..=399)) {
        mistakes.add(REFUSED, &code.place, format!("the status {}", code.value), "300 to 399 for a redirect");
    }
    if let Some(scheme) = scheme.as_ref().filter(|scheme| !matches!(scheme.as_str(), "" | "http" | "https")) {
        mistakes.add(REFUSED, &scheme.place, quoted(scheme), "http or https");
    }
}

fn check_status(status: &Spot<u32>, mistakes: &mut Mistakes) {
    if !(200..=599).contains(&status.value) {
        mistakes.add(REFUSED, &status.place, format!("the status {}", status.value), "200 to 599");
    }
}

fn check_direct_response(response: &HttpDirectResponse, _: &Place, mistakes: &mut Mistakes) {
    check_status(&response.status, mistakes);
}

fn check_body(body: &HttpBody, place: &Place, mistakes: &mut Mistakes) {
    // Istio's limit: such bodies travel with the configuration.
    const BYTES_MAX: usize = 1 << 20;
    if let (Some(text), Some(bytes)) = (&body.string, &body.bytes) {
        let found = "`string` and `bytes` together";
        mistakes.add(REFUSED, &bytes.place, found, "one of them").also(text.place.clone());
    }
    let text = body.string.as_ref().map_or(0, |text| text.len());
    let bytes = body.bytes.as_ref().map_or(0, |bytes| bytes.len() / 4 * 3);
    if text > BYTES_MAX || bytes > BYTES_MAX {
        mistakes.add(REFUSED, place, format!("a body of {} bytes", text.max(bytes)), "at most 1 MiB");
    }
}

fn check_rewrite(rewrite: &HttpRewrite, place: &Place, mistakes: &mut Mistakes) {
    let written = |text: &Option<Spot<String>>| text.as_ref().is_some_and(|text| !text.is_empty());
    let HttpRewrite { uri, authority, uri_regex_rewrite } = rewrite;
    if let Some(regex) = uri_regex_rewrite.as_ref().filter(|_| written(uri)) {
        mistakes.add(REFUSED, &regex.place, "`uri` and `uriRegexRewrite` together", "one of them");
    }
    if !written(uri) && !written(authority) && uri_regex_rewrite.is_none() {
        let expected = "`uri`, `uriRegexRewrite` or `authority`";
        mistakes.add(REFUSED, place, "a rewrite that changes nothing", expected);
    }
}

fn check_regex_rewrite(rewrite: &RegexRewrite, place: &Place, mistakes: &mut Mistakes) {
    let written = |text: &Option<Spot<String>>| text.as_ref().is_some_and(|text| !text.is_empty());
    if !written(&rewrite.pattern) || !written(&rewrite.rewrite) {
        mistakes.add(REFUSED, place, "half a rewrite", "both `match` and `rewrite`");
    } else if let Some(pattern) = &rewrite.pattern {
        istio::regex(pattern, &pattern.place, mistakes);
    }
}

fn check_retry(retry: &HttpRetry, place: &Place, mistakes: &mut Mistakes) {
    let HttpRetry { attempts, per_try_timeout, retry_on, retry_remote_localities, .. } = retry;
    let none = attempts.as_ref().is_none_or(|attempts| attempts.value == 0);
    let more = per_try_timeout.as_ref().map(|_| "perTryTimeout");
    let more = more.or(retry_on.as_ref().filter(|on| !on.is_empty()).map(|_| "retryOn"));
    let more = more.or(retry_remote_localities.as_ref().map(|_| "retryRemoteLocalities"));
    if let Some(field) = more.filter(|_| none) {
        let found = format!("`{field}` while `attempts` is 0, which is no retries at all");
        let place = attempts.as_ref().map_or(place, |attempts| &attempts.place);
        mistakes.add(REFUSED, place, found, "`attempts` of at least 1, or nothing beside it");
    }
    istio::duration(per_try_timeout.as_ref(), mistakes);
    istio::duration(retry.backoff.as_ref(), mistakes);
    if let Some(on) = retry_on.as_ref().filter(|on| !on.is_empty()) {
        on.split(',').for_each(|word| check_retry_on(word, on, mistakes));
    }
}

/// The words of Envoy's `retry_on` and `retry_grpc_on` that Istio takes.
const RETRY_ON: [&str; 16] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "envoy-ratelimited",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

fn check_retry_on(word: &str, all: &Spot<String>, mistakes: &mut Mistakes) {
    let status = word.parse().is_ok_and(istio::is_named_status);
    if status || RETRY_ON.contains(&word) {
        return;
    }
    let expected = format!("a status of HTTP or one of {}", RETRY_ON.join(", "));
    let found = format!("the condition {}", quoted(word));
    let mistake = mistakes.add(REFUSED, &all.place, found, expected);
    let trimmed = word.trim();
    if trimmed != word {
        mistake.hint("no spaces around the commas");
    } else if let Some(meant) = crate::read::suggest::nearest(word, RETRY_ON) {
        mistake.hint(format!("did you mean {meant}?"));
    }
}

fn check_fault(fault: &HttpFault, place: &Place, mistakes: &mut Mistakes) {
    if fault.delay.is_none() && fault.abort.is_none() {
        mistakes.add(REFUSED, place, "a fault that does nothing", "`delay` or `abort`");
    }
}

fn check_delay(delay: &FaultDelay, _: &Place, mistakes: &mut Mistakes) {
    istio::percentage(delay.percentage.as_ref(), mistakes);
    istio::whole_percent(delay.percent.as_ref(), mistakes);
    istio::duration(delay.fixed_delay.as_ref(), mistakes);
    if let Some(exponential) = &delay.exponential_delay {
        mistakes.add(
            REFUSED,
            &exponential.place,
            "`exponentialDelay`",
            "`fixedDelay`; no Istio has the other",
        );
    }
}

fn check_abort(abort: &FaultAbort, place: &Place, mistakes: &mut Mistakes) {
    istio::percentage(abort.percentage.as_ref(), mistakes);
    if let Some(status) = &abort.http_status {
        check_status(status, mistakes);
    }
    if let Some(status) = abort.grpc_status.as_ref().filter(|status| !GRPC_STATUS.contains(&status.as_str()))
    {
        let found = format!("the gRPC status {}", quoted(status));
        mistakes.add(REFUSED, &status.place, found, format!("one of {}", GRPC_STATUS.join(", ")));
    }
    if let Some(error) = &abort.http2_error {
        let expected = "`httpStatus` or `grpcStatus`; no Istio has the other";
        mistakes.add(REFUSED, &error.place, "`http2Error`", expected);
    }
    if abort.http_status.is_some() && abort.grpc_status.is_some() {
        mistakes.add(REFUSED, place, "`httpStatus` and `grpcStatus` together", "one of them");
    }
}

fn check_mirror(mirror: &HttpMirror, _: &Place, mistakes: &mut Mistakes) {
    istio::percentage(mirror.percentage.as_ref(), mistakes);
}

/// The methods that Go, and therefore Istio, knows.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"];

fn check_cors(cors: &CorsPolicy, _: &Place, mistakes: &mut Mistakes) {
    for origin in &cors.allow_origins {
        match &origin.value {
            StringMatch::Regex(text) => istio::regex(text, &origin.place, mistakes),
            StringMatch::Exact(text) | StringMatch::Prefix(text) if text.is_empty() => {
                mistakes.add(REFUSED, &origin.place, "an empty origin", "an origin");
            }
            StringMatch::Exact(_) | StringMatch::Prefix(_) => {}
        }
    }
    for method in cors.allow_methods.iter().filter(|method| !METHODS.contains(&method.as_str())) {
        let expected = format!("one of {}", METHODS.join(", "));
        mistakes.add(REFUSED, &method.place, format!("the method {}", quoted(method)), expected);
    }
    for header in cors.allow_headers.iter().chain(&cors.expose_headers) {
        if header.value != "*" && !istio::is_header(header) {
            let found = format!("the header name {}", quoted(header));
            mistakes.add(REFUSED, &header.place, found, "letters, digits, `-` and `_`");
        }
    }
    if let Some(age) = &cors.max_age {
        if age.value.subsec_nanos() != 0 {
            mistakes.add(REFUSED, &age.place, "a part of a second", "whole seconds");
        } else {
            istio::duration(Some(age), mistakes);
        }
    }
}

fn check_headers(headers: &Headers, _: &Place, mistakes: &mut Mistakes) {
    let sides = [(&headers.request, true), (&headers.response, false)];
    for (operations, request) in sides {
        let Some(operations) = operations else { continue };
        for (name, value) in operations.set.iter().chain(&operations.add) {
            check_header_name(name, request, &value.place, mistakes);
            check_header_value(value, mistakes);
        }
        for name in &operations.remove {
            check_header_name(name, false, &name.place, mistakes);
        }
    }
}

fn check_header_name(name: &str, may_be_authority: bool, place: &Place, mistakes: &mut Mistakes) {
    let internal = name.starts_with(':') || name.eq_ignore_ascii_case("host");
    if name.is_empty() {
        mistakes.add(REFUSED, place, "an empty header name", "a header's name");
    } else if internal && !(may_be_authority && is_authority(name)) {
        let expected =
            "a header of one's own; of those that HTTP keeps, a request's authority alone may be set";
        mistakes.add(REFUSED, place, format!("the header {}", quoted(name)), expected);
    }
}

/// No control characters, and every `%` either doubled or one of a pair around a name.
fn check_header_value(value: &Spot<String>, mistakes: &mut Mistakes) {
    if value.bytes().any(|b| b != b'\t' && (b < 0x20 || b == 0x7f)) {
        mistakes.add(REFUSED, &value.place, "a control character in a header's value", "text");
        return;
    }
    let mut inside = false;
    let mut rest = value.as_str();
    while let Some(at) = rest.find('%') {
        rest = &rest[at + 1..];
        match rest.strip_prefix('%') {
            Some(after) if !inside => rest = after,
            _ => inside = !inside,
        }
    }
    if inside {
        let found = format!("a single `%` in {}", quoted(value));
        mistakes.add(
            REFUSED,
            &value.place,
            found,
            "`%%` for the sign, or `%NAME%` for a value of the request",
        );
    }
}

fn check_tls_route(route: &TlsRoute, place: &Place, mistakes: &mut Mistakes) {
    if route.matches.is_empty() {
        mistakes.add(REFUSED, place, "a TLS rule without `match`", "at least one condition");
    }
    check_destinations(&route.route, place, mistakes);
}

fn check_tls_match(matcher: &TlsMatch, place: &Place, mistakes: &mut Mistakes) {
    if matcher.sni_hosts.is_empty() {
        mistakes.add(REFUSED, place, "a TLS condition without `sniHosts`", "at least one server name");
    }
    for host in &matcher.sni_hosts {
        if !istio::is_address(host) && !host.starts_with("outbound_") {
            istio::wildcard_host(host, mistakes);
        }
    }
    matcher.destination_subnets.iter().for_each(|subnet| istio::subnet(subnet, mistakes));
    if let Some(port) = matcher.port.as_ref().filter(|port| port.value != 0) {
        istio::port(port, mistakes);
    }
    check_source(&matcher.source_labels, matcher.source_namespace.as_ref(), place, mistakes);
    istio::gateway_names(&matcher.gateways, mistakes);
}

fn check_tcp_route(route: &TcpRoute, place: &Place, mistakes: &mut Mistakes) {
    check_destinations(&route.route, place, mistakes);
}

fn check_l4_match(matcher: &L4Match, place: &Place, mistakes: &mut Mistakes) {
    matcher.destination_subnets.iter().for_each(|subnet| istio::subnet(subnet, mistakes));
    if let Some(port) = matcher.port.as_ref().filter(|port| port.value != 0) {
        istio::port(port, mistakes);
    }
    check_source(&matcher.source_labels, matcher.source_namespace.as_ref(), place, mistakes);
    istio::gateway_names(&matcher.gateways, mistakes);
}

fn check_destinations(route: &[Spot<RouteDestination>], place: &Place, mistakes: &mut Mistakes) {
    if route.is_empty() {
        mistakes.add(REFUSED, place, "a rule that leads nowhere", "`route` with at least one destination");
    }
    check_weights(route.iter().map(|to| &to.weight), place, mistakes);
}
