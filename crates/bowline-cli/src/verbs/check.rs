//! `bowline check`: what can be seen to go wrong before anything runs.

use super::design::{self, Loaded, counted};
use super::experiment::with_traces;
use super::mended::{self, Simulated};
use crate::arguments::{Check, Format};
use crate::{Done, Exit, Failure, print};
use bowline_check::sarif::{self, Told};
use bowline_check::{Edit, Exception, Excused, Finding, Review, Severity};
use bowline_design::{Mistake, Note, Text};
use serde_json::{Value, json};
use std::fmt::Write;

pub(crate) fn run(check: &Check, format: Format) -> Done {
    if let Some(id) = &check.explain {
        return explain(id, format);
    }
    let Some(path) = &check.design else {
        return Err(Failure::wrong_use("name a design, or - for standard input"));
    };
    let began = bowline_runtime::clock::now();
    if check.syntax {
        return syntax(path, format);
    }
    let mut loaded = match design::read(path)? {
        Ok(loaded) => loaded,
        Err((mistakes, texts)) => return Ok(mistaken(&mistakes, &texts, format)),
    };
    let (known, unread) = with_traces(&loaded.design, path);
    loaded.design.notes.extend(unread);
    let documents = &loaded.reading.documents;
    let review = match bowline_check::review(&known, documents) {
        Ok(_) if check.no_exceptions => {
            Review { findings: bowline_check::check(&known, documents), ..Review::default() }
        }
        Ok(review) => review,
        Err(mistakes) => return Ok(mistaken(&mistakes, &loaded.texts, format)),
    };
    let took = began.elapsed();
    let simulated = match check.simulate {
        true => Some(mended::simulate(check, &loaded, &known, &review, format.plain())),
        false => None,
    };
    match format {
        Format::Json => print::json(&to_json(&loaded, &review, simulated.as_ref())),
        Format::Sarif => {
            let mut log = sarif::log(Told::Review(&review), &loaded.design.notes, &loaded.texts);
            if let Some(simulated) = &simulated {
                let run = &mut log["runs"][0];
                run["properties"] = json!({"simulated": simulated.json()});
                // Findings that nothing excuses stand first, in their order.
                for index in 0..review.findings.len() {
                    run["results"][index]["properties"] = json!({"simulated": simulated.finding_json(index)});
                }
            }
            print::json(&log);
        }
        Format::Text => {
            for (index, finding) in review.findings.iter().enumerate() {
                let simulated = simulated.as_ref().map(|simulated| simulated.text(index));
                print::out(&render(finding, &loaded.texts, &simulated.unwrap_or_default()));
            }
            review.excused.iter().for_each(|excused| print::out(&render_excused(excused)));
            review.idle.iter().for_each(|exception| print::out(&render_idle(exception, &loaded.texts)));
            print::out(&sum(&loaded, &review, took));
            if let Some(simulated) = &simulated {
                print::out(&simulated.sum(began.elapsed() - took));
            }
        }
    }
    let failed = review.findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if failed { Exit::Findings } else { Exit::Good })
}

/// Tells why the rules could not be asked.
fn mistaken(mistakes: &[Mistake], texts: &[Text], format: Format) -> Exit {
    match format {
        Format::Sarif => print::json(&sarif::log(Told::Mistakes(mistakes), &[], texts)),
        Format::Text | Format::Json => design::mistaken(mistakes, texts, format.plain()),
    }
    design::MISTAKEN
}

/// Reads and validates the documents alone: no names are looked up, no rules asked.
fn syntax(path: &std::path::Path, format: Format) -> Done {
    let texts = bowline_runtime::source::read(path).map_err(Failure::wrong_use)?;
    let reading = bowline_design::read(&texts);
    if !reading.mistakes.is_empty() {
        return Ok(mistaken(&reading.mistakes, &texts, format));
    }
    let documents = reading.documents.count();
    match format {
        Format::Json => {
            print::json(&json!({"mistakes": [], "documents": documents, "notes": notes(&reading.notes)}));
        }
        Format::Sarif => print::json(&sarif::log(Told::Mistakes(&[]), &reading.notes, &texts)),
        Format::Text => {
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
fn explain(id: &str, format: Format) -> Done {
    let Some(rule) = bowline_check::rule(id) else {
        let all: Vec<_> = bowline_check::all().iter().map(|rule| rule.id).collect();
        return Err(Failure::wrong_use(format!("there is no rule `{id}`; the rules are {}", all.join(", "))));
    };
    match format {
        Format::Json => print::json(&json!({"rule": rule.id, "title": rule.title, "about": rule.about})),
        Format::Sarif => {
            return Err(Failure::wrong_use("one rule alone is no SARIF; its text stands in every log"));
        }
        Format::Text => print::out(&format!("{}  {}\n\n{}\n", print::bold(rule.id), rule.title, rule.about)),
    }
    Ok(Exit::Good)
}

fn render(finding: &Finding, texts: &[Text], simulated: &str) -> String {
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
    let _ = writeln!(text, "    = {}\n{simulated}", finding.advice);
    text
}

/// What is excused, shorter than what is not: it is there to be seen, not to be done.
fn render_excused(excused: &Excused) -> String {
    let Excused { finding, by } = excused;
    let head = print::style("1;32", &format!("excused[{}]", finding.rule));
    let place = &finding.place;
    format!(
        "{head}: {}\n --> {}:{}:{}   {}   {}\n  = because: {} ({})\n\n",
        finding.what, place.file, place.line, place.column, place.resource, place.path, by.reason, by.place
    )
}

fn render_idle(exception: &Exception, texts: &[Text]) -> String {
    let head = print::style("1;33", &format!("warning[{}]", sarif::IDLE_EXCEPTION));
    let what = match &exception.at {
        Some(path) => format!("{} is excused at {path}, and not found there", exception.rule),
        None => format!("{} is excused here, and not found", exception.rule),
    };
    let place = exception.place.render(texts, "excuses nothing", print::coloured());
    format!(
        "{head}: {}\n{place}    = take it away: it would hide the next {}\n\n",
        print::bold(&what),
        exception.rule
    )
}

/// The last line: what was found in how much, and what was not read.
fn sum(loaded: &Loaded, review: &Review, took: std::time::Duration) -> String {
    let findings = &review.findings;
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings, infos) = (count(Severity::Error), count(Severity::Warning), count(Severity::Info));
    let found = match (errors, warnings, infos) {
        (0, 0, 0) => "no findings".to_owned(),
        (_, _, 0) => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
        _ => format!("{}, {}, {} info", counted(errors, "error"), counted(warnings, "warning"), infos),
    };
    let excused = match (review.excused.len(), review.idle.len()) {
        (0, 0) => String::new(),
        (excused, 0) => format!(", {excused} excused"),
        (excused, idle) => format!(
            ", {excused} excused, {} that {} nothing",
            counted(idle, "exception"),
            if idle == 1 { "excuses" } else { "excuse" }
        ),
    };
    let documents = loaded.reading.documents.count();
    let namespaces = loaded.reading.documents.namespaces();
    let mut text = format!("{found}{excused} in {}", counted(documents, "resource"));
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

fn to_json(loaded: &Loaded, review: &Review, simulated: Option<&Simulated>) -> Value {
    let excused = |excused: &Excused| {
        let mut value = finding_json(&excused.finding);
        value["excusedBy"] = exception_json(&excused.by);
        value
    };
    let finding = |(index, finding)| {
        let mut value = finding_json(finding);
        if let Some(simulated) = simulated {
            value["simulated"] = simulated.finding_json(index);
        }
        value
    };
    let mut document = json!({
        "mistakes": [],
        "findings": review.findings.iter().enumerate().map(finding).collect::<Vec<_>>(),
        "excused": review.excused.iter().map(excused).collect::<Vec<_>>(),
        "idleExceptions": review.idle.iter().map(exception_json).collect::<Vec<_>>(),
        "documents": loaded.reading.documents.count(),
        "notes": notes(&loaded.design.notes),
    });
    if let Some(simulated) = simulated {
        document["simulated"] = simulated.json();
    }
    document
}

fn exception_json(exception: &Exception) -> Value {
    let Exception { rule, at, reason, place } = exception;
    json!({"rule": rule, "at": at, "reason": reason, "place": place.to_json()})
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
