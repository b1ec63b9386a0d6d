//! Where the clock is read: what records are stamped with, and how long work took.

use bowline_model::WallTime;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The calendar that records are stamped by and retention goes by.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicU64>>);

impl Clock {
    /// The machine's.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// One that stands still until it is [set](Clock::set): for tests of what happens after a week.
    #[must_use]
    pub fn manual(at: WallTime) -> Self {
        Self(Some(Arc::new(AtomicU64::new(at.as_unix_nanos()))))
    }

    /// Sets a manual clock and its copies; the machine's clock is left alone.
    pub fn set(&self, at: WallTime) {
        if let Some(manual) = &self.0 {
            manual.store(at.as_unix_nanos(), Ordering::Relaxed);
        }
    }

    /// Milliseconds since 1970-01-01 UTC: what the store's columns hold.
    pub(crate) fn millis(&self) -> i64 {
        let nanos = match &self.0 {
            Some(manual) => manual.load(Ordering::Relaxed),
            None => bowline_model::time::nanos(since_epoch()),
        };
        i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A moment, for measuring what took how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(Instant);

impl Moment {
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
