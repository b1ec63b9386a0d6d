//! SARIF as code hosts demand it: the shape of the standard, regions and fixes that hit, fingerprints that stay.
//!
//! `UPDATE_GOLDEN=1` writes the golden log anew; validate it against the published schema before it is kept.

use crate::support::folder;
use bowline_check::sarif::{IDLE_EXCEPTION, Told, log};
use bowline_check::{Review, review};
use bowline_design::{Text, read, resolve};
use serde_json::{Value, json};
use std::path::Path;

/// A finding with an edit, one that is excused, an exception that excuses nothing, a kind that is not read; and
/// letters of more than one byte in front of them.
const DESIGN: &str = r#"apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: payment
  annotations:
    bowline.dev/allow: |
      R05: the provider deduplicates by order number
      T03: it was so once
spec:
  hosts: [ payment ]
  http:
  - { name: "préférée", route: [ { destination: { host: payment } } ], timeout: 3s, retries: { attempts: 3, perTryTimeout: 2s, retryOn: 5xx } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: details }
spec:
  hosts: [ details ]
  http:
  - route:
    - destination: { host: details }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: details }
"#;

fn texts(yaml: &str) -> [Text; 1] {
    [Text { name: "design/routes.yaml".into(), text: yaml.to_owned() }]
}

fn reviewed(texts: &[Text]) -> (Review, Value) {
    let reading = read(texts);
    let design = resolve(&reading).unwrap();
    let review = review(&design, &reading.documents).unwrap();
    let log = log(Told::Review(&review), &design.notes, texts);
    (review, log)
}

#[test]
fn the_log_is_the_golden_one() {
    let (_, mut log) = reviewed(&texts(DESIGN));
    // Rules come and go; here are only those that something was found of.
    let run = &mut log["runs"][0];
    let used: Vec<Value> = results(run).iter().map(|result| result["ruleId"].clone()).collect();
    let rules = run["tool"]["driver"]["rules"].as_array_mut().unwrap();
    rules.retain(|rule| used.contains(&rule["id"]));
    for rule in rules {
        for text in ["fullDescription", "help"] {
            rule[text]["text"] = json!("..");
        }
    }
    for result in run["results"].as_array_mut().unwrap() {
        result.as_object_mut().unwrap().remove("ruleIndex");
    }
    run["tool"]["driver"]["semanticVersion"] = json!("..");
    let found = format!("{log:#}\n");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/review.sarif");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(expected == found, "{} differs; UPDATE_GOLDEN=1 writes it anew\n{found}", golden.display());
}

#[test]
fn a_log_has_the_shape_of_the_standard() {
    let mistaken = texts(&DESIGN.replace("hosts:", "hots:"));
    let reading = read(&mistaken);
    let mistakes = log(Told::Mistakes(&reading.mistakes), &reading.notes, &mistaken);
    assert!(results(&mistakes["runs"][0]).len() > 1);
    for log in [reviewed(&texts(DESIGN)).1, reviewed(&texts("")).1, mistakes] {
        valid(&log);
    }
    for text in folder("../bowline-design/tests/fixtures/istio-samples") {
        let texts = [text];
        if resolve(&read(&texts)).is_ok() {
            valid(&reviewed(&texts).1);
        }
    }
}

/// What the checker is worth: it sees what the standard forbids.
#[test]
fn a_log_without_the_shape_is_seen() {
    let log = reviewed(&texts(DESIGN)).1;
    let broken: [(&str, Value); 6] = [
        ("/runs/0/results/0/message", json!({})),
        ("/runs/0/results/0/level", json!("info")),
        ("/runs/0/results/0/ruleIndex", json!(0)),
        ("/runs/0/results/0/colour", json!("red")),
        ("/runs/0/results/0/locations/0/physicalLocation/region/startColumn", json!(0)),
        ("/runs/0/tool/driver/name", json!(7)),
    ];
    for (place, value) in broken {
        let mut log = log.clone();
        let (object, field) = place.rsplit_once('/').unwrap();
        log.pointer_mut(object).unwrap()[field] = value;
        assert!(std::panic::catch_unwind(|| valid(&log)).is_err(), "{place}");
    }
}

#[test]
fn a_fix_does_to_the_text_what_the_edit_does() {
    let texts = texts(DESIGN);
    let (review, log) = reviewed(&texts);
    let mut fixed = 0;
    for (finding, result) in review.findings.iter().zip(results(&log["runs"][0])) {
        let Some(mended) = finding.mended(&texts) else { continue };
        let changes = result["fixes"][0]["artifactChanges"].as_array().unwrap();
        assert_eq!(changes.len(), 1);
        let mut text = texts[0].text.clone();
        // From the end to the beginning, so that places stay where they are.
        for replacement in changes[0]["replacements"].as_array().unwrap().iter().rev() {
            let region = &replacement["deletedRegion"];
            let at = |line: &str, column: &str| offset(&text, number(&region[line]), number(&region[column]));
            let range = at("startLine", "startColumn")..at("endLine", "endColumn");
            text.replace_range(range, replacement["insertedContent"]["text"].as_str().unwrap());
        }
        assert_eq!(text, mended[0].text, "{}", finding.rule);
        fixed += 1;
    }
    assert!(fixed >= 2, "only {fixed} fixes");
}

#[test]
fn a_fingerprint_stays_when_lines_move_and_numbers_change_and_is_no_others() {
    let prints = |yaml: &str| -> Vec<Value> {
        let (_, log) = reviewed(&texts(yaml));
        results(&log["runs"][0]).iter().map(|result| result["partialFingerprints"].clone()).collect()
    };
    let before = prints(DESIGN);
    let moved = format!("# A line more.\n{}", DESIGN.replace("perTryTimeout: 2s", "perTryTimeout: 2500ms"));
    assert_eq!(prints(&moved), before);
    for (index, print) in before.iter().enumerate() {
        assert!(!before[..index].contains(print), "twice: {print}");
    }
}

#[test]
fn what_is_excused_is_suppressed_with_its_reason_and_the_rest_is_not() {
    let (_, log) = reviewed(&texts(DESIGN));
    for result in results(&log["runs"][0]) {
        let suppressions = result["suppressions"].as_array().unwrap();
        let reasons: Vec<_> =
            suppressions.iter().map(|each| each["justification"].as_str().unwrap()).collect();
        let expected: &[&str] =
            if result["ruleId"] == "R05" { &["the provider deduplicates by order number"] } else { &[] };
        assert_eq!(reasons, expected, "{}", result["ruleId"]);
    }
    assert!(results(&log["runs"][0]).iter().any(|result| result["ruleId"] == IDLE_EXCEPTION));
}

#[test]
fn every_rule_has_its_help_text() {
    let (_, log) = reviewed(&texts(""));
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), bowline_check::all().len());
    for rule in rules {
        assert!(rule["help"]["text"].as_str().unwrap().len() > 200, "{}", rule["id"]);
        // A code host shows no more than 255 letters of a name and 1024 of a description.
        assert!(rule["name"].as_str().unwrap().len() < 255);
    }
}

// === the shape ===

/// Objects of the standard that we write: each field with its type, `!` where it has to be there. No object may
/// have another field (`additionalProperties` is false throughout the schema).
const SHAPES: &[(&str, &[(&str, &str)])] = &[
    ("log", &[("$schema", "uri"), ("version", "!=2.1.0"), ("runs", "![run]")]),
    (
        "run",
        &[
            ("tool", "!tool"),
            ("automationDetails", "automation"),
            ("columnKind", "=utf16CodeUnits|unicodeCodePoints"),
            ("invocations", "[invocation]"),
            ("results", "[result]"),
        ],
    ),
    ("tool", &[("driver", "!driver")]),
    ("driver", &[("name", "!string"), ("semanticVersion", "string"), ("rules", "[rule]")]),
    (
        "rule",
        &[
            ("id", "!string"),
            ("name", "string"),
            ("shortDescription", "message"),
            ("fullDescription", "message"),
            ("help", "message"),
            ("properties", "bag"),
        ],
    ),
    ("automation", &[("id", "string")]),
    ("invocation", &[("executionSuccessful", "!bool"), ("toolExecutionNotifications", "[notification]")]),
    (
        "notification",
        &[("level", "=none|note|warning|error"), ("message", "!message"), ("locations", "[location]")],
    ),
    (
        "result",
        &[
            ("ruleId", "string"),
            ("ruleIndex", "integer"),
            ("level", "=none|note|warning|error"),
            ("message", "!message"),
            ("locations", "[location]"),
            ("relatedLocations", "[location]"),
            ("partialFingerprints", "bag"),
            ("fixes", "[fix]"),
            ("suppressions", "[suppression]"),
        ],
    ),
    ("message", &[("text", "!string")]),
    ("location", &[("physicalLocation", "physical"), ("logicalLocations", "[logical]")]),
    ("physical", &[("artifactLocation", "artifact"), ("region", "region")]),
    ("artifact", &[("uri", "uri")]),
    ("logical", &[("fullyQualifiedName", "string"), ("kind", "string")]),
    (
        "region",
        &[
            ("startLine", "!positive"),
            ("startColumn", "positive"),
            ("endLine", "positive"),
            ("endColumn", "positive"),
        ],
    ),
    ("fix", &[("description", "message"), ("artifactChanges", "![change]")]),
    ("change", &[("artifactLocation", "!artifact"), ("replacements", "![replacement]")]),
    ("replacement", &[("deletedRegion", "!region"), ("insertedContent", "message")]),
    (
        "suppression",
        &[
            ("kind", "!=inSource|external"),
            ("status", "=accepted|underReview|rejected"),
            ("justification", "string"),
            ("location", "location"),
        ],
    ),
];

/// Demands the shape, and what no schema can say.
#[track_caller]
fn valid(log: &Value) {
    of_type(log, "log", "");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for (index, rule) in rules.iter().enumerate() {
        assert!(!rules[..index].iter().any(|other| other["id"] == rule["id"]), "{} twice", rule["id"]);
    }
    for result in results(run) {
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert_eq!(result["suppressions"].is_null(), results(run)[0]["suppressions"].is_null());
    }
}

fn of_type(value: &Value, kind: &str, at: &str) {
    if let Some(each) = kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']')) {
        let list = value.as_array().unwrap_or_else(|| panic!("{at} is no list"));
        list.iter().enumerate().for_each(|(index, value)| of_type(value, each, &format!("{at}[{index}]")));
        return;
    }
    if let Some(words) = kind.strip_prefix('=') {
        assert!(
            value.as_str().is_some_and(|word| words.split('|').any(|known| known == word)),
            "{at}: {value}"
        );
        return;
    }
    match kind {
        "string" => assert!(value.is_string(), "{at}: {value}"),
        "bool" => assert!(value.is_boolean(), "{at}: {value}"),
        "integer" => assert!(value.as_i64().is_some_and(|number| number >= -1), "{at}: {value}"),
        "positive" => assert!(value.as_u64().is_some_and(|number| number > 0), "{at}: {value}"),
        "bag" => assert!(value.is_object(), "{at}: {value}"),
        "uri" => {
            let uri = value.as_str().unwrap_or_else(|| panic!("{at}: {value}"));
            assert!(
                uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)),
                "{at}: {uri}"
            );
        }
        shape => {
            let (_, fields) =
                SHAPES.iter().find(|(name, _)| *name == shape).unwrap_or_else(|| panic!("{shape}"));
            let object = value.as_object().unwrap_or_else(|| panic!("{at} is no object"));
            for name in object.keys() {
                assert!(fields.iter().any(|(known, _)| known == name), "{at} has no field {name}");
            }
            for (name, kind) in *fields {
                let needed = kind.strip_prefix('!');
                match object.get(*name) {
                    Some(value) => of_type(value, needed.unwrap_or(kind), &format!("{at}.{name}")),
                    None => assert!(needed.is_none(), "{at} has no {name}"),
                }
            }
        }
    }
}

fn results(run: &Value) -> &[Value] {
    run["results"].as_array().unwrap()
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

/// The byte at a line and column, by the standard: both from one, columns in letters.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let within = text[before..].char_indices().nth(column - 1);
    within.map_or(text.len(), |(at, _)| before + at)
}
