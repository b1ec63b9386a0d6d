//! One partition in a consumer's hands: its records between the floor and what is fetched, in their lanes.

use crate::cursor::{Assigned, Cursor};
use crate::key::Key;
use crate::needs::Order;
use crate::settings::{AfterDead, ConsumerSettings, Expired};
use crate::settle::{Aside, Class};
use crate::step::{DeliveryId, Fetched};
use bowline_model::Instant;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

/// One partition in a consumer's hands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub(crate) epoch: u64,
    /// Where the next fetch begins.
    pub(crate) next: u64,
    /// Every record below it is settled.
    floor: u64,
    /// Fetched and not settled.
    entries: BTreeMap<u64, Entry>,
    /// Settled, at or above the floor.
    settled: BTreeSet<u64>,
    /// Of each key that has records here, which, in order. The first one is worked on; the others wait for it.
    lanes: BTreeMap<Lane, VecDeque<u64>>,
    /// First of their lanes, and nothing is under way for them.
    pub(crate) ready: BTreeSet<u64>,
    /// What happens when.
    timers: BTreeSet<(Instant, u64)>,
    /// Deliveries in vain of records that are not fetched yet.
    deliveries: BTreeMap<u64, u32>,
    /// The record that was alone in a handler's hands when the owner before died.
    killer: Option<u64>,
    /// Below it, what is not settled may have killed the owner before.
    pub(crate) suspects_until: u64,
    pub(crate) parked: BTreeSet<Key>,
    /// The fetch that is under way: what it may bring.
    pub(crate) fetching: Option<Grant>,
    /// Which fetch was the last.
    pub(crate) fetch: u64,
    /// In use: fetched and not settled.
    pub(crate) held: Grant,
    /// In the hands of handlers, or on their way to the dead letters.
    pub(crate) busy: u32,
    /// What is to be delivered while nothing else is.
    pub(crate) alone: Option<u64>,
    /// The cursor that was last known to be durable.
    durable: Cursor,
    /// Whether another one may be, because a commit ended without a word. What it accuses is in `doubted`.
    unsure: bool,
    doubted: Option<u64>,
    /// The one that is being written.
    sent: Option<(u64, Cursor)>,
    /// Which commit was the last.
    version: u64,
    /// Whether the cursor has changed since the last one that was sent.
    pub(crate) dirty: bool,
    /// Commits that failed in a row.
    pub(crate) commits_failed: u32,
    /// When the cursor is written again that could not be.
    pub(crate) commit_at: Option<Instant>,
    /// Nothing new is begun; until then what is under way may end.
    pub(crate) draining: Option<Instant>,
    /// After draining: the highest record that was taken from a handler, and one more. The floor, where none was.
    cut_off: u64,
}

/// Credits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Grant {
    pub(crate) records: u32,
    pub(crate) bytes: u64,
}

/// What waits for each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Lane {
    Key(Key),
    Partition,
}

/// A record that is not settled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) key: Option<Key>,
    bytes: u64,
    pub(crate) expires: Option<Instant>,
    pub(crate) unfit: Option<Class>,
    pub(crate) state: State,
    /// Deliveries in vain that count.
    pub(crate) deliveries: u32,
    /// Whether the last of them killed its consumer.
    pub(crate) killed: bool,
    /// Attempts of any kind in this epoch.
    pub(crate) attempt: u32,
    /// Attempts since the last success of any kind: what the back-off grows with.
    pub(crate) in_row: u32,
    /// The wait before this one.
    pub(crate) previous: Duration,
    /// Whether it may have killed the owner before.
    pub(crate) suspect: bool,
}

/// What becomes of a record that no handler shall see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dismissal {
    /// It is set aside.
    Leave(Aside),
    /// It is settled.
    Discard,
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    /// It waits for its turn.
    Waiting,
    /// A handler has it.
    InHands,
    /// It is on its way to the dead letters.
    Leaving(Aside),
    /// It waits for its time: to be delivered again, or to be set aside again.
    PutOff { until: Instant, aside: Option<Aside> },
}

impl Slot {
    pub(crate) fn new(epoch: u64, state: Assigned) -> Self {
        let Assigned { cursor, parked } = state;
        let mut deliveries = cursor.deliveries.clone();
        let killer = cursor.alone.filter(|offset| !cursor.is_settled(*offset));
        if let Some(offset) = killer {
            *deliveries.entry(offset).or_insert(0) += 1;
        }
        Self {
            epoch,
            next: cursor.floor,
            floor: cursor.floor,
            entries: BTreeMap::new(),
            settled: cursor.settled.iter().cloned().flatten().collect(),
            lanes: BTreeMap::new(),
            ready: BTreeSet::new(),
            timers: BTreeSet::new(),
            deliveries,
            killer,
            suspects_until: cursor.marked.max(cursor.floor),
            parked: parked.into_iter().collect(),
            fetching: None,
            fetch: 0,
            held: Grant::default(),
            busy: 0,
            // The accusation stands until another cursor is durable.
            alone: None,
            dirty: killer.is_some(),
            cut_off: cursor.floor,
            durable: cursor,
            unsure: false,
            doubted: None,
            sent: None,
            version: 0,
            commits_failed: 0,
            commit_at: None,
            draining: None,
        }
    }

    /// Takes in what a fetch brought. What is here already, and what was settled before, is left out.
    pub(crate) fn take_in(
        &mut self,
        next: u64,
        records: Vec<Fetched>,
        order: Order,
        suspected: &mut Vec<u64>,
    ) {
        for Fetched { offset, key, bytes, expires, unfit } in records {
            if offset < self.next {
                continue;
            }
            self.next = offset + 1;
            let deliveries = self.deliveries.remove(&offset).unwrap_or(0);
            if self.settled.contains(&offset) {
                continue;
            }
            let suspect = offset < self.suspects_until;
            if suspect {
                suspected.push(offset);
            }
            let lane = lane(order, key.as_ref());
            let entry = Entry {
                key,
                bytes,
                expires,
                unfit,
                state: State::Waiting,
                deliveries,
                killed: self.killer == Some(offset),
                attempt: 0,
                in_row: 0,
                previous: Duration::ZERO,
                suspect,
            };
            self.held.records += 1;
            self.held.bytes += bytes;
            self.entries.insert(offset, entry);
            let first = lane.is_none_or(|lane| {
                let lane = self.lanes.entry(lane).or_default();
                lane.push_back(offset);
                lane.len() == 1
            });
            if first {
                self.ready.insert(offset);
            }
        }
        self.next = self.next.max(next);
        self.advance();
        self.dirty = true;
    }

    /// Why no handler shall see a record, although it is its turn.
    pub(crate) fn dismissal(
        &self,
        offset: u64,
        now: Instant,
        settings: &ConsumerSettings,
    ) -> Option<Dismissal> {
        let entry = self.entries.get(&offset)?;
        let is_parked = entry.key.as_ref().is_some_and(|key| self.parked.contains(key));
        let spent = settings.deliveries_max.is_some_and(|max| entry.deliveries >= max);
        let expired = entry.expires.is_some_and(|at| at <= now);
        let aside = match (entry.unfit, settings.after_dead) {
            (_, AfterDead::Park) if is_parked => Aside::Parked,
            (_, AfterDead::Follow) if is_parked => Aside::Dead(Class::Follows),
            (Some(class), _) => Aside::Dead(class),
            _ if spent && entry.killed => Aside::Dead(Class::Poison),
            _ if spent => Aside::Dead(Class::Exhausted),
            _ if expired && settings.expired == Expired::Discard => return Some(Dismissal::Discard),
            _ if expired => Aside::Dead(Class::Expired),
            _ => return None,
        };
        Some(Dismissal::Leave(aside))
    }

    pub(crate) fn entry(&mut self, offset: u64) -> Option<&mut Entry> {
        self.entries.get_mut(&offset)
    }

    /// The record that a report is about, if it is about the present attempt at it.
    pub(crate) fn present(&mut self, id: DeliveryId) -> Option<&mut Entry> {
        if self.epoch != id.epoch {
            return None;
        }
        self.entries.get_mut(&id.offset).filter(|entry| entry.attempt == id.attempt)
    }

    /// The first record that is ready and under suspicion.
    pub(crate) fn ready_suspect(&self) -> Option<u64> {
        let suspect = |offset: &&u64| self.entries.get(offset).is_some_and(|entry| entry.suspect);
        self.ready.range(..self.suspects_until).find(suspect).copied()
    }

    /// The record is done with: its credits come back, and the next one of its lane is ready.
    pub(crate) fn settle(&mut self, offset: u64, order: Order) {
        let Some(entry) = self.entries.remove(&offset) else { return };
        self.held.records -= 1;
        self.held.bytes -= entry.bytes;
        self.ready.remove(&offset);
        self.alone.take_if(|alone| *alone == offset);
        self.settled.insert(offset);
        if let Some(lane) = lane(order, entry.key.as_ref())
            && let Some(waiting) = self.lanes.get_mut(&lane)
        {
            waiting.pop_front();
            match waiting.front() {
                Some(next) => {
                    self.ready.insert(*next);
                }
                None => {
                    self.lanes.remove(&lane);
                }
            }
        }
        self.advance();
        self.dirty = true;
    }

    /// Moves the floor over what is settled, and over offsets that no record has.
    fn advance(&mut self) {
        self.floor = self.entries.keys().next().copied().unwrap_or(self.next).max(self.floor);
        self.settled = self.settled.split_off(&self.floor);
    }

    pub(crate) fn put_off(&mut self, offset: u64, until: Instant, aside: Option<Aside>) {
        if let Some(entry) = self.entries.get_mut(&offset) {
            entry.state = State::PutOff { until, aside };
            self.timers.insert((until, offset));
        }
    }

    /// The records whose time has come, taken off the list.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(u64, Option<Aside>)> {
        loop {
            let (at, offset) = self.timers.first().copied().filter(|(at, _)| *at <= now)?;
            self.timers.remove(&(at, offset));
            if let Some(Entry { state: State::PutOff { until, aside }, .. }) = self.entries.get(&offset)
                && *until == at
            {
                return Some((offset, *aside));
            }
        }
    }

    /// Everything in a handler's hands is given up. What is on its way to the dead letters is not: it would arrive all
    /// the same, later than somebody else has handled it.
    pub(crate) fn cut_off(&mut self, partition: u32) -> Vec<DeliveryId> {
        let mut cut = Vec::new();
        for (offset, entry) in self.entries.iter_mut().filter(|(_, entry)| entry.state == State::InHands) {
            entry.state = State::Waiting;
            self.cut_off = offset + 1;
            cut.push(DeliveryId { partition, epoch: self.epoch, offset: *offset, attempt: entry.attempt });
        }
        self.busy -= cut.len() as u32;
        cut
    }

    /// How many records there are beyond the floor.
    pub(crate) const fn ahead(&self) -> u64 {
        self.next.saturating_sub(self.floor)
    }

    /// The first record that is not settled.
    pub(crate) const fn floor(&self) -> u64 {
        self.floor
    }

    /// When something is due.
    pub(crate) fn wake_at(&self) -> Instant {
        let timer = self.timers.first().map(|(at, _)| *at);
        let times = [timer, self.commit_at, self.draining.filter(|_| self.busy > 0)];
        times.into_iter().flatten().min().unwrap_or(Instant::FAR)
    }

    /// Whether a handler may get this record: it is noted durably that one may have it, and nobody is accused who
    /// shares the process with it. `alone`: it shall be the one that is accused.
    pub(crate) fn is_noted(&self, offset: u64, alone: bool) -> bool {
        let expected = alone.then_some(offset);
        let sent = self.sent.as_ref().map_or(expected, |(_, cursor)| cursor.alone);
        let doubted = self.doubted.is_none() || self.doubted == expected;
        offset < self.durable.marked && self.durable.alone == expected && sent == expected && doubted
    }

    /// Whether the cursor that is durable, or one that may be, accuses a record.
    pub(crate) fn accuses(&self) -> bool {
        let sent = self.sent.as_ref().is_some_and(|(_, cursor)| cursor.alone.is_some());
        self.durable.alone.is_some() || self.doubted.is_some() || sent
    }

    /// The next cursor to write, if it differs from what is durable and none is on its way.
    pub(crate) fn next_commit(&mut self) -> Option<(u64, Cursor)> {
        if !self.dirty || self.sent.is_some() || self.commit_at.is_some() {
            return None;
        }
        self.dirty = false;
        let cursor = self.cursor();
        if cursor == self.durable && !self.unsure {
            return None;
        }
        self.version += 1;
        self.sent = Some((self.version, cursor.clone()));
        Some((self.version, cursor))
    }

    /// A commit ended. Whether it was the one that is on its way.
    pub(crate) fn committed(&mut self, version: u64, kept: bool) -> bool {
        let Some((_, cursor)) = self.sent.take_if(|(sent, _)| *sent == version) else { return false };
        if kept {
            self.durable = cursor;
            (self.unsure, self.doubted) = (false, None);
            self.commits_failed = 0;
        } else {
            self.unsure = true;
            self.doubted = self.doubted.or(cursor.alone);
            self.dirty = true;
            self.commits_failed = self.commits_failed.saturating_add(1);
        }
        true
    }

    /// Whether what is durable is what there is to say.
    pub(crate) const fn is_written(&self) -> bool {
        self.sent.is_none() && !self.dirty
    }

    fn cursor(&self) -> Cursor {
        let mut deliveries = self.deliveries.clone();
        deliveries
            .extend(self.entries.iter().filter(|(_, e)| e.deliveries > 0).map(|(at, e)| (*at, e.deliveries)));
        let drained = self.draining.is_some() && self.busy == 0;
        // Who owns the partition in peace marks all that it has fetched, and what is still under suspicion. Who has
        // let go of it marks what it had to take from handlers.
        let marked = match drained {
            false => self.next.max(self.suspects_until),
            true if self.next < self.suspects_until || self.entries.values().any(|entry| entry.suspect) => {
                self.cut_off.max(self.suspects_until)
            }
            true => self.cut_off,
        };
        Cursor {
            floor: self.floor,
            settled: ranges(&self.settled),
            marked: marked.max(self.floor),
            alone: self.alone.filter(|_| !drained),
            deliveries,
        }
    }
}

fn lane(order: Order, key: Option<&Key>) -> Option<Lane> {
    match order {
        Order::None => None,
        Order::Key => key.cloned().map(Lane::Key),
        Order::Partition => Some(Lane::Partition),
    }
}

fn ranges(offsets: &BTreeSet<u64>) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for offset in offsets.iter().copied() {
        if let Some(last) = ranges.last_mut().filter(|last| last.end == offset) {
            last.end += 1;
        } else if ranges.len() == Cursor::SETTLED_MAX {
            break;
        } else {
            ranges.push(offset..offset + 1);
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_do_not_touch_each_other_and_have_a_limit() {
        assert_eq!(ranges(&[1, 2, 4, 7, 8].into()), [1..3, 4..5, 7..9]);
        let every_other: BTreeSet<u64> = (0..2_000).map(|n| 2 * n).collect();
        assert_eq!(ranges(&every_other).len(), Cursor::SETTLED_MAX);
    }
}
