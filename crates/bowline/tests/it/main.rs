//! The library as its users meet it. One binary, because each one links everything again.

mod calls;
mod format;
mod grpc;
mod hops;
mod layers;
mod link;
mod support;
