//! The library as its users meet it. One binary, because each one links everything again.

mod calls;
mod grpc;
mod layers;
mod link;
mod support;
