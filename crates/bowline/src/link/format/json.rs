//! Reading and writing JSON objects by hand.
//!
//! A derive would cost every program that uses a guard more build time than these hundred lines, and
//! would tie the wire's names to the code's.

use super::VERSION;
use serde_json::{Map, Number, Value};
use std::fmt;
use std::time::Duration;

/// A message that does not follow the format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    path: String,
    expected: &'static str,
}

impl FormatError {
    pub(super) fn new(path: impl Into<String>, expected: &'static str) -> Self {
        Self { path: path.into(), expected }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: expected {}", self.path, self.expected)
    }
}

impl std::error::Error for FormatError {}

/// A whole message of our version.
pub(super) fn message(bytes: &[u8]) -> Result<Value, FormatError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|_| FormatError::new(".", "JSON"))?;
    match Fields::of(&value, "")?.u64("version")? {
        Some(VERSION) => Ok(value),
        _ => Err(FormatError::new("version", "1, the only version known here")),
    }
}

/// The fields of one object, with the way to it for error messages.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value, path: &str) -> Result<Self, FormatError> {
        match value {
            Value::Object(map) => Ok(Self { map, path: path.to_owned() }),
            _ => Err(FormatError::new(path, "an object")),
        }
    }

    /// The way to the field `name`.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// `field` must be there.
    pub(super) fn need<T>(&self, name: &str, field: Option<T>) -> Result<T, FormatError> {
        field.ok_or_else(|| FormatError::new(self.path(name), "a value"))
    }

    /// A field that is not there, or null, says nothing.
    fn get<T>(
        &self,
        name: &str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, FormatError> {
        match self.map.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| FormatError::new(self.path(name), expected)),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, FormatError> {
        self.get(name, "a text", Value::as_str)
    }

    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, FormatError> {
        self.get(name, "true or false", Value::as_bool)
    }

    pub(super) fn u64(&self, name: &str) -> Result<Option<u64>, FormatError> {
        self.get(name, "a whole number", Value::as_u64)
    }

    pub(super) fn u32(&self, name: &str) -> Result<Option<u32>, FormatError> {
        self.get(name, "a whole number below 2^32", |value| value.as_u64()?.try_into().ok())
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, FormatError> {
        self.get(name, "a number", Value::as_f64)
    }

    /// A span in milliseconds, down to the nanosecond behind the point.
    pub(super) fn ms(&self, name: &str) -> Result<Option<Duration>, FormatError> {
        self.get(name, "milliseconds, not negative", |value| match value.as_u64() {
            Some(millis) => Some(Duration::from_millis(millis)),
            None => {
                let nanos = (value.as_f64()? * 1e6).round();
                (0.0..1.8e19).contains(&nanos).then(|| Duration::from_nanos(nanos as u64))
            }
        })
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, FormatError> {
        match self.map.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => Self::of(value, &self.path(name)).map(Some),
        }
    }

    /// Each element of a list of objects; a list that is not there is empty.
    pub(super) fn list<T>(
        &self,
        name: &str,
        read: impl Fn(&Self) -> Result<T, FormatError>,
    ) -> Result<Vec<T>, FormatError> {
        let list = self.get(name, "a list", Value::as_array)?;
        let elements = list.map(Vec::as_slice).unwrap_or_default().iter().enumerate();
        elements
            .map(|(index, value)| read(&Self::of(value, &self.path(&format!("{name}[{index}]")))?))
            .collect()
    }

    /// The names and values of an object of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<(String, String)>, FormatError> {
        let Some(object) = self.object(name)? else { return Ok(Vec::new()) };
        let text = |key: &String| Ok((key.clone(), object.need(key, object.text(key)?)?.to_owned()));
        object.map.keys().map(text).collect()
    }

    /// The names and values of an object of whole numbers.
    pub(super) fn counts(&self, name: &str) -> Result<Vec<(String, u64)>, FormatError> {
        let Some(object) = self.object(name)? else { return Ok(Vec::new()) };
        let count = |key: &String| Ok((key.clone(), object.need(key, object.u64(key)?)?));
        object.map.keys().map(count).collect()
    }
}

/// An object being written. What is `None` is left out.
pub(super) struct Object(Map<String, Value>);

impl Object {
    pub(super) fn new() -> Self {
        Self(Map::new())
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn with_some<V: Into<Value>>(self, name: &str, value: Option<V>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// An empty list is left out too.
    pub(super) fn with_list(self, name: &str, list: Vec<Value>) -> Self {
        if list.is_empty() { self } else { self.with(name, list) }
    }

    pub(super) fn with_texts(self, name: &str, texts: &[(String, String)]) -> Self {
        let object = texts.iter().fold(Self::new(), |object, (name, text)| object.with(name, text.as_str()));
        if object.0.is_empty() { self } else { self.with(name, object) }
    }

    pub(super) fn with_counts(self, name: &str, counts: &[(String, u64)]) -> Self {
        let object = counts.iter().fold(Self::new(), |object, (name, count)| object.with(name, *count));
        if object.0.is_empty() { self } else { self.with(name, object) }
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

/// A span in milliseconds; a fraction only where there is one.
pub(super) fn ms(span: Duration) -> Value {
    let nanos = span.as_nanos();
    match u64::try_from(nanos / 1_000_000) {
        Ok(millis) if nanos.is_multiple_of(1_000_000) => millis.into(),
        _ => number(nanos as f64 / 1e6),
    }
}

/// A number, whole where it is whole.
pub(super) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && (0.0..9e15).contains(&value) {
        return (value as u64).into();
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_keep_their_nanoseconds() {
        for nanos in [0, 1, 999, 1_500_000, 120_000_000, 300_000_000_001, 86_400_000_000_000] {
            let span = Duration::from_nanos(nanos);
            let object: Value = Object::new().with("x_ms", ms(span)).into();
            assert_eq!(Fields::of(&object, "").unwrap().ms("x_ms"), Ok(Some(span)));
        }
    }

    #[test]
    fn an_error_names_the_way_to_the_field() {
        let value = serde_json::json!({ "retry": { "tries": "three" } });
        let fields = Fields::of(&value, "guards[0]").unwrap();
        let error = fields.object("retry").unwrap().unwrap().u32("tries").unwrap_err();
        assert_eq!(error.to_string(), "`guards[0].retry.tries`: expected a whole number below 2^32");
        let negative = serde_json::json!({ "x_ms": -1 });
        assert!(Fields::of(&negative, "").unwrap().ms("x_ms").is_err());
    }

    #[test]
    fn a_higher_version_is_refused() {
        assert!(message(br#"{"version":1}"#).is_ok());
        assert!(message(br#"{"version":2}"#).is_err());
        assert!(message(br"{}").is_err());
        assert!(message(b"no").is_err());
    }
}
