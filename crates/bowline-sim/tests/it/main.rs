//! The simulator from outside.

mod report;
