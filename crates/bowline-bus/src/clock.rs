//! The seam where this crate asks what time it is.
//!
//! Both clocks are tokio's, so that tests may pause them together; the machine's calendar is read once, at the start.

use bowline_model::time::nanos;
use bowline_model::{Instant, WallTime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time. Copies share one beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: tokio::time::Instant,
    wall: WallTime,
}

impl Clock {
    /// A clock that begins now.
    pub(crate) fn start() -> Self {
        let wall = WallTime::from_unix_nanos(nanos(since_epoch()));
        Self { began: tokio::time::Instant::now(), wall }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_nanos(nanos(self.began.elapsed()))
    }

    /// The calendar, as it was at the beginning and time has passed since: it does not jump.
    pub(crate) fn wall(&self) -> WallTime {
        WallTime::from_unix_nanos(self.wall.as_unix_nanos().saturating_add(self.now().as_nanos()))
    }

    /// When the calendar shows `at`. What is past already is now.
    pub(crate) fn instant_of(&self, at: WallTime) -> Instant {
        Instant::from_nanos(at.as_unix_nanos().saturating_sub(self.wall.as_unix_nanos()))
    }

    /// `at` in tokio's terms, at most a year ahead: tokio's wheel ends after two.
    pub(crate) fn tokio(&self, at: Instant) -> tokio::time::Instant {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        self.began + at.since(Instant::ZERO).min(self.began.elapsed() + YEAR)
    }
}

#[expect(clippy::disallowed_methods, reason = "the seam")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
