//! How a record's delivery ends, and what becomes of the record.

use bowline_model::Outcome;
use std::fmt;
use std::time::Duration;

/// How a handler ended.
///
/// The outcome decides, as it does for calls: `Succeeded` and `Pending` (the target has accepted it) settle the record;
/// after `Failed` asking again cannot help; `Unknown` counts as a delivery in vain; `Refused` surely had no effect and
/// does not count, so that an outage of the target sets nothing aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ended {
    /// What it did to the world.
    pub outcome: Outcome,
    /// How long the target asks to be left alone with this record. Takes the place of the back-off, where longer.
    pub after: Option<Duration>,
    /// What kind of failure it was, where the handler knows.
    pub class: Option<Class>,
}

impl Ended {
    /// A handler that ended so, and has nothing more to say.
    #[must_use]
    pub const fn new(outcome: Outcome) -> Self {
        Self { outcome, after: None, class: None }
    }
}

/// Why a record is set aside. Its word is the label of the metric and stands in the dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Class {
    /// The handler or its target said no: delivering it again cannot help.
    Rejected,
    /// It could not be read: no handler saw it.
    Malformed,
    /// It does not keep its contract.
    OffContract,
    /// It was delivered in vain as often as is allowed.
    Exhausted,
    /// It was in a handler's hands, alone, each time the process died.
    Poison,
    /// Its time was over before a handler saw it.
    Expired,
    /// A record of its key before it was set aside, and it goes the same way.
    Follows,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 7] = [
        Self::Rejected,
        Self::Malformed,
        Self::OffContract,
        Self::Exhausted,
        Self::Poison,
        Self::Expired,
        Self::Follows,
    ];

    /// The word of it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Malformed => "malformed",
            Self::OffContract => "off contract",
            Self::Exhausted => "exhausted",
            Self::Poison => "poison",
            Self::Expired => "expired",
            Self::Follows => "follows",
        }
    }

    /// The class that `word` names, as [`Class::as_str`] writes it.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a record is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aside {
    /// It is a dead letter.
    Dead(Class),
    /// It waits behind a dead letter of its key, and is fine itself as far as anybody knows.
    Parked,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_read_back_from_its_word() {
        for class in Class::ALL {
            assert_eq!(Class::from_word(class.as_str()), Some(class));
        }
        assert_eq!(Class::from_word("tired"), None);
    }
}
