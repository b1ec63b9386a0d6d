//! Reading a design for the verbs that need one.

use crate::arguments::Output;
use crate::{Exit, Failure, print};
use bowline_design::{Design, Mistake, Reading, Text};
use std::path::Path;

/// A design, its documents and its texts.
pub(crate) struct Loaded {
    pub(crate) texts: Vec<Text>,
    pub(crate) reading: Reading,
    pub(crate) design: Design,
}

/// Reads, validates and resolves the design at `path`; its mistakes are printed, all of them.
///
/// # Errors
/// The path cannot be read (wrong use). `Ok(None)` after mistakes were printed.
pub(crate) fn load(path: &Path, output: Output) -> Result<Option<Loaded>, Failure> {
    match read(path)? {
        Ok(loaded) => Ok(Some(*loaded)),
        Err((mistakes, texts)) => {
            mistaken(&mistakes, &texts, output);
            Ok(None)
        }
    }
}

/// Why a design does not load: its mistakes, and its texts to show them in.
pub(crate) type Mistaken = (Vec<Mistake>, Vec<Text>);

/// The same without printing.
///
/// # Errors
/// The path cannot be read (wrong use).
pub(crate) fn read(path: &Path) -> Result<Result<Box<Loaded>, Mistaken>, Failure> {
    let texts = bowline_runtime::source::read(path).map_err(Failure::wrong_use)?;
    let reading = bowline_design::read(&texts);
    Ok(match bowline_design::resolve(&reading) {
        Ok(design) => Ok(Box::new(Loaded { texts, reading, design })),
        Err(mistakes) => Err((mistakes, texts)),
    })
}

/// Prints mistakes: for people with the line and a caret each, and a last line that counts them.
pub(crate) fn mistaken(mistakes: &[Mistake], texts: &[Text], output: Output) {
    if output == Output::Json {
        let mistakes: Vec<_> = mistakes.iter().map(Mistake::to_json).collect();
        print::json(&serde_json::json!({"mistakes": mistakes, "findings": [], "notes": []}));
        return;
    }
    for mistake in mistakes {
        print::out(&format!("{}\n", mistake.render(texts, print::coloured())));
    }
    let files = texts.len();
    print::out(&format!(
        "{} in {}; nothing was loaded\n",
        counted(mistakes.len(), "mistake"),
        counted(files, "file")
    ));
}

/// `1 file`, `2 files`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// What a verb answers with after it printed mistakes.
pub(crate) const MISTAKEN: Exit = Exit::Findings;
