//! [`Record`]: what is appended and read, and where it stands.

use bowline_model::WallTime;
use bytes::Bytes;

/// What somebody appends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What it is about; records of one key stay in order, because they go to one partition.
    pub key: Option<Bytes>,
    /// Names and values beside it, in order.
    pub headers: Vec<(String, Bytes)>,
    /// What it says. Without a value it is a tombstone: in a topic that keeps the latest of each key, the key is
    /// gone after it.
    pub value: Option<Bytes>,
}

impl Record {
    /// A record of that key.
    #[must_use]
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { key: Some(key.into()), headers: Vec::new(), value: Some(value.into()) }
    }

    /// A record of no key.
    #[must_use]
    pub fn unkeyed(value: impl Into<Bytes>) -> Self {
        Self { key: None, headers: Vec::new(), value: Some(value.into()) }
    }

    /// The end of that key.
    #[must_use]
    pub fn tombstone(key: impl Into<Bytes>) -> Self {
        Self { key: Some(key.into()), headers: Vec::new(), value: None }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// A record as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it stands in its partition.
    pub position: u64,
    /// When it was appended, to the millisecond; never earlier than the record before it.
    pub at: WallTime,
    /// What was appended.
    pub record: Record,
}

/// One partition of one topic of one store: what requests name it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(pub(crate) u32);

/// Partitions of all topics of one store: 20 bits of a record's row id.
pub(crate) const PARTITIONS_MAX: u32 = (1 << 20) - 1;
/// Records that one partition can ever have: the other 43 bits, 8.8 million million.
pub(crate) const POSITION_MAX: u64 = (1 << 43) - 1;

impl PartitionId {
    /// The row id of the record at `position`. Partition and position share one integer because SQLite then keeps
    /// a partition's records side by side, and a record of 1 KiB in its row: with a key of two columns it would
    /// go to an overflow page of its own.
    pub(crate) fn row(self, position: u64) -> i64 {
        (i64::from(self.0) << 43) | position.min(POSITION_MAX) as i64
    }

    pub(crate) fn of_row(row: i64) -> (Self, u64) {
        (Self((row >> 43) as u32), row as u64 & POSITION_MAX)
    }
}

/// Milliseconds of a column, as the calendar has them.
pub(crate) fn wall(millis: i64) -> WallTime {
    WallTime::from_unix_nanos(u64::try_from(millis).unwrap_or(0).saturating_mul(1_000_000))
}

/// The calendar, as columns have it.
pub(crate) fn millis(at: WallTime) -> i64 {
    i64::try_from(at.as_unix_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_id_says_partition_and_position() {
        for partition in [1, 7, PARTITIONS_MAX] {
            for position in [0, 1, POSITION_MAX] {
                let row = PartitionId(partition).row(position);
                assert!(row > 0);
                assert_eq!(PartitionId::of_row(row), (PartitionId(partition), position));
            }
        }
    }

    #[test]
    fn rows_of_one_partition_stand_together_in_order() {
        assert!(PartitionId(1).row(POSITION_MAX) < PartitionId(2).row(0));
        assert!(PartitionId(2).row(0) < PartitionId(2).row(1));
    }
}
