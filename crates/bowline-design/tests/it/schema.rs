//! The JSON Schema says what the reader takes.

use crate::support::{fixture, folder, taken};
use serde_json::Value;

#[test]
fn every_example_of_ours_is_read() {
    let reading = taken(&fixture("ours.yaml").text);
    assert_eq!((reading.documents.services.len(), reading.documents.policies.len()), (1, 1));
}

#[test]
fn the_schema_is_the_one_that_editors_have() {
    let schema = serde_json::to_string_pretty(&bowline_design::schema()).expect("JSON") + "\n";
    crate::rendering::golden(&folder("golden").join("schema.json"), &schema);
}

#[test]
fn every_reference_of_the_schema_leads_somewhere() {
    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let schema = bowline_design::schema();
    let mut found = Vec::new();
    references(&schema, &mut found);
    assert!(found.len() > 30, "{}", found.len());
    for reference in found {
        let pointer = reference.trim_start_matches('#');
        assert!(schema.pointer(pointer).is_some_and(Value::is_object), "{reference}");
    }
}

/// Whatever the schema knows the reader knows, and the other way round: a field that is not in the
/// schema is refused by the reader, and the reader's refusal lists exactly the schema's fields.
#[test]
fn the_reader_and_the_schema_know_the_same_fields() {
    let schema = bowline_design::schema();
    for (spec, definition) in [
        ("kind: Policy\nmetadata: { name: p }\nspec: { nothing-like-it: 1 }\n", "Policy"),
        ("kind: Policy\nmetadata: { name: p }\nspec: { breaker: { nothing-like-it: 1 } }\n", "Breaker"),
        ("kind: Service\nmetadata: { name: p }\nspec: { nothing-like-it: 1 }\n", "Service"),
        (
            "kind: Service\nmetadata: { name: p }\nspec: { operations: [{ name: a, nothing-like-it: 1 }] }\n",
            "Operation",
        ),
        ("testCases: [{ request: { authority: [a], nothing-like-it: 1 } }]\n", "TestRequest"),
    ] {
        let reading = crate::support::read(spec);
        let refusal = reading.mistakes.iter().find(|m| m.code == "unknown-field").expect("a refusal");
        let mut read: Vec<&str> = refusal.expected.split('`').skip(1).step_by(2).collect();
        let fields = schema["$defs"][definition]["properties"].as_object().expect("fields");
        let mut known: Vec<&str> = fields.keys().map(String::as_str).collect();
        read.sort_unstable();
        known.sort_unstable();
        assert_eq!(read, known, "{definition}");
    }
}
