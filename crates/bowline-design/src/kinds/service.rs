//! Our Service: a named program and what it can be asked.

use crate::kinds::Meta;
use crate::kinds::values::{at_least_one, longer_than_zero};
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{Group, Kind, OURS};
use crate::read::names::{is_label, quoted};
use crate::read::reader::{Read, Reader, describe, word};
use crate::read::record::{either, record, words};
use crate::read::shape::Shape;
use crate::read::tree::{Node, Value};
use std::collections::BTreeMap;
use std::time::Duration;

record! {
    /// A named program and what it can be asked.
    pub struct Service {
        /// What it speaks; http when absent.
        pub protocol: Option<Spot<Protocol>>,
        /// Other names that callers use for it, besides its own.
        pub hosts: Vec<Spot<String>>,
        /// Names in certificates that are its own, such as `spiffe://shop/orders`: by them it proves who it is.
        pub identities: Vec<Spot<String>>,
        /// Where it listens.
        pub endpoints: Vec<Spot<Endpoint>>,
        /// What `bowline up` builds, starts and watches.
        pub run: Option<Spot<Run>>,
        /// How many processes; 1 when absent.
        pub replicas: Option<Spot<u32>>,
        /// Requests one replica works on at once.
        pub concurrency: Option<Spot<u32>>,
        /// Requests that may wait in one replica while it works on as many as it can; any number when
        /// absent.
        pub queue: Option<Spot<u32>>,
        /// Whether it hands deadline and trace headers on to what it calls; without it both end here.
        pub forwards: Option<Spot<bool>>,
        /// The path that answers 2xx when it is ready.
        pub health: Option<Spot<String>>,
        /// How each of its endpoints is asked, again and again, whether it is well; none is when absent.
        pub health_check: Option<Spot<HealthCheck>>,
        /// What it can be asked.
        pub operations: Vec<Spot<Operation>>,
    }
}

words! {
    /// What a service speaks.
    pub enum Protocol {
        /// HTTP/1.1.
        Http = "http",
        /// HTTP/2 by prior knowledge.
        Http2 = "http2",
        /// gRPC.
        Grpc = "grpc",
    }
}

record! {
    /// Where a service answers: exactly one of the first three.
    pub struct Endpoint {
        /// Host and port.
        pub address: Option<Spot<String>>,
        /// A name and a port: each address that DNS has of the name is an endpoint.
        pub dns: Option<Spot<String>>,
        /// A file that lists endpoints; it is read again whenever it changes.
        pub file: Option<Spot<String>>,
        /// Their labels; they make subsets.
        pub labels: BTreeMap<String, String>,
        /// The share of each beside the others; 1 when absent.
        pub weight: Option<Spot<u32>>,
    } checked by check_endpoint
}

record! {
    /// How each endpoint is asked whether it is well. One that is not is left out.
    pub struct HealthCheck {
        /// By a GET that has to be answered well; of the service's `health` when absent.
        pub http: Option<Spot<HttpCheck>>,
        /// By gRPC's health protocol; what a service that speaks gRPC and names neither is asked by.
        pub grpc: Option<Spot<GrpcCheck>>,
        /// From one check to the next; 5 s when absent.
        pub interval: Option<Spot<Duration>>,
        /// How long an answer may take; 1 s when absent.
        pub timeout: Option<Spot<Duration>>,
        /// By up to this share the interval differs from check to check; 0.1 when absent.
        pub jitter: Option<Spot<f64>>,
        /// Good answers in a row after which an ill endpoint is well; 2 when absent.
        pub healthy: Option<Spot<u32>>,
        /// Failures in a row after which a well endpoint is ill; 3 when absent.
        pub unhealthy: Option<Spot<u32>>,
    } checked by check_health_check
}

record! {
    /// A request that has to be answered well.
    pub struct HttpCheck {
        /// The path; the service's `health` when absent.
        pub path: Option<Spot<String>>,
        /// The `Host` it carries; the service's full name when absent.
        pub host: Option<Spot<String>>,
        /// Good statuses, each a number or a range such as 200-299; 200-299 when absent.
        pub statuses: Vec<Spot<Statuses>>,
    } checked by check_http_check
}

record! {
    /// A question of gRPC's health protocol, `grpc.health.v1.Health/Check`.
    pub struct GrpcCheck {
        /// The gRPC service that is asked for; the server as a whole when absent.
        pub service: Option<Spot<String>>,
    } checked by check_grpc_check
}

/// Statuses from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statuses {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// Written `204` or `200-299`.
impl Read for Statuses {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let text = node.text().unwrap_or_default();
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let status = |text: &str| text.parse().ok().filter(|status| (200..=599).contains(status));
        let statuses = status(first).zip(status(last)).filter(|(first, last)| first <= last);
        if statuses.is_none() {
            let place = reader.place(node.extent);
            let expected = "a status from 200 to 599, or a range such as 200-299";
            reader.mistakes().add("bad-value", &place, describe(node), expected);
        }
        statuses.map(|(first, last)| Self { first, last })
    }

    fn shape() -> Shape {
        Shape::AnyOf(vec![Shape::Whole(599), Shape::Form(r"^[2-5]\d\d(-[2-5]\d\d)?$")])
    }
}

record! {
    /// How a service is started.
    pub struct Run {
        /// A package of the Cargo workspace around the design: it is built first.
        pub cargo: Option<Spot<String>>,
        /// Or any program, with its arguments.
        pub command: Vec<Spot<String>>,
        /// More arguments.
        pub args: Vec<Spot<String>>,
        /// Environment variables.
        pub env: BTreeMap<String, Spot<String>>,
    } checked by check_run
}

record! {
    /// One thing a service can be asked.
    pub struct Operation {
        /// Its name; `service.operation` elsewhere in the design.
        pub name: Spot<String>,
        /// Its method and path.
        pub http: Option<Spot<HttpOperation>>,
        /// Its gRPC method, `package.Service/Method`.
        pub grpc: Option<Spot<String>>,
        /// Whether asking twice is as good as asking once.
        pub idempotent: Option<Spot<Idempotent>>,
        /// Whether a 202 means accepted, not finished.
        pub accepts: Option<Spot<bool>>,
        /// Uncontended service time, not response time.
        pub takes: Option<Spot<Takes>>,
        /// What the business asks.
        pub needs: Option<Spot<Needs>>,
        /// What it does, in order.
        pub does: Vec<Spot<Work>>,
    } checked by check_operation
}

record! {
    /// A method and a path.
    pub struct HttpOperation {
        /// The method.
        pub method: Spot<String>,
        /// The path; `{name}` stands for one segment.
        pub path: Spot<String>,
    } checked by check_http
}

/// Whether asking twice is as good as asking once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Idempotent {
    /// It is not.
    No,
    /// It is.
    Yes,
    /// It is when the request carries a key.
    ByKey,
}

/// Written `true`, `false` or `by-key`.
impl Read for Idempotent {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if let Value::Scalar(scalar) = &node.value
            && let Some(truth) = scalar.truth()
        {
            return Some(if truth { Self::Yes } else { Self::No });
        }
        word(node, reader, &[("true", Self::Yes), ("by-key", Self::ByKey), ("false", Self::No)])
    }

    fn shape() -> Shape {
        Shape::WordsOrTruth(&["by-key"])
    }
}

record! {
    /// How long an operation takes when nothing else runs.
    pub struct Takes {
        /// Half of all are faster.
        pub p50: Option<Spot<Duration>>,
        /// 99 of 100 are faster.
        pub p99: Option<Spot<Duration>>,
        /// How many were measured.
        pub samples: Option<Spot<u64>>,
    } checked by check_takes
}

record! {
    /// What the business asks of an operation.
    pub struct Needs {
        /// Whether what it wrote is seen at once.
        pub consistency: Option<Spot<Consistency>>,
        /// Whether it may be lost.
        pub loss: Option<Spot<Loss>>,
        /// How long an answer may take.
        pub answer_within: Option<Spot<Duration>>,
        /// How old an answer may be.
        pub staleness: Option<Spot<Duration>>,
    }
}

words! {
    /// Whether what was written is seen at once.
    pub enum Consistency {
        /// At once.
        Strong = "strong",
        /// In the end.
        Eventual = "eventual",
    }
}

words! {
    /// Whether something may be lost.
    pub enum Loss {
        /// Never.
        None = "none",
        /// It may.
        Tolerated = "tolerated",
    }
}

either! {
    /// One thing an operation does.
    pub enum Work {
        /// Work of its own, for this long.
        Work(Spot<Duration>) = "work",
        /// A call to `service.operation`.
        Call(Spot<String>) = "call",
        /// A record to a topic.
        Publish(Spot<String>) = "publish",
        /// All of these at once.
        Parallel(Vec<Spot<Work>>) = "parallel",
        /// One of these.
        Choice(Vec<Spot<Branch>>) = "choice",
    }
}

record! {
    /// One branch of a choice.
    pub struct Branch {
        /// How likely it is, relative to the others; 1 when absent.
        pub weight: Option<Spot<f64>>,
        /// What it does.
        pub does: Vec<Spot<Work>>,
    } checked by check_branch
}

impl Kind for Service {
    const KIND: &'static str = "Service";
    const GROUP: Group = OURS;

    fn check(_: &Meta, spec: &Self, _: &Place, mistakes: &mut Mistakes) {
        for (count, what) in [(&spec.replicas, "replicas"), (&spec.concurrency, "requests at once")] {
            if let Some(count) = count.as_ref().filter(|count| count.value == 0) {
                mistakes.add("bad-value", &count.place, format!("0 {what}"), "at least 1");
            }
        }
        if let Some(queue) = spec.queue.as_ref().filter(|_| spec.concurrency.is_none()) {
            let found = "a queue of a service that may work on everything at once";
            mistakes.add("conflict", &queue.place, found, "`concurrency` beside it");
        }
        if let Some(health) = spec.health.as_ref().filter(|health| !health.starts_with('/')) {
            mistakes.add("bad-value", &health.place, quoted(health), "a path that begins with `/`");
        }
        let grpc = spec.protocol.as_ref().is_some_and(|protocol| protocol.value == Protocol::Grpc);
        let http2 = spec.protocol.as_ref().is_some_and(|protocol| protocol.value != Protocol::Http);
        if let Some(check) = &spec.health_check {
            let asked = check.http.as_ref().and_then(|http| http.path.as_ref()).or(spec.health.as_ref());
            if check.grpc.is_none() && asked.is_none() && (check.http.is_some() || !grpc) {
                let expected = "`http.path`, or `health` for the service";
                mistakes.add("missing-field", &check.place, "a health check without a path", expected);
            }
            if let Some(own) = check.grpc.as_ref().filter(|_| !http2) {
                let found = "a gRPC health check of a service that speaks http";
                mistakes.add("conflict", &own.place, found, "`protocol: grpc` for the service, or `http`");
            }
        }
        if let Some(method) =
            spec.operations.iter().find_map(|operation| operation.grpc.as_ref()).filter(|_| !grpc)
        {
            let found = "a gRPC operation of a service that speaks http";
            mistakes.add("conflict", &method.place, found, "`protocol: grpc` for the service");
        }
        for (index, second) in spec.operations.iter().enumerate() {
            let earlier = spec.operations[..index].iter().map(|operation| &operation.name);
            if let Some(first) = earlier.into_iter().find(|first| first.value == second.name.value) {
                let found = format!("a second operation {}", quoted(&second.name));
                let mistake = mistakes.add("duplicate-name", &second.name.place, found, "one of each name");
                mistake.also(first.place.clone());
            }
        }
    }
}

fn check_endpoint(endpoint: &Endpoint, place: &Place, mistakes: &mut Mistakes) {
    let Endpoint { address, dns, file, labels: _, weight } = endpoint;
    let said: Vec<(&str, &Spot<String>)> = [("address", address), ("dns", dns), ("file", file)]
        .into_iter()
        .filter_map(|(field, said)| Some((field, said.as_ref()?)))
        .collect();
    match said[..] {
        [] => {
            mistakes.add("missing-field", place, "an endpoint that is nowhere", "`address`, `dns` or `file`");
        }
        [_] => {}
        [(one, first), (other, second), ..] => {
            let found = format!("`{one}` and `{other}` together");
            mistakes.add("conflict", &second.place, found, "one of them").also(first.place.clone());
        }
    }
    if let Some(address) = address {
        check_address(address, mistakes);
    }
    if let Some(name) = dns {
        let fits = name
            .rsplit_once(':')
            .is_some_and(|(name, port)| is_dns_name(name) && port.parse::<u16>().is_ok_and(|port| port > 0));
        if !fits {
            let expected = "a name that DNS knows and a port, such as inventory.internal:7103";
            mistakes.add("bad-value", &name.place, quoted(name), expected);
        }
    }
    if let Some(file) = file.as_ref().filter(|file| file.is_empty()) {
        mistakes.add("bad-value", &file.place, "no name", "the path of a file");
    }
    at_least_one(weight.as_ref(), mistakes);
}

/// A name of labels of letters, digits, `-` and `_`, and no address.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let bare = name.strip_suffix('.').unwrap_or(name);
    bare.len() <= 253 && bare.split('.').all(label) && bare.parse::<std::net::IpAddr>().is_err()
}

/// Demands `host:port`.
pub(crate) fn check_address(address: &Spot<String>, mistakes: &mut Mistakes) {
    let parts = address.rsplit_once(':');
    let fits = parts.is_some_and(|(host, port)| {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if !fits {
        mistakes.add("bad-value", &address.place, quoted(address), "host and port, such as 127.0.0.1:7102");
    }
}

fn check_health_check(check: &HealthCheck, _: &Place, mistakes: &mut Mistakes) {
    if let (Some(http), Some(grpc)) = (&check.http, &check.grpc) {
        let found = "`http` and `grpc` together";
        mistakes.add("conflict", &grpc.place, found, "one of them").also(http.place.clone());
    }
    longer_than_zero(check.interval.as_ref(), mistakes);
    longer_than_zero(check.timeout.as_ref(), mistakes);
    if let Some(interval) = check.interval.as_ref().filter(|interval| interval.value < INTERVAL_MIN) {
        let found = format!("a check each {}", crate::format::format_duration(interval.value));
        mistakes.add("bad-value", &interval.place, found, "at least 10ms: more would be load of its own");
    }
    if let Some(jitter) = check.jitter.as_ref().filter(|jitter| !(0.0..=0.5).contains(&jitter.value)) {
        mistakes.add("bad-value", &jitter.place, format!("a jitter of {}", jitter.value), "0 to 0.5");
    }
    at_least_one(check.healthy.as_ref(), mistakes);
    at_least_one(check.unhealthy.as_ref(), mistakes);
}

/// The shortest time from one check of an endpoint to the next.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

fn check_http_check(check: &HttpCheck, _: &Place, mistakes: &mut Mistakes) {
    // As `http::Uri` reads it; only printable ASCII goes into a request line.
    let fits = |path: &str| path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    if let Some(path) = check.path.as_ref().filter(|path| !fits(path)) {
        mistakes.add("bad-value", &path.place, quoted(path), "a path that begins with `/`");
    }
    let named = |host: &str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    if let Some(host) = check.host.as_ref().filter(|host| !named(host)) {
        mistakes.add("bad-value", &host.place, quoted(host), "a host's name");
    }
}

fn check_grpc_check(check: &GrpcCheck, _: &Place, mistakes: &mut Mistakes) {
    // Each byte of a protobuf string's length counts seven bits; names that need two are nobody's.
    if let Some(service) = check.service.as_ref().filter(|service| service.is_empty() || 127 < service.len())
    {
        let expected = "a gRPC service's name, such as shop.v1.Payment, at most 127 bytes";
        mistakes.add("bad-value", &service.place, quoted(service), expected);
    }
}

fn check_run(run: &Run, place: &Place, mistakes: &mut Mistakes) {
    match (&run.cargo, run.command.first()) {
        (None, None) => {
            mistakes.add("missing-field", place, "nothing to run", "`cargo` or `command`");
        }
        (Some(cargo), Some(command)) => {
            let found = "`cargo` and `command` together";
            mistakes.add("conflict", &command.place, found, "one of them").also(cargo.place.clone());
        }
        _ => {}
    }
}

fn check_operation(operation: &Operation, _: &Place, mistakes: &mut Mistakes) {
    if !is_label(&operation.name) {
        let found = format!("the operation name {}", quoted(&operation.name));
        mistakes.add("bad-name", &operation.name.place, found, "letters, digits and `-`, at most 63");
    }
    if let (Some(http), Some(grpc)) = (&operation.http, &operation.grpc) {
        let found = "`http` and `grpc` together";
        mistakes.add("conflict", &grpc.place, found, "one of them").also(http.place.clone());
    }
    if let Some(grpc) = &operation.grpc {
        let parts = grpc.split_once('/');
        let fits = parts.is_some_and(|(service, method)| {
            !service.is_empty() && !method.is_empty() && !method.contains('/')
        });
        if !fits {
            mistakes.add("bad-value", &grpc.place, quoted(grpc), "`package.Service/Method`");
        }
    }
}

fn check_http(http: &HttpOperation, _: &Place, mistakes: &mut Mistakes) {
    let method = &http.method;
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
        let mistake =
            mistakes.add("bad-value", &method.place, quoted(method), "a method such as GET or POST");
        if !method.is_empty() && method.bytes().all(|b| b.is_ascii_alphabetic()) {
            mistake.hint(format!("methods are written in capitals: {}", method.to_ascii_uppercase()));
        }
    }
    let path = &http.path;
    let segment = |part: &str| match part.strip_prefix('{') {
        Some(name) => {
            name.strip_suffix('}').is_some_and(|name| !name.is_empty() && !name.contains(['{', '}']))
        }
        None => !part.contains(['{', '}']),
    };
    if !path.starts_with('/') || path.contains(['?', '#']) || !path.split('/').all(segment) {
        let expected = "a path such as /orders/{id}, where `{..}` is one whole part";
        mistakes.add("bad-value", &path.place, quoted(path), expected);
    }
}

fn check_takes(takes: &Takes, _: &Place, mistakes: &mut Mistakes) {
    if let (Some(p50), Some(p99)) = (&takes.p50, &takes.p99)
        && p50.value > p99.value
    {
        let found = "a p50 above the p99";
        mistakes.add("bad-value", &p50.place, found, "at most the p99").also(p99.place.clone());
    }
}

fn check_branch(branch: &Branch, _: &Place, mistakes: &mut Mistakes) {
    if let Some(weight) = branch.weight.as_ref().filter(|weight| weight.value <= 0.0) {
        mistakes.add("bad-value", &weight.place, format!("a weight of {}", weight.value), "more than 0");
    }
}
