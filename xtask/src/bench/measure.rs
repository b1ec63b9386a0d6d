//! One candidate under one load.

use super::candidates::{Candidate, scratch};
use super::machine::{self, Core, LOAD_CORE, PROXY_CORE, Running, pinned};
use super::protocol::Protocol;
use super::{h2load, wrk};
use crate::{Stop, clock, run};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Connections of the saturating load.
const SATURATED_CONNECTIONS: u32 = 64;
/// Connections of the open loop: more than it needs while answers come within 30 ms.
const OPEN_CONNECTIONS: &str = "64";
/// Requests a second of the open loop: what one sidecar sees rather than what a gateway can do.
pub(super) const OPEN_RATE: u32 = 2_000;
/// Connections under which memory is read: of a gateway with something to do, and of a large one.
pub(super) const MEMORY_CONNECTIONS: [u32; 2] = [256, 1_000];
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

/// What a load generator reported.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) requests: u64,
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) failed: u64,
}

/// What is measured, and with what.
#[derive(Clone, Copy)]
pub(super) struct Bench<'a> {
    pub(super) root: &'a Path,
    /// The workshop's own program, which has the load generators for HTTP/1.1.
    pub(super) this: &'a Path,
    pub(super) protocol: Protocol,
}

impl Bench<'_> {
    /// As many requests as the proxy can take: 64 connections that never wait, or 8 of 16 streams.
    pub(super) fn saturated(
        &self,
        candidate: &Candidate,
        proxy: &Running,
        seconds: u32,
    ) -> Result<Sample, Stop> {
        let load = |seconds| match self.protocol {
            Protocol::Http1 => wrk::load(self.root, candidate, SATURATED_CONNECTIONS, seconds),
            Protocol::Http2 | Protocol::Grpc => h2load::saturated(self, candidate, seconds),
        };
        load(WARM_UP_SECONDS)?;
        sample(proxy, || load(seconds.into()))
    }

    /// 2,000 requests a second, whatever the proxy does; latency over HTTP/1.1 from the instant each was due. The
    /// warm-up's requests cost as much as the others, and are counted with them.
    pub(super) fn open(&self, candidate: &Candidate, proxy: &Running, seconds: u32) -> Result<Sample, Stop> {
        let sample = sample(proxy, || match self.protocol {
            Protocol::Http1 => self.open_http1(candidate, seconds),
            Protocol::Http2 | Protocol::Grpc => h2load::open(self, candidate, seconds, WARM_UP_SECONDS),
        })?;
        Ok(Sample { per_second: f64::from(OPEN_RATE), ..sample })
    }

    fn open_http1(&self, candidate: &Candidate, seconds: u32) -> Result<Seen, Stop> {
        let mut command = Command::new(self.this);
        command.args(["load", "open", &candidate.address().to_string(), OPEN_CONNECTIONS]);
        command.args([OPEN_RATE.to_string(), seconds.to_string(), WARM_UP_SECONDS.to_string()]);
        let said = run::read(&mut pinned(self.root, LOAD_CORE, &command))?;
        let said: Value = serde_json::from_str(said.trim())
            .map_err(|e| Stop::Missing(format!("the load generator said `{}`: {e}", said.trim())))?;
        let number = |name: &str| said[name].as_f64().unwrap_or(f64::NAN);
        Ok(Seen {
            requests: said["requests"].as_u64().unwrap_or_default(),
            per_second: f64::from(OPEN_RATE),
            p50_ms: number("p50_us") / 1e3,
            p99_ms: number("p99_us") / 1e3,
            failed: said["failed"].as_u64().unwrap_or(u64::MAX),
        })
    }

    /// Resident memory while so many connections are busy, in megabytes.
    pub(super) fn resident_mb(
        &self,
        candidate: &Candidate,
        proxy: &Running,
        connections: u32,
    ) -> Result<f64, Stop> {
        let mut command = match self.protocol {
            Protocol::Http1 => wrk::command(self.root, candidate, connections, 3.0),
            Protocol::Http2 | Protocol::Grpc => h2load::connections(self, candidate, connections, 3.0),
        };
        let mut load = command
            .stdout(Stdio::null())
            .spawn()
            .map_err(|e| Stop::Missing(format!("could not start `{}`: {e}", run::shown(&command))))?;
        clock::pause(Duration::from_secs(2));
        let resident = machine::resident_mb_of_tree(proxy.id());
        load.wait().map_err(|e| Stop::Missing(format!("the load did not end: {e}")))?;
        Ok(resident)
    }

    /// Sends exactly so many requests, 16 at a time.
    pub(super) fn closed(&self, candidate: &Candidate, requests: u64) -> Result<(), Stop> {
        let said = match self.protocol {
            Protocol::Http1 => {
                let mut command = Command::new(self.this);
                let address = candidate.address().to_string();
                command.args(["load", "closed", &address, "16", &requests.to_string()]);
                let said = run::read(&mut pinned(self.root, LOAD_CORE, &command))?;
                let said: Value = serde_json::from_str(said.trim()).unwrap_or_default();
                (said["requests"].as_u64(), said["failed"].as_u64())
            }
            Protocol::Http2 | Protocol::Grpc => {
                let seen = h2load::closed(self, candidate, requests)?;
                (Some(seen.requests), Some(seen.failed))
            }
        };
        if said == (Some(requests), Some(0)) {
            return Ok(());
        }
        let log = scratch(self.root, candidate.name)?.join("log");
        let (answered, failed) = (said.0.unwrap_or_default(), said.1.unwrap_or_default());
        Err(Stop::Broken(format!(
            "not every answer was a 200: {answered} of {requests} answered, {failed} of them badly; {} may know why",
            log.display()
        )))
    }
}

/// What the proxy's processes took while `load` ran.
fn sample(proxy: &Running, load: impl FnOnce() -> Result<Seen, Stop>) -> Result<Sample, Stop> {
    let (cpu, core) = (machine::cpu_of_tree(proxy.id()), Core::read(PROXY_CORE));
    let seen = load()?;
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
