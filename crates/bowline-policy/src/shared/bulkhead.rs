//! A bulkhead shared by all workers.

use crate::bulkhead::{Arrival, Bulkhead, BulkheadSettings, Departure};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, lock};
use bowline_model::Priority;
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
    /// By priority; each in the order they came, so by rising ticket.
    waiting: [VecDeque<Waiter>; Priority::ALL.len()],
    /// Those that have a place and do not know yet.
    granted: Vec<u64>,
    /// Those whose place in the queue went to somebody else, and who do not know yet.
    displaced: Vec<u64>,
}

/// How it stands with a call that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It waits.
    Waits,
    /// It has a place; its ticket is used up.
    Granted,
    /// A call of higher priority has its place in the queue; its ticket is used up.
    Displaced,
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
    pub fn arrive(&self, priority: Priority) -> Arrived {
        let arrival = |bulkhead: &mut Bulkhead| match bulkhead.arrive(&self.settings) {
            // The queue is joined under the lock, and so is found out whose place in it may be taken.
            Arrival::Waits { .. } => None,
            Arrival::Refused if self.settings.queue > 0 && Priority::Low < priority => None,
            enters_or_not => Some(enters_or_not),
        };
        match self.change(arrival) {
            Some(Arrival::Enters { running }) => Arrived::Enters { running },
            Some(_) => Arrived::Refused,
            None => self.join(priority),
        }
    }

    /// Whether somebody who does not wait enters: a hedge, whose call is inside already. It leaves as a call does.
    pub fn enter(&self) -> bool {
        self.change(|bulkhead| bulkhead.enter(&self.settings).then_some(())).is_some()
    }

    /// How it stands with the call of this ticket; while it waits, `waker` is woken when that changes.
    pub fn poll(&self, ticket: u64, waker: &Waker) -> Turn {
        let mut queue = lock(&self.queue);
        let turn = queue.turn(ticket);
        if turn != Turn::Waits {
            return turn;
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
        Turn::Waits
    }

    /// How it stands with the call of this ticket.
    pub fn turn(&self, ticket: u64) -> Turn {
        lock(&self.queue).turn(ticket)
    }

    /// The call with this ticket goes away. If it had a place without knowing, the place goes on.
    pub fn give_up(&self, ticket: u64) {
        let mut queue = lock(&self.queue);
        match queue.turn(ticket) {
            Turn::Granted => {
                drop(queue);
                return self.leave();
            }
            Turn::Displaced => return,
            Turn::Waits => (),
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
    fn join(&self, priority: Priority) -> Arrived {
        let mut queue = lock(&self.queue);
        let may_wait = queue.count(priority) < self.settings.places(priority);
        let arrival = |bulkhead: &mut Bulkhead| match bulkhead.arrive(&self.settings) {
            // The queue has room, and none of it for this priority.
            Arrival::Waits { .. } if !may_wait => None,
            arrival => Some(arrival),
        };
        match self.change(arrival) {
            // A place became free between the first look and the lock.
            Some(Arrival::Enters { running }) => Arrived::Enters { running },
            Some(Arrival::Waits { .. }) => queue.join(priority),
            Some(Arrival::Refused) => {
                let Some(displaced) = queue.displace(priority) else { return Arrived::Refused };
                // One left the queue and one joined it: the word's count of the waiting stays right.
                let arrived = queue.join(priority);
                drop(queue);
                if let Some(waker) = displaced.waker {
                    waker.wake();
                }
                arrived
            }
            None => Arrived::Refused,
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
    fn join(&mut self, priority: Priority) -> Arrived {
        let ticket = self.next;
        self.next += 1;
        let before = &self.waiting[priority as usize..];
        let ahead = before.iter().map(VecDeque::len).sum::<usize>() as u32;
        self.waiting[priority as usize].push_back(Waiter { ticket, waker: None });
        Arrived::Waits { ahead, ticket }
    }

    /// How many calls of `priority` wait.
    fn count(&self, priority: Priority) -> u32 {
        self.waiting[priority as usize].len() as u32
    }

    /// Takes the place of the youngest of the lowest priority below `priority`.
    fn displace(&mut self, priority: Priority) -> Option<Waiter> {
        let displaced = self.waiting[..priority as usize].iter_mut().find_map(VecDeque::pop_back)?;
        self.displaced.push(displaced.ticket);
        Some(displaced)
    }

    /// Gives the place to who waited longest of the highest priority, and returns whom to wake.
    fn grant(&mut self) -> Option<Waker> {
        let first = self.waiting.iter_mut().rev().find_map(VecDeque::pop_front)?;
        self.granted.push(first.ticket);
        first.waker
    }

    /// How it stands with a ticket, which is used up if it no longer waits.
    fn turn(&mut self, ticket: u64) -> Turn {
        let took = |tickets: &mut Vec<u64>| {
            let place = tickets.iter().position(|known| *known == ticket);
            place.map(|place| tickets.swap_remove(place)).is_some()
        };
        if took(&mut self.granted) {
            Turn::Granted
        } else if took(&mut self.displaced) {
            Turn::Displaced
        } else {
            Turn::Waits
        }
    }

    fn waiter(&mut self, ticket: u64) -> Option<&mut Waiter> {
        self.waiting.iter_mut().find_map(|waiting| {
            let place = waiting.binary_search_by_key(&ticket, |waiter| waiter.ticket).ok()?;
            waiting.get_mut(place)
        })
    }

    fn remove(&mut self, ticket: u64) -> Option<Waiter> {
        self.waiting.iter_mut().find_map(|waiting| {
            let place = waiting.binary_search_by_key(&ticket, |waiter| waiter.ticket).ok()?;
            waiting.remove(place)
        })
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
        match bulkhead.arrive(Priority::Normal) {
            Arrived::Waits { ticket, .. } => ticket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_waits_longest_is_first() {
        let bulkhead = bulkhead(1, 2);
        assert_eq!(bulkhead.arrive(Priority::Normal), Arrived::Enters { running: 1 });
        let (first, second) = (waits(&bulkhead), waits(&bulkhead));
        assert_eq!(bulkhead.arrive(Priority::Normal), Arrived::Refused);
        bulkhead.leave();
        assert_eq!(bulkhead.poll(second, Waker::noop()), Turn::Waits);
        assert_eq!(bulkhead.poll(first, Waker::noop()), Turn::Granted);
    }

    #[test]
    fn a_newcomer_does_not_overtake_the_queue() {
        let bulkhead = bulkhead(1, 2);
        bulkhead.arrive(Priority::Normal);
        let first = waits(&bulkhead);
        bulkhead.leave();
        waits(&bulkhead);
        assert_eq!(bulkhead.turn(first), Turn::Granted);
    }

    #[test]
    fn a_place_granted_to_who_went_away_goes_on() {
        let bulkhead = bulkhead(1, 2);
        bulkhead.arrive(Priority::Normal);
        let (first, second) = (waits(&bulkhead), waits(&bulkhead));
        bulkhead.leave();
        bulkhead.give_up(first);
        assert_eq!(bulkhead.turn(second), Turn::Granted);
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
        bulkhead.arrive(Priority::Normal);
        let (first, second) = (waits(&bulkhead), waits(&bulkhead));
        let task = |ticket| Waker::from(std::sync::Arc::new(Task(std::sync::Arc::clone(&bulkhead), ticket)));
        bulkhead.poll(first, &task(second));
        bulkhead.poll(first, &task(u64::MAX));
        assert_eq!(bulkhead.waiting(), 1, "replacing the first waker dropped the task of the second");
        bulkhead.give_up(first);
        assert_eq!(bulkhead.waiting(), 0);
    }

    fn comes(bulkhead: &SharedBulkhead, priority: Priority) -> u64 {
        match bulkhead.arrive(priority) {
            Arrived::Waits { ticket, .. } => ticket,
            other => panic!("{priority} {other:?}"),
        }
    }

    #[test]
    fn the_highest_priority_is_first_and_each_keeps_its_order() {
        let bulkhead = bulkhead(1, 8);
        bulkhead.arrive(Priority::Low);
        let order = [Priority::Low, Priority::Normal, Priority::High, Priority::Normal, Priority::High];
        let tickets = order.map(|priority| comes(&bulkhead, priority));
        let granted: Vec<usize> = (0..5)
            .map(|_| {
                bulkhead.leave();
                tickets.iter().position(|ticket| bulkhead.turn(*ticket) == Turn::Granted).unwrap()
            })
            .collect();
        assert_eq!(granted, [2, 4, 1, 3, 0]);
    }

    #[test]
    fn who_finds_the_queue_full_takes_the_place_of_the_youngest_of_the_lowest_priority() {
        let bulkhead = bulkhead(1, 3);
        bulkhead.arrive(Priority::Normal);
        let low = [comes(&bulkhead, Priority::Low), comes(&bulkhead, Priority::Low)];
        let normal = comes(&bulkhead, Priority::Normal);
        let high = comes(&bulkhead, Priority::High);
        let turns = |tickets: &[u64]| tickets.iter().map(|ticket| bulkhead.turn(*ticket)).collect::<Vec<_>>();
        assert_eq!(
            turns(&[low[0], low[1], normal, high]),
            [Turn::Waits, Turn::Displaced, Turn::Waits, Turn::Waits]
        );
        comes(&bulkhead, Priority::Normal);
        assert_eq!(bulkhead.turn(low[0]), Turn::Displaced);
        assert_eq!(
            bulkhead.arrive(Priority::Normal),
            Arrived::Refused,
            "of its own kind it displaces nobody"
        );
        comes(&bulkhead, Priority::High);
        assert_eq!((bulkhead.waiting(), bulkhead.running()), (3, 1));
    }

    #[test]
    fn low_priority_fills_half_of_the_queue_at_most() {
        let bulkhead = bulkhead(1, 5);
        bulkhead.arrive(Priority::Low);
        for _ in 0..3 {
            comes(&bulkhead, Priority::Low);
        }
        assert_eq!(bulkhead.arrive(Priority::Low), Arrived::Refused);
        for _ in 0..2 {
            comes(&bulkhead, Priority::Normal);
        }
        assert_eq!(bulkhead.waiting(), 5);
    }

    #[test]
    fn who_was_displaced_and_goes_away_takes_nothing_along() {
        let bulkhead = bulkhead(1, 1);
        bulkhead.arrive(Priority::Low);
        let low = comes(&bulkhead, Priority::Low);
        let high = comes(&bulkhead, Priority::High);
        bulkhead.give_up(low);
        assert_eq!((bulkhead.waiting(), bulkhead.turn(high)), (1, Turn::Waits));
        bulkhead.leave();
        assert_eq!(bulkhead.turn(high), Turn::Granted);
        bulkhead.leave();
        assert_eq!((bulkhead.waiting(), bulkhead.running()), (0, 0));
    }

    #[test]
    fn who_goes_away_leaves_the_queue() {
        let bulkhead = bulkhead(1, 1);
        bulkhead.arrive(Priority::Normal);
        let ticket = waits(&bulkhead);
        bulkhead.give_up(ticket);
        assert_eq!(bulkhead.waiting(), 0);
        waits(&bulkhead);
    }
}
