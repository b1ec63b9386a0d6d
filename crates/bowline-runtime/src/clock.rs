//! The seam to the machine's clocks: everything else is handed the time.

use bowline_model::WallTime;
use std::time::SystemTime;

/// The calendar's time, for people to read.
#[must_use]
pub fn wall() -> WallTime {
    #[expect(clippy::disallowed_methods, reason = "the seam")]
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    WallTime::from_unix_nanos(bowline_model::time::nanos(since))
}

/// Time for measuring spans.
#[must_use]
pub fn now() -> std::time::Instant {
    #[expect(clippy::disallowed_methods, reason = "the seam")]
    std::time::Instant::now()
}
