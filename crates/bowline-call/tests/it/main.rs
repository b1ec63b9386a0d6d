//! The client against callees on real sockets.

mod bench;
mod connections;
mod grpc;
mod http2;
mod peer;
mod tls;
