//! When a second try is sent beside the first one.
//!
//! A few slow answers of many make the tail of what callers wait for; whoever asks another host once an answer
//! is late has the quicker of two (Dean and Barroso, The Tail at Scale, 2013). What is late is learned: the p95 of
//! this destination's first tries, as of late. Three things keep it from making an overload worse: a cap on the
//! share of calls that are hedged, the retry budget, and a breaker that is not closed.
//!
//! What is learned from. First tries alone: every call has one, so together they are what an answer takes, while a
//! hedge that won is a quick one by selection. A first try that was outrun took at least as long as it had been
//! under way, which is longer than the delay; counted as that, it moves no quantile below. Left out, the slow part
//! would be missing, the p95 would sink, and there would be more hedges each minute.

use crate::budget::BudgetSettings;
use crate::quantile::{LiveQuantile, QuantileSettings};
use crate::ratio::Ratio;
use crate::shared::SharedBudget;
use bowline_model::Instant;
use bowline_model::decision::WithheldWhy;
use std::time::Duration;

/// When a second try is sent beside the first one, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HedgeSettings {
    /// How long a try may be under way before another is sent beside it.
    pub after: HedgeAfter,
    /// All tries of one call, the first included; at most [`HedgeSettings::TRIES_MAX`], and with less than two
    /// there is no hedge. A call that has sent so many, as hedges or as retries, is not hedged any more.
    pub tries: u32,
    /// Hedges among the calls of the last [`HedgeSettings::WINDOW`].
    pub ratio: Ratio,
    /// In gRPC's manner (proposal A6). Who writes such a policy vouches for it that the call may be repeated, so
    /// nothing else is asked, nor is there a share of calls; a host may be asked a second time; a try that fails
    /// in a way that the retry rule names brings the next one forward, and any other failure ends the call.
    pub by_grpc: bool,
}

/// How long a try may be under way before another is sent beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeAfter {
    /// This long.
    Fixed(Duration),
    /// What this share of the first tries took no longer than, as of late.
    Quantile {
        /// Which share.
        quantile: Ratio,
        /// How many there must have been.
        min_calls: u32,
    },
}

impl HedgeSettings {
    /// gRPC takes no more either (proposal A6).
    pub const TRIES_MAX: u32 = 5;
    /// How far back the share is counted: as far as the retry budget does. A slowdown of everything may spend it
    /// at once, and then doubles the load for one second at most, at ten percent.
    pub const WINDOW: Duration = Duration::from_secs(10);
    /// After how long a sample weighs half: long enough for 100 calls at ten a second, short enough that a
    /// deployment which changes how long things take is learned within a minute.
    pub const HALF_LIFE: Duration = Duration::from_secs(10);

    /// One hedge after the p95 of at least a hundred calls, for one call in ten at most: twice of what the p95
    /// asks for, so that the cap is met in a slowdown and not on an ordinary day.
    pub const OURS: Self = Self {
        after: HedgeAfter::Quantile { quantile: Ratio::percent(95), min_calls: 100 },
        tries: 2,
        ratio: Ratio::percent(10),
        by_grpc: false,
    };
}

/// What hedging remembers of one edge; shared by all workers.
#[derive(Debug)]
pub struct SharedHedge {
    settings: HedgeSettings,
    /// The delay, where it is learned.
    late: Option<LiveQuantile>,
    /// What an answer usually takes: with less time left no other try is worth it.
    usual: LiveQuantile,
    share: SharedBudget,
}

impl SharedHedge {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(settings: HedgeSettings) -> Self {
        let live = |quantile, min_samples| {
            LiveQuantile::new(QuantileSettings { quantile, half_life: HedgeSettings::HALF_LIFE, min_samples })
        };
        let (late, enough) = match settings.after {
            HedgeAfter::Fixed(_) => (None, 100),
            HedgeAfter::Quantile { quantile, min_calls } => (Some(live(quantile, min_calls)), min_calls),
        };
        let share = BudgetSettings {
            ratio: settings.ratio,
            // As many as there can be: the share is not asked, and is told all the same.
            min_per_second: if settings.by_grpc { u32::MAX } else { 0 },
            window: HedgeSettings::WINDOW,
            concurrent: None,
        };
        Self { settings, late, usual: live(Ratio::percent(50), enough), share: SharedBudget::new(share) }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &HedgeSettings {
        &self.settings
    }

    /// How long a try may be under way now before it is late.
    ///
    /// # Errors
    /// Nobody knows yet.
    #[inline]
    pub fn delay(&self, now: Instant) -> Result<Duration, WithheldWhy> {
        match (self.settings.after, &self.late) {
            (HedgeAfter::Fixed(span), _) => Ok(span),
            (_, late) => late.as_ref().and_then(|late| late.read(now)).ok_or(WithheldWhy::TooFewSamples),
        }
    }

    /// What an answer usually takes, if that is known.
    #[must_use]
    pub fn usual(&self, now: Instant) -> Option<Duration> {
        self.usual.read(now)
    }

    /// A first try took so long, or at least so long.
    #[inline]
    pub(crate) fn took(&self, now: Instant, took: Duration) {
        if let Some(late) = &self.late {
            late.record(now, took);
        }
        self.usual.record(now, took);
    }

    /// A first try took longer than this: counted a bucket's width later, or those that are outrun just when they
    /// are late would count as not late.
    pub(crate) fn took_longer(&self, now: Instant, than: Duration) {
        self.took(now, than + than / LiveQuantile::ERROR);
    }

    /// A call begins.
    #[inline]
    pub(crate) fn begun(&self, now: Instant) {
        self.share.begun(now);
    }

    /// A call is over.
    #[inline]
    pub(crate) fn over(&self) {
        self.share.over();
    }

    /// Takes a hedge out of the share, if there is one.
    pub(crate) fn take(&self, now: Instant) -> bool {
        self.share.try_retry(now)
    }

    /// A hedge is over.
    pub(crate) fn hedge_over(&self) {
        self.share.retry_over();
    }

    /// Hedges under way.
    #[must_use]
    pub fn under_way(&self) -> u32 {
        self.share.retrying()
    }

    /// Calls, and hedges of them, in the window at `now`.
    #[must_use]
    pub fn counts(&self, now: Instant) -> (u32, u32) {
        self.share.counts(now)
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_millis(1_000);

    #[test]
    fn a_learned_delay_waits_for_its_calls_and_a_fixed_one_does_not() {
        let learned = SharedHedge::new(HedgeSettings::OURS);
        (0..99).for_each(|_| learned.took(NOW, Duration::from_millis(10)));
        assert_eq!(learned.delay(NOW), Err(WithheldWhy::TooFewSamples));
        learned.took(NOW, Duration::from_millis(10));
        let later = NOW + Duration::from_secs(1);
        let delay = learned.delay(later).unwrap().as_secs_f64();
        assert!((delay - 0.010).abs() <= 0.010 / 16.0, "{delay}");

        let fixed = Duration::from_millis(30);
        let settings = HedgeSettings { after: HedgeAfter::Fixed(fixed), ..HedgeSettings::OURS };
        assert_eq!(SharedHedge::new(settings).delay(NOW), Ok(fixed));
    }

    #[test]
    fn no_more_than_its_share_of_calls_is_hedged() {
        let hedge = SharedHedge::new(HedgeSettings::OURS);
        assert!(!hedge.take(NOW), "a share of nothing is nothing");
        (0..1_000).for_each(|_| hedge.begun(NOW));
        assert_eq!((0..1_000).filter(|_| hedge.take(NOW)).count(), 100);
    }
}
