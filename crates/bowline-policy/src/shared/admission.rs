//! An admission throttle shared by all workers.

use crate::admission::{Admission, AdmissionSettings, Rejected};
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, lock};
use bowline_model::{Instant, Random};

/// An admission throttle shared by all workers.
///
/// While the callee accepts what it is asked, asking costs a load and an end one atomic addition; the lock is for
/// tries that were not accepted, for calls while some are rejected, and once for each bucket of the window.
#[derive(Debug)]
pub struct SharedAdmission {
    settings: AdmissionSettings,
    /// Tries accepted since the window was last touched.
    accepted: AtomicU32,
    /// Until when an acceptance need not touch the window.
    until: AtomicU64,
    /// Whether anything could be rejected, as of the last time that the window was touched. Without a try that
    /// is not accepted it cannot become true.
    may_reject: AtomicBool,
    window: Mutex<Admission>,
}

impl SharedAdmission {
    /// A throttle that has seen nothing.
    #[must_use]
    pub fn new(settings: AdmissionSettings) -> Self {
        Self {
            settings,
            accepted: AtomicU32::new(0),
            until: AtomicU64::new(0),
            may_reject: AtomicBool::new(false),
            window: Mutex::new(Admission::new(settings)),
        }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &AdmissionSettings {
        &self.settings
    }

    /// Whether a try may be made.
    ///
    /// # Errors
    /// The counts that decided it.
    #[inline]
    pub fn admit(&self, now: Instant, rng: &mut impl Random) -> Result<(), Rejected> {
        if !self.may_reject.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut window = self.fold(now);
        let admitted = window.admit(now, rng);
        self.may_reject.store(window.may_reject(), Ordering::Relaxed);
        admitted
    }

    /// Whether any share of calls is rejected at `now`. Nothing is drawn or counted.
    #[must_use]
    pub fn is_rejecting(&self, now: Instant) -> bool {
        self.may_reject.load(Ordering::Relaxed) && {
            let window = self.fold(now);
            self.may_reject.store(window.may_reject(), Ordering::Relaxed);
            window.may_reject()
        }
    }

    /// A try ended, and the callee accepted it or not.
    #[inline]
    pub fn decided(&self, now: Instant, accepted: bool) {
        if !accepted {
            let mut window = self.fold(now);
            window.decided(now, false);
            self.may_reject.store(window.may_reject(), Ordering::Relaxed);
            return;
        }
        if self.until.load(Ordering::Relaxed) <= now.as_nanos() {
            drop(self.fold(now));
        }
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests and accepts in the window at `now`.
    #[must_use]
    pub fn counts(&self, now: Instant) -> (u32, u32) {
        self.fold(now).counts(now)
    }

    /// Moves what was accepted since the last time into the window.
    #[cold]
    fn fold(&self, now: Instant) -> MutexGuard<'_, Admission> {
        let mut window = lock(&self.window);
        // What was accepted before `until` was accepted in the newest bucket, which may be about to end.
        window.accepted(self.accepted.swap(0, Ordering::Relaxed));
        window.roll(now);
        self.until.store(window.bucket_ends().as_nanos(), Ordering::Relaxed);
        window
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use bowline_model::SplitMix64;
    use std::time::Duration;

    #[test]
    fn it_decides_as_the_machine_behind_it() {
        let settings = AdmissionSettings { window: Duration::from_secs(1), ..AdmissionSettings::default() };
        let (shared, mut alone) = (SharedAdmission::new(settings), Admission::new(settings));
        let mut events = SplitMix64::new(3);
        let (mut one, mut other) = (SplitMix64::new(5), SplitMix64::new(5));
        let (mut now, mut rejected) = (Instant::from_millis(1), 0);
        for _ in 0..20_000 {
            now += Duration::from_micros(events.below(2_000));
            let admitted = shared.admit(now, &mut one);
            // The machine draws only where the shared one has a reason to.
            let expected = if shared.may_reject.load(Ordering::Relaxed) || admitted.is_err() {
                alone.admit(now, &mut other)
            } else {
                Ok(())
            };
            assert_eq!(admitted, expected);
            rejected += u32::from(admitted.is_err());
            if admitted.is_ok() {
                let accepted = events.below(10) < 3;
                shared.decided(now, accepted);
                alone.decided(now, accepted);
            }
            assert_eq!(shared.counts(now), alone.counts(now));
        }
        assert!(rejected > 1_000, "{rejected}");
    }
}
