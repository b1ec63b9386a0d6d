//! `bench overload`: a callee at three times its capacity, through the real gateway, beside what the simulator says.
//!
//! One design without protection and one with it (`xtask/bench/overload/`). Peak is what the protected design gets
//! done when exactly the capacity is offered. The load does not wait for answers, the callee does not notice that
//! nobody waits for its own: without protection it works for nobody, soon and for good.

use super::machine::Running;
use super::{candidates, machine, proxy};
use crate::{Stop, run};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const CALLEE_PORT: u16 = 17_020;
const GATEWAY_PORT: u16 = 17_021;
const API_PORT: u16 = 17_022;
/// What the callee works on at once, and how long each takes: 80 requests a second. So slow that a busy machine does
/// not change it.
const WORKERS: &str = "8";
const TAKES_MS: &str = "100";
const CAPACITY: u32 = 80;
/// As in the designs.
const DEADLINE_MS: &str = "1000";
/// Enough that no request waits for a connection, on a busy machine neither: three times the capacity for four times as
/// long as the deadline.
const CONNECTIONS: &str = "1000";
/// The queue needs some seconds to grow longer than the deadline.
const WARM_UP: &str = "10";
const SECONDS: u32 = 30;
/// What has to be left of the peak.
const BAR: f64 = 0.85;

/// One measurement.
struct Case {
    name: &'static str,
    design: &'static str,
    scenario: &'static str,
    rate: u32,
}

const CASES: [Case; 3] = [
    Case { name: "peak", design: "protected", scenario: "peak", rate: CAPACITY },
    Case { name: "bare", design: "bare", scenario: "overload", rate: 3 * CAPACITY },
    Case { name: "protected", design: "protected", scenario: "overload", rate: 3 * CAPACITY },
];

pub(super) fn main(args: &[String]) -> Result<(), Stop> {
    let (mut program, mut json) = (None, false);
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        match (arg, args.next()) {
            ("--program", Some(path)) => program = Some(PathBuf::from(path)),
            ("--output", Some("json")) => json = true,
            ("--output", Some("text")) => json = false,
            (other, _) => {
                return Err(Stop::Usage(format!("cannot read `{other}`; --help lists the options")));
            }
        }
    }
    let root = run::root()?;
    let program = match program {
        Some(path) => path,
        None => {
            proxy::build_bowline(&root)?;
            run::target(&root).join("release/bowline")
        }
    };
    let this = std::env::current_exe().map_err(|e| Stop::Missing(format!("this program's own path: {e}")))?;

    println!("{}; {SECONDS} s each, {CAPACITY}/s is what the callee can do", machine::describe());
    println!("{:<10} {:>8} {:>16} {:>16}", "", "offered", "predicted", "measured");
    let mut found = Vec::new();
    for case in CASES {
        let predicted = predict(&root, &program, &case)? * f64::from(case.rate);
        let measured = measure(&root, &program, &this, &case)?;
        println!("{:<10} {:>6}/s {predicted:>14.1}/s {measured:>14.1}/s", case.name, case.rate);
        found.push((case, predicted, measured));
    }
    let of = |name: &str, which: fn(&(Case, f64, f64)) -> f64| {
        found.iter().find(|(case, ..)| case.name == name).map_or(f64::NAN, which)
    };
    let share = |name: &str, which: fn(&(Case, f64, f64)) -> f64| of(name, which) / of("peak", which);
    let (predicted, measured) = (share("protected", |it| it.1), share("protected", |it| it.2));
    let (bare_predicted, bare) = (share("bare", |it| it.1), share("bare", |it| it.2));
    println!("\nof the peak, without protection: {bare_predicted:.3} predicted, {bare:.3} measured");
    println!(
        "of the peak, with protection:    {predicted:.3} predicted, {measured:.3} measured; the bar is {BAR}"
    );
    if json {
        let rows: Vec<Value> = found
            .iter()
            .map(|(case, predicted, measured)| {
                json!({"case": case.name, "offered_per_s": case.rate, "predicted_per_s": predicted, "measured_per_s": measured})
            })
            .collect();
        println!("{}", json!({"bench": "overload", "rows": rows, "of_peak": measured, "of_peak_bare": bare}));
    }
    if measured < BAR {
        return Err(Stop::Broken(format!("{measured:.3} of the peak is left, the bar is {BAR}")));
    }
    Ok(())
}

/// The share of requests that the simulator says are answered in time.
fn predict(root: &Path, program: &Path, case: &Case) -> Result<f64, Stop> {
    let design = design(root, case.design)?;
    let mut command = run::program(root, &program.to_string_lossy());
    command.arg("simulate").arg(&design).arg(case.scenario);
    command.args(["--output", "json", "--report"]).arg(design.with_extension("html"));
    let said = run::read(&mut command)?;
    let value: Value = said
        .lines()
        .last()
        .and_then(|line| serde_json::from_str(line).ok())
        .or_else(|| serde_json::from_str(&said).ok())
        .unwrap_or_default();
    let share = &value["experiments"][0]["arms"][0]["figures"]["answered_in_time"]["mean"];
    share.as_f64().ok_or_else(|| Stop::Broken(format!("`{}` names no share", run::shown(&command))))
}

/// Good answers in time, a second.
fn measure(root: &Path, program: &Path, this: &Path, case: &Case) -> Result<f64, Stop> {
    let design = design(root, case.design)?;
    let scratch = candidates::scratch(root, "overload")?;
    let callee = candidates::loopback(CALLEE_PORT);
    let mut command = Command::new(this);
    command.arg("fixed").arg(callee.to_string()).args([WORKERS, TAKES_MS]);
    let callee = Running::start(command, callee, &scratch.join("callee.log"))?;

    let mut command = run::program(root, &program.to_string_lossy());
    command.arg("up").arg(&design).args(["--only", "gateway", "--workers", "1", "--api"]);
    command.arg(candidates::loopback(API_PORT).to_string());
    command.arg("--data").arg(scratch.join("data"));
    let gateway = candidates::loopback(GATEWAY_PORT);
    let running = Running::start(command, gateway, &scratch.join("gateway.log"))?;

    let mut load = Command::new(this);
    load.args(["load", "open", &gateway.to_string(), CONNECTIONS, &case.rate.to_string()]);
    load.args([&SECONDS.to_string(), WARM_UP, DEADLINE_MS]);
    let said = run::read(&mut load)?;
    drop(running);
    drop(callee);
    let report: Value = serde_json::from_str(said.trim()).unwrap_or_default();
    let good =
        report["good"].as_u64().ok_or_else(|| Stop::Broken(format!("the load said `{}`", said.trim())))?;
    Ok(good as f64 / f64::from(SECONDS))
}

/// A folder with the base and one policy.
fn design(root: &Path, policy: &str) -> Result<PathBuf, Stop> {
    let from = root.join("xtask/bench/overload");
    let to = candidates::scratch(root, &format!("overload-{policy}"))?.join("design");
    let failed = |e: std::io::Error| Stop::Missing(format!("cannot write {}: {e}", to.display()));
    std::fs::create_dir_all(&to).map_err(failed)?;
    for file in ["base.yaml", &format!("{policy}.yaml")] {
        std::fs::copy(from.join(file), to.join(file)).map_err(failed)?;
    }
    Ok(to)
}
