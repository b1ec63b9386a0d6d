//! A consumer: one member of a group, as one machine.
//!
//! The machine decides, its driver acts. It is told what happened ([`Input`]) and answers with what is to be done
//! ([`Effect`]); `bowline-bus` drives it, and so can a simulator or a model checker.
//!
//! What it keeps, whatever happens in whatever order:
//! - Of one lane one record is in the hands of a handler. A lane that waits holds up no other.
//! - A partition's floor never passes a record that is not settled, and a record is settled once its handler has said
//!   so, or once it is surely where records are set aside.
//! - A handler gets a record once it is durably noted that one may have it. That is one note a fetch; deliveries are
//!   counted after a crash or a failure.
//!
//! Why suspects are alone. After a crash every record that may have been in a handler's hands may have caused it. None
//! of them is counted for that: a whole fetch would be set aside after a few restarts. They are delivered again one at
//! a time, each noted as the only one before it starts; the one that is found noted so after another crash did it, and
//! that delivery counts. A record that its handler gave back, however it ended, is a suspect no more.
//!
//! Its limits are those of the credits: records that wait for a lane hold credits, so a key with more records than all
//! credits, put off for long, holds up its partitions until it is settled or set aside.

use crate::cursor::Assigned;
use crate::key::Key;
use crate::settings::{AfterDead, ConsumerSettings};
use crate::settle::{Aside, Class, Ended};
use crate::slot::{Dismissal, Grant, Slot, State};
use crate::step::{Decision, DeliveryId, Effect, Fetched, Input, Observer, PutOffWhy};
use bowline_model::{Instant, Outcome, Random};
use std::collections::BTreeMap;
use std::time::Duration;

/// A member of a group.
///
/// ```
/// use bowline_lane::{Assigned, Consumer, ConsumerSettings, Cursor, Effect, Input};
/// use bowline_model::{Instant, SplitMix64};
///
/// let mut consumer = Consumer::new(ConsumerSettings::default());
/// let mut effects = Vec::new();
/// let state = Assigned { cursor: Cursor::starting_at(0), parked: Vec::new() };
/// let assigned = Input::Assigned { partition: 0, epoch: 1, state };
/// consumer.apply(assigned, Instant::ZERO, &mut SplitMix64::new(1), &mut effects, &mut ());
/// assert!(matches!(effects[..], [Effect::Fetch { partition: 0, from: 0, records: 512, .. }]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Consumer {
    settings: ConsumerSettings,
    slots: BTreeMap<u32, Slot>,
    /// In the hands of handlers.
    in_hands: u32,
    /// Whether the one that is in a handler's hands has to be the only one.
    alone_in_hands: bool,
    target: TargetState,
    /// After [`Input::Stop`].
    stopping: Option<Instant>,
    /// The partition that is looked at first, so that none is always the last.
    turn: u32,
}

/// How the handler's target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum TargetState {
    Well,
    /// Nothing is started until then.
    Open(Instant),
    /// One record is started after the other.
    Probing,
}

impl Consumer {
    /// A consumer that owns nothing yet.
    #[must_use]
    pub const fn new(settings: ConsumerSettings) -> Self {
        Self {
            settings,
            slots: BTreeMap::new(),
            in_hands: 0,
            alone_in_hands: false,
            target: TargetState::Well,
            stopping: None,
            turn: 0,
        }
    }

    /// Takes in what happened, and adds to `effects` what is to be done, in order.
    ///
    /// What is about an epoch, a delivery or a commit of the past is ignored: reports may come twice and late.
    pub fn apply(
        &mut self,
        input: Input,
        now: Instant,
        rng: &mut impl Random,
        effects: &mut Vec<Effect>,
        seen: &mut impl Observer,
    ) {
        let mut turn = Turn { now, effects, seen };
        match input {
            Input::Assigned { partition, epoch, state } => self.assigned(partition, epoch, state, &mut turn),
            Input::Revoking { partition, epoch, until } => {
                if self.owns(partition, epoch) {
                    self.drain(partition, until);
                }
            }
            Input::Lost { partition, epoch } => {
                if self.owns(partition, epoch) {
                    self.lose(partition, true, &mut turn);
                }
            }
            Input::Fetched { partition, epoch, fetch, next, records } => {
                if self.owns(partition, epoch) {
                    self.fetched(partition, fetch, next, records, &mut turn);
                }
            }
            Input::Committed { partition, epoch, version, kept } => {
                self.committed(partition, epoch, version, kept, now, rng);
            }
            Input::Ended { id, ended } => self.ended(id, ended, rng, &mut turn),
            Input::SetAside { id, kept } => self.set_aside(id, kept, rng, &mut turn),
            Input::TargetOpen { until } => {
                self.target = TargetState::Open(until);
                turn.seen.decided(now, None, Decision::Paused { span: until.since(now) });
            }
            Input::TargetClosed => {
                if self.target != TargetState::Well {
                    turn.seen.decided(now, None, Decision::Resumed);
                }
                self.target = TargetState::Well;
            }
            Input::Reopened { partition, key } => {
                if let Some(slot) = self.slots.get_mut(&partition) {
                    slot.parked.remove(&key);
                }
            }
            Input::Woke => (),
            Input::Stop { until } => {
                self.stopping = Some(until);
                let all: Vec<u32> = self.slots.keys().copied().collect();
                for partition in all {
                    self.drain(partition, until);
                }
            }
        }
        self.go_on(&mut turn);
    }

    /// When [`Input::Woke`] is due; never is [`Instant::FAR`].
    #[must_use]
    pub fn wake_at(&self) -> Instant {
        let target = match self.target {
            TargetState::Open(until) => until,
            TargetState::Well | TargetState::Probing => Instant::FAR,
        };
        self.slots.values().map(Slot::wake_at).fold(target, Instant::min)
    }

    /// Whether it owns nothing: after [`Input::Stop`] it is over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The partitions that it owns, each with its floor: the offset of the oldest record that is not settled.
    pub fn floors(&self) -> impl Iterator<Item = (u32, u64)> {
        self.slots.iter().map(|(partition, slot)| (*partition, slot.floor()))
    }

    /// Records and bytes that are fetched and not settled.
    #[must_use]
    pub fn held(&self) -> (u32, u64) {
        self.slots.values().fold((0, 0), |(n, bytes), slot| (n + slot.held.records, bytes + slot.held.bytes))
    }

    /// Records in the hands of handlers.
    #[must_use]
    pub const fn in_hands(&self) -> u32 {
        self.in_hands
    }
}

/// What one application carries along.
struct Turn<'t, O> {
    now: Instant,
    effects: &'t mut Vec<Effect>,
    seen: &'t mut O,
}

impl<O: Observer> Turn<'_, O> {
    fn say(&mut self, partition: u32, offset: u64, decision: Decision) {
        self.seen.decided(self.now, Some((partition, offset)), decision);
    }
}

// === what is told ===

impl Consumer {
    fn assigned<O: Observer>(&mut self, partition: u32, epoch: u64, state: Assigned, turn: &mut Turn<'_, O>) {
        if self.slots.get(&partition).is_some_and(|slot| slot.epoch >= epoch) {
            return;
        }
        self.lose(partition, true, turn);
        self.slots.insert(partition, Slot::new(epoch, state));
        if let Some(until) = self.stopping {
            self.drain(partition, until);
        }
    }

    fn owns(&self, partition: u32, epoch: u64) -> bool {
        self.slots.get(&partition).is_some_and(|slot| slot.epoch == epoch)
    }

    fn drain(&mut self, partition: u32, until: Instant) {
        if let Some(slot) = self.slots.get_mut(&partition) {
            slot.draining = Some(slot.draining.map_or(until, |before| before.min(until)));
            // Chosen, but not in a handler's hands.
            if !self.alone_in_hands {
                slot.alone = None;
            }
            slot.dirty = true;
        }
    }

    /// The partition is gone: whatever is under way in it is given up.
    fn lose<O: Observer>(&mut self, partition: u32, lost: bool, turn: &mut Turn<'_, O>) {
        self.cut_off(partition, turn);
        if self.slots.remove(&partition).is_some() {
            turn.effects.push(Effect::Release { partition, lost });
        }
    }

    fn cut_off<O: Observer>(&mut self, partition: u32, turn: &mut Turn<'_, O>) {
        let Some(slot) = self.slots.get_mut(&partition) else { return };
        let cut = slot.cut_off(partition);
        if slot.alone.take().is_some() {
            self.alone_in_hands = false;
        }
        slot.dirty = true;
        self.in_hands -= cut.len() as u32;
        turn.effects.extend(cut.into_iter().map(|id| Effect::Cancel { id }));
    }

    fn fetched<O: Observer>(
        &mut self,
        partition: u32,
        fetch: u64,
        next: u64,
        records: Vec<Fetched>,
        turn: &mut Turn<'_, O>,
    ) {
        let Some(slot) = self.slots.get_mut(&partition) else { return };
        if slot.fetch != fetch || slot.fetching.take().is_none() {
            return;
        }
        // A drained partition takes nothing in: its cursor may be written already.
        if slot.draining.is_some() {
            return;
        }
        let mut suspected = Vec::new();
        slot.take_in(next, records, self.settings.order, &mut suspected);
        for offset in suspected {
            turn.say(partition, offset, Decision::Suspected);
        }
    }

    fn committed(
        &mut self,
        partition: u32,
        epoch: u64,
        version: u64,
        kept: bool,
        now: Instant,
        rng: &mut impl Random,
    ) {
        let Some(slot) = self.slots.get_mut(&partition).filter(|slot| slot.epoch == epoch) else { return };
        if slot.committed(version, kept) && !kept {
            let delay = self.settings.backoff.delay(slot.commits_failed, Duration::ZERO, rng);
            slot.commit_at = Some(now + delay);
        }
    }

    fn ended<O: Observer>(
        &mut self,
        id: DeliveryId,
        ended: Ended,
        rng: &mut impl Random,
        turn: &mut Turn<'_, O>,
    ) {
        let DeliveryId { partition, offset, .. } = id;
        let settings = &self.settings;
        let Some(slot) = self.slots.get_mut(&partition) else { return };
        let Some(entry) = slot.present(id).filter(|entry| entry.state == State::InHands) else { return };
        entry.suspect = false;
        entry.killed = false;
        entry.state = State::Waiting;
        self.in_hands -= 1;
        let counts = ended.outcome == Outcome::Unknown;
        entry.deliveries = entry.deliveries.saturating_add(u32::from(counts));
        entry.in_row = entry.in_row.saturating_add(1);
        let spent = settings.deliveries_max.is_some_and(|max| entry.deliveries >= max);
        let delay = settings.backoff.delay(entry.in_row, entry.previous, rng);
        let delay = ended.after.map_or(delay, |asked| asked.max(delay));
        slot.busy -= 1;
        slot.dirty |= counts;
        if slot.alone.take_if(|alone| *alone == offset).is_some() {
            slot.dirty = true;
            self.alone_in_hands = false;
        }
        match ended.outcome {
            Outcome::Succeeded | Outcome::Pending => {
                turn.say(partition, offset, Decision::Acknowledged);
                slot.settle(offset, settings.order);
                turn.effects.push(Effect::Forget { partition, offset });
            }
            // What is being drained is for the next owner to set aside or to deliver again.
            _ if slot.draining.is_some() => (),
            Outcome::Failed => {
                let class = ended.class.unwrap_or(Class::Rejected);
                self.leave(partition, offset, Aside::Dead(class), turn);
            }
            Outcome::Unknown if spent => {
                let class = ended.class.unwrap_or(Class::Exhausted);
                self.leave(partition, offset, Aside::Dead(class), turn);
            }
            Outcome::Unknown | Outcome::Refused => {
                let why = if counts { PutOffWhy::Unknown } else { PutOffWhy::Refused };
                if let Some(entry) = slot.entry(offset) {
                    entry.previous = delay;
                }
                slot.put_off(offset, turn.now + delay, None);
                turn.say(partition, offset, Decision::PutOff { after: delay, why });
            }
        }
    }

    fn set_aside<O: Observer>(
        &mut self,
        id: DeliveryId,
        kept: bool,
        rng: &mut impl Random,
        turn: &mut Turn<'_, O>,
    ) {
        let DeliveryId { partition, offset, .. } = id;
        let parks = self.settings.after_dead != AfterDead::Continue;
        let Some(slot) = self.slots.get_mut(&partition) else { return };
        let Some(entry) = slot.present(id) else { return };
        let State::Leaving(aside) = entry.state else { return };
        entry.in_row = entry.in_row.saturating_add(1);
        let (key, in_row) = (entry.key.clone(), entry.in_row);
        slot.busy -= 1;
        if kept {
            if parks && let Some(key) = key {
                slot.parked.insert(key);
            }
            slot.settle(offset, self.settings.order);
            turn.effects.push(Effect::Forget { partition, offset });
        } else {
            // Nothing was lost: the record is still there. Its key waits, because what comes after it must not
            // overtake it.
            let after = self.settings.backoff.delay(in_row, Duration::ZERO, rng);
            slot.put_off(offset, turn.now + after, Some(aside));
            turn.say(partition, offset, Decision::HeldBack { after });
        }
    }

    /// Sends a record away.
    fn leave<O: Observer>(&mut self, partition: u32, offset: u64, aside: Aside, turn: &mut Turn<'_, O>) {
        let Some(slot) = self.slots.get_mut(&partition) else { return };
        let epoch = slot.epoch;
        slot.ready.remove(&offset);
        slot.busy += 1;
        if slot.alone.take_if(|alone| *alone == offset).is_some() {
            slot.dirty = true;
        }
        let Some(entry) = slot.entry(offset) else { return };
        entry.state = State::Leaving(aside);
        entry.suspect = false;
        entry.attempt += 1;
        let parks_key = self.settings.after_dead != AfterDead::Continue && entry.key.is_some();
        let id = DeliveryId { partition, epoch, offset, attempt: entry.attempt };
        let deliveries = entry.deliveries;
        turn.effects.push(Effect::SetAside { id, aside, parks_key, deliveries });
        turn.say(partition, offset, Decision::SetAside(aside));
    }
}

// === what follows, in order ===

impl Consumer {
    fn go_on<O: Observer>(&mut self, turn: &mut Turn<'_, O>) {
        if let TargetState::Open(until) = self.target
            && until <= turn.now
        {
            self.target = TargetState::Probing;
        }
        let all = self.in_turn();
        for partition in &all {
            self.wake(*partition, turn);
        }
        self.start(&all, turn);
        let mut used = Grant::default();
        for slot in self.slots.values() {
            let coming = slot.fetching.unwrap_or_default();
            used.records += slot.held.records + coming.records;
            used.bytes += slot.held.bytes + coming.bytes;
        }
        for partition in &all {
            self.fetch(*partition, &mut used, turn);
            self.commit(*partition, turn);
            self.let_go(*partition, turn);
        }
    }

    /// The partitions, beginning with another one each time a record was started.
    fn in_turn(&self) -> Vec<u32> {
        let after = self.slots.range(self.turn..).map(|(partition, _)| *partition);
        after.chain(self.slots.range(..self.turn).map(|(partition, _)| *partition)).collect()
    }

    /// What was put off and is due.
    fn wake<O: Observer>(&mut self, partition: u32, turn: &mut Turn<'_, O>) {
        let Some(slot) = self.slots.get_mut(&partition) else { return };
        slot.commit_at.take_if(|at| *at <= turn.now);
        let mut leaving = Vec::new();
        while let Some((offset, aside)) = slot.due(turn.now) {
            if let Some(entry) = slot.entry(offset) {
                entry.state = State::Waiting;
            }
            match aside {
                Some(aside) if slot.draining.is_none() => leaving.push((offset, aside)),
                _ => {
                    slot.ready.insert(offset);
                }
            }
        }
        for (offset, aside) in leaving {
            self.leave(partition, offset, aside, turn);
        }
        let late = self.slots.get(&partition).and_then(|slot| slot.draining);
        if late.is_some_and(|until| until <= turn.now) {
            self.cut_off(partition, turn);
        }
    }

    /// Settles or sends away a record that no handler shall see. Whether it was one.
    fn dismiss<O: Observer>(&mut self, partition: u32, offset: u64, turn: &mut Turn<'_, O>) -> bool {
        let Some(slot) = self.slots.get_mut(&partition) else { return false };
        match slot.dismissal(offset, turn.now, &self.settings) {
            None => return false,
            Some(Dismissal::Leave(aside)) => self.leave(partition, offset, aside, turn),
            Some(Dismissal::Discard) => {
                slot.settle(offset, self.settings.order);
                turn.effects.push(Effect::Forget { partition, offset });
                turn.say(partition, offset, Decision::Discarded);
            }
        }
        true
    }

    /// Gives records to handlers.
    fn start<O: Observer>(&mut self, all: &[u32], turn: &mut Turn<'_, O>) {
        let most = match self.target {
            TargetState::Well => self.settings.concurrency.max(1),
            TargetState::Probing => 1,
            TargetState::Open(_) => return,
        };
        if self.alone_in_hands {
            return;
        }
        while let Some((partition, offset)) = self.suspect(all) {
            if self.dismiss(partition, offset, turn) {
                continue;
            }
            return self.start_alone(partition, offset, turn);
        }
        if self.slots.values().any(Slot::accuses) {
            return;
        }
        // A partition after the other, a record of each, so that one with many does not come first.
        let mut started = true;
        while started && self.in_hands < most {
            started = false;
            for partition in all {
                if self.in_hands >= most {
                    break;
                }
                let Some(slot) = self.slots.get(partition).filter(|slot| slot.draining.is_none()) else {
                    continue;
                };
                let Some(offset) = slot.ready.first().copied() else { continue };
                let noted = slot.is_noted(offset, false);
                if self.dismiss(*partition, offset, turn) {
                    started = true;
                } else if noted {
                    self.hand_out(*partition, offset, turn);
                    self.turn = partition.wrapping_add(1);
                    started = true;
                }
            }
        }
    }

    /// The record that is to be alone: the one that is chosen, or the first that is ready.
    fn suspect(&self, all: &[u32]) -> Option<(u32, u64)> {
        let chosen = self.slots.iter().find_map(|(partition, slot)| Some((*partition, slot.alone?)));
        chosen.or_else(|| {
            all.iter().find_map(|partition| {
                let slot = self.slots.get(partition).filter(|slot| slot.draining.is_none())?;
                Some((*partition, slot.ready_suspect()?))
            })
        })
    }

    /// A suspect: noted as the only one, and the only one.
    fn start_alone<O: Observer>(&mut self, partition: u32, offset: u64, turn: &mut Turn<'_, O>) {
        let others = self.slots.iter().any(|(other, slot)| *other != partition && slot.accuses());
        let Some(slot) = self.slots.get_mut(&partition) else { return };
        if self.in_hands > 0 || others {
            return;
        }
        slot.dirty |= slot.alone != Some(offset);
        slot.alone = Some(offset);
        if slot.is_noted(offset, true) {
            self.alone_in_hands = true;
            self.hand_out(partition, offset, turn);
        }
    }

    fn hand_out<O: Observer>(&mut self, partition: u32, offset: u64, turn: &mut Turn<'_, O>) {
        let Some(slot) = self.slots.get_mut(&partition) else { return };
        let epoch = slot.epoch;
        slot.ready.remove(&offset);
        slot.busy += 1;
        let Some(entry) = slot.entry(offset) else { return };
        entry.state = State::InHands;
        entry.attempt += 1;
        let id = DeliveryId { partition, epoch, offset, attempt: entry.attempt };
        let deliveries = entry.deliveries;
        self.in_hands += 1;
        turn.effects.push(Effect::Handle { id, deliveries });
        turn.say(partition, offset, Decision::Handled { deliveries });
    }

    /// Asks for more, if there are credits. Each partition has its share of them, so that one that waits for records
    /// that do not come keeps no other from its own.
    fn fetch<O: Observer>(&mut self, partition: u32, used: &mut Grant, turn: &mut Turn<'_, O>) {
        let ConsumerSettings { records_max, bytes_max, ahead_max, .. } = self.settings;
        let owned = self.slots.len() as u32;
        let Some(slot) = self.slots.get_mut(&partition) else { return };
        if slot.fetching.is_some() || slot.draining.is_some() {
            return;
        }
        let share = (records_max / owned).max(1);
        let share_bytes = (bytes_max / u64::from(owned)).max(1);
        let room = u64::from(ahead_max.max(1)).saturating_sub(slot.ahead()) as u32;
        let grant = Grant {
            records: share
                .saturating_sub(slot.held.records)
                .min(records_max.max(1).saturating_sub(used.records))
                .min(room),
            bytes: share_bytes
                .saturating_sub(slot.held.bytes)
                .min(bytes_max.max(1).saturating_sub(used.bytes)),
        };
        // Not for a few: a fetch costs a note. But for a few, if there is nothing else to do.
        let idle = slot.ready.is_empty() && slot.busy == 0;
        let enough = grant.records >= share.div_ceil(4) || idle;
        if grant.records == 0 || grant.bytes == 0 || !enough {
            return;
        }
        slot.fetching = Some(grant);
        slot.fetch += 1;
        used.records += grant.records;
        used.bytes += grant.bytes;
        let Grant { records, bytes } = grant;
        let (epoch, fetch, from) = (slot.epoch, slot.fetch, slot.next);
        turn.effects.push(Effect::Fetch { partition, epoch, fetch, from, records, bytes });
    }

    fn commit<O: Observer>(&mut self, partition: u32, turn: &mut Turn<'_, O>) {
        let Some(slot) = self.slots.get_mut(&partition) else { return };
        if let Some((version, cursor)) = slot.next_commit() {
            turn.effects.push(Effect::Commit { partition, epoch: slot.epoch, version, cursor });
        }
    }

    /// A drained partition whose cursor is written goes.
    fn let_go<O: Observer>(&mut self, partition: u32, turn: &mut Turn<'_, O>) {
        let gone = |slot: &Slot| slot.draining.is_some() && slot.busy == 0 && slot.is_written();
        if self.slots.get(&partition).is_some_and(gone) {
            self.lose(partition, false, turn);
        }
    }

    /// The keys of a partition of which records are set aside.
    pub fn parked(&self, partition: u32) -> impl Iterator<Item = &Key> {
        self.slots.get(&partition).into_iter().flat_map(|slot| &slot.parked)
    }
}
