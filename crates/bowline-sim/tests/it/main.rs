//! The simulator from outside.

mod design;
mod experiment;
mod report;
mod scenarios;
mod sweep;
mod validation;
