//! What goes wrong, where and when.
//!
//! These are faults of the world: of services, wires and brokers. Faults that Bowline injects itself are part
//! of a call's policy ([`bowline_fault::Plan`]) and strike inside the try, here as in production.

use crate::model::{EdgeId, Model, ServiceId, SubscriptionId, TopicId};
use bowline_fault::Percent;
use bowline_model::Instant;
use std::time::Duration;

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultEvent {
    /// When it begins.
    pub at: Instant,
    /// How long it lasts; `None`: for the rest of the run.
    pub length: Option<Duration>,
    /// What happens, and to whom.
    pub kind: FaultKind,
}

/// What happens, and to whom.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// The process dies: what it works on and what waits for it is gone, connections break, and it refuses
    /// new ones until the fault is over and `restart_after` has passed besides. What its callers' policies
    /// have learned of it stays; what its own calls have learned is gone.
    Crash {
        /// Who.
        service: ServiceId,
        /// Which replica; `None`: all.
        replica: Option<u32>,
        /// How long it takes from being started again to being ready.
        restart_after: Duration,
    },
    /// The process stops and goes on later, as with SIGSTOP: connections are still accepted, nothing moves.
    Pause {
        /// Who.
        service: ServiceId,
        /// Which replica; `None`: all.
        replica: Option<u32>,
    },
    /// Work that begins takes this many times as long.
    Slow {
        /// Who.
        service: ServiceId,
        /// Which replica; `None`: all.
        replica: Option<u32>,
        /// How many times.
        factor: f64,
    },
    /// Requests are answered with a status instead of being worked on.
    Error {
        /// Which.
        calls: Calls,
        /// Which replica answers so; `None`: all.
        replica: Option<u32>,
        /// The status.
        status: u16,
        /// Which share of them.
        percent: Percent,
    },
    /// The first tries of every call meet a refused connection.
    DropFirst {
        /// Which.
        calls: Calls,
        /// How many tries.
        tries: u32,
    },
    /// What is sent vanishes, and nobody says so.
    Blackhole {
        /// Which.
        calls: Calls,
    },
    /// Connections break after the request was read: the work is done and nobody hears of it.
    Reset {
        /// Which.
        calls: Calls,
        /// Of which share of requests.
        percent: Percent,
    },
    /// What one sends to the other vanishes: requests of the one, answers of the other.
    Partition {
        /// Who sends; `None`: those outside.
        from: Option<ServiceId>,
        /// Who does not receive.
        to: ServiceId,
        /// Whether the other way is cut, too.
        both: bool,
    },
    /// The messages of one edge take longer.
    Latency {
        /// Which.
        edge: EdgeId,
        /// How much longer, each way.
        extra: Duration,
    },
    /// The broker of these topics answers nobody. What it has confirmed it keeps.
    BrokerDown {
        /// Which; empty: all.
        topics: Vec<TopicId>,
    },
    /// Bowline itself is down: no call gets anywhere, those under way break, embedded topics stand still.
    /// Breakers and budgets begin anew afterwards.
    BowlineDown,
    /// The consumers of a subscription take nothing more.
    ConsumerStuck {
        /// Which.
        subscription: SubscriptionId,
    },
    /// Records that no consumer can process.
    Poison {
        /// Of this topic.
        topic: TopicId,
        /// Only for these consumers of it; `None`: for all.
        subscription: Option<SubscriptionId>,
        /// Which share of them.
        percent: Percent,
    },
    /// Records that the broker delivers twice.
    Duplicate {
        /// Of this topic.
        topic: TopicId,
        /// Only to these consumers of it; `None`: to all.
        subscription: Option<SubscriptionId>,
        /// Which share of them.
        percent: Percent,
    },
}

/// Which calls something happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    /// Of whom; `None`: of anybody, those outside too.
    pub from: Option<ServiceId>,
    /// To whom.
    pub to: ServiceId,
}

impl Calls {
    /// All calls to a service.
    #[must_use]
    pub const fn to(service: ServiceId) -> Self {
        Self { from: None, to: service }
    }

    /// Whether a call of `caller` (`None`: outside) is one of them.
    pub(crate) fn include(self, caller: Option<ServiceId>) -> bool {
        self.from.is_none_or(|from| caller == Some(from))
    }
}

impl FaultEvent {
    /// Whether the model has what it names.
    pub(crate) fn check(&self, model: &Model) -> Result<(), &'static str> {
        let known = |fine: bool| if fine { Ok(()) } else { Err("it names what the model has not") };
        let service = |id: ServiceId| known(id.index() < model.services.len());
        let replica = |id: ServiceId, replica: Option<u32>| {
            service(id)?;
            known(replica.is_none_or(|replica| replica < model.services[id.index()].replicas))
        };
        let topic = |id: TopicId| known(id.index() < model.topics.len());
        let subscription = |id: SubscriptionId| known(id.index() < model.subscriptions.len());
        match &self.kind {
            FaultKind::Crash { service, replica: one, .. } | FaultKind::Pause { service, replica: one } => {
                replica(*service, *one)
            }
            FaultKind::Slow { service, replica: one, factor } => {
                replica(*service, *one)?;
                if factor.is_finite() && 0.0 < *factor {
                    Ok(())
                } else {
                    Err("its factor must be above zero")
                }
            }
            FaultKind::Error { calls, replica: one, .. } => {
                calls.from.map_or(Ok(()), service)?;
                replica(calls.to, *one)
            }
            FaultKind::DropFirst { calls, .. }
            | FaultKind::Blackhole { calls }
            | FaultKind::Reset { calls, .. } => {
                calls.from.map_or(Ok(()), service)?;
                service(calls.to)
            }
            FaultKind::Partition { from, to, .. } => {
                from.map_or(Ok(()), service)?;
                service(*to)
            }
            FaultKind::Latency { edge, .. } => known(edge.index() < model.edges.len()),
            FaultKind::BrokerDown { topics } => topics.iter().try_for_each(|id| topic(*id)),
            FaultKind::BowlineDown => Ok(()),
            FaultKind::ConsumerStuck { subscription: id } => subscription(*id),
            FaultKind::Poison { topic: id, subscription: reader, .. }
            | FaultKind::Duplicate { topic: id, subscription: reader, .. } => {
                topic(*id)?;
                reader.map_or(Ok(()), subscription)
            }
        }
    }

    /// When it is over; `None`: never.
    #[must_use]
    pub fn over_at(&self) -> Option<Instant> {
        let restart = match &self.kind {
            FaultKind::Crash { restart_after, .. } => *restart_after,
            _ => Duration::ZERO,
        };
        match (self.length, &self.kind) {
            (Some(length), _) => Some(self.at + length.saturating_add(restart)),
            // A crash that nobody ends is over when its process has started again by itself.
            (None, FaultKind::Crash { .. }) if !restart.is_zero() => Some(self.at + restart),
            (None, _) => None,
        }
    }
}
