//! Our Service: a named program and what it can be asked.

use crate::mistake::Spot;
use crate::read::record::{either, record, words};
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
        /// HTTP.
        Http = "http",
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
    }
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
    }
}

record! {
    /// A method and a path.
    pub struct HttpOperation {
        /// The method.
        pub method: Spot<String>,
        /// The path; `{name}` stands for one segment.
        pub path: Spot<String>,
    }
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

record! {
    /// How long an operation takes when nothing else runs.
    pub struct Takes {
        /// Half of all are faster.
        pub p50: Option<Spot<Duration>>,
        /// 99 of 100 are faster.
        pub p99: Option<Spot<Duration>>,
        /// How many were measured.
        pub samples: Option<Spot<u64>>,
    }
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
    }
}
