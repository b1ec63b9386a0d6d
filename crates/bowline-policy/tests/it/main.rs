//! What the machines do, seen from outside.
#![cfg(not(feature = "loom"))]

mod allocation;
mod balance;
mod call;
mod edge;
mod outlier;
mod replay;
mod walk;
mod world;
