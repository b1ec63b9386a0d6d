//! A broker that keeps records in order and lets groups read them at their own pace.
//!
//! Why two traits, [`Log`] and [`Queue`](crate::Queue). A log remembers where a group is, a queue remembers what was
//! settled; whoever hides the difference behind one trait loses replay with the one or settlement with the other.
//! Retries, dead letters, lanes, tracing and metrics are written once above both.
//!
//! What an implementation promises beside the documentation of the methods: it works on any tokio runtime, also one
//! of a single thread; it never blocks a thread that polls it; and what it declares in [`Log::capabilities`] the
//! conformance suite holds it to.

use crate::error::Error;
use crate::event::Event;
use crate::name::{Group, Topic};
use bowline_lane::{Assigned, Capabilities, Cursor};
use bowline_model::WallTime;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A future behind a pointer, so that traits can be used as objects and types stay short.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Topics that are kept as logs.
pub trait Log: Send + Sync + 'static {
    /// What it can do, as it is configured.
    fn capabilities(&self) -> &Capabilities;

    /// Makes a topic. A topic that is there already with as many partitions is a success and keeps what it holds;
    /// it takes over the retention.
    ///
    /// # Errors
    /// [`Why::TopicDiffers`](crate::Why::TopicDiffers), where it has another number of partitions.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it unknown whether the topic is there; make it again.
    fn create<'a>(&'a self, topic: &'a Topic, settings: TopicSettings) -> BoxFuture<'a, Result<(), Error>>;

    /// What the topic holds, a partition at a time.
    ///
    /// # Errors
    /// [`Why::NoSuchTopic`](crate::Why::NoSuchTopic).
    ///
    /// # Cancel safety
    /// Nothing happens.
    fn describe<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Vec<Bounds>, Error>>;

    /// Appends the events in their order, each to the partition of its key ([`Event::key`]); those without a key to
    /// any, all of one batch to the same. Completes once they are as durable as the capabilities say, with where each
    /// of them is.
    ///
    /// Events of one key that are appended one after the other, the second once the first is answered, are in that
    /// order. A batch is appended whole or, after an error that is `Refused` or `Failed`, not at all.
    ///
    /// `within` is how long it may take. It is a span and no instant because a broker may be another machine.
    ///
    /// # Errors
    /// [`Error::outcome`] says whether the records may have arrived: `Refused` and `Failed` surely not, `Unknown`
    /// perhaps. Waiting for room and not getting it within the time is `Refused`.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the outcome unknown: the records may be appended, whole, later.
    fn append<'a>(
        &'a self,
        topic: &'a Topic,
        events: Vec<Event>,
        within: Duration,
    ) -> BoxFuture<'a, Result<Vec<Position>, Error>>;

    /// Records of one partition from the offset `from` on, in order. Answers at once if there is one; otherwise it
    /// waits for one up to [`Window::wait`] and then answers with none. It is woken by the append; nobody polls.
    ///
    /// Offsets may have gaps. The next read begins after the last record that came, or, where none came, where this
    /// one began.
    ///
    /// # Errors
    /// [`Why::OffsetOutOfRange`](crate::Why::OffsetOutOfRange), where `from` is below what is kept or beyond the next.
    ///
    /// # Cancel safety
    /// Nothing is lost: reading moves no cursor.
    fn read<'a>(
        &'a self,
        topic: &'a Topic,
        partition: u32,
        from: u64,
        window: Window,
    ) -> BoxFuture<'a, Result<Vec<Record>, Error>>;

    /// The offset of the first record that was appended at `at` or later; that of the next one to come, where there
    /// is none.
    ///
    /// # Errors
    /// [`Why::NotSupported`](crate::Why::NotSupported), where replay is impossible.
    ///
    /// # Cancel safety
    /// Nothing happens.
    fn offset_at<'a>(
        &'a self,
        topic: &'a Topic,
        partition: u32,
        at: WallTime,
    ) -> BoxFuture<'a, Result<u64, Error>>;

    /// Enters a group. The group's members share the partitions of the topic; each partition has one owner at a time.
    /// A group that is new begins where `from` says.
    ///
    /// # Errors
    /// [`Why::NoSuchTopic`](crate::Why::NoSuchTopic).
    ///
    /// # Cancel safety
    /// Dropping the future leaves no member behind.
    fn join<'a>(
        &'a self,
        topic: &'a Topic,
        group: &'a Group,
        from: Start,
    ) -> BoxFuture<'a, Result<Box<dyn Member>, Error>>;

    /// Keeps the cursor, durably, if `epoch` is still the partition's: of two owners only the younger can write.
    /// Cursors of one owner take effect in the order in which they were given, those that nobody waited for as well.
    ///
    /// # Errors
    /// [`Why::Fenced`](crate::Why::Fenced), where the partition has another owner: surely nothing was written.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it unknown whether the cursor is written. Cursors are whole: write the next one.
    fn commit<'a>(
        &'a self,
        slot: &'a Slot,
        epoch: u64,
        cursor: Cursor,
        within: Duration,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// The group's cursor, for those who watch it. None where the group has not begun.
    ///
    /// # Errors
    /// [`Why::NoSuchTopic`](crate::Why::NoSuchTopic).
    ///
    /// # Cancel safety
    /// Nothing happens.
    fn cursor<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Option<Cursor>, Error>>;
}

/// A consumer's membership in a group.
///
/// Dropping it is what a crash looks like: its partitions go to others, with the cursors as they were last written.
pub trait Member: Send {
    /// The next change of what this member owns. Waits until there is one.
    ///
    /// # Errors
    /// [`Why::Closed`](crate::Why::Closed), [`Why::Broken`](crate::Why::Broken): the member owns nothing any more.
    ///
    /// # Cancel safety
    /// No change is lost.
    fn changed(&mut self) -> BoxFuture<'_, Result<Change, Error>>;

    /// Lets go of a partition that was asked for with [`Change::Revoking`]: it is worked on no more, and its cursor is
    /// written. Does nothing for a partition that is not owned.
    fn release(&mut self, partition: u32);

    /// Leaves in order: every owned partition is asked for with [`Change::Revoking`], and none is assigned any more.
    fn leave(&mut self);
}

/// A change of what a member owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A partition is this member's from now on.
    Assigned {
        /// The partition.
        partition: u32,
        /// Greater with every owner: the fence of [`Log::commit`].
        epoch: u64,
        /// Where its group is, and which keys are parked.
        state: Assigned,
    },
    /// A partition shall go to another member. Finish what is in the hands of handlers, write the cursor and
    /// [`Member::release`] it; after this long it is taken.
    Revoking {
        /// The partition.
        partition: u32,
        /// How long there is.
        within: Duration,
    },
    /// A partition is another member's already: cancel everything, write nothing.
    Lost {
        /// The partition.
        partition: u32,
    },
    /// After [`Member::leave`]: nothing is owned any more.
    Left,
}

/// How a topic is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// Into how many parts it is split. At least one.
    pub partitions: u32,
    /// How long records are kept.
    pub retention: Retention,
}

/// How long records are kept. A record goes when either bound is passed, whether groups have read it or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// For this long; for good where nothing is said.
    pub age: Option<Duration>,
    /// As long as the partition has at most so many bytes; any number where nothing is said.
    pub bytes: Option<u64>,
}

impl Default for TopicSettings {
    /// One partition, kept for good.
    fn default() -> Self {
        Self { partitions: 1, retention: Retention::default() }
    }
}

/// What a partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first record that is kept; `next`, where none is.
    pub first: u64,
    /// The offset that the next record gets.
    pub next: u64,
    /// The bytes that are kept.
    pub bytes: u64,
    /// When the first record that is kept was appended.
    pub oldest: Option<WallTime>,
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The partition of its topic.
    pub partition: u32,
    /// Its place there. Greater than that of every record before it.
    pub offset: u64,
}

/// A record as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its place in the partition.
    pub offset: u64,
    /// When the broker took it, by the broker's clock.
    pub at: WallTime,
    /// What it says.
    pub event: Arc<Event>,
}

/// How much to read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// At most so many records.
    pub records: u32,
    /// At most so many bytes, as [`Event::bytes`] counts; one record comes even if it is larger.
    pub bytes: u64,
    /// How long to wait where there is none.
    pub wait: Duration,
}

/// Where a group begins that is new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the first record that is kept.
    #[default]
    Earliest,
    /// With what is published from now on.
    Latest,
}

/// One partition of a topic, as one group sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The topic.
    pub topic: Topic,
    /// The group.
    pub group: Group,
    /// The partition.
    pub partition: u32,
}
