//! `cargo xtask tidy`: the invariants of ARCHITECTURE.md, checked.
//!
//! A rule is a function from the tree to findings; it sees file names, texts and what cargo says
//! about the packages, and nothing else, so that each rule's test can make up a tree that breaks it.
//!
//! - [`floors`]: nothing points up
//! - [`pure`]: the pure crates name nothing impure, in manifest and source
//! - [`clients`]: only its adapter names a broker, a database or a telemetry library
//! - [`house`]: lints inherited, the model small, no test left out
//! - [`words`]: the project speaks of itself alone
//! - [`docs`]: decisions are numbered and titled, benchmarks that are named exist

mod clients;
mod docs;
mod floors;
mod house;
mod pure;
mod tree;
mod words;

use crate::{Stop, run};
use std::fmt;
use std::path::Path;
use tree::Tree;

const HELP: &str = "\
cargo xtask tidy

Checks the invariants of ARCHITECTURE.md. Each finding says where, what, and what to do.";

/// A place where an invariant does not hold.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// A file, or a file and a line.
    place: String,
    /// What is wrong.
    what: String,
    /// What to do about it.
    mend: &'static str,
}

impl Finding {
    fn new(place: impl Into<String>, what: impl Into<String>, mend: &'static str) -> Self {
        Self { place: place.into(), what: what.into(), mend }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    {}", self.place, self.what, self.mend)
    }
}

type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: &[(&str, Rule)] = &[
    ("nothing points up", floors::check),
    ("pure crates depend on what is listed for them", pure::dependencies),
    ("pure crates read no clock, file, environment or generator", pure::sources),
    ("only its adapter names a client library", clients::check),
    ("every crate inherits the workspace's lints", house::lints),
    ("bowline-model stays small", house::model_size),
    ("no test is left out", house::ignored_tests),
    ("no path of one machine, no registry's host", words::check),
    ("decisions are numbered and titled", docs::decisions),
    ("benchmarks that are named exist", docs::benches),
];

pub(crate) fn main(args: &[String]) -> Result<(), Stop> {
    match args {
        [] => {
            println!("{}", step(&run::root()?)?);
            Ok(())
        }
        [help] if help == "--help" || help == "-h" => {
            println!("{HELP}\n");
            for (name, _) in RULES {
                println!("  {name}");
            }
            Ok(())
        }
        _ => Err(Stop::Usage("tidy takes no arguments".to_owned())),
    }
}

/// Checks all rules; the answer says how many held for how many files.
pub(crate) fn step(root: &Path) -> Result<String, Stop> {
    let tree = Tree::read(root)?;
    let mut count = 0;
    for (name, rule) in RULES {
        let mut findings = rule(&tree);
        findings.sort();
        if !findings.is_empty() {
            println!("tidy: {name}");
        }
        for finding in &findings {
            println!("  {finding}");
        }
        count += findings.len();
    }
    if count > 0 {
        return Err(Stop::Broken(format!("tidy: {count} findings, listed above")));
    }
    let (rules, files, packages) = (RULES.len(), tree.files.len(), tree.packages.len());
    Ok(format!("tidy: {rules} rules hold in {files} files of {packages} packages"))
}
