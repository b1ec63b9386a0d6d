//! What can go wrong between us and a broker, and whether it took effect.

use bowline_model::Outcome;
use std::fmt;
use std::time::Duration;

/// Something else's error, kept as the cause.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Something that a broker was asked for did not succeed.
///
/// The question that matters is [`Error::outcome`]: `Refused` and `Failed` surely had no effect; after `Unknown` the
/// record may have arrived, the cursor may have been written, all the same. Ask again with the same event id then, and
/// let the receiver recognise it.
#[derive(Debug)]
pub struct Error {
    asked: Asked,
    /// The topic, or the group and the topic.
    of: String,
    why: Why,
    cause: Option<Cause>,
}

/// What a broker was asked for. Its word stands in messages and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Asked {
    /// To make a topic.
    Create,
    /// To tell about a topic.
    Describe,
    /// To take records.
    Publish,
    /// To hand out records.
    Read,
    /// To let a consumer into a group.
    Join,
    /// To keep a cursor.
    Commit,
    /// To settle a record.
    Settle,
    /// To set a record aside.
    SetAside,
}

/// Why not. Its word is the label of the metric.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// No such topic.
    NoSuchTopic,
    /// The topic has fewer partitions.
    NoSuchPartition {
        /// The one that was asked for.
        asked: u32,
        /// How many there are.
        partitions: u32,
    },
    /// The topic is there, with another number of partitions.
    TopicDiffers {
        /// How many there are.
        partitions: u32,
    },
    /// One record or all of a batch is larger than the broker takes.
    TooLarge {
        /// Its bytes.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// Records at this offset are gone already, or not there yet.
    OffsetOutOfRange {
        /// The first that is kept.
        first: u64,
        /// The one that will be appended next.
        next: u64,
    },
    /// The time given was over while the broker could not take more; nothing was sent.
    Full {
        /// The limit that was reached, by its name.
        limit: &'static str,
    },
    /// The time given was over while the broker was at it.
    DeadlineExceeded {
        /// The time given.
        within: Duration,
    },
    /// Another consumer owns the partition now: stop at once.
    Fenced,
    /// The delivery is settled already, or was given to somebody else since.
    NotYours,
    /// The broker was closed.
    Closed,
    /// The broker cannot do it; its capabilities say so.
    NotSupported,
    /// The broker said no, surely without effect, and asking again cannot help.
    Rejected,
    /// The broker cannot be reached; nothing was sent.
    Unreachable,
    /// The connection or the store broke while the broker was at it.
    Broken,
}

impl Error {
    /// An error without a cause.
    #[must_use]
    pub fn new(asked: Asked, of: impl fmt::Display, why: Why) -> Self {
        Self { asked, of: of.to_string(), why, cause: None }
    }

    /// The same, with what it comes from.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Why not.
    #[must_use]
    pub const fn why(&self) -> &Why {
        &self.why
    }

    /// What was asked for.
    #[must_use]
    pub const fn asked(&self) -> Asked {
        self.asked
    }

    /// Whether it took effect all the same, and whether asking again may help.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self.why {
            Why::Full { .. } | Why::Unreachable | Why::Closed => Outcome::Refused,
            Why::DeadlineExceeded { .. } | Why::Broken => Outcome::Unknown,
            Why::NoSuchTopic
            | Why::NoSuchPartition { .. }
            | Why::TopicDiffers { .. }
            | Why::TooLarge { .. }
            | Why::OffsetOutOfRange { .. }
            | Why::Fenced
            | Why::NotYours
            | Why::NotSupported
            | Why::Rejected => Outcome::Failed,
        }
    }

    /// Whether another consumer owns the partition now.
    #[must_use]
    pub const fn is_fenced(&self) -> bool {
        matches!(self.why, Why::Fenced)
    }
}

impl Asked {
    /// The word of it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Describe => "describe",
            Self::Publish => "publish",
            Self::Read => "read",
            Self::Join => "join",
            Self::Commit => "commit",
            Self::Settle => "settle",
            Self::SetAside => "set aside",
        }
    }
}

impl Why {
    /// The word of it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NoSuchTopic => "no such topic",
            Self::NoSuchPartition { .. } => "no such partition",
            Self::TopicDiffers { .. } => "topic differs",
            Self::TooLarge { .. } => "too large",
            Self::OffsetOutOfRange { .. } => "offset out of range",
            Self::Full { .. } => "full",
            Self::DeadlineExceeded { .. } => "deadline exceeded",
            Self::Fenced => "fenced",
            Self::NotYours => "not yours",
            Self::Closed => "closed",
            Self::NotSupported => "not supported",
            Self::Rejected => "rejected",
            Self::Unreachable => "unreachable",
            Self::Broken => "broken",
        }
    }
}

/// This level alone; the cause is in `source()`.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to {} `{}`: {}", self.asked.as_str(), self.of, self.why.as_str())?;
        match &self.why {
            Why::NoSuchPartition { asked, partitions } => write!(f, ": {asked} of {partitions}"),
            Why::TopicDiffers { partitions } => write!(f, ": it has {partitions} partitions"),
            Why::TooLarge { bytes, limit } => write!(f, ": {bytes} bytes, at most {limit}"),
            Why::OffsetOutOfRange { first, next } => write!(f, ": it keeps {first} up to {next}"),
            Why::Full { limit } => write!(f, ": {limit} is reached"),
            Why::DeadlineExceeded { within } => {
                write!(f, ": {within:?} were given; it may have taken effect")
            }
            Why::Broken => f.write_str(": it may have taken effect"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_was_asked_of_what_and_whether_it_took_effect() {
        let within = Duration::from_millis(300);
        let error = Error::new(Asked::Publish, "orders", Why::DeadlineExceeded { within });
        assert_eq!(
            error.to_string(),
            "failed to publish `orders`: deadline exceeded: 300ms were given; it may have taken effect"
        );
        assert_eq!(error.outcome(), Outcome::Unknown);
        let full = Error::new(Asked::Publish, "orders", Why::Full { limit: "bytes_max" });
        assert_eq!(full.outcome(), Outcome::Refused);
    }

    #[test]
    fn the_cause_is_told_once() {
        let error = Error::new(Asked::Commit, "orders", Why::Broken).because("disk is full");
        assert!(!error.to_string().contains("disk"));
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "disk is full");
    }
}
