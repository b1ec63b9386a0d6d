//! The words that every part of Bowline shares.
//!
//! Nothing here does anything: no clock is read, no socket opened, no random number drawn. Time and
//! randomness are arguments, which is what lets production, the simulator and the model checker run
//! the same code.
//!
//! In reading order:
//! - [`time`]: [`Instant`], nanoseconds since the process or the simulation began; [`WallTime`]
//! - [`random`]: [`Random`], where a decision's random numbers come from; [`SplitMix64`]
//! - [`outcome`]: [`Outcome`], what a try did to the world
//! - [`deadline`]: [`Deadline`], the instant by which a whole call must be over
//! - [`identity`]: [`Identity`], who a peer has proved to be
//! - [`access`]: why a caller is not let through
//! - [`priority`]: [`Priority`], how much it matters that a call is answered when not all can be
//! - [`trace`]: [`TraceContext`], W3C trace context
//! - [`decision`]: [`Decision`], everything a call decides, each with a named reason; [`Observer`]
//! - [`describe`](mod@describe): decisions in plain words, one line each
//!
//! ```
//! use bowline_model::{Deadline, Instant};
//! use std::time::Duration;
//!
//! let now = Instant::from_millis(1_000);
//! let deadline = Deadline::after(now, Duration::from_millis(300));
//! let later = now + Duration::from_millis(120);
//! assert_eq!(deadline.remaining(later), Duration::from_millis(180));
//! ```

pub mod access;
pub mod deadline;
pub mod decision;
pub mod describe;
pub mod identity;
pub mod outcome;
pub mod priority;
pub mod random;
pub mod time;
pub mod trace;

pub use deadline::Deadline;
pub use decision::{Decision, Observer, Trail};
pub use identity::Identity;
pub use outcome::Outcome;
pub use priority::Priority;
pub use random::{Random, SplitMix64};
pub use time::{Instant, WallTime};
pub use trace::TraceContext;
