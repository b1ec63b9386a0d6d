//! A broker that hands out records and remembers, record by record, what was settled.

use crate::error::Error;
use crate::event::Event;
use crate::log::{BoxFuture, Position};
use crate::name::{Group, Topic};
use bowline_lane::{Capabilities, Class};
use bowline_model::WallTime;
use std::sync::Arc;
use std::time::Duration;

/// Topics whose records are handed out and settled one by one.
///
/// Each group gets every record. Within a group a record is in one consumer's hands at a time, and where the
/// capabilities say `order per key`, no record is handed out while an earlier one of its key is out, put off or not
/// yet settled.
pub trait Queue: Send + Sync + 'static {
    /// What it can do, as it is configured.
    fn capabilities(&self) -> &Capabilities;

    /// Takes the events in their order. Completes once they are as durable as the capabilities say.
    ///
    /// # Errors
    /// [`Error::outcome`] says whether the records may have arrived: `Refused` and `Failed` surely not, `Unknown`
    /// perhaps. Waiting for room and not getting it within the time is `Refused`.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the outcome unknown.
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        events: Vec<Event>,
        within: Duration,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Enters a group.
    ///
    /// # Errors
    /// [`Why::NoSuchTopic`](crate::Why::NoSuchTopic).
    ///
    /// # Cancel safety
    /// Dropping the future leaves nobody behind who takes records.
    fn subscribe<'a>(
        &'a self,
        topic: &'a Topic,
        group: &'a Group,
    ) -> BoxFuture<'a, Result<Box<dyn Receiver>, Error>>;
}

/// A consumer of a queue.
///
/// Dropping it is what a crash looks like: what it had and did not settle is delivered again, counted.
pub trait Receiver: Send + Sync {
    /// The next records, at least one; waits until there is one. The consumer has room for `credits`: it gets at most
    /// so many beyond what it has not settled yet.
    ///
    /// # Errors
    /// [`Why::Closed`](crate::Why::Closed), [`Why::Broken`](crate::Why::Broken).
    ///
    /// # Cancel safety
    /// No record is lost and none counts as delivered.
    fn receive(&self, credits: Credits) -> BoxFuture<'_, Result<Vec<Delivery>, Error>>;

    /// Settles a delivery. For `Park` and `DeadLetter` it completes once the record is durable where it was set aside,
    /// and only then is the original gone.
    ///
    /// # Errors
    /// [`Why::NotYours`](crate::Why::NotYours), where it is settled already or was given to another consumer since.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it unknown whether it is settled: it may be delivered again.
    fn settle<'a>(&'a self, ticket: Ticket, how: Settlement) -> BoxFuture<'a, Result<(), Error>>;
}

/// Room for records: both limits hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credits {
    /// So many records.
    pub records: u32,
    /// So many bytes, as [`Event::bytes`] counts; one record comes even if it is larger.
    pub bytes: u64,
}

/// A record in the hands of a consumer.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a delivery that is not settled comes again"]
pub struct Delivery {
    /// What to settle it with.
    pub ticket: Ticket,
    /// How often it was delivered in vain before: after a crash, or put off with [`Settlement::Retry`].
    pub deliveries: u32,
    /// When the broker took it, by the broker's clock.
    pub at: WallTime,
    /// What it says.
    pub event: Arc<Event>,
    /// Where it is, if the broker is a log as well.
    pub position: Option<Position>,
}

/// One delivery of one record. It settles that delivery and no later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What becomes of a delivered record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is done with.
    Ack,
    /// It is delivered again after this long, before any later record of its key.
    Retry {
        /// How long.
        after: Duration,
    },
    /// It is set aside behind a dead letter of its key, in order.
    Park,
    /// It is set aside: delivering it again cannot help.
    DeadLetter {
        /// Why.
        class: Class,
    },
}
