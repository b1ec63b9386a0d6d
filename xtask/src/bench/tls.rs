//! `bench tls`: what a handshake costs, from the beginning and resumed, beside nginx.
//!
//! Each connection is one handshake, one request that the server answers by itself, and its end. The load is OpenSSL's
//! `s_time`, one connection after the other, on a core that it has to itself: a handshake costs it more than the
//! server, so that what is read is the server's processor time, and a rate that the client's core bounds.

use super::candidates::{loopback, scratch};
use super::machine::{self, Core, LOAD_CORE, PROXY_CORE, Running, pinned};
use super::proxy::build_bowline;
use super::summary::Spread;
use crate::tools::{self, NGINX, OPENSSL};
use crate::{Stop, clock, run};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Rounds: the least that has a middle and two on either side.
const ROUNDS: u32 = 5;
/// Seconds of each measurement: some thousand handshakes.
const SECONDS: u32 = 4;

const BOWLINE_PORT: u16 = 17_005;
const NGINX_PORT: u16 = 17_006;
/// Bowline's local API, out of the way of one that runs beside the benchmark.
const BOWLINE_API_PORT: u16 = 17_012;

/// How a connection begins, by its name and `s_time`'s flag.
const KINDS: [(&str, &str); 2] = [("full", "-new"), ("resumed", "-reuse")];

/// What one measurement found.
#[derive(Clone, Copy)]
struct Sample {
    cpu_us: f64,
    per_second: f64,
    /// The share of connections that resumed.
    resumed: f64,
    stolen_percent: f64,
}

/// A server, and what was found about it: for each kind a sample a round.
struct Measured {
    name: &'static str,
    port: u16,
    running: Running,
    samples: [Vec<Sample>; KINDS.len()],
}

pub(super) fn main(args: &[String]) -> Result<(), Stop> {
    let json = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["--output", "text"] => false,
        ["--output", "json"] => true,
        _ => return Err(Stop::Usage("bench tls has the option --output json|text alone".to_owned())),
    };
    let root = run::root()?;
    if std::thread::available_parallelism().map_or(1, std::num::NonZero::get) < 2 {
        return Err(Stop::Missing(
            "two cores are needed: one for the server alone, one for the load".to_owned(),
        ));
    }
    tools::ensure(&root, &[NGINX, OPENSSL])?;
    build_bowline(&root)?;

    let folder = prepared(&root)?;
    let mut all = [
        started(&root, "bowline", BOWLINE_PORT, &bowline(&root, &folder))?,
        started(&root, "nginx", NGINX_PORT, &nginx(&root, &folder))?,
    ];
    println!("{}; {ROUNDS} rounds of {SECONDS} s, ECDSA P-256, TLS 1.3", machine::describe());
    for round in 0..ROUNDS {
        let mut each: Vec<&mut Measured> = all.iter_mut().collect();
        if round % 2 == 1 {
            each.reverse();
        }
        for measured in each {
            for (at, (_, flag)) in KINDS.iter().enumerate() {
                let sample = measure(&root, measured, flag)?;
                measured.samples[at].push(sample);
            }
        }
        println!("round {} of {ROUNDS} is over", round + 1);
    }

    let figures = figures(&all);
    print(&all, &figures);
    if json {
        println!("{}", Value::Object(figures));
    }
    Ok(())
}

/// A folder with the configurations and a certificate that vouches for itself.
fn prepared(root: &Path) -> Result<PathBuf, Stop> {
    let folder = scratch(root, "tls")?;
    let own = folder.join("credentials/bench");
    let missing = |what: &Path, error: std::io::Error| Stop::Missing(format!("{}: {error}", what.display()));
    std::fs::create_dir_all(&own).map_err(|error| missing(&own, error))?;
    for file in ["bench.yaml", "nginx.conf"] {
        let from = root.join("xtask/bench/tls").join(file);
        std::fs::copy(&from, folder.join(file)).map_err(|error| missing(&from, error))?;
    }
    let mut openssl = run::program(root, "openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]);
    openssl.args(["-days", "30", "-subj", "/CN=bench.test", "-addext", "subjectAltName=DNS:bench.test"]);
    openssl.arg("-keyout").arg(own.join("tls.key")).arg("-out").arg(own.join("tls.crt"));
    run::read(&mut openssl)?;
    Ok(folder)
}

fn started(root: &Path, name: &'static str, port: u16, command: &Command) -> Result<Measured, Stop> {
    let log = scratch(root, "tls")?.join(format!("{name}.log"));
    let running = Running::start(pinned(root, PROXY_CORE, command), loopback(port), &log)?;
    Ok(Measured { name, port, running, samples: Default::default() })
}

/// One worker: one core is what everybody has here.
fn bowline(root: &Path, folder: &Path) -> Command {
    let mut command = run::program(root, &run::target(root).join("release/bowline").to_string_lossy());
    command.arg("up").arg(folder.join("bench.yaml"));
    command
        .args(["--only", "gateway", "--workers", "1", "--api"])
        .arg(loopback(BOWLINE_API_PORT).to_string());
    command.arg("--data").arg(folder.join("data"));
    command
}

fn nginx(root: &Path, folder: &Path) -> Command {
    let mut command = run::program(root, "/usr/sbin/nginx");
    command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf")).args(["-e", "stderr"]);
    command
}

fn measure(root: &Path, measured: &Measured, flag: &str) -> Result<Sample, Stop> {
    let mut load = run::program(root, "openssl");
    load.args(["s_time", "-connect", &loopback(measured.port).to_string(), flag, "-www", "/", "-tls1_3"]);
    load.args(["-time", &SECONDS.to_string()]);
    let (cpu, core) = (machine::cpu_of_tree(measured.running.id()), Core::read(PROXY_CORE));
    // It counts whole seconds itself.
    let began = clock::now();
    let said = run::read(&mut pinned(root, LOAD_CORE, &load))?;
    let took = began.elapsed().as_secs_f64();
    let cpu = machine::cpu_of_tree(measured.running.id()).since(cpu);
    let stolen_percent = Core::read(PROXY_CORE).stolen_percent_since(core);
    let unreadable = || Stop::Missing(format!("cannot read what s_time said of {}:\n{said}", measured.name));
    let (connections, resumed) = seen(&said).ok_or_else(unreadable)?;
    Ok(Sample {
        cpu_us: cpu.total_us() / connections,
        per_second: connections / took,
        resumed: resumed / connections,
        stolen_percent,
    })
}

/// Connections, and how many of them resumed: `s_time` prints a letter for each, `r` for those.
fn seen(said: &str) -> Option<(f64, f64)> {
    let connections = said.lines().find_map(|line| {
        let (count, rest) = line.split_once(" connections in ")?;
        rest.contains("real seconds").then(|| count.trim().parse::<f64>().ok())?
    })?;
    let letters =
        said.lines().filter(|line| !line.is_empty() && line.bytes().all(|byte| b"rt*.".contains(&byte)));
    let resumed = letters.flat_map(str::bytes).filter(|letter| *letter == b'r').count();
    (connections > 0.0).then_some((connections, resumed as f64))
}

fn median(samples: &[Sample], figure: fn(&Sample) -> f64) -> f64 {
    Spread::of(samples.iter().map(figure).collect()).map_or(f64::NAN, |spread| spread.median)
}

fn figures(all: &[Measured; 2]) -> Map<String, Value> {
    let mut figures = Map::new();
    let mut put = |name: String, value: f64| figures.insert(name, ((value * 1e3).round() / 1e3).into());
    for (at, (kind, _)) in KINDS.iter().enumerate() {
        for measured in all {
            let samples = &measured.samples[at];
            put(format!("{}_{kind}_cpu_us", measured.name), median(samples, |sample| sample.cpu_us));
            put(format!("{}_{kind}_per_second", measured.name), median(samples, |sample| sample.per_second));
        }
        let [ours, theirs] = all.each_ref().map(|measured| &measured.samples[at]);
        let ratios = ours.iter().zip(theirs).map(|(our, their)| our.cpu_us / their.cpu_us).collect();
        if let Some(spread) = Spread::of(ratios) {
            put(format!("{kind}_cpu_vs_nginx"), spread.median);
            put(format!("{kind}_cpu_vs_nginx_min"), spread.min);
            put(format!("{kind}_cpu_vs_nginx_max"), spread.max);
        }
    }
    figures
}

fn print(all: &[Measured; 2], figures: &Map<String, Value>) {
    for (at, (kind, _)) in KINDS.iter().enumerate() {
        println!("\n{kind}");
        println!("{:9} {:>13} {:>13} {:>9} {:>8}", "", "CPU us", "made/s", "resumed", "stolen");
        for measured in all {
            let samples = &measured.samples[at];
            println!(
                "{:9} {:>13.0} {:>13.0} {:>8.0}% {:>7.1}%",
                measured.name,
                median(samples, |sample| sample.cpu_us),
                median(samples, |sample| sample.per_second),
                100.0 * median(samples, |sample| sample.resumed),
                median(samples, |sample| sample.stolen_percent),
            );
        }
        let figure = |name: &str| figures.get(&format!("{kind}_cpu_vs_nginx{name}")).and_then(Value::as_f64);
        if let (Some(ratio), Some(min), Some(max)) = (figure(""), figure("_min"), figure("_max")) {
            println!("Bowline beside nginx: {ratio:.2} [{min:.2}-{max:.2}]");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_s_time_says_is_read() {
        let said = "starting\nrrrr*r\n\n6 connections in 0.01s; 600.00 connections/user sec, bytes read 800\n\
                    6 connections in 2 real seconds, 133 bytes read per connection\n";
        assert_eq!(seen(said), Some((6.0, 5.0)));
        assert_eq!(seen("0 connections in 2 real seconds, 0 bytes read per connection"), None);
        assert_eq!(seen("unable to connect"), None);
    }
}
