//! What a record says: an event as CloudEvents 1.0 has it.

use bowline_lane::Key;
use bowline_model::{TraceContext, WallTime};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;

/// An event: four attributes that every event has, five that it may have, extensions and data.
///
/// The attributes and extensions are those of CloudEvents 1.0; bindings to transports are
/// separate from it. It is made by an [`EventBuilder`], which checks everything once.
///
/// ```
/// use bowline_bus::Event;
///
/// let event = Event::builder("7f3a", "/orders", "order.placed")
///     .subject("order-17")
///     .partition_key("order-17")
///     .json(r#"{"items":1}"#)
///     .build()
///     .unwrap();
/// assert_eq!(event.id(), "7f3a");
/// assert_eq!(event.key().unwrap().as_bytes(), b"order-17");
/// ```
#[derive(Clone, PartialEq)]
pub struct Event {
    id: String,
    source: String,
    kind: String,
    subject: Option<String>,
    time: Option<WallTime>,
    data_content_type: Option<String>,
    data_schema: Option<String>,
    extensions: BTreeMap<String, Value>,
    data: Option<Bytes>,
}

/// The value of an extension. What is neither is carried as the text that CloudEvents writes it as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text, a URI, a time, or bytes in base64.
    Text(String),
    /// True or false.
    Boolean(bool),
    /// A whole number of 32 bits.
    Integer(i32),
}

/// As CloudEvents writes it in a header.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
        }
    }
}

/// Names of the extensions that this project reads: all of them CloudEvents' own.
pub mod extension {
    /// W3C trace context of the event's creation ("Distributed Tracing").
    pub const TRACEPARENT: &str = "traceparent";
    /// What goes with it.
    pub const TRACESTATE: &str = "tracestate";
    /// When the event is of no use any more ("Expiry Time").
    pub const EXPIRY: &str = "expirytime";
    /// What a whole exchange has in common ("Correlation").
    pub const CORRELATION: &str = "correlationid";
    /// The id of the event that caused this one ("Correlation").
    pub const CAUSATION: &str = "causationid";
    /// The key ("Partitioning").
    pub const PARTITION_KEY: &str = "partitionkey";
}

/// The most bytes of data. Brokers refuse more by default (Kafka 1 MiB, NATS 1 MiB); what is larger belongs into a store,
/// with its address in the event.
pub const DATA_BYTES_MAX: usize = 1 << 20;

/// The most bytes of one attribute or extension: what HTTP servers take as one header.
pub const ATTRIBUTE_BYTES_MAX: usize = 4 << 10;

/// The most extensions: with the attributes of the specification they have to fit into a head of 64 headers.
pub const EXTENSIONS_MAX: usize = 48;

/// The most bytes of an extension's name. CloudEvents asks for 20 and forbids no more; this is what we write and read.
pub const EXTENSION_NAME_BYTES_MAX: usize = 64;

impl Event {
    /// Begins an event with what every event has: its id, where it happened (a URI reference), and its type.
    pub fn builder(
        id: impl Into<String>,
        source: impl Into<String>,
        kind: impl Into<String>,
    ) -> EventBuilder {
        EventBuilder {
            event: Self {
                id: id.into(),
                source: source.into(),
                kind: kind.into(),
                subject: None,
                time: None,
                data_content_type: None,
                data_schema: None,
                extensions: BTreeMap::new(),
                data: None,
            },
        }
    }

    /// Its id: with the source, what makes it this event and no other. A receiver recognises a duplicate by both.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it happened.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What of the source it is about.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// When it happened.
    #[must_use]
    pub const fn time(&self) -> Option<WallTime> {
        self.time
    }

    /// The media type of its data.
    #[must_use]
    pub fn data_content_type(&self) -> Option<&str> {
        self.data_content_type.as_deref()
    }

    /// The schema that its data keeps, a URI.
    #[must_use]
    pub fn data_schema(&self) -> Option<&str> {
        self.data_schema.as_deref()
    }

    /// Its data. None is a tombstone, where a topic is compacted.
    #[must_use]
    pub const fn data(&self) -> Option<&Bytes> {
        self.data.as_ref()
    }

    /// Everything else, by name.
    #[must_use]
    pub const fn extensions(&self) -> &BTreeMap<String, Value> {
        &self.extensions
    }

    /// The trace that it was created in. None where it has none, or a malformed one.
    #[must_use]
    pub fn trace(&self) -> Option<TraceContext> {
        self.text(extension::TRACEPARENT).and_then(TraceContext::parse)
    }

    /// When it is of no use any more. None where it does not say, or not as a time.
    #[must_use]
    pub fn expiry(&self) -> Option<WallTime> {
        self.text(extension::EXPIRY).and_then(crate::moment::parse)
    }

    /// What a whole exchange has in common.
    #[must_use]
    pub fn correlation(&self) -> Option<&str> {
        self.text(extension::CORRELATION)
    }

    /// The id of the event that caused it.
    #[must_use]
    pub fn causation(&self) -> Option<&str> {
        self.text(extension::CAUSATION)
    }

    /// What keeps it in order with others: its partition key. Events without one are in no order.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        self.text(extension::PARTITION_KEY).map(Key::new)
    }

    /// What it weighs: data, attributes and extensions, without what a transport adds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let optional = [&self.subject, &self.data_content_type, &self.data_schema];
        let attributes = self.id.len() + self.source.len() + self.kind.len();
        let attributes = attributes + optional.into_iter().flatten().map(String::len).sum::<usize>();
        let value = |value: &Value| if let Value::Text(text) = value { text.len() } else { 8 };
        let extensions: usize = self.extensions.iter().map(|(name, v)| name.len() + value(v)).sum();
        (attributes + extensions + self.data.as_ref().map_or(0, Bytes::len)) as u64
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.extensions.get(name)? {
            Value::Text(text) => Some(text),
            Value::Boolean(_) | Value::Integer(_) => None,
        }
    }
}

/// Data as its length: records may hold what is nobody's business in a log.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.id)
            .field("source", &self.source)
            .field("type", &self.kind)
            .field("subject", &self.subject)
            .field("extensions", &self.extensions)
            .field("data_bytes", &self.data.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

/// An event in the making.
#[derive(Clone, Debug)]
#[must_use = "an event is made by `build`"]
pub struct EventBuilder {
    event: Event,
}

impl EventBuilder {
    /// What of the source it is about.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.event.subject = Some(subject.into());
        self
    }

    /// When it happened.
    pub const fn time(mut self, time: WallTime) -> Self {
        self.event.time = Some(time);
        self
    }

    /// The schema that its data keeps, a URI.
    pub fn data_schema(mut self, schema: impl Into<String>) -> Self {
        self.event.data_schema = Some(schema.into());
        self
    }

    /// Its data, and their media type.
    pub fn data(mut self, content_type: impl Into<String>, data: impl Into<Bytes>) -> Self {
        self.event.data_content_type = Some(content_type.into());
        self.event.data = Some(data.into());
        self
    }

    /// Its data, which are JSON.
    pub fn json(self, data: impl Into<Bytes>) -> Self {
        self.data("application/json", data)
    }

    /// Its data, of which nobody said what they are.
    pub fn untyped_data(mut self, data: impl Into<Bytes>) -> Self {
        self.event.data = Some(data.into());
        self
    }

    /// The media type that its data have or would have.
    pub fn data_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.event.data_content_type = Some(content_type.into());
        self
    }

    /// The trace that it was created in.
    pub fn trace(self, trace: TraceContext) -> Self {
        self.extension(extension::TRACEPARENT, Value::Text(trace.to_string()))
    }

    /// When it is of no use any more.
    pub fn expiry(self, at: WallTime) -> Self {
        self.extension(extension::EXPIRY, Value::Text(crate::moment::write(at)))
    }

    /// What a whole exchange has in common.
    pub fn correlation(self, id: impl Into<String>) -> Self {
        self.extension(extension::CORRELATION, Value::Text(id.into()))
    }

    /// The id of the event that caused it.
    pub fn causation(self, id: impl Into<String>) -> Self {
        self.extension(extension::CAUSATION, Value::Text(id.into()))
    }

    /// What keeps it in order with others.
    pub fn partition_key(self, key: impl Into<String>) -> Self {
        self.extension(extension::PARTITION_KEY, Value::Text(key.into()))
    }

    /// An extension. The name is lowercase letters and digits.
    pub fn extension(mut self, name: impl Into<String>, value: Value) -> Self {
        self.event.extensions.insert(name.into(), value);
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`BadEvent`], which says what is wrong with which attribute.
    pub fn build(self) -> Result<Event, BadEvent> {
        let event = self.event;
        for (name, text) in [("id", &event.id), ("source", &event.source), ("type", &event.kind)] {
            if text.is_empty() {
                return Err(BadEvent::new(name, "is empty", "every event has one"));
            }
            sound(name, text)?;
        }
        let optional = [
            ("subject", &event.subject),
            ("datacontenttype", &event.data_content_type),
            ("dataschema", &event.data_schema),
        ];
        for (name, text) in optional {
            let Some(text) = text else { continue };
            if text.is_empty() {
                return Err(BadEvent::new(name, "is empty", "leave it out"));
            }
            sound(name, text)?;
        }
        if event.time.is_some_and(|time| crate::moment::write(time).is_empty()) {
            return Err(BadEvent::new("time", "is after the year 9999", "RFC 3339 ends there"));
        }
        if event.extensions.len() > EXTENSIONS_MAX {
            let found = format!("are {}", event.extensions.len());
            return Err(BadEvent::new("extensions", found, "at most 48 (EXTENSIONS_MAX)"));
        }
        for (name, value) in &event.extensions {
            sound_name(name)?;
            if let Value::Text(text) = value {
                sound(name, text)?;
            }
        }
        if let Some(data) = event.data.as_ref().filter(|data| data.len() > DATA_BYTES_MAX) {
            let found = format!("are {} bytes", data.len());
            return Err(BadEvent::new("data", found, "at most 1 MiB (DATA_BYTES_MAX)"));
        }
        Ok(event)
    }
}

/// What the specification reserves: attributes have places of their own.
const RESERVED: [&str; 10] = [
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "specversion",
    "data",
    "data_base64",
];

fn sound_name(name: &str) -> Result<(), BadEvent> {
    let good = (1..=EXTENSION_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !good {
        return Err(BadEvent::new(name, "is no name of an extension", "1 to 64 of a-z and 0-9"));
    }
    if RESERVED.contains(&name) {
        return Err(BadEvent::new(name, "is an attribute, no extension", "use the method of that name"));
    }
    Ok(())
}

/// CloudEvents' String: no control characters and no noncharacters. (Surrogates cannot be in a `str`.)
fn sound(name: &str, text: &str) -> Result<(), BadEvent> {
    if text.len() > ATTRIBUTE_BYTES_MAX {
        let found = format!("is {} bytes", text.len());
        return Err(BadEvent::new(name, found, "at most 4 KiB (ATTRIBUTE_BYTES_MAX)"));
    }
    let noncharacter =
        |c: char| matches!(c as u32 & 0xffff, 0xfffe | 0xffff) || ('\u{fdd0}'..='\u{fdef}').contains(&c);
    match text.chars().find(|c| c.is_control() || noncharacter(*c)) {
        None => Ok(()),
        Some(bad) => Err(BadEvent::new(
            name,
            format!("has the character U+{:04X}", bad as u32),
            "text without control characters",
        )),
    }
}

/// An event that is none: what is wrong with which attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadEvent {
    attribute: String,
    found: String,
    expected: &'static str,
}

impl BadEvent {
    pub(crate) fn new(attribute: &str, found: impl Into<String>, expected: &'static str) -> Self {
        let attribute = attribute.chars().take(80).collect();
        Self { attribute, found: found.into(), expected }
    }

    /// The attribute or extension that is wrong; `data`, or `extensions` for all of them.
    #[must_use]
    pub fn attribute(&self) -> &str {
        &self.attribute
    }
}

impl fmt::Display for BadEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attribute, found, expected } = self;
        write!(f, "bad event: `{attribute}` {found}: {expected}")
    }
}

impl std::error::Error for BadEvent {}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> EventBuilder {
        Event::builder("1", "/orders", "order.placed")
    }

    #[test]
    fn what_an_event_must_have_is_asked_for_by_name() {
        for (event, attribute) in [
            (Event::builder("", "/orders", "t"), "id"),
            (Event::builder("1", "", "t"), "source"),
            (Event::builder("1", "/orders", ""), "type"),
            (builder().subject(""), "subject"),
        ] {
            assert_eq!(event.build().unwrap_err().attribute(), attribute);
        }
    }

    #[test]
    fn what_no_transport_carries_is_refused() {
        for event in [
            builder().subject("a\nb"),
            builder().subject("\u{fffe}"),
            builder().extension("Upper", Value::Boolean(true)),
            builder().extension("with-dash", Value::Boolean(true)),
            builder().extension("id", Value::Boolean(true)),
            builder().extension("", Value::Boolean(true)),
            builder().correlation("x".repeat(ATTRIBUTE_BYTES_MAX + 1)),
            builder().untyped_data(vec![0; DATA_BYTES_MAX + 1]),
            builder().time(WallTime::from_unix_nanos(u64::MAX)).extension("x", Value::Text("\u{7f}".into())),
        ] {
            assert!(event.clone().build().is_err(), "{event:?}");
        }
        let many =
            (0..=EXTENSIONS_MAX).fold(builder(), |e, n| e.extension(format!("x{n}"), Value::Integer(1)));
        assert_eq!(many.build().unwrap_err().attribute(), "extensions");
    }

    #[test]
    fn what_the_project_reads_of_an_event_are_extensions_of_the_specification() {
        let at = WallTime::from_unix_nanos(1_700_000_000_000_000_000);
        let trace = TraceContext { trace: 7, parent: 9, flags: 1 };
        let event = builder().trace(trace).expiry(at).correlation("c").causation("d").partition_key("k");
        let event = event.build().unwrap();
        assert_eq!((event.trace(), event.expiry()), (Some(trace), Some(at)));
        assert_eq!((event.correlation(), event.causation()), (Some("c"), Some("d")));
        assert_eq!(event.extensions()[extension::EXPIRY].to_string(), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn an_event_weighs_what_it_carries() {
        let small = builder().build().unwrap();
        assert_eq!(small.bytes(), 1 + 7 + 12);
        let large = builder().json(vec![b'1'; 1_000]).build().unwrap();
        assert_eq!(large.bytes(), 20 + 16 + 1_000);
    }

    #[test]
    fn data_are_not_shown() {
        let event = builder().json(r#"{"card":"4111"}"#).build().unwrap();
        assert!(!format!("{event:?}").contains("4111"));
    }
}
