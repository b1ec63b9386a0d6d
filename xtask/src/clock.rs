//! The one place of the workshop that reads a clock or lets time pass.

use std::time::{Duration, Instant};

/// Now, on the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the seam: the workshop times real programs")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits. For programs to start and for load to run, where there is nothing to be woken by.
#[expect(clippy::disallowed_methods, reason = "the seam: the workshop waits for real programs")]
pub(crate) fn pause(for_: Duration) {
    std::thread::sleep(for_);
}

/// Asks `ready` every 20 ms until it agrees or `within` is over; says whether it agreed.
pub(crate) fn wait_until(within: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let start = now();
    loop {
        if ready() {
            return true;
        }
        if start.elapsed() > within {
            return false;
        }
        pause(Duration::from_millis(20));
    }
}
