//! What producers and consumers saw of a log, and what must not be in it.
//!
//! The kinds of findings are those of Jepsen's checker for Kafka (jepsen.io, "Redpanda 21.10.1", 2022, section 2),
//! as far as they concern a log without transactions. It looks at what was told from outside alone.

use crate::log::Position;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What was seen, in the order in which it was seen by each.
#[derive(Clone, Debug, Default)]
pub struct History {
    published: Vec<Published>,
    read: BTreeMap<(String, u32), Vec<(u64, String)>>,
}

#[derive(Clone, Debug)]
struct Published {
    key: String,
    id: String,
    answer: Answer,
}

/// How a publish was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is there.
    At(Position),
    /// It surely is not.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// What must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// A confirmed record that nobody read, although somebody read beyond it.
    Lost(String),
    /// A record that is in two places.
    Duplicate(String),
    /// A place that holds two records.
    Inconsistent(Position),
    /// A record that was refused and is there.
    Phantom(String),
    /// Of one key the second record, published after the first was confirmed, stands before it.
    Reordered(String, String),
    /// A consumer that read on behind a record that it was not given.
    PollSkip(String, Position),
    /// A consumer that was given a record at or before the one that it had.
    NonMonotonic(String, Position),
}

impl History {
    /// A publish that was answered. Those of one key are one after the other.
    pub fn published(&mut self, key: &str, id: &str, answer: Answer) {
        self.published.push(Published { key: key.to_owned(), id: id.to_owned(), answer });
    }

    /// A record that was read. `consumer` is one reading from beginning to end: who begins anew is another.
    pub fn read(&mut self, consumer: &str, at: Position, id: &str) {
        self.read.entry((consumer.to_owned(), at.partition)).or_default().push((at.offset, id.to_owned()));
    }

    /// Everything that must not be in it.
    #[must_use]
    pub fn findings(&self) -> BTreeSet<Finding> {
        let mut findings = BTreeSet::new();
        let places = self.places(&mut findings);
        self.look_for_lost(&places, &mut findings);
        self.look_at_order(&mut findings);
        self.look_at_polls(&places, &mut findings);
        findings
    }

    /// What is where, by all accounts.
    fn places(&self, findings: &mut BTreeSet<Finding>) -> BTreeMap<Position, String> {
        let mut places: BTreeMap<Position, String> = BTreeMap::new();
        let mut of: BTreeMap<&str, BTreeSet<Position>> = BTreeMap::new();
        let confirmed = self.published.iter().filter_map(|published| match published.answer {
            Answer::At(position) => Some((position, &published.id)),
            Answer::Refused | Answer::Unknown => None,
        });
        let read = self.read.iter().flat_map(|((_, partition), read)| {
            read.iter().map(|(offset, id)| (Position { partition: *partition, offset: *offset }, id))
        });
        for (position, id) in confirmed.chain(read) {
            if places.entry(position).or_insert_with(|| id.clone()) != id {
                findings.insert(Finding::Inconsistent(position));
            }
            of.entry(id).or_default().insert(position);
        }
        for (id, places) in &of {
            if places.len() > 1 {
                findings.insert(Finding::Duplicate((*id).to_owned()));
            }
        }
        for Published { id, answer, .. } in &self.published {
            if *answer == Answer::Refused && of.contains_key(id.as_str()) {
                findings.insert(Finding::Phantom(id.clone()));
            }
        }
        places
    }

    fn look_for_lost(&self, places: &BTreeMap<Position, String>, findings: &mut BTreeSet<Finding>) {
        let mut last: BTreeMap<u32, u64> = BTreeMap::new();
        let mut seen: BTreeSet<Position> = BTreeSet::new();
        for ((_, partition), read) in &self.read {
            for (offset, _) in read {
                let last = last.entry(*partition).or_default();
                *last = (*last).max(*offset);
                seen.insert(Position { partition: *partition, offset: *offset });
            }
        }
        for (position, id) in places {
            let beyond = last.get(&position.partition).is_some_and(|last| *last > position.offset);
            if beyond && !seen.contains(position) {
                findings.insert(Finding::Lost(id.clone()));
            }
        }
    }

    fn look_at_order(&self, findings: &mut BTreeSet<Finding>) {
        let mut before: BTreeMap<&str, (Position, &str)> = BTreeMap::new();
        for Published { key, id, answer } in &self.published {
            let Answer::At(position) = *answer else { continue };
            if key.is_empty() {
                continue;
            }
            if let Some((earlier, first)) = before.insert(key, (position, id))
                && (earlier.partition != position.partition || earlier.offset >= position.offset)
            {
                findings.insert(Finding::Reordered(first.to_owned(), id.clone()));
            }
        }
    }

    fn look_at_polls(&self, places: &BTreeMap<Position, String>, findings: &mut BTreeSet<Finding>) {
        for ((consumer, partition), read) in &self.read {
            for pair in read.windows(2) {
                let (from, to) = (pair[0].0, pair[1].0);
                let at = |offset| Position { partition: *partition, offset };
                if to <= from {
                    findings.insert(Finding::NonMonotonic(consumer.clone(), at(to)));
                    continue;
                }
                for (skipped, _) in places.range(at(from + 1)..at(to)) {
                    findings.insert(Finding::PollSkip(consumer.clone(), *skipped));
                }
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |at: &Position| format!("partition {} offset {}", at.partition, at.offset);
        match self {
            Self::Lost(id) => write!(f, "{id} is lost"),
            Self::Duplicate(id) => write!(f, "{id} is there twice"),
            Self::Inconsistent(at) => write!(f, "{} holds two records", place(at)),
            Self::Phantom(id) => write!(f, "{id} was refused and is there"),
            Self::Reordered(first, second) => write!(f, "{second} stands before {first}"),
            Self::PollSkip(consumer, at) => write!(f, "{consumer} was not given {}", place(at)),
            Self::NonMonotonic(consumer, at) => write!(f, "{consumer} was given {} again or late", place(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(offset: u64) -> Position {
        Position { partition: 0, offset }
    }

    /// Publishes `a1`, `a2`, .. of key `a` at these offsets, and reads these by one consumer.
    fn check(published: &[u64], read: &[(u64, &str)]) -> Vec<Finding> {
        let mut history = History::default();
        for (n, offset) in published.iter().enumerate() {
            history.published("a", &format!("a{}", n + 1), Answer::At(at(*offset)));
        }
        for (offset, id) in read {
            history.read("c", at(*offset), id);
        }
        history.findings().into_iter().collect()
    }

    #[test]
    fn a_good_history_has_no_findings() {
        assert_eq!(check(&[0, 1, 2], &[(0, "a1"), (1, "a2"), (2, "a3")]), []);
        assert_eq!(check(&[0, 1, 2], &[(0, "a1"), (1, "a2")]), [], "not read yet is not lost");
        assert_eq!(check(&[3, 7], &[(3, "a1"), (7, "a2")]), [], "offsets may have gaps");
    }

    #[test]
    fn a_lost_record_is_found_once_somebody_reads_beyond_it() {
        let found = check(&[0, 1, 2], &[(0, "a1"), (2, "a3")]);
        assert_eq!(found, [Finding::Lost("a2".into()), Finding::PollSkip("c".into(), at(1))]);
        assert_eq!(check(&[0, 1], &[(1, "a2")]), [Finding::Lost("a1".into())], "at the beginning, too");
    }

    #[test]
    fn a_record_in_two_places_is_found() {
        assert_eq!(check(&[0], &[(0, "a1"), (1, "a1")]), [Finding::Duplicate("a1".into())]);
    }

    #[test]
    fn a_place_that_holds_two_records_is_found() {
        let found = check(&[0, 0], &[]);
        assert!(found.contains(&Finding::Inconsistent(at(0))), "{found:?}");
        assert!(check(&[0], &[(0, "x")]).contains(&Finding::Inconsistent(at(0))));
    }

    #[test]
    fn records_of_a_key_that_changed_places_are_found() {
        assert_eq!(check(&[1, 0], &[]), [Finding::Reordered("a1".into(), "a2".into())]);
        let mut history = History::default();
        history.published("a", "a1", Answer::At(at(0)));
        history.published("a", "a2", Answer::At(Position { partition: 1, offset: 5 }));
        assert_eq!(history.findings().len(), 1, "a key that moved to another partition");
    }

    #[test]
    fn a_consumer_that_leaves_one_out_is_found_even_if_another_reads_it() {
        let mut history = History::default();
        for offset in 0..3 {
            history.published("a", &format!("a{offset}"), Answer::At(at(offset)));
            history.read("good", at(offset), &format!("a{offset}"));
        }
        history.read("hasty", at(0), "a0");
        history.read("hasty", at(2), "a2");
        assert_eq!(
            history.findings().into_iter().collect::<Vec<_>>(),
            [Finding::PollSkip("hasty".into(), at(1))]
        );
    }

    #[test]
    fn a_consumer_that_goes_back_is_found() {
        let found = check(&[0, 1], &[(1, "a2"), (0, "a1")]);
        assert_eq!(found, [Finding::NonMonotonic("c".into(), at(0))]);
        assert_eq!(check(&[0], &[(0, "a1"), (0, "a1")]), [Finding::NonMonotonic("c".into(), at(0))]);
    }

    #[test]
    fn what_was_refused_must_not_be_there_and_what_is_unknown_may() {
        let mut history = History::default();
        history.published("a", "a1", Answer::Refused);
        history.published("a", "a2", Answer::Unknown);
        history.published("a", "a3", Answer::Unknown);
        history.read("c", at(0), "a1");
        history.read("c", at(1), "a2");
        assert_eq!(history.findings().into_iter().collect::<Vec<_>>(), [Finding::Phantom("a1".into())]);
    }
}
