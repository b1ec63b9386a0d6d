//! Records on their way to those who read them.
//!
//! Each group has its own copy of what is to be done, a delivery; what a real log keeps once and reads at
//! several places is kept here as often as it is read. A group's records stand in lanes: those of one key (or
//! one partition) one after the other, lanes side by side, as many under way as the group's concurrency.

use super::Engine;
use super::call::Caller;
use super::event::What;
use super::slab::{Handle, Slab};
use super::spent::Spent;
use crate::model::{Model, Order, SubscriptionId, TopicId};
use crate::run::Cause;
use crate::stream::{self, Draw, Purpose};
use bowline_model::decision::GiveUp;
use bowline_model::time::nanos;
use bowline_model::{Outcome, Random};
use bowline_policy::End;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A record, as one group sees it.
#[derive(Debug)]
pub(super) struct Delivery {
    request: Handle,
    group: u32,
    lane: u64,
    key: u64,
    /// Its place in the topic.
    sequence: u64,
    published: u64,
    /// Tells apart the records of one request.
    draw: Draw,
    /// Deliveries in vain that count towards setting it aside.
    attempts: u32,
    /// Times it was handed to a consumer.
    handed: u32,
    /// The pause before this delivery.
    previous: Duration,
    state: State,
    mark: u64,
    spent: Spent,
    effects: Option<Handle>,
    /// No consumer can process it.
    pub(super) poison: bool,
    /// Whether its request waits for it to be complete.
    completes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waits for those of its lane before it, or for a place.
    Waiting,
    /// With a consumer, or on the way there.
    Handed,
    /// Waits to be handed out again.
    Parked,
}

/// A group of consumers.
#[derive(Debug)]
pub(super) struct Group {
    /// Records that are first in their lanes, in the order in which they became it.
    ready: VecDeque<Handle>,
    /// Lanes with a record that is ready, handed out or parked, and those behind it.
    lanes: BTreeMap<u64, VecDeque<Handle>>,
    under_way: u32,
    /// Faults that keep its consumers from taking anything.
    pub(super) stuck: u32,
    /// Records that were not yet processed.
    pub(super) backlog: u64,
    /// Those, oldest first; ones that are done with are taken out when they come to the front.
    oldest: VecDeque<Handle>,
    /// The newest record of each key that was processed, where keys are few enough to be kept.
    newest: Vec<u64>,
}

/// Above so many keys reordering is not watched: a record of each would be remembered for ever.
const KEYS_WATCHED_MAX: u32 = 1 << 20;

/// The shortest pause before a record is handed out again. Without one, a record that is refused in no time
/// would be handed out again in no time, for ever.
const PAUSE_MIN: Duration = Duration::from_millis(1);

pub(super) fn groups(model: &Model) -> Vec<Group> {
    let group = |subscription: &crate::model::Subscription| {
        let keys = model.topics[subscription.spec.topic.index()].spec.keys;
        Group {
            ready: VecDeque::new(),
            lanes: BTreeMap::new(),
            under_way: 0,
            stuck: 0,
            backlog: 0,
            oldest: VecDeque::new(),
            newest: vec![0; if keys <= KEYS_WATCHED_MAX { keys as usize } else { 0 }],
        }
    };
    model.subscriptions.iter().map(group).collect()
}

impl Group {
    /// The age of the oldest record not yet processed.
    pub(super) fn lag(&mut self, deliveries: &Slab<Delivery>, now: u64) -> u64 {
        // A record that stays long at the front holds back the tidying of those behind it.
        if 64 + 2 * self.backlog < self.oldest.len() as u64 {
            self.oldest.retain(|record| deliveries.get(*record).is_some());
        }
        while let Some(first) = self.oldest.front() {
            match deliveries.get(*first) {
                Some(record) => return now - record.published,
                None => self.oldest.pop_front(),
            };
        }
        0
    }
}

// === publishing ===

impl Engine<'_> {
    /// How long the broker takes to confirm a record.
    pub(super) fn confirmation(&self, topic: TopicId, draw: Draw) -> u64 {
        let topic = &self.model.topics[topic.index()];
        if topic.spec.confirms == crate::Dist::ZERO {
            return 0;
        }
        topic.spec.confirms.sample(&mut stream::draw(self.spec.seed, topic.stream, Purpose::Broker, draw))
    }

    /// The broker has a record: every group that reads the topic gets it.
    pub(super) fn append(&mut self, handle: Handle, id: TopicId, attempt: u32, effects: Option<Handle>) {
        let model = self.model;
        let topic = &model.topics[id.index()];
        let Some(request) = self.requests.get_mut(handle) else { return };
        let draw = Draw { request: request.number, site: request.published, attempt };
        request.published += 1;
        self.record.topics[id.index()].published += 1;
        let sequence = self.record.topics[id.index()].published;
        let key = match topic.spec.keys {
            0 => draw.request,
            // Of one request all records have one key.
            keys => {
                let draw = Draw { request: draw.request, ..Draw::default() };
                stream::draw(self.spec.seed, topic.stream, Purpose::Key, draw).below(keys.into())
            }
        };
        for subscription in &topic.subscriptions {
            let spec = &model.subscriptions[subscription.index()].spec;
            let lane = match spec.order {
                Order::Key => key,
                Order::Partition => key % u64::from(topic.spec.partitions),
                Order::Topic => 0,
                Order::None => sequence,
            };
            let (own, effects) = match effects {
                Some(effects) => (None, Some(effects)),
                None => {
                    let own = self.new_effects(spec.deliver);
                    (own, own)
                }
            };
            let poison = self.world.poisons(id, *subscription, draw, self.spec.seed);
            let twice = self.world.duplicates(id, *subscription, draw, self.spec.seed);
            for _ in 0..if twice { 2 } else { 1 } {
                self.is_due(handle, spec.completes);
                self.hold_effects(effects);
                let delivery = self.deliveries.insert(Delivery {
                    request: handle,
                    group: subscription.0,
                    lane,
                    key,
                    sequence,
                    published: self.now,
                    draw,
                    attempts: 0,
                    handed: 0,
                    previous: Duration::ZERO,
                    state: State::Waiting,
                    mark: self.now,
                    spent: Spent::ZERO,
                    effects,
                    poison,
                    completes: spec.completes,
                });
                self.line_up(*subscription, lane, delivery);
            }
            if let Some(own) = own {
                self.release_effects(own);
            }
            self.hand_out(subscription.index());
        }
        self.hold_to_limit(self.deliveries.len());
    }

    fn line_up(&mut self, id: SubscriptionId, lane: u64, delivery: Handle) {
        let group = &mut self.groups[id.index()];
        group.backlog += 1;
        self.record.second.backlog = self.record.second.backlog.max(group.backlog);
        let record = &mut self.record.subscriptions[id.index()];
        record.backlog_max = record.backlog_max.max(group.backlog);
        group.oldest.push_back(delivery);
        match group.lanes.get_mut(&lane) {
            Some(behind) => behind.push_back(delivery),
            None => {
                group.lanes.insert(lane, VecDeque::new());
                group.ready.push_back(delivery);
            }
        }
    }
}

// === delivering ===

impl Engine<'_> {
    /// Hands records to consumers, as many as have a place.
    pub(super) fn hand_out(&mut self, index: usize) {
        let subscription = &self.model.subscriptions[index];
        let topic = &self.model.topics[subscription.spec.topic.index()];
        loop {
            let group = &mut self.groups[index];
            let full = subscription.spec.concurrency <= group.under_way;
            if full || group.stuck > 0 || self.world.is_broker_down(subscription.spec.topic) {
                return;
            }
            let Some(handle) = group.ready.pop_front() else { return };
            let Some(record) = self.deliveries.get_mut(handle) else { continue };
            group.under_way += 1;
            record.state = State::Handed;
            record.handed += 1;
            let told = &mut self.record.subscriptions[index];
            told.delivered += 1;
            told.redelivered += u64::from(1 < record.handed);
            let took = if topic.spec.delivers == crate::Dist::ZERO {
                0
            } else {
                let draw = record.draw.of_try(0, record.handed);
                let mut rng = stream::draw(self.spec.seed, subscription.stream, Purpose::Broker, draw);
                topic.spec.delivers.sample(&mut rng)
            };
            self.future.after(took, What::Delivers { delivery: handle });
        }
    }

    /// A record reaches its consumer.
    pub(super) fn delivers(&mut self, handle: Handle) {
        let Some(record) = self.deliveries.get_mut(handle) else { return };
        record.spent.add(Cause::Broker, self.now - record.mark);
        record.mark = self.now;
        let draw = Draw {
            attempt: record.draw.attempt.wrapping_mul(31).wrapping_add(record.handed - 1),
            ..record.draw
        };
        let (request, effects, group) = (record.request, record.effects, record.group);
        let edge = self.model.subscriptions[group as usize].spec.deliver;
        self.begin_call(edge, 0, Caller::Delivery(handle), request, draw, 0, effects);
    }

    /// A consumer's call is over: the record is settled, one way or the other.
    pub(super) fn call_of_delivery_over(&mut self, handle: Handle, end: &End, spent: Spent) {
        let Some(record) = self.deliveries.get_mut(handle) else { return };
        let index = record.group as usize;
        record.spent += spent;
        record.mark = self.now;
        let subscription = &self.model.subscriptions[index];
        self.groups[index].under_way -= 1;
        if self.world.is_broker_down(subscription.spec.topic) {
            // Nobody is there to take the receipt: the record will be handed out again.
            record.state = State::Waiting;
            self.groups[index].ready.push_front(handle);
            return;
        }
        if matches!(end.outcome, Outcome::Succeeded | Outcome::Pending) {
            self.processed(handle);
        } else {
            // Where surely nobody acted on it (never sent, shed, nobody there), nothing was learned about the
            // record: it waits for a better time and is not set aside for the bad one.
            record.attempts += u32::from(end.outcome != Outcome::Refused);
            let hopeless = end.outcome == Outcome::Failed;
            if hopeless || subscription.spec.dead_letter_after <= record.attempts {
                self.record.subscriptions[index].dead += 1;
                if let Some(request) = self.requests.get_mut(record.request) {
                    request.stuck = true;
                }
                self.settled(handle);
            } else {
                self.park(handle, end);
            }
        }
        self.hand_out(index);
    }

    /// Puts a record aside for a while; those behind it in its lane wait with it.
    fn park(&mut self, handle: Handle, end: &End) {
        let Some(record) = self.deliveries.get_mut(handle) else { return };
        let subscription = &self.model.subscriptions[record.group as usize];
        let draw = record.draw.of_try(0, record.handed);
        let mut rng = stream::draw(self.spec.seed, subscription.stream, Purpose::Backoff, draw);
        let own = subscription.spec.backoff.delay(record.handed, record.previous, &mut rng);
        // A breaker says when to come again; and a bus does not spin.
        let pause = own.max(end.retry_after.unwrap_or_default()).max(PAUSE_MIN);
        record.previous = own;
        record.state = State::Parked;
        let cause = if end.reason == GiveUp::BreakerOpen { Cause::Breaker } else { Cause::Backoff };
        record.spent.add(cause, nanos(pause));
        record.mark = self.now.saturating_add(nanos(pause));
        self.future.plan(record.mark, What::Redelivers { delivery: handle });
    }

    pub(super) fn redelivers(&mut self, handle: Handle) {
        let Some(record) = self.deliveries.get_mut(handle).filter(|record| record.state == State::Parked)
        else {
            return;
        };
        record.state = State::Waiting;
        let index = record.group as usize;
        self.groups[index].ready.push_back(handle);
        self.hand_out(index);
    }

    fn processed(&mut self, handle: Handle) {
        let Some(record) = self.deliveries.get_mut(handle) else { return };
        let index = record.group as usize;
        let told = &mut self.record.subscriptions[index];
        told.processed += 1;
        told.lag.add(self.now - record.published);
        let (key, sequence) = (record.key, record.sequence);
        let late = self.groups[index].newest.get_mut(key as usize).is_some_and(|newest| {
            let late = sequence < *newest;
            *newest = sequence.max(*newest);
            late
        });
        if let Some(request) = self.requests.get_mut(record.request) {
            request.reordered |= late;
            if record.completes && request.answer.is_none() {
                // The asker still waits: this is where its time went.
                let spent = record.spent;
                request.spent += spent;
            }
        }
        self.settled(handle);
    }

    /// The record is done with: the next of its lane is ready.
    fn settled(&mut self, handle: Handle) {
        let Some(record) = self.deliveries.remove(handle) else { return };
        let group = &mut self.groups[record.group as usize];
        group.backlog -= 1;
        let deliveries = &self.deliveries;
        let next = group.lanes.get_mut(&record.lane).and_then(|behind| {
            std::iter::from_fn(|| behind.pop_front()).find(|next| deliveries.get(*next).is_some())
        });
        match next {
            Some(next) => group.ready.push_back(next),
            None => {
                group.lanes.remove(&record.lane);
            }
        }
        if let Some(effects) = record.effects {
            self.release_effects(effects);
        }
        self.due_over(record.request, record.completes);
    }

    /// Records whose time is over before a consumer took them are gone.
    pub(super) fn expire_records(&mut self) {
        for index in 0..self.groups.len() {
            let topic = self.model.subscriptions[index].spec.topic;
            let retention = nanos(self.model.topics[topic.index()].spec.retention);
            let mut handed = Vec::new();
            while let Some(first) = self.groups[index].oldest.front().copied() {
                let Some(record) = self.deliveries.get(first) else {
                    self.groups[index].oldest.pop_front();
                    continue;
                };
                if self.now - record.published < retention {
                    break;
                }
                self.groups[index].oldest.pop_front();
                if record.state == State::Handed {
                    handed.push(first);
                    continue;
                }
                self.expire(first);
            }
            handed.into_iter().rev().for_each(|record| self.groups[index].oldest.push_front(record));
            self.hand_out(index);
        }
    }

    fn expire(&mut self, handle: Handle) {
        let Some(record) = self.deliveries.get(handle) else { return };
        let (index, request) = (record.group as usize, record.request);
        self.record.subscriptions[index].expired += 1;
        if let Some(request) = self.requests.get_mut(request) {
            request.lost = true;
        }
        let lane = record.lane;
        let group = &mut self.groups[index];
        let behind = group.lanes.get_mut(&lane);
        if let Some(place) = behind.as_ref().and_then(|behind| behind.iter().position(|each| *each == handle))
        {
            // It waited behind another of its lane, which keeps the lane.
            if let Some(behind) = behind {
                behind.remove(place);
            }
            let Some(record) = self.deliveries.remove(handle) else { return };
            self.groups[index].backlog -= 1;
            if let Some(effects) = record.effects {
                self.release_effects(effects);
            }
            self.due_over(record.request, record.completes);
        } else {
            self.settled(handle);
        }
    }
}
