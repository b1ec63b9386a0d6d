//! The simulator from outside.

mod advise;
mod design;
mod determinism;
mod experiment;
mod limits;
mod report;
mod scenarios;
mod sweep;
mod validation;
