//! h2load: HTTP/2, and gRPC as far as a proxy can tell.
//!
//! It counts an answer of status 200 as good, also of a gRPC call, and reads no trailers; how many bytes came says
//! whether the answers were whole.

use super::candidates::{Candidate, scratch};
use super::machine::{LOAD_CORE, pinned};
use super::measure::{Bench, OPEN_RATE, Seen};
use super::protocol::Protocol;
use crate::load::percentile;
use crate::{Stop, run};
use std::path::Path;
use std::process::Command;

/// Connections, as few as callers of HTTP/2 open.
const CONNECTIONS: u32 = 8;
/// Streams on each that never wait.
const STREAMS: u32 = 16;
/// Streams on each in the open loop: more than it needs while answers come within 300 ms, fewer than any proxy
/// here refuses.
const OPEN_STREAMS: u32 = 96;

/// A gRPC message: not compressed, 6 bytes long, and these. h2load reads it from a file.
const MESSAGE: &[u8] = b"\x00\x00\x00\x00\x06\x0a\x04ping";
/// The bytes of each answer's body, by what `callee_http2` sends.
const fn body_bytes(protocol: Protocol) -> u64 {
    match protocol {
        Protocol::Http1 | Protocol::Http2 => 1_024,
        Protocol::Grpc => 32,
    }
}

/// As many requests as the proxy can take.
pub(super) fn saturated(bench: &Bench<'_>, candidate: &Candidate, seconds: f64) -> Result<Seen, Stop> {
    let mut args = size(CONNECTIONS, STREAMS);
    args.push(format!("-D{seconds:.0}"));
    load(bench, candidate, args, 0.0)
}

/// A constant rate. Latency is counted from when a request was sent; what comes before `warm_up` is over is not in it.
pub(super) fn open(
    bench: &Bench<'_>,
    candidate: &Candidate,
    seconds: u32,
    warm_up: f64,
) -> Result<Seen, Stop> {
    let mut args = size(CONNECTIONS, OPEN_STREAMS);
    let requests = (f64::from(seconds) + warm_up) * f64::from(OPEN_RATE);
    args.extend([format!("-n{requests:.0}"), format!("--rps={}", OPEN_RATE / CONNECTIONS)]);
    load(bench, candidate, args, warm_up)
}

/// Exactly so many requests, 16 at a time.
pub(super) fn closed(bench: &Bench<'_>, candidate: &Candidate, requests: u64) -> Result<Seen, Stop> {
    let mut args = size(CONNECTIONS, 2);
    args.push(format!("-n{requests}"));
    load(bench, candidate, args, 0.0)
}

/// So many connections with one stream each.
pub(super) fn connections(
    bench: &Bench<'_>,
    candidate: &Candidate,
    connections: u32,
    seconds: f64,
) -> Command {
    let mut args = size(connections, 1);
    args.push(format!("-D{seconds:.0}"));
    command(bench, candidate, args)
}

fn size(connections: u32, streams: u32) -> Vec<String> {
    vec![format!("-c{connections}"), format!("-m{streams}")]
}

fn command(bench: &Bench<'_>, candidate: &Candidate, args: Vec<String>) -> Command {
    let mut command = Command::new("h2load");
    command.arg("-t1").args(args);
    if bench.protocol == Protocol::Grpc {
        command.args(["-H", "content-type: application/grpc", "-H", "te: trailers", "-d"]);
        command.arg(run::target(bench.root).join("bench/message"));
    }
    command.arg(format!("http://{}/api/x", candidate.address()));
    pinned(bench.root, LOAD_CORE, &command)
}

fn load(bench: &Bench<'_>, candidate: &Candidate, mut args: Vec<String>, skip: f64) -> Result<Seen, Stop> {
    let folder = scratch(bench.root, "h2load")?;
    let missing = |path: &Path, e: std::io::Error| Stop::Missing(format!("{}: {e}", path.display()));
    let message = run::target(bench.root).join("bench/message");
    std::fs::write(&message, MESSAGE).map_err(|e| missing(&message, e))?;
    let log = folder.join("log");
    let _ = std::fs::remove_file(&log);
    args.push(format!("--log-file={}", log.display()));
    let said = run::read(&mut command(bench, candidate, args))?;
    let each = std::fs::read_to_string(&log).map_err(|e| missing(&log, e))?;
    parse(&said, &each, body_bytes(bench.protocol), skip)
        .ok_or_else(|| Stop::Missing(format!("cannot read what h2load said:\n{said}")))
}

/// Reads what it said of all, and its line for each request: when it was sent and how long it took, both in
/// microseconds, around the status.
fn parse(text: &str, each: &str, body_bytes: u64, skip: f64) -> Option<Seen> {
    let after = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
    let number = |list: &str, what: &str| {
        list.split(',').find_map(|part| part.trim().strip_suffix(what)?.trim().parse::<u64>().ok())
    };
    let counts = after("requests: ")?;
    let good = number(after("status codes: ")?, " 2xx")?;
    let requests = number(counts, " done")?;
    let per_second = after("finished in ")?.split(',').nth(1)?.trim().strip_suffix(" req/s")?.parse().ok()?;
    let data = after("traffic: ")?.rsplit(',').next()?.trim().strip_suffix(" data")?;
    let data: u64 = data.split(['(', ')']).nth(1)?.parse().ok()?;
    let whole = data / body_bytes;

    let mut lines = Vec::new();
    for line in each.lines() {
        let mut fields = line.split('\t').map(str::parse::<u64>);
        let (sent, took) = (fields.next()?.ok()?, fields.nth(1)?.ok()?);
        lines.push((sent, took));
    }
    let first = lines.iter().map(|(sent, _)| *sent).min()?;
    let later = |(sent, took): (u64, u64)| ((sent - first) as f64 >= skip * 1e6).then_some(took);
    let mut took: Vec<u64> = lines.into_iter().filter_map(later).collect();
    took.sort_unstable();
    Some(Seen {
        requests,
        per_second,
        p50_ms: percentile(&took, 0.5) as f64 / 1e3,
        p99_ms: percentile(&took, 0.99) as f64 / 1e3,
        failed: requests.saturating_sub(good.min(whole)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
finished in 2.00s, 2.00 req/s, 29.80MB/s
requests: 4 total, 4 started, 4 done, 4 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 4 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 4.20KB (4300) total, 120B (120) headers (space savings 90.00%), 4.00KB (4096) data
                     min         max         mean         sd        +/- sd
time for request:      100us      2.00ms       1.00ms       200us    70.00%
";
    const EACH: &str = "1000000\t200\t9000\n2500000\t200\t100\n2600000\t200\t300\n2700000\t200\t200\n";

    #[test]
    fn what_h2load_says_is_read_and_the_warm_up_left_out_of_latency() {
        let seen = Seen { requests: 4, per_second: 2.0, p50_ms: 0.2, p99_ms: 0.3, failed: 0 };
        assert_eq!(parse(SAID, EACH, 1_024, 1.0), Some(seen));
        assert_eq!(parse(SAID, EACH, 1_024, 0.0).expect("readable").p99_ms, 9.0);
    }

    #[test]
    fn an_answer_without_its_body_has_failed() {
        let text = SAID.replace("(4096)", "(3072)");
        assert_eq!(parse(&text, EACH, 1_024, 0.0).expect("readable").failed, 1);
        let text = SAID.replace("4 2xx, 0 3xx, 0 4xx, 0 5xx", "2 2xx, 0 3xx, 0 4xx, 2 5xx");
        assert_eq!(parse(&text, EACH, 1_024, 0.0).expect("readable").failed, 2);
    }
}
