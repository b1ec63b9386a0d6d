//! Records without a runtime: what brokers can do, and the consumer that keeps each key in order.
//!
//! A *record* is one entry of a *topic*, which is split in *partitions*; a *group* is consumers that share a topic; a
//! *lane* is the records of one key inside a group. Nothing here reads a clock, sleeps or knows an async runtime:
//! `bowline-bus` does that around it.
//!
//! In reading order:
//! - [`needs`]: what a topic or a subscription asks of its broker
//! - [`negotiate`](mod@negotiate): whether a broker meets it: by itself, by a recipe of ours, or not at all, and why
//! - [`brokers`]: what the brokers that we know can do, as a table
//! - [`key`]: the key of a record, and the partition that it belongs to
//! - [`settle`]: how a record's delivery ends, and what becomes of the record
//! - [`cursor`]: what has to survive of a group's work on one partition
//! - [`settings`]: everything that governs a consumer
//! - [`step`]: what a consumer is told, what it asks for, and what it decides, each with a named reason
//! - [`consumer`]: [`Consumer`], one member of a group as one machine; `slot`: one partition in its hands
//!
//! ```
//! use bowline_lane::{Durability, Needs, Order, Target, brokers, negotiate};
//!
//! let needs = Needs { order: Order::Key, durability: Durability::Fsync, ..Needs::default() };
//! assert!(negotiate(&needs, &brokers::EMBEDDED, Target::Remote).is_ok());
//!
//! let unmet = negotiate(&needs, &brokers::KAFKA, Target::Remote).unwrap_err();
//! assert!(unmet.to_string().contains("ask for `replicated`"), "{unmet}");
//! ```

pub mod brokers;
pub mod consumer;
pub mod cursor;
pub mod key;
pub mod needs;
pub mod negotiate;
pub mod settings;
pub mod settle;
mod slot;
pub mod step;

pub use consumer::Consumer;
pub use cursor::{Assigned, Cursor};
pub use key::Key;
pub use needs::{Durability, Effects, Need, Needs, Order};
pub use negotiate::{Capabilities, Plan, Support, Target, Unmet, negotiate};
pub use settings::{AfterDead, ConsumerSettings, Expired};
pub use settle::{Aside, Class, Ended};
pub use step::{Decision, DeliveryId, Effect, Fetched, Input, Observer};
