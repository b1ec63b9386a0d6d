//! How the workshop starts programs: from the top of the tree, without what the outer cargo left in
//! the environment, and with an error that can be pasted into a shell.

use crate::Stop;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The top of the source tree: the nearest folder upwards that holds `xtask/Cargo.toml`.
pub(crate) fn root() -> Result<PathBuf, Stop> {
    let here = std::env::current_dir().map_err(|e| Stop::Missing(format!("no current folder: {e}")))?;
    here.ancestors()
        .find(|folder| folder.join("xtask/Cargo.toml").is_file())
        .map(Path::to_path_buf)
        .ok_or_else(|| Stop::Usage("run this inside the source tree of Bowline".to_owned()))
}

/// Where cargo builds.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Where tools that are not part of Rust are kept between runs.
pub(crate) fn tools(root: &Path) -> PathBuf {
    target(root).join("tools")
}

/// A program to be started at the top of the tree, with our tools first in its `PATH`.
pub(crate) fn program(root: &Path, name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root).stdin(Stdio::null());
    // `cargo run` describes the package it runs to its child. A cargo started from here would hand
    // that on to build scripts and tests, which then see another package's name than their own.
    for (key, _) in std::env::vars_os() {
        let text = key.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST") || text == "CARGO" {
            command.env_remove(&key);
        }
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let with_tools = std::iter::once(tools(root).join("bin")).chain(std::env::split_paths(&path));
    if let Ok(joined) = std::env::join_paths(with_tools) {
        command.env("PATH", joined);
    }
    command
}

/// `cargo` with these arguments.
pub(crate) fn cargo(root: &Path, args: &[&str]) -> Command {
    let mut command = program(root, "cargo");
    command.args(args);
    command
}

/// Runs to the end, output going where ours goes. Anything but success is [`Stop::Broken`].
pub(crate) fn run(command: &mut Command) -> Result<(), Stop> {
    println!("$ {}", shown(command));
    let status = command.status().map_err(|e| cannot_start(command, &e))?;
    if status.success() {
        return Ok(());
    }
    let how = status.code().map_or_else(|| "was killed".to_owned(), |code| format!("exited with {code}"));
    Err(Stop::Broken(format!("`{}` {how}", shown(command))))
}

/// Runs to the end and returns what it printed on standard output.
pub(crate) fn read(command: &mut Command) -> Result<String, Stop> {
    let output = command.output().map_err(|e| cannot_start(command, &e))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Stop::Broken(format!("`{}` failed: {}", shown(command), said.trim())))
}

/// Whether a program of this name is in our `PATH`, or in one of the folders of administrators'
/// programs that an ordinary user's `PATH` leaves out.
pub(crate) fn find(root: &Path, name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::iter::once(tools(root).join("bin"))
        .chain(std::env::split_paths(&path))
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// A command as one would type it; the path of the tree left out.
pub(crate) fn shown(command: &Command) -> String {
    let here = command.get_current_dir().map(|dir| format!("{}/", dir.display())).unwrap_or_default();
    let variables = command.get_envs().filter_map(|(key, value)| {
        let (key, value) = (key.to_string_lossy(), value?.to_string_lossy());
        (key != "PATH").then(|| format!("{key}={}", quoted(&value)))
    });
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| quoted(&word.to_string_lossy().replace(&here, "")));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

fn cannot_start(command: &Command, why: &std::io::Error) -> Stop {
    Stop::Missing(format!("could not start `{}`: {why}", command.get_program().to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("cargo");
        command.args(["test", "--test", "*"]).env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(shown(&command), "RUSTDOCFLAGS='-D warnings' cargo test --test '*'");
    }

    #[test]
    fn the_path_of_the_tree_is_left_out() {
        let mut command = Command::new("ls");
        command.current_dir("/somewhere/tree").arg("/somewhere/tree/target/tools");
        assert_eq!(shown(&command), "ls target/tools");
    }
}
