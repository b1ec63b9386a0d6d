//! JSON to spans, as it comes. The form is OTLP's (opentelemetry-proto, `opentelemetry/proto/trace/v1`, in the
//! JSON that its `docs/specification.md` describes); objects are read field by field, in whatever order.
//!
//! Tolerated, because exporters differ: numbers as numbers or as texts, kinds as numbers or as words, `null` for
//! what is not there, the older `instrumentationLibrarySpans`.

use super::bowline;
use super::guard::{Guard, Refusal};
use super::spans::{Kind, Refused, Spans};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Attributes looked at, with the older names of the same. The order is that of [`Picked`].
const PICKED: [&str; 28] = [
    "service.name",
    "service.namespace",
    "service.instance.id",
    "k8s.pod.name",
    "host.name",
    "http.request.method",
    "http.method",
    "http.route",
    "rpc.service",
    "rpc.method",
    "rpc.system.name",
    "rpc.system",
    "peer.service",
    "db.system.name",
    "db.system",
    "server.address",
    "net.peer.name",
    "messaging.destination.name",
    "messaging.destination",
    "messaging.consumer.group.name",
    "messaging.kafka.consumer.group",
    "http.request.resend_count",
    "messaging.system",
    bowline::LISTENER,
    bowline::DESTINATION,
    bowline::TRY,
    bowline::END,
    bowline::STATUS,
];

/// Letters kept of a name.
const NAME_LETTERS_MAX: usize = 256;

/// Reads all documents.
pub(super) fn read(guard: &mut Guard<'_>, spans: &mut Spans) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_reader(guard);
    // Documents follow one another, with or without lines between them.
    loop {
        match deserializer.end() {
            Ok(()) => return Ok(()),
            Err(error) if error.is_io() || error.is_eof() => return Err(error),
            Err(_) => {}
        }
        Object(&mut Export { spans: &mut *spans }).deserialize(&mut deserializer)?;
    }
}

/// What is said of a limit that [`Spans`] has, by the message that went through the parser.
pub(super) fn refusal(message: &str) -> Option<Refusal> {
    Refused::ALL.iter().find(|refused| message.contains(refused.found())).map(|refused| refused.refusal())
}

// === the documents, from outside in ===

struct Export<'s> {
    spans: &'s mut Spans,
}

impl Fields for Export<'_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "resourceSpans" => {
                let mut resource = Resource { spans: self.spans, attributes: Picked::default() };
                map.next_value_seed(Each(&mut resource))
            }
            _ => skip(map),
        }
    }
}

/// One process, and what it sent. What it is called may stand behind its spans.
struct Resource<'s> {
    spans: &'s mut Spans,
    attributes: Picked,
}

impl Fields for Resource<'_> {
    fn begin(&mut self) {
        self.attributes = Picked::default();
        self.spans.begin_resource();
    }

    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "resource" => map.next_value_seed(Object(&mut Attributes(&mut self.attributes))),
            "scopeSpans" => map.next_value_seed(Each(&mut Scope { spans: self.spans })),
            _ => skip(map),
        }
    }

    fn end(&mut self) -> Result<(), Refused> {
        self.spans.end_resource(&self.attributes)
    }
}

struct Scope<'s> {
    spans: &'s mut Spans,
}

impl Fields for Scope<'_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "spans" => map.next_value_seed(Each(&mut One { spans: self.spans, raw: Raw::default() })),
            _ => skip(map),
        }
    }
}

struct One<'s> {
    spans: &'s mut Spans,
    raw: Raw,
}

/// A span as it is read.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) trace: u128,
    pub(super) id: u64,
    pub(super) parent: u64,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Nanoseconds since 1970.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) error: bool,
    pub(super) attributes: Picked,
}

impl Fields for One<'_> {
    fn begin(&mut self) {
        self.raw = Raw::default();
    }

    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let raw = &mut self.raw;
        match name {
            "traceId" => raw.trace = map.next_value_seed(Scalar)?.id(),
            "spanId" => raw.id = map.next_value_seed(Scalar)?.id() as u64,
            "parentSpanId" => raw.parent = map.next_value_seed(Scalar)?.id() as u64,
            "name" => raw.name = map.next_value_seed(Scalar)?.text(),
            "kind" => raw.kind = Kind::of(&map.next_value_seed(Scalar)?.text()),
            "startTimeUnixNano" => raw.start = map.next_value_seed(Scalar)?.number(),
            "endTimeUnixNano" => raw.end = map.next_value_seed(Scalar)?.number(),
            "status" => map.next_value_seed(Object(&mut Status(&mut raw.error)))?,
            "attributes" => map.next_value_seed(Each(&mut Attribute::into(&mut raw.attributes)))?,
            _ => skip(map)?,
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Refused> {
        self.spans.add(&self.raw)
    }
}

struct Status<'s>(&'s mut bool);

impl Fields for Status<'_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name != "code" {
            return skip(map);
        }
        let code = map.next_value_seed(Scalar)?.text();
        *self.0 = code == "2" || code == "STATUS_CODE_ERROR";
        Ok(())
    }
}

// === attributes ===

/// The attributes that are looked at.
#[derive(Debug, Default)]
pub(super) struct Picked([Option<Box<str>>; PICKED.len()]);

impl Picked {
    /// The first of `names` that is there.
    pub(super) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            let index = PICKED.iter().position(|picked| picked == name)?;
            self.0[index].as_deref().filter(|text| !text.is_empty())
        })
    }
}

struct Attributes<'s>(&'s mut Picked);

impl Fields for Attributes<'_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "attributes" => map.next_value_seed(Each(&mut Attribute::into(self.0))),
            _ => skip(map),
        }
    }
}

/// `{"key": .., "value": {"stringValue": ..}}`, its two fields in either order.
struct Attribute<'s> {
    into: &'s mut Picked,
    key: Option<usize>,
    value: Option<String>,
}

impl<'s> Attribute<'s> {
    fn into(into: &'s mut Picked) -> Self {
        Self { into, key: None, value: None }
    }
}

impl Fields for Attribute<'_> {
    fn begin(&mut self) {
        (self.key, self.value) = (None, None);
    }

    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "key" => {
                let key = map.next_value_seed(Scalar)?.text();
                self.key = PICKED.iter().position(|picked| *picked == key);
                Ok(())
            }
            "value" => map.next_value_seed(Object(&mut AnyValue(&mut self.value))),
            _ => skip(map),
        }
    }

    fn end(&mut self) -> Result<(), Refused> {
        if let (Some(key), Some(value)) = (self.key, self.value.take()) {
            self.into.0[key] = Some(value.into());
        }
        Ok(())
    }
}

struct AnyValue<'s>(&'s mut Option<String>);

impl Fields for AnyValue<'_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "stringValue" | "intValue" => *self.0 = Some(map.next_value_seed(Scalar)?.text()),
            _ => skip(map)?,
        }
        Ok(())
    }
}

// === how objects and lists are read ===

/// Who takes the fields of an object.
trait Fields {
    fn begin(&mut self) {}

    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;

    fn end(&mut self) -> Result<(), Refused> {
        Ok(())
    }
}

fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// An object, or `null`.
struct Object<'s, T>(&'s mut T);

impl<'de, T: Fields> DeserializeSeed<'de> for Object<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Fields> Visitor<'de> for Object<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.begin();
        while let Some(name) = map.next_key_seed(FieldName)? {
            self.0.field(name, &mut map)?;
        }
        self.0.end().map_err(|refused| A::Error::custom(refused.found()))
    }
}

/// A list of objects, or `null`.
struct Each<'s, T>(&'s mut T);

impl<'de, T: Fields> DeserializeSeed<'de> for Each<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Fields> Visitor<'de> for Each<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Object(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

/// The names of fields that are read, and how protobuf spells them: readers of its JSON take both.
const FIELDS: [(&str, &str); 20] = [
    ("resourceSpans", "resource_spans"),
    ("resource", "resource"),
    ("scopeSpans", "scope_spans"),
    ("scopeSpans", "instrumentationLibrarySpans"),
    ("spans", "spans"),
    ("traceId", "trace_id"),
    ("spanId", "span_id"),
    ("parentSpanId", "parent_span_id"),
    ("name", "name"),
    ("kind", "kind"),
    ("startTimeUnixNano", "start_time_unix_nano"),
    ("endTimeUnixNano", "end_time_unix_nano"),
    ("status", "status"),
    ("code", "code"),
    ("attributes", "attributes"),
    ("key", "key"),
    ("value", "value"),
    ("stringValue", "string_value"),
    ("intValue", "int_value"),
    ("links", "links"),
];

/// The name of a field, without keeping it: empty where nobody reads it.
struct FieldName;

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static str, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<&'static str, E> {
        let known = FIELDS.iter().find(|(name, other)| *name == text || *other == text);
        Ok(known.map_or("", |(name, _)| name))
    }
}

// === scalars ===

/// A text or a number, whatever it should have been.
struct Scalar;

enum Given {
    Text(String),
    Number(u64),
    Nothing,
}

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Given;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Given, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Scalar {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Given, E> {
        let end = text.char_indices().nth(NAME_LETTERS_MAX).map_or(text.len(), |(at, _)| at);
        Ok(Given::Text(text[..end].to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Given, E> {
        Ok(Given::Number(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Given, E> {
        Ok(u64::try_from(number).map_or(Given::Nothing, Given::Number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Given, E> {
        // Numbers beyond 2^53 come so from writers that know no other; too small and too large end at the ends.
        Ok(Given::Number(number as u64))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Given, E> {
        Ok(Given::Nothing)
    }

    fn visit_unit<E: Error>(self) -> Result<Given, E> {
        Ok(Given::Nothing)
    }
}

impl Given {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
            Self::Nothing => String::new(),
        }
    }

    fn number(self) -> u64 {
        match self {
            Self::Text(text) => text.parse().unwrap_or(0),
            Self::Number(number) => number,
            Self::Nothing => 0,
        }
    }

    /// An id: hexadecimal as OTLP has it, or whatever else tells spans apart (base64 in older exports). 0 is none.
    fn id(self) -> u128 {
        let text = self.text();
        match u128::from_str_radix(&text, 16) {
            Ok(id) => id,
            // FNV-1a with 128 bits (Fowler, Noll, Vo).
            Err(_) => text.bytes().fold(if text.is_empty() { 0 } else { FNV_BASIS }, |id, byte| {
                (id ^ u128::from(byte)).wrapping_mul(FNV_PRIME)
            }),
        }
    }
}

const FNV_BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
