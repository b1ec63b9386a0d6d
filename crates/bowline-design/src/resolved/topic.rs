//! Where records go: brokers, topics, and who reads them.

use super::{ServiceId, Sourced};
pub use crate::kinds::topic::{Durability, Order};
use crate::mistake::Place;
use bowline_policy::Backoff;
use std::sync::Arc;
use std::time::Duration;

/// Which broker: an index into [`super::Design::brokers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerId(pub u32);

/// Which topic: an index into [`super::Design::topics`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub u32);

/// Which subscription: an index into [`super::Design::subscriptions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u32);

/// What keeps records.
#[derive(Clone, Debug, PartialEq)]
pub struct Broker {
    /// Its name.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Where it is declared.
    pub place: Place,
    /// What it is, and where.
    pub at: BrokerAt,
}

/// What a broker is, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerAt {
    /// Bowline itself.
    Embedded,
    /// RabbitMQ, behind this URL.
    Rabbitmq(String),
    /// Kafka, entered by any of these addresses.
    Kafka(Vec<String>),
    /// Redis, behind this URL.
    Redis(String),
    /// NATS, behind this URL.
    Nats(String),
}

/// An ordered log of records.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Where it is declared.
    pub place: Place,
    /// What keeps it.
    pub broker: BrokerId,
    /// Into how many parts it is split.
    pub partitions: Sourced<u32>,
    /// Where in a record its key stands, as a JSON Pointer; `None`: records have no key.
    pub key: Option<Sourced<String>>,
    /// The name of the contract that its records keep.
    pub contract: Option<Sourced<String>>,
    /// How long a record is kept; `None`: for good.
    pub retention: Option<Sourced<Duration>>,
    /// What publishing has to guarantee.
    pub needs: RecordNeeds,
}

/// What a topic or subscription has to guarantee; `None`: nobody asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordNeeds {
    /// Which records stay in order.
    pub order: Option<Sourced<Order>>,
    /// What a record has survived once it is confirmed.
    pub durability: Option<Sourced<Durability>>,
    /// Whether old records can be read again.
    pub replay: Option<Sourced<bool>>,
    /// Whether a record can be put off without holding up others.
    pub delayed_retry: Option<Sourced<bool>>,
}

/// Consumers that share the records of a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// Its name.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Where it is declared.
    pub place: Place,
    /// Whose records.
    pub topic: TopicId,
    /// Whose it is: each group gets every record once.
    pub group: Arc<str>,
    /// Who a record is given to.
    pub service: ServiceId,
    /// As which of its operations.
    pub operation: usize,
    /// What it has to guarantee.
    pub needs: RecordNeeds,
    /// How many records are worked on at once, by the whole group.
    pub concurrency: Sourced<u32>,
    /// After how many deliveries a record is set aside; `None`: never.
    pub dead_letter_after: Option<Sourced<u32>>,
    /// How long each delivery may take; `None`: as long as a call of the operation may.
    pub per_try: Option<Sourced<Duration>>,
    /// How long to wait between deliveries.
    pub backoff: Sourced<Backoff>,
    /// The lag from which on it is said.
    pub lag_warn: Option<Sourced<Duration>>,
    /// The lag from which on it is a failure.
    pub lag_limit: Option<Sourced<Duration>>,
}
