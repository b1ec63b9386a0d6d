//! What is known about one endpoint.

use super::estimate::Estimate;
use crate::outlier::Record;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use bowline_model::Instant;
use std::sync::Arc;
use std::time::Duration;

/// What is known about one endpoint of one destination: shared by all workers of a process, and kept over a
/// reload by its key, whatever else the reload changes.
#[derive(Debug)]
pub struct Host {
    key: Arc<str>,
    /// Tries under way.
    pending: AtomicU32,
    pub(super) estimate: Estimate,
    /// Until when it counts as slow because it failed.
    penalty_until: AtomicU64,
    /// Penalties in a row.
    failures: AtomicU32,
    /// When a try failed last.
    failed_at: AtomicU64,
    /// Whether active checks have found it ill.
    ill: AtomicBool,
    /// When it came, or was found well again; zero: it was always there.
    came: AtomicU64,
    /// What outlier detection counts of it.
    pub(crate) record: Record,
}

/// Whether a host may be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostState {
    /// It may.
    Well,
    /// Left out because of how its tries ended.
    Ejected {
        /// Until then.
        until: Instant,
    },
    /// Active checks have found it ill.
    Ill,
}

impl HostState {
    /// The word used as metric label and in `explain`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Ejected { .. } => "ejected",
            Self::Ill => "ill",
        }
    }
}

/// The longest penalty, in first ones: a minute at the default of 5 s. A host that keeps failing is asked
/// less and less, and one that failed once is not shunned for long.
const PENALTIES_MAX: u32 = 12;

impl Host {
    /// A host that nobody has asked yet.
    pub(super) fn new(key: Arc<str>, came: Instant) -> Self {
        Self {
            key,
            pending: AtomicU32::new(0),
            estimate: Estimate::none(),
            penalty_until: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            failed_at: AtomicU64::new(0),
            ill: AtomicBool::new(false),
            came: AtomicU64::new(came.as_nanos()),
            record: Record::default(),
        }
    }

    /// What it is known by: its address.
    #[must_use]
    pub const fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// Tries under way there.
    #[must_use]
    pub fn pending(&self) -> u32 {
        self.pending.load(Ordering::Relaxed)
    }

    /// Whether it may be picked at `now`.
    #[must_use]
    pub fn state(&self, now: Instant) -> HostState {
        let until = self.record.ejected_until();
        if now < until {
            HostState::Ejected { until }
        } else if self.ill.load(Ordering::Relaxed) {
            HostState::Ill
        } else {
            HostState::Well
        }
    }

    /// What an active check has concluded. One that is well again counts as new from `now` on.
    pub fn checked(&self, now: Instant, is_well: bool) {
        let was_ill = self.ill.swap(!is_well, Ordering::Relaxed);
        if was_ill && is_well {
            self.came.store(now.as_nanos(), Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn is_well(&self, now: Instant) -> bool {
        self.record.ejected_until() <= now && !self.ill.load(Ordering::Relaxed)
    }

    /// Whether its tries have not put it out.
    pub(super) fn is_in(&self, now: Instant) -> bool {
        self.record.ejected_until() <= now
    }

    /// How long it has been here and in, where that is not for ever.
    pub(super) fn here_for(&self, now: Instant) -> Option<Duration> {
        let back = self.record.ejected_until().as_nanos().max(self.came.load(Ordering::Relaxed));
        (back > 0).then(|| now.since(Instant::from_nanos(back)))
    }

    /// A try goes there; how many were under way before it.
    #[inline]
    pub(super) fn begin(&self) -> u32 {
        self.pending.fetch_add(1, Ordering::Relaxed)
    }

    /// A try there is over, however it ended.
    #[inline]
    pub(super) fn over(&self) {
        self.pending.fetch_sub(1, Ordering::Relaxed);
    }

    /// Nanoseconds that are left of the penalty.
    #[inline]
    pub(super) fn penalty(&self, now: Instant) -> f32 {
        self.penalty_until.load(Ordering::Relaxed).saturating_sub(now.as_nanos()) as f32
    }

    /// It answered as it should.
    #[inline]
    pub(super) fn did_well(&self) {
        // Nearly always both are zero: a load is cheaper than a store that all workers see.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
            self.penalty_until.store(0, Ordering::Relaxed);
        }
    }

    /// A try that took `took` failed: the host counts as slow for `penalty` from now on, one step longer for
    /// each penalty that did not help. One that is asked meanwhile and fails again is a step further from being
    /// asked than one that fails now and then. What was on its way already when the last one failed adds no
    /// step: a hundred tries that one reset ends are one failure.
    pub(super) fn failed(&self, now: Instant, took: Duration, penalty: Duration) {
        let is_over = self.penalty_until.load(Ordering::Relaxed) <= now.as_nanos();
        let known = self.failures.load(Ordering::Relaxed);
        let last = Instant::from_nanos(self.failed_at.swap(now.as_nanos(), Ordering::Relaxed));
        let steps = if is_over || known == 0 {
            self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1)
        } else if now.since(last) < took {
            known
        } else {
            known.saturating_add(1)
        };
        self.busy_for(now, penalty * steps.min(PENALTIES_MAX));
    }

    /// It said that it is busy for so long.
    pub(super) fn busy_for(&self, now: Instant, span: Duration) {
        self.penalty_until.fetch_max((now + span).as_nanos(), Ordering::Relaxed);
    }
}
