//! The proxy end to end: real sockets, a small real callee, a caller that writes bytes.

mod access;
mod breaker;
mod callees;
mod certificates;
mod credentials;
#[path = "../../../bowline-call/tests/it/dns.rs"]
mod dns;
mod faults;
mod files;
mod forgetting;
mod forwarding;
mod frames;
mod health;
mod hedging;
mod http2;
mod http2_abuse;
mod lifecycle;
mod names;
mod retries;
mod signing;
mod steering;
mod support;
mod tls;
mod tokens;
mod upgrade;
