//! Rules of the house: lints inherited, the model small, no test left out.

use super::Finding;
use super::tree::Tree;

/// A type that one crate uses lives in that crate; a shared crate that everything leans on is the
/// one that grows until every edit rebuilds everything.
const MODEL_LINES_MAX: usize = 2_000;

/// The one crate with unsafe code: a file system for SQLite, in C's terms. Nothing but tests may depend on it.
const UNSAFE: &str = "bowline-forgetful";

pub(super) fn lints(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let root = tree.files.iter().find(|file| file.path == "Cargo.toml");
    if root.is_some_and(|file| !file.text.lines().any(|line| line == "unsafe_code = \"forbid\"")) {
        let mend = "say `unsafe_code = \"forbid\"` in [workspace.lints.rust]";
        findings.push(Finding::new("Cargo.toml", "the workspace does not forbid unsafe code", mend));
    }
    for package in &tree.packages {
        let manifest = package.manifest();
        if package.dependencies.iter().any(|dependency| dependency.name == UNSAFE && !dependency.dev) {
            let what = format!("{} depends on {UNSAFE}, which has unsafe code", package.name);
            findings.push(Finding::new(&manifest, what, "name it under [dev-dependencies]"));
        }
        if package.name == UNSAFE {
            continue;
        }
        let Some(file) = tree.files.iter().find(|file| file.path == manifest) else { continue };
        let mut lines = file.text.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
        if lines.next() != Some("workspace = true") {
            findings.push(Finding::new(
                manifest,
                format!("{} does not inherit the workspace's lints", package.name),
                "end its manifest with `[lints]` and `workspace = true`",
            ));
        }
    }
    findings
}

pub(super) fn model_size(tree: &Tree) -> Vec<Finding> {
    let Some(package) = tree.package("bowline-model") else { return Vec::new() };
    let lines: usize = tree.sources(package, "src/").map(|file| file.text.lines().count()).sum();
    if lines < MODEL_LINES_MAX {
        return Vec::new();
    }
    let what = format!("bowline-model has {lines} lines, and stays under {MODEL_LINES_MAX}");
    vec![Finding::new(package.folder.clone(), what, "move what one crate alone uses into that crate")]
}

pub(super) fn ignored_tests(tree: &Tree) -> Vec<Finding> {
    // Written in two pieces so as not to find itself.
    let attribute = concat!("#[ig", "nore");
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".rs")) {
        for (line, code) in file.code().filter(|(_, code)| code.contains(attribute)) {
            findings.push(Finding::new(
                format!("{}:{line}", file.path),
                format!("`{}` leaves a test out", code.trim()),
                "mend the test, remove it, or run it in `cargo xtask prove`",
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_does_not_inherit_lints_is_found() {
        let manifest = "crates/bowline-fault/Cargo.toml";
        let tree = |text| Tree::of_package("bowline-fault", &[]).with_file(manifest, text);
        assert_eq!(lints(&tree("[package]\n\n[lints]\nworkspace = true\n")), []);
        assert_eq!(lints(&tree("[package]\n")).len(), 1);
        assert_eq!(lints(&tree("[lints.rust]\nunsafe_code = \"warn\"\n")).len(), 1);
        assert_eq!(lints(&tree("[lints]\nrust.unsafe_code = \"warn\"\n")).len(), 1);
    }

    #[test]
    fn the_crate_with_unsafe_code_is_for_tests_alone() {
        let found = lints(&Tree::of_package("bowline-sqlite", &[UNSAFE]));
        assert_eq!(found[0].what, "bowline-sqlite depends on bowline-forgetful, which has unsafe code");
        assert_eq!(lints(&Tree::of_package(UNSAFE, &["rusqlite"])), []);
    }

    #[test]
    fn a_workspace_that_permits_unsafe_code_is_found() {
        let tree = |text| Tree::default().with_file("Cargo.toml", text);
        assert_eq!(lints(&tree("[workspace.lints.rust]\nunsafe_code = \"forbid\"\n")), []);
        assert_eq!(lints(&tree("[workspace.lints.rust]\nunsafe_code = \"deny\"\n")).len(), 1);
    }

    #[test]
    fn a_model_that_outgrows_its_limit_is_found() {
        let of = |lines: usize| {
            Tree::of_package("bowline-model", &[])
                .with_file("crates/bowline-model/src/lib.rs", &"\n".repeat(lines / 2))
                .with_file("crates/bowline-model/src/time.rs", &"\n".repeat(lines - lines / 2))
        };
        assert_eq!(model_size(&of(MODEL_LINES_MAX - 1)), []);
        assert_eq!(model_size(&of(MODEL_LINES_MAX)).len(), 1);
    }

    #[test]
    fn a_test_that_is_left_out_is_found() {
        let tree = |text: &str| Tree::default().with_file("crates/x/src/lib.rs", text);
        assert_eq!(ignored_tests(&tree(concat!("#[ig", "nore]\nfn slow() {}\n"))).len(), 1);
        assert_eq!(ignored_tests(&tree(concat!("#[ig", "nore = \"slow\"]\n"))).len(), 1);
        assert_eq!(ignored_tests(&tree("#[test]\n")), []);
    }
}
