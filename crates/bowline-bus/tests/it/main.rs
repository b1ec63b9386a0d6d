//! What the bus does, seen from outside.

mod consume;
mod format;
mod groups;
mod memory;
#[cfg(feature = "conformance")]
mod suite;
mod support;
