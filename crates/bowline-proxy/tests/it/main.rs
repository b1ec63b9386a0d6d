//! The proxy end to end: real sockets, a small real callee, a caller that writes bytes.

mod breaker;
mod callees;
mod certificates;
mod faults;
mod forwarding;
mod frames;
mod http2;
mod http2_abuse;
mod lifecycle;
mod retries;
mod support;
mod tls;
mod upgrade;
