//! Only its adapter names a client library.
//!
//! A broker, a database or a telemetry library that is named in two places can be replaced in none.

use super::Finding;
use super::tree::Tree;

/// A library (or all that begin so, with `*`), and the crates that may name it.
const CLIENTS: &[(&str, &[&str])] = &[
    ("lapin", &["bowline-rabbitmq"]),
    ("rdkafka", &["bowline-kafka"]),
    ("redis", &["bowline-redis"]),
    ("async-nats", &["bowline-nats"]),
    ("tokio-postgres", &["bowline-postgres"]),
    ("deadpool*", &["bowline-postgres"]),
    ("mysql_async", &["bowline-mariadb"]),
    // The services of the example own their databases; the file system that forgets is one of SQLite's.
    ("rusqlite", &["bowline-sqlite", "bowline-forgetful", "shop"]),
    ("opentelemetry*", &["bowline-trace"]),
    // Who asks DNS knows how long an answer holds.
    ("hickory*", &["bowline-call"]),
    // YAML is read in one place, so that every mistake in it looks the same.
    ("serde-saphyr", &["bowline-design"]),
    ("serde_yaml*", &[]),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &tree.packages {
        for dependency in &package.dependencies {
            let of = CLIENTS.iter().find(|(pattern, _)| matches(pattern, &dependency.name));
            let Some((_, adapters)) = of else { continue };
            if !adapters.contains(&package.name.as_str()) {
                findings.push(Finding::new(
                    package.manifest(),
                    format!("{} names {}", package.name, dependency.name),
                    "ask the crate that owns it, or list the new owner in xtask/src/tidy/clients.rs",
                ));
            }
        }
    }
    findings
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_library_outside_its_adapter_is_found() {
        let findings = check(&Tree::of_package("bowline-runtime", &["lapin", "tokio"]));
        assert_eq!(findings[0].what, "bowline-runtime names lapin");
        assert_eq!(findings.len(), 1);
    }

    #[test]
    fn an_adapter_may_name_its_client() {
        assert_eq!(check(&Tree::of_package("bowline-design", &["serde-saphyr"])), []);
    }

    #[test]
    fn families_of_libraries_are_known_by_how_they_begin() {
        assert_eq!(check(&Tree::of_package("bowline-proxy", &["opentelemetry-otlp"])).len(), 1);
        assert_eq!(check(&Tree::of_package("bowline-proxy", &["redis-protocol"])), []);
    }
}
