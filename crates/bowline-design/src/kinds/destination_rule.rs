//! Istio's DestinationRule: how a destination is called once it is chosen.

use crate::format::format_duration;
use crate::kinds::Meta;
use crate::kinds::common::PortSelector;
use crate::kinds::istio::{self, REFUSED};
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{Group, ISTIO, Kind};
use crate::read::names::quoted;
use crate::read::reader::Ignored;
use crate::read::record::{record, words};
use std::collections::BTreeMap;
use std::time::Duration;

record! {
    /// How a destination is called once it is chosen.
    pub struct DestinationRule {
        /// The host it is about; a short name belongs to the document's namespace.
        pub host: Spot<String>,
        /// For all of the host.
        pub traffic_policy: Option<Spot<TrafficPolicy>>,
        /// Named parts of the host, by label.
        pub subsets: Vec<Spot<Subset>>,
        /// The namespaces that see it.
        pub export_to: Vec<Spot<String>>,
        /// The callers it is for.
        pub workload_selector: Option<Spot<WorkloadSelector>>,
    }
}

record! {
    /// Which workloads a document is for.
    pub struct WorkloadSelector {
        /// Those with all of these labels.
        pub match_labels: BTreeMap<String, String>,
    } checked by check_selector
}

record! {
    /// A named part of a host.
    pub struct Subset {
        /// Its name.
        pub name: Option<Spot<String>>,
        /// Endpoints that carry all of these labels belong to it.
        pub labels: BTreeMap<String, String>,
        /// What differs from the host's own policy, field by field.
        pub traffic_policy: Option<Spot<TrafficPolicy>>,
    } checked by check_subset
}

record! {
    /// Load balancing, connections and ejection.
    pub struct TrafficPolicy {
        /// How an endpoint is picked.
        pub load_balancer: Option<Spot<LoadBalancer>>,
        /// How many connections and requests.
        pub connection_pool: Option<Spot<ConnectionPool>>,
        /// When an endpoint is left out for a while.
        pub outlier_detection: Option<Spot<OutlierDetection>>,
        /// TLS to the destination.
        pub tls: Option<Spot<ClientTls>>,
        /// Per port; what is absent there does not come from the fields above.
        pub port_level_settings: Vec<Spot<PortPolicy>>,
        /// A tunnel to the destination.
        pub tunnel: Option<Spot<Tunnel>>,
        /// Whether the PROXY protocol is spoken.
        pub proxy_protocol: Option<Spot<ProxyProtocol>>,
        /// How many retries may be under way relative to all requests.
        pub retry_budget: Option<Spot<RetryBudget>>,
    } checked by check_policy
}

record! {
    /// The policy of one port.
    pub struct PortPolicy {
        /// Which.
        pub port: Option<Spot<PortSelector>>,
        /// How an endpoint is picked.
        pub load_balancer: Option<Spot<LoadBalancer>>,
        /// How many connections and requests.
        pub connection_pool: Option<Spot<ConnectionPool>>,
        /// When an endpoint is left out for a while.
        pub outlier_detection: Option<Spot<OutlierDetection>>,
        /// TLS to the destination.
        pub tls: Option<Spot<ClientTls>>,
    } checked by check_port_policy
}

record! {
    /// How an endpoint is picked.
    pub struct LoadBalancer {
        /// By one of the simple ways.
        pub simple: Option<Spot<SimpleBalancer>>,
        /// By a hash of the request.
        pub consistent_hash: Option<Spot<ConsistentHash>>,
        /// By where caller and endpoint are.
        pub locality_lb_setting: Option<Spot<LocalitySetting>>,
        /// By zone.
        pub zone_aware_lb_setting: Option<Spot<ZoneAwareSetting>>,
        /// How long an endpoint warms up, as it was spelt before `warmup`.
        pub warmup_duration_secs: Option<Spot<Duration>>,
        /// How an endpoint warms up.
        pub warmup: Option<Spot<Warmup>>,
        /// By what endpoints say of their load.
        pub(crate) backend_utilization: Option<Spot<Ignored>>,
    } checked by check_balancer
}

words! {
    /// The simple ways to pick an endpoint.
    pub enum SimpleBalancer {
        /// Istio picks.
        Unspecified = "UNSPECIFIED",
        /// The older spelling of `LEAST_REQUEST`.
        LeastConn = "LEAST_CONN",
        /// Any.
        Random = "RANDOM",
        /// The address the caller asked for.
        Passthrough = "PASSTHROUGH",
        /// One after the other.
        RoundRobin = "ROUND_ROBIN",
        /// The one with fewer requests under way, of two picked at random.
        LeastRequest = "LEAST_REQUEST",
    }
}

record! {
    /// By a hash of the request.
    pub struct ConsistentHash {
        /// Of this header.
        pub http_header_name: Option<Spot<String>>,
        /// Of this cookie.
        pub http_cookie: Option<Spot<HttpCookie>>,
        /// Of the caller's address.
        pub use_source_ip: Option<Spot<bool>>,
        /// Of this query parameter.
        pub http_query_parameter_name: Option<Spot<String>>,
        /// On a ring.
        pub ring_hash: Option<Spot<RingHash>>,
        /// On a Maglev table.
        pub maglev: Option<Spot<Maglev>>,
        /// The ring's size, as it was spelt before `ringHash`.
        pub minimum_ring_size: Option<Spot<u64>>,
    } checked by check_hash
}

record! {
    /// The cookie to hash.
    pub struct HttpCookie {
        /// Its name.
        pub name: Option<Spot<String>>,
        /// Its path, where it is made.
        pub path: Option<Spot<String>>,
        /// How long it lives, where it is made.
        pub ttl: Option<Spot<Duration>>,
        /// Its attributes, where it is made.
        pub attributes: Vec<Spot<CookieAttribute>>,
    } checked by check_cookie
}

record! {
    /// An attribute of a cookie.
    pub struct CookieAttribute {
        /// Its name.
        pub name: Option<Spot<String>>,
        /// Its value.
        pub value: Option<Spot<String>>,
    }
}

record! {
    /// A ring of hashes.
    pub struct RingHash {
        /// At least this many entries; 1024 when absent.
        pub minimum_ring_size: Option<Spot<u64>>,
    }
}

record! {
    /// A Maglev table.
    pub struct Maglev {
        /// Its size, a prime; 65537 when absent.
        pub table_size: Option<Spot<u64>>,
    } checked by check_maglev
}

record! {
    /// By where caller and endpoint are.
    pub struct LocalitySetting {
        /// Shares by region.
        pub distribute: Vec<Spot<Distribute>>,
        /// Where to go when a region fails.
        pub failover: Vec<Spot<Failover>>,
        /// Labels that decide what is near, most important first.
        pub failover_priority: Vec<Spot<String>>,
        /// Whether any of this is on.
        pub enabled: Option<Spot<bool>>,
    } checked by check_locality
}

record! {
    /// Shares by region.
    pub struct Distribute {
        /// Calls from here.
        pub from: Option<Spot<String>>,
        /// Go there, in percent.
        pub to: BTreeMap<String, Spot<u32>>,
    } checked by check_distribute
}

record! {
    /// Where to go when a region fails.
    pub struct Failover {
        /// This region.
        pub from: Option<Spot<String>>,
        /// That region.
        pub to: Option<Spot<String>>,
    } checked by check_failover
}

record! {
    /// By zone.
    pub struct ZoneAwareSetting {
        /// Whether it is on.
        pub enabled: Option<Spot<bool>>,
        /// Where to go when a region fails.
        pub failover: Vec<Spot<Failover>>,
        /// Labels that decide what is near, most important first.
        pub failover_priority: Vec<Spot<String>>,
        /// Below this many endpoints zones are ignored.
        pub min_cluster_size: Option<Spot<u32>>,
    }
}

record! {
    /// How an endpoint warms up.
    pub struct Warmup {
        /// For this long.
        pub duration: Option<Spot<Duration>>,
        /// Starting with this share; 10 when absent.
        pub minimum_percent: Option<Spot<f64>>,
        /// How steeply; 1 when absent.
        pub aggression: Option<Spot<f64>>,
    } checked by check_warmup
}

record! {
    /// How many connections and requests.
    pub struct ConnectionPool {
        /// Connections.
        pub tcp: Option<Spot<TcpSettings>>,
        /// Requests.
        pub http: Option<Spot<HttpSettings>>,
    } checked by check_pool
}

record! {
    /// Connections.
    pub struct TcpSettings {
        /// At most this many.
        pub max_connections: Option<Spot<u32>>,
        /// How long connecting may take; 10 s when absent.
        pub connect_timeout: Option<Spot<Duration>>,
        /// Probes on silent connections.
        pub tcp_keepalive: Option<Spot<TcpKeepalive>>,
        /// How long a connection may live.
        pub max_connection_duration: Option<Spot<Duration>>,
        /// How long a connection may be idle; 1 h when absent, 0s is for ever.
        pub idle_timeout: Option<Spot<Duration>>,
    } checked by check_tcp
}

record! {
    /// Probes on silent connections.
    pub struct TcpKeepalive {
        /// How many without an answer.
        pub probes: Option<Spot<u32>>,
        /// After how long a silence.
        pub time: Option<Spot<Duration>>,
        /// How far apart.
        pub interval: Option<Spot<Duration>>,
    } checked by check_keepalive
}

record! {
    /// Requests.
    pub struct HttpSettings {
        /// How many may wait for a connection.
        pub http1_max_pending_requests: Option<Spot<u32>>,
        /// How many may be under way.
        pub http2_max_requests: Option<Spot<u32>>,
        /// How many one connection may carry; 0 is no limit.
        pub max_requests_per_connection: Option<Spot<u32>>,
        /// How many retries may be under way.
        pub max_retries: Option<Spot<u32>>,
        /// How long a connection may be idle; 1 h when absent.
        pub idle_timeout: Option<Spot<Duration>>,
        /// Whether HTTP/1.1 becomes HTTP/2.
        pub h2_upgrade_policy: Option<Spot<H2UpgradePolicy>>,
        /// Whether the caller's protocol is kept.
        pub use_client_protocol: Option<Spot<bool>>,
        /// How many streams one connection may carry.
        pub max_concurrent_streams: Option<Spot<u32>>,
        /// Pings on HTTP/2 connections.
        pub http2_keep_alive: Option<Spot<Http2KeepAlive>>,
    } checked by check_http
}

record! {
    /// Pings on HTTP/2 connections.
    pub struct Http2KeepAlive {
        /// How far apart.
        pub interval: Option<Spot<Duration>>,
        /// How long an answer may take.
        pub timeout: Option<Spot<Duration>>,
    } checked by check_pings
}

words! {
    /// Whether HTTP/1.1 becomes HTTP/2.
    pub enum H2UpgradePolicy {
        /// As the mesh says.
        Default = "DEFAULT",
        /// Never.
        DoNotUpgrade = "DO_NOT_UPGRADE",
        /// Always.
        Upgrade = "UPGRADE",
    }
}

record! {
    /// When an endpoint is left out for a while.
    pub struct OutlierDetection {
        /// The older spelling of `consecutive5xxErrors`.
        pub consecutive_errors: Option<Spot<u32>>,
        /// Whether failures to connect are counted apart.
        pub split_external_local_origin_errors: Option<Spot<bool>>,
        /// Failures to connect in a row; 5 when absent.
        pub consecutive_local_origin_failures: Option<Spot<u32>>,
        /// Gateway errors in a row; off when absent.
        pub consecutive_gateway_errors: Option<Spot<u32>>,
        /// Server errors in a row; 5 when absent.
        pub consecutive_5xx_errors: Option<Spot<u32>>,
        /// How far apart the sweeps are; 10 s when absent.
        pub interval: Option<Spot<Duration>>,
        /// How long the first ejection lasts; 30 s when absent.
        pub base_ejection_time: Option<Spot<Duration>>,
        /// How many endpoints may be left out at once; 10 when absent.
        pub max_ejection_percent: Option<Spot<u32>>,
        /// Below this share of healthy endpoints all are used; 0 when absent.
        pub min_health_percent: Option<Spot<u32>>,
        /// Which statuses count as errors.
        pub outlier_detection_http_error_codes: Vec<Spot<u32>>,
        /// The share of failures at which an endpoint is left out, however they are spread; off when absent.
        pub failure_percentage_threshold: Option<Spot<u32>>,
    } checked by check_outlier
}

record! {
    /// TLS to the destination.
    pub struct ClientTls {
        /// How.
        pub mode: Option<Spot<ClientTlsMode>>,
        /// Our certificate.
        pub client_certificate: Option<Spot<String>>,
        /// Its key.
        pub private_key: Option<Spot<String>>,
        /// Whom we trust.
        pub ca_certificates: Option<Spot<String>>,
        /// The folder that holds all of them.
        pub credential_name: Option<Spot<String>>,
        /// The folder that holds whom we trust, where that is apart.
        pub ca_cert_credential_name: Option<Spot<String>>,
        /// Names the destination may prove.
        pub subject_alt_names: Vec<Spot<String>>,
        /// The server name to ask for.
        pub sni: Option<Spot<String>>,
        /// Whether the destination need prove nothing.
        pub insecure_skip_verify: Option<Spot<bool>>,
        /// Certificates no longer trusted.
        pub ca_crl: Option<Spot<String>>,
    } checked by check_tls
}

words! {
    /// TLS to the destination.
    pub enum ClientTlsMode {
        /// None.
        Disable = "DISABLE",
        /// The destination proves who it is.
        Simple = "SIMPLE",
        /// Both do.
        Mutual = "MUTUAL",
        /// Both do, with Istio's certificates.
        IstioMutual = "ISTIO_MUTUAL",
    }
}

record! {
    /// A tunnel to the destination.
    pub struct Tunnel {
        /// CONNECT or POST.
        pub protocol: Option<Spot<String>>,
        /// Its far end.
        pub target_host: Option<Spot<String>>,
        /// The far end's port.
        pub target_port: Option<Spot<u32>>,
    } checked by check_tunnel
}

record! {
    /// Whether the PROXY protocol is spoken.
    pub struct ProxyProtocol {
        /// Which version.
        pub version: Option<Spot<ProxyProtocolVersion>>,
    }
}

words! {
    /// Versions of the PROXY protocol.
    pub enum ProxyProtocolVersion {
        /// Text.
        V1 = "V1",
        /// Binary.
        V2 = "V2",
    }
}

record! {
    /// How many retries may be under way relative to all requests.
    pub struct RetryBudget {
        /// This share of the requests under way; 20 when absent.
        pub percent: Option<Spot<f64>>,
        /// Or this many, if that is more; 3 when absent.
        pub min_retry_concurrency: Option<Spot<u32>>,
        /// The window requests are counted in; 0 counts those under way alone.
        pub budget_interval: Option<Spot<Duration>>,
    } checked by check_retry_budget
}

impl Kind for DestinationRule {
    const KIND: &'static str = "DestinationRule";
    const GROUP: Group = ISTIO;

    fn check(meta: &Meta, spec: &Self, _: &Place, mistakes: &mut Mistakes) {
        istio::wildcard_host(&spec.host, mistakes);
        istio::export_to(&spec.export_to, &meta.namespace, false, mistakes);
        for (index, second) in spec.subsets.iter().enumerate() {
            let Some(name) = &second.name else { continue };
            let earlier = spec.subsets[..index].iter().filter_map(|subset| subset.name.as_ref());
            if let Some(first) = earlier.into_iter().find(|first| first.value == name.value) {
                let found = format!("a second subset {}", quoted(name));
                mistakes
                    .add(REFUSED, &name.place, found, "one subset of each name")
                    .also(first.place.clone());
            }
        }
        let own = |entry: &Spot<String>| entry.value == "." || entry.value == meta.namespace;
        if let Some(beyond) =
            spec.export_to.iter().find(|entry| spec.workload_selector.is_some() && !own(entry))
        {
            let found = format!("{} beside a workload selector", quoted(beyond));
            mistakes.add(REFUSED, &beyond.place, found, "`.` alone: such a rule stays in its namespace");
        }
    }
}

fn check_selector(selector: &WorkloadSelector, place: &Place, mistakes: &mut Mistakes) {
    for (key, value) in &selector.match_labels {
        if key.is_empty() || key.contains('*') || value.contains('*') {
            mistakes.add(REFUSED, place, format!("the label {key}={value}"), "a label without wildcards");
        }
    }
}

fn check_subset(subset: &Subset, place: &Place, mistakes: &mut Mistakes) {
    match &subset.name {
        Some(name) => istio::subset_name(name, mistakes),
        None => {
            mistakes.add(REFUSED, place, "a subset without a `name`", "a name that routes can use");
        }
    }
    istio::labels(&subset.labels, place, mistakes);
}

fn check_policy(policy: &TrafficPolicy, place: &Place, mistakes: &mut Mistakes) {
    let TrafficPolicy { load_balancer, connection_pool, outlier_detection, tls, port_level_settings, .. } =
        policy;
    let TrafficPolicy { tunnel, proxy_protocol, retry_budget, .. } = policy;
    let any = load_balancer.is_some() || connection_pool.is_some() || outlier_detection.is_some();
    let any = any || tls.is_some() || !port_level_settings.is_empty();
    if !any && tunnel.is_none() && proxy_protocol.is_none() && retry_budget.is_none() {
        mistakes.add(REFUSED, place, "a traffic policy that says nothing", "at least one field");
    }
    if let (Some(tunnel), Some(protocol)) = (tunnel, proxy_protocol) {
        let found = "`tunnel` and `proxyProtocol` together";
        mistakes.add(REFUSED, &protocol.place, found, "one of them").also(tunnel.place.clone());
    }
}

fn check_port_policy(policy: &PortPolicy, place: &Place, mistakes: &mut Mistakes) {
    if policy.port.is_none() {
        mistakes.add(REFUSED, place, "a port's policy without its `port`", "`port: { number: .. }`");
    }
    let PortPolicy { load_balancer, connection_pool, outlier_detection, tls, .. } = policy;
    let any = load_balancer.is_some() || connection_pool.is_some() || outlier_detection.is_some();
    if !any && tls.is_none() {
        mistakes.add(REFUSED, place, "a port's policy that says nothing", "at least one field beside `port`");
    }
}

fn check_balancer(balancer: &LoadBalancer, _: &Place, mistakes: &mut Mistakes) {
    if let (Some(simple), Some(hash)) = (&balancer.simple, &balancer.consistent_hash) {
        let found = "`simple` and `consistentHash` together";
        mistakes.add(REFUSED, &hash.place, found, "one of them").also(simple.place.clone());
    }
    istio::duration(balancer.warmup_duration_secs.as_ref(), mistakes);
}

fn check_hash(hash: &ConsistentHash, place: &Place, mistakes: &mut Mistakes) {
    let keys = [
        hash.http_header_name.is_some(),
        hash.http_cookie.is_some(),
        hash.use_source_ip.is_some(),
        hash.http_query_parameter_name.is_some(),
    ];
    let expected = "one of `httpHeaderName`, `httpCookie`, `useSourceIp` and `httpQueryParameterName`";
    match keys.into_iter().filter(|set| *set).count() {
        0 => {
            mistakes.add(REFUSED, place, "nothing to hash", expected);
        }
        1 => {}
        _ => {
            mistakes.add(REFUSED, place, "more than one thing to hash", expected);
        }
    }
    let tables = [hash.ring_hash.is_some(), hash.maglev.is_some(), hash.minimum_ring_size.is_some()];
    if tables.into_iter().filter(|set| *set).count() > 1 {
        let expected = "one of `ringHash`, `maglev` and `minimumRingSize`";
        mistakes.add(REFUSED, place, "more than one way to hash", expected);
    }
}

fn check_cookie(cookie: &HttpCookie, place: &Place, mistakes: &mut Mistakes) {
    if cookie.name.as_ref().is_none_or(|name| name.is_empty()) {
        mistakes.add(REFUSED, place, "a cookie without a `name`", "its name");
    }
}

fn check_maglev(maglev: &Maglev, place: &Place, mistakes: &mut Mistakes) {
    // The size above which Envoy gives up: its largest table.
    const SIZE_MAX: u64 = 5_000_011;
    let expected = "a prime below 5000011";
    match &maglev.table_size {
        None => {
            mistakes.add(REFUSED, place, "a Maglev table without a size", expected);
        }
        Some(size) if size.value >= SIZE_MAX || !is_prime(size.value) => {
            mistakes.add(REFUSED, &size.place, format!("a Maglev table of {}", size.value), expected);
        }
        Some(_) => {}
    }
}

fn is_prime(number: u64) -> bool {
    number >= 2
        && (2..).take_while(|factor| factor * factor <= number).all(|factor| !number.is_multiple_of(factor))
}

fn check_locality(setting: &LocalitySetting, place: &Place, mistakes: &mut Mistakes) {
    let LocalitySetting { distribute, failover, failover_priority, .. } = setting;
    if !distribute.is_empty() && (!failover.is_empty() || !failover_priority.is_empty()) {
        let expected = "either `distribute`, or `failover` and `failoverPriority`";
        mistakes.add(REFUSED, place, "shares and fail-over together", expected);
    }
}

fn check_distribute(distribute: &Distribute, place: &Place, mistakes: &mut Mistakes) {
    let total: u64 = distribute.to.values().map(|share| u64::from(share.value)).sum();
    if !distribute.to.is_empty() && total != 100 {
        mistakes.add(REFUSED, place, format!("shares that sum up to {total}"), "a sum of 100");
    }
}

fn check_failover(failover: &Failover, place: &Place, mistakes: &mut Mistakes) {
    if let (Some(from), Some(to)) = (&failover.from, &failover.to)
        && from.value == to.value
    {
        let found = format!("fail-over from {} to itself", quoted(from));
        mistakes.add(REFUSED, place, found, "two different regions");
    }
}

fn check_warmup(warmup: &Warmup, place: &Place, mistakes: &mut Mistakes) {
    if warmup.duration.is_none() {
        mistakes.add(REFUSED, place, "a warm-up without a `duration`", "how long it takes");
    }
    istio::duration(warmup.duration.as_ref(), mistakes);
    if let Some(least) = warmup.minimum_percent.as_ref().filter(|least| !(0.0..=100.0).contains(&least.value))
    {
        mistakes.add(REFUSED, &least.place, format!("{} percent", least.value), "0 to 100");
    }
    if let Some(steep) = warmup.aggression.as_ref().filter(|steep| steep.value < 1.0) {
        mistakes.add(REFUSED, &steep.place, format!("an aggression of {}", steep.value), "1 or more");
    }
}

fn check_pool(pool: &ConnectionPool, place: &Place, mistakes: &mut Mistakes) {
    if pool.tcp.is_none() && pool.http.is_none() {
        mistakes.add(REFUSED, place, "a connection pool that says nothing", "`tcp` or `http`");
    }
}

fn check_tcp(tcp: &TcpSettings, _: &Place, mistakes: &mut Mistakes) {
    istio::duration(tcp.connect_timeout.as_ref(), mistakes);
    istio::duration(tcp.max_connection_duration.as_ref(), mistakes);
    // Zero is Istio's word for "never idle".
    istio::duration(tcp.idle_timeout.as_ref().filter(|idle| !idle.value.is_zero()), mistakes);
    check_int(&[&tcp.max_connections], mistakes);
}

/// What the kernel takes (Linux, `MAX_TCP_KEEPIDLE`, `MAX_TCP_KEEPINTVL` and `MAX_TCP_KEEPCNT` of net/tcp.h). Istio cuts
/// off parts of a second and leaves the rest to fail when a connection is made.
fn check_keepalive(keepalive: &TcpKeepalive, _: &Place, mistakes: &mut Mistakes) {
    const SPAN_MAX: Duration = Duration::from_secs(32_767);
    const PROBES_MAX: u32 = 127;
    for span in [&keepalive.time, &keepalive.interval].into_iter().flatten() {
        if span.value.subsec_nanos() != 0 || span.value.is_zero() || SPAN_MAX < span.value {
            let expected = "whole seconds, 1s to 32767s: the kernel knows no others";
            mistakes.add("bad-value", &span.place, format_duration(span.value), expected);
        }
    }
    if let Some(probes) = keepalive.probes.as_ref().filter(|probes| PROBES_MAX < probes.value) {
        let expected = "at most 127: the kernel sends no more";
        mistakes.add("bad-value", &probes.place, format!("{} probes", probes.value), expected);
    }
}

fn check_pings(pings: &Http2KeepAlive, place: &Place, mistakes: &mut Mistakes) {
    for (span, field) in [(&pings.interval, "interval"), (&pings.timeout, "timeout")] {
        istio::duration(span.as_ref(), mistakes);
        if span.is_none() {
            let found = format!("`http2KeepAlive` without `{field}`");
            mistakes.add(REFUSED, place, found, "both `interval` and `timeout`");
        }
    }
}

fn check_http(http: &HttpSettings, _: &Place, mistakes: &mut Mistakes) {
    istio::duration(http.idle_timeout.as_ref(), mistakes);
    if let (Some(upgrade), Some(client)) = (&http.h2_upgrade_policy, &http.use_client_protocol)
        && upgrade.value == H2UpgradePolicy::Upgrade
        && client.value
    {
        let found = "the caller's protocol kept and upgraded at once";
        mistakes.add(REFUSED, &client.place, found, "one of them").also(upgrade.place.clone());
    }
    check_int(
        &[
            &http.http1_max_pending_requests,
            &http.http2_max_requests,
            &http.max_requests_per_connection,
            &http.max_retries,
            &http.max_concurrent_streams,
        ],
        mistakes,
    );
}

/// Istio's whole numbers are 32-bit and signed.
fn check_int(numbers: &[&Option<Spot<u32>>], mistakes: &mut Mistakes) {
    for number in numbers.iter().filter_map(|number| number.as_ref()) {
        if i32::try_from(number.value).is_err() {
            mistakes.add(REFUSED, &number.place, format!("{}", number.value), "at most 2147483647");
        }
    }
}

fn check_outlier(outlier: &OutlierDetection, _: &Place, mistakes: &mut Mistakes) {
    istio::duration(outlier.base_ejection_time.as_ref(), mistakes);
    istio::duration(outlier.interval.as_ref(), mistakes);
    istio::whole_percent(outlier.max_ejection_percent.as_ref(), mistakes);
    istio::whole_percent(outlier.min_health_percent.as_ref(), mistakes);
    istio::whole_percent(outlier.failure_percentage_threshold.as_ref(), mistakes);
    for status in
        outlier.outlier_detection_http_error_codes.iter().filter(|it| !(100..=599).contains(&it.value))
    {
        mistakes.add(REFUSED, &status.place, format!("the status {}", status.value), "100 to 599");
    }
    let split = outlier.split_external_local_origin_errors.as_ref().is_some_and(|split| split.value);
    if let Some(local) = outlier.consecutive_local_origin_failures.as_ref().filter(|l| l.value > 0 && !split)
    {
        let expected = "`splitExternalLocalOriginErrors: true` beside it";
        mistakes.add(REFUSED, &local.place, "`consecutiveLocalOriginFailures` alone", expected);
    }
}

fn check_tls(tls: &ClientTls, place: &Place, mistakes: &mut Mistakes) {
    let written = |text: &Option<Spot<String>>| text.as_ref().is_some_and(|text| !text.is_empty());
    let mode = tls.mode.as_ref().map_or(ClientTlsMode::Disable, |mode| mode.value);
    let credential = tls.credential_name.as_ref().filter(|name| !name.is_empty());
    let trusted = tls.ca_cert_credential_name.as_ref().filter(|name| !name.is_empty());
    if let Some(trusted) = trusted {
        if mode == ClientTlsMode::IstioMutual {
            let expected = "none: Istio brings its own";
            mistakes.add(REFUSED, &trusted.place, "`caCertCredentialName` with ISTIO_MUTUAL", expected);
        }
        if let Some(file) = tls.ca_certificates.as_ref().filter(|file| !file.is_empty()) {
            let found = "`caCertCredentialName` beside `caCertificates`";
            mistakes.add(REFUSED, &trusted.place, found, "one of them").also(file.place.clone());
        }
    }
    if let Some(skip) = tls.insecure_skip_verify.as_ref().filter(|skip| skip.value) {
        let named = written(&tls.ca_certificates) || !tls.subject_alt_names.is_empty();
        let simple = mode == ClientTlsMode::Simple && (named || credential.is_some());
        if simple || (mode == ClientTlsMode::Mutual && named) {
            let expected =
                "no `caCertificates`, `credentialName` or `subjectAltNames`: nobody would look at them";
            mistakes.add(REFUSED, &skip.place, "`insecureSkipVerify` beside what to verify", expected);
        }
    }
    if !matches!(mode, ClientTlsMode::Simple | ClientTlsMode::Mutual) {
        return;
    }
    let files = [&tls.client_certificate, &tls.ca_certificates, &tls.private_key, &tls.ca_crl];
    if let Some(credential) = credential {
        if files.into_iter().any(written) {
            let expected = "either `credentialName` or the files";
            mistakes.add(REFUSED, &credential.place, "`credentialName` beside files", expected);
        }
    } else if mode == ClientTlsMode::Mutual {
        for (file, name) in [(&tls.client_certificate, "clientCertificate"), (&tls.private_key, "privateKey")]
        {
            if !written(file) {
                mistakes.add(
                    REFUSED,
                    place,
                    format!("MUTUAL without `{name}`"),
                    "our certificate and its key",
                );
            }
        }
    }
}

fn check_tunnel(tunnel: &Tunnel, place: &Place, mistakes: &mut Mistakes) {
    if let Some(protocol) =
        tunnel.protocol.as_ref().filter(|p| !matches!(p.as_str(), "" | "CONNECT" | "POST"))
    {
        mistakes.add(REFUSED, &protocol.place, quoted(protocol), "CONNECT or POST");
    }
    match &tunnel.target_host {
        Some(host) if istio::is_host(host) || istio::is_address(host) => {}
        Some(host) => {
            mistakes.add(REFUSED, &host.place, quoted(host), "a host's name or an IP address");
        }
        None => {
            mistakes.add(REFUSED, place, "a tunnel without a `targetHost`", "where it leads");
        }
    }
    match &tunnel.target_port {
        Some(port) => istio::port(port, mistakes),
        None => {
            mistakes.add(REFUSED, place, "a tunnel without a `targetPort`", "1 to 65535");
        }
    }
}

fn check_retry_budget(budget: &RetryBudget, _: &Place, mistakes: &mut Mistakes) {
    if let Some(percent) = budget.percent.as_ref().filter(|percent| !(0.0..=100.0).contains(&percent.value)) {
        mistakes.add(REFUSED, &percent.place, format!("{} percent", percent.value), "0 to 100");
    }
}
