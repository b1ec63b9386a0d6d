//! Everything that governs a consumer, as data.

use crate::needs::Order;
use bowline_policy::Backoff;
use std::time::Duration;

/// Everything that governs a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConsumerSettings {
    /// Which records wait for each other. Records without a key wait for nobody, unless the whole partition does.
    pub order: Order,
    /// The most records in the hands of handlers at once, over all partitions. 16, when nothing is said: enough for a
    /// handler that waits for a database, and few to be delivered again after a crash.
    pub concurrency: u32,
    /// Credits by count: the most records that are fetched and not yet settled, over all partitions. 512, when nothing
    /// is said: two fetches ahead of sixteen handlers.
    pub records_max: u32,
    /// Credits by bytes: the same in bytes. 16 MiB, when nothing is said. One record more than fits may come, because
    /// a record that is larger than all the credits has to come at some time.
    pub bytes_max: u64,
    /// The most records between a partition's floor and what is fetched: how far others go on while one key is put off.
    /// 10,000, when nothing is said: what is settled above the floor costs sixteen bytes a record.
    pub ahead_max: u32,
    /// How long a record waits before it is delivered again: that of calls.
    pub backoff: Backoff,
    /// After so many deliveries in vain a record is set aside, the first included; a delivery that was refused does not
    /// count. Nothing is set aside for that, when nothing is said.
    pub deliveries_max: Option<u32>,
    /// What becomes of later records of a key of which one was set aside.
    pub after_dead: AfterDead,
    /// What becomes of a record whose time is over.
    pub expired: Expired,
}

/// What becomes of later records of a key of which one was set aside. A record without a key has no later ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AfterDead {
    /// They are worked on, as if nothing had happened: for records that do not build on each other.
    #[default]
    Continue,
    /// They wait behind it, set aside as well, in order, until the key is opened again.
    Park,
    /// They are dead letters, too.
    Follow,
}

/// What becomes of a record whose time is over before a handler saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Expired {
    /// It is a dead letter: nothing is lost unless somebody asks for it.
    #[default]
    SetAside,
    /// It is settled, and counted.
    Discard,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            order: Order::Key,
            concurrency: 16,
            records_max: 512,
            bytes_max: 16 << 20,
            ahead_max: 10_000,
            backoff: Backoff::Equal { base: Duration::from_millis(100), max: Duration::from_secs(10) },
            deliveries_max: None,
            after_dead: AfterDead::Continue,
            expired: Expired::SetAside,
        }
    }
}
