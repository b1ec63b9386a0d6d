//! What the machines do, seen from outside.
#![cfg(not(feature = "loom"))]

mod allocation;
mod balance;
mod call;
mod edge;
mod walk;
mod world;
