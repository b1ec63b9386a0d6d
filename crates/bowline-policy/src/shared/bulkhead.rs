//! A bulkhead shared by all workers.

use crate::bulkhead::{Arrival, Bulkhead, BulkheadSettings, Departure};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, lock};
use std::collections::VecDeque;
use std::task::Waker;

/// A bulkhead shared by all workers.
///
/// Who is inside and who waits stands in one word, so entering and leaving an uncrowded bulkhead is one
/// compare-and-swap each. The lock is for those who wait. The word's count of the waiting changes only under
/// the lock, so it always is the length of the queue behind it.
#[derive(Debug)]
pub struct SharedBulkhead {
    settings: BulkheadSettings,
    /// Upper half: waiting. Lower half: running.
    word: AtomicU64,
    queue: Mutex<Queue>,
}

/// What an arriving call meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// A place, to be given back with [`SharedBulkhead::leave`].
    Enters {
        /// Calls under way, this one included.
        running: u32,
    },
    /// A place in the queue: [`SharedBulkhead::poll`] it, or [`SharedBulkhead::give_up`].
    Waits {
        /// Calls that wait before it.
        ahead: u32,
        /// What it is called by.
        ticket: u64,
    },
    /// Neither.
    Refused,
}

#[derive(Debug, Default)]
struct Queue {
    /// Of the next that comes. Never used twice.
    next: u64,
    /// In the order they came, so by rising ticket.
    waiting: VecDeque<Waiter>,
    /// Those that have a place and do not know yet.
    granted: Vec<u64>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    waker: Option<Waker>,
}

impl SharedBulkhead {
    /// An empty bulkhead.
    #[must_use]
    pub fn new(settings: BulkheadSettings) -> Self {
        Self { settings, word: AtomicU64::new(0), queue: Mutex::new(Queue::default()) }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &BulkheadSettings {
        &self.settings
    }

    /// A call arrives.
    #[inline]
    pub fn arrive(&self) -> Arrived {
        let arrival = |bulkhead: &mut Bulkhead| match bulkhead.arrive(&self.settings) {
            // The queue is joined under the lock.
            Arrival::Waits { .. } => None,
            enters_or_not => Some(enters_or_not),
        };
        match self.change(arrival) {
            Some(Arrival::Enters { running }) => Arrived::Enters { running },
            Some(_) => Arrived::Refused,
            None => self.join(),
        }
    }

    /// Whether the call with this ticket has got its place; if not, `waker` is woken when it does.
    /// Once it has, its ticket is used up.
    pub fn poll(&self, ticket: u64, waker: &Waker) -> bool {
        let mut queue = lock(&self.queue);
        if queue.take_grant(ticket) {
            return true;
        }
        let replaced = match queue.waiter(ticket).map(|waiter| &mut waiter.waker) {
            Some(Some(known)) if known.will_wake(waker) => None,
            Some(known) => known.replace(waker.clone()),
            None => None,
        };
        drop(queue);
        // A waker may be the last that holds its task, and the task may hold a call of this bulkhead:
        // dropping it under the lock could ask for the lock again.
        drop(replaced);
        false
    }

    /// Whether the call with this ticket has got its place. Once it has, its ticket is used up.
    pub fn is_granted(&self, ticket: u64) -> bool {
        lock(&self.queue).take_grant(ticket)
    }

    /// The call with this ticket goes away. If it had a place without knowing, the place goes on.
    pub fn give_up(&self, ticket: u64) {
        let mut queue = lock(&self.queue);
        if queue.take_grant(ticket) {
            drop(queue);
            self.leave();
            return;
        }
        let gone = queue.remove(ticket);
        if gone.is_some() {
            self.change(|bulkhead| {
                bulkhead.give_up();
                Some(())
            });
        }
        // As in `poll`: not under the lock.
        drop(queue);
        drop(gone);
    }

    /// A call that was under way leaves.
    #[inline]
    pub fn leave(&self) {
        let departure = |bulkhead: &mut Bulkhead| match bulkhead.leave() {
            // Who is next is known under the lock.
            Departure::HandsOn => None,
            Departure::Frees => Some(()),
        };
        if self.change(departure).is_none() {
            self.hand_on(lock(&self.queue));
        }
    }

    /// Calls under way.
    #[must_use]
    pub fn running(&self) -> u32 {
        unpack(self.word.load(Ordering::Acquire)).running
    }

    /// Calls that wait for a place.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        unpack(self.word.load(Ordering::Acquire)).waiting
    }

    #[cold]
    fn join(&self) -> Arrived {
        let mut queue = lock(&self.queue);
        match self.change(|bulkhead| Some(bulkhead.arrive(&self.settings))) {
            // A place became free between the first look and the lock.
            Some(Arrival::Enters { running }) => Arrived::Enters { running },
            Some(Arrival::Waits { ahead }) => Arrived::Waits { ahead, ticket: queue.join() },
            Some(Arrival::Refused) | None => Arrived::Refused,
        }
    }

    #[cold]
    fn hand_on(&self, mut queue: MutexGuard<'_, Queue>) {
        let handed = self.change(|bulkhead| Some(bulkhead.leave())) == Some(Departure::HandsOn);
        let waker = handed.then(|| queue.grant()).flatten();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Changes the word as `change` says, or leaves it alone where that says `None`.
    #[inline]
    fn change<T>(&self, change: impl Fn(&mut Bulkhead) -> Option<T>) -> Option<T> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let mut bulkhead = unpack(word);
            let result = change(&mut bulkhead)?;
            match self.word.compare_exchange_weak(word, pack(bulkhead), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(result),
                Err(newer) => word = newer,
            }
        }
    }
}

impl Queue {
    fn join(&mut self) -> u64 {
        let ticket = self.next;
        self.next += 1;
        self.waiting.push_back(Waiter { ticket, waker: None });
        ticket
    }

    /// Gives the place to who waited longest, and returns whom to wake.
    fn grant(&mut self) -> Option<Waker> {
        let first = self.waiting.pop_front()?;
        self.granted.push(first.ticket);
        first.waker
    }

    fn take_grant(&mut self, ticket: u64) -> bool {
        let place = self.granted.iter().position(|granted| *granted == ticket);
        place.map(|place| self.granted.swap_remove(place)).is_some()
    }

    fn waiter(&mut self, ticket: u64) -> Option<&mut Waiter> {
        let place = self.waiting.binary_search_by_key(&ticket, |waiter| waiter.ticket).ok()?;
        self.waiting.get_mut(place)
    }

    fn remove(&mut self, ticket: u64) -> Option<Waiter> {
        let place = self.waiting.binary_search_by_key(&ticket, |waiter| waiter.ticket);
        self.waiting.remove(place.ok()?)
    }
}

#[inline]
const fn unpack(word: u64) -> Bulkhead {
    Bulkhead { running: word as u32, waiting: (word >> 32) as u32 }
}

#[inline]
const fn pack(bulkhead: Bulkhead) -> u64 {
    ((bulkhead.waiting as u64) << 32) | bulkhead.running as u64
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use std::time::Duration;

    fn bulkhead(concurrent: u32, queue: u32) -> SharedBulkhead {
        SharedBulkhead::new(BulkheadSettings { concurrent, queue, wait: Duration::from_millis(20) })
    }

    fn waits(bulkhead: &SharedBulkhead) -> u64 {
        match bulkhead.arrive() {
            Arrived::Waits { ticket, .. } => ticket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_waits_longest_is_first() {
        let bulkhead = bulkhead(1, 2);
        assert_eq!(bulkhead.arrive(), Arrived::Enters { running: 1 });
        let (first, second) = (waits(&bulkhead), waits(&bulkhead));
        assert_eq!(bulkhead.arrive(), Arrived::Refused);
        bulkhead.leave();
        assert!(!bulkhead.poll(second, Waker::noop()));
        assert!(bulkhead.poll(first, Waker::noop()));
    }

    #[test]
    fn a_newcomer_does_not_overtake_the_queue() {
        let bulkhead = bulkhead(1, 2);
        bulkhead.arrive();
        let first = waits(&bulkhead);
        bulkhead.leave();
        waits(&bulkhead);
        assert!(bulkhead.is_granted(first));
    }

    #[test]
    fn a_place_granted_to_who_went_away_goes_on() {
        let bulkhead = bulkhead(1, 2);
        bulkhead.arrive();
        let (first, second) = (waits(&bulkhead), waits(&bulkhead));
        bulkhead.leave();
        bulkhead.give_up(first);
        assert!(bulkhead.is_granted(second));
        bulkhead.leave();
        assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0));
    }

    #[test]
    fn a_waker_that_holds_a_call_may_be_dropped_at_any_time() {
        /// Gives its ticket up when nobody holds it any more, as a task that holds a call does.
        struct Task(std::sync::Arc<SharedBulkhead>, u64);
        impl std::task::Wake for Task {
            fn wake(self: std::sync::Arc<Self>) {}
        }
        impl Drop for Task {
            fn drop(&mut self) {
                self.0.give_up(self.1);
            }
        }
        let bulkhead = std::sync::Arc::new(bulkhead(1, 3));
        bulkhead.arrive();
        let (first, second) = (waits(&bulkhead), waits(&bulkhead));
        let task = |ticket| Waker::from(std::sync::Arc::new(Task(std::sync::Arc::clone(&bulkhead), ticket)));
        bulkhead.poll(first, &task(second));
        bulkhead.poll(first, &task(u64::MAX));
        assert_eq!(bulkhead.waiting(), 1, "replacing the first waker dropped the task of the second");
        bulkhead.give_up(first);
        assert_eq!(bulkhead.waiting(), 0);
    }

    #[test]
    fn who_goes_away_leaves_the_queue() {
        let bulkhead = bulkhead(1, 1);
        bulkhead.arrive();
        let ticket = waits(&bulkhead);
        bulkhead.give_up(ticket);
        assert_eq!(bulkhead.waiting(), 0);
        waits(&bulkhead);
    }
}
