//! `bench policy`: what the policy stack of one call costs, in nanoseconds and allocations.

use crate::{Stop, run};
use serde_json::{Map, Value};
use std::path::Path;

/// The benchmark of one whole call with every policy on, as criterion names it.
const CALL: &str = "call_all_policies";
/// The tests that count allocations begin so; they fail at the first one.
const ALLOCATION_TESTS: &str = "allocation::";

pub(super) fn main(args: &[String]) -> Result<(), Stop> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let json = match args[..] {
        [] | ["--output", "text"] => false,
        ["--output", "json"] => true,
        _ => return Err(Stop::Usage("bench policy takes --output json, and nothing else".to_owned())),
    };
    let root = run::root()?;
    // A figure of an older run must not be taken for one of this.
    let _ = std::fs::remove_dir_all(run::target(&root).join("criterion"));
    let said = run::read(&mut run::cargo(&root, &["bench", "-p", "bowline-policy", "--bench", "policy"]))?;
    print!("{said}");
    let mut figures = estimates(&run::target(&root).join("criterion"));
    let ns = figures.get(CALL).cloned();
    let ns = ns.ok_or_else(|| Stop::Broken(format!("criterion left no figure for `{CALL}`")))?;
    figures.insert("call_ns".to_owned(), ns);
    figures.insert("allocations".to_owned(), allocations(&root)?.into());
    for (name, value) in &figures {
        println!("{name:40} {value}");
    }
    if json {
        figures.insert("bench".to_owned(), "policy".into());
        println!("{}", Value::Object(figures));
    }
    Ok(())
}

/// Medians of criterion's newest run, in nanoseconds, by the benchmark's name.
fn estimates(folder: &Path) -> Map<String, Value> {
    let mut found = Map::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let read = |file: &str| -> Option<Value> {
            serde_json::from_str(&std::fs::read_to_string(folder.join("new").join(file)).ok()?).ok()
        };
        if let (Some(name), Some(estimate)) = (read("benchmark.json"), read("estimates.json"))
            && let (Some(name), Some(ns)) =
                (name["full_id"].as_str(), estimate["median"]["point_estimate"].as_f64())
        {
            found.insert(name.to_owned(), ((ns * 100.0).round() / 100.0).into());
        }
        let inside = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        folders.extend(inside.map(|entry| entry.path()).filter(|path| path.is_dir()));
    }
    found
}

/// Allocations of one call: none, or an error. What counts them is a test, so that a change that brings
/// one in is found by `cargo xtask test` and not by whoever runs benchmarks next.
fn allocations(root: &Path) -> Result<u64, Stop> {
    let args = ["test", "-p", "bowline-policy", "--test", "it", ALLOCATION_TESTS];
    let said = run::read(&mut run::cargo(root, &args))?;
    match passed(&said) {
        0 => Err(Stop::Broken(format!("no test of bowline-policy is called `{ALLOCATION_TESTS}..`"))),
        _ => Ok(0),
    }
}

/// How many tests passed, by cargo's closing line.
fn passed(said: &str) -> u64 {
    let line = said.lines().find_map(|line| line.strip_prefix("test result: ok. "));
    line.and_then(|line| line.split(' ').next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_tests_counts_nothing() {
        assert_eq!(passed("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out"), 3);
        assert_eq!(passed("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 12 filtered out"), 0);
        assert_eq!(passed(""), 0);
    }
}
