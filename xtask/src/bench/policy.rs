//! `bench policy`: what the policy stack of one call costs, in nanoseconds and allocations.

use crate::{Stop, run};
use serde_json::{Map, Value};
use std::path::Path;

/// The benchmark of one whole call with every policy on, as criterion names it.
const CALL: &str = "policy/call";

pub(super) fn main(args: &[String]) -> Result<(), Stop> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let json = match args[..] {
        [] | ["--output", "text"] => false,
        ["--output", "json"] => true,
        _ => return Err(Stop::Usage("bench policy takes --output json, and nothing else".to_owned())),
    };
    let root = run::root()?;
    let said = run::read(&mut run::cargo(&root, &["bench", "-p", "bowline-policy", "--bench", "policy"]))?;
    print!("{said}");
    let mut figures = estimates(&run::target(&root).join("criterion"));
    figures.extend(allocations(&said));
    if let Some(ns) = figures.get(CALL).cloned() {
        figures.insert("call_ns".to_owned(), ns);
    }
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

/// Lines `allocations: N` that the benchmark prints.
fn allocations(said: &str) -> Option<(String, Value)> {
    let line = said.lines().find_map(|line| line.trim().strip_prefix("allocations:"))?;
    let count: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(("allocations".to_owned(), count.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_read_from_what_the_benchmark_prints() {
        let said = "policy/call    time: [101 ns 102 ns 103 ns]\nallocations: 0 in 100000 calls\n";
        assert_eq!(allocations(said), Some(("allocations".to_owned(), 0.into())));
        assert_eq!(allocations("time: [1 ns]"), None);
    }
}
