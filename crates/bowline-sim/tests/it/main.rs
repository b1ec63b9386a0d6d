//! The simulator from outside.

mod advise;
mod dead_letters;
mod design;
mod determinism;
mod experiment;
mod grpc;
mod limits;
mod outage;
mod report;
mod scenarios;
mod sweep;
mod validation;
