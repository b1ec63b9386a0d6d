//! Our Service: a named program and what it can be asked.

use crate::kinds::Meta;
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{Group, Kind, OURS};
use crate::read::names::{is_label, quoted};
use crate::read::reader::{Read, Reader, word};
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
    /// An address of a service.
    pub struct Endpoint {
        /// Host and port.
        pub address: Spot<String>,
        /// Its labels; they make subsets.
        pub labels: BTreeMap<String, String>,
    } checked by check_endpoint
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

fn check_endpoint(endpoint: &Endpoint, _: &Place, mistakes: &mut Mistakes) {
    let address = &endpoint.address;
    let parts = address.rsplit_once(':');
    let fits = parts.is_some_and(|(host, port)| {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if !fits {
        mistakes.add("bad-value", &address.place, quoted(address), "host and port, such as 127.0.0.1:7102");
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
