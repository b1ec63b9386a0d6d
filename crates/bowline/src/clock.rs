//! The seam to the outside: the only place where this crate reads a clock or asks for randomness.
//!
//! Time is tokio's, so that a test that pauses it pauses deadlines, back-off and breakers with it.

use bowline_model::{Instant, WallTime};
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::time::Duration;

/// How long before the first look at the clock the beginning lies.
///
/// A paused clock stands still at the moment it was paused, which may be before that first look; an
/// hour keeps any such moment after the beginning, where [`Instant`] can tell it.
const HEAD_START: Duration = Duration::from_secs(3_600);

/// Now.
pub(crate) fn now() -> Instant {
    let since = tokio::time::Instant::now().into_std().saturating_duration_since(beginning());
    Instant::from_nanos(bowline_model::time::nanos(since))
}

/// `instant` as tokio's timers want it; `None` if it is too far away to matter.
pub(crate) fn timer(instant: Instant) -> Option<tokio::time::Instant> {
    // A year: no timer is set for longer, and adding more could overflow the system's clock.
    const TIMER_MAX: Duration = Duration::from_secs(365 * 86_400);
    let after = instant.since(now());
    (after < TIMER_MAX).then(|| tokio::time::Instant::now() + after)
}

/// Sleeps until `instant`; for ever, if that is too far away to matter.
pub(crate) async fn sleep_until(instant: Instant) {
    match timer(instant) {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Now on the calendar, for people and other machines to read.
pub(crate) fn wall() -> WallTime {
    #[expect(clippy::disallowed_methods, reason = "the seam")]
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    WallTime::from_unix_nanos(bowline_model::time::nanos(since))
}

/// A seed that no other process and no earlier call has had: the standard library's hash keys come
/// from the system and move on with each asking.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one(0_u8)
}

fn beginning() -> std::time::Instant {
    static BEGINNING: OnceLock<std::time::Instant> = OnceLock::new();
    *BEGINNING.get_or_init(|| {
        #[expect(clippy::disallowed_methods, reason = "the seam")]
        let now = std::time::Instant::now();
        now.checked_sub(HEAD_START).unwrap_or(now)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_moves_only_when_it_is_told() {
        let before = now();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(now().since(before), Duration::from_secs(5));
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(seed(), seed());
    }
}
