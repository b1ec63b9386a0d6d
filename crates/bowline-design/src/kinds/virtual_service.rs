//! Istio's VirtualService: which request goes where.

use crate::kinds::common::{Destination, Percent, StringMatch};
use crate::mistake::Spot;
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
        /// The share of requests that `mirror` copies; all of them when absent.
        pub mirror_percentage: Option<Spot<Percent>>,
        /// Cross-origin rules.
        pub cors_policy: Option<Spot<CorsPolicy>>,
        /// Header operations.
        pub headers: Option<Spot<Headers>>,
    }
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
    }
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
    }
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
    }
}

record! {
    /// A body, as text or as bytes.
    pub struct HttpBody {
        /// Text.
        pub string: Option<Spot<String>>,
        /// Bytes, in base 64.
        pub bytes: Option<Spot<String>>,
    }
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
    }
}

record! {
    /// A rewrite by regular expression.
    pub struct RegexRewrite {
        /// What to replace, RE2.
        pub pattern as "match": Option<Spot<String>>,
        /// With what; `\1` is the first group.
        pub rewrite: Option<Spot<String>>,
    }
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
    }
}

record! {
    /// Faults to inject before a request is sent on.
    pub struct HttpFault {
        /// Hold requests back.
        pub delay: Option<Spot<FaultDelay>>,
        /// Answer requests instead of sending them on.
        pub abort: Option<Spot<FaultAbort>>,
    }
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
    }
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
    }
}

record! {
    /// Where a copy of the request goes.
    pub struct HttpMirror {
        /// Where.
        pub destination: Spot<Destination>,
        /// The share of requests; all when absent.
        pub percentage: Option<Spot<Percent>>,
    }
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
    }
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
    }
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
    }
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
    }
}

record! {
    /// A rule for TCP.
    pub struct TcpRoute {
        /// The rule matches if one of these does, or if there is none.
        pub matches as "match": Vec<Spot<L4Match>>,
        /// Where connections go, by weight.
        pub route: Vec<Spot<RouteDestination>>,
    }
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
    }
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
