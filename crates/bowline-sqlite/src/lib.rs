//! The embedded store: durable topics in one SQLite file, with one writer that commits for everybody.
//!
//! A request is answered when it is on the disk. One thread takes all requests that wait, applies them in one
//! transaction, syncs once and answers them together, so that 64 producers share the price of a sync. Readers have
//! connections of their own and wait for nobody.
//!
//! In reading order:
//! - [`store`]: [`Store`], one folder, opened; [`settings`]: [`Settings`], its limits; [`error`]: [`Error`], and what became of
//!   the request
//! - [`topic`]: [`Topic`] to append, read and follow; [`record`]: [`Record`]; [`letter`]: [`Letter`], one that was set aside;
//!   `groups`: how far readers are
//! - [`write`](mod@write): [`Write`], changes that are made together
//! - `queue`, `writer`, `apply`, `heads`: from a request to its answer
//! - `readers`; `copier`: the log into the file; `upkeep`: retention and compaction
//! - [`format`](mod@format): how a record is stored; [`schema`]: the tables and their versions
//! - [`check`]: what a start looks at, and [`verify`]; `lock`: one process for a folder
//! - [`metrics`]: [`Reading`](metrics::Reading), the store's figures
//!
//! ```
//! # let folder = std::env::temp_dir().join(format!("bowline-store-doc-{}", std::process::id()));
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use bowline_sqlite::{Limits, Record, Settings, Store, TopicSpec};
//!
//! let store = Store::open(&folder, Settings::default())?;
//! let orders = store.create_topic("orders", TopicSpec::new(4)).await?;
//! let appended = orders.append(0, &[Record::new("A47", "two pieces")]).await?; // on the disk from here on
//! let page = orders.read(0, appended.first, Limits::default()).await?;
//! assert_eq!(page.records[0].record, Record::new("A47", "two pieces"));
//! # drop(store);
//! # std::fs::remove_dir_all(&folder).unwrap();
//! # Ok::<(), bowline_sqlite::Error>(()) }).unwrap();
//! ```

mod apply;
pub mod check;
pub mod clock;
mod copier;
pub mod directory;
pub mod error;
mod file;
pub mod format;
mod groups;
mod heads;
pub mod letter;
mod lock;
pub mod metrics;
mod queue;
mod readers;
pub mod record;
pub mod schema;
pub mod settings;
pub mod store;
pub mod topic;
mod upkeep;
pub mod write;
mod writer;

pub use directory::{Keep, TopicSpec};
pub use error::{Error, Reason};
pub use letter::{Letter, Slot};
pub use record::{PartitionId, Record, Stored};
pub use settings::Settings;
pub use store::{Store, verify};
pub use topic::{Bounds, Limits, Page, Tail, Topic};
pub use write::{Appended, Claimed, Class, Write, Written};
