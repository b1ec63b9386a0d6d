//! What a consumer is told, and what it asks for.

use crate::cursor::{Assigned, Cursor};
use crate::key::Key;
use crate::settle::{Aside, Class, Ended};
use bowline_model::Instant;
use std::time::Duration;

/// One delivery of one record. What a driver reports about another delivery of it than the present one is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId {
    /// The partition.
    pub partition: u32,
    /// The epoch in which this consumer owns it.
    pub epoch: u64,
    /// The record.
    pub offset: u64,
    /// Which attempt at it within this epoch, from one.
    pub attempt: u32,
}

/// What is known of a fetched record. Its data stay with the driver.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fetched {
    /// Its place.
    pub offset: u64,
    /// Its key.
    pub key: Option<Key>,
    /// What it weighs.
    pub bytes: u64,
    /// When it is of no use any more.
    pub expires: Option<Instant>,
    /// Why no handler shall see it: it is malformed, or does not keep its contract.
    pub unfit: Option<Class>,
}

/// What a consumer is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// A partition is this consumer's.
    Assigned {
        /// The partition.
        partition: u32,
        /// Greater with every owner.
        epoch: u64,
        /// Where its group is.
        state: Assigned,
    },
    /// A partition shall go to another consumer.
    Revoking {
        /// The partition.
        partition: u32,
        /// Its epoch.
        epoch: u64,
        /// Until then.
        until: Instant,
    },
    /// A partition is another consumer's.
    Lost {
        /// The partition.
        partition: u32,
        /// The epoch that is over.
        epoch: u64,
    },
    /// What an [`Effect::Fetch`] brought.
    Fetched {
        /// The partition.
        partition: u32,
        /// Its epoch.
        epoch: u64,
        /// Which fetch.
        fetch: u64,
        /// Where the next fetch begins: after the last record, or beyond it where the log has a gap.
        next: u64,
        /// In the order of their offsets.
        records: Vec<Fetched>,
    },
    /// How an [`Effect::Commit`] ended.
    Committed {
        /// The partition.
        partition: u32,
        /// Its epoch.
        epoch: u64,
        /// Which commit.
        version: u64,
        /// Whether the cursor is durable. A driver that does not know says no: it is written again.
        kept: bool,
    },
    /// How an [`Effect::Handle`] ended.
    Ended {
        /// The delivery.
        id: DeliveryId,
        /// How.
        ended: Ended,
    },
    /// How an [`Effect::SetAside`] ended.
    SetAside {
        /// The delivery.
        id: DeliveryId,
        /// Whether the record is durable there. A driver that does not know says no: it is set aside again.
        kept: bool,
    },
    /// The handler's target is left alone until then: its breaker is open.
    TargetOpen {
        /// Until then. One record after the other is tried from there on.
        until: Instant,
    },
    /// The handler's target is well again.
    TargetClosed,
    /// Nothing of a key is set aside any more.
    Reopened {
        /// The partition.
        partition: u32,
        /// The key.
        key: Key,
    },
    /// Time has passed: [`Consumer::wake_at`](crate::Consumer::wake_at).
    Woke,
    /// Let go of everything, in order.
    Stop {
        /// Until then.
        until: Instant,
    },
}

/// What a consumer asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Read, and answer with [`Input::Fetched`]; with none, where none came.
    Fetch {
        /// The partition.
        partition: u32,
        /// Its epoch.
        epoch: u64,
        /// Which fetch.
        fetch: u64,
        /// From this offset on.
        from: u64,
        /// At most so many.
        records: u32,
        /// At most so many bytes, and one record in any case.
        bytes: u64,
    },
    /// Keep the cursor, durably, and answer with [`Input::Committed`].
    Commit {
        /// The partition.
        partition: u32,
        /// Its epoch.
        epoch: u64,
        /// Which commit.
        version: u64,
        /// What to keep.
        cursor: Cursor,
    },
    /// Give the record to the handler, and answer with [`Input::Ended`].
    Handle {
        /// The delivery.
        id: DeliveryId,
        /// How often it was delivered in vain before.
        deliveries: u32,
    },
    /// Stop the handler: the partition is another consumer's. Its end is not waited for.
    Cancel {
        /// The delivery.
        id: DeliveryId,
    },
    /// Set the record aside, durably, and answer with [`Input::SetAside`].
    SetAside {
        /// The delivery.
        id: DeliveryId,
        /// How.
        aside: Aside,
        /// Whether later records of its key have to follow.
        parks_key: bool,
        /// How often it was delivered in vain.
        deliveries: u32,
    },
    /// The record is settled: what the driver holds of it can go.
    Forget {
        /// The partition.
        partition: u32,
        /// The record.
        offset: u64,
    },
    /// The partition is let go of: tell the broker, unless it was lost, and forget what is held of it.
    Release {
        /// The partition.
        partition: u32,
        /// Whether it is another consumer's already.
        lost: bool,
    },
}

/// What a consumer decides, each with a named reason: the label of the metric, and the text for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// A handler gets it.
    Handled {
        /// How often it was delivered in vain before.
        deliveries: u32,
    },
    /// It is settled: its effect has happened.
    Acknowledged,
    /// It is settled and was not handled: its time was over.
    Discarded,
    /// It is delivered again.
    PutOff {
        /// After this long.
        after: Duration,
        /// Why.
        why: PutOffWhy,
    },
    /// It is set aside.
    SetAside(Aside),
    /// It could not be set aside and is held back, with its key.
    HeldBack {
        /// For this long.
        after: Duration,
    },
    /// It was perhaps in a handler's hands when a consumer died: it is delivered while no other is.
    Suspected,
    /// The consumer starts nothing.
    Paused {
        /// For this long.
        span: Duration,
    },
    /// It starts records again.
    Resumed,
    /// Records before this one are gone: retention took them before they were settled.
    Skipped {
        /// So many offsets.
        records: u64,
    },
}

/// Why a record is delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PutOffWhy {
    /// Nobody acted on it. It does not count.
    Refused,
    /// It may have had an effect. It counts.
    Unknown,
}

impl Decision {
    /// The word of it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handled { .. } => "handled",
            Self::Acknowledged => "acknowledged",
            Self::Discarded => "discarded",
            Self::PutOff { why: PutOffWhy::Refused, .. } => "put off: refused",
            Self::PutOff { why: PutOffWhy::Unknown, .. } => "put off: unknown",
            Self::SetAside(Aside::Parked) => "parked",
            Self::SetAside(Aside::Dead(class)) => class.as_str(),
            Self::HeldBack { .. } => "held back",
            Self::Suspected => "suspected",
            Self::Paused { .. } => "paused",
            Self::Resumed => "resumed",
            Self::Skipped { .. } => "skipped",
        }
    }
}

/// Something that wants to know what was decided about records.
pub trait Observer {
    /// Called once for each decision, in order. `record` is the partition and the offset, where it is about one. Must
    /// not block.
    fn decided(&mut self, at: Instant, record: Option<(u32, u64)>, decision: Decision);
}

/// Nobody listens.
impl Observer for () {
    fn decided(&mut self, _: Instant, _: Option<(u32, u64)>, _: Decision) {}
}

impl<O: Observer + ?Sized> Observer for &mut O {
    fn decided(&mut self, at: Instant, record: Option<(u32, u64)>, decision: Decision) {
        (**self).decided(at, record, decision);
    }
}
