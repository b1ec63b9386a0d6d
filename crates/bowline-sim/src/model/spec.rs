//! The parts of a model, as whoever builds one writes them down.

use super::{EdgeId, IntakeId, MachineId, OperationId, ServiceId, TopicId};
use crate::{Arrivals, Dist};
use bowline_policy::{Backoff, CallPolicy};
use std::sync::Arc;
use std::time::Duration;

/// A service: `replicas` equal processes, each working on `concurrency` requests at once, in the order they
/// came.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSpec {
    /// Its name. Random streams hang on names, so the same name in two models means the same draws.
    pub name: Arc<str>,
    /// How many of it run.
    pub replicas: u32,
    /// Requests one replica works on at once. Whoever waits for a call of its own counts.
    pub concurrency: u32,
    /// Requests that may wait in front of one replica; `None`: no limit.
    pub queue: Option<u32>,
    /// What a request meets that finds the queue full.
    pub overflow: Overflow,
    /// Whether it hands its caller's deadline on to what it calls, and leaves requests alone whose deadline
    /// has passed when their turn comes. Without it abandoned work is done in vain.
    pub forwards: bool,
    /// The machine whose cores it shares with others; `None`: cores are never short.
    pub machine: Option<MachineId>,
    /// By how much work that begins is longer for each request inside, itself included: what coordination
    /// costs, more the more there are.
    pub crowding: Duration,
}

/// What a request meets that finds the queue full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// It is shed: surely no effect, a refusal that says nothing about the service's health.
    #[default]
    Shed,
    /// A 503, as from a service that knows nothing of outcomes.
    Unavailable,
    /// A refused connection.
    ConnectionRefused,
}

impl ServiceSpec {
    /// One replica that works on one request at a time, with an endless queue.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            replicas: 1,
            concurrency: 1,
            queue: None,
            overflow: Overflow::default(),
            forwards: false,
            machine: None,
            crowding: Duration::ZERO,
        }
    }
}

/// A machine whose cores are shared evenly by whatever works on it (processor sharing): with more work under
/// way than cores, all of it becomes slower by the same factor. A scheduler that cuts time into slices of
/// milliseconds comes close to that; a token a core would make short work wait behind long work, which no
/// kernel does. What a paused process has begun keeps its share until it would have been done.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineSpec {
    /// Its name.
    pub name: Arc<str>,
    /// How many cores.
    pub cores: u32,
}

/// One thing that can be asked of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationSpec {
    /// Its name within the service.
    pub name: Arc<str>,
    /// The service.
    pub service: ServiceId,
    /// Whether doing it twice is the same as doing it once: then its repetitions are no duplicates.
    pub idempotent: bool,
    /// Whether its answer is "accepted" (202): done, and more to come by what it has published.
    pub pending: bool,
    /// What it does, in order.
    pub does: Vec<Do>,
}

/// One thing that an operation does.
#[derive(Clone, Debug, PartialEq)]
pub enum Do {
    /// Works for this long.
    Work(Dist),
    /// Calls, and waits for the end of it. If the call does not succeed, the operation fails.
    Call(EdgeId),
    /// Publishes, and waits for the broker to confirm. If it does not, the operation fails.
    Publish(TopicId),
    /// Does several things at once and waits for all.
    Parallel(Vec<Vec<Do>>),
    /// Does one of several things, with these shares.
    Choice(Vec<(f64, Vec<Do>)>),
}

/// A call edge: who is asked, under which policy, over which wire.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeSpec {
    /// What it is called in results. Random streams hang on it.
    pub name: Arc<str>,
    /// Whom it asks.
    pub to: OperationId,
    /// What governs its calls: what production runs on.
    pub policy: CallPolicy,
    /// Whose breaker, budget, bulkhead and limiter it uses: edges of one caller with the same key share
    /// them. Empty: its own.
    pub keys: EdgeKeys,
    /// The deadline of a call, where the caller brings no sooner one.
    pub deadline: Option<Duration>,
    /// Whether a call may be repeated after an unknown outcome.
    pub repeatable: bool,
    /// How long a message takes, each way.
    pub latency: Dist,
    /// The share of messages that are lost and sent again, by what stands in for TCP: after 200 ms, then
    /// twice that, and so on.
    pub loss: f64,
}

/// Whose state each part of a call's policy is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeKeys {
    /// The breaker's.
    pub breaker: Arc<str>,
    /// The retry budget's.
    pub budget: Arc<str>,
    /// The retry throttle's.
    pub retry_throttle: Arc<str>,
    /// The bulkhead's.
    pub bulkhead: Arc<str>,
    /// The rate limit's.
    pub rate: Arc<str>,
    /// The admission throttle's.
    pub admission: Arc<str>,
    /// What is known of how long calls take.
    pub hedge: Arc<str>,
    /// The balancer's: what is known of the destination's replicas.
    pub balance: Arc<str>,
}

impl EdgeSpec {
    /// An edge to an operation with no policy, no deadline and a wire that takes no time.
    #[must_use]
    pub fn new(name: &str, to: OperationId) -> Self {
        Self {
            name: name.into(),
            to,
            policy: CallPolicy::default(),
            keys: EdgeKeys::default(),
            deadline: None,
            repeatable: true,
            latency: Dist::ZERO,
            loss: 0.0,
        }
    }
}

/// A topic: a log in partitions.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicSpec {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions.
    pub partitions: u32,
    /// How many keys there are, each request's drawn evenly among them; zero: each request has its own.
    pub keys: u32,
    /// How long a record is kept. One that no consumer took by then is lost.
    pub retention: Duration,
    /// How long the broker takes to confirm a record: its sync, or its replicas.
    pub confirms: Dist,
    /// How long a record takes from the broker to a consumer.
    pub delivers: Dist,
}

impl TopicSpec {
    /// Eight partitions, a key for each request, kept for a week, over a broker that takes no time.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            partitions: 8,
            keys: 0,
            retention: Duration::from_secs(7 * 24 * 3_600),
            confirms: Dist::ZERO,
            delivers: Dist::ZERO,
        }
    }
}

/// A group of consumers of a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriptionSpec {
    /// Its name.
    pub name: Arc<str>,
    /// What it reads.
    pub topic: TopicId,
    /// The call that handles a record, with its policy.
    pub deliver: EdgeId,
    /// Records under way at once, over all consumers of the group.
    pub concurrency: u32,
    /// What is kept in order.
    pub order: Order,
    /// The pause before a record that was not processed is delivered again.
    pub backoff: Backoff,
    /// After this many deliveries in vain a record is set aside. A delivery that surely nobody acted on
    /// (open breaker, full bulkhead, nobody there, shed by a full queue) does not count: it says nothing
    /// about the record.
    pub dead_letter_after: u32,
    /// Whether a request counts as completed only once this group is done with its records. Where not, it
    /// still counts for when the request is visible everywhere.
    pub completes: bool,
}

/// What a group keeps in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The records of a key: one that waits to be delivered again holds back those behind it of its key.
    #[default]
    Key,
    /// The records of a partition.
    Partition,
    /// All records of the topic: one at a time.
    Topic,
    /// Nothing.
    None,
}

impl SubscriptionSpec {
    /// Sixteen records at once, in order of keys, set aside after eight deliveries.
    #[must_use]
    pub fn new(name: &str, topic: TopicId, deliver: EdgeId) -> Self {
        Self {
            name: name.into(),
            topic,
            deliver,
            concurrency: 16,
            order: Order::Key,
            backoff: Backoff::Full { base: Duration::from_millis(100), max: Duration::from_secs(10) },
            dead_letter_after: 8,
            completes: true,
        }
    }
}

/// A synchronous door to asynchronous work.
#[derive(Clone, Debug, PartialEq)]
pub struct IntakeSpec {
    /// Its name.
    pub name: Arc<str>,
    /// What it starts.
    pub start: Start,
    /// How long the asker is kept: done by then, the answer is final; otherwise it is 202.
    pub wait: Duration,
}

/// What an intake starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A call. What it does not finish in time goes on by itself.
    Call(EdgeId),
    /// A call; if it does not succeed, a record that makes up for it later. The asker is answered 202 as soon
    /// as the broker has it.
    CallOr(EdgeId, TopicId),
    /// A record.
    Publish(TopicId),
}

/// A way in: who comes, when, and for what.
#[derive(Clone, Debug, PartialEq)]
pub struct EntrySpec {
    /// Its name.
    pub name: Arc<str>,
    /// What is asked.
    pub to: EntryTo,
    /// When.
    pub arrivals: Arrivals,
    /// How many clients with policies of their own; a request is any one's. One: Bowline's gateway.
    pub clients: u32,
}

/// What a way in leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryTo {
    /// A call.
    Call(EdgeId),
    /// An intake.
    Intake(IntakeId),
}
