//! What a try did to the world.

use std::fmt;

/// What a finished try did to the world: the one question a caller must decide by.
///
/// Not "did it succeed" but "did it take effect, and may I ask again".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The effect happened.
    Succeeded,
    /// Surely no effect, and it may be asked again: never sent, refused, shed.
    Refused,
    /// Surely no effect, and asking again cannot help: the peer understood and said no.
    Failed,
    /// It may have had an effect: a timeout, a reset after the first byte, a 5xx.
    Unknown,
    /// Accepted, not finished: a 202 where the operation says so.
    Pending,
}

impl Outcome {
    /// Every outcome, in declaration order.
    pub const ALL: [Self; 5] = [Self::Succeeded, Self::Refused, Self::Failed, Self::Unknown, Self::Pending];

    /// The word used in metrics, traces, headers and `explain`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Pending => "pending",
        }
    }

    /// The outcome that `word` names, as [`Outcome::as_str`] writes it.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
