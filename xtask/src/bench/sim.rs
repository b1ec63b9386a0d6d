//! `bench sim`: events a second in virtual time, memory over simulated time, and a whole comparison.

use crate::{Stop, run};
use serde_json::{Value, json};
use std::path::Path;

/// What the simulator has to manage on one core with retry, budget, breaker, bulkhead and histograms on every
/// edge, in events a second.
const BAR: f64 = 3e6;
/// How often each rate is measured; the machine may have other work.
const ROUNDS: usize = 5;
/// Seeds of each arm in the comparison.
const SEEDS: u64 = 20;
/// How many of them run where nobody asks for all.
const TENTH: u64 = SEEDS / 10;
/// How many times as long the second run of the memory figure simulates.
const LONGER: u64 = 10;

pub(super) fn main(args: &[String]) -> Result<(), Stop> {
    let (mut json, mut seeds) = (false, TENTH);
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        match arg {
            "--whole" => seeds = SEEDS,
            "--output" => match args.next() {
                Some("json") => json = true,
                Some("text") => json = false,
                _ => return Err(Stop::Usage("--output wants text or json".to_owned())),
            },
            other => return Err(Stop::Usage(format!("bench sim takes no `{other}`; --help tells more"))),
        }
    }
    let root = run::root()?;
    let program = build(&root)?;
    let one = |name, times| measured(&root, &program, name, times);
    let rounds = |name| (0..ROUNDS).map(|_| one(name, 1)).collect::<Result<Vec<_>, _>>();
    let plain = rounds("plain_events_per_s")?;
    let policies = rounds("policies_events_per_s")?;
    let longer = one("policies_events_per_s", LONGER)?;
    let comparison = one("six_services", seeds)?;

    let (plain_rate, policies_rate) = (middle(&plain, "events_per_s"), middle(&policies, "events_per_s"));
    let (memory, memory_longer) = (middle(&policies, "memory_kib"), figure(&longer, "memory_kib"));
    let wall = figure(&comparison, "wall_s");
    let met = BAR <= policies_rate;
    let verdict = if met { "met" } else { "MISSED" };
    println!("\nmedians of {ROUNDS}; a second is one of the processor's, so that other work does not count");
    println!("plain_events_per_s     {plain_rate:>12.0}   one server, no policy");
    println!(
        "policies_events_per_s  {policies_rate:>12.0}   every policy on every edge; the bar is {BAR}: {verdict}"
    );
    println!("  of these, requests/s {:>12.0}", per_second(&policies, "requests"));
    println!(
        "memory                 {memory:>12.0}   KiB; {memory_longer:.0} KiB for {LONGER} times as long"
    );
    println!(
        "six services           {wall:>12.1}   s on two cores ({:.1} s of the processor): 1,000/s, ten minutes, \
         three arms, {seeds} of {SEEDS} seeds",
        figure(&comparison, "cpu_s"),
    );
    if seeds < SEEDS {
        println!(
            "                       {:>12.1}   s, scaled to all of them; --whole runs them",
            wall * 10.0
        );
    }
    if json {
        let line = json!({
            "bench": "sim",
            "plain_events_per_s": plain_rate.round(),
            "policies_events_per_s": policies_rate.round(),
            "policies_events_per_wall_s": middle_of(policies.iter().map(wall_rate).collect()).round(),
            "policies_requests_per_s": per_second(&policies, "requests").round(),
            "policies_bar_events_per_s": BAR,
            "policies_bar_met": met,
            "memory_kib": memory,
            "memory_10x_kib": memory_longer,
            "six_services_seeds": seeds,
            "six_services_runs": figure(&comparison, "runs"),
            "six_services_events": figure(&comparison, "events"),
            "six_services_wall_s": wall,
            "six_services_cpu_s": figure(&comparison, "cpu_s"),
            "six_services_memory_kib": figure(&comparison, "memory_kib"),
        });
        println!("{line}");
    }
    Ok(())
}

/// Builds the benchmark once, so that nothing is built between two rounds; returns where it is.
fn build(root: &Path) -> Result<String, Stop> {
    let args = ["bench", "-q", "-p", "bowline-sim", "--bench", "sim", "--no-run", "--message-format", "json"];
    let said = run::read(&mut run::cargo(root, &args))?;
    let messages = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let built = messages.filter_map(|message| message["executable"].as_str().map(str::to_owned)).next_back();
    built.ok_or_else(|| Stop::Broken("cargo did not say where it built the benchmark".to_owned()))
}

/// One measurement, in a process of its own, so that no other's memory counts.
fn measured(root: &Path, program: &str, name: &str, times: u64) -> Result<Value, Stop> {
    let times = times.to_string();
    let said = run::read(run::program(root, program).args([name, "--times", &times]))?;
    print!("{said}");
    let line = said.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
    line.filter(|line| line["bench"] == name)
        .ok_or_else(|| Stop::Broken(format!("the benchmark left no figure for `{name}`")))
}

fn figure(line: &Value, name: &str) -> f64 {
    line[name].as_f64().unwrap_or(f64::NAN)
}

fn middle(lines: &[Value], name: &str) -> f64 {
    middle_of(lines.iter().map(|line| figure(line, name)).collect())
}

fn per_second(lines: &[Value], name: &str) -> f64 {
    middle_of(lines.iter().map(|line| figure(line, name) / figure(line, "cpu_s")).collect())
}

fn wall_rate(line: &Value) -> f64 {
    figure(line, "events") / figure(line, "wall_s")
}

fn middle_of(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_round_moves_no_figure() {
        let line = |events: f64, cpu: f64| json!({ "events": events, "cpu_s": cpu });
        let lines = [line(10.0, 1.0), line(10.0, 9.0), line(10.0, 1.25)];
        assert_eq!(per_second(&lines, "events").to_string(), "8");
        assert_eq!(middle(&lines, "cpu_s").to_string(), "1.25");
    }
}
