//! A breaker shared by all workers.

use crate::breaker::{Admission, Breaker, BreakerSettings, Lease, Moved, Quiet};
use crate::classify::Health;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, lock};
use bowline_model::decision::BreakerState;
use bowline_model::{Instant, Random};
use std::time::Duration;

/// A breaker shared by all workers: [`Breaker`] behind a lock.
///
/// Nearly always it is closed and nothing failed lately. Then a success can change nothing but a count, so
/// one word says "quiet", of which cycle, and how many successes came since the lock was last taken; a try
/// passes by reading it and a success counts by a compare-and-swap on it. The lock is taken for everything
/// else, and once for each bucket of the window. Whoever takes it clears the word first and moves its count
/// into the window, so nothing is counted twice, lost, or counted in a cycle it does not belong to.
#[derive(Debug)]
pub struct SharedBreaker {
    settings: BreakerSettings,
    /// From the top: one bit for "quiet", 31 for the cycle, 32 for the successes. Zero: take the lock.
    quiet: AtomicU64,
    /// Until when the word means anything: the end of the window's newest bucket.
    until: AtomicU64,
    /// Tries in the window without those in the word, to be told; no decision is made from it.
    calls: AtomicU32,
    breaker: Mutex<Breaker>,
}

const QUIET: u64 = 1 << 63;

impl SharedBreaker {
    /// A closed breaker that has seen nothing.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            quiet: AtomicU64::new(0),
            until: AtomicU64::new(0),
            calls: AtomicU32::new(0),
            breaker: Mutex::new(Breaker::new(settings)),
        }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &BreakerSettings {
        &self.settings
    }

    /// Whether a try that must end before `until` may go.
    #[inline]
    pub fn admit(&self, now: Instant, until: Instant, rng: &mut impl Random) -> (Admission, Option<Moved>) {
        match self.quiet_at(now) {
            Some(word) => {
                let calls = self.calls.load(Ordering::Relaxed).saturating_add(successes(word));
                let (lease, state) = (Lease::of(cycle(word)), BreakerState::Closed);
                (Admission::Passed { lease, state, failures: 0, calls }, None)
            }
            None => self.locked(|breaker| breaker.admit(now, until, rng)),
        }
    }

    /// Counts how a try ended that `took` this long.
    #[inline]
    pub fn settle(
        &self,
        now: Instant,
        lease: Lease,
        health: Health,
        took: Duration,
        rng: &mut impl Random,
    ) -> Option<Moved> {
        if self.count_quietly(now, lease, health, took) {
            return None;
        }
        self.locked(|breaker| breaker.settle(now, lease, health, took, rng))
    }

    /// The try said nothing: it was cancelled, ignored, never sent.
    #[inline]
    pub fn give_back(&self, lease: Lease) {
        // Only a probe holds a place; everything else would lock for nothing.
        if lease.is_probe() {
            self.locked(|breaker| breaker.give_back(lease));
        }
    }

    /// The state at `now`, as the next try would meet it.
    #[must_use]
    pub fn state(&self, now: Instant) -> BreakerState {
        self.locked(|breaker| breaker.state(now))
    }

    /// Failures and tries in the window at `now`.
    #[must_use]
    pub fn counts(&self, now: Instant) -> (u32, u32) {
        self.locked(|breaker| breaker.counts(now))
    }

    /// Probes whose lease has not ended at `now`.
    #[must_use]
    pub fn probes_out(&self, now: Instant) -> u32 {
        self.locked(|breaker| breaker.probes_out(now))
    }

    #[inline]
    fn quiet_at(&self, now: Instant) -> Option<u64> {
        let word = self.quiet.load(Ordering::Acquire);
        (word & QUIET != 0 && now.as_nanos() < self.until.load(Ordering::Relaxed)).then_some(word)
    }

    /// Counts a success in the word, if that is all there is to do.
    #[inline]
    fn count_quietly(&self, now: Instant, lease: Lease, health: Health, took: Duration) -> bool {
        if health != Health::Good || self.settings.slow.is_some_and(|slow| slow.over <= took) {
            return false;
        }
        while let Some(word) = self.quiet_at(now) {
            if lease != Lease::of(cycle(word)) {
                return false;
            }
            let counted =
                self.quiet.compare_exchange_weak(word, word + 1, Ordering::AcqRel, Ordering::Relaxed);
            if counted.is_ok() {
                return true;
            }
        }
        false
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = lock(&self.breaker);
        // From here to the end everybody else meets zero and waits for the lock.
        let word = self.quiet.swap(0, Ordering::AcqRel);
        breaker.count_good(successes(word));
        let result = act(&mut breaker);
        if let Some(Quiet { cycle, calls, until }) = breaker.quiet() {
            self.calls.store(calls, Ordering::Relaxed);
            self.until.store(until.as_nanos(), Ordering::Relaxed);
            self.quiet.store(QUIET | (u64::from(cycle) << 32), Ordering::Release);
        }
        result
    }
}

#[inline]
const fn successes(word: u64) -> u32 {
    word as u32
}

#[inline]
const fn cycle(word: u64) -> u32 {
    (word >> 32) as u32 & Lease::CYCLE_MAX
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::ratio::Ratio;
    use bowline_model::SplitMix64;
    use proptest::prelude::*;

    const SETTINGS: BreakerSettings = BreakerSettings {
        window: Duration::from_secs(1),
        min_calls: 5,
        failure_ratio: Some(Ratio::percent(40)),
        slow: Some(crate::breaker::Slow { over: Duration::from_millis(50), ratio: Ratio::percent(60) }),
        consecutive: Some(3),
        open: Duration::from_millis(300),
        open_max: Duration::from_secs(1),
        growth: 2,
        jitter: Ratio::percent(25),
        probes: 2,
        probe_lease: Duration::from_millis(400),
        ramp: Duration::from_millis(200),
    };

    fn any_health() -> impl Strategy<Value = Health> {
        prop_oneof![6 => Just(Health::Good), 2 => Just(Health::Bad), 1 => Just(Health::Neutral)]
    }

    proptest! {
        /// Quiet or not, it says what the plain machine says.
        #[test]
        fn the_shared_breaker_is_the_plain_one(
            seed in any::<u64>(),
            events in prop::collection::vec((0_u64..80, any_health(), 0_u64..60, 0_usize..3), 1..300),
        ) {
            let shared = SharedBreaker::new(SETTINGS);
            let mut plain = Breaker::new(SETTINGS);
            let (mut left, mut right) = (SplitMix64::new(seed), SplitMix64::new(seed));
            let (mut now, mut leases) = (Instant::from_millis(1), Vec::new());
            for (pause, health, took, keep) in events {
                now += Duration::from_millis(pause);
                let one = shared.admit(now, Instant::FAR, &mut left);
                prop_assert_eq!(one, plain.admit(now, Instant::FAR, &mut right));
                if let Admission::Passed { lease, .. } = one.0 {
                    leases.push(lease);
                }
                while keep < leases.len() {
                    let (lease, took) = (leases.remove(0), Duration::from_millis(took));
                    let one = shared.settle(now, lease, health, took, &mut left);
                    prop_assert_eq!(one, plain.settle(now, lease, health, took, &mut right));
                }
                prop_assert_eq!(shared.state(now), plain.state(now));
            }
        }
    }
}
