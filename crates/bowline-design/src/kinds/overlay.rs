//! Our Overlay: one variant of a design, as what it changes.
//!
//! Why a merge patch: an arm of an experiment should say what is different and nothing else, and whoever
//! reads it should need no new language. RFC 7396 is the resource itself with the changed fields only.

use crate::kinds::{Documents, Meta};
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{DEFAULT_NAMESPACE, Group, Kind, OURS};
use crate::read::names::quoted;
use crate::read::reader::{Read, Reader, find_twice, unknown_field};
use crate::read::record::record;
use crate::read::shape::{Field, Record, Shape};
use crate::read::tree::{Node, Value};

record! {
    /// One variant of a design: resources that it changes, and resources that it adds.
    pub struct Overlay {
        /// What it changes.
        pub patches: Vec<Spot<Patch>>,
        /// Whole documents that only this variant has.
        pub add: Vec<Spot<Added>>,
    }
}

record! {
    /// A change of one resource.
    pub struct Patch {
        /// Its kind.
        pub kind: Spot<String>,
        /// Its name.
        pub name: Spot<String>,
        /// Its namespace; the overlay's own when absent.
        pub namespace: Option<Spot<String>>,
        /// The fields that are different, where they stand in the resource. `null` takes a field away;
        /// mappings are merged; lists and everything else are replaced whole (RFC 7396).
        pub patch: Spot<Merge>,
    }
}

impl Patch {
    /// The namespace of the resource, changed by an overlay in `own`.
    #[must_use]
    pub fn namespace<'p>(&'p self, own: &'p str) -> &'p str {
        let written = self.namespace.as_ref().map(|namespace| namespace.value.as_str());
        written.filter(|namespace| !namespace.is_empty()).unwrap_or(own)
    }
}

/// What a patch changes, field by field.
#[derive(Clone, Debug)]
pub struct Merge {
    /// Every field that it sets or takes away: the deepest that it names.
    pub changes: Vec<Change>,
}

/// A field that a patch sets or takes away.
#[derive(Clone, Debug)]
pub struct Change {
    /// The field inside the resource, `spec.retry.tries`.
    pub path: String,
    /// Where the patch says so.
    pub place: Place,
    /// Whether it is taken away.
    pub removes: bool,
}

/// A document that only one variant has.
#[derive(Clone, Debug)]
pub struct Added {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

/// What becomes of the resources that an overlay touches.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The overlay's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Where its name is written.
    pub place: Place,
    /// What it changes and adds, as it is with the overlay.
    pub documents: Documents,
}

impl Applied {
    /// Its name, with its namespace where that is not `default`: this is how it is asked for.
    #[must_use]
    pub fn full_name(&self) -> String {
        if self.namespace == DEFAULT_NAMESPACE {
            return self.name.clone();
        }
        format!("{}/{}", self.namespace, self.name)
    }

    /// Whether `name`, written in `namespace`, means it: `name`, or `namespace/name` from anywhere.
    #[must_use]
    pub fn is(&self, name: &str, namespace: &str) -> bool {
        (namespace, name) == (&*self.namespace, &*self.name)
            || name.split_once('/') == Some((&self.namespace, &self.name))
    }
}

impl Kind for Overlay {
    const KIND: &'static str = "Overlay";
    const GROUP: Group = OURS;

    fn check(meta: &Meta, spec: &Self, _: &Place, mistakes: &mut Mistakes) {
        find_contradictions(&meta.namespace, &spec.patches, mistakes);
    }
}

/// Two patches of one resource may not say something about one field, or about a field inside another.
fn find_contradictions(own: &str, patches: &[Spot<Patch>], mistakes: &mut Mistakes) {
    let mut changes: Vec<_> = patches
        .iter()
        .enumerate()
        .flat_map(|(index, patch)| {
            let resource = (&*patch.kind.value, patch.namespace(own), &*patch.name.value);
            patch.patch.changes.iter().map(move |change| {
                let words: Vec<&str> = change.path.split('.').collect();
                (resource, words, index, change)
            })
        })
        .collect();
    // Word by word, so that what is inside a field follows it; of the same field the first stays first.
    changes.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut outer: Option<(_, Vec<&str>, usize, &Change)> = None;
    for (resource, words, index, change) in changes {
        match &outer {
            // What one patch says twice is a field written twice, and was said to be.
            Some((other, around, at, first)) if *other == resource && words.starts_with(around) => {
                if *at == index {
                    continue;
                }
                let found = format!("{} of {} a second time", quoted(&change.path), quoted(resource.2));
                let expected = "each field once in an overlay";
                mistakes.add("said-twice", &change.place, found, expected).also(first.place.clone());
            }
            _ => outer = Some((resource, words, index, change)),
        }
    }
}

impl Read for Merge {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            reader.wrong(node, "a mapping");
            return None;
        };
        let mut changes = Vec::new();
        let mut sound = true;
        find_twice(entries, reader);
        for (key, node) in &**entries {
            sound &= match &*key.name {
                "spec" => changed("spec", node, reader, &mut changes),
                "metadata" => metadata(node, reader, &mut changes),
                _ => {
                    unknown_field(key, &fields(), reader);
                    false
                }
            };
        }
        sound.then_some(Self { changes })
    }

    fn shape() -> Shape {
        Shape::Record(Record {
            name: "Merge",
            about: &["The fields of a resource that are different."],
            fields,
        })
    }
}

/// What of a resource can be different.
fn fields() -> Vec<Field> {
    let field = |name: &'static str, about: &'static [&'static str]| Field {
        name: name.into(),
        about,
        required: false,
        shape: || Shape::Mapping,
    };
    vec![
        field("metadata", &["`labels` and `annotations` that are different."]),
        field("spec", &["What is different of what it says."]),
    ]
}

/// A resource keeps its name; only what hangs on it can be different.
fn metadata(node: &Node, reader: &mut Reader<'_>, changes: &mut Vec<Change>) -> bool {
    let Value::Map(entries) = &node.value else {
        reader.field("metadata", |reader| reader.wrong(node, "a mapping"));
        return false;
    };
    let mut sound = true;
    for (key, node) in &**entries {
        sound &= match &*key.name {
            "labels" | "annotations" => {
                let path = format!("metadata.{}", key.name);
                reader.field("metadata", |reader| changed(&path, node, reader, changes))
            }
            _ => {
                let place = reader
                    .field("metadata", |reader| reader.field(&key.name, |reader| reader.place(key.extent)));
                let found = format!("a patch of {}", quoted(&key.name));
                reader.mistakes().add("bad-value", &place, found, "`labels` or `annotations`");
                false
            }
        };
    }
    sound
}

/// Notes every field at or below `path` that is set or taken away.
fn changed(path: &str, node: &Node, reader: &mut Reader<'_>, changes: &mut Vec<Change>) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path).to_owned();
    reader.field(&name, |reader| {
        if let Value::Map(entries) = &node.value
            && !entries.is_empty()
        {
            find_twice(entries, reader);
            return entries.iter().fold(true, |sound, (key, node)| {
                changed(&format!("{path}.{}", key.name), node, reader, changes) && sound
            });
        }
        if path == "spec" && !matches!(node.value, Value::Map(_)) {
            reader.wrong(node, "a mapping");
            return false;
        }
        changes.push(Change {
            path: path.to_owned(),
            place: reader.place(node.extent),
            removes: node.is_null(),
        });
        true
    })
}

impl Read for Added {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        // Everything else about it is looked at once the overlay is applied.
        let Some(kind) = node.field("kind").and_then(Node::text).filter(|kind| !kind.is_empty()) else {
            reader.wrong(node, "a document with `kind`, `metadata` and `spec`");
            return None;
        };
        let named =
            |field: &str| node.field("metadata").and_then(|meta| meta.field(field)).and_then(Node::text);
        let namespace =
            named("namespace").filter(|namespace| !namespace.is_empty()).unwrap_or(DEFAULT_NAMESPACE);
        let name = named("name").unwrap_or_default();
        Some(Self { kind: kind.to_owned(), name: name.to_owned(), namespace: namespace.to_owned() })
    }

    fn shape() -> Shape {
        Shape::Mapping
    }
}
