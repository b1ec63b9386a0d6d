//! Experiments: a load, what goes wrong under it, and the variants of the design that bear it.

use super::{BrokerId, IntakeId, ServiceId, Source, Sourced, SubscriptionId, TopicId};
use crate::format::parse_duration;
pub use crate::kinds::values::{Amount, Rate};
use crate::mistake::Place;
use bowline_fault::Percent;
use std::sync::Arc;
use std::time::Duration;

/// A load, what goes wrong under it, and the variants of the design that bear it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Where it is declared.
    pub place: Place,
    /// What is asked, and how often.
    pub load: Load,
    /// How long it runs before anything is counted. All other times begin after it.
    pub warm_up: Sourced<Duration>,
    /// How many times each arm runs.
    pub seeds: Sourced<u32>,
    /// What goes wrong, in the order of the document.
    pub faults: Vec<Fault>,
    /// The variants of the design; never none.
    pub arms: Vec<Arm>,
    /// What each arm has to keep, in the order of the schema.
    pub objectives: Vec<Objective>,
    /// What lies between the services.
    pub network: Network,
    /// Services that share a machine's cores.
    pub machines: Vec<Machine>,
}

/// What is asked, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Where requests come in.
    pub entry: Entry,
    /// When they arrive.
    pub arrivals: Sourced<Arrivals>,
    /// For how long, the warm-up not counted.
    pub length: Sourced<Duration>,
}

/// Where requests come in.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Through an intake.
    Intake(IntakeId),
    /// At an operation.
    Operation {
        /// Of whom.
        service: ServiceId,
        /// As an index of its operations.
        operation: usize,
    },
    /// By a route of a VirtualService: one of the names by which a policy can target it.
    Route(String),
}

/// When requests arrive: open loop, whatever became of those before.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// Independently of one another.
    Poisson(Rate),
    /// At even distances.
    Constant(Rate),
    /// `size` at once every so often, the first time after `every`, on top of independent ones.
    Bursts {
        /// The rate of those that come independently; it may be zero.
        rate: Rate,
        /// How many at once.
        size: u32,
        /// From one burst to the next.
        every: Duration,
    },
    /// Independently, at a rate that goes evenly from one to the other and stays there.
    Ramp {
        /// The rate at the beginning, and during the warm-up.
        from: Rate,
        /// The rate at the end.
        to: Rate,
        /// How long it takes.
        over: Duration,
    },
    /// Independently, at one rate after the other.
    Steps {
        /// The rate at the beginning, and during the warm-up.
        from: Rate,
        /// Other rates, and from when on; in order.
        then: Vec<(Duration, Rate)>,
    },
    /// At these times since the start, in order.
    Trace(Arc<[Duration]>),
    /// At the times in this file, which whoever runs the scenario reads, with [`parse_trace`].
    TraceFile(String),
}

/// Reads a recorded trace: one arrival a line, as a duration since the start (`1.5s`) or a number of
/// seconds. Empty lines and lines that begin with `#` are passed over.
///
/// # Errors
/// The number of the first line that is not such a time, or is before the one before it, and why.
pub fn parse_trace(text: &str) -> Result<Arc<[Duration]>, (usize, &'static str)> {
    let mut times = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let seconds =
            || line.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let time = parse_duration(line).ok().or_else(seconds).ok_or((number, "no time since the start"))?;
        if times.last().is_some_and(|last| *last > time) {
            return Err((number, "a time before the one before it"));
        }
        times.push(time);
    }
    Ok(times.into())
}

/// Something that goes wrong for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// When it begins, counted from the end of the warm-up.
    pub at: Duration,
    /// For how long; to the end of the run where nobody says.
    pub length: Sourced<Duration>,
    /// What it is about.
    pub target: Target,
    /// What happens.
    pub kind: FaultKind,
    /// Where it is written.
    pub place: Place,
}

/// What a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A service, all of its replicas.
    Service(ServiceId),
    /// Calls from one service to another.
    Calls {
        /// Who asks.
        from: ServiceId,
        /// Who is asked.
        to: ServiceId,
    },
    /// A topic, and all that read it.
    Topic(TopicId),
    /// The consumers of one subscription.
    Subscription(SubscriptionId),
    /// A broker, and all of its topics.
    Broker(BrokerId),
    /// Bowline itself.
    Bowline,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultKind {
    /// All processes are gone, with what they were doing. When it is over they are started again.
    Crash {
        /// How long it takes from being started to being ready.
        restart: Duration,
    },
    /// All processes stand still, and go on when it is over.
    Pause,
    /// Work takes so many times as long.
    Slow {
        /// How many times; at least 1.
        factor: f64,
    },
    /// Calls are answered with an error instead of being worked on.
    Error {
        /// Its HTTP status.
        status: u16,
        /// How many.
        percent: Percent,
    },
    /// The first so many tries of every call seem refused.
    DropFirst(u32),
    /// What is sent arrives nowhere, and nobody is told.
    Blackhole,
    /// Connections are reset after the request was sent.
    Reset,
    /// What is sent does not arrive.
    Partition {
        /// In the other direction neither.
        both: bool,
    },
    /// The broker cannot be reached; what it has confirmed it keeps.
    BrokerDown,
    /// No gateway, no mesh, no embedded broker.
    BowlineDown,
    /// Consumers take records and do not come back with them.
    ConsumerStuck,
    /// Some records can never be processed.
    Poison(Percent),
    /// Some records are delivered a second time.
    Duplicate(Percent),
}

impl FaultKind {
    /// The word that a document writes for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crash { .. } => "crash",
            Self::Pause => "pause",
            Self::Slow { .. } => "slow",
            Self::Error { .. } => "error",
            Self::DropFirst(_) => "dropFirst",
            Self::Blackhole => "blackhole",
            Self::Reset => "reset",
            Self::Partition { .. } => "partition",
            Self::BrokerDown => "brokerDown",
            Self::BowlineDown => "bowlineDown",
            Self::ConsumerStuck => "consumerStuck",
            Self::Poison(_) => "poison",
            Self::Duplicate(_) => "duplicate",
        }
    }
}

/// One variant of the design.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// Its name in the report.
    pub name: Arc<str>,
    /// The overlay that makes it, as [`crate::resolve_arm`] takes it; `None`: the design as it is.
    pub overlay: Option<Arc<str>>,
    /// Who asked for it.
    pub from: Source,
}

/// What an arm has to keep: a metric that is at most so much.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// What is measured.
    pub metric: Metric,
    /// What it may be at most.
    pub at_most: Bound,
    /// Where it is written.
    pub place: Place,
}

/// What an objective is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// From asking to an answer.
    Ack(Quantile),
    /// From asking to the end of all that was asked for.
    Completion(Quantile),
    /// From asking to when others can see it.
    Visible(Quantile),
    /// Requests that failed.
    Failed,
    /// Requests that were accepted and lost.
    Lost,
    /// Requests that had their effect more than once.
    Duplicated,
    /// Records that were processed before an earlier one of their key.
    Reordered,
    /// Requests that were neither done nor given up at the end.
    Stuck,
    /// The age of what is read, at its worst.
    Staleness,
    /// From the end of the last fault to being back to normal.
    Recovery,
    /// Records waiting, at the worst time.
    Backlog,
    /// The work that a request costs, relative to what it costs when nothing goes wrong.
    Work,
}

/// A part of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantile {
    /// Half.
    P50,
    /// 90 of 100.
    P90,
    /// 99 of 100.
    P99,
    /// 999 of 1000.
    P999,
    /// All.
    Max,
}

impl Quantile {
    /// As a share.
    #[must_use]
    pub const fn share(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P90 => 0.9,
            Self::P99 => 0.99,
            Self::P999 => 0.999,
            Self::Max => 1.0,
        }
    }
}

impl Metric {
    /// The word that a document writes for it, `ack.p99`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        macro_rules! clock {
            ($name:literal, $quantile:expr) => {
                match $quantile {
                    Quantile::P50 => concat!($name, ".p50"),
                    Quantile::P90 => concat!($name, ".p90"),
                    Quantile::P99 => concat!($name, ".p99"),
                    Quantile::P999 => concat!($name, ".p99.9"),
                    Quantile::Max => concat!($name, ".max"),
                }
            };
        }
        match self {
            Self::Ack(quantile) => clock!("ack", quantile),
            Self::Completion(quantile) => clock!("completion", quantile),
            Self::Visible(quantile) => clock!("visible", quantile),
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
            Self::Stuck => "stuck",
            Self::Staleness => "staleness",
            Self::Recovery => "recovery",
            Self::Backlog => "backlog",
            Self::Work => "work",
        }
    }
}

/// What a metric may be at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// A time.
    Time(Duration),
    /// So many requests, or a share of them.
    Requests(Amount),
    /// So many records.
    Records(u64),
    /// So many times.
    Times(f64),
}

/// What lies between the services.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// How long a message is under way.
    pub latency: Sourced<Duration>,
    /// The share of messages that never arrive, from 0 to 1.
    pub loss: Sourced<f64>,
    /// How long a broker takes to confirm a record.
    pub confirm: Sourced<Duration>,
}

/// A machine that services share.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// How many of its requests are worked on at once, whoever is asked.
    pub cores: u32,
    /// The services on it, with all of their replicas.
    pub services: Vec<ServiceId>,
    /// Where it is written.
    pub place: Place,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_one_time_a_line() {
        let times = parse_trace("# recorded on a Friday\n0\n0.25\n\n 1.5s \n1500ms\n").unwrap();
        let millis: Vec<u128> = times.iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [0, 250, 1500, 1500]);
        assert_eq!(parse_trace("1s\nsoon\n"), Err((2, "no time since the start")));
        assert_eq!(parse_trace("1s\n0.5\n"), Err((2, "a time before the one before it")));
        assert_eq!(parse_trace("-1\n"), Err((1, "no time since the start")));
    }
}
