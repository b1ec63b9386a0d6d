//! The records of a queue that are out, and those that wait.
//!
//! A queue hands out what a group's cursor says is not settled. It looks through the records from the floor on: one
//! whose key has an earlier record that is out or waits is passed over, so that keys stay in order.

use super::groups::GroupState;
use super::state::State;
use crate::aside::DeadLetter;
use crate::error::{Asked, Error, Why};
use crate::log::{Position, Record, Slot};
use crate::name::{Group, Topic};
use crate::queue::{Credits, Delivery, Settlement, Ticket};
use bowline_lane::{Aside, Cursor, Key};
use bowline_model::{Instant, WallTime};
use std::collections::{BTreeMap, BTreeSet};

/// How far beyond the floor of a partition records are handed out: a record that is put off for long makes nobody look
/// through more than this.
const AHEAD_MAX: u64 = 10_000;

/// The records that are out, and those that wait for their time.
#[derive(Debug, Default)]
pub(super) struct Out {
    /// By ticket: the record, and who has it.
    out: BTreeMap<Ticket, (Position, u64)>,
    waiting: BTreeMap<Position, Instant>,
}

impl Out {
    fn is_out(&self, position: Position) -> bool {
        self.out.values().any(|(out, _)| *out == position)
    }
}

impl State {
    /// What one receiver gets, or when there may be more.
    pub(super) fn hand_out(
        &mut self,
        topic: &Topic,
        group: &Group,
        receiver: u64,
        credits: Credits,
        now: Instant,
    ) -> Result<(Vec<Delivery>, Instant), Error> {
        let mut next_ticket = self.next_id;
        let of_topic = self.topic(topic, Asked::Read)?;
        let none = || Error::new(Asked::Read, topic, Why::Closed);
        let (state, parts) = of_topic.group_and_parts(group).ok_or_else(none)?;
        let mut deliveries = Vec::new();
        let (mut bytes, mut again) = (0, Instant::FAR);
        'all: for (partition, part) in parts.iter().enumerate() {
            let partition = partition as u32;
            let Some(cursor) = state.cursor(partition) else { continue };
            let mut held: BTreeSet<Key> = BTreeSet::new();
            for Record { offset, at, event } in part.from(cursor.floor) {
                if *offset >= cursor.floor + AHEAD_MAX {
                    break;
                }
                let position = Position { partition, offset: *offset };
                let key = event.key();
                let waits = state.out.waiting.get(&position).copied().filter(|until| *until > now);
                again = again.min(waits.unwrap_or(Instant::FAR));
                let behind = key.as_ref().is_some_and(|key| held.contains(key));
                if cursor.is_settled(*offset) {
                    continue;
                }
                held.extend(key);
                if behind || waits.is_some() || state.out.is_out(position) {
                    continue;
                }
                let fits = deliveries.is_empty() || bytes + event.bytes() <= credits.bytes;
                if !fits || deliveries.len() >= credits.records.max(1) as usize {
                    break 'all;
                }
                bytes += event.bytes();
                next_ticket += 1;
                let ticket = Ticket(next_ticket);
                state.out.waiting.remove(&position);
                state.out.out.insert(ticket, (position, receiver));
                let before = cursor.deliveries.get(offset).copied().unwrap_or(0);
                deliveries.push(Delivery {
                    ticket,
                    deliveries: before,
                    at: *at,
                    event: event.clone(),
                    position: Some(position),
                });
            }
        }
        self.next_id = next_ticket;
        Ok((deliveries, again))
    }

    #[expect(clippy::too_many_arguments, reason = "who, what, how and when: one call site")]
    pub(super) fn settle(
        &mut self,
        topic: &Topic,
        group: &Group,
        receiver: u64,
        ticket: Ticket,
        how: Settlement,
        now: Instant,
        wall: WallTime,
    ) -> Result<(), Error> {
        let not_yours = || Error::new(Asked::Settle, topic, Why::NotYours);
        let (state, parts) =
            self.topic(topic, Asked::Settle)?.group_and_parts(group).ok_or_else(not_yours)?;
        let mine = state.out.out.get(&ticket).copied().filter(|(_, by)| *by == receiver);
        let (position, _) = mine.ok_or_else(not_yours)?;
        state.out.out.remove(&ticket);
        let Position { partition, offset } = position;
        let aside = match how {
            Settlement::Ack => None,
            Settlement::Retry { after } => {
                state.out.waiting.insert(position, now + after);
                state.count(position);
                return Ok(());
            }
            Settlement::Park => Some(Aside::Parked),
            Settlement::DeadLetter { class } => Some(Aside::Dead(class)),
        };
        let record = parts[partition as usize].from(offset).next().filter(|record| record.offset == offset);
        let event = record.map(|record| record.event.clone());
        let deliveries = state.settle(position, parts[partition as usize].next);
        // Retention may have taken the record while it was out; then there is nothing to keep.
        if let (Some(aside), Some(event)) = (aside, event) {
            self.set_aside(DeadLetter {
                slot: Slot { topic: topic.clone(), group: group.clone(), partition },
                offset,
                key: event.key(),
                aside,
                parks_key: aside == Aside::Parked,
                deliveries,
                at: wall,
                reason: String::new(),
                event,
            });
        }
        Ok(())
    }

    /// A receiver is gone: what it had is delivered again, counted.
    pub(super) fn receiver_gone(&mut self, topic: &Topic, group: &Group, receiver: u64) {
        let Ok(of_topic) = self.topic(topic, Asked::Settle) else { return };
        let Some((state, _)) = of_topic.group_and_parts(group) else { return };
        let had = state.out.out.extract_if(.., |_, (_, by)| *by == receiver);
        let had: Vec<Position> = had.map(|(_, (position, _))| position).collect();
        for position in had {
            state.count(position);
        }
    }
}

impl GroupState {
    /// One more delivery in vain.
    fn count(&mut self, Position { partition, offset }: Position) {
        if let Some(cursor) = self.cursor_mut(partition) {
            *cursor.deliveries.entry(offset).or_insert(0) += 1;
        }
    }

    /// Settles a record. `next` is where its partition ends. Answers how often it was delivered in vain.
    fn settle(&mut self, Position { partition, offset }: Position, next: u64) -> u32 {
        let Some(cursor) = self.cursor_mut(partition) else { return 0 };
        let deliveries = cursor.deliveries.remove(&offset).unwrap_or(0);
        note(cursor, offset);
        cursor.floor = cursor.floor.min(next);
        deliveries
    }
}

/// Notes a record as settled, and moves the floor as far as it goes.
fn note(cursor: &mut Cursor, offset: u64) {
    let at = cursor.settled.partition_point(|range| range.start <= offset);
    cursor.settled.insert(at, offset..offset + 1);
    cursor.settled.dedup_by(|later, range| {
        let touch = later.start <= range.end;
        if touch {
            range.end = range.end.max(later.end);
        }
        touch
    });
    while cursor.settled.first().is_some_and(|first| first.start <= cursor.floor) {
        cursor.floor = cursor.floor.max(cursor.settled.remove(0).end);
    }
    cursor.marked = cursor.marked.max(cursor.floor);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_moves_over_what_is_settled_and_no_further() {
        let mut cursor = Cursor::starting_at(0);
        for (offset, floor, ranges) in [(2, 0, 1), (4, 0, 2), (3, 0, 1), (0, 1, 1), (1, 5, 0), (1, 5, 0)] {
            note(&mut cursor, offset);
            assert_eq!((cursor.floor, cursor.settled.len()), (floor, ranges), "{offset}: {cursor:?}");
        }
    }
}
