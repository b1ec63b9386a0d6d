//! What a memory broker keeps.

use super::groups::{Around, GroupState};
use crate::aside::DeadLetter;
use crate::error::{Asked, Error, Why};
use crate::event::Event;
use crate::log::{Bounds, Position, Record, Retention, Slot, Start, TopicSettings, Window};
use crate::name::{Group, Topic};
use bowline_lane::key::partition_of;
use bowline_lane::{Cursor, Key};
use bowline_model::time::nanos;
use bowline_model::{Instant, WallTime};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How often a publisher that waits for room looks whether the age of records has made some.
pub(super) const EXPIRY_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) closed: bool,
    topics: BTreeMap<Topic, TopicState>,
    pub(super) aside: BTreeMap<Slot, BTreeMap<u64, DeadLetter>>,
    /// All records.
    bytes: u64,
    /// The next member, receiver or ticket.
    pub(super) next_id: u64,
}

#[derive(Debug)]
pub(super) struct TopicState {
    retention: Retention,
    pub(super) parts: Vec<Part>,
    groups: BTreeMap<Group, GroupState>,
    /// Where the next batch without keys goes.
    turn: u32,
}

/// A partition.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) records: VecDeque<Record>,
    /// The offset that the next record gets.
    pub(super) next: u64,
    bytes: u64,
}

impl State {
    pub(super) fn create(&mut self, topic: &Topic, settings: TopicSettings) -> Result<(), Error> {
        let partitions = settings.partitions.max(1);
        if let Some(there) = self.topics.get_mut(topic) {
            let found = there.parts.len() as u32;
            if found != partitions {
                return Err(Error::new(Asked::Create, topic, Why::TopicDiffers { partitions: found }));
            }
            there.retention = settings.retention;
            return Ok(());
        }
        let parts = (0..partitions).map(|_| Part::default()).collect();
        let new = TopicState { retention: settings.retention, parts, groups: BTreeMap::new(), turn: 0 };
        self.topics.insert(topic.clone(), new);
        Ok(())
    }

    pub(super) fn topic(&mut self, topic: &Topic, asked: Asked) -> Result<&mut TopicState, Error> {
        if self.closed {
            return Err(Error::new(asked, topic, Why::Closed));
        }
        self.topics.get_mut(topic).ok_or_else(|| Error::new(asked, topic, Why::NoSuchTopic))
    }

    pub(super) fn part(&mut self, topic: &Topic, partition: u32, asked: Asked) -> Result<&mut Part, Error> {
        let parts = &mut self.topic(topic, asked)?.parts;
        let partitions = parts.len() as u32;
        let none = || Error::new(asked, topic, Why::NoSuchPartition { asked: partition, partitions });
        parts.get_mut(partition as usize).ok_or_else(none)
    }

    pub(super) fn group(&self, topic: &Topic, group: &Group) -> Option<&GroupState> {
        self.topics.get(topic)?.groups.get(group)
    }

    /// A group with what is set aside for it. Nothing, where it does not exist.
    pub(super) fn with_group<T>(
        &mut self,
        topic: &Topic,
        group: &Group,
        (now, within): (Instant, Duration),
        act: impl FnOnce(&mut GroupState, Around<'_>) -> T,
    ) -> Option<T> {
        let state = self.topics.get_mut(topic)?.groups.get_mut(group)?;
        Some(act(state, Around { topic, group, aside: &self.aside, now, within }))
    }

    /// The group, which is made where it does not exist.
    fn enter(&mut self, topic: &Topic, group: &Group, from: Start) -> Result<&mut GroupState, Error> {
        let state = self.topic(topic, Asked::Join)?;
        let begin = |part: &Part| match from {
            Start::Earliest => part.bounds().first,
            Start::Latest => part.next,
        };
        let begins: Vec<u64> = state.parts.iter().map(begin).collect();
        Ok(state.groups.entry(group.clone()).or_insert_with(|| GroupState::new(&begins)))
    }

    pub(super) fn join(
        &mut self,
        topic: &Topic,
        group: &Group,
        from: Start,
        time: (Instant, Duration),
    ) -> Result<u64, Error> {
        self.enter(topic, group, from)?;
        self.next_id += 1;
        let id = self.next_id;
        self.with_group(topic, group, time, |group, around| group.enter(id, around));
        Ok(id)
    }

    pub(super) fn subscribe(&mut self, topic: &Topic, group: &Group) -> Result<u64, Error> {
        self.enter(topic, group, Start::Earliest)?;
        self.next_id += 1;
        Ok(self.next_id)
    }

    pub(super) fn commit(&mut self, slot: &Slot, epoch: u64, cursor: Cursor) -> Result<(), Error> {
        let of = || format!("{}/{}", slot.topic, slot.group);
        self.part(&slot.topic, slot.partition, Asked::Commit)?;
        let group = self.topics.get_mut(&slot.topic).and_then(|topic| topic.groups.get_mut(&slot.group));
        if group.is_some_and(|group| group.commit(slot.partition, epoch, cursor)) {
            Ok(())
        } else {
            Err(Error::new(Asked::Commit, of(), Why::Fenced))
        }
    }

    pub(super) fn append(
        &mut self,
        topic: &Topic,
        events: Vec<Event>,
        at: WallTime,
    ) -> Result<Vec<Position>, Error> {
        let state = self.topic(topic, Asked::Publish)?;
        let partitions = state.parts.len() as u32;
        let keyless = state.turn % partitions;
        state.turn = state.turn.wrapping_add(1);
        let mut positions = Vec::with_capacity(events.len());
        let mut bytes = 0;
        for event in events {
            let partition = event.key().map_or(keyless, |key| partition_of(key.as_bytes(), partitions));
            let part = &mut state.parts[partition as usize];
            let offset = part.next;
            part.next += 1;
            part.bytes += event.bytes();
            bytes += event.bytes();
            part.records.push_back(Record { offset, at, event: Arc::new(event) });
            positions.push(Position { partition, offset });
        }
        self.bytes += bytes;
        self.expire(at);
        Ok(positions)
    }

    /// Whether so many bytes find room, after what may go has gone.
    pub(super) fn has_room(&mut self, bytes: u64, limit: u64, now: WallTime) -> bool {
        if self.bytes + bytes <= limit {
            return true;
        }
        self.expire(now);
        if self.bytes + bytes > limit {
            self.drop_settled();
        }
        self.bytes + bytes <= limit
    }

    /// What retention says goes, goes.
    pub(super) fn expire(&mut self, now: WallTime) {
        for topic in self.topics.values_mut() {
            let Retention { age, bytes } = topic.retention;
            for part in &mut topic.parts {
                let oldest = age.map(|age| now.as_unix_nanos().saturating_sub(nanos(age)));
                let goes = |part: &Part| {
                    let Some(first) = part.records.front() else { return false };
                    oldest.is_some_and(|oldest| first.at.as_unix_nanos() < oldest)
                        || bytes.is_some_and(|bytes| part.bytes > bytes)
                };
                while goes(part) {
                    self.bytes -= part.drop_first();
                }
            }
        }
    }

    /// What every group of a topic has settled goes: there is no room for more.
    fn drop_settled(&mut self) {
        for topic in self.topics.values_mut() {
            for (partition, part) in topic.parts.iter_mut().enumerate() {
                let floors = topic.groups.values().filter_map(|group| group.cursor(partition as u32));
                let Some(floor) = floors.map(|cursor| cursor.floor).min() else { continue };
                while part.records.front().is_some_and(|first| first.offset < floor) {
                    self.bytes -= part.drop_first();
                }
            }
        }
    }

    pub(super) fn set_aside(&mut self, letter: DeadLetter) {
        self.aside.entry(letter.slot.clone()).or_default().entry(letter.offset).or_insert(letter);
    }

    pub(super) fn parked(&self, slot: &Slot) -> Vec<Key> {
        parked(self.aside.get(slot))
    }
}

/// The keys that records are parked behind.
pub(super) fn parked(kept: Option<&BTreeMap<u64, DeadLetter>>) -> Vec<Key> {
    let letters = kept.into_iter().flat_map(|kept| kept.values()).filter(|letter| letter.parks_key);
    let mut keys: Vec<Key> = letters.filter_map(|letter| letter.key.clone()).collect();
    keys.sort();
    keys.dedup();
    keys
}

impl Part {
    pub(super) fn bounds(&self) -> Bounds {
        let first = self.records.front();
        Bounds {
            first: first.map_or(self.next, |first| first.offset),
            next: self.next,
            bytes: self.bytes,
            oldest: first.map(|first| first.at),
        }
    }

    pub(super) fn read(&self, topic: &Topic, from: u64, window: Window) -> Result<Vec<Record>, Error> {
        let Bounds { first, next, .. } = self.bounds();
        if from < first || from > next {
            return Err(Error::new(Asked::Read, topic, Why::OffsetOutOfRange { first, next }));
        }
        let mut bytes = 0;
        let fits = |record: &&Record| {
            let before = bytes;
            bytes += record.event.bytes();
            before == 0 || bytes <= window.bytes
        };
        let records = self.from(from).take(window.records.max(1) as usize);
        Ok(records.take_while(fits).cloned().collect())
    }

    /// The records from an offset on.
    pub(super) fn from(&self, from: u64) -> impl Iterator<Item = &Record> {
        let start = self.records.partition_point(|record| record.offset < from);
        self.records.range(start..)
    }

    pub(super) fn offset_at(&self, at: WallTime) -> u64 {
        let start = self.records.partition_point(|record| record.at < at);
        self.records.get(start).map_or(self.next, |record| record.offset)
    }

    fn drop_first(&mut self) -> u64 {
        let bytes = self.records.pop_front().map_or(0, |first| first.event.bytes());
        self.bytes -= bytes;
        bytes
    }
}

impl TopicState {
    pub(super) fn group_and_parts(&mut self, group: &Group) -> Option<(&mut GroupState, &[Part])> {
        Some((self.groups.get_mut(group)?, &self.parts))
    }
}
