//! What the machines do, seen from outside.
#![cfg(not(feature = "loom"))]

mod allocation;
mod call;
mod edge;
mod walk;
mod world;
