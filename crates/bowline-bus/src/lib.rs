//! Events: what brokers have to do, and what is built once above all of them.
//!
//! In reading order:
//! - [`name`]: names of topics and groups
//! - [`event`]: [`Event`], what a record says, as CloudEvents 1.0 has it
//! - [`error`]: [`Error`], what went wrong and whether it took effect
//! - [`log`]: [`Log`], a broker that keeps records in order and lets groups read them at their own pace
//! - [`queue`]: [`Queue`], a broker that hands records out and remembers what was settled
//! - [`aside`]: [`DeadLetters`], where records are kept that were set aside
//!
//! What is needed of a broker and what it can do are words of `bowline-lane`.

pub mod aside;
pub mod error;
pub mod event;
pub mod log;
mod moment;
pub mod name;
pub mod queue;

pub use aside::{DeadLetter, DeadLetters};
pub use error::{Asked, Error, Why};
pub use event::{BadEvent, Event, EventBuilder, Value};
pub use log::{
    Bounds, BoxFuture, Change, Log, Member, Position, Record, Retention, Slot, Start, TopicSettings, Window,
};
pub use name::{BadName, Group, Topic};
pub use queue::{Credits, Delivery, Queue, Receiver, Settlement, Ticket};
