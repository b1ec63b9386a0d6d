//! A review as SARIF 2.1.0, the format in which code hosts and editors take findings from any tool (OASIS Standard
//! "Static Analysis Results Interchange Format", 27 March 2020).
//!
//! Why beside the rules and not beside the printing: regions, fixes and fingerprints are facts about findings, and
//! others than the program hand findings to a host. Section numbers in comments are those of the standard.
//!
//! ```
//! use bowline_check::sarif::{self, Told};
//! use bowline_design::{Text, read, resolve};
//!
//! let texts = [Text { name: "routes.yaml".into(), text: "apiVersion: networking.istio.io/v1
//! kind: VirtualService
//! metadata: { name: ratings }
//! spec: { hosts: [ ratings ], http: [ { route: [ { destination: { host: ratings } } ] } ] }
//! ".to_owned() }];
//! let reading = read(&texts);
//! let review = bowline_check::review(&resolve(&reading).unwrap(), &reading.documents).unwrap();
//! let log = sarif::log(Told::Review(&review), &reading.notes, &texts);
//! assert_eq!(log["runs"][0]["results"][0]["ruleId"], "T02");
//! ```

use crate::edit::Edit;
use crate::exceptions::Exception;
use crate::finding::{Finding, Severity};
use crate::{Review, rules};
use bowline_design::{Mistake, Note, Place, Text};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What is told: what the rules found, or why they could not be asked.
#[derive(Clone, Copy, Debug)]
pub enum Told<'t> {
    /// The rules were asked.
    Review(&'t Review),
    /// The design does not load.
    Mistakes(&'t [Mistake]),
}

/// The rule of exceptions that excuse nothing: they are told beside findings.
pub const IDLE_EXCEPTION: &str = "idle-exception";

/// The log. `notes` are what was read and is not acted on; `texts` are those that were checked.
#[must_use]
pub fn log(told: Told<'_>, notes: &[Note], texts: &[Text]) -> Value {
    let mut run = Run { texts, rules: all_rules(), results: Vec::new(), met: BTreeMap::new() };
    match told {
        Told::Review(review) => {
            review.findings.iter().for_each(|finding| run.finding(finding, None));
            review.excused.iter().for_each(|excused| run.finding(&excused.finding, Some(&excused.by)));
            review.idle.iter().for_each(|exception| run.idle(exception));
        }
        Told::Mistakes(mistakes) => mistakes.iter().for_each(|mistake| run.mistake(mistake)),
    }
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "bowline",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": run.rules,
            } },
            // Runs of one category replace each other on a code host (3.17.3); the part behind the last `/` tells
            // one run from the next, and is left out.
            "automationDetails": { "id": "bowline-check/" },
            // Ours are Unicode's letters; the default would be UTF-16 (3.14.17).
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": true,
                "toolExecutionNotifications": notes.iter().map(notification).collect::<Vec<_>>(),
            }],
            "results": run.results,
        }],
    })
}

/// One run's results, as they come up.
struct Run<'t> {
    texts: &'t [Text],
    rules: Vec<Value>,
    results: Vec<Value>,
    /// How often each identity was met: of two alike, the second is another one.
    met: BTreeMap<String, usize>,
}

impl Run<'_> {
    fn finding(&mut self, finding: &Finding, excused: Option<&Exception>) {
        let level = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "note",
        };
        let sentences = [&finding.what, &finding.formula, &finding.advice].map(|text| sentence(text));
        let mut message = sentences.concat();
        if !finding.path.is_empty() {
            message.push_str(&sentence(&format!("Path: {}", finding.path.join(" -> "))));
        }
        let mut result = self.result(finding.rule, level, message.trim_end(), &finding.place);
        if let Some(changes) = changes(&finding.edits, self.texts) {
            let description = json!({"text": sentence(&finding.advice).trim_end()});
            result.insert(
                "fixes".to_owned(),
                json!([{"description": description, "artifactChanges": changes}]),
            );
        }
        let suppression = |by: &Exception| json!({"kind": "inSource", "status": "accepted", "justification": by.reason, "location": location(&by.place)});
        // Where one result has the property all have it (3.27.23).
        result.insert("suppressions".to_owned(), excused.map(suppression).into_iter().collect());
        self.results.push(Value::Object(result));
    }

    fn idle(&mut self, exception: &Exception) {
        self.rule(
            IDLE_EXCEPTION,
            "an exception that excuses nothing",
            "What it excuses is not found. It would hide the next finding of its rule, which nobody has thought about.",
        );
        let message = format!("{} is excused here and not found. Take the exception away.", exception.rule);
        let mut result = self.result(IDLE_EXCEPTION, "warning", &message, &exception.place);
        result.insert("suppressions".to_owned(), json!([]));
        self.results.push(Value::Object(result));
    }

    fn mistake(&mut self, mistake: &Mistake) {
        self.rule(mistake.code, "a mistake in a document", "The design cannot be used until it is mended.");
        let hint = mistake.hint.as_deref().map(sentence).unwrap_or_default();
        let message = format!("Found {}, expected {}. {hint}", mistake.found, mistake.expected);
        let mut result = self.result(mistake.code, "error", message.trim_end(), &mistake.place);
        if !mistake.also.is_empty() {
            let also: Vec<Value> = mistake.also.iter().map(location).collect();
            result.insert("relatedLocations".to_owned(), also.into());
        }
        self.results.push(Value::Object(result));
    }

    /// What all results have.
    fn result(&mut self, rule: &str, level: &str, message: &str, place: &Place) -> Map<String, Value> {
        let index = self.rules.iter().position(|known| known["id"] == rule);
        let result = json!({
            "ruleId": rule,
            // -1: not among the rules (3.27.6).
            "ruleIndex": index.map_or(-1, |index| index as i64),
            "level": level,
            "message": {"text": message},
            "locations": [location(place)],
            "partialFingerprints": {"bowline/v1": self.fingerprint(rule, place)},
        });
        match result {
            Value::Object(result) => result,
            _ => Map::new(),
        }
    }

    /// Adds a rule that is none of [`rules::all`].
    fn rule(&mut self, id: &str, short: &str, about: &str) {
        if !self.rules.iter().any(|known| known["id"] == id) {
            self.rules.push(descriptor(id, short, about));
        }
    }

    /// What stays the same while lines move and numbers change: the rule, the resource and the field. A place
    /// outside of any resource is known by its file and line alone.
    fn fingerprint(&mut self, rule: &str, place: &Place) -> String {
        let identity = match &*place.resource {
            "" => format!("{rule}\n{}\n{}", place.file, place.line),
            resource => format!("{rule}\n{resource}\n{}", place.path),
        };
        let before = self.met.entry(identity.clone()).or_default();
        *before += 1;
        format!("{:016x}", fnv1a(format!("{identity}\n{before}").as_bytes()))
    }
}

fn all_rules() -> Vec<Value> {
    rules::all().iter().map(|rule| descriptor(rule.id, rule.title, rule.about)).collect()
}

fn descriptor(id: &str, short: &str, about: &str) -> Value {
    // The first sentence says what is found (3.49.12: a host may show it alone).
    let about = about.replace('\n', " ");
    json!({
        "id": id,
        "name": pascal(short),
        "shortDescription": {"text": capital(short)},
        "fullDescription": {"text": about},
        "help": {"text": about},
        "properties": {"tags": ["reliability"]},
    })
}

fn notification(note: &Note) -> Value {
    json!({
        "level": "note",
        "message": {"text": format!("{}: {}.", note.subject, note.text.trim_end_matches('.'))},
        "locations": [location(&note.place)],
    })
}

fn location(place: &Place) -> Value {
    let mut location = json!({"physicalLocation": {
        "artifactLocation": {"uri": uri(&place.file)},
        "region": region((place.line, place.column), place.end),
    }});
    if !place.resource.is_empty() {
        let name = format!("{} {}", place.resource, place.path);
        location["logicalLocations"] = json!([{"fullyQualifiedName": name.trim_end(), "kind": "resource"}]);
    }
    location
}

fn region(start: (u32, u32), end: (u32, u32)) -> Value {
    // Lines and columns begin at 1 (3.30.5, 3.30.6), and the end is one behind the last letter (3.30.8).
    let start = (start.0.max(1), start.1.max(1));
    let end = end.max(start);
    json!({"startLine": start.0, "startColumn": start.1, "endLine": end.0, "endColumn": end.1})
}

/// What the edits change, file by file; `None` where there is none, or one of them cannot be made.
fn changes(edits: &[Edit], texts: &[Text]) -> Option<Vec<Value>> {
    let mut of_files: Vec<(&str, Vec<Value>)> = Vec::new();
    for edit in edits {
        let text = texts.iter().find(|text| text.name == edit.place().file)?;
        let change = edit.change(&text.text)?;
        let replacement = json!({
            "deletedRegion": region(line_column(&text.text, change.range.start), line_column(&text.text, change.range.end)),
            "insertedContent": {"text": change.text},
        });
        match of_files.iter_mut().find(|(file, _)| *file == &*text.name) {
            Some((_, replacements)) => replacements.push(replacement),
            None => of_files.push((&text.name, vec![replacement])),
        }
    }
    let change =
        |(file, replacements)| json!({"artifactLocation": {"uri": uri(file)}, "replacements": replacements});
    (!of_files.is_empty()).then(|| of_files.into_iter().map(change).collect())
}

fn line_column(text: &str, at: usize) -> (u32, u32) {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// A path as a URI: relative as it is, absolute as a file's (3.10.1). Everything but letters, digits and what
/// separates is escaped (RFC 3986, section 2.3).
fn uri(path: &str) -> String {
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.trim_start_matches("./").bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(byte.into());
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

/// With a capital and a full stop, and a space behind it for the next.
fn sentence(text: &str) -> String {
    format!("{}. ", capital(text).trim_end_matches('.'))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `no deadline` as `NoDeadline`: the readable name that hosts sort by (3.49.7).
fn pascal(text: &str) -> String {
    text.split(|c: char| !c.is_alphanumeric()).map(capital).collect()
}

/// FNV-1a (Fowler, Noll, Vo): the same on every machine and in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_uri() {
        assert_eq!(uri("./design/a b.yaml"), "design/a%20b.yaml");
        assert_eq!(uri("/srv/d\u{e9}sign.yaml"), "file:///srv/d%C3%A9sign.yaml");
        assert_eq!(uri("stdin"), "stdin");
    }

    #[test]
    fn words_become_a_name_and_a_sentence() {
        assert_eq!(pascal("a try as long as the call"), "ATryAsLongAsTheCall");
        assert_eq!(sentence("nobody bounds it."), "Nobody bounds it. ");
    }

    #[test]
    fn the_hash_is_the_published_one() {
        // Test vectors of the authors.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
