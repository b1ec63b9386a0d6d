//! What a rule found, and the smallest edit that mends it.

use bowline_design::Place;

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; the design lacks the numbers to say more.
    Info,
    /// It may go wrong, and the design does not hold the numbers that would rule it out.
    Warning,
    /// The design proves that it goes wrong.
    Error,
}

impl Severity {
    /// The word printed before the rule's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that a rule found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule, `T08`.
    pub rule: &'static str,
    /// How sure it is.
    pub severity: Severity,
    /// What is wrong, as one sentence without its full stop.
    pub what: String,
    /// Where.
    pub place: Place,
    /// What the caret under the place says.
    pub label: String,
    /// The way through the graph, from the entry to the place; empty where one route alone is at fault.
    pub path: Vec<String>,
    /// The formula with its numbers.
    pub formula: String,
    /// What to do, as a sentence.
    pub advice: String,
    /// The advice as an edit of the texts, where it can be made without asking.
    pub edit: Option<Edit>,
}

/// A change of one place in a design's texts.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// What stands at the place becomes `text`.
    Replace {
        /// The value to replace.
        place: Place,
        /// What to write there.
        text: String,
    },
    /// `field: value` joins the mapping that starts at the place.
    Add {
        /// The mapping's first key, or its opening brace.
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

    /// The text with this edit made, or `None` if the place is not in it.
    #[must_use]
    pub fn apply(&self, text: &str) -> Option<String> {
        let place = self.place();
        let start = offset(text, (place.line, place.column))?;
        let (before, from) = text.split_at(start);
        Some(match self {
            Self::Replace { text: new, .. } => {
                let end = offset(text, place.end)?;
                format!("{before}{new}{}", &text[end..])
            }
            Self::Add { field, .. } => match from.strip_prefix('{') {
                Some(rest) => format!("{before}{{ {field},{rest}"),
                None => {
                    let indent = " ".repeat(place.column as usize - 1);
                    format!("{before}{field}\n{indent}{from}")
                }
            },
            Self::Rename { from: key, to, .. } => {
                let at = before.rfind(key)?;
                format!("{}{to}{}{from}", &before[..at], &before[at + key.len()..])
            }
        })
    }
}

/// The byte at which a line and column (from one, in characters) begin.
fn offset(text: &str, (line, column): (u32, u32)) -> Option<usize> {
    let start: usize = text.split_inclusive('\n').take(line as usize - 1).map(str::len).sum();
    let rest = text.get(start..)?;
    let within = rest.char_indices().map(|(at, _)| at).chain([rest.len()]).nth(column as usize - 1)?;
    Some(start + within)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: u32, column: u32, end: u32) -> Place {
        Place { file: "a".into(), line, column, end: (line, end), resource: "".into(), path: "".into() }
    }

    #[test]
    fn a_value_is_replaced_where_it_stands() {
        let edit = Edit::Replace { place: place(2, 8, 10), text: "680ms".to_owned() };
        assert_eq!(edit.apply("a: é\nper:   2s # why\n").unwrap(), "a: é\nper:   680ms # why\n");
    }

    #[test]
    fn a_field_joins_a_block_or_a_flow_mapping() {
        let edit = Edit::Add { place: place(1, 3, 3), field: "timeout: 9s".to_owned() };
        assert_eq!(edit.apply("- route: x\n").unwrap(), "- timeout: 9s\n  route: x\n");
        assert_eq!(edit.apply("- { route: x }\n").unwrap(), "- { timeout: 9s, route: x }\n");
    }

    #[test]
    fn a_key_is_renamed_in_front_of_its_value() {
        let edit = Edit::Rename { place: place(1, 11, 14), from: "call", to: "publish" };
        assert_eq!(edit.apply("- { call: a.b }").unwrap(), "- { publish: a.b }");
    }
}
