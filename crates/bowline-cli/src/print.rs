//! Printing: colour only on a terminal, tables that align, errors with their whole chain.

use crate::Failure;
use crate::arguments::Output;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};

/// Whether standard output shows colour: a terminal, and nobody asked for none (no-color.org).
pub(crate) fn coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// `text` in an ANSI style, where standard output shows colour.
pub(crate) fn style(code: &str, text: &str) -> String {
    if coloured() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

pub(crate) fn bold(text: &str) -> String {
    style("1", text)
}

pub(crate) fn dim(text: &str) -> String {
    style("2", text)
}

/// Prints to standard output, and ends quietly when nobody reads it any more (`bowline .. | head`).
pub(crate) fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints a JSON document on lines of its own.
pub(crate) fn json(value: &serde_json::Value) {
    out(&format!("{value:#}\n"));
}

/// What is worth knowing and is no failure, on standard error.
pub(crate) fn note(text: &str) {
    eprintln!("note: {text}");
}

/// One sentence of what, then one of why for each cause.
pub(crate) fn failure(failure: &Failure, output: Output) {
    let mut causes = Vec::new();
    let mut source = failure.error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    if output == Output::Json {
        let value = serde_json::json!({"error": failure.error.to_string(), "causes": causes});
        eprintln!("{value:#}");
        return;
    }
    eprintln!("error: {}", failure.error);
    for cause in causes {
        eprintln!("  because: {cause}");
    }
}

/// Rows under each other, columns aligned, two spaces between them. The first row is the head.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        let line = line.trim_end();
        let line = if index == 0 { dim(line) } else { line.to_owned() };
        let _ = writeln!(text, "{line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_and_leave_no_space_at_the_end_of_a_line() {
        let rows =
            [vec!["NAME".to_owned(), "STATE".to_owned()], vec!["inventory".to_owned(), "ready".to_owned()]];
        assert_eq!(table(&rows), "NAME       STATE\ninventory  ready\n");
    }
}
