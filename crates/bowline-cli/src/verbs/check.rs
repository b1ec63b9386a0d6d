//! `bowline check`: what can be seen to go wrong before anything runs.

use super::design::{self, Loaded, counted};
use crate::arguments::{Check, Output};
use crate::{Done, Exit, Failure, print};
use bowline_check::{Edit, Finding, Severity};
use bowline_design::{Note, Text};
use serde_json::{Value, json};
use std::fmt::Write;

pub(crate) fn run(check: &Check, output: Output) -> Done {
    if let Some(id) = &check.explain {
        return explain(id, output);
    }
    let Some(path) = &check.design else {
        return Err(Failure::wrong_use("name a design, or - for standard input"));
    };
    let began = bowline_runtime::clock::now();
    if check.syntax {
        return syntax(path, output);
    }
    let Some(loaded) = design::load(path, output)? else { return Ok(design::MISTAKEN) };
    let findings = bowline_check::check(&loaded.design, &loaded.reading.documents);
    match output {
        Output::Json => print::json(&to_json(&loaded, &findings)),
        Output::Text => {
            for finding in &findings {
                print::out(&render(finding, &loaded.texts));
            }
            print::out(&sum(&loaded, &findings, began.elapsed()));
        }
    }
    let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if failed { Exit::Findings } else { Exit::Good })
}

/// Reads and validates the documents alone: no names are looked up, no rules asked.
fn syntax(path: &std::path::Path, output: Output) -> Done {
    let texts = bowline_runtime::source::read(path).map_err(Failure::wrong_use)?;
    let reading = bowline_design::read(&texts);
    if !reading.mistakes.is_empty() {
        design::mistaken(&reading.mistakes, &texts, output);
        return Ok(design::MISTAKEN);
    }
    let documents = reading.documents.count();
    match output {
        Output::Json => {
            print::json(&json!({"mistakes": [], "documents": documents, "notes": notes(&reading.notes)}));
        }
        Output::Text => {
            print::out(&format!(
                "{} read, no mistakes{}\n",
                counted(documents, "document"),
                not_read(&reading.notes)
            ));
        }
    }
    Ok(Exit::Good)
}

/// Tells more about one rule.
fn explain(id: &str, output: Output) -> Done {
    let Some(rule) = bowline_check::rule(id) else {
        let all: Vec<_> = bowline_check::all().iter().map(|rule| rule.id).collect();
        return Err(Failure::wrong_use(format!("there is no rule `{id}`; the rules are {}", all.join(", "))));
    };
    match output {
        Output::Json => print::json(&json!({"rule": rule.id, "title": rule.title, "about": rule.about})),
        Output::Text => print::out(&format!("{}  {}\n\n{}\n", print::bold(rule.id), rule.title, rule.about)),
    }
    Ok(Exit::Good)
}

fn render(finding: &Finding, texts: &[Text]) -> String {
    let colour = match finding.severity {
        Severity::Error => "1;31",
        Severity::Warning => "1;33",
        Severity::Info => "1;36",
    };
    let head = format!("{}[{}]", finding.severity.as_str(), finding.rule);
    let mut text = format!("{}: {}\n", print::style(colour, &head), print::bold(&finding.what));
    text.push_str(&finding.place.render(texts, &finding.label, print::coloured()));
    if !finding.path.is_empty() {
        let _ = writeln!(text, "    = path: {}", finding.path.join(" -> "));
    }
    let _ = writeln!(text, "    = {}", finding.formula);
    let _ = writeln!(text, "    = {}\n", finding.advice);
    text
}

/// The last line: what was found in how much, and what was not read.
fn sum(loaded: &Loaded, findings: &[Finding], took: std::time::Duration) -> String {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings, infos) = (count(Severity::Error), count(Severity::Warning), count(Severity::Info));
    let found = match (errors, warnings, infos) {
        (0, 0, 0) => "no findings".to_owned(),
        (_, _, 0) => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
        _ => format!("{}, {}, {} info", counted(errors, "error"), counted(warnings, "warning"), infos),
    };
    let documents = loaded.reading.documents.count();
    let namespaces = loaded.reading.documents.namespaces();
    let mut text = format!("{found} in {}", counted(documents, "resource"));
    if namespaces > 1 {
        let _ = write!(text, " of {namespaces} namespaces");
    }
    let _ = write!(text, " ({} ms)", took.as_millis());
    text.push_str(&not_read(&loaded.reading.notes));
    text.push('\n');
    for note in loaded.design.notes.iter().skip(loaded.reading.notes.len()) {
        let _ = writeln!(text, "note: {} ({}): {}", note.subject, note.place, note.text);
    }
    if let Some(first) = findings.first() {
        let _ = writeln!(text, "bowline check --explain {} tells more.", first.rule);
    }
    text
}

/// `. 3 kinds not read: Service, Deployment, HTTPRoute`, or nothing.
fn not_read(notes: &[Note]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let subjects: Vec<&str> = notes.iter().map(|note| &*note.subject).collect();
    format!(". {} not read: {}", counted(notes.len(), "kind"), subjects.join(", "))
}

fn to_json(loaded: &Loaded, findings: &[Finding]) -> Value {
    json!({
        "mistakes": [],
        "findings": findings.iter().map(finding_json).collect::<Vec<_>>(),
        "documents": loaded.reading.documents.count(),
        "notes": notes(&loaded.design.notes),
    })
}

fn finding_json(finding: &Finding) -> Value {
    let edit = |edit: &Edit| match edit {
        Edit::Replace { place, text } => json!({"place": place.to_json(), "replace": text}),
        Edit::Add { place, field } => json!({"place": place.to_json(), "add": field}),
        Edit::Rename { place, from, to } => {
            json!({"place": place.to_json(), "rename": {"from": from, "to": to}})
        }
    };
    json!({
        "rule": finding.rule,
        "severity": finding.severity.as_str(),
        "what": finding.what,
        "place": finding.place.to_json(),
        "label": finding.label,
        "path": finding.path,
        "formula": finding.formula,
        "advice": finding.advice,
        "edits": finding.edits.iter().map(edit).collect::<Vec<_>>(),
    })
}

fn notes(notes: &[Note]) -> Vec<Value> {
    let each = |note: &Note| json!({"subject": note.subject, "text": note.text, "count": note.count, "place": note.place.to_json()});
    notes.iter().map(each).collect()
}
