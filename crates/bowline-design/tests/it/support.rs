//! Helpers that every test file shares.

use bowline_design::{Design, Mistake, Reading, Text};
use std::path::{Path, PathBuf};

/// A folder of the tests.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// A text of a given name.
pub(crate) fn text(name: &str, text: &str) -> Text {
    Text { name: name.into(), text: text.to_owned() }
}

/// A fixture, named by its file.
pub(crate) fn fixture(path: &str) -> Text {
    let file = folder("fixtures").join(path);
    let content = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    text(path, &content)
}

/// Reads one text that is called `design.yaml`.
pub(crate) fn read(content: &str) -> Reading {
    bowline_design::read(&[text("design.yaml", content)])
}

/// A mistake in one line, the way the tests write it.
pub(crate) fn line(mistake: &Mistake) -> String {
    let Mistake { code, place, found, .. } = mistake;
    format!("{}:{} {} [{code}] {found}", place.line, place.column, place.path)
}

/// Demands that reading `content` finds exactly these mistakes.
#[track_caller]
pub(crate) fn refused(content: &str, mistakes: &[&str]) {
    let reading = read(content);
    let found: Vec<String> = reading.mistakes.iter().map(line).collect();
    assert_eq!(found, mistakes, "{content}");
}

/// The design of one text that is called `design.yaml`.
#[track_caller]
pub(crate) fn design(content: &str) -> Design {
    bowline_design::resolve(&taken(content)).unwrap_or_else(|mistakes| panic!("{}", said(content, &mistakes)))
}

/// Demands that reading and resolving `content` finds exactly these mistakes: `path: what was found`.
#[track_caller]
pub(crate) fn finds(content: &str, expected: &[&str]) {
    let mistakes = bowline_design::resolve(&read(content)).err().unwrap_or_default();
    let found: Vec<String> = mistakes.iter().map(|m| format!("{}: {}", m.place.path, m.found)).collect();
    assert_eq!(found, expected, "{content}");
}

/// What a person would be told.
pub(crate) fn said(content: &str, mistakes: &[Mistake]) -> String {
    let texts = [text("design.yaml", content)];
    mistakes.iter().map(|mistake| mistake.render(&texts, false)).collect::<Vec<_>>().join("\n")
}

/// Demands that reading `content` finds nothing wrong.
#[track_caller]
pub(crate) fn taken(content: &str) -> Reading {
    let reading = read(content);
    let texts = [text("design.yaml", content)];
    let found: String = reading.mistakes.iter().map(|mistake| mistake.render(&texts, false)).collect();
    assert!(reading.mistakes.is_empty(), "{found}");
    reading
}
