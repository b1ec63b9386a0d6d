//! [`Error`]: what the store could not do, and whether it may have happened all the same.

use bowline_model::Outcome;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// What the store could not do.
///
/// The question that a caller has to decide by is [`Error::outcome`]: *refused* surely had no effect and may be
/// asked again, *failed* surely had none and cannot be helped by asking again, *unknown* may be in the store.
/// All requests of a batch that failed together share one error.
#[derive(Clone, Debug)]
pub struct Error(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    reason: Reason,
    outcome: Outcome,
    /// SQLite or the operating system said so, and not of a statement.
    of_file: bool,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Why, as one word for metrics and for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A setting has no meaning, zero readers for one.
    BadSetting,
    /// Another process has the folder open; the message has its id.
    InUse,
    /// The folder's file is no store of Bowline's.
    NotOurs,
    /// The store was written by a version that this one cannot follow.
    VersionUnknown,
    /// What is stored is damaged; the message says where.
    Corrupt,
    /// No such topic, or no such partition of it.
    TopicUnknown,
    /// A topic of that name exists and is another one.
    TopicDiffers,
    /// A request, a record or a list in it is larger than its limit.
    TooLarge,
    /// A name or a value that cannot be stored.
    BadValue,
    /// A cursor was to go beyond the end.
    BadCursor,
    /// The partition has another owner in that group: stop at once.
    Fenced,
    /// The disk is full.
    DiskFull,
    /// The file cannot be written.
    ReadOnly,
    /// Another program held the file's lock for too long.
    Busy,
    /// Reading or writing the file failed.
    Io,
    /// There was not enough memory.
    OutOfMemory,
    /// SQLite said no to a statement.
    Statement,
    /// The store opens its file anew after a failure and takes nothing meanwhile.
    Reopening,
    /// The store is closed.
    Closed,
}

impl Reason {
    /// The word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadSetting => "bad-setting",
            Self::InUse => "in-use",
            Self::NotOurs => "not-ours",
            Self::VersionUnknown => "version-unknown",
            Self::Corrupt => "corrupt",
            Self::TopicUnknown => "topic-unknown",
            Self::TopicDiffers => "topic-differs",
            Self::TooLarge => "too-large",
            Self::BadValue => "bad-value",
            Self::BadCursor => "bad-cursor",
            Self::Fenced => "fenced",
            Self::DiskFull => "disk-full",
            Self::ReadOnly => "read-only",
            Self::Busy => "busy",
            Self::Io => "io",
            Self::OutOfMemory => "out-of-memory",
            Self::Statement => "statement",
            Self::Reopening => "reopening",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error {
    /// What became of the request: *refused*, *failed* or *unknown*.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// No effect, and asking again cannot help.
    pub(crate) fn failed(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(reason, Outcome::Failed, message, None)
    }

    /// No effect, and it may be asked again.
    pub(crate) fn refused(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(reason, Outcome::Refused, message, None)
    }

    pub(crate) fn closed() -> Self {
        Self::refused(Reason::Closed, "the store is closed")
    }

    /// The writer is gone, and took the request with it.
    pub(crate) fn lost() -> Self {
        Self::new(Reason::Closed, Outcome::Unknown, "the store's writer has died; open the store again", None)
    }

    pub(crate) fn io(message: impl Into<String>, source: std::io::Error) -> Self {
        let reason = match source.kind() {
            std::io::ErrorKind::StorageFull => Reason::DiskFull,
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => Reason::ReadOnly,
            _ => Reason::Io,
        };
        Self::new(reason, Outcome::Refused, message, Some(Box::new(source)))
    }

    /// What SQLite said while nothing was committed yet.
    pub(crate) fn sqlite(doing: &str, source: rusqlite::Error) -> Self {
        let (reason, outcome) = classify(&source);
        Self::new(reason, outcome, format!("failed to {doing}{}", hint(reason)), Some(Box::new(source)))
    }

    /// The same, where the statement that failed may have taken effect: a commit.
    pub(crate) fn sqlite_at_commit(source: rusqlite::Error) -> Self {
        let (reason, outcome) = classify(&source);
        // A full disk cut the commit's last frame off, and a refused lock never began it; of any other
        // failure, a failed sync above all, nobody can say what reached the disk.
        let outcome = match reason {
            Reason::DiskFull | Reason::Busy => outcome,
            _ => Outcome::Unknown,
        };
        Self::new(reason, outcome, format!("failed to commit{}", hint(reason)), Some(Box::new(source)))
    }

    /// Whether it says something about the file and not about the request: the whole batch fails with it.
    pub(crate) fn is_of_file(&self) -> bool {
        self.0.of_file
    }

    fn new(
        reason: Reason,
        outcome: Outcome,
        message: impl Into<String>,
        source: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let of_file = source.is_some() && reason != Reason::Statement;
        Self(Arc::new(Inner { reason, outcome, of_file, message: message.into(), source }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

fn classify(error: &rusqlite::Error) -> (Reason, Outcome) {
    use rusqlite::ErrorCode;
    let Some(code) = error.sqlite_error_code() else { return (Reason::Statement, Outcome::Failed) };
    match code {
        ErrorCode::DiskFull => (Reason::DiskFull, Outcome::Refused),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => (Reason::ReadOnly, Outcome::Refused),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
            (Reason::Busy, Outcome::Refused)
        }
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => (Reason::Io, Outcome::Refused),
        ErrorCode::OutOfMemory => (Reason::OutOfMemory, Outcome::Refused),
        ErrorCode::DatabaseCorrupt => (Reason::Corrupt, Outcome::Failed),
        ErrorCode::NotADatabase => (Reason::NotOurs, Outcome::Failed),
        _ => (Reason::Statement, Outcome::Failed),
    }
}

/// What to do about it, where there is something.
fn hint(reason: Reason) -> &'static str {
    match reason {
        Reason::DiskFull => ": the disk is full; the store goes on by itself once there is room",
        Reason::ReadOnly => {
            ": the file cannot be written; look at its permissions and at how the disk is mounted"
        }
        Reason::Busy => ": another program holds the file's lock; end what has it open",
        Reason::Corrupt => ": the file is damaged; verify it, and restore a backup",
        Reason::NotOurs => ": the file is no SQLite database; name another folder",
        _ => "",
    }
}
