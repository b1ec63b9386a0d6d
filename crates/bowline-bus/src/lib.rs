//! Events: what brokers have to do, and what is built once above all of them.
//!
//! In reading order:
//! - [`name`]: names of topics and groups
//! - [`event`]: [`Event`], what a record says, as CloudEvents 1.0 has it; [`format`](mod@format): as messages of HTTP, Kafka,
//!   AMQP, NATS and Redis
//! - [`error`]: [`Error`], what went wrong and whether it took effect
//! - [`log`]: [`Log`], a broker that keeps records in order and lets groups read them at their own pace
//! - [`queue`]: [`Queue`], a broker that hands records out and remembers what was settled
//! - [`aside`]: [`DeadLetters`], where records are kept that were set aside
//! - [`handler`](mod@handler): [`Handler`], what a record is given to; [`consume`]: [`Subscription`], the consumer at work
//! - [`lag`](mod@lag): how far a group is behind, as an age
//! - [`memory`]: [`Memory`], a broker in memory that is all of this
//! - `conformance`, a feature: what every broker that claims a capability is held to
//!
//! What is needed of a broker and what it can do are words of [`bowline_lane`], and so is what a consumer decides.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use bowline_bus::{
//!     Control, Delivered, Event, Group, Log, Memory, Start, Subscription, Times, Topic, TopicSettings, Verdict, handler,
//! };
//! use bowline_lane::{ConsumerSettings, Needs, Order, Target, negotiate};
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! let broker = Memory::new();
//! let needs = Needs { order: Order::Key, ..Needs::default() };
//! negotiate(&needs, Log::capabilities(&broker), Target::Remote).expect("keys stay in order");
//!
//! let orders = Topic::new("orders").unwrap();
//! broker.create(&orders, TopicSettings::default()).await.unwrap();
//! let placed = |id| Event::builder(id, "/shop", "order.placed").partition_key("order-17").build().unwrap();
//! broker.append(&orders, vec![placed("1"), placed("2")], Duration::from_secs(1)).await.unwrap();
//!
//! let (control, controlled) = Control::new();
//! let allocate = handler(move |delivered: Delivered| {
//!     let control = control.clone();
//!     async move {
//!         if delivered.event.id() == "2" {
//!             control.stop();
//!         }
//!         Verdict::done()
//!     }
//! });
//! let subscription = Subscription {
//!     log: Arc::new(broker.clone()),
//!     dead_letters: Arc::new(broker.clone()),
//!     topic: orders,
//!     group: Group::new("inventory").unwrap(),
//!     from: Start::Earliest,
//!     settings: ConsumerSettings::default(),
//!     times: Times::default(),
//!     filter: None,
//!     seed: 1,
//! };
//! subscription.run(allocate, controlled, &mut ()).await.unwrap();
//! # });
//! ```

pub mod aside;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod consume;
pub mod error;
pub mod event;
pub mod format;
pub mod handler;
pub mod lag;
pub mod log;
pub mod memory;
mod moment;
pub mod name;
pub mod queue;

pub use aside::{DeadLetter, DeadLetters};
pub use consume::{Control, Controlled, Filter, Subscription, Times};
pub use error::{Asked, Error, Why};
pub use event::{BadEvent, Event, EventBuilder, Value};
pub use handler::{Delivered, Handler, Verdict, handler};
pub use lag::{Lag, lag};
pub use log::{
    Bounds, BoxFuture, Change, Log, Member, Position, Record, Retention, Slot, Start, TopicSettings, Window,
};
pub use memory::{Memory, MemoryLimits};
pub use name::{BadName, Group, Topic};
pub use queue::{Credits, Delivery, Queue, Receiver, Settlement, Ticket};
