//! What is to happen, in order of time.
//!
//! An event is thirty-two bytes and owns nothing. Nothing is ever taken out of the middle: a timer that is no
//! longer wanted finds, when its time comes, that the stamp it carries is not its call's any more. Events of
//! one moment happen in the order in which they were planned.

use super::slab::Handle;
use std::collections::VecDeque;

/// One event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) at: u64,
    order: u64,
    pub(super) what: What,
}

// Two to a cache line.
const _: () = assert!(size_of::<Event>() == 32);

/// What happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// The next request comes in.
    Arrives { entry: u32 },
    /// A try reaches the callee.
    Reaches { job: Handle },
    /// A job has its turn, or goes on after its branches.
    Goes { job: Handle },
    /// A stretch of work is over.
    Worked { job: Handle },
    /// The work that a machine will have done first is done.
    Shared { machine: u32, stamp: u32 },
    /// An answer reaches the caller.
    Answers { job: Handle },
    /// A try ends without having reached anybody.
    Fails { call: Handle, stamp: u32 },
    /// A try's time is over.
    TryOver { call: Handle, stamp: u32 },
    /// The last try of a call is late.
    Late { call: Handle, stamp: u32 },
    /// A call's pause, or its wait for a place, is over.
    Wakes { call: Handle, stamp: u32 },
    /// A call may have got its place.
    Granted { call: Handle },
    /// The broker confirms what a job has published.
    Confirms { job: Handle },
    /// The broker confirms what an intake has published.
    Stores { request: Handle },
    /// The asker of an intake is not kept any longer.
    Patience { request: Handle },
    /// A record reaches its consumer.
    Delivers { delivery: Handle },
    /// A record's pause is over.
    Redelivers { delivery: Handle },
    /// A fault begins.
    Breaks { fault: u32 },
    /// A fault is over.
    Heals { fault: u32 },
    /// A second is over.
    Tick,
}

/// All events to come: a heap with four children a node, and a queue of what happens at this very moment.
///
/// Four children, because a node's children share two cache lines and the tree is half as deep. The queue,
/// because a wire that takes no time is common and needs no heap.
#[derive(Debug, Default)]
pub(super) struct Future {
    heap: Vec<Event>,
    soon: VecDeque<Event>,
    now: u64,
    planned: u64,
}

const CHILDREN: usize = 4;

impl Future {
    /// Plans `what` for so many nanoseconds from now.
    #[inline]
    pub(super) fn after(&mut self, span: u64, what: What) {
        self.plan(self.now.saturating_add(span), what);
    }

    /// Plans `what` for the moment `at`; what is past happens now, and what is at the end of time never: it
    /// would lie here for ever.
    #[inline]
    pub(super) fn plan(&mut self, at: u64, what: What) {
        if at == u64::MAX {
            return;
        }
        let order = self.planned;
        self.planned += 1;
        if at <= self.now {
            self.soon.push_back(Event { at: self.now, order, what });
        } else {
            self.push(Event { at, order, what });
        }
    }

    /// The next event.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Event> {
        let event = match (self.soon.front(), self.heap.first()) {
            (Some(soon), Some(first)) if first.key() < soon.key() => self.pop(),
            (Some(_), _) => self.soon.pop_front(),
            (None, _) => self.pop(),
        }?;
        self.now = event.at;
        Some(event)
    }

    fn push(&mut self, event: Event) {
        let mut at = self.heap.len();
        self.heap.push(event);
        while 0 < at {
            let parent = (at - 1) / CHILDREN;
            if self.heap[parent].key() <= event.key() {
                break;
            }
            self.heap[at] = self.heap[parent];
            at = parent;
        }
        self.heap[at] = event;
    }

    fn pop(&mut self) -> Option<Event> {
        let last = self.heap.pop()?;
        let Some(first) = self.heap.first().copied() else { return Some(last) };
        let mut at = 0;
        loop {
            let children = at * CHILDREN + 1;
            let end = (children + CHILDREN).min(self.heap.len());
            let Some(family) = self.heap.get(children..end).filter(|family| !family.is_empty()) else {
                break;
            };
            let (mut least, mut key) = (children, family[0].key());
            for (index, child) in family.iter().enumerate().skip(1) {
                if child.key() < key {
                    (least, key) = (children + index, child.key());
                }
            }
            if last.key() <= key {
                break;
            }
            self.heap[at] = self.heap[least];
            at = least;
        }
        self.heap[at] = last;
        Some(first)
    }
}

impl Event {
    /// One comparison instead of two.
    #[inline]
    const fn key(&self) -> u128 {
        ((self.at as u128) << 64) | self.order as u128
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn events_come_in_order_of_time_and_then_of_planning(plans in prop::collection::vec((0..50_u64, 0..3_u8), 1..300)) {
            let mut future = Future::default();
            let mut expected: Vec<(u64, u32)> = Vec::new();
            let mut got = Vec::new();
            let mut now = 0;
            let mut take = |future: &mut Future, expected: &mut Vec<(u64, u32)>, now: &mut u64| {
                if let Some(event) = future.next() {
                    let What::Arrives { entry } = event.what else { unreachable!() };
                    got.push((event.at, entry));
                    *now = event.at;
                    let first = expected.iter().copied().min().unwrap();
                    expected.retain(|each| *each != first);
                    assert_eq!(first, (event.at, entry));
                }
            };
            for (number, (at, takes)) in plans.iter().enumerate() {
                future.plan(*at, What::Arrives { entry: number as u32 });
                expected.push(((*at).max(now), number as u32));
                (0..*takes).for_each(|_| take(&mut future, &mut expected, &mut now));
            }
            while !expected.is_empty() {
                take(&mut future, &mut expected, &mut now);
            }
            assert_eq!(got.len(), plans.len());
        }
    }
}
