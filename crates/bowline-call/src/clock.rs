//! The seam where this crate asks what time it is.
//!
//! Monotonic time comes from tokio, so that tests may pause it; the calendar is asked only where a
//! peer names a date.

use bowline_model::{Instant, WallTime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Turns the machine's clock into [`Instant`]s. Copies share one beginning, so that instants of
/// different threads compare.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: tokio::time::Instant,
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { began: tokio::time::Instant::now() }
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::from_nanos(bowline_model::time::nanos(self.began.elapsed()))
    }

    /// The date.
    #[must_use]
    pub fn wall(&self) -> WallTime {
        WallTime::from_unix_nanos(bowline_model::time::nanos(since_epoch()))
    }

    /// `at` in tokio's terms, at most a year ahead: tokio's wheel ends after two.
    pub(crate) fn tokio(&self, at: Instant) -> tokio::time::Instant {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        let ahead = at.since(Instant::ZERO);
        self.began + ahead.min(self.began.elapsed() + YEAR)
    }
}

#[expect(clippy::disallowed_methods, reason = "the seam")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
