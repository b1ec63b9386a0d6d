//! A log of one partition, a place for dead letters, and two consumers: everything around the machine, as a value.
//!
//! It knows the truth (what each handler did, what is durable) and holds the machine to it after every step.

use bowline_lane::step::Decision;
use bowline_lane::{
    AfterDead, Aside, Assigned, Class, Consumer, ConsumerSettings, Cursor, DeliveryId, Effect, Ended,
    Fetched, Input, Key, Observer,
};
use bowline_model::{Instant, Outcome, Random};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Always the same number: the back-off is the longest that it can be, and the walk needs no seed.
pub(crate) struct Always;

impl Random for Always {
    fn next_u64(&mut self) -> u64 {
        u64::MAX
    }
}

/// How much may go wrong in one history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Handlers that do not succeed, writes that fail or end without a word.
    pub(crate) failures: u32,
    /// Consumers that die.
    pub(crate) crashes: u32,
    /// Partitions that are asked for.
    pub(crate) rebalances: u32,
    /// Partitions that are taken from an owner who does not know.
    pub(crate) expiries: u32,
    /// Reports that come twice.
    pub(crate) duplicates: u32,
}

/// Something that is under way and will be answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Pending {
    Fetch { epoch: u64, fetch: u64, from: u64, records: u32 },
    Commit { epoch: u64, version: u64, cursor: Box<Durable> },
    Handle(DeliveryId),
    SetAside { id: DeliveryId, aside: Aside, parks_key: bool },
}

/// A cursor in an order, so that what is pending has one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Durable {
    pub(crate) floor: u64,
    pub(crate) settled: Vec<(u64, u64)>,
    pub(crate) marked: u64,
    pub(crate) alone: Option<u64>,
    pub(crate) deliveries: BTreeMap<u64, u32>,
}

impl Durable {
    fn of(cursor: &Cursor) -> Self {
        let settled = cursor.settled.iter().map(|range| (range.start, range.end)).collect();
        let Cursor { floor, marked, alone, .. } = *cursor;
        Self { floor, settled, marked, alone, deliveries: cursor.deliveries.clone() }
    }

    fn cursor(&self) -> Cursor {
        let settled = self.settled.iter().map(|(start, end)| *start..*end).collect();
        let Self { floor, marked, alone, .. } = *self;
        Cursor { floor, settled, marked, alone, deliveries: self.deliveries.clone() }
    }
}

/// A step that the world can take.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A fetch brings this many records.
    Fetched(usize, Pending, u32),
    /// A write: whether it takes effect, and whether the consumer hears so.
    Wrote(usize, Pending, bool, bool),
    Handled(usize, Pending, Outcome),
    /// Time passes until something is due.
    Woke,
    /// A consumer dies; what it was writing arrives, or not.
    Crash(usize, bool),
    /// The partition is asked for.
    Revoke,
    /// The partition is taken from its owner, who does not know.
    Expire,
    /// The last report comes again.
    Again,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    settings: ConsumerSettings,
    /// The key of each record.
    log: Vec<&'static str>,
    /// A record that kills whoever handles it.
    killer: Option<u64>,
    now: Instant,
    pub(crate) budget: Budget,
    consumers: [Consumer; 2],
    pending: [Vec<Pending>; 2],
    owner: usize,
    epoch: u64,
    /// What is durable.
    cursor: Durable,
    pub(crate) aside: BTreeMap<u64, Aside>,
    parked: BTreeSet<&'static str>,
    /// The part of it that the owner knows: a dead letter of the owner before that was under way when the partition was
    /// taken may arrive later.
    known: BTreeSet<&'static str>,
    /// Records whose handler said that they are done.
    pub(crate) done: BTreeSet<u64>,
    /// Records that wait for a time, for each consumer.
    waiting: [BTreeSet<u64>; 2],
    revoking: bool,
    /// Whose last commit was not kept, and waits to be written again.
    unwritten: [bool; 2],
    last: Option<(usize, Input)>,
    pub(crate) discarded: BTreeSet<u64>,
}

/// What a consumer decided about records that wait.
#[derive(Default)]
struct Seen(Vec<(u64, Decision)>);

impl Observer for Seen {
    fn decided(&mut self, _: Instant, record: Option<(u32, u64)>, decision: Decision) {
        self.0.extend(record.map(|(_, offset)| (offset, decision)));
    }
}

impl World {
    /// The first consumer owns the partition, and nothing has happened.
    pub(crate) fn new(
        settings: &ConsumerSettings,
        log: &[&'static str],
        killer: Option<u64>,
        budget: Budget,
    ) -> Self {
        let consumer = Consumer::new(settings.clone());
        let mut world = Self {
            settings: settings.clone(),
            log: log.to_vec(),
            killer,
            now: Instant::from_millis(1_000),
            budget,
            consumers: [consumer.clone(), consumer],
            pending: [Vec::new(), Vec::new()],
            owner: 1,
            epoch: 0,
            cursor: Durable::of(&Cursor::starting_at(0)),
            aside: BTreeMap::new(),
            parked: BTreeSet::new(),
            known: BTreeSet::new(),
            done: BTreeSet::new(),
            waiting: Default::default(),
            revoking: false,
            unwritten: [false; 2],
            last: None,
            discarded: BTreeSet::new(),
        };
        world.assign(0);
        world
    }

    /// Every step that can be taken from here.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let may_fail = self.budget.failures > 0;
        for consumer in 0..2 {
            for pending in &self.pending[consumer] {
                let wrote = |takes, told| Step::Wrote(consumer, pending.clone(), takes, told);
                match pending {
                    Pending::Fetch { from, records, .. } => {
                        let left = (self.log.len() as u64 - from).min(u64::from(*records)) as u32;
                        if left > 0 {
                            steps.push(Step::Fetched(consumer, pending.clone(), left));
                        }
                    }
                    Pending::Commit { .. } | Pending::SetAside { .. } => {
                        steps.push(wrote(true, true));
                        if may_fail {
                            steps.extend([wrote(true, false), wrote(false, false)]);
                        }
                    }
                    Pending::Handle(id) if self.killer == Some(id.offset) => {
                        if self.budget.crashes > 0 {
                            steps.push(Step::Crash(consumer, true));
                        }
                    }
                    Pending::Handle(_) => {
                        let handled = |outcome| Step::Handled(consumer, pending.clone(), outcome);
                        steps.push(handled(Outcome::Succeeded));
                        if may_fail {
                            steps.extend([Outcome::Unknown, Outcome::Refused, Outcome::Failed].map(handled));
                        }
                    }
                }
            }
        }
        if self.consumers.iter().any(|consumer| consumer.wake_at() < Instant::FAR) {
            steps.push(Step::Woke);
        }
        let Budget { crashes, rebalances, expiries, duplicates, .. } = self.budget;
        if crashes > 0 && self.killer.is_none() {
            steps.push(Step::Crash(self.owner, false));
            if self.pending[self.owner]
                .iter()
                .any(|pending| !matches!(pending, Pending::Fetch { .. } | Pending::Handle(_)))
            {
                steps.push(Step::Crash(self.owner, true));
            }
        }
        if rebalances > 0 && !self.revoking {
            steps.push(Step::Revoke);
        }
        if expiries > 0 {
            steps.push(Step::Expire);
        }
        if duplicates > 0 && self.last.is_some() {
            steps.push(Step::Again);
        }
        steps
    }

    pub(crate) fn take(&mut self, step: &Step) {
        match step.clone() {
            Step::Fetched(consumer, pending, count) => {
                self.settle_pending(consumer, &pending);
                let Pending::Fetch { epoch, fetch, from, .. } = pending else { unreachable!() };
                let next = from + u64::from(count);
                let records = (from..next).map(|offset| self.record(offset)).collect();
                self.tell(consumer, Input::Fetched { partition: 0, epoch, fetch, next, records });
            }
            Step::Wrote(consumer, pending, takes, told) => {
                self.settle_pending(consumer, &pending);
                if !told {
                    self.budget.failures -= 1;
                    self.unwritten[consumer] |= matches!(pending, Pending::Commit { .. });
                }
                let fenced = takes && !self.write(&pending);
                match pending {
                    Pending::Commit { epoch, .. } if fenced => {
                        self.tell(consumer, Input::Lost { partition: 0, epoch });
                    }
                    Pending::Commit { epoch, version, .. } => {
                        self.tell(consumer, Input::Committed { partition: 0, epoch, version, kept: told });
                    }
                    Pending::SetAside { id, .. } => self.tell(consumer, Input::SetAside { id, kept: told }),
                    Pending::Fetch { .. } | Pending::Handle(_) => unreachable!(),
                }
            }
            Step::Handled(consumer, pending, outcome) => {
                self.settle_pending(consumer, &pending);
                let Pending::Handle(id) = pending else { unreachable!() };
                if outcome == Outcome::Succeeded {
                    self.done.insert(id.offset);
                } else {
                    self.budget.failures -= 1;
                }
                self.tell(consumer, Input::Ended { id, ended: Ended::new(outcome) });
            }
            Step::Woke => {
                let at = self.consumers.iter().map(Consumer::wake_at).min().unwrap();
                self.now = self.now.max(at);
                for consumer in 0..2 {
                    self.tell(consumer, Input::Woke);
                }
                self.last = None;
            }
            Step::Crash(consumer, arrives) => {
                self.budget.crashes -= 1;
                for pending in std::mem::take(&mut self.pending[consumer]) {
                    if arrives {
                        self.write(&pending);
                    }
                }
                self.consumers[consumer] = Consumer::new(self.settings.clone());
                self.waiting[consumer].clear();
                self.unwritten[consumer] = false;
                self.last = None;
                if self.owner == consumer {
                    self.assign(1 - consumer);
                }
            }
            Step::Revoke => {
                self.budget.rebalances -= 1;
                self.revoking = true;
                let until = self.now + Duration::from_secs(10);
                self.tell(self.owner, Input::Revoking { partition: 0, epoch: self.epoch, until });
            }
            Step::Expire => {
                self.budget.expiries -= 1;
                self.assign(1 - self.owner);
            }
            Step::Again => {
                self.budget.duplicates -= 1;
                let (consumer, input) = self.last.clone().unwrap();
                self.tell(consumer, input);
            }
        }
        self.hold();
    }

    fn record(&self, offset: u64) -> Fetched {
        let key = self.log[offset as usize];
        let key = (!key.is_empty()).then(|| Key::new(key));
        Fetched { offset, key, bytes: 10, expires: None, unfit: None }
    }

    fn settle_pending(&mut self, consumer: usize, pending: &Pending) {
        let at = self.pending[consumer].iter().position(|other| other == pending).unwrap();
        self.pending[consumer].remove(at);
    }

    /// A write takes effect, unless it is fenced off.
    fn write(&mut self, pending: &Pending) -> bool {
        match pending {
            Pending::Commit { epoch, cursor, .. } => {
                let mine = *epoch == self.epoch;
                if mine {
                    self.cursor = (**cursor).clone();
                }
                mine
            }
            Pending::SetAside { id, aside, parks_key } => {
                self.aside.entry(id.offset).or_insert(*aside);
                if *parks_key {
                    self.parked.insert(self.log[id.offset as usize]);
                }
                if *parks_key && id.epoch == self.epoch {
                    self.known.insert(self.log[id.offset as usize]);
                }
                true
            }
            Pending::Fetch { .. } | Pending::Handle(_) => true,
        }
    }

    fn assign(&mut self, consumer: usize) {
        self.owner = consumer;
        self.epoch += 1;
        self.revoking = false;
        self.known = self.parked.clone();
        let parked = self.parked.iter().map(Key::new).collect();
        let state = Assigned { cursor: self.cursor.cursor(), parked };
        self.tell(consumer, Input::Assigned { partition: 0, epoch: self.epoch, state });
    }

    fn tell(&mut self, consumer: usize, input: Input) {
        let (mut effects, mut seen) = (Vec::new(), Seen::default());
        self.last = Some((consumer, input.clone()));
        self.consumers[consumer].apply(input, self.now, &mut Always, &mut effects, &mut seen);
        for (offset, decision) in seen.0 {
            match decision {
                Decision::PutOff { .. } | Decision::HeldBack { .. } => {
                    self.waiting[consumer].insert(offset);
                }
                Decision::Handled { .. } | Decision::SetAside(_) => {
                    self.waiting[consumer].remove(&offset);
                }
                Decision::Discarded => {
                    self.discarded.insert(offset);
                }
                _ => (),
            }
        }
        for effect in effects {
            self.follow(consumer, effect);
        }
        self.pending[consumer].sort();
    }

    fn follow(&mut self, consumer: usize, effect: Effect) {
        let pending = match effect {
            Effect::Fetch { epoch, fetch, from, records, .. } => {
                Pending::Fetch { epoch, fetch, from, records }
            }
            Effect::Commit { epoch, version, cursor, .. } => {
                self.unwritten[consumer] = false;
                Pending::Commit { epoch, version, cursor: Box::new(Durable::of(&cursor)) }
            }
            Effect::Handle { id, deliveries } => {
                self.hold_handle(consumer, id, deliveries);
                Pending::Handle(id)
            }
            Effect::SetAside { id, aside, parks_key, .. } => {
                self.hold_aside(id, aside);
                Pending::SetAside { id, aside, parks_key }
            }
            Effect::Cancel { id } => return self.settle_pending(consumer, &Pending::Handle(id)),
            Effect::Forget { offset, .. } => {
                assert!(self.is_settled(offset), "{offset} is forgotten before it is settled");
                return;
            }
            Effect::Release { lost, .. } => {
                self.pending[consumer].retain(|pending| !matches!(pending, Pending::Fetch { .. }));
                self.waiting[consumer].clear();
                self.unwritten[consumer] = false;
                if !lost && self.owner == consumer {
                    // What an owner of the past had under way may still arrive; it is fenced off.
                    let of_now = |pending: &&Pending| match pending {
                        Pending::Fetch { .. } => false,
                        Pending::Commit { epoch, .. } => *epoch == self.epoch,
                        Pending::Handle(id) | Pending::SetAside { id, .. } => id.epoch == self.epoch,
                    };
                    let under_way: Vec<_> = self.pending[consumer].iter().filter(of_now).collect();
                    assert!(under_way.is_empty(), "let go with work under way: {under_way:?}");
                    self.assign(1 - consumer);
                }
                return;
            }
        };
        self.pending[consumer].push(pending);
    }

    pub(crate) fn is_settled(&self, offset: u64) -> bool {
        self.done.contains(&offset) || self.aside.contains_key(&offset) || self.discarded.contains(&offset)
    }

    fn same_lane(&self, a: u64, b: u64) -> bool {
        let (a, b) = (self.log[a as usize], self.log[b as usize]);
        a == b && !a.is_empty()
    }

    // === what always holds ===

    /// A record goes to a handler.
    fn hold_handle(&self, consumer: usize, id: DeliveryId, deliveries: u32) {
        let others = self.pending[consumer].iter().filter_map(|pending| match pending {
            Pending::Handle(other) => Some(other.offset),
            _ => None,
        });
        let in_hands: Vec<u64> = others.collect();
        assert!(
            (in_hands.len() as u32) < self.settings.concurrency,
            "more in hands than allowed: {in_hands:?}"
        );
        for other in &in_hands {
            assert!(
                !self.same_lane(*other, id.offset),
                "two records of a key in hands: {other} and {}",
                id.offset
            );
        }
        let earlier = (0..id.offset).filter(|other| self.same_lane(*other, id.offset));
        for other in earlier {
            assert!(self.is_settled(other), "{} overtakes {other}", id.offset);
        }
        if self.owner == consumer {
            assert!(id.offset < self.cursor.marked, "{} is in hands and nothing durable says so", id.offset);
            if let Some(accused) = self.cursor.alone {
                assert!(
                    accused == id.offset && in_hands.is_empty(),
                    "{accused} is accused, {} is in hands",
                    id.offset
                );
            }
            assert!(!self.known.contains(self.log[id.offset as usize]), "{} is of a parked key", id.offset);
        }
        let max = self.settings.deliveries_max.unwrap_or(u32::MAX);
        assert!(deliveries < max, "{} is delivered once too often", id.offset);
    }

    /// A record is sent away.
    fn hold_aside(&self, id: DeliveryId, aside: Aside) {
        let earlier = (0..id.offset).filter(|other| self.same_lane(*other, id.offset));
        for other in earlier {
            assert!(self.is_settled(other), "{} is set aside before {other} is settled", id.offset);
        }
        if self.settings.after_dead == AfterDead::Continue {
            assert!(!matches!(aside, Aside::Parked | Aside::Dead(Class::Follows)));
        }
    }

    /// After every step.
    fn hold(&self) {
        for offset in (0..self.cursor.floor).chain(self.cursor.settled.iter().flat_map(|(a, b)| *a..*b)) {
            assert!(self.is_settled(offset), "the cursor passes {offset}, which is not settled");
        }
        for (consumer, pending) in self.consumers.iter().zip(&self.pending) {
            let coming: u32 = pending
                .iter()
                .map(|p| if let Pending::Fetch { records, .. } = p { *records } else { 0 })
                .sum();
            assert!(consumer.held().0 + coming <= self.settings.records_max, "more credits than there are");
        }
        self.hold_lanes();
    }

    /// Where only time is waited for, nobody waits but those who were put off, and those of their lanes.
    fn hold_lanes(&self) {
        let at_rest = |pending: &Pending| matches!(pending, Pending::Fetch { from, .. } if *from == self.log.len() as u64);
        let owner = self.owner;
        if !self.pending[owner].iter().all(at_rest)
            || self.pending[owner].is_empty()
            || self.revoking
            || self.unwritten[owner]
        {
            return;
        }
        for offset in (0..self.log.len() as u64).filter(|offset| !self.is_settled(*offset)) {
            let waits = |other: &u64| *other == offset || self.same_lane(*other, offset);
            assert!(self.waiting[owner].iter().any(waits), "{offset} waits for nothing of its lane");
        }
    }

    /// Where nothing can happen any more.
    pub(crate) fn hold_at_the_end(&self) {
        let end = self.log.len() as u64;
        if self.killer.is_some() && self.budget.crashes == 0 && self.consumers[self.owner].in_hands() > 0 {
            return; // The walk stops at the last crash that it allows.
        }
        for offset in 0..end {
            assert!(self.is_settled(offset), "{offset} is lost");
        }
        assert_eq!(self.cursor.floor, end, "the floor stays behind");
        for consumer in &self.consumers {
            assert_eq!((consumer.held(), consumer.in_hands()), ((0, 0), 0), "credits are lost");
        }
    }
}
