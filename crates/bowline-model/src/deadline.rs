//! The instant by which a whole call must be over.

use crate::time::Instant;
use std::time::Duration;

/// The instant by which the whole call must be over, all tries and back-off included.
///
/// It travels between processes as remaining time, never as a date, because clocks differ; it never
/// grows on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// No end: later than anything that will happen.
    pub const NEVER: Self = Self(Instant::FAR);

    /// The deadline at `instant`.
    #[must_use]
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// The deadline `span` after `now`.
    #[must_use]
    pub fn after(now: Instant, span: Duration) -> Self {
        Self(now + span)
    }

    /// The instant itself.
    #[must_use]
    pub const fn instant(self) -> Instant {
        self.0
    }

    /// What is left at `now`; zero once it has passed.
    #[must_use]
    pub const fn remaining(self, now: Instant) -> Duration {
        self.0.since(now)
    }

    /// Whether nothing is left at `now`.
    #[must_use]
    pub fn has_passed(self, now: Instant) -> bool {
        self.0 <= now
    }

    /// Whether there is an end at all.
    #[must_use]
    pub fn is_never(self) -> bool {
        self == Self::NEVER
    }

    /// The earlier of the two. Deadlines only ever combine this way.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        if other.0 < self.0 { other } else { self }
    }
}
