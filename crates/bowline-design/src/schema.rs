//! A JSON Schema (draft 2020-12) of our kinds, for editors.
//!
//! It is made of the very declarations that the reader reads by, so that the two cannot drift.

use crate::kinds::{self, RouteTests};
use crate::read::documents::OURS;
use crate::read::reader::Read;
use crate::read::shape::{Record, Shape};
use serde_json::{Map, Value, json};

/// What a duration looks like, in ECMA's regular expressions.
const DURATION: &str = r"^\+?((\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$";

/// The JSON Schema of our kinds and of route tests.
#[must_use]
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let mut documents = Vec::new();
    for door in kinds::doors().into_iter().filter(|door| door.group == OURS) {
        let spec = describe(&(door.shape)(), &mut definitions);
        let versions = door.group.versions.iter().map(|version| format!("{}/{version}", door.group.name));
        documents.push(json!({
            "title": door.kind,
            "type": "object",
            "required": ["kind", "metadata", "spec"],
            "properties": {
                "apiVersion": { "enum": versions.collect::<Vec<_>>() },
                "kind": { "const": door.kind },
                "metadata": { "$ref": "#/$defs/Metadata" },
                "spec": spec,
            },
            "additionalProperties": false,
        }));
    }
    documents.push(describe(&RouteTests::shape(), &mut definitions));
    definitions.insert("Metadata".to_owned(), metadata());
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A document of a Bowline design",
        "oneOf": documents,
        "$defs": definitions,
    })
}

/// What every document is called.
fn metadata() -> Value {
    let texts = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": { "type": "string", "maxLength": 253, "pattern": r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$" },
            "namespace": { "type": "string", "maxLength": 63, "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" },
            "labels": texts,
            "annotations": texts,
        },
    })
}

fn describe(shape: &Shape, definitions: &mut Map<String, Value>) -> Value {
    match shape {
        Shape::Ignored => json!({}),
        Shape::Text => json!({ "type": "string" }),
        Shape::Duration => json!({ "type": "string", "pattern": DURATION }),
        Shape::Form(form) => json!({ "type": "string", "pattern": form }),
        Shape::Whole(max) => json!({ "type": "integer", "minimum": 0, "maximum": max }),
        Shape::Number => json!({ "type": "number" }),
        Shape::Truth => json!({ "type": "boolean" }),
        Shape::Words(words) => json!({ "enum": words }),
        Shape::WordsOrTruth(words) => {
            let words = words.iter().map(|word| json!(word)).chain([json!(true), json!(false)]);
            json!({ "enum": words.collect::<Vec<_>>() })
        }
        Shape::List(item) => json!({ "type": "array", "items": describe(item, definitions) }),
        Shape::Map(value) => {
            json!({ "type": "object", "additionalProperties": describe(value, definitions) })
        }
        Shape::Record(record) => define(record, false, definitions),
        Shape::Either(record) => define(record, true, definitions),
        Shape::Mapping => json!({ "type": "object" }),
        Shape::AnyOf(shapes) => {
            let each = shapes.iter().map(|shape| describe(shape, definitions));
            json!({ "anyOf": each.collect::<Vec<_>>() })
        }
    }
}

/// A reference to a mapping, which is described once, however often it is met.
fn define(record: &Record, exactly_one: bool, definitions: &mut Map<String, Value>) -> Value {
    let reference = json!({ "$ref": format!("#/$defs/{}", record.name) });
    if definitions.contains_key(record.name) {
        return reference;
    }
    // Its place is taken first: a mapping may hold itself.
    definitions.insert(record.name.to_owned(), Value::Null);
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in (record.fields)() {
        let shape = (field.shape)();
        if matches!(shape, Shape::Ignored) {
            continue;
        }
        let mut property = describe(&shape, definitions);
        if let (Value::Object(property), false) = (&mut property, field.about.is_empty()) {
            property.insert("description".to_owned(), prose(field.about));
        }
        if field.required {
            required.push(field.name.to_string());
        }
        properties.insert(field.name.into_owned(), property);
    }
    let mut definition = json!({
        "description": prose(record.about),
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if let Value::Object(definition) = &mut definition {
        if !required.is_empty() {
            definition.insert("required".to_owned(), json!(required));
        }
        if exactly_one {
            definition.insert("minProperties".to_owned(), json!(1));
            definition.insert("maxProperties".to_owned(), json!(1));
        }
    }
    definitions.insert(record.name.to_owned(), definition);
    reference
}

/// The lines of a doc comment as one text.
fn prose(lines: &[&str]) -> Value {
    json!(lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "))
}
