//! Rejecting at the caller what the callee would refuse anyway.
//!
//! A callee under overload spends its time on saying no, or on work that nobody waits for any more. Its callers
//! know: they see how much of what they ask it still accepts. Each rejects of its own calls as many as keep what
//! it asks below a multiple of what is accepted, by chance, with the probability
//! `max(0, (requests - K * accepts) / (requests + 1))` (Google's SRE book, "Handling Overload": K = 2, over two
//! minutes). Callee and caller need not agree on anything, and the callee gets K times what it can do at most.
//!
//! Why a try counts when its end is known. Counted when it begins, a burst after a silence would be rejected
//! for not having been accepted *yet*: of two calls at once the second with one half. Counted when it ends, a
//! callee that hangs is noticed one deadline later, which against a window of minutes is nothing; and since
//! request and acceptance are counted together, a window shorter than the callee's answers is no mistake.
//! What is rejected here counts as a request at once, as in the source.

use crate::ratio::Ratio;
use crate::window::{Count, Window};
use bowline_model::{Instant, Random};
use std::time::Duration;

/// When a caller rejects calls itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionSettings {
    /// K, in thousandths: how many requests there may be for each that is accepted. Less than one thousand
    /// would reject calls to a callee that accepts them all.
    pub multiplier: u32,
    /// How far back is counted.
    pub window: Duration,
    /// Fewer requests than this in the window prove nothing.
    pub min_calls: u32,
    /// The largest share that is rejected, however little is accepted.
    pub reject_max: Ratio,
}

impl Default for AdmissionSettings {
    /// K and window are the source's. Twenty calls are what the breaker asks for, too. One call in twenty always
    /// passes, as in Envoy one in five does (`max_rejection_probability`): somebody has to find out that things
    /// got better.
    fn default() -> Self {
        Self {
            multiplier: 2_000,
            window: Duration::from_secs(120),
            min_calls: 20,
            reject_max: Ratio::percent(95),
        }
    }
}

/// The throttle as a pure machine.
///
/// ```
/// use bowline_model::{Instant, SplitMix64};
/// use bowline_policy::{Admission, AdmissionSettings};
///
/// let mut admission = Admission::new(AdmissionSettings::default());
/// let (now, mut rng) = (Instant::from_millis(1), SplitMix64::new(1));
/// // Of a hundred requests ten were accepted: twenty of the next hundred and one pass.
/// (0..100).for_each(|n| admission.decided(now, n % 10 == 0));
/// let rejected = (0..100).filter(|_| admission.clone().admit(now, &mut rng).is_err()).count();
/// assert!((70..90).contains(&rejected), "{rejected}");
/// ```
#[derive(Clone, Debug)]
pub struct Admission {
    settings: AdmissionSettings,
    window: Window<Counts>,
}

/// Why a call was rejected: the numbers that decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Tries in the window whose end is known, and calls rejected here.
    pub requests: u32,
    /// Tries that the callee accepted.
    pub accepts: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    requests: u32,
    accepts: u32,
}

impl Count for Counts {
    fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.accepts = self.accepts.saturating_add(other.accepts);
    }

    fn subtract(&mut self, other: Self) {
        self.requests = self.requests.saturating_sub(other.requests);
        self.accepts = self.accepts.saturating_sub(other.accepts);
    }
}

impl Admission {
    /// A throttle that has seen nothing.
    #[must_use]
    pub fn new(settings: AdmissionSettings) -> Self {
        Self { settings, window: Window::new(settings.window) }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &AdmissionSettings {
        &self.settings
    }

    /// A try ended, and the callee did what it was asked or said that it will not (`accepted`), or refused it or
    /// failed over it.
    pub fn decided(&mut self, now: Instant, accepted: bool) {
        self.window.roll(now);
        self.window.add(Counts { requests: 1, accepts: accepted.into() });
    }

    /// Whether a try may be made. One that may not counts as a request.
    ///
    /// # Errors
    /// The counts that decided it, before this one was added to them.
    pub fn admit(&mut self, now: Instant, rng: &mut impl Random) -> Result<(), Rejected> {
        self.window.roll(now);
        let (chance, of) = self.chance();
        if chance == 0 || chance <= rng.below(of) {
            return Ok(());
        }
        let Counts { requests, accepts } = self.window.sum();
        self.window.add(Counts { requests: 1, accepts: 0 });
        Err(Rejected { requests, accepts })
    }

    /// Requests and accepts in the window at `now`.
    #[must_use]
    pub fn counts(&mut self, now: Instant) -> (u32, u32) {
        self.window.roll(now);
        let Counts { requests, accepts } = self.window.sum();
        (requests, accepts)
    }

    /// Whether a call could be rejected, as of the last look.
    pub(crate) fn may_reject(&self) -> bool {
        0 < self.chance().0
    }

    /// Counts tries accepted within the newest bucket.
    pub(crate) fn accepted(&mut self, tries: u32) {
        self.window.add(Counts { requests: tries, accepts: tries });
    }

    /// Forgets what is too old at `now`.
    pub(crate) fn roll(&mut self, now: Instant) {
        self.window.roll(now);
    }

    /// When the newest bucket ends.
    pub(crate) const fn bucket_ends(&self) -> Instant {
        self.window.ends()
    }

    /// So many of so many are rejected.
    fn chance(&self) -> (u64, u64) {
        let Counts { requests, accepts } = self.window.sum();
        let of = (u64::from(requests) + 1) * THOUSAND;
        if requests < self.settings.min_calls {
            return (0, of);
        }
        let due = u64::from(accepts) * u64::from(self.settings.multiplier);
        let excess = (u64::from(requests) * THOUSAND).saturating_sub(due);
        (excess.min(self.settings.reject_max.of(of)), of)
    }
}

/// What the multiplier is in.
const THOUSAND: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_model::SplitMix64;
    use proptest::prelude::*;

    const NOW: Instant = Instant::from_millis(1);

    fn seen(requests: u32, accepts: u32, settings: AdmissionSettings) -> Admission {
        let mut admission = Admission::new(settings);
        (0..requests).for_each(|n| admission.decided(NOW, n < accepts));
        admission
    }

    fn rejects(admission: &Admission) -> f64 {
        let mut rng = SplitMix64::new(11);
        let rejected = (0..20_000).filter(|_| admission.clone().admit(NOW, &mut rng).is_err()).count();
        rejected as f64 / 20_000.0
    }

    #[test]
    fn the_probability_is_that_of_the_source() {
        for (requests, accepts, expected) in
            [(99, 99, 0.0), (100, 50, 0.0), (99, 40, 0.19), (99, 25, 0.49), (999, 100, 0.799)]
        {
            let seen = rejects(&seen(requests, accepts, AdmissionSettings::default()));
            assert!((seen - expected).abs() < 0.02, "{accepts} of {requests}: {seen}");
        }
    }

    #[test]
    fn however_little_is_accepted_some_calls_pass() {
        let never = rejects(&seen(10_000, 0, AdmissionSettings::default()));
        assert!((never - 0.95).abs() < 0.01, "{never}");
    }

    #[test]
    fn a_few_failures_prove_nothing() {
        assert!(rejects(&seen(19, 0, AdmissionSettings::default())) == 0.0);
        assert!(rejects(&seen(20, 0, AdmissionSettings::default())) > 0.9);
    }

    #[test]
    fn a_burst_after_a_silence_is_let_in() {
        let mut admission = seen(100, 100, AdmissionSettings::default());
        let later = NOW + Duration::from_secs(600);
        let mut rng = SplitMix64::new(1);
        assert!((0..10_000).all(|_| admission.admit(later, &mut rng).is_ok()));
    }

    #[test]
    fn what_is_rejected_here_counts_as_a_request() {
        let mut admission = seen(100, 0, AdmissionSettings::default());
        let mut rng = SplitMix64::new(1);
        let rejected = (0..50).filter(|_| admission.admit(NOW, &mut rng).is_err()).count() as u32;
        assert_eq!(admission.counts(NOW), (100 + rejected, 0));
    }

    #[test]
    fn the_window_forgets() {
        let admission = seen(1_000, 0, AdmissionSettings::default());
        let at = NOW + AdmissionSettings::default().window;
        assert!(admission.clone().admit(at, &mut SplitMix64::new(1)).is_ok());
        let mut settled = admission;
        assert_eq!(settled.counts(at), (0, 0));
    }

    proptest! {
        /// A callee that accepts `capacity` calls a second gets about K times that, whatever it is offered.
        #[test]
        fn the_callee_gets_k_times_what_it_accepts(seed in any::<u64>(), capacity in 20_u64..100, over in 3_u64..10) {
            let mut admission = Admission::new(AdmissionSettings {
                window: Duration::from_secs(10),
                ..AdmissionSettings::default()
            });
            let mut rng = SplitMix64::new(seed);
            let (mut asked, mut offered) = (0_u64, 0_u64);
            for second in 0..60_u64 {
                let mut left = capacity;
                for n in 0..capacity * over {
                    let now = Instant::from_millis(1 + second * 1_000 + n * 1_000 / (capacity * over));
                    if admission.admit(now, &mut rng).is_err() {
                        continue;
                    }
                    admission.decided(now, 0 < left);
                    left = left.saturating_sub(1);
                    // The first window is what it learns from.
                    if 20 <= second {
                        asked += 1;
                    }
                }
                offered += 1;
            }
            let share = asked as f64 / ((offered - 20) * capacity) as f64;
            prop_assert!((1.5..2.3).contains(&share), "{share}");
        }
    }
}
