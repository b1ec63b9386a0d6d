//! Instructions that one proxied request takes in user space.
//!
//! Seconds depend on what else the machine does, this count does not: the same program and the same
//! load give the same figure within half a percent, which is what makes a ratchet of it possible.
//! What the kernel does is not in it.

use super::candidates::{self, BOWLINE, CANDIDATES};
use super::machine::{PROXY_CORE, Running, pinned};
use super::measure::Bench;
use crate::{Stop, run};
use std::path::Path;
use std::process::Command;

/// Before counting: connections to the upstream are open, and callgrind has translated the code.
const WARM_UP_REQUESTS: u64 = 500;
/// Enough that what is not a request (timers, the handshakes of 16 connections) is under a percent.
const REQUESTS: u64 = 5_000;

/// Starts the upstream, and counts.
pub(super) fn alone(bench: &Bench<'_>) -> Result<f64, Stop> {
    let _upstream = candidates::start_upstream(bench.root, bench.this, bench.protocol)?;
    with_upstream(bench, None, 1)
}

/// Counts, with so many workers; the upstream is there already, Bowline's port is free. `instead` replaces its command.
pub(super) fn with_upstream(bench: &Bench<'_>, instead: Option<&str>, workers: u32) -> Result<f64, Stop> {
    let root = bench.root;
    let bowline = CANDIDATES.iter().find(|candidate| candidate.name == BOWLINE);
    let bowline = bowline.ok_or_else(|| Stop::Usage("there is no Bowline to be measured".to_owned()))?;
    let scratch = candidates::scratch(root, "callgrind")?;
    let command = match instead {
        Some(line) => candidates::words(root, line)?,
        None => candidates::bowline_of(root, &scratch, bench.protocol, workers),
    };
    let out = scratch.join("callgrind.out");
    for old in std::fs::read_dir(&scratch).into_iter().flatten().flatten() {
        if old.file_name().to_string_lossy().starts_with("callgrind.out") {
            let _ = std::fs::remove_file(old.path());
        }
    }

    let mut valgrind = Command::new("valgrind");
    // Nothing is counted while the program starts: instrumenting that takes longer than the rest.
    valgrind.args(["--tool=callgrind", "--instr-atstart=no"]);
    valgrind.arg(format!("--callgrind-out-file={}", out.display()));
    valgrind.arg(command.get_program()).args(command.get_args());
    let running =
        Running::start(pinned(root, PROXY_CORE, &valgrind), bowline.address(), &scratch.join("log"))?;

    control(root, &running, &["-i", "on"])?;
    bench.closed(bowline, WARM_UP_REQUESTS)?;
    control(root, &running, &["-z"])?;
    bench.closed(bowline, REQUESTS)?;
    control(root, &running, &["-d"])?;
    drop(running);

    // The dump asked for is number 1; the program's end writes one without a number.
    let dump = scratch.join("callgrind.out.1");
    let text = std::fs::read_to_string(&dump)
        .map_err(|e| Stop::Missing(format!("callgrind left no {}: {e}", dump.display())))?;
    let total = total(&text).ok_or_else(|| Stop::Missing(format!("no total in {}", dump.display())))?;
    Ok((total / REQUESTS as f64).round())
}

fn control(root: &Path, running: &Running, what: &[&str]) -> Result<(), Stop> {
    let mut command = run::program(root, "callgrind_control");
    run::read(command.args(what).arg(running.id().to_string())).map(drop)
}

/// The sum of a dump: its `totals:` line, or `summary:` in one that was cut short.
fn total(dump: &str) -> Option<f64> {
    let line = |start| dump.lines().rev().find_map(|line| line.strip_prefix(start));
    line("totals:").or_else(|| line("summary:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_dump_is_found() {
        assert_eq!(total("events: Ir\nsummary: 7\n\nfn=(1) main\n1 7\n\ntotals: 123456\n"), Some(123_456.0));
        assert_eq!(total("events: Ir\nsummary: 7\n"), Some(7.0));
        assert_eq!(total("events: Ir\n"), None);
    }
}
