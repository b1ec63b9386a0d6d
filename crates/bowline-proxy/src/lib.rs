//! Not yet written.
pub mod gate;
