//! A retry throttle shared by all workers.

use crate::retry_throttle::RetryThrottleSettings;
use crate::sync::atomic::{AtomicU32, Ordering};

/// A retry throttle shared by all workers: the tokens are one number, so there is no lock. While nothing fails the
/// bucket is full, and a success costs a load.
#[derive(Debug)]
pub struct SharedRetryThrottle {
    settings: RetryThrottleSettings,
    /// In thousandths. Nothing else hangs on it, so its order with other memory is of no matter.
    tokens: AtomicU32,
}

impl SharedRetryThrottle {
    /// A full bucket.
    #[must_use]
    pub fn new(settings: RetryThrottleSettings) -> Self {
        Self { settings, tokens: AtomicU32::new(settings.tokens_max) }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &RetryThrottleSettings {
        &self.settings
    }

    /// A try failed in a way that counts.
    pub fn failed(&self) {
        self.change(|tokens| self.settings.failed(tokens));
    }

    /// A try went well.
    #[inline]
    pub fn succeeded(&self) {
        if self.tokens() < self.settings.tokens_max {
            self.change(|tokens| self.settings.succeeded(tokens));
        }
    }

    /// Whether a further try may be made.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.settings.allows(self.tokens())
    }

    /// What is in the bucket, in thousandths of a token.
    #[must_use]
    #[inline]
    pub fn tokens(&self) -> u32 {
        self.tokens.load(Ordering::Relaxed)
    }

    fn change(&self, to: impl Fn(u32) -> u32) {
        let _ = self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tokens| Some(to(tokens)));
    }
}
