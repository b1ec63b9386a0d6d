//! Every name that a span carries, in one place.
//!
//! Those of the OpenTelemetry semantic conventions 1.44 come first; where the conventions have no word (there is
//! none for a retry's reason, a breaker or a budget), ours stand under `bowline.`.

/// The request's method, if it is a known one; else [`OTHER`].
pub const METHOD: &str = "http.request.method";
/// The method as it came, where it is not a known one.
pub const METHOD_ORIGINAL: &str = "http.request.method_original";
/// The answer's status.
pub const STATUS: &str = "http.response.status_code";
/// How often the request was sent before: on every try from the second.
pub const RESEND_COUNT: &str = "http.request.resend_count";
/// The path, as it came.
pub const PATH: &str = "url.path";
/// The query, as it came.
pub const QUERY: &str = "url.query";
/// The scheme.
pub const SCHEME: &str = "url.scheme";
/// The host of the authority, or the endpoint of a try.
pub const SERVER_ADDRESS: &str = "server.address";
/// Its port.
pub const SERVER_PORT: &str = "server.port";
/// The endpoint a try went to, where it is an address.
pub const PEER_ADDRESS: &str = "network.peer.address";
/// Its port.
pub const PEER_PORT: &str = "network.peer.port";
/// Which HTTP: `1.1` or `2`.
pub const PROTOCOL_VERSION: &str = "network.protocol.version";
/// What went wrong: a status, or a word of ours.
pub const ERROR_TYPE: &str = "error.type";
/// Which kind of remote call: [`GRPC`].
pub const RPC_SYSTEM: &str = "rpc.system.name";
/// `package.Service/Method`.
pub const RPC_METHOD: &str = "rpc.method";
/// The gRPC status by its name.
pub const RPC_STATUS: &str = "rpc.response.status_code";
/// Whose spans these are.
pub const SERVICE_NAME: &str = "service.name";
/// Who made the spans.
pub const SDK_NAME: &str = "telemetry.sdk.name";
/// In which language.
pub const SDK_LANGUAGE: &str = "telemetry.sdk.language";
/// In which version.
pub const SDK_VERSION: &str = "telemetry.sdk.version";

/// A method that is not a known one.
pub const OTHER: &str = "_OTHER";
/// The value of [`RPC_SYSTEM`].
pub const GRPC: &str = "grpc";

/// The listener the request came in by.
pub const LISTENER: &str = "bowline.listener";
/// The route it took.
pub const ROUTE: &str = "bowline.route";
/// Where that route is written.
pub const ROUTE_PLACE: &str = "bowline.route.place";
/// The service, or `service.operation`, it went to.
pub const DESTINATION: &str = "bowline.destination";
/// What went wrong, in Envoy's letters.
pub const FLAG: &str = "bowline.flag";
/// Under which number `bowline explain` finds it.
pub const EXPLAIN_ID: &str = "bowline.explain.id";
/// Decisions that came after the trail was full.
pub const UNTOLD: &str = "bowline.decisions.untold";
/// The time the request had, in milliseconds.
pub const DEADLINE: &str = "bowline.deadline.ms";
/// Whose word that was.
pub const DEADLINE_BY: &str = "bowline.deadline.by";
/// Where the values of a guard are written: a place in the design, or `code`.
pub const VALUES: &str = "bowline.values";
/// How many tries were made.
pub const TRIES: &str = "bowline.tries";
/// Why no further try was made.
pub const GIVE_UP: &str = "bowline.give_up.reason";
/// What was left of the deadline then, in milliseconds.
pub const REMAINING: &str = "bowline.remaining.ms";
/// The number of a try, from one.
pub const TRY: &str = "bowline.try";
/// How long a try may take, in milliseconds.
pub const TRY_WITHIN: &str = "bowline.try.within.ms";
/// What a try did to the world.
pub const OUTCOME: &str = "bowline.outcome";
/// What was seen of a try when it ended.
pub const END: &str = "bowline.end";
/// Why a try was allowed to follow another.
pub const RETRY_WHY: &str = "bowline.retry.why";
/// After which back-off, in milliseconds.
pub const RETRY_AFTER: &str = "bowline.retry.after.ms";
/// How long the try before a hedge had been under way, in milliseconds.
pub const HEDGE_WAITED: &str = "bowline.hedge.waited.ms";
/// Why no hedge was sent.
pub const HEDGE_WHY: &str = "bowline.hedge.withheld";
/// The breaker's state.
pub const BREAKER_STATE: &str = "bowline.breaker.state";
/// The state it left.
pub const BREAKER_FROM: &str = "bowline.breaker.from";
/// Why it left it.
pub const BREAKER_WHY: &str = "bowline.breaker.why";
/// Failures in the breaker's window.
pub const BREAKER_FAILURES: &str = "bowline.breaker.failures";
/// Calls in the breaker's window.
pub const BREAKER_CALLS: &str = "bowline.breaker.calls";
/// Calls under way in the bulkhead.
pub const RUNNING: &str = "bowline.bulkhead.running";
/// What it matters.
pub const PRIORITY: &str = "bowline.priority";
/// Calls that wait before it.
pub const AHEAD: &str = "bowline.bulkhead.ahead";
/// Half of the tries take longer than this, in milliseconds.
pub const MEDIAN: &str = "bowline.try.median.ms";
/// Calls in the admission throttle's window.
pub const ADMISSION_REQUESTS: &str = "bowline.admission.requests";
/// Those that the callee accepted.
pub const ADMISSION_ACCEPTS: &str = "bowline.admission.accepts";
/// The endpoint that a decision is about.
pub const HOST: &str = "bowline.host";
/// Why a host was picked, left out or kept.
pub const HOST_WHY: &str = "bowline.host.why";
/// Tries under way at the host before this one.
pub const HOST_PENDING: &str = "bowline.host.pending";
/// For how long a host is left out, in milliseconds.
pub const HOST_OUT: &str = "bowline.host.out.ms";
/// Why a host that deserved to be left out stays.
pub const HOST_SPARED: &str = "bowline.host.spared";
/// What was broken on purpose.
pub const FAULT: &str = "bowline.fault";

/// The names of events, one for each decision that is not an attribute of a span.
pub mod events {
    /// It waits for a place in the bulkhead.
    pub const QUEUED: &str = "queued";
    /// It has a place in the bulkhead.
    pub const ADMITTED: &str = "admitted";
    /// Too little time was left.
    pub const DOOMED: &str = "doomed";
    /// The admission throttle rejected a try.
    pub const THROTTLED: &str = "throttled";
    /// The breaker refused a try.
    pub const BREAKER_REFUSED: &str = "breaker refused";
    /// The breaker changed its state because of this request.
    pub const BREAKER_MOVED: &str = "breaker moved";
    /// A fault was put in.
    pub const FAULT: &str = "fault injected";
    /// A host is left out for a while.
    pub const HOST_EJECTED: &str = "host ejected";
    /// A host deserved to be left out and is not.
    pub const HOST_SPARED: &str = "host spared";
    /// Another try follows.
    pub const RETRY: &str = "retry scheduled";
    /// Another try is sent beside one that is late.
    pub const HEDGE: &str = "hedge sent";
    /// None is.
    pub const HEDGE_WITHHELD: &str = "hedge withheld";
    /// No try follows.
    pub const GAVE_UP: &str = "gave up";
}

/// The methods that the conventions call known (RFC 9110, PATCH of RFC 5789, QUERY).
pub const METHODS: [&str; 10] =
    ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"];

/// The names of gRPC's statuses, by their numbers.
pub const GRPC_STATUSES: [&str; 17] = [
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
