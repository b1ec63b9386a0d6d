//! The documents, their code blocks and their tables.

use std::path::{Path, PathBuf};

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// One document.
#[derive(Debug)]
pub(crate) struct Page {
    /// Its path from the top.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// One fenced block.
#[derive(Debug)]
pub(crate) struct Block<'p> {
    /// Where it begins.
    pub(crate) place: String,
    /// What stands behind the fence.
    pub(crate) info: &'p str,
    pub(crate) lines: Vec<&'p str>,
}

/// Everything that is written for users, the README first.
pub(crate) fn pages() -> Vec<Page> {
    let mut paths = vec!["README.md".to_owned(), "docs/README.md".to_owned(), "docs/patterns.md".to_owned()];
    let mut guide: Vec<String> = std::fs::read_dir(root().join("docs/guide"))
        .unwrap()
        .map(|entry| format!("docs/guide/{}", entry.unwrap().file_name().to_string_lossy()))
        .filter(|path| path.ends_with(".md"))
        .collect();
    guide.sort();
    paths.extend(guide);
    paths.into_iter().map(|path| page(&path)).collect()
}

/// One document by its path from the top.
pub(crate) fn page(path: &str) -> Page {
    Page { path: path.to_owned(), text: read(path) }
}

/// A file of the repository.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

impl Page {
    /// Its fenced blocks.
    pub(crate) fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        let mut open: Option<Block<'_>> = None;
        for (number, line) in self.text.lines().enumerate() {
            match (line.strip_prefix("```"), open.take()) {
                (Some(_), Some(block)) => blocks.push(block),
                (Some(info), None) => {
                    let place = format!("{}:{}", self.path, number + 1);
                    open = Some(Block { place, info: info.trim(), lines: Vec::new() });
                }
                (None, Some(mut block)) => {
                    block.lines.push(line);
                    open = Some(block);
                }
                (None, None) => (),
            }
        }
        assert!(open.is_none(), "{}: a block does not end", self.path);
        blocks
    }

    /// The text outside of fenced blocks.
    pub(crate) fn prose(&self) -> String {
        let mut inside = false;
        let outside = |line: &&str| {
            let fence = line.starts_with("```");
            inside ^= fence;
            !inside && !fence
        };
        self.text.lines().filter(outside).collect::<Vec<_>>().join("\n")
    }

    /// The rows, cell by cell, of every table whose first heading is `heading`.
    pub(crate) fn rows(&self, heading: &str) -> Vec<Vec<&str>> {
        let mut rows = Vec::new();
        let mut inside = false;
        for line in self.text.lines() {
            let cells: Option<Vec<&str>> = line
                .strip_prefix('|')
                .map(|row| row.trim_end_matches('|').split('|').map(str::trim).collect());
            match cells {
                None => inside = false,
                Some(cells) if cells[0] == heading => inside = true,
                Some(cells) if inside && !cells[0].starts_with("---") => rows.push(cells),
                Some(_) => (),
            }
        }
        assert!(!rows.is_empty(), "{}: no table begins with `{heading}`", self.path);
        rows
    }
}

/// What stands between backticks.
pub(crate) fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Words made of letters, digits and what `also` allows.
pub(crate) fn words<'t>(text: &'t str, also: &'static str) -> impl Iterator<Item = &'t str> {
    text.split(move |c: char| !c.is_ascii_alphanumeric() && !also.contains(c)).filter(|word| !word.is_empty())
}
