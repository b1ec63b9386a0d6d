//! How many calls may be under way at once, and how many may wait for a place.
//!
//! Why a place is handed on. When a call leaves while others wait, its place goes to the first of them and is
//! never free in between; a place that became free for whoever comes first would let newcomers overtake the
//! queue, and who waited longest would wait for ever.
//!
//! Who is shed first. Places go to the highest priority that waits, in the order in which its calls came. A call that
//! finds the queue full takes the place of the youngest one of the lowest priority below its own, and calls of low
//! priority may fill half of the queue at most, so that they do not have to be displaced one by one. A call of low
//! priority may therefore never get a place while others come; its wait has an end all the same, and says so.

use bowline_model::Priority;
use std::time::Duration;

/// How many calls may be under way at once, how many may wait, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkheadSettings {
    /// Calls under way at once; zero means one.
    pub concurrent: u32,
    /// Calls that may wait for a place; with zero a full bulkhead refuses at once.
    pub queue: u32,
    /// How long each may wait.
    pub wait: Duration,
}

impl BulkheadSettings {
    /// How much of the queue calls of `priority` may fill.
    #[must_use]
    pub const fn places(&self, priority: Priority) -> u32 {
        match priority {
            Priority::Low => self.queue.div_ceil(2),
            Priority::Normal | Priority::High => self.queue,
        }
    }
}

/// Who is inside and who waits: the bulkhead as a pure machine, which [`SharedBulkhead`] keeps in one word.
///
/// [`SharedBulkhead`]: crate::SharedBulkhead
///
/// ```
/// use bowline_policy::bulkhead::{Arrival, Bulkhead, BulkheadSettings};
/// use std::time::Duration;
///
/// let settings = BulkheadSettings { concurrent: 1, queue: 1, wait: Duration::from_millis(20) };
/// let mut bulkhead = Bulkhead::default();
/// assert_eq!(bulkhead.arrive(&settings), Arrival::Enters { running: 1 });
/// assert_eq!(bulkhead.arrive(&settings), Arrival::Waits { ahead: 0 });
/// assert_eq!(bulkhead.arrive(&settings), Arrival::Refused);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bulkhead {
    /// Calls under way.
    pub running: u32,
    /// Calls that wait for a place.
    pub waiting: u32,
}

/// What an arriving call meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A place.
    Enters {
        /// Calls under way, this one included.
        running: u32,
    },
    /// A place in the queue.
    Waits {
        /// Calls that wait before it.
        ahead: u32,
    },
    /// Neither.
    Refused,
}

/// What becomes of the place of a call that leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// It is free.
    Frees,
    /// It goes to the call that is next.
    HandsOn,
}

impl Bulkhead {
    /// A call arrives.
    #[inline]
    pub fn arrive(&mut self, settings: &BulkheadSettings) -> Arrival {
        if self.waiting == 0 && self.running < settings.concurrent.max(1) {
            self.running += 1;
            return Arrival::Enters { running: self.running };
        }
        if self.waiting < settings.queue {
            self.waiting += 1;
            return Arrival::Waits { ahead: self.waiting - 1 };
        }
        Arrival::Refused
    }

    /// Whether somebody who does not wait enters: a hedge, whose call is inside already.
    pub fn enter(&mut self, settings: &BulkheadSettings) -> bool {
        let enters = self.waiting == 0 && self.running < settings.concurrent.max(1);
        self.running += u32::from(enters);
        enters
    }

    /// A call that was under way leaves.
    #[inline]
    pub fn leave(&mut self) -> Departure {
        if 0 < self.waiting {
            self.waiting -= 1;
            return Departure::HandsOn;
        }
        self.running = self.running.saturating_sub(1);
        Departure::Frees
    }

    /// A call that waits goes away.
    #[inline]
    pub fn give_up(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings(concurrent: u32, queue: u32) -> BulkheadSettings {
        BulkheadSettings { concurrent, queue, wait: Duration::from_millis(20) }
    }

    #[test]
    fn a_place_goes_to_who_waits_before_it_is_free() {
        let settings = settings(1, 2);
        let mut bulkhead = Bulkhead::default();
        bulkhead.arrive(&settings);
        bulkhead.arrive(&settings);
        assert_eq!(bulkhead.leave(), Departure::HandsOn);
        assert_eq!(bulkhead, Bulkhead { running: 1, waiting: 0 });
        assert_eq!(bulkhead.leave(), Departure::Frees);
        assert_eq!(bulkhead, Bulkhead::default());
    }

    #[test]
    fn without_a_queue_a_full_bulkhead_refuses_at_once() {
        let settings = settings(1, 0);
        let mut bulkhead = Bulkhead::default();
        bulkhead.arrive(&settings);
        assert_eq!(bulkhead.arrive(&settings), Arrival::Refused);
    }

    proptest! {
        #[test]
        fn limits_hold_whatever_happens(
            concurrent in 1_u32..4,
            queue in 0_u32..4,
            events in prop::collection::vec(0_u8..3, 0..200),
        ) {
            let settings = settings(concurrent, queue);
            let mut bulkhead = Bulkhead::default();
            for event in events {
                match event {
                    0 => { bulkhead.arrive(&settings); }
                    1 if 0 < bulkhead.running => { bulkhead.leave(); }
                    2 => bulkhead.give_up(),
                    _ => (),
                }
                prop_assert!(bulkhead.running <= concurrent && bulkhead.waiting <= queue);
                let somebody_waits_for_a_free_place = 0 < bulkhead.waiting && bulkhead.running < concurrent;
                prop_assert!(!somebody_waits_for_a_free_place);
            }
        }
    }
}
