//! Rust in the guide is Rust that the library's own documentation tests.

use crate::pages::{pages, root};

/// The visible lines of every example in a source file's documentation.
fn examples(source: &str) -> Vec<Vec<&str>> {
    let mut examples = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    for line in source.lines().map(str::trim_start) {
        let Some(text) = line.strip_prefix("//! ").or_else(|| line.strip_prefix("/// ")).or(match line {
            "//!" | "///" => Some(""),
            _ => None,
        }) else {
            continue;
        };
        match (text.starts_with("```"), open.take()) {
            (true, Some(lines)) => examples.push(lines),
            (true, None) => open = Some(Vec::new()),
            (false, Some(mut lines)) => {
                if text != "#" && !text.starts_with("# ") {
                    lines.push(text);
                }
                open = Some(lines);
            }
            (false, None) => (),
        }
    }
    examples
}

#[test]
fn the_librarys_examples_are_tested_ones() {
    let folder = root().join("crates/bowline/src");
    let mut sources: Vec<String> = Vec::new();
    for folder in [folder.clone(), folder.join("layer"), folder.join("link")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let trimmed = |lines: &[&str]| {
        let lines: Vec<&str> = lines.iter().copied().skip_while(|line| line.is_empty()).collect();
        lines.join("\n").trim_end().to_owned()
    };
    let tested: Vec<String> =
        sources.iter().flat_map(|source| examples(source)).map(|lines| trimmed(&lines)).collect();
    for page in pages() {
        for block in page.blocks().into_iter().filter(|block| block.info == "rust") {
            let shown = trimmed(&block.lines);
            assert!(
                tested.contains(&shown),
                "{}: no example of crate bowline is this:\n{shown}",
                block.place
            );
        }
    }
}
