//! The seam to the machine's clock: tests wait on conditions, and look at them in small steps.

use std::time::{Duration, Instant};

/// How long a test waits for anything before it fails: far longer than it takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(crate) fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the seam")]
    Instant::now()
}

/// Lets a short time pass.
pub(crate) fn pause(span: Duration) {
    #[expect(clippy::disallowed_methods, reason = "the seam")]
    std::thread::sleep(span);
}

/// Waits until `look` finds something, or fails.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(now() < end, "not within {PATIENCE:?}: {what}");
        pause(LOOK_EVERY);
    }
}

/// Waits until `look` is true, or fails.
#[track_caller]
pub(crate) fn until(what: &str, mut look: impl FnMut() -> bool) {
    eventually(what, || look().then_some(()));
}
