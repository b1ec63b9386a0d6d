//! The proxy end to end: real sockets, a small real callee, a caller that writes bytes.

mod breaker;
mod callees;
mod faults;
mod forwarding;
mod lifecycle;
mod retries;
mod support;
