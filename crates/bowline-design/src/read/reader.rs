//! From the tree to typed values, past every mistake: a reader that stopped at the first would make
//! people mend their design one run at a time.

use crate::format::{BadDuration, parse_duration};
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::shape::{Field, Shape};
use crate::read::suggest;
use crate::read::tree::{Extent, Key, Node, Scalar, Value};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// A type that can be read.
pub(crate) trait Read: Sized {
    /// Whether a mapping has to have a field of this type.
    const REQUIRED: bool = true;

    /// Reads it. `None` when there is nothing to go on with; the mistake is noted.
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self>;

    /// Reads it where it may be absent.
    fn read_optional(node: &Node, reader: &mut Reader<'_>) -> Option<Option<Self>> {
        if node.is_null() { Some(None) } else { Self::read(node, reader).map(Some) }
    }

    /// What stands for it when it is absent, or could not be read and the rest should go on.
    fn absent() -> Option<Self> {
        None
    }

    /// What it looks like.
    fn shape() -> Shape;
}

/// Where the reader is, and what it has found wrong so far.
pub(crate) struct Reader<'r> {
    /// The names of all texts, by the numbers in extents.
    files: Arc<[Arc<str>]>,
    resource: Arc<str>,
    path: String,
    /// What is read: where a misplaced field is looked for.
    root: Option<Root>,
    /// Whether the mapping read last was well: only then may its fields be compared.
    sound: bool,
    mistakes: &'r mut Mistakes,
}

/// What is read, and under which field of its document.
#[derive(Clone, Copy)]
pub(crate) struct Root {
    pub(crate) shape: fn() -> Shape,
    pub(crate) path: &'static str,
}

impl<'r> Reader<'r> {
    pub(crate) fn new(files: Arc<[Arc<str>]>, mistakes: &'r mut Mistakes) -> Self {
        Self { files, resource: "".into(), path: String::new(), root: None, sound: true, mistakes }
    }

    /// The same reader inside a resource.
    pub(crate) fn inside(&mut self, resource: Arc<str>, root: Root) -> Reader<'_> {
        let (files, root) = (Arc::clone(&self.files), Some(root));
        Reader { files, resource, path: String::new(), root, sound: true, mistakes: self.mistakes }
    }

    /// Whether the mapping read last was well.
    pub(crate) fn is_sound(&self) -> bool {
        self.sound
    }

    pub(crate) fn mistakes(&mut self) -> &mut Mistakes {
        self.mistakes
    }

    /// The place of `extent` at the path read now.
    pub(crate) fn place(&self, extent: Extent) -> Place {
        Place {
            file: self.files.get(extent.text as usize).cloned().unwrap_or_default(),
            line: extent.start.0,
            column: extent.start.1,
            end: extent.end,
            resource: Arc::clone(&self.resource),
            path: self.path.as_str().into(),
        }
    }

    /// Notes that `node` is not what was expected.
    pub(crate) fn wrong(&mut self, node: &Node, expected: &str) {
        let place = self.place(node.extent);
        let mistake = self.mistakes.add("wrong-type", &place, describe(node), expected);
        let Value::Scalar(scalar) = &node.value else { return };
        let bare = Scalar { text: scalar.text.clone(), plain: true };
        let is_number = bare.is_number() && expected.contains("number");
        let is_truth = bare.truth().is_some() && expected.starts_with("true");
        if expected.starts_with("text") && (scalar.is_number() || scalar.truth().is_some()) {
            mistake.hint(format!("write it in quotes: \"{}\"", scalar.text));
        } else if !scalar.plain && (is_number || is_truth) {
            mistake.hint(format!("in quotes it is text; take them away: {}", shorten(&scalar.text)));
        }
    }

    /// Reads a field's value with the path one step further.
    pub(crate) fn field<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(&shorten(name));
        let value = read(self);
        self.path.truncate(length);
        value
    }

    /// Reads a list's item with the path one step further.
    pub(crate) fn item<T>(&mut self, index: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        let _ = write!(self.path, "[{index}]");
        let value = read(self);
        self.path.truncate(length);
        value
    }
}

/// What a node is, for a mistake's first half.
pub(crate) fn describe(node: &Node) -> String {
    match &node.value {
        Value::List(items) if items.is_empty() => "an empty list".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(entries) if entries.is_empty() => "an empty mapping".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
        Value::Scalar(scalar) if scalar.is_null() => "nothing".to_owned(),
        Value::Scalar(scalar) if scalar.truth().is_some() => format!("the truth value {}", scalar.text),
        Value::Scalar(scalar) if scalar.is_number() => format!("the number {}", shorten(&scalar.text)),
        Value::Scalar(scalar) => format!("`{}`", shorten(&scalar.text)),
    }
}

/// The beginning of a text that may be long.
pub(crate) fn shorten(text: &str) -> String {
    // What fits beside a message on one line.
    const LETTERS_MAX: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    if line.len() == text.len() && line.chars().count() <= LETTERS_MAX {
        return text.to_owned();
    }
    line.chars().take(LETTERS_MAX).chain("..".chars()).collect()
}

/// The fields of a mapping while they are taken, one after the other.
pub(crate) struct Fields<'n> {
    entries: &'n [(Key, Node)],
    taken: Vec<bool>,
    /// Where a missing field is missing.
    extent: Extent,
    /// Whether every field so far was well.
    sound: bool,
}

impl<'n> Fields<'n> {
    pub(crate) fn of(node: &'n Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => {
                find_twice(entries, reader);
                Some(Self { entries, taken: vec![false; entries.len()], extent: node.extent, sound: true })
            }
            Value::List(_) | Value::Scalar(_) => {
                reader.wrong(node, "a mapping");
                None
            }
        }
    }

    /// Reads the field `name`.
    pub(crate) fn take<T: Read>(&mut self, name: &str, reader: &mut Reader<'_>) -> Option<T> {
        let mut found = None;
        for (taken, (key, node)) in self.taken.iter_mut().zip(self.entries) {
            if &*key.name == name {
                *taken = true;
                found = found.or(Some(node));
            }
        }
        let read = match found {
            Some(node) if T::REQUIRED || !node.is_null() => {
                reader.field(name, |reader| T::read(node, reader))
            }
            _ if T::REQUIRED => {
                let place = reader.field(name, |reader| reader.place(self.extent));
                reader.mistakes.add(
                    "missing-field",
                    &place,
                    format!("no `{name}`"),
                    format!("`{name}`, which is required"),
                );
                None
            }
            _ => return T::absent(),
        };
        self.sound &= read.is_some();
        read.or_else(T::absent)
    }

    /// Names what is left over, and says whether the fields make sense together.
    pub(crate) fn finish(mut self, known: fn() -> Vec<Field>, reader: &mut Reader<'_>) -> bool {
        for (taken, (key, _)) in self.taken.iter().zip(self.entries) {
            // What is misspelt seems to be absent; to complain of that as well would be noise.
            if !taken && unknown_field(key, &known(), reader) {
                self.sound = false;
            }
        }
        reader.sound = self.sound;
        self.sound
    }
}

/// A field written twice: YAML readers differ in which one they take, so neither may stay.
pub(crate) fn find_twice(entries: &[(Key, Node)], reader: &mut Reader<'_>) {
    for (index, (key, _)) in entries.iter().enumerate() {
        // Quadratic, but only up to the first; a mapping of a hundred thousand names is sorted instead.
        if entries.len() > 64 {
            break;
        }
        if let Some((first, _)) = entries[..index].iter().find(|(first, _)| first.name == key.name) {
            twice(first, key, reader);
        }
    }
    if entries.len() > 64 {
        let mut first = BTreeMap::new();
        for (key, _) in entries {
            if let Some(first) = first.insert(&*key.name, key) {
                twice(first, key, reader);
            }
        }
    }
}

fn twice(first: &Key, second: &Key, reader: &mut Reader<'_>) {
    let (place, also) =
        reader.field(&second.name, |reader| (reader.place(second.extent), reader.place(first.extent)));
    let found = format!("`{}` a second time", shorten(&second.name));
    reader.mistakes.add("duplicate-key", &place, found, "each field once").also(also);
}

/// Whether it was meant to be one of the known.
pub(crate) fn unknown_field(key: &Key, known: &[Field], reader: &mut Reader<'_>) -> bool {
    let place = reader.field(&key.name, |reader| reader.place(key.extent));
    if reader.mistakes.is_full() {
        reader.mistakes.add("unknown-field", &place, "unknown field", "a known one");
        return false;
    }
    let names = known.iter().filter(|field| !matches!((field.shape)(), Shape::Ignored));
    let names: Vec<&str> = names.map(|field| &*field.name).collect();
    let meant = suggest::nearest(&key.name, names.iter().copied());
    let elsewhere = reader.root.and_then(|root| suggest::elsewhere(&key.name, root));
    let expected = match names.as_slice() {
        [] => "no field at all".to_owned(),
        [only] => format!("`{only}`"),
        [first @ .., last] => format!("one of `{}` or `{last}`", first.join("`, `")),
    };
    let found = format!("unknown field `{}`", shorten(&key.name));
    let mistake = reader.mistakes.add("unknown-field", &place, found, &expected);
    match (meant, elsewhere) {
        (Some(meant), _) => {
            mistake.hint(format!("did you mean `{meant}`?"));
        }
        (None, Some(path)) => {
            mistake.hint(format!("there is such a field at `{path}`"));
        }
        (None, None) => {}
    }
    meant.is_some()
}

/// Reads a choice of words.
pub(crate) fn word<T: Copy>(node: &Node, reader: &mut Reader<'_>, words: &[(&str, T)]) -> Option<T> {
    if let Value::Scalar(scalar) = &node.value
        && let Some((_, value)) = words.iter().find(|(word, _)| *word == scalar.text)
    {
        return Some(*value);
    }
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let place = reader.place(node.extent);
    let expected = format!("one of {}", names.join(", "));
    let mistake = reader.mistakes.add("bad-value", &place, describe(node), expected);
    if let Some(meant) = node.text().and_then(|text| suggest::nearest(text, names)) {
        mistake.hint(format!("did you mean {meant}?"));
    }
    None
}

/// Reads a mapping with exactly one field: which of `names`, and its value.
pub(crate) fn only_field<'n>(
    node: &'n Node,
    reader: &mut Reader<'_>,
    known: fn() -> Vec<Field>,
) -> Option<&'n (Key, Node)> {
    let Value::Map(entries) = &node.value else {
        reader.wrong(node, "a mapping with one field");
        return None;
    };
    let (mut fields, names) = (entries.iter(), known());
    let (first, second) = (fields.next(), fields.next());
    match (first, second) {
        (Some(entry), None) => {
            if names.iter().any(|field| field.name == *entry.0.name) {
                return Some(entry);
            }
            unknown_field(&entry.0, &names, reader);
        }
        (None, _) => {
            let names: Vec<&str> = names.iter().map(|field| &*field.name).collect();
            reader.wrong(node, &format!("one field: {}", names.join(", ")));
        }
        (Some(_), Some(_)) => {
            for (key, _) in entries.iter() {
                if names.iter().all(|field| field.name != *key.name) {
                    unknown_field(key, &names, reader);
                }
            }
            let place = reader.place(node.extent);
            let written: Vec<&str> = entries.iter().map(|(key, _)| &*key.name).collect();
            let found = format!("`{}` together", shorten(&written.join("` and `")));
            reader.mistakes.add("conflict", &place, found, "only one of them");
        }
    }
    None
}

// === what the fields are made of ===

impl<T: Read> Read for Spot<T> {
    const REQUIRED: bool = T::REQUIRED;

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let place = reader.place(node.extent);
        T::read(node, reader).map(|value| Self { value, place })
    }

    fn read_optional(node: &Node, reader: &mut Reader<'_>) -> Option<Option<Self>> {
        let place = reader.place(node.extent);
        T::read_optional(node, reader).map(|value| value.map(|value| Self { value, place }))
    }

    fn shape() -> Shape {
        T::shape()
    }
}

impl<T: Read> Read for Box<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        T::read(node, reader).map(Self::new)
    }

    fn shape() -> Shape {
        T::shape()
    }
}

impl<T: Read> Read for Option<T> {
    const REQUIRED: bool = false;

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        T::read_optional(node, reader)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn shape() -> Shape {
        T::shape()
    }
}

impl<T: Read> Read for Vec<T> {
    const REQUIRED: bool = false;

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::List(items) = &node.value else {
            reader.wrong(node, "a list");
            return None;
        };
        let mut sound = true;
        let mut list = Self::with_capacity(items.len());
        for (index, node) in items.iter().enumerate() {
            let item = reader.item(index, |reader| T::read(node, reader));
            sound &= item.is_some();
            list.extend(item);
        }
        sound.then_some(list)
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
}

impl<T: Read> Read for BTreeMap<String, T> {
    const REQUIRED: bool = false;

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            reader.wrong(node, "a mapping");
            return None;
        };
        find_twice(entries, reader);
        let mut sound = true;
        let mut map = Self::new();
        for (key, node) in entries.iter() {
            let value = reader.field(&key.name, |reader| {
                if node.is_null() {
                    reader.wrong(node, "a value");
                    return None;
                }
                T::read(node, reader)
            });
            sound &= value.is_some();
            map.extend(value.map(|value| (key.name.to_string(), value)));
        }
        sound.then_some(map)
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn shape() -> Shape {
        Shape::Map(Box::new(T::shape()))
    }
}

impl Read for String {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(s) if !s.is_null() && s.truth().is_none() && !s.is_number() => Some(s.text.clone()),
            _ => {
                reader.wrong(node, "text");
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

impl Read for bool {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let truth = scalar(node).and_then(Scalar::truth);
        if truth.is_none() {
            reader.wrong(node, "true or false");
        }
        truth
    }

    fn shape() -> Shape {
        Shape::Truth
    }
}

impl Read for f64 {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let number = scalar(node).filter(|s| s.is_number()).and_then(|s| s.text.parse().ok());
        let number = number.filter(|number: &Self| number.is_finite());
        if number.is_none() {
            reader.wrong(node, "a number");
        }
        number
    }

    fn shape() -> Shape {
        Shape::Number
    }
}

impl Read for Duration {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let expected = "a duration such as 250ms, 2s or 1m30s";
        let Some(scalar) = scalar(node).filter(|s| !s.is_null() && s.truth().is_none()) else {
            reader.wrong(node, expected);
            return None;
        };
        // `0` is a duration in Go's eyes, but Istio's schema wants text, so a bare number needs its unit.
        let why = match parse_duration(&scalar.text) {
            Ok(span) if !scalar.is_number() => return Some(span),
            Ok(_) => BadDuration::NoUnit,
            Err(why) => why,
        };
        let place = reader.place(node.extent);
        let mistake = reader.mistakes.add("bad-duration", &place, describe(node), expected);
        match why {
            BadDuration::NoUnit => {
                mistake.hint(format!("say the unit: {}s or {0}ms", shorten(&scalar.text)));
            }
            BadDuration::Negative => {
                mistake.hint("time does not run backwards".to_owned());
            }
            BadDuration::TooLong => {
                mistake.hint("the longest duration is 292 years".to_owned());
            }
            BadDuration::Malformed => {
                let closed = scalar.text.replace(' ', "");
                let spaced = closed != scalar.text && parse_duration(&closed).is_ok();
                let units = "the units are ns, us, ms, s, m and h".to_owned();
                mistake.hint(if spaced { format!("write it without spaces: {closed}") } else { units });
            }
        }
        None
    }

    fn shape() -> Shape {
        Shape::Duration
    }
}

/// Whole numbers, each within what its type holds.
macro_rules! whole {
    ($($type:ident: $expected:literal),+ $(,)?) => {$(
        impl Read for $type {
            fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
                let number = scalar(node).filter(|s| s.is_number()).and_then(|s| s.text.parse().ok());
                if number.is_none() {
                    reader.wrong(node, $expected);
                }
                number
            }

            fn shape() -> Shape {
                Shape::Whole(u64::from(Self::MAX))
            }
        }
    )+};
}

whole! {
    u16: "a whole number from 0 to 65535",
    u32: "a whole number, 0 or more, below 2^32",
    u64: "a whole number, 0 or more",
}

/// A field that is read past: only a server writes it.
#[derive(Clone, Debug)]
pub(crate) struct Ignored;

impl Read for Ignored {
    fn read(_: &Node, _: &mut Reader<'_>) -> Option<Self> {
        Some(Self)
    }

    fn shape() -> Shape {
        Shape::Ignored
    }
}

fn scalar(node: &Node) -> Option<&Scalar> {
    match &node.value {
        Value::Scalar(scalar) => Some(scalar),
        Value::List(_) | Value::Map(_) => None,
    }
}
