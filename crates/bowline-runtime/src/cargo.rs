//! `run: { cargo: shop }`: builds a package of the design's workspace and finds its program.
//!
//! The program is then started directly. `cargo run` would stand between it and its death signal.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Builds `package` in the workspace that `folder` belongs to, with release settings if this program
/// was built so, and answers with the path of the program of the same name.
///
/// Cargo's own progress goes to standard error, so that a long first build is seen.
///
/// # Errors
/// Cargo is not there, the build failed, or it made no program of that name.
pub fn build(folder: &Path, package: &str) -> Result<PathBuf, BuildError> {
    let error = |why: Why| BuildError { package: package.to_owned(), why };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--message-format=json-render-diagnostics", "--quiet", "--package", package]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    cargo.current_dir(folder).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = cargo.output().map_err(|source| error(Why::NoCargo(source)))?;
    if !output.status.success() {
        return Err(error(Why::Failed));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    messages.lines().find_map(|line| executable(line, package)).ok_or_else(|| error(Why::NoProgram))
}

/// The program that a line of Cargo's JSON messages reports, if it is the one named `package`.
fn executable(line: &str, package: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let named = message["target"]["name"] == package && message["target"]["kind"][0] == "bin";
    let path = message["executable"].as_str().filter(|_| named)?;
    Some(PathBuf::from(path))
}

/// Why a service's program could not be built.
#[derive(Debug)]
pub struct BuildError {
    package: String,
    why: Why,
}

#[derive(Debug)]
enum Why {
    NoCargo(std::io::Error),
    Failed,
    NoProgram,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let package = &self.package;
        match self.why {
            Why::NoCargo(_) => write!(f, "cannot build `{package}`: cargo did not start; is it on the PATH?"),
            Why::Failed => write!(f, "`cargo build --package {package}` failed; its messages are above"),
            Why::NoProgram => {
                write!(
                    f,
                    "package `{package}` has no program named `{package}`; `run: {{ cargo: .. }}` needs one"
                )
            }
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.why {
            Why::NoCargo(source) => Some(source),
            Why::Failed | Why::NoProgram => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_of_the_package_is_told_from_its_examples() {
        let bin = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"shop"},"executable":"/t/shop"}"#;
        let example = r#"{"reason":"compiler-artifact","target":{"kind":["example"],"name":"shop"},"executable":"/t/ex"}"#;
        assert_eq!(executable(bin, "shop"), Some(PathBuf::from("/t/shop")));
        assert_eq!(executable(example, "shop"), None);
        assert_eq!(executable("not json", "shop"), None);
    }
}
