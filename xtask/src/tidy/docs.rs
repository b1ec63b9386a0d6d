//! Documents that name things name things that exist.

use super::Finding;
use super::tree::{File, Tree};

const DECISIONS: &str = "docs/decisions/";
const BENCHMARKS: &str = "docs/benchmarks.md";

/// Every record is `NNNN-words.md`, begins with `# NNNN: Title`, and the numbers have no gap.
pub(super) fn decisions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let records = tree.files.iter().filter(|file| file.path.starts_with(DECISIONS));
    let mut records: Vec<&File> = records.collect();
    records.sort_by(|a, b| a.path.cmp(&b.path));
    for (index, file) in records.iter().enumerate() {
        let expected = format!("{:04}", index + 1);
        let name = &file.path[DECISIONS.len()..];
        if !name.starts_with(&format!("{expected}-")) || !name.ends_with(".md") {
            findings.push(Finding::new(
                &file.path,
                format!("the next record is number {expected}"),
                "name it NNNN-what-was-decided.md; numbers go up by one and are never used twice",
            ));
            continue;
        }
        let title = file.text.lines().next().and_then(|line| line.strip_prefix(&format!("# {expected}: ")));
        if title.is_none_or(|title| title.trim().is_empty()) {
            findings.push(Finding::new(
                format!("{}:1", file.path),
                "has no title",
                "begin it with `# NNNN: What was decided`",
            ));
        }
    }
    findings
}

/// Every name in the first column of a table headed `bench` is one in some benchmark's source.
pub(super) fn benches(tree: &Tree) -> Vec<Finding> {
    let Some(file) = tree.files.iter().find(|file| file.path == BENCHMARKS) else {
        return vec![Finding::new(BENCHMARKS, "is missing", "write down what is measured, and how")];
    };
    let in_benches = |file: &&File| file.path.contains("/benches/") && file.path.ends_with(".rs");
    let sources: Vec<&File> = tree.files.iter().filter(in_benches).collect();
    let mut findings = Vec::new();
    for (line, name) in named_benches(&file.text) {
        let quoted = format!("\"{name}\"");
        if !sources.iter().any(|source| source.text.contains(&quoted)) {
            findings.push(Finding::new(
                format!("{BENCHMARKS}:{line}"),
                format!("no benchmark is called `{name}`"),
                "name one that exists in a crate's benches/, or write it",
            ));
        }
    }
    findings
}

/// Line and name of each row of the tables headed `bench`.
fn named_benches(text: &str) -> Vec<(usize, &str)> {
    let mut names = Vec::new();
    let mut inside = false;
    for (n, line) in text.lines().enumerate() {
        let first = line.strip_prefix('|').and_then(|row| row.split('|').next()).map(str::trim);
        match first {
            None => inside = false,
            Some("bench") => inside = true,
            Some(cell) if inside => {
                names.extend(cell.split('`').skip(1).step_by(2).map(|name| (n + 1, name)));
            }
            Some(_) => (),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(files: &[(&str, &str)]) -> Vec<Finding> {
        let tree = files.iter().fold(Tree::default(), |tree, (path, text)| tree.with_file(path, text));
        decisions(&tree)
    }

    #[test]
    fn a_record_without_number_or_title_is_found() {
        let good = ("docs/decisions/0001-pure-core.md", "# 0001: A pure core\n");
        assert_eq!(records(&[good]), []);
        assert_eq!(records(&[("docs/decisions/pure-core.md", "# 0001: A pure core\n")]).len(), 1);
        assert_eq!(records(&[("docs/decisions/0001-pure-core.md", "A pure core\n")]).len(), 1);
        assert_eq!(records(&[("docs/decisions/0001-pure-core.md", "# 0001: \n")]).len(), 1);
    }

    #[test]
    fn a_number_used_twice_or_left_out_is_found() {
        let first = ("docs/decisions/0001-a.md", "# 0001: A\n");
        assert_eq!(records(&[first, ("docs/decisions/0001-b.md", "# 0001: B\n")]).len(), 1);
        assert_eq!(records(&[first, ("docs/decisions/0003-c.md", "# 0003: C\n")]).len(), 1);
    }

    #[test]
    fn a_benchmark_that_does_not_exist_is_found() {
        let table =
            "| bench | what |\n|---|---|\n| `policy/call` | one call |\n| `policy/gone` | - |\n\n| `x` |\n";
        let tree = Tree::default()
            .with_file(BENCHMARKS, table)
            .with_file("crates/bowline-policy/benches/policy.rs", "bench_function(\"policy/call\", ..)");
        let findings = benches(&tree);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].what, "no benchmark is called `policy/gone`");
        assert_eq!(findings[0].place, "docs/benchmarks.md:4");
    }

    #[test]
    fn benchmarks_are_written_down() {
        assert_eq!(benches(&Tree::default()).len(), 1);
    }
}
