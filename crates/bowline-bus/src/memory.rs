//! A broker in memory: small and whole, for tests and for records that may be lost with the process.
//!
//! It is a [`Log`], a [`Queue`] and a place for [`DeadLetters`], over one state behind one lock that is never held
//! while anything is waited for. A group may be worked on as a log or as a queue; both move the same cursor.
//!
//! In reading order: `state`, the topics, groups and cursors; `groups`, who owns which partition; `handing`, the
//! records of a queue that are out. Here are the traits over them.

mod groups;
mod handing;
mod state;

use crate::aside::{DeadLetter, DeadLetters};
use crate::clock::Clock;
use crate::error::{Asked, Error, Why};
use crate::event::Event;
use crate::log::{
    Bounds, BoxFuture, Change, Log, Member, Position, Record, Slot, Start, TopicSettings, Window,
};
use crate::name::{Group, Topic};
use crate::queue::{Credits, Delivery, Queue, Receiver, Settlement, Ticket};
use bowline_lane::{Capabilities, Cursor, Key, brokers};
use bowline_model::{Instant, WallTime};
use state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What a memory broker holds at most, and how long it waits for a consumer to let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// The most bytes of all records, as [`Event::bytes`] counts. 256 MiB, when nothing is said. When they are
    /// reached, what retention allows to go goes, then what every group of a topic has settled; publishers wait for
    /// the rest.
    pub bytes_max: u64,
    /// How long a consumer may finish what it has when a partition shall go to another. 10 s, when nothing is said: as
    /// long as a handler should take at most.
    pub revoke_within: Duration,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self { bytes_max: 256 << 20, revoke_within: Duration::from_secs(10) }
    }
}

/// A broker in memory. Copies are the same broker.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use bowline_bus::{Event, Log, Memory, Topic, TopicSettings, Window};
/// use std::time::Duration;
///
/// let broker = Memory::new();
/// let orders = Topic::new("orders").unwrap();
/// broker.create(&orders, TopicSettings::default()).await.unwrap();
/// let placed = Event::builder("1", "/shop", "order.placed").partition_key("order-17").build().unwrap();
/// broker.append(&orders, vec![placed], Duration::from_secs(1)).await.unwrap();
///
/// let window = Window { records: 10, bytes: 1 << 20, wait: Duration::ZERO };
/// let records = broker.read(&orders, 0, 0, window).await.unwrap();
/// assert_eq!(records[0].event.kind(), "order.placed");
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Memory {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
    limits: MemoryLimits,
    state: Mutex<State>,
    /// Records came, were settled or went, partitions changed hands: whoever waits looks again.
    changed: Notify,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty broker with the usual limits.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(MemoryLimits::default())
    }

    /// An empty broker.
    #[must_use]
    pub fn with_limits(limits: MemoryLimits) -> Self {
        let (state, changed) = (Mutex::new(State::default()), Notify::new());
        Self { inner: Arc::new(Inner { clock: Clock::start(), limits, state, changed }) }
    }

    /// Ends it: what waits and what comes is answered with [`Why::Closed`].
    pub fn close(&self) {
        self.inner.lock().closed = true;
        self.inner.changed.notify_waiters();
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now, and how long there is to let go of a partition.
    fn time(&self) -> (Instant, Duration) {
        (self.clock.now(), self.limits.revoke_within)
    }

    /// Asks `look` until it answers, each time something has changed or the time that it names has come.
    async fn until<T>(&self, mut look: impl FnMut(&mut State, Instant) -> Look<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on a change is not missed, although nobody polls yet.
            changed.as_mut().enable();
            let look = look(&mut self.lock(), self.clock.now());
            match look {
                Look::Found(found) => return found,
                Look::Wait { until } => {
                    let until = tokio::time::sleep_until(self.clock.tokio(until));
                    tokio::select! { () = changed => (), () = until => () }
                }
            }
        }
    }
}

/// What a look at the state says.
enum Look<T> {
    Found(T),
    Wait { until: Instant },
}

impl Log for Memory {
    fn capabilities(&self) -> &Capabilities {
        &brokers::MEMORY
    }

    fn create<'a>(&'a self, topic: &'a Topic, settings: TopicSettings) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { self.inner.lock().create(topic, settings) })
    }

    fn describe<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Vec<Bounds>, Error>> {
        Box::pin(async move {
            let mut state = self.inner.lock();
            state.expire(self.inner.clock.wall());
            let parts = &state.topic(topic, Asked::Describe)?.parts;
            Ok(parts.iter().map(state::Part::bounds).collect())
        })
    }

    fn append<'a>(
        &'a self,
        topic: &'a Topic,
        events: Vec<Event>,
        within: Duration,
    ) -> BoxFuture<'a, Result<Vec<Position>, Error>> {
        Box::pin(async move {
            let deadline = self.inner.clock.now() + within;
            let bytes = events.iter().map(Event::bytes).sum();
            let limit = self.inner.limits.bytes_max;
            if bytes > limit {
                return Err(Error::new(Asked::Publish, topic, Why::TooLarge { bytes, limit }));
            }
            let mut events = Some(events);
            let appended = self.inner.until(|state, now| {
                let wall = self.inner.clock.wall();
                if let Err(error) = state.topic(topic, Asked::Publish) {
                    return Look::Found(Err(error));
                }
                if !state.has_room(bytes, limit, wall) {
                    if now < deadline {
                        return Look::Wait { until: deadline.min(now + state::EXPIRY_EVERY) };
                    }
                    return Look::Found(Err(Error::new(
                        Asked::Publish,
                        topic,
                        Why::Full { limit: "bytes_max" },
                    )));
                }
                Look::Found(state.append(topic, events.take().unwrap_or_default(), wall))
            });
            let appended = appended.await;
            self.inner.changed.notify_waiters();
            appended
        })
    }

    fn read<'a>(
        &'a self,
        topic: &'a Topic,
        partition: u32,
        from: u64,
        window: Window,
    ) -> BoxFuture<'a, Result<Vec<Record>, Error>> {
        Box::pin(async move {
            let until = self.inner.clock.now() + window.wait;
            let look = |state: &mut State, now| {
                state.expire(self.inner.clock.wall());
                match state
                    .part(topic, partition, Asked::Read)
                    .and_then(|part| part.read(topic, from, window))
                {
                    Ok(none) if none.is_empty() && now < until => Look::Wait { until },
                    found => Look::Found(found),
                }
            };
            self.inner.until(look).await
        })
    }

    fn offset_at<'a>(
        &'a self,
        topic: &'a Topic,
        partition: u32,
        at: WallTime,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move {
            let mut state = self.inner.lock();
            state.expire(self.inner.clock.wall());
            Ok(state.part(topic, partition, Asked::Read)?.offset_at(at))
        })
    }

    fn join<'a>(
        &'a self,
        topic: &'a Topic,
        group: &'a Group,
        from: Start,
    ) -> BoxFuture<'a, Result<Box<dyn Member>, Error>> {
        Box::pin(async move {
            let id = {
                let time = self.inner.time();
                self.inner.lock().join(topic, group, from, time)?
            };
            self.inner.changed.notify_waiters();
            let (broker, topic, group) = (self.clone(), topic.clone(), group.clone());
            Ok(Box::new(MemoryMember { broker, topic, group, id }) as Box<dyn Member>)
        })
    }

    fn commit<'a>(
        &'a self,
        slot: &'a Slot,
        epoch: u64,
        cursor: Cursor,
        _within: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            self.inner.lock().commit(slot, epoch, cursor)?;
            // Room may come of it.
            self.inner.changed.notify_waiters();
            Ok(())
        })
    }

    fn cursor<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Option<Cursor>, Error>> {
        Box::pin(async move {
            let mut state = self.inner.lock();
            state.part(&slot.topic, slot.partition, Asked::Describe)?;
            Ok(state.group(&slot.topic, &slot.group).and_then(|group| group.cursor(slot.partition)))
        })
    }
}

struct MemoryMember {
    broker: Memory,
    topic: Topic,
    group: Group,
    id: u64,
}

impl MemoryMember {
    /// Changes the group, and lets everybody look.
    fn change(&self, change: impl FnOnce(&mut groups::GroupState, groups::Around<'_>)) {
        let inner = &self.broker.inner;
        inner.lock().with_group(&self.topic, &self.group, inner.time(), change);
        inner.changed.notify_waiters();
    }
}

impl Member for MemoryMember {
    fn changed(&mut self) -> BoxFuture<'_, Result<Change, Error>> {
        Box::pin(async move {
            let inner = &self.broker.inner;
            let (change, others) = inner
                .until(|state, _| {
                    if state.closed {
                        let closed = Error::new(Asked::Join, &self.group, Why::Closed);
                        return Look::Found((Err(closed), false));
                    }
                    let found = state.with_group(&self.topic, &self.group, inner.time(), |group, around| {
                        let others = group.take_overdue(around);
                        (group.next_change(self.id), others, group.overdue_at())
                    });
                    match found {
                        Some((Some(change), others, _)) => Look::Found((Ok(change), others)),
                        Some((None, _, until)) => Look::Wait { until },
                        None => Look::Found((Ok(Change::Left), false)),
                    }
                })
                .await;
            if others {
                inner.changed.notify_waiters();
            }
            change
        })
    }

    fn release(&mut self, partition: u32) {
        self.change(|group, around| group.release(self.id, partition, around));
    }

    fn leave(&mut self) {
        self.change(|group, around| group.leave(self.id, around));
    }
}

impl Drop for MemoryMember {
    fn drop(&mut self) {
        self.change(|group, around| group.gone(self.id, around));
    }
}

impl Queue for Memory {
    fn capabilities(&self) -> &Capabilities {
        &brokers::MEMORY
    }

    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        events: Vec<Event>,
        within: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { self.append(topic, events, within).await.map(|_| ()) })
    }

    fn subscribe<'a>(
        &'a self,
        topic: &'a Topic,
        group: &'a Group,
    ) -> BoxFuture<'a, Result<Box<dyn Receiver>, Error>> {
        Box::pin(async move {
            let id = self.inner.lock().subscribe(topic, group)?;
            let (broker, topic, group) = (self.clone(), topic.clone(), group.clone());
            Ok(Box::new(MemoryReceiver { broker, topic, group, id }) as Box<dyn Receiver>)
        })
    }
}

struct MemoryReceiver {
    broker: Memory,
    topic: Topic,
    group: Group,
    id: u64,
}

impl Receiver for MemoryReceiver {
    fn receive(&self, credits: Credits) -> BoxFuture<'_, Result<Vec<Delivery>, Error>> {
        Box::pin(async move {
            let inner = &self.broker.inner;
            let look = |state: &mut State, now| {
                if state.closed {
                    return Look::Found(Err(Error::new(Asked::Read, &self.topic, Why::Closed)));
                }
                match state.hand_out(&self.topic, &self.group, self.id, credits, now) {
                    Err(error) => Look::Found(Err(error)),
                    Ok((out, until)) if out.is_empty() => Look::Wait { until },
                    Ok((out, _)) => Look::Found(Ok(out)),
                }
            };
            inner.until(look).await
        })
    }

    fn settle(&self, ticket: Ticket, how: Settlement) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let (inner, topic, group) = (&self.broker.inner, &self.topic, &self.group);
            let (now, wall) = (inner.clock.now(), inner.clock.wall());
            let settled = inner.lock().settle(topic, group, self.id, ticket, how, now, wall);
            inner.changed.notify_waiters();
            settled
        })
    }
}

impl Drop for MemoryReceiver {
    fn drop(&mut self) {
        self.broker.inner.lock().receiver_gone(&self.topic, &self.group, self.id);
        self.broker.inner.changed.notify_waiters();
    }
}

impl DeadLetters for Memory {
    fn set_aside<'a>(&'a self, letter: DeadLetter, _within: Duration) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            self.inner.lock().set_aside(letter);
            Ok(())
        })
    }

    fn list<'a>(&'a self, slot: &'a Slot, limit: u32) -> BoxFuture<'a, Result<Vec<DeadLetter>, Error>> {
        Box::pin(async move {
            let state = self.inner.lock();
            let kept = state.aside.get(slot).into_iter().flat_map(|kept| kept.values());
            Ok(kept.take(limit as usize).cloned().collect())
        })
    }

    fn parked<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Vec<Key>, Error>> {
        Box::pin(async move { Ok(self.inner.lock().parked(slot)) })
    }

    fn remove<'a>(&'a self, slot: &'a Slot, offset: u64) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let mut state = self.inner.lock();
            Ok(state.aside.get_mut(slot).is_some_and(|kept| kept.remove(&offset).is_some()))
        })
    }
}
