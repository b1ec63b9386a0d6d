//! Where the clock is read: the waits of the exporting thread.

use std::time::{Duration, Instant};

/// A moment to wait for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until(Instant);

impl Until {
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    pub(crate) fn after(span: Duration) -> Self {
        Self(Instant::now() + span)
    }

    /// What is left until then.
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}
