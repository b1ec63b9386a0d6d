//! Designs as values, written in each of the styles that people and programs write.

use std::fmt::Write;

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Yaml {
    /// A word or a number.
    Word(String),
    /// A list.
    List(Vec<Yaml>),
    /// A mapping; what is `None` is left out.
    Map(Vec<(&'static str, Yaml)>),
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Indented.
    Block,
    /// In braces.
    Flow,
    /// In braces and quotes.
    Json,
}

#[expect(clippy::needless_pass_by_value, reason = "numbers and words are given as they stand")]
pub(crate) fn word(text: impl ToString) -> Yaml {
    Yaml::Word(text.to_string())
}

pub(crate) fn map<const N: usize>(fields: [(&'static str, Option<Yaml>); N]) -> Yaml {
    Yaml::Map(fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

/// Documents, one after the other; JSON as one list.
pub(crate) fn written(documents: &[Yaml], style: Style) -> String {
    match style {
        Style::Json => {
            let list = [
                ("apiVersion", Some(word("v1"))),
                ("kind", Some(word("List"))),
                ("items", Some(Yaml::List(documents.to_vec()))),
            ];
            flow(&map(list), style)
        }
        Style::Flow => documents.iter().map(|document| format!("--- {}\n", flow(document, style))).collect(),
        Style::Block => {
            let mut text = String::new();
            for document in documents {
                text.push_str("---\n");
                block(&mut text, document, 0);
            }
            text
        }
    }
}

fn flow(value: &Yaml, style: Style) -> String {
    let quoted = |text: &str| match (style, text.parse::<f64>(), text) {
        (Style::Json, Err(_), "true" | "false") => text.to_owned(),
        (Style::Json, Err(_), _) => format!("\"{text}\""),
        _ => text.to_owned(),
    };
    match value {
        Yaml::Word(text) if text.contains([',', '{', ':']) => format!("\"{text}\""),
        Yaml::Word(text) => quoted(text),
        Yaml::List(items) => {
            format!("[ {} ]", items.iter().map(|item| flow(item, style)).collect::<Vec<_>>().join(", "))
        }
        Yaml::Map(fields) => {
            let key = |name: &str| if style == Style::Json { format!("\"{name}\"") } else { name.to_owned() };
            let field = |(name, value): &(&str, Yaml)| format!("{}: {}", key(name), flow(value, style));
            format!("{{ {} }}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
    }
}

fn block(text: &mut String, value: &Yaml, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Yaml::Map(fields) => {
            for (name, value) in fields {
                match value {
                    Yaml::Word(_) => _ = writeln!(text, "{indent}{name}: {}", flow(value, Style::Flow)),
                    Yaml::List(items) if items.is_empty() => _ = writeln!(text, "{indent}{name}: []"),
                    // As kubectl writes it: items stand under their key.
                    Yaml::List(_) => {
                        let _ = writeln!(text, "{indent}{name}: # a comment");
                        block(text, value, depth);
                    }
                    Yaml::Map(_) => {
                        let _ = writeln!(text, "{indent}{name}:");
                        block(text, value, depth + 1);
                    }
                }
            }
        }
        Yaml::List(items) => {
            for item in items {
                let mut inner = String::new();
                block(&mut inner, item, depth + 1);
                let _ = write!(text, "{indent}- {}", inner.trim_start());
            }
        }
        Yaml::Word(_) => _ = writeln!(text, "{indent}{}", flow(value, Style::Flow)),
    }
}
