//! A change of one place in a design's texts.
//!
//! Why text and not a tree: what a person wrote stays as it is, comments, quotes and all; only the place
//! changes. Where the text does not look as expected, nothing is changed at all.

use bowline_design::Place;
use std::ops::Range;

/// A change of one place in a design's texts.
///
/// ```
/// use bowline_check::Edit;
///
/// let place = bowline_design::Place {
///     file: "routes.yaml".into(),
///     line: 2,
///     column: 18,
///     end: (2, 20),
///     resource: "VirtualService bookinfo/ratings".into(),
///     path: "spec.http[0].retries.perTryTimeout".into(),
/// };
/// let edit = Edit::Replace { place, text: "680ms".to_owned() };
/// let text = "retries:\n  perTryTimeout: 2s # patient\n";
/// assert_eq!(edit.apply(text).unwrap(), "retries:\n  perTryTimeout: 680ms # patient\n");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// What stands at the place becomes `text`. Quotes stay, and come where the new text needs them.
    Replace {
        /// The value to replace.
        place: Place,
        /// What to write there.
        text: String,
    },
    /// `field: value` joins the mapping at the place.
    Add {
        /// The mapping: its opening brace, its first key, or the key that it stands under.
        place: Place,
        /// What to write there.
        field: String,
    },
    /// The key in front of the value at the place is renamed.
    Rename {
        /// The value behind the key.
        place: Place,
        /// What the key is called.
        from: &'static str,
        /// What it becomes.
        to: &'static str,
    },
}

impl Edit {
    /// The place that is edited.
    #[must_use]
    pub const fn place(&self) -> &Place {
        match self {
            Self::Replace { place, .. } | Self::Add { place, .. } | Self::Rename { place, .. } => place,
        }
    }

    /// The text with this edit made, or `None` where the text does not look as the place says.
    #[must_use]
    pub fn apply(&self, text: &str) -> Option<String> {
        let Change { range, text: new } = self.change(text)?;
        Some(format!("{}{new}{}", &text[..range.start], &text[range.end..]))
    }

    /// The bytes of a text that this edit replaces, and by what; `None` where the text does not look as the place
    /// says.
    #[must_use]
    pub fn change(&self, text: &str) -> Option<Change> {
        let place = self.place();
        let start = offset(text, (place.line, place.column))?;
        let end = offset(text, place.end).filter(|end| start < *end)?;
        let (before, from) = text.split_at(start);
        match self {
            Self::Replace { text: new, .. } => {
                let new = replaced(&text[start..end], new, place)?;
                Some(Change { range: start..end, text: new })
            }
            Self::Add { field, .. } => {
                let (skipped, new) = added(from, field, place)?;
                Some(Change { range: start + skipped..start + skipped, text: new })
            }
            Self::Rename { from: key, to, .. } => {
                let head = before.trim_end_matches([' ', '\t']).strip_suffix(':')?;
                let bare = head.trim_end_matches(['"', '\'', ' ']).strip_suffix(key)?;
                Some(Change { range: bare.len()..bare.len() + key.len(), text: (*to).to_owned() })
            }
        }
    }
}

/// What an edit does to a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The bytes that go; an empty range where something is only put in.
    pub range: Range<usize>,
    /// What comes in their place.
    pub text: String,
}

/// What is written for `old`. `None` where the place is the key above a block: a block has no text of
/// its own to replace.
fn replaced(old: &str, new: &str, place: &Place) -> Option<String> {
    if is_key(old, place) {
        return None;
    }
    let quote = old.chars().next().filter(|first| matches!(first, '"' | '\''));
    // A comma ends a value inside braces.
    Some(match quote.or(new.contains(',').then_some('"')) {
        Some(quote) => format!("{quote}{new}{quote}"),
        None => new.to_owned(),
    })
}

/// What is put in for a new field, and how far behind the place.
fn added(from: &str, field: &str, place: &Place) -> Option<(usize, String)> {
    if let Some(rest) = from.strip_prefix('{') {
        // In JSON, a key has quotes.
        let field = if rest.trim_start().starts_with('"') { in_json(field)? } else { field.to_owned() };
        let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
        let space = if rest.starts_with(char::is_whitespace) { "" } else { " " };
        return Some((1, format!(" {field}{comma}{space}")));
    }
    if is_key(from.split(':').next()?, place) {
        return added_below(from, field);
    }
    let indent = " ".repeat(place.column as usize - 1);
    Some((0, format!("{field}\n{indent}")))
}

/// A field as the first of the block below the key that `from` begins with.
fn added_below(from: &str, field: &str) -> Option<(usize, String)> {
    let mut at = from.find('\n')? + 1;
    let says_something = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let skipped = from[at..].split_inclusive('\n').take_while(|line| !says_something(line));
    at += skipped.map(str::len).sum::<usize>();
    let indent = &from[at..at + from[at..].find(|c| c != ' ')?];
    Some((at, format!("{indent}{field}\n")))
}

/// Whether the text at a place is the last name of its path: a block's place is the key above it.
fn is_key(text: &str, place: &Place) -> bool {
    let own = place.path.rsplit('.').next().unwrap_or_default();
    text.trim().trim_matches(['"', '\'']) == own
}

/// `timeout: 9s` as `"timeout": "9s"`; numbers, `true` and `false` stay bare, and so does the one field of a mapping in braces.
fn in_json(field: &str) -> Option<String> {
    let (key, value) = field.split_once(": ")?;
    if let Some(inner) = value.strip_prefix("{ ").and_then(|value| value.strip_suffix(" }")) {
        return Some(format!("\"{key}\": {{ {} }}", in_json(inner)?));
    }
    let bare = matches!(value, "true" | "false") || value.bytes().all(|byte| byte.is_ascii_digit());
    Some(if bare { format!("\"{key}\": {value}") } else { format!("\"{key}\": \"{value}\"") })
}

/// The byte at which a line and column (from one, in characters) begin.
fn offset(text: &str, (line, column): (u32, u32)) -> Option<usize> {
    let (before, at) = (line.checked_sub(1)?, column.checked_sub(1)?);
    let start: usize = text.split_inclusive('\n').take(before as usize).map(str::len).sum();
    let rest = text.get(start..)?;
    let within = rest.char_indices().map(|(at, _)| at).chain([rest.len()]).nth(at as usize)?;
    Some(start + within)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An edit's place is where `at` first stands in the text.
    fn place(text: &str, at: &str, path: &str) -> Place {
        let start = text.find(at).unwrap();
        let line = text[..start].matches('\n').count() as u32 + 1;
        let column = text[..start].rsplit('\n').next().unwrap().chars().count() as u32 + 1;
        let end = (line, column + at.chars().count() as u32);
        Place { file: "a".into(), line, column, end, resource: "".into(), path: path.into() }
    }

    #[track_caller]
    fn replace(text: &str, at: &str, new: &str, expected: Option<&str>) {
        let edit = Edit::Replace { place: place(text, at, "spec.retry.perTry"), text: new.to_owned() };
        assert_eq!(edit.apply(text).as_deref(), expected);
    }

    #[track_caller]
    fn add(text: &str, at: &str, path: &str, expected: &str) {
        let edit = Edit::Add { place: place(text, at, path), field: "timeout: 9s".to_owned() };
        assert_eq!(edit.apply(text).as_deref(), Some(expected));
    }

    #[test]
    fn a_value_is_replaced_where_it_stands() {
        replace("a: \u{e9}\nper:   2s # why\n", "2s", "680ms", Some("a: \u{e9}\nper:   680ms # why\n"));
    }

    #[test]
    fn quotes_stay_and_come_where_a_comma_needs_them() {
        replace("{ \"per\": \"2s\" }", "\"2s\"", "680ms", Some("{ \"per\": \"680ms\" }"));
        replace("{ on: 5xx }", "5xx", "a,b", Some("{ on: \"a,b\" }"));
    }

    #[test]
    fn the_key_above_a_block_is_not_replaced() {
        replace("perTry: >-\n  2s\n", "perTry", "680ms", None);
    }

    #[test]
    fn a_field_joins_a_block_a_flow_mapping_or_an_object() {
        add("- route: x\n", "route", "spec.http[0]", "- timeout: 9s\n  route: x\n");
        add("- { route: x }\n", "{ route: x }", "spec.http[0]", "- { timeout: 9s, route: x }\n");
        add("- {route: x}\n", "{route: x}", "spec.http[0]", "- { timeout: 9s, route: x}\n");
        add("[{\"route\":1}]", "{\"route\":1}", "spec.http[0]", "[{ \"timeout\": \"9s\", \"route\":1}]");
    }

    #[test]
    fn in_json_a_mapping_of_one_field_has_quotes_inside() {
        assert_eq!(in_json("deadLetter: { after: 16 }").unwrap(), "\"deadLetter\": { \"after\": 16 }");
        assert_eq!(in_json("forwards: true").unwrap(), "\"forwards\": true");
    }

    #[test]
    fn a_field_joins_the_block_below_its_key() {
        add(
            "spec:\n  breaker: # why\n\n    # so\n    window: 1s\n",
            "breaker",
            "spec.breaker",
            "spec:\n  breaker: # why\n\n    # so\n    timeout: 9s\n    window: 1s\n",
        );
    }

    #[test]
    fn a_key_is_renamed_in_front_of_its_value() {
        let rename = |text: &str| {
            Edit::Rename { place: place(text, "a.b", "x"), from: "call", to: "publish" }.apply(text)
        };
        assert_eq!(rename("- { call: a.b }").unwrap(), "- { publish: a.b }");
        assert_eq!(rename("- { \"call\" : a.b }").unwrap(), "- { \"publish\" : a.b }");
        assert_eq!(rename("- call: # call\n    a.b"), None);
    }
}
