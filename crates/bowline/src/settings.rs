//! Everything that governs the calls of one guard, as data.

use bowline_policy::CallPolicy;
use std::fmt;
use std::time::Duration;

/// Everything that governs the calls of one guard, whether its code or the design said so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// How long a call may take, all tries and back-off included.
    pub deadline: Option<Duration>,
    /// Whether a call may be repeated when its effect is unknown.
    pub idempotent: Idempotency,
    /// Whether an answer of 202 means accepted, not finished.
    pub pending: bool,
    /// Retries, budget, breaker, bulkhead, rate limit and faults.
    pub policy: CallPolicy,
}

/// Whether doing it twice is the same as doing it once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// Nobody said so. A method of HTTP that is idempotent by its definition still is.
    #[default]
    Undeclared,
    /// It is not, whatever the method says.
    No,
    /// It is.
    Yes,
    /// It is where the call carries an idempotency key.
    ByKey,
}

impl Idempotency {
    const ALL: [Self; 4] = [Self::Undeclared, Self::No, Self::Yes, Self::ByKey];

    /// The word of the design.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undeclared => "undeclared",
            Self::No => "no",
            Self::Yes => "yes",
            Self::ByKey => "by-key",
        }
    }

    /// The idempotency that `word` names, as [`Idempotency::as_str`] writes it.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|idempotency| idempotency.as_str() == word)
    }

    /// Whether a call may be repeated that carries a key or not, and whose method is idempotent by
    /// definition or not.
    pub(crate) const fn allows(self, has_key: bool, by_method: bool) -> bool {
        match self {
            Self::Undeclared => by_method,
            Self::No => false,
            Self::Yes => true,
            Self::ByKey => has_key,
        }
    }
}

impl fmt::Display for Idempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
