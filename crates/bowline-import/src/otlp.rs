//! Traces, as OpenTelemetry's collector exports them: OTLP in JSON, one document, or one a line as its file
//! exporter writes them.
//!
//! In reading order: [`guard`] counts bytes and bounds texts, [`stream`] finds spans in the bytes, [`spans`]
//! keeps of each what is needed, [`bowline`] knows what Bowline's own spans stand for, [`tree`] makes one trace's spans to calls, [`learned`] adds traces up, [`draw`]
//! makes a design of it.
//!
//! What is kept of a span is 64 bytes of the five hundred and more that it has in the file; the file itself is
//! never in memory. A trace's spans may stand anywhere in it, so all have to be there before the first trace
//! can be looked at.

mod bowline;
mod draw;
mod guard;
mod learned;
mod spans;
mod stream;
mod tree;

use crate::Imported;
use crate::note::Notes;
use bowline_design::{Mistake, Place};
use guard::Guard;
use learned::Learned;
use spans::Spans;
use std::io::Read;
use std::sync::Arc;

/// Reads traces. `name` is what a person calls the source; `progress` is told how many bytes were read, now and
/// then.
///
/// # Errors
/// What is wrong with it: it cannot be read, is no JSON, no OTLP, or holds nothing to learn from; or a limit was
/// met whose passing over would change what is learned.
pub fn otlp(
    name: &str,
    reader: &mut dyn Read,
    progress: &mut dyn FnMut(u64),
) -> Result<Imported, Vec<Mistake>> {
    let file: Arc<str> = name.into();
    let mut guard = Guard::new(reader, progress);
    let mut spans = Spans::default();
    let read = stream::read(&mut guard, &mut spans);
    if let Err(error) = read {
        return Err(vec![refused(&error, &guard, &file)]);
    }
    let mut notes = Notes::default();
    spans.tell(&mut notes);
    if spans.list.is_empty() {
        let mut mistake = Mistake::new(
            "no-spans",
            &place(&file, 1, 1),
            "no spans",
            "OTLP JSON: `resourceSpans` with spans",
        );
        mistake.hint("the collector's `file` exporter writes it, with `format: json`");
        return Err(vec![mistake]);
    }
    let mut learned = Learned::default();
    tree::learn(&mut spans, &mut learned);
    learned.tell(&spans, &mut notes);
    if learned.nodes.is_empty() {
        let found = format!("{} spans, of which none is an answer to a request", spans.list.len());
        let mut mistake =
            Mistake::new("no-spans", &place(&file, 1, 1), found, "spans of kind SERVER or CONSUMER");
        mistake.hint("export the spans of the services that are asked, not of their callers alone");
        return Err(vec![mistake]);
    }
    let draft = draw::draw(&learned, &spans, &mut notes);
    Ok(Imported {
        design: draft.write(),
        notes: notes.into_list(),
        services: draft.services.len(),
        operations: draft.services.iter().map(|service| service.operations.len()).sum(),
        scenarios: draft.scenarios.into_iter().map(|scenario| scenario.name).collect(),
    })
}

fn place(file: &Arc<str>, line: u32, column: u32) -> Place {
    let (resource, path) = (Arc::from(""), Arc::from(""));
    Place { file: Arc::clone(file), line, column, end: (line, column + 1), resource, path }
}

/// Why the file was not read, at its line and byte.
fn refused(error: &serde_json::Error, guard: &Guard<'_>, file: &Arc<str>) -> Mistake {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).max(1);
    let place = place(file, number(error.line()), number(error.column()));
    // serde_json ends its messages with line and column, which the place says.
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let at = format!("(byte {})", guard.handed_on());
    if let Some((code, found, expected)) = guard.refusal().or_else(|| stream::refusal(message)) {
        return Mistake::new(code, &place, format!("{found} {at}"), expected);
    }
    let mut mistake = match error.classify() {
        serde_json::error::Category::Io => Mistake::new(
            "unreadable",
            &place,
            format!("{message} {at}"),
            "a file that can be read to its end",
        ),
        serde_json::error::Category::Eof => {
            Mistake::new("syntax", &place, format!("the end within a document {at}"), "the rest of it")
        }
        _ => Mistake::new("syntax", &place, format!("{message} {at}"), "traces as OTLP JSON"),
    };
    match error.classify() {
        serde_json::error::Category::Eof => {
            mistake.hint("was it cut off while it was written? Take the last line away");
        }
        serde_json::error::Category::Io => {}
        _ => {
            mistake
                .hint("the collector's `file` exporter writes it with `format: json`; protobuf and compressed files are not read");
        }
    }
    mistake
}
