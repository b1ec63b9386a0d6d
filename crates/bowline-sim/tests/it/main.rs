//! The simulator from outside.

mod design;
mod report;
