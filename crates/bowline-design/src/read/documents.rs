//! From a text's trees to the documents of each kind.

use crate::kinds::{Documents, Meta, RouteTests};
use crate::mistake::{Mistakes, Note, Place, Text};
use crate::read::limits::DOCUMENTS_MAX;
use crate::read::reader::{Fields, Ignored, Read, Reader, Root, shorten};
use crate::read::shape::{Field, Shape};
use crate::read::tree::{Extent, Node, Value, parse};
use crate::read::{names, suggest};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A group of kinds and the versions of it that are read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) versions: &'static [&'static str],
    /// Whether `apiVersion` may be left out: our own kinds have one version so far.
    pub(crate) implied: bool,
}

/// Istio's traffic management. The three versions have the same fields.
pub(crate) const ISTIO: Group =
    Group { name: "networking.istio.io", versions: &["v1alpha3", "v1beta1", "v1"], implied: false };

/// Our own.
pub(crate) const OURS: Group = Group { name: "bowline.dev", versions: &["v1alpha1"], implied: true };

/// Our kinds that a later version will read.
const LATER: [&str; 2] = ["Saga", "Contract"];

/// A kind of document.
pub(crate) trait Kind: Read {
    /// Its name.
    const KIND: &'static str;
    /// Its group.
    const GROUP: Group;

    /// What has to hold between the document's name and what it says.
    fn check(_meta: &Meta, _spec: &Self, _place: &Place, _mistakes: &mut Mistakes) {}
}

/// Whom a document goes to once its kind is known.
pub(crate) struct Door {
    pub(crate) kind: &'static str,
    pub(crate) group: Group,
    pub(crate) shape: fn() -> Shape,
    /// Reads the document's spec and puts it where it belongs.
    pub(crate) read: fn(Meta, &Node, &mut Reader<'_>, &mut Documents),
}

pub(crate) use metadata::Metadata;

#[expect(dead_code, reason = "what only a server writes is taken so that it is known, and read by nobody")]
mod metadata {
    use crate::mistake::Spot;
    use crate::read::reader::Ignored;
    use crate::read::record::record;
    use std::collections::BTreeMap;

    record! {
        /// What every document has.
        pub(crate) struct Metadata {
            pub(crate) name: Spot<String>,
            pub(crate) namespace: Option<Spot<String>>,
            pub(crate) labels: BTreeMap<String, String>,
            pub(crate) annotations: BTreeMap<String, Spot<String>>,
            // What follows is a server's.
            uid: Option<Ignored>,
            resource_version: Option<Ignored>,
            generation: Option<Ignored>,
            generate_name: Option<Ignored>,
            creation_timestamp: Option<Ignored>,
            deletion_timestamp: Option<Ignored>,
            deletion_grace_period_seconds: Option<Ignored>,
            owner_references: Option<Ignored>,
            finalizers: Option<Ignored>,
            managed_fields: Option<Ignored>,
            self_link: Option<Ignored>,
        }
    }
}

/// The fields of a document.
fn document_fields() -> Vec<Field> {
    let field = |name: &'static str, shape: fn() -> Shape| Field {
        name: name.into(),
        about: &[],
        required: true,
        shape,
    };
    vec![
        field("apiVersion", String::shape),
        field("kind", String::shape),
        field("metadata", Metadata::shape),
        field("spec", || Shape::Text),
        field("status", Ignored::shape),
    ]
}

/// What reading the documents needs beside the reader.
pub(crate) struct Library {
    /// The names of all texts.
    files: Arc<[Arc<str>]>,
    pub(crate) documents: Documents,
    notes: BTreeMap<String, Note>,
    /// Where each kind, namespace and name was met first.
    met: BTreeMap<(&'static str, String, String), Place>,
}

impl Library {
    pub(crate) fn new(files: Arc<[Arc<str>]>) -> Self {
        Self { files, documents: Documents::default(), notes: BTreeMap::new(), met: BTreeMap::new() }
    }

    /// Reads all documents of a text, which is the `number`th.
    pub(crate) fn read(&mut self, text: &Text, number: u32, mistakes: &mut Mistakes) {
        let mut reader = Reader::new(Arc::clone(&self.files), mistakes);
        let (documents, broken) = parse(body(text), number);
        for broken in broken {
            let place = reader.place(broken.extent);
            let mistake = reader.mistakes().add(broken.code, &place, broken.found, broken.expected);
            if let Some(hint) = broken.hint {
                mistake.hint(hint);
            }
        }
        let mut left = DOCUMENTS_MAX;
        for document in &documents {
            self.document(document, &mut reader, &mut left);
        }
    }

    /// Reads one document that was found before, and is as it is now.
    pub(crate) fn read_again(&mut self, node: &Node, mistakes: &mut Mistakes) {
        let mut reader = Reader::new(Arc::clone(&self.files), mistakes);
        self.document(node, &mut reader, &mut 1);
    }

    /// Where the name of a document is written.
    pub(crate) fn name_of(&self, kind: &'static str, namespace: &str, name: &str) -> Option<&Place> {
        self.met.get(&(kind, namespace.to_owned(), name.to_owned()))
    }

    /// Takes over what another library noted.
    pub(crate) fn take_notes(&mut self, other: Self) -> Documents {
        for (subject, note) in other.notes {
            self.notes.entry(subject).and_modify(|own| own.count += note.count).or_insert(note);
        }
        other.documents
    }

    pub(crate) fn into_parts(self) -> (Documents, Vec<Note>) {
        (self.documents, self.notes.into_values().collect())
    }

    fn document(&mut self, node: &Node, reader: &mut Reader<'_>, left: &mut usize) {
        if node.is_null() {
            return;
        }
        if *left == 0 {
            // Said once, by the parser or by the list that holds too many.
            return;
        }
        *left -= 1;
        if !matches!(node.value, Value::Map(_)) {
            reader.wrong(node, "a document with `apiVersion`, `kind`, `metadata` and `spec`");
            return;
        }
        let kind = node.field("kind").and_then(Node::text).filter(|kind| !kind.is_empty());
        let version = node.field("apiVersion").and_then(Node::text);
        match (kind, version) {
            (None, None) if node.field("testCases").is_some() => self.route_tests(node, reader),
            (None, _) => missing(node, "kind", reader),
            (Some(kind), _) if kind.ends_with("List") && node.field("items").is_some() => {
                self.list(node, reader, left);
            }
            (Some(kind), Some(version)) => self.resource(node, kind, version, reader),
            (Some(kind), None) => match doors().iter().find(|door| door.kind == kind && door.group.implied) {
                Some(door) => self.enter(door, node, reader),
                None if LATER.contains(&kind) => self.later(node, kind, reader),
                None => missing(node, "apiVersion", reader),
            },
        }
    }

    /// What `kubectl get -o yaml` prints: its items are documents.
    fn list(&mut self, node: &Node, reader: &mut Reader<'_>, left: &mut usize) {
        let Some(Value::List(items)) = node.field("items").map(|items| &items.value) else {
            if let Some(items) = node.field("items").filter(|items| !items.is_null()) {
                reader.field("items", |reader| reader.wrong(items, "a list"));
            }
            return;
        };
        if items.len() > *left {
            let place = reader.place(node.extent);
            let found = format!("{} documents in one list", items.len());
            reader.mistakes().add(
                "too-large",
                &place,
                found,
                format!("at most {DOCUMENTS_MAX} in one text; split it"),
            );
        }
        for item in items.iter() {
            self.document(item, reader, left);
        }
    }

    fn resource(&mut self, node: &Node, kind: &str, version: &str, reader: &mut Reader<'_>) {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let doors = doors();
        let known: Vec<&Door> = doors.iter().filter(|door| door.group.name == group).collect();
        match known.iter().find(|door| door.kind == kind) {
            Some(door) if door.group.versions.contains(&version) => self.enter(door, node, reader),
            Some(door) => {
                let expected = door.group.versions.iter().map(|version| format!("{group}/{version}"));
                let expected = expected.collect::<Vec<_>>().join(" or ");
                let Some(written) = node.field("apiVersion") else { return };
                let place = reader.field("apiVersion", |reader| reader.place(written.extent));
                let found = format!("unknown version `{version}` of {group}");
                reader.mistakes().add("unknown-version", &place, found, expected);
            }
            None if group == OURS.name && LATER.contains(&kind) => self.later(node, kind, reader),
            None if is_misspelt(kind, group, &known) => {
                let Some(written) = node.field("kind") else { return };
                let place = reader.field("kind", |reader| reader.place(written.extent));
                let names: Vec<&str> = known.iter().map(|door| door.kind).collect();
                let found = format!("unknown kind `{kind}` of {group}");
                let mistake = reader.mistakes().add(
                    "unknown-kind",
                    &place,
                    found,
                    format!("one of {}", names.join(", ")),
                );
                if let Some(meant) = suggest::nearest(kind, names) {
                    mistake.hint(format!("did you mean {meant}?"));
                }
            }
            None if let Some(meant) = group_meant(kind, group, &doors) => {
                let Some(written) = node.field("apiVersion") else { return };
                let place = reader.field("apiVersion", |reader| reader.place(written.extent));
                let found = format!("unknown group `{}`", shorten(group));
                let versions = meant.versions.iter().map(|version| format!("{}/{version}", meant.name));
                let expected = versions.collect::<Vec<_>>().join(" or ");
                let mistake = reader.mistakes().add("unknown-version", &place, found, expected);
                mistake.hint(format!("did you mean `{}`?", meant.name));
            }
            None => {
                // A name that one of our kinds has too needs its group to be told apart.
                let alike = doors.iter().any(|door| door.kind == kind);
                let group = if group.is_empty() { version } else { group };
                let name = if alike { format!("{kind} ({group})") } else { kind.to_owned() };
                self.note(shorten(&name), "not read: a kind of another system", reader.place(node.extent));
            }
        }
    }

    fn later(&mut self, node: &Node, kind: &str, reader: &Reader<'_>) {
        self.note(kind.to_owned(), "not read by this version", reader.place(node.extent));
    }

    fn note(&mut self, subject: String, text: &str, place: Place) {
        // The subject comes from a stranger's text; a thousand different ones are no kinds any more.
        const SUBJECTS_MAX: usize = 1_000;
        if self.notes.len() >= SUBJECTS_MAX && !self.notes.contains_key(&subject) {
            return;
        }
        let note = Note { subject: subject.clone(), text: text.to_owned(), count: 0, place };
        self.notes.entry(subject).or_insert(note).count += 1;
    }

    /// Reads a document of a known kind.
    fn enter(&mut self, door: &Door, node: &Node, outer: &mut Reader<'_>) {
        let named =
            |field: &str| node.field("metadata").and_then(|meta| meta.field(field)).and_then(Node::text);
        let namespace =
            named("namespace").filter(|namespace| !namespace.is_empty()).unwrap_or(DEFAULT_NAMESPACE);
        let resource = format!("{} {namespace}/{}", door.kind, named("name").unwrap_or("(no name)"));
        let mut reader = outer.inside(shorten(&resource).into(), Root { shape: door.shape, path: "spec" });
        let reader = &mut reader;
        let Some(mut fields) = Fields::of(node, reader) else { return };
        // They were looked at to come here.
        let _: Option<Option<Ignored>> = fields.take("apiVersion", reader);
        let _: Option<Option<Ignored>> = fields.take("kind", reader);
        let _: Option<Option<Ignored>> = fields.take("status", reader);
        let meta = match node.field("metadata").filter(|meta| !meta.is_null()) {
            Some(_) => fields.take::<Metadata>("metadata", reader),
            None => {
                let _: Option<Option<Ignored>> = fields.take("metadata", reader);
                let place = reader.place(node.extent);
                let place = Place { path: "metadata.name".into(), ..place };
                reader.mistakes().add(
                    "missing-field",
                    &place,
                    "no `metadata.name`",
                    "`metadata.name`, which is required",
                );
                None
            }
        };
        let spec = node.field("spec").filter(|spec| !spec.is_null());
        let _: Option<Option<Ignored>> = fields.take("spec", reader);
        fields.finish(document_fields, reader);
        let meta = self.meta(door, meta, node.extent, reader);
        match spec {
            Some(spec) => reader.field("spec", |reader| (door.read)(meta, spec, reader, &mut self.documents)),
            None => missing(node, "spec", reader),
        }
    }

    /// The document's name, and whether another one has it.
    fn meta(&mut self, door: &Door, read: Option<Metadata>, extent: Extent, reader: &mut Reader<'_>) -> Meta {
        let Some(Metadata { name, namespace, labels, annotations, .. }) = read else {
            // The document is kept for what it says; with a mistake noted nobody will use it.
            let (name, namespace) = (String::new(), DEFAULT_NAMESPACE.to_owned());
            let (labels, annotations) = (BTreeMap::new(), BTreeMap::new());
            return Meta { name, namespace, labels, annotations, place: reader.place(extent) };
        };
        names::check_name(&name, reader.mistakes());
        if let Some(namespace) = &namespace {
            names::check_namespace(namespace, reader.mistakes());
        }
        let namespace = namespace.map(|namespace| namespace.value).filter(|namespace| !namespace.is_empty());
        let namespace = namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        let key = (door.kind, namespace.clone(), name.value.clone());
        if let Some(first) = self.met.get(&key) {
            let found = format!("a second {} {namespace}/{}", door.kind, name.value);
            let mistake =
                reader.mistakes().add("duplicate-name", &name.place, found, "one document of each name");
            mistake.also(first.clone()).hint("rename one of them, or put it into another namespace");
        } else {
            self.met.insert(key, name.place.clone());
        }
        Meta { name: name.value, namespace, labels, annotations, place: name.place }
    }

    fn route_tests(&mut self, node: &Node, outer: &mut Reader<'_>) {
        let mut reader = outer.inside("route tests".into(), Root { shape: RouteTests::shape, path: "" });
        self.documents.tests.extend(RouteTests::read(node, &mut reader));
    }
}

/// What a text says, without the mark that some editors put before it.
pub(crate) fn body(text: &Text) -> &str {
    text.text.strip_prefix('\u{feff}').unwrap_or(&text.text)
}

/// The namespace of a document that names none.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

/// Whether a kind of a group is none that anybody has: in a group of ours none but ours are, and in Istio's one that
/// looks like a kind that is read.
fn is_misspelt(kind: &str, group: &str, known: &[&Door]) -> bool {
    let looks_alike = || known.iter().any(|door| suggest::is_slip(kind, door.kind));
    group == OURS.name || (group == ISTIO.name && looks_alike())
}

/// The group that was meant by one that nobody has, of a kind that is read.
fn group_meant<'d>(kind: &str, group: &str, doors: &'d [Door]) -> Option<&'d Group> {
    let mut alike = doors.iter().filter(|door| door.kind == kind).map(|door| &door.group);
    alike.find(|known| suggest::is_slip(group, known.name))
}

fn missing(node: &Node, field: &str, reader: &mut Reader<'_>) {
    let Value::Map(entries) = &node.value else { return };
    // What is written in its place is where to look.
    let misspelt = suggest::nearest(field, entries.iter().map(|(key, _)| &*key.name));
    let misspelt = misspelt.and_then(|name| entries.iter().find(|(key, _)| *key.name == *name));
    let extent = misspelt.map_or(node.extent, |(key, _)| key.extent);
    let place = reader.field(field, |reader| reader.place(extent));
    let mistake = reader.mistakes().add(
        "missing-field",
        &place,
        format!("no `{field}`"),
        format!("`{field}`, which is required"),
    );
    if let Some((key, _)) = misspelt {
        mistake.hint(format!("`{}` is read by nobody: did you mean `{field}`?", shorten(&key.name)));
    }
}

pub(crate) fn doors() -> Vec<Door> {
    crate::kinds::doors()
}
