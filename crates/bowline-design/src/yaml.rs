//! YAML as a tree that knows its places, for readers of other formats than our own: one parser, the same
//! limits, mistakes that look the same.

use crate::mistake::{Mistake, Place, Text};
use crate::read::documents::body;
use crate::read::limits::MISTAKES_MAX;
use crate::read::tree::{self, Extent, Value};
use std::sync::Arc;

/// The documents of one text.
#[derive(Debug)]
pub struct Documents {
    file: Arc<str>,
    roots: Vec<tree::Node>,
}

/// A value, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Node<'t> {
    node: &'t tree::Node,
    file: &'t Arc<str>,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing is written, or `null`.
    Nothing,
    /// A word, a number, any text.
    Scalar,
    /// A list.
    List,
    /// Names and their values.
    Map,
}

/// Reads all documents of a text, past what is broken in it. It costs what the size of the text suggests.
#[must_use]
pub fn parse(text: &Text) -> (Documents, Vec<Mistake>) {
    let (roots, broken) = tree::parse(body(text), 0);
    let mistake = |broken: tree::Broken| {
        Mistake::new(broken.code, &place(broken.extent, &text.name), broken.found, broken.expected)
    };
    let mistakes = broken.into_iter().take(MISTAKES_MAX).map(mistake).collect();
    (Documents { file: Arc::clone(&text.name), roots }, mistakes)
}

impl Documents {
    /// Each document's value, in their order.
    pub fn roots(&self) -> impl Iterator<Item = Node<'_>> {
        self.roots.iter().map(|node| Node { node, file: &self.file })
    }
}

impl<'t> Node<'t> {
    /// What it is.
    #[must_use]
    pub fn shape(self) -> Shape {
        match &self.node.value {
            Value::Scalar(scalar) if scalar.is_null() => Shape::Nothing,
            Value::Scalar(_) => Shape::Scalar,
            Value::List(_) => Shape::List,
            Value::Map(_) => Shape::Map,
        }
    }

    /// The text of a scalar.
    #[must_use]
    pub fn text(self) -> Option<&'t str> {
        self.node.text().filter(|_| self.shape() == Shape::Scalar)
    }

    /// The truth of a scalar that is `true` or `false`.
    #[must_use]
    pub fn truth(self) -> Option<bool> {
        match &self.node.value {
            Value::Scalar(scalar) => scalar.truth(),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The items of a list; none of anything else.
    pub fn items(self) -> impl Iterator<Item = Self> {
        let items: &[tree::Node] = match &self.node.value {
            Value::List(items) => items,
            Value::Scalar(_) | Value::Map(_) => &[],
        };
        items.iter().map(move |node| Self { node, file: self.file })
    }

    /// The fields of a mapping as they are written, each with the place of its name; none of anything else.
    /// A name that is written twice comes twice.
    pub fn fields(self) -> impl Iterator<Item = (&'t str, Place, Self)> {
        let entries: &[(tree::Key, tree::Node)] = match &self.node.value {
            Value::Map(entries) => entries,
            Value::Scalar(_) | Value::List(_) => &[],
        };
        entries.iter().map(move |(key, node)| {
            (&*key.name, place(key.extent, self.file), Self { node, file: self.file })
        })
    }

    /// Where it stands.
    #[must_use]
    pub fn place(self) -> Place {
        place(self.node.extent, self.file)
    }
}

fn place(extent: Extent, file: &Arc<str>) -> Place {
    let (line, column) = extent.start;
    let (resource, path) = (Arc::from(""), Arc::from(""));
    Place { file: Arc::clone(file), line, column, end: extent.end, resource, path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_walked_with_its_places() {
        let text = Text { name: "graph.yaml".into(), text: "services:\n- name: a\n  up: true\n".to_owned() };
        let (documents, mistakes) = parse(&text);
        assert!(mistakes.is_empty());
        let root = documents.roots().next().expect("a document");
        let (name, _, services) = root.fields().next().expect("a field");
        assert_eq!((name, services.shape()), ("services", Shape::List));
        let fields: Vec<_> = services.items().flat_map(Node::fields).collect();
        assert_eq!(fields[0].2.text(), Some("a"));
        assert_eq!((fields[1].1.line, fields[1].1.column, fields[1].2.truth()), (3, 3, Some(true)));
    }

    #[test]
    fn what_is_broken_says_where() {
        let text = Text { name: "graph.yaml".into(), text: "a: [1\nb: }\n".to_owned() };
        let (_, mistakes) = parse(&text);
        assert_eq!((mistakes[0].code, &*mistakes[0].place.file), ("syntax", "graph.yaml"));
    }
}
