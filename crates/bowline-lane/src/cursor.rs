//! What has to survive of a group's work on one partition.

use crate::key::Key;
use std::collections::BTreeMap;
use std::ops::Range;

/// How far a group has come in one partition: the one thing that a broker keeps for a consumer.
///
/// It is written whole, so that there is no order between parts of it to get wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Every record below this offset is settled; the next one to be worked on, where nothing else is said.
    pub floor: u64,
    /// Records at or above the floor that are settled already, as ranges in order, not touching each other.
    pub settled: Vec<Range<u64>>,
    /// Records from the floor up to here, this one not included, may be in the hands of a handler. Written before any
    /// of them is, once a fetch: whoever finds it above the floor after a crash knows what may have killed the process.
    /// The floor itself, once the owner has let go of the partition in peace.
    pub marked: u64,
    /// The record that was in a handler's hands while no other was: it alone can have killed the process.
    pub alone: Option<u64>,
    /// How often records at or above the floor were delivered in vain, where that is more than never.
    pub deliveries: BTreeMap<u64, u32>,
}

impl Cursor {
    /// The most ranges of [`Cursor::settled`] that are kept. Beyond that the later ones are forgotten, and what was
    /// settled out of order is done again after a crash: a cursor must fit into what brokers keep for a group
    /// (Kafka: 4 KiB of metadata), and a range takes at most ten bytes there.
    pub const SETTLED_MAX: usize = 256;

    /// A group that begins at `floor`.
    #[must_use]
    pub fn starting_at(floor: u64) -> Self {
        Self { floor, marked: floor, ..Self::default() }
    }

    /// Whether the record is settled.
    #[must_use]
    pub fn is_settled(&self, offset: u64) -> bool {
        offset < self.floor || self.settled.iter().any(|range| range.contains(&offset))
    }
}

/// A cursor and what else the owner of a partition has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Assigned {
    /// How far the group has come.
    pub cursor: Cursor,
    /// Keys of which a record was set aside and later ones must not overtake it.
    pub parked: Vec<Key>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_settled_below_the_floor_and_in_the_ranges_above_it() {
        let cursor = Cursor { floor: 3, settled: vec![5..7, 9..10], ..Cursor::default() };
        let settled: Vec<u64> = (0..12).filter(|offset| cursor.is_settled(*offset)).collect();
        assert_eq!(settled, [0, 1, 2, 5, 6, 9]);
    }
}
