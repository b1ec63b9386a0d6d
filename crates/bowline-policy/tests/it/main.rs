//! What the machines do, seen from outside.
#![cfg(not(feature = "loom"))]

mod allocation;
mod balance;
mod call;
mod edge;
mod grpc;
mod health;
mod hedge;
mod outlier;
mod refresh;
mod replay;
mod walk;
mod world;
