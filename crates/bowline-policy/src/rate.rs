//! How many calls may begin a second.

/// How many calls may begin a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSettings {
    /// Calls a second, in the long run.
    pub per_second: u32,
    /// Calls at once, after a quiet time.
    pub burst: u32,
}

/// The rate limit as a pure machine.
#[derive(Clone, Debug)]
pub struct RateLimit {
    settings: RateSettings,
}

impl RateLimit {
    /// A limit nobody has used yet.
    #[must_use]
    pub const fn new(settings: RateSettings) -> Self {
        Self { settings }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &RateSettings {
        &self.settings
    }
}
