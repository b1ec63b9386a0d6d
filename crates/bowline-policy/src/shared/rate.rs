//! A rate limit shared by all workers.

use crate::rate::{RateLimit, RateSettings, Standing};
use crate::sync::{Mutex, lock};
use bowline_model::Instant;
use std::time::Duration;

/// A rate limit shared by all workers: [`RateLimit`] behind a lock.
#[derive(Debug)]
pub struct SharedRate {
    settings: RateSettings,
    limit: Mutex<RateLimit>,
}

impl SharedRate {
    /// A limit nobody has used yet.
    #[must_use]
    pub fn new(settings: RateSettings) -> Self {
        Self { settings, limit: Mutex::new(RateLimit::new(settings)) }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &RateSettings {
        &self.settings
    }

    /// Takes a call out of the bucket.
    ///
    /// # Errors
    /// How long until there is one, if nobody else takes it.
    pub fn take(&self, now: Instant) -> Result<(), Duration> {
        lock(&self.limit).take(now)
    }

    /// What is left at `now`.
    #[must_use]
    pub fn standing(&self, now: Instant) -> Standing {
        lock(&self.limit).standing(now)
    }
}
