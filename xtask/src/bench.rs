//! `cargo xtask bench`: what a request costs, beside what it costs elsewhere.
//!
//! - [`proxy`]: the rounds of `bench proxy`, `proxy-h2` and `proxy-grpc`, told in order
//! - [`protocol`]: what those three differ in; [`wrk`], [`h2load`]: their load generators
//! - [`candidates`]: Bowline and its peers, how each is started
//! - [`measure`]: one candidate under one load
//! - [`machine`]: processes, cores, and what `/proc` says about them
//! - [`summary`]: medians, the table, the line of JSON
//! - [`callgrind`]: instructions of one request; [`ratchet`]: that they do not grow
//! - [`bad_host`]: `bench bad-host`; [`overload`]: `bench overload`; [`policy`]: `bench policy`; [`sim`]: `bench sim`; [`tls`]: `bench tls`

mod bad_host;
mod callgrind;
mod candidates;
mod h2load;
pub(crate) mod machine;
mod measure;
mod overload;
mod policy;
mod protocol;
mod proxy;
pub(crate) mod ratchet;
mod sim;
mod summary;
mod tls;
mod wrk;

use crate::Stop;
use protocol::Protocol;

const HELP: &str = "\
cargo xtask bench proxy [--rounds N] [--seconds S] [--only NAME,..] [--program 'COMMAND'] [--output json]
cargo xtask bench proxy-h2|proxy-grpc, with the same options
cargo xtask bench bad-host [--seconds S] [--seed N] [--program PATH] [--output json]
cargo xtask bench overload [--program PATH] [--output json]
cargo xtask bench policy [--output json]
cargo xtask bench sim [--whole] [--output json]
cargo xtask bench tls [--output json]

proxy    Bowline, Envoy, nginx and haproxy in front of one upstream that answers with 1 KiB: the proxy
         alone on core 0, the upstream and the load on core 1. Saturated, at 2,000 requests a second,
         with 256 and 1,000 connections, and Bowline once more under callgrind. About six minutes.
         --program measures another command in Bowline's place; it must serve 127.0.0.1:17001 from
         the upstream at 127.0.0.1:17000.
proxy-h2, proxy-grpc
         The same over HTTP/2 on both sides, and for unary gRPC calls, beside Envoy and haproxy.
bad-host Ten hosts of which one fails at once, is slow, or refuses connections: how many requests meet it after the
         first second, through Bowline, through Envoy, and as the simulator predicts. About four minutes.
overload A callee at three times its capacity behind the gateway, without protection and with it, beside what the
         simulator predicts. About two and a half minutes; --program measures that `bowline`.
policy   `cargo bench -p bowline-policy`.
sim      Events a second in virtual time, one server without policies and a chain of six services with all of
         them; memory for ten times the simulated time; six services, 1,000/s, ten minutes, three arms, two
         seeds on two cores. --whole runs twenty seeds.
tls      Handshakes of TLS 1.3, from the beginning and resumed, beside nginx; OpenSSL's s_time is the load. About
         a minute and a half.

With --output json the last line is one JSON object with every figure.";

pub(crate) fn main(args: &[String]) -> Result<(), Stop> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{HELP}");
        return Ok(());
    }
    match args.split_first().map(|(what, rest)| (what.as_str(), rest)) {
        Some(("proxy", rest)) => proxy::main(Protocol::Http1, rest),
        Some(("proxy-h2", rest)) => proxy::main(Protocol::Http2, rest),
        Some(("proxy-grpc", rest)) => proxy::main(Protocol::Grpc, rest),
        Some(("bad-host", rest)) => bad_host::main(rest),
        Some(("overload", rest)) => overload::main(rest),
        Some(("policy", rest)) => policy::main(rest),
        Some(("sim", rest)) => sim::main(rest),
        Some(("tls", rest)) => tls::main(rest),
        _ => {
            let usage = "say `bench proxy`, `proxy-h2`, `proxy-grpc`, `bad-host`, `overload`, `policy`, `sim` or `tls`; --help tells more";
            Err(Stop::Usage(usage.to_owned()))
        }
    }
}
