//! [`Write`]: what one request changes, all of it or nothing.

use crate::directory::TopicSpec;
use crate::format;
use crate::letter::{Letter, Slot};
use crate::record::{PartitionId, Record};
use bowline_lane::Cursor;
use bowline_model::WallTime;

/// What kind of work a request is: what is committed first, and out of whose quota it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Entries that somebody's transaction waits for. They go first, and three quarters of a batch are theirs if they
    /// want them.
    Saga,
    /// Records, cursors, dead letters.
    Bulk,
    /// Retention and compaction: one step a batch.
    Upkeep,
}

impl Class {
    /// All of them, first served first.
    pub const ALL: [Self; 3] = [Self::Saga, Self::Bulk, Self::Upkeep];

    /// The word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Saga => "saga",
            Self::Bulk => "bulk",
            Self::Upkeep => "upkeep",
        }
    }
}

/// A request: changes that are made together or not at all.
#[derive(Debug, Default)]
pub struct Write {
    pub(crate) steps: Vec<Step>,
    bytes: usize,
    pub(crate) record_bytes_max: usize,
}

/// One change.
#[derive(Debug)]
pub(crate) enum Step {
    CreateTopic { name: String, spec: TopicSpec },
    Append { partition: PartitionId, bodies: Vec<Vec<u8>>, keys: bool },
    Claim { group: String, partition: PartitionId },
    Commit { group: String, partition: PartitionId, epoch: u64, cursor: Cursor },
    SetAside(Letter),
    Discard { slot: Slot, position: u64 },
    Upkeep(Upkeep),
}

/// A step of upkeep; how many records it touches at most is a setting.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Upkeep {
    Trim { partition: PartitionId, before_millis: Option<i64>, bytes: Option<u64> },
    Compact { partition: PartitionId, tombstones_before_millis: i64 },
    GiveBack,
}

/// What came of a request that is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// For each append, in order, where its records stand.
    pub appended: Vec<Appended>,
    /// For each claim, in order, what the new owner has to know.
    pub claimed: Vec<Claimed>,
    /// For each letter to be discarded, in order, whether it was there.
    pub discarded: Vec<bool>,
    /// Whether a step of upkeep has more to do.
    pub(crate) more: bool,
}

/// Where an append's records stand: one after the other from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The position of the first.
    pub first: u64,
    /// How many there are.
    pub count: u64,
    /// What they are stamped with.
    pub at: WallTime,
}

/// What the new owner of a partition has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Its epoch, greater than every one before: what its commits are accepted by, and those of earlier owners no more.
    pub epoch: u64,
    /// How far the group is; none if nobody has written a cursor yet.
    pub cursor: Option<Cursor>,
}

impl Write {
    /// A request that changes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends records to a partition, one after the other.
    #[must_use]
    pub fn append(self, partition: PartitionId, records: &[Record]) -> Self {
        let bodies: Vec<Vec<u8>> = records.iter().map(format::encode).collect();
        let bytes = bodies.iter().map(Vec::len).sum();
        let largest = bodies.iter().map(Vec::len).max().unwrap_or(0);
        let keys = records.iter().all(|record| record.key.is_some());
        let mut write = self.with(Step::Append { partition, bodies, keys }, bytes);
        write.record_bytes_max = write.record_bytes_max.max(largest);
        write
    }

    /// Makes somebody the owner of a partition in a group: from here on earlier owners' commits are refused.
    #[must_use]
    pub fn claim(self, group: &str, partition: PartitionId) -> Self {
        self.with(Step::Claim { group: group.to_owned(), partition }, group.len())
    }

    /// Writes a group's cursor, whole, if `epoch` is still the owner's. A cursor may go back: who owns the partition
    /// decides. Beyond the partition's end it is refused.
    #[must_use]
    pub fn commit(self, group: &str, partition: PartitionId, epoch: u64, cursor: Cursor) -> Self {
        let bytes = group.len() + 24 * cursor.settled.len() + 24 * cursor.deliveries.len();
        self.with(Step::Commit { group: group.to_owned(), partition, epoch, cursor }, bytes)
    }

    /// Keeps a record that was set aside. Keeping the one at the same place of the same group again is nothing.
    #[must_use]
    pub fn set_aside(self, letter: Letter) -> Self {
        let body = format::encode(&letter.record).len();
        let mut write = self.with(Step::SetAside(letter), body);
        write.record_bytes_max = write.record_bytes_max.max(body);
        write
    }

    /// Removes what was set aside: it was delivered after all, or given up. If it was not there, that is no mistake.
    #[must_use]
    pub fn discard(self, slot: Slot, position: u64) -> Self {
        let bytes = slot.topic.len() + slot.group.len();
        self.with(Step::Discard { slot, position }, bytes)
    }

    pub(crate) fn create_topic(name: &str, spec: TopicSpec) -> Self {
        Self::new().with(Step::CreateTopic { name: name.to_owned(), spec }, name.len())
    }

    pub(crate) fn upkeep(step: Upkeep) -> Self {
        Self::new().with(Step::Upkeep(step), 0)
    }

    /// What the request is charged in the queue: its content, and 64 bytes for each change, which is about what it
    /// takes in memory.
    pub(crate) fn charge(&self) -> usize {
        const STEP_BYTES: usize = 64;
        self.bytes + STEP_BYTES * self.steps.len().max(1)
    }

    /// Whether it is one statement of SQLite's, which is all or nothing by itself and needs no savepoint.
    pub(crate) fn is_one_statement(&self) -> bool {
        matches!(self.steps.as_slice(), [Step::Append { bodies, .. }] if bodies.len() == 1)
    }

    fn with(mut self, step: Step, bytes: usize) -> Self {
        self.steps.push(step);
        self.bytes += bytes;
        self
    }
}
