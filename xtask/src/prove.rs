//! `cargo xtask prove`: the proofs of `cargo xtask test` for longer, for a quiet evening.

use crate::steps::{self, Choice, Step};
use crate::tools::{self, ENVOY, FUZZ, NIGHTLY};
use crate::{Stop, differential, run, soak, test, validate};
use std::path::Path;

const HELP: &str = "\
cargo xtask prove [--only STEP,..] [--skip STEP,..] [--from STEP] [--list]

The proofs of `cargo xtask test` for longer: about three quarters of an hour on two cores. `cargo xtask soak --for 1m` and
`cargo xtask differential --draws N` run two of them shorter. Each step tells what
it found; the closing table is made to be pasted into docs/benchmarks.md.";

/// Ten minutes for each fuzz target.
const FUZZ_SECONDS: u32 = 600;
/// Random cases of each property: eighty times proptest's default of 256.
const PROPTEST_CASES: &str = "20480";
/// Each loom test may look at interleavings for so many seconds; without a bound on preemptions some
/// have more of them than a night has seconds.
const LOOM_SECONDS: &str = "600";
/// The seeds of the validation table: what its published neighbours used.
const VALIDATION_SEEDS: &[&str] = &["7", "11"];
/// More preemptions than any of the models has places for.
const LOOM_PREEMPTIONS: &str = "1000";

/// Calls of the end-to-end test that counts effects: thirty times what `cargo xtask test` makes.
const EFFECT_CALLS: &str = "100000";

const DIFFERENTIAL_DRAWS: usize = 1_000;
/// Others than `cargo xtask test` draws.
const DIFFERENTIAL_SEED: u64 = 2;

const STEPS: &[Step] = &[
    Step { name: "properties", about: "every property, 20,480 random cases", run: properties },
    Step { name: "loom", about: "the shared edge under every interleaving there is", run: loom },
    Step { name: "validate", about: "the whole validation table, with two seeds", run: validation },
    Step {
        name: "differential",
        about: "1,000 drawn designs through Bowline and through Envoy",
        run: |root| differential::step(root, DIFFERENTIAL_DRAWS, DIFFERENTIAL_SEED),
    },
    Step { name: "effects", about: "100,000 calls under a fault script, nothing twice", run: effects },
    Step {
        name: "soak",
        about: "ten minutes of requests, cut connections and reloads, and nothing left behind",
        run: soak::step,
    },
    Step {
        name: "fuzz",
        about: "ten minutes of fuzzing each",
        run: |root| test::fuzz_all(root, FUZZ_SECONDS, None),
    },
];

pub(crate) fn main(args: &[String]) -> Result<(), Stop> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{HELP}\n\nSteps:");
        steps::list(STEPS);
        return Ok(());
    }
    let choice = Choice::parse(args, STEPS)?;
    if choice.list {
        steps::list(STEPS);
        return Ok(());
    }
    let root = run::root()?;
    let steps = choice.of(STEPS);
    if steps.iter().any(|step| step.name == "fuzz") {
        tools::ensure(&root, &[FUZZ, NIGHTLY])?;
    }
    if steps.iter().any(|step| step.name == "differential") {
        tools::ensure(&root, &[ENVOY])?;
    }
    steps::run("prove", &steps, &root)
}

fn properties(root: &Path) -> Result<String, Stop> {
    let mut command = run::cargo(root, &["test", "--workspace", "--lib", "--bins"]);
    run::run(command.env("PROPTEST_CASES", PROPTEST_CASES))?;
    Ok(format!("{PROPTEST_CASES} cases a property"))
}

fn effects(root: &Path) -> Result<String, Stop> {
    let args = ["test", "-p", "bowline-cli", "--test", "it", "--", "--nocapture", "effects"];
    let mut command = run::cargo(root, &args);
    run::run(command.env("BOWLINE_CALLS", EFFECT_CALLS))?;
    Ok(format!("{EFFECT_CALLS} calls, no effect twice"))
}

fn loom(root: &Path) -> Result<String, Stop> {
    let args = ["test", "-p", "bowline-policy", "--features", "loom", "--test", "loom"];
    let mut command = run::cargo(root, &args);
    run::run(command.env("LOOM_MAX_PREEMPTIONS", LOOM_PREEMPTIONS).env("LOOM_MAX_DURATION", LOOM_SECONDS))?;
    Ok(format!("no bound on preemptions, at most {LOOM_SECONDS} s a test"))
}

fn validation(_: &Path) -> Result<String, Stop> {
    for seed in VALIDATION_SEEDS {
        validate::main(&["--seed".to_owned(), (*seed).to_owned()])?;
    }
    Ok(format!("seeds {}", VALIDATION_SEEDS.join(" and ")))
}
