//! Commands of "console run" blocks: a line that begins with `$`, and below it fragments of what it prints.
//!
//! `...` stands for anything. The rest has to come in that order.

use crate::clock;
use crate::pages::Block;
use std::path::Path;
use std::process::{Command, Stdio};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_bowline");

/// One command and what it has to print.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) command: String,
    pub(crate) expected: String,
}

/// Runs a block's commands in `folder`, one after the other. `here` changes what the page writes into what
/// holds here: ports, for instance.
pub(crate) fn run(block: &Block<'_>, folder: &Path, here: &dyn Fn(&str) -> String) {
    for shown in commands(block, here) {
        shown.check(block, folder);
    }
}

impl Shown {
    /// Runs it in `folder` and compares.
    pub(crate) fn check(&self, block: &Block<'_>, folder: &Path) {
        let Self { command, expected } = self;
        let compare = || compared(&shell(command, folder), expected);
        // What is told about a request arrives after it.
        let arrives = ["explain last", "/metrics", "bowline top"].iter().any(|late| command.contains(late));
        let result = if arrives { clock::until_ok(compare) } else { compare() };
        result.unwrap_or_else(|why| panic!("{}: $ {command}\n{why}", block.place));
    }
}

/// A block as it is, and as it would be if it showed all that its command prints now.
pub(crate) fn golden(block: &Block<'_>, folder: &Path) -> (String, String) {
    let shown = commands(block, &str::to_owned);
    let [only] = shown.as_slice() else { panic!("{}: one command, and what it prints", block.place) };
    let printed = shell(&only.command, folder);
    let lines = printed.lines().map(|line| timeless(line).trim_end());
    let printed = lines.fold(format!("$ {}\n", only.command), |text, line| text + line + "\n");
    (block.lines.iter().fold(String::new(), |text, line| text + line + "\n"), printed)
}

/// How long it took is no promise: what stands behind the report's name.
fn timeless(line: &str) -> &str {
    match line.split_once("Report: ") {
        Some((_, rest)) => rest.find("    ").map_or(line, |at| &line[..line.len() - rest.len() + at]),
        None => line,
    }
}

/// A block's commands, at least one.
pub(crate) fn commands(block: &Block<'_>, here: &dyn Fn(&str) -> String) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    for line in &block.lines {
        match (line.strip_prefix("$ "), shown.last_mut()) {
            (Some(command), _) => shown.push(Shown { command: command.to_owned(), expected: String::new() }),
            (None, Some(last)) => last.expected.extend([*line, "\n"]),
            (None, None) => panic!("{}: output before a command", block.place),
        }
    }
    assert!(!shown.is_empty(), "{}: a block to run, without a command", block.place);
    for Shown { command, expected } in &mut shown {
        (*command, *expected) = (here(command), here(expected));
    }
    shown
}

/// What a command prints, on either stream.
fn shell(command: &str, folder: &Path) -> String {
    let program = Path::new(PROGRAM).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut sh = Command::new("sh");
    // Pages say where the program is built; here it is on the path.
    sh.args(["-c", &command.replace("target/release/bowline", "bowline")]);
    sh.current_dir(folder).env("PATH", path).env("NO_COLOR", "1").stdin(Stdio::null());
    let output = sh.output().unwrap();
    assert_ne!(output.status.code(), Some(127), "not found: {}", String::from_utf8_lossy(&output.stderr));
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// Whether all fragments are there, in their order.
pub(crate) fn compared(printed: &str, expected: &str) -> Result<(), String> {
    let mut rest = printed;
    for fragment in expected.split("...").map(|fragment| fragment.trim_matches('\n')) {
        let Some(at) = rest.find(fragment) else {
            return Err(format!("expected, from there on: {fragment:?}\n--- printed\n{printed}"));
        };
        rest = &rest[at + fragment.len()..];
    }
    Ok(())
}

#[test]
fn fragments_come_in_their_order() {
    assert_eq!(compared("one\ntwo 17 ms\nthree\n", "one\n...two ... ms\n"), Ok(()));
    assert!(compared("one\ntwo\n", "two\n...one\n").is_err());
    assert_eq!(compared("anything", ""), Ok(()));
}
