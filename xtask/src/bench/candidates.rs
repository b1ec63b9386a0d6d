//! Bowline and its peers: where each listens and how it is started. Their configurations are in
//! `xtask/bench/`, complete enough to start each by hand; the ports are the same there.

use super::machine::{LOAD_CORE, PROXY_CORE, Running, pinned};
use super::protocol::Protocol;
use crate::tools::{ENVOY, HAPROXY, NGINX, Tool};
use crate::{Stop, run};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) const UPSTREAM_PORT: u16 = 17_000;
pub(super) const BOWLINE_PORT: u16 = 17_001;
/// Bowline's local API, out of the way of one that runs beside the benchmark.
const BOWLINE_API_PORT: u16 = 17_011;

/// One that is measured.
pub(super) struct Candidate {
    pub(super) name: &'static str,
    pub(super) port: u16,
    /// What has to be installed for it.
    pub(super) tool: Option<Tool>,
    /// What it is measured with.
    pub(super) speaks: &'static [Protocol],
    /// The command, before it is held to its core. The second argument is its own scratch folder.
    pub(super) command: fn(&Path, &Path, Protocol) -> Command,
}

pub(super) const BOWLINE: &str = "bowline";

/// The example of `bowline-proxy` that answers over HTTP/2.
pub(super) const CALLEE_HTTP2: &str = "callee_http2";

pub(super) const CANDIDATES: &[Candidate] = &[
    Candidate { name: BOWLINE, port: BOWLINE_PORT, tool: None, speaks: Protocol::ALL, command: bowline },
    Candidate { name: "envoy", port: 17_002, tool: Some(ENVOY), speaks: Protocol::ALL, command: envoy },
    // Debian's speaks no HTTP/2 towards servers.
    Candidate { name: "nginx", port: 17_003, tool: Some(NGINX), speaks: &[Protocol::Http1], command: nginx },
    Candidate { name: "haproxy", port: 17_004, tool: Some(HAPROXY), speaks: Protocol::ALL, command: haproxy },
];

impl Candidate {
    pub(super) fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    /// Starts it on the proxies' core; `instead` replaces its command.
    pub(super) fn start(
        &self,
        root: &Path,
        protocol: Protocol,
        instead: Option<&str>,
    ) -> Result<Running, Stop> {
        let scratch = scratch(root, self.name)?;
        let command = match instead {
            Some(line) => words(root, line)?,
            None => (self.command)(root, &scratch, protocol),
        };
        Running::start(pinned(root, PROXY_CORE, &command), self.address(), &scratch.join("log"))
    }
}

/// Starts the upstream on the load's core. `this` is the workshop's own program.
pub(super) fn start_upstream(root: &Path, this: &Path, protocol: Protocol) -> Result<Running, Stop> {
    let address = loopback(UPSTREAM_PORT);
    let command = match protocol {
        Protocol::Http1 => {
            let mut command = Command::new(this);
            command.arg("upstream").arg(address.to_string());
            command
        }
        Protocol::Http2 | Protocol::Grpc => {
            let mut command = Command::new(run::target(root).join("release/examples").join(CALLEE_HTTP2));
            command.arg(address.to_string());
            command
        }
    };
    Running::start(pinned(root, LOAD_CORE, &command), address, &scratch(root, "upstream")?.join("log"))
}

pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A folder for what a candidate writes.
pub(super) fn scratch(root: &Path, name: &str) -> Result<PathBuf, Stop> {
    let folder = run::target(root).join("bench").join(name);
    std::fs::create_dir_all(&folder)
        .map_err(|e| Stop::Missing(format!("cannot create {}: {e}", folder.display())))?;
    Ok(folder)
}

/// A command line without quotes, as `--program` takes it.
pub(super) fn words(root: &Path, line: &str) -> Result<Command, Stop> {
    let mut words = line.split_whitespace();
    let program = words.next().ok_or_else(|| Stop::Usage("--program wants a command".to_owned()))?;
    let mut command = run::program(root, program);
    command.args(words);
    Ok(command)
}

fn config(root: &Path, file: &str) -> PathBuf {
    root.join("xtask/bench").join(file)
}

/// One worker: one core is what everybody has here.
pub(super) fn bowline(root: &Path, scratch: &Path, protocol: Protocol) -> Command {
    bowline_of(root, scratch, protocol, 1)
}

/// Bowline with so many workers.
pub(super) fn bowline_of(root: &Path, scratch: &Path, protocol: Protocol, workers: u32) -> Command {
    let mut command = run::program(root, &run::target(root).join("release/bowline").to_string_lossy());
    command.arg("up").arg(config(root, protocol.either("design", "design-h2")));
    command
        .args(["--only", "gateway", "--workers", &workers.to_string(), "--api"])
        .arg(loopback(BOWLINE_API_PORT).to_string());
    command.arg("--data").arg(scratch.join("data"));
    command
}

fn envoy(root: &Path, _scratch: &Path, protocol: Protocol) -> Command {
    let program = run::tools(root).join("python/envoy/_bin/envoy");
    let mut command = run::program(root, &program.to_string_lossy());
    // `--disable-hot-restart`: no shared memory that a second Envoy on the machine could share.
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "-c"]);
    command.arg(config(root, protocol.either("envoy.yaml", "envoy-h2.yaml")));
    command
}

fn nginx(root: &Path, scratch: &Path, _protocol: Protocol) -> Command {
    let mut command = run::program(root, "/usr/sbin/nginx");
    command.arg("-p").arg(scratch).arg("-c").arg(config(root, "nginx.conf")).args(["-e", "stderr"]);
    command
}

fn haproxy(root: &Path, _scratch: &Path, protocol: Protocol) -> Command {
    let mut command = run::program(root, "/usr/sbin/haproxy");
    command.arg("-db").arg("-f").arg(config(root, protocol.either("haproxy.cfg", "haproxy-h2.cfg")));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_configuration_listens_where_its_candidate_is_asked() {
        let root = run::root().expect("tests run inside the tree");
        let files: [&[&str]; 4] = [
            &["design/bench.yaml", "design-h2/bench.yaml"],
            &["envoy.yaml", "envoy-h2.yaml"],
            &["nginx.conf"],
            &["haproxy.cfg", "haproxy-h2.cfg"],
        ];
        for (candidate, files) in CANDIDATES.iter().zip(files) {
            for file in files {
                let text = std::fs::read_to_string(config(&root, file)).expect("the file is there");
                assert!(text.contains(&candidate.port.to_string()), "{file} listens at {}", candidate.port);
                assert!(text.contains(&UPSTREAM_PORT.to_string()), "{file} asks the upstream");
            }
        }
    }
}
