//! `bench bad-host`: ten hosts of which one is bad, through Bowline and through Envoy, beside what the simulator says.
//!
//! The same arrivals and the same work for both (`xtask/bench/bad-host/`), one try each: who met the bad host shows in
//! the answer. Counted is what arrives after the first second, which is there to notice in.

use super::machine::{self, Running};
use super::{candidates, proxy};
use crate::load::hosts::{Hosts, Mood};
use crate::load::percentile;
use crate::load::replay::{self, Asked};
use crate::tools::{self, ENVOY};
use crate::{Stop, run};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const FIRST_HOST_PORT: u16 = 17_030;
const BOWLINE_PORT: u16 = 17_041;
const ENVOY_PORT: u16 = 17_042;
const API_PORT: u16 = 17_043;
const HOSTS: usize = 10;
/// Which of them is bad.
const BAD: usize = 3;
/// Requests a second: little enough that two cores have time for proxy, hosts and load.
const RATE: f64 = 400.0;
/// What a good host takes on average.
const TAKES: Duration = Duration::from_millis(5);
/// How many times as long the slow one takes.
const SLOWER: u32 = 100;
/// Enough that no request waits for a connection while the slow host holds some.
const CONNECTIONS: usize = 100;
/// The time to notice.
const NOTICE: Duration = Duration::from_secs(1);
/// Longer than a host is left out for the first time (30 s), so that its return is in it.
const SECONDS: u64 = 40;
const SEED: u64 = 7;
/// The share of requests that may meet it. By chance a tenth would.
const BAR: f64 = 0.01;

struct Variant {
    name: &'static str,
    about: &'static str,
    mood: Mood,
    /// The row of the validation table that predicts it.
    row: &'static str,
}

const VARIANTS: [Variant; 3] = [
    Variant { name: "errors", about: "answers 503 at once", mood: Mood::Errors, row: "bad-host errors" },
    Variant {
        name: "slow",
        about: "takes 100 times as long",
        mood: Mood::Slow(SLOWER),
        row: "bad-host slow",
    },
    Variant { name: "refuses", about: "refuses connections", mood: Mood::Refuses, row: "bad-host refuses" },
];

struct Options {
    seconds: u64,
    seed: u64,
    program: Option<PathBuf>,
    json: bool,
}

/// What callers saw after the first second.
#[derive(Debug, PartialEq)]
struct Seen {
    requests: usize,
    /// The share that the bad host answered, or nobody.
    met: f64,
    /// Answers other than 200, and broken connections.
    failed: usize,
    p50_ms: f64,
    p99_ms: f64,
}

pub(super) fn main(args: &[String]) -> Result<(), Stop> {
    let options = parse(args)?;
    let root = run::root()?;
    tools::ensure(&root, &[ENVOY])?;
    let program = match &options.program {
        Some(path) => path.clone(),
        None => {
            proxy::build_bowline(&root)?;
            run::target(&root).join("release/bowline")
        }
    };
    let length = NOTICE + Duration::from_secs(options.seconds);
    let arrivals = replay::arrivals(options.seed, RATE, length);
    let proxies = [("bowline", bowline(&root, &program)?, BOWLINE_PORT), ("envoy", envoy(&root), ENVOY_PORT)];

    println!(
        "{}; {RATE}/s for {} s after the first, seed {}",
        machine::describe(),
        options.seconds,
        options.seed
    );
    println!(
        "{:<9} {:<8} {:>10} {:>10} {:>8} {:>9} {:>9}",
        "one host", "through", "met it", "predicted", "failed", "p50", "p99"
    );
    let (mut rows, mut figures, mut over) = (Vec::new(), Map::new(), Vec::new());
    for (variant, predicted) in VARIANTS.iter().zip(predict(&root)?) {
        let mut shares = Vec::new();
        for ((name, command, port), predicted) in proxies.iter().zip(predicted) {
            let mut moods = [Mood::Well; HOSTS];
            moods[BAD] = variant.mood;
            let hosts = Hosts::start(FIRST_HOST_PORT, &moods, TAKES, options.seed)?;
            let log = candidates::scratch(&root, "bad-host")?.join(format!("{name}.log"));
            let proxy = Running::start(again(command), candidates::loopback(*port), &log)?;
            let seen =
                Seen::of(&replay::play(candidates::loopback(*port), &arrivals, CONNECTIONS), variant.mood);
            drop(proxy);
            drop(hosts);
            println!(
                "{:<9} {name:<8} {:>8.3} % {:>8.3} % {:>8} {:>6.1} ms {:>6.1} ms",
                variant.name,
                seen.met * 1e2,
                predicted * 1e2,
                seen.failed,
                seen.p50_ms,
                seen.p99_ms
            );
            rows.push(json!({
                "variant": variant.name, "through": name, "requests": seen.requests, "met": seen.met,
                "predicted": predicted, "failed": seen.failed, "p50_ms": seen.p50_ms, "p99_ms": seen.p99_ms,
            }));
            shares.push((seen.met, seen.p99_ms));
        }
        if let [(bowline, bowline_p99), (envoy, envoy_p99)] = shares[..] {
            if bowline > BAR {
                over.push(format!("{}: {:.2} %", variant.about, bowline * 1e2));
            }
            figures.insert(format!("{}_met_vs_envoy", variant.name), ratio(bowline, envoy));
            figures.insert(format!("{}_p99_vs_envoy", variant.name), ratio(bowline_p99, envoy_p99));
        }
    }
    if options.json {
        figures.insert("bench".to_owned(), "bad-host".into());
        figures.insert("machine".to_owned(), machine::describe().into());
        figures.insert("seed".to_owned(), options.seed.into());
        figures.insert("bar".to_owned(), BAR.into());
        figures.insert("rows".to_owned(), rows.into());
        println!("{}", Value::Object(figures));
    }
    if over.is_empty() {
        return Ok(());
    }
    Err(Stop::Broken(format!(
        "more than {} % of the requests meet a host that {}",
        BAR * 1e2,
        over.join(", ")
    )))
}

fn parse(args: &[String]) -> Result<Options, Stop> {
    let mut options = Options { seconds: SECONDS, seed: SEED, program: None, json: false };
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        let value = args.next().unwrap_or_default();
        let number = || {
            let number = value.parse().ok().filter(|number| *number > 0);
            number.ok_or_else(|| Stop::Usage(format!("{arg} wants a number above 0, not `{value}`")))
        };
        match (arg, value) {
            ("--seconds", _) => options.seconds = number()?,
            ("--seed", _) => options.seed = number()?,
            ("--program", path) if !path.is_empty() => options.program = Some(path.into()),
            ("--output", "json") => options.json = true,
            ("--output", "text") => options.json = false,
            _ => {
                return Err(Stop::Usage(format!("cannot read `{arg} {value}`; --help lists the options")));
            }
        }
    }
    Ok(options)
}

/// A ratio that a line of JSON can hold: nothing where there is nothing to divide by.
fn ratio(ours: f64, theirs: f64) -> Value {
    if theirs > 0.0 { (ours / theirs).into() } else { Value::Null }
}

impl Seen {
    fn of(asked: &[Asked], bad: Mood) -> Self {
        let counted: Vec<&Asked> = asked.iter().filter(|asked| NOTICE <= asked.due).collect();
        let met = counted.iter().filter(|asked| has_met(asked, bad)).count();
        let failed = counted.iter().filter(|asked| !matches!(asked.answer, Some((200, _)))).count();
        let mut took: Vec<u64> =
            counted.iter().map(|asked| u64::try_from(asked.took.as_micros()).unwrap_or(u64::MAX)).collect();
        took.sort_unstable();
        let at = |share| percentile(&took, share) as f64 / 1e3;
        let share = met as f64 / counted.len().max(1) as f64;
        Self { requests: counted.len(), met: share, failed, p50_ms: at(0.5), p99_ms: at(0.99) }
    }
}

/// Whether the bad host answered. One that refuses answers nobody: then the proxy does.
fn has_met(asked: &Asked, bad: Mood) -> bool {
    match asked.answer {
        Some((_, Some(host))) => host == BAD as u64,
        Some((_, None)) | None => bad == Mood::Refuses,
    }
}

/// What the simulator says of each variant, for Bowline and for least request.
fn predict(root: &Path) -> Result<Vec<[f64; 2]>, Stop> {
    let example =
        ["run", "--quiet", "-p", "bowline-sim", "--example", "validate", "--", "--only", "bad-host"];
    let said = run::read(&mut run::cargo(root, &example))?;
    let rows: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |variant: &Variant| {
        let row = rows.iter().find(|row| row["row"] == variant.row);
        let value = |index: usize| row?["numbers"][index]["ours"].as_f64();
        match (value(0), value(1)) {
            (Some(ours), Some(least)) => Ok([ours, least]),
            _ => Err(Stop::Broken(format!("the simulator has no row `{}`", variant.row))),
        }
    };
    VARIANTS.iter().map(of).collect()
}

fn bowline(root: &Path, program: &Path) -> Result<Command, Stop> {
    let mut command = run::program(root, &program.to_string_lossy());
    command.arg("up").arg(root.join("xtask/bench/bad-host/design.yaml"));
    command.args(["--only", "gateway", "--workers", "1", "--api"]);
    command.arg(candidates::loopback(API_PORT).to_string());
    command.arg("--data").arg(candidates::scratch(root, "bad-host")?.join("data"));
    Ok(command)
}

fn envoy(root: &Path) -> Command {
    let program = run::tools(root).join("python/envoy/_bin/envoy");
    let mut command = run::program(root, &program.to_string_lossy());
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"]);
    command.arg(root.join("xtask/bench/bad-host/envoy.yaml"));
    command
}

/// The same command for another process.
fn again(command: &Command) -> Command {
    let mut again = Command::new(command.get_program());
    again.args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => again.env(key, value),
            None => again.env_remove(key),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        again.current_dir(folder);
    }
    again
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(due: u64, answer: Option<(u16, Option<u64>)>) -> Asked {
        Asked { due: Duration::from_secs(due), took: Duration::from_millis(4), answer }
    }

    #[test]
    fn the_first_second_is_there_to_notice_in() {
        let bad = Some((503, Some(BAD as u64)));
        let good = Some((200, Some(0)));
        let all = [asked(0, bad), asked(1, bad), asked(2, good), asked(3, good), asked(4, good)];
        let seen = Seen::of(&all, Mood::Errors);
        assert_eq!((seen.requests, seen.met, seen.failed), (4, 0.25, 1));
    }

    #[test]
    fn a_host_that_refuses_is_met_where_nobody_answers() {
        let all = [asked(1, Some((503, None))), asked(1, Some((200, Some(1))))];
        assert_eq!(Seen::of(&all, Mood::Refuses).met, 0.5);
        assert_eq!(Seen::of(&all, Mood::Slow(2)).met, 0.0, "whatever failed, it was not the slow host");
    }

    #[test]
    fn both_configurations_name_the_hosts_and_their_own_port() {
        let root = run::root().expect("tests run inside the tree");
        for (file, port) in [("design.yaml", BOWLINE_PORT), ("envoy.yaml", ENVOY_PORT)] {
            let text = std::fs::read_to_string(root.join("xtask/bench/bad-host").join(file)).unwrap();
            for port in (FIRST_HOST_PORT..).take(HOSTS).chain([port]) {
                assert!(text.contains(&port.to_string()), "{file}: {port}");
            }
        }
    }
}
