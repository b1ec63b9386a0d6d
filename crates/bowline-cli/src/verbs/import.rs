//! `bowline import`: a design out of what others have.
//!
//! The design goes to standard output or a new file, and what there is to say about it to standard error, so that
//! `> design.yaml` holds the design alone.

use super::design;
use crate::arguments::{Import, ImportVerb, Output};
use crate::{Done, Exit, Failure, print};
use bowline_design::{Mistake, Text};
use bowline_import::{Imported, Note};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

pub(crate) fn run(import: &Import, output: Output) -> Done {
    let (imported, texts) = match &import.what {
        ImportVerb::Isotope { file } => {
            let texts = text(file)?;
            (bowline_import::isotope(&texts[0]), texts)
        }
        ImportVerb::Otlp { file } => (traces(file, output)?, Vec::new()),
    };
    let imported = match imported {
        Ok(imported) => imported,
        Err(mistakes) => {
            refused(&mistakes, &texts, output);
            return Ok(Exit::Findings);
        }
    };
    check(&imported)?;
    if let Some(to) = &import.to {
        write(to, &imported.design)?;
    }
    tell(&imported, import.to.as_deref(), output);
    Ok(Exit::Good)
}

/// The one text that `file` holds.
fn text(file: &Path) -> Result<Vec<Text>, Failure> {
    if file.is_dir() {
        let what = format!("`{}` is a folder; name the file that holds the graph", file.display());
        return Err(Failure::wrong_use(what));
    }
    bowline_runtime::source::read(file).map_err(Failure::wrong_use)
}

/// Reads traces as they come, under a bar on standard error, which shows on a terminal alone.
fn traces(file: &Path, output: Output) -> Result<Result<Imported, Vec<Mistake>>, Failure> {
    let failed =
        |error: std::io::Error| Failure::wrong_use(format!("failed to read `{}`: {error}", file.display()));
    let (mut reader, length): (Box<dyn Read>, u64) = if file == Path::new("-") {
        (Box::new(std::io::stdin().lock()), 0)
    } else {
        let opened = File::open(file).map_err(failed)?;
        let meta = opened.metadata().map_err(failed)?;
        if meta.is_dir() {
            let what = format!("`{}` is a folder; name the file that holds the traces", file.display());
            return Err(Failure::wrong_use(what));
        }
        (Box::new(opened), meta.len())
    };
    let bar = match (output, length) {
        (Output::Json, _) => ProgressBar::hidden(),
        (Output::Text, 0) => ProgressBar::new_spinner(),
        (Output::Text, length) => ProgressBar::new(length),
    };
    let template = if length > 0 {
        "  reading  [{bar:24}] {bytes} of {total_bytes}, {eta} left"
    } else {
        "  reading  {bytes}"
    };
    let style = ProgressStyle::with_template(template);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("## "));
    let name = if file == Path::new("-") { "stdin".to_owned() } else { file.display().to_string() };
    let imported = bowline_import::otlp(&name, &mut reader, &mut |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    Ok(imported)
}

/// That what was written can be read.
fn check(imported: &Imported) -> Result<(), Failure> {
    let text = Text { name: "design.yaml".into(), text: imported.design.clone() };
    let texts = [text];
    let Err(mistakes) = bowline_design::resolve(&bowline_design::read(&texts)) else { return Ok(()) };
    let first = mistakes.first().map(|mistake| mistake.render(&texts, false)).unwrap_or_default();
    let what = format!("the design that comes of it does not load, which the importer has to mend:\n{first}");
    Err(Failure::findings(what))
}

/// Writes a file that is not there yet.
fn write(to: &Path, design: &str) -> Result<(), Failure> {
    let opened = File::options().write(true).create_new(true).open(to);
    opened.and_then(|mut file| file.write_all(design.as_bytes())).map_err(|error| {
        let exists = error.kind() == std::io::ErrorKind::AlreadyExists;
        let hint = if exists { "; name another file, or move it away" } else { "" };
        Failure::wrong_use(format!("failed to write `{}`: {error}{hint}", to.display()))
    })
}

fn tell(imported: &Imported, to: Option<&Path>, output: Output) {
    if output == Output::Json {
        let notes: Vec<Value> = imported.notes.iter().map(note).collect();
        print::json(&json!({
            "design": imported.design,
            "written": to.map(|to| to.display().to_string()),
            "services": imported.services,
            "operations": imported.operations,
            "scenarios": imported.scenarios,
            "notes": notes,
        }));
        return;
    }
    if to.is_none() {
        print::out(&imported.design);
    }
    for note in &imported.notes {
        eprintln!("note: {note}");
    }
    let counts = format!(
        "{}, {}, {}",
        design::counted(imported.services, "service"),
        design::counted(imported.operations, "operation"),
        design::counted(imported.scenarios.len(), "scenario")
    );
    match to {
        Some(to) => {
            eprintln!("{counts} in {0}; next: bowline check {0}", to.display());
        }
        None => eprintln!("{counts}"),
    }
}

fn note(note: &Note) -> Value {
    let place = note
        .place
        .as_ref()
        .map(|place| json!({"file": *place.file, "line": place.line, "column": place.column}));
    json!({"subject": note.subject, "text": note.text, "count": note.count, "place": place})
}

fn refused(mistakes: &[Mistake], texts: &[Text], output: Output) {
    if output == Output::Json {
        let mistakes: Vec<Value> = mistakes.iter().map(Mistake::to_json).collect();
        print::json(&json!({"mistakes": mistakes}));
        return;
    }
    for mistake in mistakes {
        eprintln!("{}", mistake.render(texts, false));
    }
    eprintln!("{}; nothing was written", design::counted(mistakes.len(), "mistake"));
}
