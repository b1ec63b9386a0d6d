//! One helper: what is found, and that what is suggested mends it.

use bowline_check::{Finding, Severity};
use bowline_design::{Text, read, resolve};
use std::path::{Path, PathBuf};

/// A text called `design.yaml`.
pub(crate) fn design(yaml: &str) -> Text {
    Text { name: "design.yaml".into(), text: yaml.to_owned() }
}

/// A file of this workspace.
pub(crate) fn file(path: impl AsRef<Path>) -> Text {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Text { name: path.file_name().unwrap().to_string_lossy().into(), text }
}

/// Every YAML file of a folder, by name.
pub(crate) fn folder(path: &str) -> Vec<Text> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(file).collect()
}

/// What is found in texts that load.
#[track_caller]
pub(crate) fn findings(texts: &[Text]) -> Vec<Finding> {
    let reading = read(texts);
    let design = resolve(&reading).unwrap_or_else(|mistakes| {
        let told: String = mistakes.iter().map(|mistake| mistake.render(texts, false)).collect();
        panic!("{told}\n{}", texts.iter().map(|text| &*text.text).collect::<String>())
    });
    bowline_check::check(&design, &reading.documents)
}

/// A finding in one line: `T08 warning spec.http[0].retries.perTryTimeout: what`, and whether it has no edit.
pub(crate) fn line(finding: &Finding) -> String {
    let Finding { rule, severity, what, place, edits, .. } = finding;
    let no_edit = if edits.is_empty() { " (no edit)" } else { "" };
    format!("{rule} {} {}: {what}{no_edit}", severity.as_str(), place.path)
}

/// Demands that exactly these findings come up, and that each suggested edit mends its own.
#[track_caller]
pub(crate) fn check(yaml: &str, expected: &[&str]) -> Vec<Finding> {
    check_texts(&[design(yaml)], expected)
}

/// The same for several texts.
#[track_caller]
pub(crate) fn check_texts(texts: &[Text], expected: &[&str]) -> Vec<Finding> {
    let found = findings(texts);
    let lines: Vec<String> = found.iter().map(line).collect();
    assert_eq!(lines, expected, "\n{}", texts.iter().map(|text| &*text.text).collect::<String>());
    every_edit_mends(texts, &found);
    found
}

/// Applies the edits of every finding: the texts still load, that finding is gone, no new error is there.
#[track_caller]
pub(crate) fn every_edit_mends(texts: &[Text], found: &[Finding]) {
    for finding in found.iter().filter(|finding| !finding.edits.is_empty()) {
        let told = line(finding);
        let mended = finding
            .mended(texts)
            .unwrap_or_else(|| panic!("the edit of {told} cannot be made: {:?}", finding.edits));
        let text: String = mended.iter().map(|text| &*text.text).collect();
        let after = findings(&mended);
        let still = after.iter().find(|other| about(other) == about(finding));
        assert!(still.is_none(), "{told} is still there: {}\n{text}", line(still.unwrap()));
        for error in after.iter().filter(|error| error.severity == Severity::Error) {
            let known = found.iter().filter(|known| known.severity == Severity::Error);
            assert!(
                known.into_iter().any(|known| is_that(error, known)),
                "the edit of {told} brings {}\n{text}",
                line(error)
            );
        }
    }
}

/// What a finding is about: its rule, how sure it is, and the place, wherever that moved to.
fn about(finding: &Finding) -> (&'static str, Severity, &str, &str) {
    (finding.rule, finding.severity, &finding.place.resource, &finding.place.path)
}

/// Whether an error is one that was known before. An overload moves to another layer when the one it was
/// blamed on is lowered: it is the same if its operation was on the path before.
fn is_that(error: &Finding, known: &Finding) -> bool {
    let overloads = error.rule == "R01" && known.rule == "R01";
    about(error) == about(known) || overloads && known.path.contains(&error.path[error.path.len() - 1])
}
