//! What a type looks like in YAML, as data: for suggestions, and for the JSON Schema.

use std::borrow::Cow;

/// What a value may be.
pub(crate) enum Shape {
    /// Whatever is there; nobody looks at it.
    Ignored,
    /// Text.
    Text,
    /// A duration such as `250ms`.
    Duration,
    /// Text of a form, as a regular expression in ECMA's manner.
    Form(&'static str),
    /// A whole number up to this.
    Whole(u64),
    /// A number.
    Number,
    /// `true` or `false`.
    Truth,
    /// One of these words.
    Words(&'static [&'static str]),
    /// One of these words, `true` or `false`.
    WordsOrTruth(&'static [&'static str]),
    /// A list of these.
    List(Box<Shape>),
    /// Any names, each with one of these.
    Map(Box<Shape>),
    /// A mapping with these fields.
    Record(Record),
    /// A mapping with exactly one of these fields.
    Either(Record),
    /// A mapping with whatever its own kind allows.
    Mapping,
    /// One of these.
    AnyOf(Vec<Shape>),
}

/// A mapping. Its fields are a function, so that a mapping may hold itself.
pub(crate) struct Record {
    pub(crate) name: &'static str,
    pub(crate) about: &'static [&'static str],
    pub(crate) fields: fn() -> Vec<Field>,
}

/// A field of a mapping.
pub(crate) struct Field {
    pub(crate) name: Cow<'static, str>,
    pub(crate) about: &'static [&'static str],
    pub(crate) required: bool,
    pub(crate) shape: fn() -> Shape,
}

impl Shape {
    /// The mapping in it, through lists and maps, and how the path goes on through them.
    pub(crate) fn record(&self) -> Option<(&Record, &'static str)> {
        match self {
            Self::Record(record) | Self::Either(record) => Some((record, "")),
            Self::List(item) => item.record().map(|(record, _)| (record, "[]")),
            Self::Map(value) => value.record().map(|(record, _)| (record, ".*")),
            Self::AnyOf(shapes) => shapes.iter().find_map(Self::record),
            _ => None,
        }
    }
}

/// The camel case of a Rust name: what the field is called in YAML.
pub(crate) fn camel(name: &'static str) -> Cow<'static, str> {
    if !name.contains('_') {
        return Cow::Borrowed(name);
    }
    let mut camel = String::with_capacity(name.len());
    for (index, word) in name.split('_').enumerate() {
        let mut letters = word.chars();
        match letters.next() {
            Some(first) if index > 0 => camel.extend(first.to_uppercase()),
            Some(first) => camel.push(first),
            None => {}
        }
        camel.push_str(letters.as_str());
    }
    Cow::Owned(camel)
}
