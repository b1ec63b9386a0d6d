//! The pure crates: no runtime, no clock, no generator, no socket, no file.
//!
//! What they may depend on is a list of what is allowed, not of what is forbidden: a new dependency
//! of a pure crate is a decision, and this is where it is written down.

use super::Finding;
use super::tree::Tree;

/// A pure crate and the crates that it may depend on.
const PURE: &[(&str, &[&str])] = &[
    ("bowline-model", &[]),
    ("bowline-fault", &["bowline-model"]),
    // loom: behind a feature, for the model check of the shared edge alone.
    ("bowline-policy", &["bowline-fault", "bowline-model", "loom"]),
    // The back-off alone.
    ("bowline-lane", &["bowline-model", "bowline-policy"]),
    // http: names of methods and headers. regex: Istio's matchers. bytes: bodies of direct responses. libm: the tail of
    // the normal distribution, the same on every machine.
    (
        "bowline-design",
        &[
            "bowline-fault",
            "bowline-model",
            "bowline-policy",
            "bytes",
            "http",
            "libm",
            "regex",
            "serde",
            "serde-saphyr",
            "serde_json",
        ],
    ),
    // http: to ask the routes of a design for one request. serde_json: a review as SARIF.
    (
        "bowline-check",
        &["bowline-design", "bowline-fault", "bowline-model", "bowline-policy", "http", "serde_json"],
    ),
    // serde and serde_json: a trace is read as it comes, never as a whole.
    ("bowline-import", &["bowline-design", "serde", "serde_json"]),
    // maud: the report's page, written where its values are; it formats text and nothing else.
    ("bowline-sim", &["bowline-design", "bowline-fault", "bowline-model", "bowline-policy", "maud"]),
];

/// What tests of pure crates may use besides.
const FOR_TESTS: &[&str] = &["allocation-counter", "criterion", "proptest", "serde_json"];

/// Words that only impure code has, with what to do instead.
const IMPURE: &[(&str, &str)] = &[
    ("Instant::now", "take `now` as an argument"),
    ("SystemTime", "take a `WallTime` as an argument"),
    ("thread::sleep", "return the instant to be woken at"),
    ("thread::spawn", "let the edge have the threads"),
    ("std::env::", "let the program read its environment and hand values in"),
    ("std::fs::", "let the face read files and hand texts in"),
    ("std::process::", "let the edge start programs"),
    ("TcpStream", "let the edge have the sockets"),
    ("UdpSocket", "let the edge have the sockets"),
    ("RandomState", "take a `Random` as an argument"),
];

pub(super) fn dependencies(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, allowed) in PURE {
        let Some(package) = tree.package(name) else { continue };
        for dependency in &package.dependencies {
            let known = allowed.contains(&dependency.name.as_str());
            let for_tests = dependency.dev && FOR_TESTS.contains(&dependency.name.as_str());
            if !known && !for_tests {
                findings.push(Finding::new(
                    package.manifest(),
                    format!("{name} is pure and depends on {}", dependency.name),
                    "do without, or list it with its reason in xtask/src/tidy/pure.rs",
                ));
            }
        }
    }
    findings
}

pub(super) fn sources(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, _) in PURE {
        let Some(package) = tree.package(name) else { continue };
        for file in tree.sources(package, "src/") {
            for (line, code) in file.code() {
                for (word, mend) in IMPURE.iter().filter(|(word, _)| code.contains(word)) {
                    let place = format!("{}:{line}", file.path);
                    findings.push(Finding::new(place, format!("{name} is pure and says `{word}`"), mend));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tree::Dependency;
    use super::*;

    #[test]
    fn a_pure_crate_that_names_a_runtime_is_found() {
        let findings = dependencies(&Tree::of_package("bowline-policy", &["bowline-model", "tokio"]));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].what, "bowline-policy is pure and depends on tokio");
    }

    #[test]
    fn tests_of_a_pure_crate_may_use_what_proves() {
        let mut tree = Tree::of_package("bowline-fault", &["bowline-model"]);
        tree.packages[0].dependencies.push(Dependency { name: "proptest".to_owned(), dev: true });
        assert_eq!(dependencies(&tree), []);
        tree.packages[0].dependencies.push(Dependency { name: "tokio".to_owned(), dev: true });
        assert_eq!(dependencies(&tree).len(), 1);
    }

    #[test]
    fn a_pure_crate_that_reads_a_clock_is_found() {
        let text = "//! Never says Instant::now().\nlet now = std::time::Instant::now();\n";
        let tree = Tree::of_package("bowline-policy", &[]).with_file("crates/bowline-policy/src/a.rs", text);
        let findings = sources(&tree);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].place, "crates/bowline-policy/src/a.rs:2");
    }

    #[test]
    fn an_edge_crate_may_read_a_clock() {
        let text = "let now = std::time::Instant::now();\n";
        let tree = Tree::of_package("bowline-call", &[]).with_file("crates/bowline-call/src/clock.rs", text);
        assert_eq!(sources(&tree), []);
    }

    #[test]
    fn every_impure_word_is_found() {
        for (word, _) in IMPURE {
            let tree =
                Tree::of_package("bowline-fault", &[]).with_file("crates/bowline-fault/src/a.rs", word);
            assert!(!sources(&tree).is_empty(), "{word}");
        }
    }
}
