//! Nothing points up: a crate knows only crates of lower floors.
//!
//! The floors are ARCHITECTURE.md's. A crate that is not in the list is refused, so that a new one
//! is given its floor when it is born.

use super::Finding;
use super::tree::Tree;

/// Ours, bottom to top.
const FLOORS: &[(&str, u8)] = &[
    ("bowline-model", 0),
    ("bowline-policy", 1),
    ("bowline-fault", 1),
    ("bowline-forgetful", 1),
    ("bowline-lane", 1),
    ("bowline-call", 2),
    ("bowline-bus", 2),
    ("bowline-design", 2),
    ("bowline-proxy", 3),
    ("bowline-check", 3),
    ("bowline-import", 3),
    ("bowline-sim", 3),
    ("bowline-sqlite", 3),
    ("bowline-trace", 4),
    ("bowline", 4),
    ("bowline-runtime", 5),
    ("bowline-cli", 7),
    // Users of the library, beside the tower.
    ("shop", 5),
    // Beside the tower: it may look at anything, nothing may look at it.
    ("xtask", 8),
];

/// Neighbours on one floor that may know each other, each with the record that says why.
const NEIGHBOURS: &[(&str, &str)] = &[
    // docs/decisions/0002: a call's machine decides where in a try its faults strike.
    ("bowline-policy", "bowline-fault"),
    // docs/decisions/0024: records are delivered again with the back-off of calls.
    ("bowline-lane", "bowline-policy"),
];

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(listed, _)| *listed == name).map(|(_, floor)| *floor)
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &tree.packages {
        let Some(own) = floor(&package.name) else {
            findings.push(Finding::new(
                package.manifest(),
                format!("{} has no floor", package.name),
                "give it one in xtask/src/tidy/floors.rs and in ARCHITECTURE.md",
            ));
            continue;
        };
        for dependency in &package.dependencies {
            // Tests may ask for the package itself, with other features on.
            if dependency.dev && dependency.name == package.name {
                continue;
            }
            let Some(other) = floor(&dependency.name) else { continue };
            let neighbours = NEIGHBOURS.contains(&(package.name.as_str(), dependency.name.as_str()));
            if other >= own && !neighbours {
                findings.push(Finding::new(
                    package.manifest(),
                    format!("{} (floor {own}) knows {} (floor {other})", package.name, dependency.name),
                    "let a trait of the lower crate be implemented by the higher one, or move the code down",
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_may_know_lower_floors_and_strangers() {
        let tree = Tree::of_package("bowline-proxy", &["bowline-call", "bowline-model", "hyper"]);
        assert_eq!(check(&tree), []);
    }

    #[test]
    fn a_crate_that_points_up_is_found() {
        let findings = check(&Tree::of_package("bowline-policy", &["bowline-call"]));
        assert_eq!(findings[0].what, "bowline-policy (floor 1) knows bowline-call (floor 2)");
    }

    #[test]
    fn neighbours_are_strangers_unless_listed() {
        assert_eq!(check(&Tree::of_package("bowline-policy", &["bowline-fault"])), []);
        assert_eq!(check(&Tree::of_package("bowline-fault", &["bowline-policy"])).len(), 1);
        assert_eq!(check(&Tree::of_package("bowline-check", &["bowline-proxy"])).len(), 1);
    }

    #[test]
    fn a_crate_without_a_floor_is_found() {
        let findings = check(&Tree::of_package("bowline-new", &[]));
        assert_eq!(findings[0].what, "bowline-new has no floor");
    }
}
