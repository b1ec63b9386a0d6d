//! `bench proxy`, `proxy-h2` and `proxy-grpc`: Bowline beside Envoy, nginx and haproxy.
//!
//! All are started and stay; one at a time is loaded. Rounds are interleaved and every second one
//! goes backwards, so that a spell of noise does not always meet the same candidate.

use super::candidates::{self, BOWLINE, CALLEE_HTTP2, CANDIDATES, Candidate};
use super::machine::Running;
use super::measure::{Bench, MEMORY_CONNECTIONS};
use super::protocol::Protocol;
use super::summary::{self, Found};
use super::{callgrind, machine};
use crate::tools::{self, H2LOAD, VALGRIND, WRK};
use crate::{Stop, run};
use serde_json::Value;
use std::path::Path;

/// Rounds when nothing is said: the least that has a middle and two on either side.
const ROUNDS: u32 = 5;
/// Seconds of each measurement when nothing is said.
const SECONDS: u32 = 4;

struct Options {
    rounds: u32,
    seconds: u32,
    only: Vec<String>,
    program: Option<String>,
    json: bool,
}

impl Options {
    fn parse(protocol: Protocol, args: &[String]) -> Result<Self, Stop> {
        let mut options =
            Self { rounds: ROUNDS, seconds: SECONDS, only: Vec::new(), program: None, json: false };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let value =
                args.next().ok_or_else(|| Stop::Usage(format!("no option `{arg}`, or it wants a value")))?;
            let number = || match value.parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(Stop::Usage(format!("{arg} wants a number above 0"))),
            };
            match arg.as_str() {
                "--rounds" => options.rounds = number()?,
                "--seconds" => options.seconds = number()?,
                "--only" => options.only = value.split(',').map(str::to_owned).collect(),
                "--program" => options.program = Some(value.clone()),
                "--output" if value == "json" => options.json = true,
                "--output" if value == "text" => (),
                _ => {
                    return Err(Stop::Usage(format!(
                        "cannot read `{arg} {value}`; --help lists the options"
                    )));
                }
            }
        }
        let known: Vec<&str> = speaking(protocol).map(|candidate| candidate.name).collect();
        match options.only.iter().find(|name| !known.contains(&name.as_str())) {
            Some(name) => {
                let known = known.join(", ");
                Err(Stop::Usage(format!("--only knows {known} for {}, not {name}", protocol.bench())))
            }
            None => Ok(options),
        }
    }

    fn candidates(&self, protocol: Protocol) -> Vec<&'static Candidate> {
        let asked = |name| self.only.is_empty() || self.only.iter().any(|only| only == name);
        speaking(protocol).filter(|candidate| asked(candidate.name)).collect()
    }
}

/// Those that can be measured with it.
fn speaking(protocol: Protocol) -> impl Iterator<Item = &'static Candidate> {
    CANDIDATES.iter().filter(move |candidate| candidate.speaks.contains(&protocol))
}

pub(super) fn main(protocol: Protocol, args: &[String]) -> Result<(), Stop> {
    let options = Options::parse(protocol, args)?;
    let root = run::root()?;
    if std::thread::available_parallelism().map_or(1, std::num::NonZero::get) < 2 {
        return Err(Stop::Missing(
            "two cores are needed: one for the proxy alone, one for the load".to_owned(),
        ));
    }
    let chosen = options.candidates(protocol);
    let ours = chosen.iter().any(|candidate| candidate.name == BOWLINE);
    let mut needs = vec![protocol.either(WRK, H2LOAD)];
    needs.extend(chosen.iter().filter_map(|candidate| candidate.tool));
    needs.extend(ours.then_some(VALGRIND));
    tools::ensure(&root, &needs)?;

    let this = build_generator(&root, protocol)?;
    let bench = Bench { root: &root, this: &this, protocol };
    if ours && options.program.is_none() {
        build_bowline(&root)?;
    }
    let program = |candidate: &Candidate| options.program.as_deref().filter(|_| candidate.name == BOWLINE);

    let upstream = candidates::start_upstream(&root, &this, protocol)?;
    let mut all = Vec::new();
    for candidate in &chosen {
        all.push((
            *candidate,
            candidate.start(&root, protocol, program(candidate))?,
            Found::new(candidate.name),
        ));
    }
    println!("{}; {} rounds of {} s", machine::describe(), options.rounds, options.seconds);
    for round in 0..options.rounds {
        rounds_order(round, &mut all, |candidate, running, found| {
            found.saturated.push(bench.saturated(candidate, running, options.seconds)?);
            found.open.push(bench.open(candidate, running, options.seconds)?);
            Ok(())
        })?;
        println!("round {} of {} is over", round + 1, options.rounds);
    }
    for (candidate, running, found) in &mut all {
        for (connections, resident) in MEMORY_CONNECTIONS.into_iter().zip(&mut found.resident_mb) {
            *resident = bench.resident_mb(candidate, running, connections)?;
        }
    }
    let mut found: Vec<Found> = all
        .into_iter()
        .map(|(_, running, found)| {
            drop(running);
            found
        })
        .collect();
    if let Some(found) = found.iter_mut().find(|found| found.name == BOWLINE) {
        found.instructions = Some(callgrind::with_upstream(&bench, options.program.as_deref(), 1)?);
        if options.program.is_none() {
            found.instructions_two_workers = Some(callgrind::with_upstream(&bench, None, 2)?);
        }
    }
    drop(upstream);

    let mut figures = summary::figures(&found);
    summary::print(protocol, &found, &figures);
    if options.json {
        figures.insert("bench".to_owned(), protocol.bench().into());
        figures.insert("rounds".to_owned(), options.rounds.into());
        figures.insert("machine".to_owned(), machine::describe().into());
        println!("{}", Value::Object(figures));
    }
    Ok(())
}

type Started = (&'static Candidate, Running, Found);

/// Visits all, backwards in odd rounds.
fn rounds_order(
    round: u32,
    all: &mut [Started],
    mut visit: impl FnMut(&Candidate, &Running, &mut Found) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut each: Vec<&mut Started> = all.iter_mut().collect();
    if round % 2 == 1 {
        each.reverse();
    }
    each.into_iter().try_for_each(|(candidate, running, found)| visit(candidate, running, found))
}

impl Found {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            saturated: Vec::new(),
            open: Vec::new(),
            resident_mb: [f64::NAN; 2],
            instructions: None,
            instructions_two_workers: None,
        }
    }
}

/// The load generators and the upstream, as quick as the compiler makes them; returns the program.
fn build_generator(root: &Path, protocol: Protocol) -> Result<std::path::PathBuf, Stop> {
    run::run(&mut run::cargo(root, &["build", "--quiet", "--release", "-p", "xtask"]))?;
    if protocol != Protocol::Http1 {
        let example = ["build", "--quiet", "--release", "-p", "bowline-proxy", "--example", CALLEE_HTTP2];
        run::run(&mut run::cargo(root, &example))?;
    }
    Ok(run::target(root).join("release/xtask"))
}

/// Bowline as it is shipped.
pub(super) fn build_bowline(root: &Path) -> Result<(), Stop> {
    run::run(&mut run::cargo(root, &["build", "--quiet", "--release", "-p", "bowline-cli"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(protocol: Protocol, args: &[&str]) -> Result<Options, Stop> {
        Options::parse(protocol, &args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read() {
        let args = ["--rounds", "3", "--only", "nginx,envoy", "--output", "json"];
        let options = parse(Protocol::Http1, &args).expect("good");
        assert_eq!((options.rounds, options.seconds, options.json), (3, SECONDS, true));
        let chosen = options.candidates(Protocol::Http1);
        assert_eq!(chosen.iter().map(|candidate| candidate.name).collect::<Vec<_>>(), ["envoy", "nginx"]);
    }

    #[test]
    fn what_cannot_be_read_is_wrong_use() {
        for args in [
            &["--rounds", "0"][..],
            &["--rounds"],
            &["--only", "apache"],
            &["--output", "xml"],
            &["--quick", "1"],
        ] {
            assert!(matches!(parse(Protocol::Http1, args), Err(Stop::Usage(_))), "{args:?}");
        }
        let nginx = parse(Protocol::Http2, &["--only", "nginx"]);
        assert!(matches!(nginx, Err(Stop::Usage(_))), "Debian's nginx speaks no HTTP/2 to servers");
    }
}
