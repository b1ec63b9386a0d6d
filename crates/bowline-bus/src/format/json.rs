//! An event as one JSON document: CloudEvents' JSON Event Format 1.0.
//!
//! Data that are JSON stand there as they are, byte for byte: nothing is parsed and written anew, so that no number
//! loses a digit. Data that are text stand there as a string, all others in base64.

use super::attributes::{Collected, SPEC_VERSION};
use crate::event::{Event, Value};
use crate::moment;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The event with its data.
#[must_use]
pub fn write(event: &Event) -> String {
    let mut text = head(event);
    text.pop();
    if let Some(data) = event.data() {
        let of = event.data_content_type().unwrap_or_default();
        let raw = is_json(of).then(|| serde_json::from_slice::<&RawValue>(data).ok()).flatten();
        // `null` is read as no data at all.
        let raw = raw.filter(|raw| raw.get() != "null");
        let string = if is_text(of) { std::str::from_utf8(data).ok() } else { None };
        match (raw, string) {
            (Some(raw), _) => text += &format!(r#","data":{}"#, raw.get()),
            (None, Some(string)) => text += &format!(r#","data":{}"#, quoted(string)),
            (None, None) => text += &format!(r#","data_base64":"{}""#, STANDARD.encode(data)),
        }
    }
    text.push('}');
    text
}

/// The event without its data: what a store keeps beside them.
#[must_use]
pub fn head(event: &Event) -> String {
    let mut text = format!(r#"{{"specversion":"{SPEC_VERSION}""#);
    let mut add = |name: &str, value: &str| text += &format!(r#","{name}":{value}"#);
    add("id", &quoted(event.id()));
    add("source", &quoted(event.source()));
    add("type", &quoted(event.kind()));
    let time = event.time().map(moment::write);
    let optional = [
        ("subject", event.subject()),
        ("time", time.as_deref()),
        ("datacontenttype", event.data_content_type()),
        ("dataschema", event.data_schema()),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            add(name, &quoted(value));
        }
    }
    for (name, value) in event.extensions() {
        match value {
            Value::Text(text) => add(name, &quoted(text)),
            Value::Boolean(_) | Value::Integer(_) => add(name, &value.to_string()),
        }
    }
    text.push('}');
    text
}

/// The event whose head a store kept, and its data.
///
/// # Errors
/// What is wrong with it, in words.
pub fn from_head(head: &str, data: Option<Bytes>) -> Result<Event, String> {
    let mut collected = collect(head.as_bytes())?;
    collected.data = data;
    collected.build().map_err(|bad| bad.to_string())
}

/// Reads a document as far as names and values; what they may be is for [`Collected::build`] to say.
pub(super) fn collect(document: &[u8]) -> Result<Collected, String> {
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_slice(document).map_err(|error| format!("it is no JSON object: {error}"))?;
    let mut collected = Collected::default();
    let mut data = None;
    let mut base64 = None;
    for (name, raw) in members {
        let raw = raw.get();
        match name.as_str() {
            _ if raw == "null" => (),
            "data" => data = Some(raw),
            "data_base64" => base64 = Some(raw),
            _ => collected.add_value(&name, value(&name, raw)?),
        }
    }
    collected.data = match (data, base64) {
        (Some(_), Some(_)) => return Err("it has `data` and `data_base64`: one of them".to_owned()),
        (None, None) => None,
        (None, Some(raw)) => {
            let text: String =
                serde_json::from_str(raw).map_err(|_| "`data_base64` is no text".to_owned())?;
            Some(Bytes::from(STANDARD.decode(text).map_err(|_| "`data_base64` is no base64".to_owned())?))
        }
        // Without a media type they are JSON, says the format.
        (Some(raw), None) if collected.content_type().is_none_or(|of| is_json(&of)) => {
            Some(Bytes::copy_from_slice(raw.as_bytes()))
        }
        (Some(raw), None) => Some(
            serde_json::from_str::<String>(raw)
                .map_or_else(|_| Bytes::copy_from_slice(raw.as_bytes()), Bytes::from),
        ),
    };
    Ok(collected)
}

fn value(name: &str, raw: &str) -> Result<Value, String> {
    match raw.as_bytes().first() {
        Some(b'"') => {
            serde_json::from_str(raw).map(Value::Text).map_err(|error| format!("`{name}`: {error}"))
        }
        Some(b't' | b'f') => Ok(Value::Boolean(raw == "true")),
        Some(b'{' | b'[') => Err(format!("`{name}` is no text, number or boolean")),
        _ => Ok(raw.parse().map_or_else(|_| Value::Text(raw.to_owned()), Value::Integer)),
    }
}

/// `application/json`, and what ends in `+json`.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

fn is_text(content_type: &str) -> bool {
    content_type.trim_start().to_ascii_lowercase().starts_with("text/") && !is_json(content_type)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
