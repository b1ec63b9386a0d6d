//! What outlier detection counts of one host.

use super::{OutlierSettings, Seen};
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use bowline_model::Instant;
use bowline_model::decision::EjectWhy;

/// What outlier detection counts of one host. It belongs to the host and survives a reload with it.
#[derive(Debug, Default)]
pub(crate) struct Record {
    in_a_row_5xx: AtomicU32,
    in_a_row_gateway: AtomicU32,
    in_a_row_local: AtomicU32,
    /// Since the last sweep.
    successes: AtomicU32,
    calls: AtomicU32,
    /// Until when it is out. Only ever written under the detector's lock.
    ejected_until: AtomicU64,
    /// How often it was out, less what was forgotten. As above.
    times: AtomicU32,
    /// Whether it has been put out and no sweep has seen it back. As above.
    is_out: AtomicBool,
}

impl Record {
    #[inline]
    pub(crate) fn ejected_until(&self) -> Instant {
        Instant::from_nanos(self.ejected_until.load(Ordering::Acquire))
    }

    /// Counts one try; why the host deserves to be left out, if it does now.
    #[inline]
    pub(super) fn count(&self, settings: &OutlierSettings, seen: Seen) -> Option<EjectWhy> {
        if settings.compares() && seen != Seen::Nothing {
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.successes.fetch_add(u32::from(seen == Seen::Good), Ordering::Relaxed);
        }
        match seen {
            Seen::Nothing => None,
            Seen::Good => {
                self.forgive();
                None
            }
            Seen::Answered { gateway } => {
                clear(&self.in_a_row_local);
                self.failed(settings, gateway)
            }
            Seen::Local if settings.consecutive_local.is_some() => {
                let many = one_more(&self.in_a_row_local, settings.consecutive_local);
                many.then_some(EjectWhy::ConsecutiveLocal)
            }
            Seen::Local => self.failed(settings, true),
        }
    }

    fn failed(&self, settings: &OutlierSettings, gateway: bool) -> Option<EjectWhy> {
        let too_many_gateway = if gateway {
            one_more(&self.in_a_row_gateway, settings.consecutive_gateway)
        } else {
            clear(&self.in_a_row_gateway);
            false
        };
        let too_many_5xx = one_more(&self.in_a_row_5xx, settings.consecutive_5xx);
        match (too_many_gateway, too_many_5xx) {
            (true, _) => Some(EjectWhy::ConsecutiveGateway),
            (_, true) => Some(EjectWhy::Consecutive5xx),
            _ => None,
        }
    }

    /// Begins to count anew.
    #[inline]
    pub(super) fn forgive(&self) {
        clear(&self.in_a_row_5xx);
        clear(&self.in_a_row_gateway);
        clear(&self.in_a_row_local);
    }

    /// Puts it out for `span(times)`, where `times` counts this one; until when.
    pub(super) fn put_out(&self, until: impl FnOnce(u32) -> Instant) {
        let times = self.times.load(Ordering::Relaxed).saturating_add(1);
        self.times.store(times, Ordering::Relaxed);
        self.is_out.store(true, Ordering::Relaxed);
        self.forgive();
        self.ejected_until.store(until(times).as_nanos(), Ordering::Release);
    }

    /// Forgets that it was out `intervals` times; whether it is back since the last sweep.
    pub(super) fn was_in_for(&self, intervals: u32) -> bool {
        let times = self.times.load(Ordering::Relaxed);
        self.times.store(times.saturating_sub(intervals), Ordering::Relaxed);
        self.is_out.swap(false, Ordering::Relaxed)
    }

    /// Successes and calls since the last time this was asked.
    pub(super) fn take_counts(&self) -> (u32, u32) {
        (self.successes.swap(0, Ordering::Relaxed), self.calls.swap(0, Ordering::Relaxed))
    }
}

/// Counts one more; whether that makes too many.
fn one_more(count: &AtomicU32, many: Option<u32>) -> bool {
    let counted = count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    many.is_some_and(|many| many <= counted)
}

/// Nearly always it is zero: a load is cheaper than a store that all workers see.
#[inline]
fn clear(count: &AtomicU32) {
    if count.load(Ordering::Relaxed) != 0 {
        count.store(0, Ordering::Relaxed);
    }
}
