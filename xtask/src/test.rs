//! `cargo xtask test`: everything that must hold before a change lands.
//!
//! The steps are ordered by what they cost, so that a wrong comma is found in seconds. All of them
//! that compile the workspace in debug choose the same packages and features (`--workspace`), so
//! that dependencies are built once for `clippy` and `doc`, and once for all tests.

use crate::steps::{self, Choice, Step};
use crate::tools::{
    self, DENY, ENVOY, FUZZ, GO, GRPC_JS, GRPCIO, H2SPEC, JAVA, NIGHTLY, NODE, NPM, OTLP, PROTOBUF, PYTHON,
    TYPING, VALGRIND,
};
use crate::{Stop, bench, codegen, differential, h2spec, run, tidy};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const HELP: &str = "\
cargo xtask test [--only STEP,..] [--skip STEP,..] [--from STEP] [--list]

Runs what must hold before a change lands, cheapest first, and stops at the first step that fails.
Installs what it needs beyond Rust (valgrind, and Go, Node.js, Java and Python for the examples in them, from
Debian's packages where they are missing; grpcio, protobuf and opentelemetry-proto of Python's for the
collector that traces are sent to; cargo-deny, cargo-fuzz, Envoy, h2spec,
grpcio and grpc-js for a test of gRPC, and a nightly toolchain for the fuzzers), and says so before it does.";

/// How long each fuzz target runs here: enough to meet a mistake that a minute can find.
/// `cargo xtask prove` takes ten times as long.
const FUZZ_SECONDS: u32 = 60;

/// Designs that are drawn for the comparison with Envoy; `prove` draws ten times as many.
const DIFFERENTIAL_DRAWS: usize = 100;

const STEPS: &[Step] = &[
    Step { name: "fmt", about: "every file is formatted", run: fmt },
    Step { name: "tidy", about: "the invariants of ARCHITECTURE.md hold", run: tidy::step },
    Step { name: "deny", about: "licences, banned crates and sources are as deny.toml says", run: deny },
    Step { name: "clippy", about: "the compiler and clippy have nothing to say", run: clippy },
    Step { name: "codegen", about: "generated code is what its .proto file says", run: codegen::step },
    Step { name: "unit", about: "unit, property and model tests", run: unit },
    Step {
        name: "integration",
        about: "tests from outside, the program's end-to-end tests among them",
        run: integration,
    },
    Step {
        name: "differential",
        about: "100 drawn designs do through Bowline what they do through Envoy",
        run: |root| differential::step(root, DIFFERENTIAL_DRAWS, 1),
    },
    Step { name: "h2spec", about: "the cases of h2spec pass through a gateway", run: h2spec::step },
    Step { name: "doctests", about: "every example in the documentation runs", run: doctests },
    Step { name: "doc", about: "the documentation builds without a warning", run: doc },
    Step {
        name: "loom",
        about: "the shared edge holds under every interleaving of three preemptions",
        run: loom,
    },
    Step {
        name: "fuzz",
        about: "the loader, the gate and who reads answers survive a minute of fuzzing each",
        run: fuzz,
    },
    Step {
        name: "instructions",
        about: "a proxied request costs no more instructions than before",
        run: instructions,
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
    let needs: Vec<_> = steps.iter().flat_map(|step| needs(step.name)).copied().collect();
    tools::ensure(&root, &needs)?;
    steps::run("test", &steps, &root)
}

/// What a step needs beyond the pinned toolchain.
fn needs(step: &str) -> &'static [tools::Tool] {
    match step {
        "deny" => &[DENY],
        "fuzz" => &[FUZZ, NIGHTLY],
        "instructions" => &[VALGRIND],
        "integration" => &[GO, NODE, NPM, JAVA, PYTHON, GRPCIO, TYPING, PROTOBUF, OTLP, GRPC_JS],
        "differential" => &[ENVOY],
        "h2spec" => &[GO, H2SPEC],
        _ => &[],
    }
}

fn cargo(root: &Path, args: &[&str]) -> Result<String, Stop> {
    run::run(&mut run::cargo(root, args)).map(|()| String::new())
}

fn fmt(root: &Path) -> Result<String, Stop> {
    cargo(root, &["fmt", "--all", "--check"])?;
    // Workspaces of their own.
    cargo(root, &["fmt", "--manifest-path", "codegen/Cargo.toml", "--check"])?;
    cargo(root, &["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"])
}

fn deny(root: &Path) -> Result<String, Stop> {
    cargo(root, &["deny", "--log-level", "error", "check", "licenses", "bans", "sources"])
}

fn clippy(root: &Path) -> Result<String, Stop> {
    cargo(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

fn unit(root: &Path) -> Result<String, Stop> {
    cargo(root, &["test", "--workspace", "--lib", "--bins", "--examples"])
}

fn integration(root: &Path) -> Result<String, Stop> {
    // Named one by one: a pattern would also ask for those that want a feature (loom's), and cargo
    // refuses those.
    let text =
        run::read(&mut run::cargo(root, &["metadata", "--no-deps", "--format-version", "1", "--offline"]))?;
    let metadata = serde_json::from_str(&text).map_err(|e| Stop::Broken(format!("`cargo metadata`: {e}")))?;
    let names = tests_without_features(&metadata);
    if names.is_empty() {
        return Err(Stop::Broken(
            "there are no tests from outside: a step that runs nothing proves nothing".to_owned(),
        ));
    }
    let mut command = run::cargo(root, &["test", "--workspace"]);
    command.args(names.iter().flat_map(|name| ["--test", name]));
    run::run(&mut command).map(|()| String::new())
}

/// Names of the workspace's integration tests that need no feature.
fn tests_without_features(metadata: &Value) -> BTreeSet<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let targets = list(&metadata["packages"]).into_iter().flat_map(|package| list(&package["targets"]));
    let tests = targets.filter(|target| target["kind"][0] == "test" && target["required-features"].is_null());
    tests.filter_map(|target| Some(target["name"].as_str()?.to_owned())).collect()
}

fn doctests(root: &Path) -> Result<String, Stop> {
    cargo(root, &["test", "--workspace", "--doc"])
}

fn doc(root: &Path) -> Result<String, Stop> {
    // Libraries alone: the program and the library are both called `bowline`, and so would be
    // their folders.
    let mut command = run::cargo(root, &["doc", "--workspace", "--lib", "--no-deps"]);
    run::run(command.env("RUSTDOCFLAGS", "-D warnings")).map(|()| String::new())
}

fn loom(root: &Path) -> Result<String, Stop> {
    // The tests bound preemptions themselves, so that this ends in seconds; `prove` lifts the bound.
    let mut command =
        run::cargo(root, &["test", "-p", "bowline-policy", "--features", "loom", "--test", "loom"]);
    run::run(&mut command).map(|()| String::new())
}

fn fuzz(root: &Path) -> Result<String, Stop> {
    // The same inputs on every run: whoever changes one thing is not stopped by luck. `prove` draws anew.
    fuzz_all(root, FUZZ_SECONDS, Some(1))
}

/// Fuzzes every target for so many seconds, from `seed` or, without one, from one that libFuzzer draws and prints.
pub(crate) fn fuzz_all(root: &Path, seconds: u32, seed: Option<u32>) -> Result<String, Stop> {
    let listed = run::read(&mut run::cargo(root, &["+nightly", "fuzz", "list"]))?;
    let targets: Vec<&str> = listed.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if targets.is_empty() {
        return Err(Stop::Broken("fuzz/ has no targets: a step that runs nothing proves nothing".to_owned()));
    }
    let built_in = run::target(root).join("fuzz");
    let built_in = built_in.to_string_lossy();
    run::run(&mut run::cargo(root, &["+nightly", "fuzz", "build", "--target-dir", &built_in]))?;
    for target in &targets {
        // What fuzzing finds goes to the target folder, beside what it begins with from the tree.
        let corpus = run::target(root).join("fuzz/corpus").join(target);
        std::fs::create_dir_all(&corpus).map_err(|e| Stop::Missing(format!("{}: {e}", corpus.display())))?;
        let mut command = run::cargo(root, &["+nightly", "fuzz", "run", target, "--target-dir", &built_in]);
        command.arg(corpus);
        let seeds = [root.join("fuzz/seeds").join(target), root.join("fuzz/corpus").join(target)];
        command.args(seeds.iter().filter(|folder| folder.is_dir()));
        // The closing lines alone: libFuzzer tells of every input that reaches new code.
        command.args(["--", &format!("-max_total_time={seconds}"), "-verbosity=0", "-print_final_stats=1"]);
        command.args(seed.map(|seed| format!("-seed={seed}")));
        run::run(&mut command)?;
    }
    Ok(format!("{seconds} s each: {}", targets.join(", ")))
}

fn instructions(root: &Path) -> Result<String, Stop> {
    bench::ratchet::step(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_from_outside_are_those_that_need_no_feature() {
        let target = |kind: &str, name: &str| serde_json::json!({ "kind": [kind], "name": name });
        let mut loom = target("test", "loom");
        loom["required-features"] = serde_json::json!(["loom"]);
        let first = serde_json::json!({ "targets": [target("lib", "policy"), target("test", "it"), loom] });
        let second = serde_json::json!({ "targets": [target("bin", "shop"), target("test", "it")] });
        let metadata = serde_json::json!({ "packages": [first, second] });
        assert_eq!(Vec::from_iter(tests_without_features(&metadata)), ["it"]);
    }

    #[test]
    fn every_step_has_a_name_of_its_own() {
        let mut names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
