//! What rules look at: the files of the tree and what cargo says about its packages.

use crate::{Stop, run};
use serde_json::Value;
use std::path::Path;

/// The whole source tree.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) packages: Vec<Package>,
    pub(super) files: Vec<File>,
}

/// A text file that is tracked, or will be.
pub(super) struct File {
    /// From the top of the tree, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// A package of this workspace.
pub(super) struct Package {
    pub(super) name: String,
    /// Its folder, from the top of the tree, without a `/` at the end.
    pub(super) folder: String,
    pub(super) dependencies: Vec<Dependency>,
}

pub(super) struct Dependency {
    pub(super) name: String,
    /// Only for tests and benchmarks.
    pub(super) dev: bool,
}

impl Tree {
    pub(super) fn read(root: &Path) -> Result<Self, Stop> {
        // What is tracked and what is new, but not what `.gitignore` names.
        let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let listed = run::read(run::program(root, "git").args(args))?;
        let mut files = Vec::new();
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            // Deleted but not yet committed, or not a text: nothing to read.
            if let Ok(text) = std::fs::read_to_string(root.join(path)) {
                files.push(File { path: path.to_owned(), text });
            }
        }
        Ok(Self { packages: packages(root)?, files })
    }

    /// The package's files under a folder of it (`""` for all), Rust sources only.
    pub(super) fn sources<'t>(&'t self, package: &Package, under: &str) -> impl Iterator<Item = &'t File> {
        let prefix = format!("{}/{under}", package.folder);
        self.files.iter().filter(move |file| file.path.starts_with(&prefix) && file.path.ends_with(".rs"))
    }

    pub(super) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }
}

impl Package {
    pub(super) fn manifest(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }
}

impl File {
    /// The lines of code, numbered from 1; what follows `//` left out.
    ///
    /// A `//` inside a string ends the line too early, which can hide a word behind an address in
    /// one line. Rules look for words that nobody hides.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines.map(|(n, line)| (n + 1, line.split("//").next().unwrap_or_default()))
    }
}

fn packages(root: &Path) -> Result<Vec<Package>, Stop> {
    let args = ["metadata", "--no-deps", "--format-version", "1", "--offline"];
    let text = run::read(&mut run::cargo(root, &args))?;
    let broken = |what: &str| Stop::Broken(format!("cannot read what `cargo metadata` says: {what}"));
    let metadata: Value = serde_json::from_str(&text).map_err(|e| broken(&e.to_string()))?;
    let list = metadata["packages"].as_array().ok_or_else(|| broken("no packages"))?;
    list.iter()
        .map(|package| {
            let manifest = package["manifest_path"].as_str().ok_or_else(|| broken("no manifest_path"))?;
            let folder = Path::new(manifest).parent().and_then(|folder| folder.strip_prefix(root).ok());
            let folder = folder.ok_or_else(|| broken("a package outside the tree"))?;
            Ok(Package {
                name: package["name"].as_str().unwrap_or_default().to_owned(),
                folder: folder.to_string_lossy().into_owned(),
                dependencies: dependencies(&package["dependencies"]),
            })
        })
        .collect()
}

fn dependencies(list: &Value) -> Vec<Dependency> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let each = list.iter().map(|dependency| Dependency {
        name: dependency["name"].as_str().unwrap_or_default().to_owned(),
        dev: dependency["kind"] == "dev",
    });
    each.collect()
}

#[cfg(test)]
impl Tree {
    /// A made-up tree of one package with these dependencies.
    pub(super) fn of_package(name: &str, dependencies: &[&str]) -> Self {
        let dependencies = dependencies.iter().map(|&name| Dependency { name: name.to_owned(), dev: false });
        let folder = format!("crates/{name}");
        let package = Package { name: name.to_owned(), folder, dependencies: dependencies.collect() };
        Self { packages: vec![package], files: Vec::new() }
    }

    /// The same tree with one more file.
    pub(super) fn with_file(mut self, path: &str, text: &str) -> Self {
        self.files.push(File { path: path.to_owned(), text: text.to_owned() });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_what_stands_before_a_comment() {
        let file = File { path: String::new(), text: "let a = 1; // clock\n/// clock\n".to_owned() };
        assert_eq!(file.code().collect::<Vec<_>>(), [(1, "let a = 1; "), (2, "")]);
    }

    #[test]
    fn dependencies_of_tests_are_told_apart() {
        let list =
            serde_json::json!([{ "name": "http", "kind": null }, { "name": "proptest", "kind": "dev" }]);
        let read = dependencies(&list);
        assert_eq!((read[0].name.as_str(), read[0].dev), ("http", false));
        assert_eq!((read[1].name.as_str(), read[1].dev), ("proptest", true));
    }
}
