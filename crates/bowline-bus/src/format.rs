//! Events as messages of a transport: CloudEvents' bindings, version 1.0 of all of them.
//!
//! A binding says where an event's attributes stand in a message. In binary mode each is a header and the data are the
//! body; in structured mode the whole event is one JSON document. What is no CloudEvent at all is read as well, as a
//! plain record.
//!
//! | binding | attributes | encoding | media type of the data | key | by |
//! |---|---|---|---|---|---|
//! | HTTP | headers `ce-..` | percent | `content-type` | | HTTP Protocol Binding |
//! | Kafka | headers `ce_..` | none | `content-type` | the record's | Kafka Protocol Binding |
//! | AMQP 0-9-1 | headers `cloudEvents_..`; `cloudEvents:..` and `ce-..` are read | none | property `content_type` | | none is official: as in AMQP 1.0 |
//! | NATS | headers `ce-..` | percent | `ce-datacontenttype` | | NATS Protocol Binding |
//! | Redis Streams | fields `ce_..`, the data in `data` | none | field `content-type` | | none exists: ours, as for Kafka |
//!
//! In reading order: `attributes`, an event out of names and texts; [`json`], the structured form.

mod attributes;
pub mod json;

use crate::event::{BadEvent, Event, extension};
use attributes::Collected;
use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use std::fmt;

/// A transport that events are bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// HTTP requests and answers.
    Http,
    /// Kafka's records.
    Kafka,
    /// RabbitMQ's messages, in AMQP 0-9-1.
    Amqp,
    /// NATS' messages.
    Nats,
    /// Entries of Redis Streams.
    Redis,
}

/// How an event stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Attributes are headers, data are the body.
    Binary,
    /// The body is the whole event, in JSON.
    Structured,
    /// It is no CloudEvent: only data, perhaps with a key and a media type.
    Plain,
}

/// A message, as far as bindings know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Kafka's key of a record; for others none.
    pub key: Option<Bytes>,
    /// The media type: a header, a property (AMQP) or a field (Redis), as the binding's table says.
    pub content_type: Option<String>,
    /// Other headers, in order. Names are compared without case.
    pub headers: Vec<(String, Bytes)>,
    /// The body. None is a tombstone, where there is one.
    pub body: Option<Bytes>,
}

/// What a message was read as.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The event.
    pub event: Event,
    /// How it stood there.
    pub mode: Mode,
}

/// What a plain record is called that has no name itself.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a> {
    /// Its id: topic, partition and offset are one that stays the same when it is read again.
    pub id: &'a str,
    /// Its source: the topic, for one.
    pub source: &'a str,
    /// Its type.
    pub kind: &'a str,
}

/// The media type of an event in structured mode.
pub const STRUCTURED: &str = "application/cloudevents+json";

/// What is percent-encoded in HTTP and NATS: everything but printable ASCII, and space, `"` and `%` of that.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

impl Binding {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Http, Self::Kafka, Self::Amqp, Self::Nats, Self::Redis];

    /// Its name, in file names and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Kafka => "kafka",
            Self::Amqp => "amqp",
            Self::Nats => "nats",
            Self::Redis => "redis",
        }
    }

    /// How attributes begin: the first as we write them, all as we read them.
    const fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Http | Self::Nats => &["ce-"],
            Self::Kafka | Self::Redis => &["ce_"],
            Self::Amqp => &["cloudEvents_", "cloudEvents:", "ce-"],
        }
    }

    const fn encodes(self) -> bool {
        matches!(self, Self::Http | Self::Nats)
    }

    /// Writes an event in binary mode.
    #[must_use]
    pub fn binary(self, event: &Event) -> Message {
        let mut message = Message { key: self.key(event), ..Message::default() };
        attributes::each(event, |name, value| {
            if name == "datacontenttype" && self != Self::Nats {
                message.content_type = Some(value.to_owned());
                return;
            }
            let text = if self.encodes() {
                utf8_percent_encode(value, ENCODED).to_string()
            } else {
                value.to_owned()
            };
            message.headers.push((format!("{}{name}", self.prefixes()[0]), Bytes::from(text)));
        });
        message.body = event.data().cloned();
        message
    }

    /// Writes an event in structured mode.
    #[must_use]
    pub fn structured(self, event: &Event) -> Message {
        Message {
            key: self.key(event),
            content_type: Some(STRUCTURED.to_owned()),
            headers: Vec::new(),
            body: Some(Bytes::from(json::write(event))),
        }
    }

    fn key(self, event: &Event) -> Option<Bytes> {
        (self == Self::Kafka).then(|| event.key().map(|key| Bytes::copy_from_slice(key.as_bytes()))).flatten()
    }

    /// Reads an event, however it stands there.
    ///
    /// # Errors
    /// [`BadMessage`]: it says that it is a CloudEvent, and is none.
    pub fn read(self, message: &Message, plain: Plain<'_>) -> Result<Read, BadMessage> {
        let of_type = message.content_type.as_deref().unwrap_or_default().to_ascii_lowercase();
        if of_type.starts_with("application/cloudevents-batch") {
            return Err(BadMessage::new(self, "it is a batch; one event a message is read"));
        }
        let (collected, mode) = if of_type.starts_with("application/cloudevents") {
            let format = of_type.split(';').next().unwrap_or_default().trim();
            if format != STRUCTURED && format != "application/cloudevents" {
                return Err(BadMessage::new(
                    self,
                    format!("its format is `{format}`, `{STRUCTURED}` is read"),
                ));
            }
            let body = message.body.as_deref().unwrap_or_default();
            (json::collect(body).map_err(|why| BadMessage::new(self, why))?, Mode::Structured)
        } else {
            self.collect(message, plain)?
        };
        let collected = collected.with_key(message.key.as_deref());
        let event = collected.build().map_err(|bad| BadMessage {
            binding: self,
            what: String::new(),
            cause: Some(bad),
        })?;
        Ok(Read { event, mode })
    }

    /// Binary mode, or plain.
    fn collect(self, message: &Message, plain: Plain<'_>) -> Result<(Collected, Mode), BadMessage> {
        let mut collected = Collected::default();
        let mut others = Vec::new();
        for (header, value) in &message.headers {
            match self.attribute(header) {
                Some(name) => collected.add(&name, self.decode(header, value)?),
                None => others.push((header.to_ascii_lowercase(), value)),
            }
        }
        let mode = if collected.is_event() { Mode::Binary } else { Mode::Plain };
        if mode == Mode::Plain {
            collected = Collected::plain(plain);
            for (name, value) in others {
                collected.add_if_sound(&name, value);
            }
        }
        if let Some(content_type) = &message.content_type {
            collected.add("datacontenttype", content_type.clone());
        }
        collected.data = message.body.clone();
        Ok((collected, mode))
    }

    /// The attribute that a header is, in lowercase.
    fn attribute(self, header: &str) -> Option<String> {
        let begins = |prefix: &&&str| {
            let start = header.as_bytes().get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        let prefix = self.prefixes().iter().find(begins)?;
        Some(header.get(prefix.len()..)?.to_ascii_lowercase())
    }

    fn decode(self, header: &str, value: &[u8]) -> Result<String, BadMessage> {
        let bad = || BadMessage::new(self, format!("the header `{header}` is not UTF-8"));
        let text = std::str::from_utf8(value).map_err(|_| bad())?;
        if !self.encodes() {
            return Ok(text.to_owned());
        }
        // Strictly: an overlong encoding is no UTF-8.
        Ok(percent_decode_str(text).decode_utf8().map_err(|_| bad())?.into_owned())
    }
}

impl Message {
    /// As the fields of an entry of a Redis Stream.
    #[must_use]
    pub fn into_fields(self) -> Vec<(String, Bytes)> {
        let content_type = self.content_type.map(|of| ("content-type".to_owned(), Bytes::from(of)));
        let data = self.body.map(|data| ("data".to_owned(), data));
        content_type.into_iter().chain(self.headers).chain(data).collect()
    }

    /// From the fields of an entry of a Redis Stream.
    #[must_use]
    pub fn from_fields(fields: Vec<(String, Bytes)>) -> Self {
        let mut message = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "data" => message.body = Some(value),
                "content-type" => message.content_type = Some(String::from_utf8_lossy(&value).into_owned()),
                _ => message.headers.push((name, value)),
            }
        }
        message
    }
}

/// As it is written down in golden files: headers, an empty line, the body.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        if let Some(key) = &self.key {
            writeln!(f, "(key) {}", text(key))?;
        }
        if let Some(content_type) = &self.content_type {
            writeln!(f, "content-type: {content_type}")?;
        }
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", text(value))?;
        }
        match &self.body {
            None => writeln!(f, "\n(no body)"),
            Some(body) => writeln!(f, "\n{}", text(body)),
        }
    }
}

/// A message that says that it is a CloudEvent, and is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadMessage {
    binding: Binding,
    what: String,
    cause: Option<BadEvent>,
}

impl BadMessage {
    fn new(binding: Binding, what: impl Into<String>) -> Self {
        Self { binding, what: what.into(), cause: None }
    }
}

impl fmt::Display for BadMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to read an event from {}", self.binding.as_str())?;
        if self.what.is_empty() { Ok(()) } else { write!(f, ": {}", self.what) }
    }
}

impl std::error::Error for BadMessage {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}

/// The name of the attribute that a key is read as, where a message has a key and no such attribute.
const KEY: &str = extension::PARTITION_KEY;
