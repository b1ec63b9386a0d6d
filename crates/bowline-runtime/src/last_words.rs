//! What a process said last before it died: mostly the reason.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// How much of the end of a log is looked at: far more than a line.
const LOOK_BYTES: u64 = 4_096;
/// How much of a line is told. A panic's message fits; the log has the rest.
const TOLD_CHARS_MAX: usize = 200;

/// The last line in `log` behind its first `from` bytes; `None` if nothing was said.
pub(crate) fn of(log: &Path, from: u64) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(LOOK_BYTES)))).ok()?;
    let mut bytes = Vec::new();
    file.take(LOOK_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    // Rust adds this to every panic; the line before it is the one.
    let hint = |line: &&str| line.starts_with("note: run with `RUST_BACKTRACE");
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty() && !hint(line))?;
    // A terminal's commands have no business in another one's sentence.
    Some(line.chars().filter(|char| !char.is_control()).take(TOLD_CHARS_MAX).collect())
}

/// How long `log` is now.
pub(crate) fn length(log: &Path) -> u64 {
    log.metadata().map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, from: u64) -> Option<String> {
        let name = format!("bowline-last-words-{}-{from}-{}", std::process::id(), text.len());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, text).unwrap();
        let words = of(&file, from);
        std::fs::remove_file(file).unwrap();
        words
    }

    #[test]
    fn the_last_line_of_this_life_is_told() {
        assert_eq!(said("up\nerror: cannot listen\n\n", 0).as_deref(), Some("error: cannot listen"));
        assert_eq!(said("before\n", 7), None, "a former life's words");
        assert_eq!(said("", 0), None);
        let panic = "thread 'main' panicked at src/main.rs:1:1:\nno\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
        assert_eq!(said(panic, 0).as_deref(), Some("no"));
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        assert_eq!(said(&"x".repeat(10_000), 0).unwrap().len(), TOLD_CHARS_MAX);
    }
}
