//! A mistake for people, in the manner of rustc, and for programs, as JSON.

use crate::mistake::{Mistake, Place, Text};
use serde_json::{Value, json};
use std::fmt::Write;

/// Letters of a source line that are shown; of a longer one, what is around the place.
const LINE_MAX: usize = 120;

/// Letters that fit beside a caret.
const LABEL_MAX: usize = 90;

/// The colours of a terminal, or none.
struct Paint {
    error: &'static str,
    frame: &'static str,
    strong: &'static str,
    end: &'static str,
}

impl Paint {
    const NONE: Self = Self { error: "", frame: "", strong: "", end: "" };
    const ANSI: Self = Self { error: "\x1b[1;31m", frame: "\x1b[1;34m", strong: "\x1b[1m", end: "\x1b[0m" };
}

impl Mistake {
    /// The mistake for a person: what, where, the line with a caret, and what to do.
    ///
    /// `texts` are those it was found in; without its text the line is left out.
    #[must_use]
    pub fn render(&self, texts: &[Text], colour: bool) -> String {
        let paint = if colour { Paint::ANSI } else { Paint::NONE };
        let Paint { error, frame, strong, end } = paint;
        let mut out = String::new();
        let _ = writeln!(out, "{error}error[{}]{end}{strong}: found {}{end}", self.code, clean(&self.found));
        let lines = || std::iter::once(&self.place).chain(&self.also).map(|place| place.line);
        let width = lines().max().unwrap_or(0).to_string().len();
        let expected = format!("expected {}", clean(&self.expected));
        let hint = self.hint.as_deref().map(clean);
        // The shorter text stands at the caret, the longer one below it.
        let long = expected.chars().count() > LABEL_MAX;
        let (label, note) = match (&hint, long) {
            (Some(hint), true) => (hint.as_str(), Some(expected.as_str())),
            (None, true) => ("", Some(expected.as_str())),
            (_, false) => (expected.as_str(), hint.as_deref()),
        };
        place(&mut out, &self.place, texts, width, label, &paint);
        for also in &self.also {
            place(&mut out, also, texts, width, "the other place", &paint);
        }
        for (index, line) in note.map(wrap).unwrap_or_default().iter().enumerate() {
            let sign = if index == 0 { '=' } else { ' ' };
            let _ = writeln!(out, "{:width$} {frame}{sign}{end} {line}", "");
        }
        out
    }

    /// The mistake for a program.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "code": self.code,
            "place": self.place.to_json(),
            "also": self.also.iter().map(Place::to_json).collect::<Vec<_>>(),
            "found": self.found,
            "expected": self.expected,
            "hint": self.hint,
        })
    }
}

impl Place {
    /// The place for a person: where it is, its line, and a caret with `label` behind it.
    #[must_use]
    pub fn render(&self, texts: &[Text], label: &str, colour: bool) -> String {
        let paint = if colour { Paint::ANSI } else { Paint::NONE };
        let mut out = String::new();
        place(&mut out, self, texts, self.line.to_string().len(), &clean(label), &paint);
        out
    }

    /// The place for a program.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "file": &*self.file,
            "line": self.line,
            "column": self.column,
            "endLine": self.end.0,
            "endColumn": self.end.1,
            "resource": &*self.resource,
            "path": &*self.path,
        })
    }
}

/// `file:line`, as `explain` names a place.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", clean(&self.file), self.line)
    }
}

/// One place with its line and a caret.
fn place(out: &mut String, place: &Place, texts: &[Text], width: usize, label: &str, paint: &Paint) {
    let Paint { error, frame, end, .. } = paint;
    let Place { file, line, column, resource, path, .. } = place;
    let _ = write!(out, "{:width$}{frame}-->{end} {}:{line}:{column}", "", clean(file));
    for word in [resource, path] {
        if !word.is_empty() {
            let _ = write!(out, "   {}", clean(word));
        }
    }
    out.push('\n');
    let Some(source) = source_line(place, texts) else {
        let _ = writeln!(out, "{:width$} {frame}={end} {label}", "");
        return;
    };
    let (shown, before) = window(source, place.column);
    let carets = if place.end.0 == *line { place.end.1.saturating_sub(*column) } else { u32::MAX } as usize;
    let room = shown.chars().count().saturating_sub(before);
    let carets = carets.min(room).max(1);
    let _ = writeln!(out, "{:width$} {frame}|{end}", "");
    let _ = writeln!(out, "{frame}{line:width$} |{end} {shown}");
    let (blank, marks) = (" ".repeat(before), "^".repeat(carets));
    let pointed = format!("{marks} {label}");
    let _ = writeln!(out, "{:width$} {frame}|{end} {blank}{error}{}{end}", "", pointed.trim_end());
}

/// Words in lines that fit a terminal.
fn wrap(text: &str) -> Vec<String> {
    const LETTERS_MAX: usize = 100;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().filter(|line| line.chars().count() + word.chars().count() < LETTERS_MAX);
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

fn source_line<'t>(place: &Place, texts: &'t [Text]) -> Option<&'t str> {
    let text = texts.iter().find(|text| text.name == place.file)?;
    text.text.lines().nth(place.line.checked_sub(1)? as usize)
}

/// The part of a line that is shown, and how many letters of it stand before the place.
fn window(line: &str, column: u32) -> (String, usize) {
    let letters: Vec<char> = clean(line).chars().collect();
    let at = (column.saturating_sub(1) as usize).min(letters.len());
    if letters.len() <= LINE_MAX {
        return (letters.into_iter().collect::<String>().trim_end().to_owned(), at);
    }
    let from = at.saturating_sub(LINE_MAX / 3);
    let to = (from + LINE_MAX).min(letters.len());
    let (head, tail) = (if from > 0 { ".." } else { "" }, if to < letters.len() { ".." } else { "" });
    let middle: String = letters[from..to].iter().collect();
    (format!("{head}{middle}{tail}"), head.len() + at - from)
}

/// Text from a stranger's file without what would move a terminal's cursor. Letter for letter, so that
/// carets stay where they belong.
fn clean(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if hidden(c) => '\u{b7}',
            c => c,
        })
        .collect()
}
