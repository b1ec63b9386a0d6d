//! [`Write`]: what one request changes, all of it or nothing.

use crate::directory::TopicSpec;
use crate::format;
use crate::record::{PartitionId, Record};
use bowline_model::WallTime;
use bytes::Bytes;

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

/// Why a record is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// The kind of failure, one word: what letters are filtered by.
    pub class: String,
    /// What happened, for people.
    pub detail: String,
    /// How often it was tried.
    pub deliveries: u32,
}

/// One change.
#[derive(Debug)]
pub(crate) enum Step {
    CreateTopic { name: String, spec: TopicSpec },
    Append { partition: PartitionId, bodies: Vec<Vec<u8>>, keys: bool },
    Advance { group: String, partition: PartitionId, to: u64 },
    Fetched { group: String, partition: PartitionId, to: u64 },
    Released { group: String, partition: PartitionId },
    Settle { group: String, partition: PartitionId, positions: Vec<u64> },
    Count { group: String, partition: PartitionId, positions: Vec<u64> },
    Seek { group: String, partition: PartitionId, to: u64 },
    Park { group: String, partition: PartitionId, key: Bytes, position: u64 },
    Unpark { group: String, partition: PartitionId, key: Bytes },
    DeadLetter { group: String, partition: PartitionId, position: u64, blame: Blame },
    Discard { letter: u64 },
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
    /// For each dead letter, in order, its id.
    pub letters: Vec<u64>,
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

    /// Moves the group's cursor: all positions before `to` are settled. What is known about them, counts and what
    /// was settled ahead, is forgotten. A cursor never goes back so, and never beyond the end; moving it to where it
    /// is is nothing.
    #[must_use]
    pub fn advance(self, group: &str, partition: PartitionId, to: u64) -> Self {
        self.with(Step::Advance { group: group.to_owned(), partition, to }, group.len())
    }

    /// Notes that positions before `to` have been handed out. If the process dies before they are settled or
    /// [released](Write::released), each is counted as delivered when the store is opened again.
    #[must_use]
    pub fn fetched(self, group: &str, partition: PartitionId, to: u64) -> Self {
        self.with(Step::Fetched { group: group.to_owned(), partition, to }, group.len())
    }

    /// Notes that nothing of this partition is handed out any more: a consumer that stopped in an orderly way.
    #[must_use]
    pub fn released(self, group: &str, partition: PartitionId) -> Self {
        self.with(Step::Released { group: group.to_owned(), partition }, group.len())
    }

    /// Settles positions ahead of the cursor, in any order. Those before it are settled anyway.
    #[must_use]
    pub fn settle(self, group: &str, partition: PartitionId, positions: &[u64]) -> Self {
        let bytes = group.len() + 8 * positions.len();
        self.with(Step::Settle { group: group.to_owned(), partition, positions: positions.to_vec() }, bytes)
    }

    /// Counts one more delivery in vain for each of the positions.
    #[must_use]
    pub fn count(self, group: &str, partition: PartitionId, positions: &[u64]) -> Self {
        let bytes = group.len() + 8 * positions.len();
        self.with(Step::Count { group: group.to_owned(), partition, positions: positions.to_vec() }, bytes)
    }

    /// Puts the group's cursor anywhere between the partition's beginning and end, back included. What was settled
    /// and counted from there on is forgotten; dead letters and parked keys stay.
    #[must_use]
    pub fn seek(self, group: &str, partition: PartitionId, to: u64) -> Self {
        self.with(Step::Seek { group: group.to_owned(), partition, to }, group.len())
    }

    /// Parks a key because of the record at `position`: later records of it are to wait. Parking a parked key is
    /// nothing.
    #[must_use]
    pub fn park(self, group: &str, partition: PartitionId, key: Bytes, position: u64) -> Self {
        let bytes = group.len() + key.len();
        self.with(Step::Park { group: group.to_owned(), partition, key, position }, bytes)
    }

    /// Lets a parked key go on.
    #[must_use]
    pub fn unpark(self, group: &str, partition: PartitionId, key: Bytes) -> Self {
        let bytes = group.len() + key.len();
        self.with(Step::Unpark { group: group.to_owned(), partition, key }, bytes)
    }

    /// Copies the record at `position` to the group's dead letters. It is not settled by that: settle it, or move the
    /// cursor, in the same request.
    #[must_use]
    pub fn dead_letter(self, group: &str, partition: PartitionId, position: u64, blame: Blame) -> Self {
        let bytes = group.len() + blame.class.len() + blame.detail.len();
        self.with(Step::DeadLetter { group: group.to_owned(), partition, position, blame }, bytes)
    }

    /// Removes a dead letter: it was delivered after all, or given up.
    #[must_use]
    pub fn discard(self, letter: u64) -> Self {
        self.with(Step::Discard { letter }, 0)
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
