//! How much it matters that a call is answered when not all can be.

use std::fmt;

/// How much it matters that a call is answered when not all can be. Where nobody says, all are normal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Nobody waits for it: prefetching, batches, what is asked again anyway. Shed first.
    Low,
    /// What most calls are.
    #[default]
    Normal,
    /// Somebody waits for it, and would go away. Shed last.
    High,
}

impl Priority {
    /// All, the one that is shed first before the others.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    /// The word in designs, headers and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    /// The priority that `word` names.
    ///
    /// ```
    /// use bowline_model::Priority;
    /// assert_eq!(Priority::from_word("high"), Some(Priority::High));
    /// assert_eq!(Priority::from_word("High"), None);
    /// ```
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.as_str() == word)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
