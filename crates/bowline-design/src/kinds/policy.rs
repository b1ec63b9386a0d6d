//! Our Policy: everything Istio lacks, for calls, topics and saga steps alike.

use crate::mistake::Spot;
use crate::read::record::{either, record, words};
use std::time::Duration;

record! {
    /// Deadline, tries, breaker and limits of the calls it targets.
    pub struct Policy {
        /// What it is for.
        pub targets: Vec<Spot<Target>>,
        /// How long a call may take, all tries included.
        pub deadline: Option<Spot<Duration>>,
        /// How often and when a call is tried again.
        pub retry: Option<Spot<Retry>>,
        /// When calls are refused because others failed.
        pub breaker: Option<Spot<Breaker>>,
        /// How many calls may be under way.
        pub bulkhead: Option<Spot<Bulkhead>>,
        /// How many calls may begin.
        pub rate_limit: Option<Spot<RateLimit>>,
        /// Faults to put into tries.
        pub faults: Vec<Spot<Fault>>,
        /// Whether asking twice is as good as asking once, where no operation says.
        pub idempotent: Option<Spot<crate::kinds::service::Idempotent>>,
    }
}

either! {
    /// What a policy is for.
    pub enum Target {
        /// Every call to a service.
        Service(Spot<String>) = "service",
        /// Calls of one operation, `service.operation`.
        Operation(Spot<String>) = "operation",
        /// Calls that a named route sends.
        Route(Spot<String>) = "route",
        /// Calls to a destination host.
        Host(Spot<String>) = "host",
    }
}

record! {
    /// How often and when a call is tried again.
    pub struct Retry {
        /// All tries, the first included.
        pub tries: Option<Spot<u32>>,
        /// How long each try may take.
        pub per_try: Option<Spot<Duration>>,
        /// How long to wait between tries.
        pub backoff: Option<Spot<Backoff>>,
        /// How many retries there may be relative to all calls.
        pub budget: Option<Spot<Budget>>,
    }
}

record! {
    /// How long to wait between tries: longer each time, spread by chance.
    pub struct Backoff {
        /// The first wait; 25 ms when absent.
        pub base: Option<Spot<Duration>>,
        /// The longest wait; 250 ms when absent.
        pub max: Option<Spot<Duration>>,
        /// How chance spreads it; full when absent.
        pub jitter: Option<Spot<Jitter>>,
    }
}

words! {
    /// How chance spreads a back-off.
    pub enum Jitter {
        /// Not at all: the wait itself, growing.
        None = "none",
        /// Between nothing and the wait.
        Full = "full",
        /// Between half the wait and the wait.
        Equal = "equal",
        /// Between the base and three times the last wait.
        Decorrelated = "decorrelated",
    }
}

record! {
    /// How many retries there may be.
    pub struct Budget {
        /// Relative to all calls: 0.2 is one retry for five calls.
        pub ratio: Option<Spot<f64>>,
        /// Always allowed, each second.
        pub min_per_second: Option<Spot<u32>>,
        /// How many may be under way at once.
        pub concurrent: Option<Spot<ConcurrentBudget>>,
    }
}

record! {
    /// How many retries may be under way at once.
    pub struct ConcurrentBudget {
        /// Relative to the calls under way.
        pub ratio: Option<Spot<f64>>,
        /// Always allowed.
        pub min: Option<Spot<u32>>,
    }
}

record! {
    /// When calls are refused because others failed.
    pub struct Breaker {
        /// The time it looks back on.
        pub window: Option<Spot<Duration>>,
        /// Fewer calls than this prove nothing.
        pub min_calls: Option<Spot<u32>>,
        /// The share of failures that opens it.
        pub failure_ratio: Option<Spot<f64>>,
        /// The share of slow calls that opens it.
        pub slow_call: Option<Spot<SlowCall>>,
        /// The failures in a row that open it.
        pub consecutive: Option<Spot<u32>>,
        /// How long it stays open the first time.
        pub open: Option<Spot<Duration>>,
        /// How long it stays open at most.
        pub open_max: Option<Spot<Duration>>,
        /// How many probes may be out at once.
        pub probes: Option<Spot<u32>>,
        /// After this long a probe that did not come back is given up.
        pub probe_lease: Option<Spot<Duration>>,
        /// How long it takes to let everything through again.
        pub ramp: Option<Spot<Duration>>,
        /// How far chance spreads the open time.
        pub jitter: Option<Spot<f64>>,
    }
}

record! {
    /// Slow calls count like failures.
    pub struct SlowCall {
        /// Slower than this is slow.
        pub over: Spot<Duration>,
        /// The share that opens the breaker.
        pub ratio: Option<Spot<f64>>,
    }
}

record! {
    /// How many calls may be under way.
    pub struct Bulkhead {
        /// At once.
        pub concurrent: Spot<u32>,
        /// How many more may wait.
        pub queue: Option<Spot<u32>>,
        /// For how long.
        pub wait: Option<Spot<Duration>>,
    }
}

record! {
    /// How many calls may begin.
    pub struct RateLimit {
        /// Each second.
        pub per_second: Spot<u32>,
        /// How many at once after a silence.
        pub burst: Option<Spot<u32>>,
    }
}

record! {
    /// A fault to put into a try: exactly one of the first five fields.
    pub struct Fault {
        /// The first so many tries of every call seem refused.
        pub drop_first: Option<Spot<u32>>,
        /// The try is held back.
        pub delay: Option<Spot<Duration>>,
        /// The try is answered with this HTTP status instead of being sent.
        pub abort: Option<Spot<u32>>,
        /// The try is answered with this gRPC status instead of being sent.
        pub abort_grpc: Option<Spot<String>>,
        /// The try seems refused.
        pub drop: Option<Spot<bool>>,
        /// The share of tries, from 0 to 100; all when absent.
        pub percent: Option<Spot<f64>>,
    }
}
