//! An event out of names and texts, and back.

use super::{KEY, Plain};
use crate::event::{BadEvent, Event, Value};
use crate::moment;
use bytes::Bytes;
use std::collections::BTreeMap;

/// The version of CloudEvents that is written, and of which every 1.x is read.
pub(super) const SPEC_VERSION: &str = "1.0";

/// Shows every attribute and extension as text, in a fixed order.
pub(super) fn each(event: &Event, mut show: impl FnMut(&str, &str)) {
    show("specversion", SPEC_VERSION);
    show("id", event.id());
    show("source", event.source());
    show("type", event.kind());
    let time = event.time().map(moment::write);
    let optional = [
        ("subject", event.subject()),
        ("time", time.as_deref()),
        ("datacontenttype", event.data_content_type()),
        ("dataschema", event.data_schema()),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            show(name, value);
        }
    }
    for (name, value) in event.extensions() {
        show(name, &value.to_string());
    }
}

/// What was found of an event.
#[derive(Debug, Default)]
pub(super) struct Collected {
    texts: BTreeMap<String, Value>,
    pub(super) data: Option<Bytes>,
}

impl Collected {
    pub(super) fn plain(Plain { id, source, kind }: Plain<'_>) -> Self {
        let mut collected = Self::default();
        for (name, value) in [("specversion", SPEC_VERSION), ("id", id), ("source", source), ("type", kind)] {
            collected.add(name, value.to_owned());
        }
        collected
    }

    pub(super) fn add(&mut self, name: &str, text: String) {
        self.add_value(name, Value::Text(text));
    }

    pub(super) fn add_value(&mut self, name: &str, value: Value) {
        self.texts.insert(name.to_owned(), value);
    }

    /// A header of a plain record, if it can be an extension. It cannot take the place of what is there.
    pub(super) fn add_if_sound(&mut self, name: &str, value: &[u8]) {
        let Ok(text) = std::str::from_utf8(value) else { return };
        let alone = Event::builder("-", "-", "-").extension(name, Value::Text(text.to_owned()));
        if alone.build().is_ok() && !self.texts.contains_key(name) {
            self.add(name, text.to_owned());
        }
    }

    /// A key that no attribute names becomes one.
    pub(super) fn with_key(mut self, key: Option<&[u8]>) -> Self {
        if let Some(key) = key.and_then(|key| std::str::from_utf8(key).ok())
            && !self.texts.contains_key(KEY)
        {
            self.add_if_sound(KEY, key.as_bytes());
        }
        self
    }

    /// Whether somebody meant an event: it has a version.
    pub(super) fn is_event(&self) -> bool {
        self.texts.contains_key("specversion")
    }

    pub(super) fn build(mut self) -> Result<Event, BadEvent> {
        let version = self.take("specversion").unwrap_or_default();
        if !version.starts_with("1.") {
            let found = format!("is `{version}`");
            return Err(BadEvent::new("specversion", found, "1.0 is written and every 1.x read"));
        }
        let [id, source, kind] = ["id", "source", "type"].map(|name| self.take(name).unwrap_or_default());
        let mut builder = Event::builder(id, source, kind);
        if let Some(subject) = self.take("subject") {
            builder = builder.subject(subject);
        }
        if let Some(text) = self.take("time") {
            let bad = || BadEvent::new("time", format!("is `{text}`"), "a time of RFC 3339, from 1970 on");
            builder = builder.time(moment::parse(&text).ok_or_else(bad)?);
        }
        if let Some(content_type) = self.take("datacontenttype") {
            builder = builder.data_content_type(content_type);
        }
        if let Some(schema) = self.take("dataschema") {
            builder = builder.data_schema(schema);
        }
        for (name, value) in self.texts {
            builder = builder.extension(name, value);
        }
        match self.data {
            Some(data) => builder.untyped_data(data).build(),
            None => builder.build(),
        }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.texts.remove(name).map(|value| value.to_string())
    }

    /// The media type of the data.
    pub(super) fn content_type(&self) -> Option<String> {
        self.texts.get("datacontenttype").map(ToString::to_string)
    }
}
