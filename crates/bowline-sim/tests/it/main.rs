//! The simulator from outside.

mod advise;
mod design;
mod determinism;
mod experiment;
mod report;
mod scenarios;
mod sweep;
mod validation;
