//! A file system for SQLite that forgets what was not synced: for tests of power loss alone.
//!
//! A [`Disk`] is in memory. It shows programs what they wrote, as an operating system does, and remembers beside it what
//! a disk would have: what was synced, and what was not. It can be switched off after any change, fail a sync, be full, or
//! refuse to be written. What it looks like afterwards is a choice ([`Survive`]): of each write that was not synced all,
//! nothing or some sectors may be there, in any combination.
//!
//! - [`disk`]: [`Disk`], what is remembered and what survives; pure, without a line of C
//! - [`vfs`]: [`Mount`], the disk as SQLite sees it
//!
//! Why of our own: the crates that wrap SQLite's file systems are either no longer kept or want libclang to build, and
//! neither has shared memory, without which there is no log.

pub mod disk;
pub mod vfs;

pub use disk::{Disk, Image, Survive};
pub use vfs::Mount;
