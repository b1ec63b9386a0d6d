//! Faults as data, and the seeded decision whether one happens to a try.
//!
//! Nothing is broken here: a [`Plan`] only says what should happen to a try, and whoever sends the try
//! obeys. The decision depends on nothing but the plan, the call's seed and the try's number, so a run
//! that went wrong can be replayed from its seed.
//!
//! In reading order:
//! - [`percent`]: [`Percent`], how often, in parts per million
//! - [`plan`]: [`Fault`], [`Kind`] and [`Plan`]
//! - [`injection`]: [`Injection`], what a plan decided for one try
//!
//! ```
//! use bowline_fault::{Fault, Kind, Percent, Plan, Then};
//!
//! let plan = Plan::new(vec![Fault { kind: Kind::DropFirst(2), percent: Percent::ALWAYS }]);
//! let seed = 42;
//! assert_eq!(plan.decide(seed, 1).then, Then::Drop);
//! assert_eq!(plan.decide(seed, 2).then, Then::Drop);
//! assert_eq!(plan.decide(seed, 3).then, Then::Send);
//! ```

pub mod injection;
pub mod percent;
pub mod plan;

pub use injection::{Injection, Then};
pub use percent::Percent;
pub use plan::{Fault, Kind, Plan};
