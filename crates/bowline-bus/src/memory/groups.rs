//! Who owns which partition.
//!
//! Each member has a share of the partitions, one more or less. When members come and go, only what is above somebody's
//! share moves: it is asked for, let go of (or taken, when the time is over), and given to another under a new epoch.

use super::handing::Out;
use super::state::parked;
use crate::aside::DeadLetter;
use crate::log::{Change, Slot};
use crate::name::{Group, Topic};
use bowline_lane::{Assigned, Cursor};
use bowline_model::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct GroupState {
    slots: Vec<SlotState>,
    members: BTreeMap<u64, MemberState>,
    /// What is handed out, where the group is worked on as a queue.
    pub(super) out: Out,
}

#[derive(Debug)]
struct SlotState {
    cursor: Cursor,
    epoch: u64,
    owner: Option<u64>,
    /// It is asked for, until then.
    revoked: Option<Instant>,
}

#[derive(Debug, Default)]
struct MemberState {
    changes: VecDeque<Change>,
    leaving: bool,
}

/// What a change of the group has to know.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) topic: &'a Topic,
    pub(super) group: &'a Group,
    /// For those who are given a partition.
    pub(super) aside: &'a BTreeMap<Slot, BTreeMap<u64, DeadLetter>>,
    pub(super) now: Instant,
    /// How long there is to let go of a partition.
    pub(super) within: Duration,
}

impl GroupState {
    /// A group that begins at these offsets.
    pub(super) fn new(begins: &[u64]) -> Self {
        let slot = |begin: &u64| SlotState {
            cursor: Cursor::starting_at(*begin),
            epoch: 0,
            owner: None,
            revoked: None,
        };
        Self { slots: begins.iter().map(slot).collect(), members: BTreeMap::new(), out: Out::default() }
    }

    pub(super) fn cursor(&self, partition: u32) -> Option<Cursor> {
        self.slots.get(partition as usize).map(|slot| slot.cursor.clone())
    }

    pub(super) fn cursor_mut(&mut self, partition: u32) -> Option<&mut Cursor> {
        self.slots.get_mut(partition as usize).map(|slot| &mut slot.cursor)
    }

    pub(super) fn commit(&mut self, partition: u32, epoch: u64, cursor: Cursor) -> bool {
        let Some(slot) = self.slots.get_mut(partition as usize) else { return false };
        let mine = slot.epoch == epoch && slot.owner.is_some();
        if mine {
            slot.cursor = cursor;
        }
        mine
    }

    pub(super) fn enter(&mut self, id: u64, around: Around<'_>) {
        self.members.insert(id, MemberState::default());
        self.balance(around);
    }

    pub(super) fn release(&mut self, id: u64, partition: u32, around: Around<'_>) {
        if let Some(slot) = self.slots.get_mut(partition as usize).filter(|slot| slot.owner == Some(id)) {
            (slot.owner, slot.revoked) = (None, None);
            self.balance(around);
        }
    }

    pub(super) fn leave(&mut self, id: u64, around: Around<'_>) {
        if let Some(member) = self.members.get_mut(&id) {
            member.leaving = true;
            self.balance(around);
        }
    }

    /// A member is gone without a word: what it had is anybody's at once.
    pub(super) fn gone(&mut self, id: u64, around: Around<'_>) {
        self.members.remove(&id);
        for slot in self.slots.iter_mut().filter(|slot| slot.owner == Some(id)) {
            (slot.owner, slot.revoked) = (None, None);
        }
        self.balance(around);
    }

    /// What was asked for and not let go of in time is taken. Whether anything was.
    pub(super) fn take_overdue(&mut self, around: Around<'_>) -> bool {
        let mut taken = false;
        for (partition, slot) in self.slots.iter_mut().enumerate() {
            if slot.revoked.is_none_or(|at| around.now < at) {
                continue;
            }
            if let Some(member) = slot.owner.and_then(|owner| self.members.get_mut(&owner)) {
                member.changes.push_back(Change::Lost { partition: partition as u32 });
            }
            (slot.owner, slot.revoked) = (None, None);
            taken = true;
        }
        if taken {
            self.balance(around);
        }
        taken
    }

    /// When the next one is overdue.
    pub(super) fn overdue_at(&self) -> Instant {
        self.slots.iter().filter_map(|slot| slot.revoked).min().unwrap_or(Instant::FAR)
    }

    pub(super) fn next_change(&mut self, id: u64) -> Option<Change> {
        let owns = self.slots.iter().any(|slot| slot.owner == Some(id));
        let member = self.members.get_mut(&id)?;
        let change = member.changes.pop_front();
        change.or_else(|| (member.leaving && !owns).then_some(Change::Left))
    }

    /// Gives away what nobody owns, and asks for what is above somebody's share.
    fn balance(&mut self, around: Around<'_>) {
        let staying: Vec<u64> = self.members.iter().filter(|(_, m)| !m.leaving).map(|(id, _)| *id).collect();
        let many = self.slots.len();
        let share = |place: usize| many / staying.len() + usize::from(place < many % staying.len());
        let mut room: BTreeMap<u64, usize> =
            staying.iter().enumerate().map(|(place, id)| (*id, share(place))).collect();
        // First what stays: it must not be given away before it is counted.
        let mut above = Vec::new();
        for (partition, slot) in self.slots.iter().enumerate() {
            let Some(owner) = slot.owner else { continue };
            match room.get_mut(&owner) {
                Some(left) if *left > 0 => *left -= 1,
                _ => above.push((partition, owner)),
            }
        }
        for (partition, owner) in above {
            let slot = &mut self.slots[partition];
            if slot.revoked.is_none()
                && let Some(member) = self.members.get_mut(&owner)
            {
                let within = around.within;
                slot.revoked = Some(around.now + within);
                member.changes.push_back(Change::Revoking { partition: partition as u32, within });
            }
        }
        for (partition, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.owner.is_none()) {
            let Some((id, left)) = room.iter_mut().find(|(_, left)| **left > 0) else { continue };
            let Some(member) = self.members.get_mut(id) else { continue };
            *left -= 1;
            slot.owner = Some(*id);
            slot.epoch += 1;
            let partition = partition as u32;
            let (topic, group) = (around.topic.clone(), around.group.clone());
            let parked = parked(around.aside.get(&Slot { topic, group, partition }));
            let state = Assigned { cursor: slot.cursor.clone(), parked };
            member.changes.push_back(Change::Assigned { partition, epoch: slot.epoch, state });
        }
    }
}
