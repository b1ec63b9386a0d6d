//! `cargo xtask soak`: minutes at full speed with connections cut and the design reloaded, and nothing may stay behind.
//!
//! The world around the gateway is the example `soak` of `bowline-proxy`: callers and callees over HTTP/1.1, HTTP/2 and
//! gRPC, whose connections it cuts by a seed. This module starts both, changes the design every second, looks at memory
//! and files meanwhile, and judges at the end.
//!
//! - [`gauges`]: what must be zero when nobody asks
//! - [`memory`]: whether memory grew

mod gauges;
mod memory;

use crate::bench::machine::{self, Running};
use crate::{Stop, clock, differential, run};
use memory::Samples;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const HELP: &str = "\
cargo xtask soak [--for TIME] [--seed N] [--program FILE] [--output json]

Ten minutes (or --for 90s, --for 3m) of callers over HTTP/1.1, HTTP/2 and gRPC as fast as one core takes them, while
connections of callers and callees are cut at random (by the seed, 7) and the design changes every second. Ends with 1 if

- a request had no answer, or an answer that fails and that no cut of a callee's connection explains,
- something is still held when nobody asks any more: places, leases, budgets, hedges, pending tries, connections, files,
- memory grew.

--program  this Bowline, instead of one that is built as it is shipped";

const FIRST_CALLEE_PORT: u16 = 17_050;
const GATEWAY_PORT: u16 = 17_054;
const API_PORT: u16 = 17_055;
const LENGTH: Duration = Duration::from_secs(600);
/// Less does not tell growth from warming up.
const LENGTH_MIN: Duration = Duration::from_secs(30);
const SEED: u64 = 7;
/// From one design to the next.
const BETWEEN_RELOADS: Duration = Duration::from_secs(1);
/// Of the changes so many have to have been taken up: a busy machine may see two of them as one.
const RELOADED_LEAST: f64 = 0.8;
/// How long callers may take to have their last answers: as patient as they are, and as long again.
const CALLERS_END: Duration = Duration::from_secs(20);
/// How long the gateway may take to let go of what nobody needs: it looks at spare connections once a second.
const LET_GO: Duration = Duration::from_secs(15);
/// Files that may be open beyond those before the load: listeners and watches come and go with reloads.
const FILES_MORE: usize = 4;

#[derive(Debug, PartialEq)]
struct Asked {
    length: Duration,
    seed: u64,
    program: Option<PathBuf>,
    json: bool,
}

pub(crate) fn main(args: &[String]) -> Result<(), Stop> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{HELP}");
        return Ok(());
    }
    let asked = parse(args)?;
    let found = soak(&run::root()?, &asked)?;
    println!("{}", found.text());
    if asked.json {
        println!("{}", found.json());
    }
    found.verdict()
}

/// The step of `cargo xtask prove`.
pub(crate) fn step(root: &Path) -> Result<String, Stop> {
    let found = soak(root, &Asked { length: LENGTH, seed: SEED, program: None, json: false })?;
    println!("{}", found.text());
    found.verdict()?;
    Ok(found.text())
}

fn parse(args: &[String]) -> Result<Asked, Stop> {
    let mut asked = Asked { length: LENGTH, seed: SEED, program: None, json: false };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let value =
            args.next().ok_or_else(|| Stop::Usage(format!("no option `{arg}`, or it wants a value")))?;
        match arg.as_str() {
            "--for" => asked.length = length(value)?,
            "--seed" => {
                asked.seed = value
                    .parse()
                    .map_err(|_| Stop::Usage(format!("--seed wants a number, not `{value}`")))?;
            }
            "--program" => asked.program = Some(value.into()),
            "--output" if value == "json" => asked.json = true,
            "--output" if value == "text" => asked.json = false,
            _ => return Err(Stop::Usage(format!("`{arg} {value}`? `cargo xtask soak --help`"))),
        }
    }
    Ok(asked)
}

/// `90s` or `3m`.
fn length(text: &str) -> Result<Duration, Stop> {
    let times =
        |text: &str, seconds: u64| Some(Duration::from_secs(text.parse::<u64>().ok()?.checked_mul(seconds)?));
    let length = text.strip_suffix('s').and_then(|text| times(text, 1));
    let length = length.or_else(|| text.strip_suffix('m').and_then(|text| times(text, 60)));
    let least = LENGTH_MIN.as_secs();
    length.filter(|length| LENGTH_MIN <= *length).ok_or_else(|| {
        Stop::Usage(format!("--for wants a time like 90s or 3m, {least}s at least, not `{text}`"))
    })
}

/// What a soak found.
struct Found {
    asked: Duration,
    seed: u64,
    /// What the world said: requests by kind and end.
    told: Value,
    reloads: usize,
    changes: usize,
    rejected: usize,
    resident: Samples,
    files: (usize, usize),
    /// What is not zero, with its value.
    held: Vec<(String, f64)>,
}

fn soak(root: &Path, asked: &Asked) -> Result<Found, Stop> {
    let world = build(root, asked.program.is_none())?;
    let program = asked.program.clone().unwrap_or_else(|| run::target(root).join("release/bowline"));
    let scratch = differential::scratch(root, "soak")?;
    let design = Design::new(root, &scratch)?;
    design.write(0)?;

    println!("{}; for {} s, seed {}", machine::describe(), asked.length.as_secs(), asked.seed);
    let (world_log, gateway_log) = (scratch.join("world.log"), scratch.join("gateway.log"));
    let mut command = Command::new(world);
    command.arg(loopback(GATEWAY_PORT).to_string()).arg(FIRST_CALLEE_PORT.to_string());
    command.args([asked.length.as_secs().to_string(), asked.seed.to_string()]);
    // The gateway is up before the world looks for it: nobody asks yet.
    let mut gateway = run::program(root, &program.to_string_lossy());
    gateway.arg("up").arg(&design.folder).args(["--only", "gateway", "--workers", "1", "--output", "json"]);
    gateway.arg("--data").arg(scratch.join("data")).arg("--api").arg(loopback(API_PORT).to_string());
    let gateway = Running::start(gateway, loopback(GATEWAY_PORT), &gateway_log)?;
    let files_before = machine::open_files_of_tree(gateway.id());
    let world = Running::start(command, loopback(FIRST_CALLEE_PORT), &world_log)?;

    let start = clock::now();
    let (mut resident, mut changes) = (Samples::default(), 0);
    while start.elapsed() < asked.length {
        clock::pause(BETWEEN_RELOADS);
        changes += 1;
        design.write(changes)?;
        resident.add(start.elapsed(), machine::resident_mb_of_tree(gateway.id()));
        if changes % 30 == 0 {
            let files = machine::open_files_of_tree(gateway.id());
            println!("{:>5} s: {:.1} MB, {files} files", start.elapsed().as_secs(), resident.last());
        }
    }
    let mut told = Value::Null;
    clock::wait_until(CALLERS_END, || {
        told = last_json(&world_log);
        told.is_object()
    });
    let nobody_asks = gauges::not_zero(API_PORT, gauges::OF_CALLS, LET_GO)?;
    drop(world);
    let nobody_is_there = gauges::not_zero(API_PORT, gauges::OF_CONNECTIONS, LET_GO)?;
    let files_after = machine::open_files_of_tree(gateway.id());
    drop(gateway);
    let events = std::fs::read_to_string(&gateway_log).unwrap_or_default();
    let count = |event: &str| {
        let named = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        named.filter(|line| line["event"] == event).count()
    };
    Ok(Found {
        asked: asked.length,
        seed: asked.seed,
        told,
        reloads: count("reloaded"),
        changes,
        rejected: count("rejected") + count("refused"),
        resident,
        files: (files_before, files_after),
        held: [nobody_asks, nobody_is_there].concat(),
    })
}

/// Builds the world, and Bowline where none was given; the path of the world.
fn build(root: &Path, bowline: bool) -> Result<PathBuf, Stop> {
    let example = ["build", "--quiet", "--release", "-p", "bowline-proxy", "--example", "soak"];
    run::run(&mut run::cargo(root, &example))?;
    if bowline {
        run::run(&mut run::cargo(root, &["build", "--quiet", "--release", "-p", "bowline-cli"]))?;
    }
    Ok(run::target(root).join("release/examples/soak"))
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The last line of a file, if it is a whole JSON document.
fn last_json(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default()
}

/// The design, which changes.
struct Design {
    text: String,
    folder: PathBuf,
}

impl Design {
    fn new(root: &Path, scratch: &Path) -> Result<Self, Stop> {
        let (from, folder) = (root.join("xtask/bench/soak/design.yaml"), scratch.join("design"));
        let text =
            std::fs::read_to_string(&from).map_err(|e| Stop::Missing(format!("{}: {e}", from.display())))?;
        std::fs::create_dir_all(&folder).map_err(|e| Stop::Missing(format!("{}: {e}", folder.display())))?;
        Ok(Self { text, folder })
    }

    /// Writes the design of this turn: whole files only, as an editor does.
    fn write(&self, turn: usize) -> Result<(), Stop> {
        let (next, file) = (self.folder.join("next"), self.folder.join("design.yaml"));
        std::fs::write(&next, variant(&self.text, turn))
            .and_then(|()| std::fs::rename(&next, &file))
            .map_err(|e| Stop::Missing(format!("{}: {e}", file.display())))
    }
}

/// Another policy, another route, an endpoint less: each differs from the one before in something that is kept over a
/// reload or that is not.
fn variant(text: &str, turn: usize) -> String {
    match turn % 4 {
        1 => text.replace("deadline: 5s", "deadline: 6s"),
        2 => text.replace("  - name: two\n", "  - name: more\n    match: [ { uri: { prefix: /more/ } } ]\n    route: [ { destination: { host: one } } ]\n  - name: two\n"),
        3 => text.replace("  - { address: \"127.0.0.1:17051\" }\n", "").replace("concurrent: 256", "concurrent: 300"),
        _ => text.to_owned(),
    }
}

const KINDS: [&str; 3] = ["http1", "http2", "grpc"];

impl Found {
    fn sum(&self, what: &str) -> u64 {
        KINDS.iter().map(|kind| self.told[*kind][what].as_u64().unwrap_or_default()).sum()
    }

    fn text(&self) -> String {
        let growth = self.resident.growth();
        let mut text = format!("{} requests in {} s (", self.sum("sent"), self.asked.as_secs());
        let kinds = KINDS.map(|kind| format!("{} {kind}", self.told[kind]["sent"]));
        text.push_str(&format!(
            "{}), {} good, {} failed with a cut callee, {} were cut themselves, {} unexplained, {} lost; {} callers' and {} \
             callees' connections cut, {} reloads; memory {:+.2} MB after warming up, files {} before and {} after; seed {}",
            kinds.join(", "),
            self.sum("good"),
            self.sum("explained"),
            self.sum("cut"),
            self.sum("unexplained"),
            self.sum("lost"),
            self.told["callers_cut"],
            self.told["callees_cut"],
            self.reloads,
            growth.mb,
            self.files.0,
            self.files.1,
            self.seed,
        ));
        text
    }

    fn json(&self) -> Value {
        json!({ "soak": {
            "seconds": self.asked.as_secs(), "seed": self.seed, "told": self.told, "reloads": self.reloads,
            "resident_growth_mb": self.resident.growth().mb, "resident_growth_allowed_mb": self.resident.growth().allowed_mb,
            "files_before": self.files.0, "files_after": self.files.1, "held": self.held,
        } })
    }

    fn verdict(&self) -> Result<(), Stop> {
        let mut wrong = Vec::new();
        if !self.told.is_object() {
            wrong.push("callers did not come to an end".to_owned());
        }
        for kind in KINDS {
            if self.told[kind]["good"].as_u64().unwrap_or_default() == 0 {
                wrong.push(format!("nobody was answered over {kind}"));
            }
        }
        for (count, what) in [
            (self.sum("lost"), "requests had no answer"),
            (self.sum("unexplained"), "requests failed without a cut that explains it"),
        ] {
            if count > 0 {
                wrong.push(format!("{count} {what}, for example {}", self.told["stories"]));
            }
        }
        let ends = ["good", "explained", "unexplained", "lost", "cut"];
        if self.sum("sent") != ends.iter().map(|end| self.sum(end)).sum::<u64>() {
            wrong.push("requests do not add up".to_owned());
        }
        if (self.reloads as f64) < RELOADED_LEAST * self.changes as f64 || self.rejected > 0 {
            wrong.push(format!(
                "{} changes of the design were {} reloads and {} refusals",
                self.changes, self.reloads, self.rejected
            ));
        }
        wrong.extend(self.held.iter().map(|(name, value)| format!("{name} is still {value}")));
        if self.files.0 + FILES_MORE < self.files.1 {
            wrong.push(format!("{} files are open, {} were before", self.files.1, self.files.0));
        }
        let growth = self.resident.growth();
        if growth.mb > growth.allowed_mb {
            wrong
                .push(format!("memory grew by {:.2} MB, {:.2} MB are allowed", growth.mb, growth.allowed_mb));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Stop::Broken(wrong.join("; "))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_seconds_or_minutes_and_long_enough() {
        let read = |text| length(text).ok();
        assert_eq!(read("90s"), Some(Duration::from_secs(90)));
        assert_eq!(read("3m"), Some(Duration::from_secs(180)));
        for wrong in ["90", "5s", "3h", "m", "-1m"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn each_design_differs_from_the_one_before() {
        let root = run::root().expect("tests run inside the tree");
        let text = std::fs::read_to_string(root.join("xtask/bench/soak/design.yaml")).unwrap();
        for turn in 0..4 {
            assert_ne!(variant(&text, turn), variant(&text, turn + 1), "turn {turn}");
        }
        for port in [FIRST_CALLEE_PORT, FIRST_CALLEE_PORT + 3, GATEWAY_PORT] {
            assert!(text.contains(&port.to_string()), "{port}");
        }
    }

    fn found() -> Found {
        let kind = json!({"sent": 10, "good": 8, "explained": 1, "unexplained": 0, "lost": 0, "cut": 1});
        let told = json!({"http1": kind, "http2": kind, "grpc": kind, "callers_cut": 1, "callees_cut": 1, "stories": []});
        Found {
            asked: LENGTH,
            seed: 1,
            told,
            reloads: 9,
            changes: 10,
            rejected: 0,
            resident: Samples::default(),
            files: (20, 21),
            held: Vec::new(),
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(found().verdict().is_ok());
        let wrong = |change: fn(&mut Found)| {
            let mut found = found();
            change(&mut found);
            found.verdict().expect_err("something is wrong").message().to_owned()
        };
        let lost = wrong(|found| found.told["grpc"]["lost"] = 1.into());
        assert!(lost.contains("1 requests had no answer") && lost.contains("do not add up"), "{lost}");
        assert!(wrong(|found| found.reloads = 3).contains("3 reloads"));
        assert!(wrong(|found| found.files.1 = 200).contains("200 files"));
        assert!(wrong(|found| found.held.push(("x".to_owned(), 2.0))).contains("x is still 2"));
        assert!(wrong(|found| found.told = Value::Null).contains("did not come to an end"));
    }
}
