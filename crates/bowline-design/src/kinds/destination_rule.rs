//! Istio's DestinationRule: how a destination is called once it is chosen.

use crate::kinds::common::{PortSelector, WorkloadSelector};
use crate::mistake::Spot;
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
    /// A named part of a host.
    pub struct Subset {
        /// Its name.
        pub name: Option<Spot<String>>,
        /// Endpoints that carry all of these labels belong to it.
        pub labels: BTreeMap<String, String>,
        /// What differs from the host's own policy, field by field.
        pub traffic_policy: Option<Spot<TrafficPolicy>>,
    }
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
    }
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
    }
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
    }
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
    }
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
    }
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
    }
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
    }
}

record! {
    /// Shares by region.
    pub struct Distribute {
        /// Calls from here.
        pub from: Option<Spot<String>>,
        /// Go there, in percent.
        pub to: BTreeMap<String, Spot<u32>>,
    }
}

record! {
    /// Where to go when a region fails.
    pub struct Failover {
        /// This region.
        pub from: Option<Spot<String>>,
        /// That region.
        pub to: Option<Spot<String>>,
    }
}

record! {
    /// By zone.
    pub struct ZoneAwareSetting {
        /// Whether it is on.
        pub enabled: Option<Spot<bool>>,
        /// Below this many endpoints zones are ignored.
        pub minimum_endpoints: Option<Spot<u64>>,
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
    }
}

record! {
    /// How many connections and requests.
    pub struct ConnectionPool {
        /// Connections.
        pub tcp: Option<Spot<TcpSettings>>,
        /// Requests.
        pub http: Option<Spot<HttpSettings>>,
    }
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
    }
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
    }
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
    }
}

record! {
    /// Pings on HTTP/2 connections.
    pub struct Http2KeepAlive {
        /// How far apart.
        pub interval: Option<Spot<Duration>>,
        /// How long an answer may take.
        pub timeout: Option<Spot<Duration>>,
    }
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
    }
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
        /// The secret that holds all of them.
        pub credential_name: Option<Spot<String>>,
        /// Names the destination may prove.
        pub subject_alt_names: Vec<Spot<String>>,
        /// The server name to ask for.
        pub sni: Option<Spot<String>>,
        /// Whether the destination need prove nothing.
        pub insecure_skip_verify: Option<Spot<bool>>,
        /// Certificates no longer trusted.
        pub ca_crl: Option<Spot<String>>,
    }
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
    }
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
    }
}
