//! The client against callees on real sockets.

mod bench;
mod check;
mod connections;
mod dns;
mod grpc;
mod hedging;
mod http2;
mod keeping;
mod names;
mod peer;
mod tls;
