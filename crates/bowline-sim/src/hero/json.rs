//! JSON, as much of it as is written here: fields in the order in which they are given, two spaces a level.

use crate::stats::{Estimate, Value};
use std::fmt::{self, Write};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Count(u64),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(items.into_iter().collect())
    }

    pub(crate) fn maybe(number: Option<f64>) -> Self {
        number.map_or(Self::Null, Self::Number)
    }

    /// What one run gave: a number, `{"atLeast": number}`, `"never"`, or null.
    pub(crate) fn value(value: Value) -> Self {
        match value {
            Value::Known(number) => Self::Number(number),
            Value::AtLeast(number) => Self::Object(vec![("atLeast", Self::Number(number))]),
            Value::Never => Self::text("never"),
            Value::Unknown => Self::Null,
        }
    }

    /// What several runs gave, as the fields of an object.
    pub(crate) fn estimate(estimate: &Estimate) -> Vec<(&'static str, Self)> {
        let edge = |edge: f64| if estimate.runs == 0 { Self::Null } else { Self::Number(edge) };
        vec![
            ("mean", Self::maybe(estimate.mean)),
            ("plusMinus95", Self::maybe(estimate.half)),
            ("low", edge(estimate.low)),
            ("high", edge(estimate.high)),
            ("runs", Self::Count(estimate.runs as u64)),
            ("atLeast", Self::Count(estimate.at_least as u64)),
            ("never", Self::Count(estimate.never as u64)),
            ("unknown", Self::Count(estimate.unknown as u64)),
        ]
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(is) => write!(f, "{is}"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Number(number) if number.is_finite() => write!(f, "{number}"),
            Self::Number(_) => f.write_str("null"),
            Self::Text(text) => quoted(f, text),
            Self::List(items) => {
                // Numbers stand in one line.
                let flat = items.iter().all(|item| !matches!(item, Self::List(_) | Self::Object(_)));
                let depth = if flat { None } else { Some(depth) };
                between(f, ['[', ']'], depth, items, |f, item, depth| item.write(f, depth))
            }
            Self::Object(fields) => between(f, ['{', '}'], Some(depth), fields, |f, (name, value), depth| {
                quoted(f, name)?;
                f.write_str(": ")?;
                value.write(f, depth)
            }),
        }
    }
}

/// Items between brackets: in one line, or each in a line of its own below `depth`.
fn between<T>(
    f: &mut fmt::Formatter<'_>,
    brackets: [char; 2],
    depth: Option<usize>,
    items: &[T],
    mut write: impl FnMut(&mut fmt::Formatter<'_>, &T, usize) -> fmt::Result,
) -> fmt::Result {
    f.write_char(brackets[0])?;
    for (index, item) in items.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { "," })?;
        match depth {
            Some(depth) => write!(f, "\n{:1$}", "", 2 * (depth + 1))?,
            None if 0 < index => f.write_char(' ')?,
            None => (),
        }
        write(f, item, depth.map_or(0, |depth| depth + 1))?;
    }
    if let Some(depth) = depth.filter(|_| !items.is_empty()) {
        write!(f, "\n{:1$}", "", 2 * depth)?;
    }
    f.write_char(brackets[1])
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            c if (c as u32) < 0x20 => write!(f, "\\u{:04x}", c as u32)?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// The whole text, with a line's end.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)?;
        f.write_char('\n')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json() {
        let json = Json::Object(vec![
            ("text", Json::text("a \"b\" \\ \n \u{1} ü")),
            ("values", Json::list([Value::Known(0.5), Value::Never, Value::Unknown].map(Json::value))),
            ("list", Json::list([Json::value(Value::AtLeast(3.0)), Json::Bool(true)])),
            ("none", Json::List(Vec::new())),
            ("nan", Json::Number(f64::NAN)),
        ]);
        let text = r#"{
  "text": "a \"b\" \\ \n \u0001 ü",
  "values": [0.5, "never", null],
  "list": [
    {
      "atLeast": 3
    },
    true
  ],
  "none": [],
  "nan": null
}
"#;
        assert_eq!(json.to_string(), text);
    }
}
