//! One candidate under one load.

use super::candidates::{Candidate, scratch};
use super::machine::{self, Core, LOAD_CORE, PROXY_CORE, Running, pinned};
use crate::{Stop, clock, run};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Connections of the saturating load.
const SATURATED_CONNECTIONS: &str = "64";
/// Connections of the open loop: more than it needs while answers come within 30 ms.
const OPEN_CONNECTIONS: &str = "64";
/// Requests a second of the open loop: what one sidecar sees rather than what a gateway can do.
pub(super) const OPEN_RATE: u32 = 2_000;
/// Connections under which memory is read.
const MEMORY_CONNECTIONS: &str = "256";
/// Before each measurement: caches, connections to the upstream, the branch predictor's memory.
const WARM_UP_SECONDS: f64 = 1.0;

/// What one measurement found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Processor time of the proxy for each request, in microseconds.
    pub(super) cpu_us: f64,
    pub(super) user_us: f64,
    pub(super) system_us: f64,
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// Answers other than 200, and connections that broke.
    pub(super) failed: u64,
    /// Of the proxy's core, in percent of the time.
    pub(super) stolen_percent: f64,
}

/// As many requests as the proxy can take: 64 connections that never wait.
pub(super) fn saturated(
    root: &Path,
    candidate: &Candidate,
    proxy: &Running,
    seconds: u32,
) -> Result<Sample, Stop> {
    wrk(root, candidate, SATURATED_CONNECTIONS, WARM_UP_SECONDS)?;
    let (cpu, core) = (machine::cpu_of_tree(proxy.id()), Core::read(PROXY_CORE));
    let seen = wrk(root, candidate, SATURATED_CONNECTIONS, seconds.into())?;
    let cpu = machine::cpu_of_tree(proxy.id()).since(cpu);
    let stolen_percent = Core::read(PROXY_CORE).stolen_percent_since(core);
    let requests = seen.requests as f64;
    Ok(Sample {
        cpu_us: cpu.total_us() / requests,
        user_us: cpu.user_us / requests,
        system_us: cpu.system_us / requests,
        per_second: seen.per_second,
        p50_ms: seen.p50_ms,
        p99_ms: seen.p99_ms,
        failed: seen.failed,
        stolen_percent,
    })
}

/// 2,000 requests a second, whatever the proxy does; latency from the instant each was due.
pub(super) fn open(
    root: &Path,
    this: &Path,
    candidate: &Candidate,
    proxy: &Running,
    seconds: u32,
) -> Result<Sample, Stop> {
    let mut command = Command::new(this);
    command.args([
        "load",
        "open",
        &candidate.address().to_string(),
        OPEN_CONNECTIONS,
        &OPEN_RATE.to_string(),
    ]);
    command.args([seconds.to_string(), WARM_UP_SECONDS.to_string()]);
    let (cpu, core) = (machine::cpu_of_tree(proxy.id()), Core::read(PROXY_CORE));
    let said = run::read(&mut pinned(root, LOAD_CORE, &command))?;
    let cpu = machine::cpu_of_tree(proxy.id()).since(cpu);
    let stolen_percent = Core::read(PROXY_CORE).stolen_percent_since(core);
    let said: Value = serde_json::from_str(said.trim())
        .map_err(|e| Stop::Missing(format!("the load generator said `{}`: {e}", said.trim())))?;
    let number = |name: &str| said[name].as_f64().unwrap_or(f64::NAN);
    // The warm-up's requests cost as much as the others, and are counted with them.
    let requests = number("requests");
    Ok(Sample {
        cpu_us: cpu.total_us() / requests,
        user_us: cpu.user_us / requests,
        system_us: cpu.system_us / requests,
        per_second: f64::from(OPEN_RATE),
        p50_ms: number("p50_us") / 1e3,
        p99_ms: number("p99_us") / 1e3,
        failed: said["failed"].as_u64().unwrap_or(u64::MAX),
        stolen_percent,
    })
}

/// Resident memory while 256 connections are busy, in megabytes.
pub(super) fn resident_mb(root: &Path, candidate: &Candidate, proxy: &Running) -> Result<f64, Stop> {
    let mut command = wrk_command(root, candidate, MEMORY_CONNECTIONS, 3.0);
    let mut load = command
        .stdout(Stdio::null())
        .spawn()
        .map_err(|e| Stop::Missing(format!("could not start `{}`: {e}", run::shown(&command))))?;
    clock::pause(Duration::from_secs(2));
    let resident = machine::resident_mb_of_tree(proxy.id());
    load.wait().map_err(|e| Stop::Missing(format!("wrk did not end: {e}")))?;
    Ok(resident)
}

/// Sends exactly so many requests over 16 connections.
pub(super) fn closed(root: &Path, this: &Path, candidate: &Candidate, requests: u64) -> Result<(), Stop> {
    let mut command = Command::new(this);
    command.args(["load", "closed", &candidate.address().to_string(), "16", &requests.to_string()]);
    let said = run::read(&mut pinned(root, LOAD_CORE, &command))?;
    let said: Value = serde_json::from_str(said.trim()).unwrap_or_default();
    if said["failed"] == 0 && said["requests"] == requests {
        return Ok(());
    }
    let log = scratch(root, candidate.name)?.join("log");
    Err(Stop::Broken(format!("not every answer was a 200: {said}; {} may know why", log.display())))
}

/// What wrk reported.
#[derive(Debug, PartialEq)]
struct Seen {
    requests: u64,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    failed: u64,
}

fn wrk_command(root: &Path, candidate: &Candidate, connections: &str, seconds: f64) -> Command {
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c", connections, "-d", &format!("{seconds:.0}s"), "--latency"]);
    command.arg(format!("http://{}/api/x", candidate.address()));
    pinned(root, LOAD_CORE, &command)
}

fn wrk(root: &Path, candidate: &Candidate, connections: &str, seconds: f64) -> Result<Seen, Stop> {
    let said = run::read(&mut wrk_command(root, candidate, connections, seconds))?;
    Seen::parse(&said).ok_or_else(|| Stop::Missing(format!("cannot read what wrk said:\n{said}")))
}

impl Seen {
    fn parse(text: &str) -> Option<Self> {
        let after = |start: &str| text.lines().map(str::trim).find_map(|line| line.strip_prefix(start));
        let requests =
            text.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())?;
        let bad = after("Non-2xx or 3xx responses:").map_or(Some(0), |n| n.trim().parse().ok())?;
        let broken = after("Socket errors:").unwrap_or_default().split(',');
        let broken: u64 = broken.filter_map(|part| part.trim().rsplit(' ').next()?.parse::<u64>().ok()).sum();
        Some(Self {
            requests,
            per_second: after("Requests/sec:")?.trim().parse().ok()?,
            p50_ms: millis(after("50%")?)?,
            p99_ms: millis(after("99%")?)?,
            failed: bad + broken,
        })
    }
}

/// `1.10ms`, `870.00us`, `1.02s`.
fn millis(text: &str) -> Option<f64> {
    let text = text.trim();
    let (number, factor) = text
        .strip_suffix("us")
        .map(|number| (number, 1e-3))
        .or_else(|| text.strip_suffix("ms").map(|number| (number, 1.0)))
        .or_else(|| text.strip_suffix('s').map(|number| (number, 1e3)))?;
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
Running 4s test @ http://127.0.0.1:17003/api/x
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.61ms    1.20ms  25.17ms   91.31%
    Req/Sec    24.95k     1.45k   27.30k    75.00%
  Latency Distribution
     50%    2.45ms
     75%  980.00us
     90%    3.22ms
     99%    1.02s
  99402 requests in 4.00s, 112.63MB read
Requests/sec:  24830.57
Transfer/sec:     28.13MB
";

    #[test]
    fn what_wrk_says_is_read() {
        let seen = Seen { requests: 99_402, per_second: 24_830.57, p50_ms: 2.45, p99_ms: 1_020.0, failed: 0 };
        assert_eq!(Seen::parse(SAID), Some(seen));
        assert_eq!(millis("980.00us"), Some(0.98));
    }

    #[test]
    fn bad_answers_and_broken_connections_count_as_failed() {
        let text = format!(
            "{SAID}  Socket errors: connect 1, read 20, write 0, timeout 3\n  Non-2xx or 3xx responses: 400\n"
        );
        assert_eq!(Seen::parse(&text).expect("readable").failed, 424);
    }

    #[test]
    fn an_error_of_wrk_is_not_taken_for_figures() {
        assert_eq!(Seen::parse("unable to connect to 127.0.0.1:17003 Connection refused"), None);
    }
}
