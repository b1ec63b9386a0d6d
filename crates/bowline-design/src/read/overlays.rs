//! Overlays applied: what an overlay touches is read once more, as it is with the overlay.
//!
//! Only the touched documents are, so that an overlay costs what it changes and not what the design is.
//! The texts are parsed a second time for it: designs without overlays, which are most, keep no trees.

use crate::kinds::overlay::{Added, Applied, Patch};
use crate::kinds::{Doc, Meta, Overlay, check_together};
use crate::mistake::{Mistake, Mistakes, Place, Spot, Text};
use crate::read::documents::{DEFAULT_NAMESPACE, Door, Library, body, doors};
use crate::read::limits::{NODES_MAX, OVERLAYS_MAX};
use crate::read::names::quoted;
use crate::read::suggest::nearest;
use crate::read::tree::{Node, Value, merged, parse};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an overlay leaves alone: it changes what a design says, not how it is varied or measured.
const UNTOUCHED: [&str; 2] = ["Overlay", "Scenario"];

/// Kind, namespace and name.
type Key = (&'static str, String, String);

/// Applies every overlay, each by itself. A design with mistakes is left as it is: what an overlay makes of
/// them would only say them again.
pub(crate) fn apply(texts: &[Text], files: &Arc<[Arc<str>]>, library: &mut Library, mistakes: &mut Mistakes) {
    let overlays = library.documents.overlays.clone();
    if overlays.is_empty() || !mistakes.is_empty() {
        return;
    }
    if let Some(more) = overlays.get(OVERLAYS_MAX) {
        let found = format!("{} overlays", overlays.len());
        mistakes.add("too-large", &more.meta.place, found, format!("at most {OVERLAYS_MAX} in one design"));
        return;
    }
    let resources = resources(texts);
    let mut left = NODES_MAX;
    for overlay in &overlays {
        let key = ("Overlay", overlay.meta.namespace.clone(), overlay.meta.name.clone());
        let Some(node) = resources.get(&key) else { continue };
        let work = Work { overlay, node, resources: &resources, files };
        work.apply(library, &mut left, mistakes);
    }
}

/// Every document of a kind that is read, those of lists included.
fn resources(texts: &[Text]) -> BTreeMap<Key, Node> {
    let mut resources = BTreeMap::new();
    for (number, text) in (0..).zip(texts) {
        for document in parse(body(text), number).0 {
            gather(document, &mut resources);
        }
    }
    resources
}

fn gather(node: Node, resources: &mut BTreeMap<Key, Node>) {
    let kind = node.field("kind").and_then(Node::text).unwrap_or_default();
    if let Some(Value::List(items)) = node.field("items").map(|items| &items.value)
        && kind.ends_with("List")
    {
        return items.iter().cloned().for_each(|item| gather(item, resources));
    }
    let group = node
        .field("apiVersion")
        .and_then(Node::text)
        .map(|version| version.split_once('/').map_or("", |(group, _)| group));
    let known =
        |door: &Door| door.kind == kind && group.map_or(door.group.implied, |group| group == door.group.name);
    let Some(door) = doors().into_iter().find(known) else { return };
    let named = |field: &str| node.field("metadata").and_then(|meta| meta.field(field)).and_then(Node::text);
    let namespace = named("namespace").filter(|namespace| !namespace.is_empty()).unwrap_or(DEFAULT_NAMESPACE);
    let key = (door.kind, namespace.to_owned(), named("name").unwrap_or_default().to_owned());
    resources.insert(key, node);
}

/// One overlay at work.
struct Work<'w> {
    overlay: &'w Doc<Overlay>,
    node: &'w Node,
    resources: &'w BTreeMap<Key, Node>,
    files: &'w Arc<[Arc<str>]>,
}

impl Work<'_> {
    fn apply(&self, library: &mut Library, left: &mut usize, mistakes: &mut Mistakes) {
        let Meta { name, namespace, place, .. } = &self.overlay.meta;
        let mut own = Library::new(Arc::clone(self.files));
        for (key, (node, patch)) in self.patched(left, mistakes) {
            let mut wrong = Mistakes::default();
            own.read_again(&node, &mut wrong);
            let target = library.name_of(key.0, &key.1, &key.2);
            mistakes.take_over(wrong, |mistake| self.name_both(mistake, target, &patch));
        }
        for (added, node) in self.overlay.spec.add.iter().zip(self.items("add")) {
            if self.may_be_added(added, library, mistakes) {
                own.read_again(node, mistakes);
            }
        }
        let documents = library.take_notes(own);
        if !documents.virtual_services.is_empty() {
            let mut wrong = Mistakes::default();
            check_together(&library.documents.overlaid(&documents), &mut wrong);
            mistakes.take_over(wrong, |mistake| self.name_both(mistake, None, place));
        }
        let applied =
            Applied { name: name.clone(), namespace: namespace.clone(), place: place.clone(), documents };
        library.documents.applied.push(applied);
    }

    /// The items of one of its lists, as they are written.
    fn items(&self, list: &str) -> &[Node] {
        match self.node.field("spec").and_then(|spec| spec.field(list)).map(|list| &list.value) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }

    /// Every resource that it changes, as it is then, and the first patch of it.
    fn patched(&self, left: &mut usize, mistakes: &mut Mistakes) -> BTreeMap<Key, (Node, Place)> {
        let mut patched: BTreeMap<Key, (Node, Place)> = BTreeMap::new();
        for (patch, node) in self.overlay.spec.patches.iter().zip(self.items("patches")) {
            // A thousand wrong names are kept; there is no need to guess what a further one was meant to be.
            if mistakes.is_full() {
                break;
            }
            let Some(key) = self.target(patch, mistakes) else { continue };
            let Some(change) = node.field("patch") else { continue };
            let (target, place) = match patched.remove(&key) {
                Some((target, place)) => (target, place),
                None => match self.resources.get(&key) {
                    Some(target) => (target.clone(), patch.place.clone()),
                    None => continue,
                },
            };
            let changed = merged(Some(&target), change);
            let cost = changed.size();
            if cost > *left {
                let found = "overlays of more than so much";
                let expected = format!("at most {NODES_MAX} values in all that overlays touch");
                mistakes.add("too-large", &patch.place, found, expected);
                return BTreeMap::new();
            }
            *left -= cost;
            patched.insert(key, (changed, place));
        }
        patched
    }

    /// The resource that a patch is for; a name that leads nowhere is a mistake, with the one that was
    /// probably meant.
    fn target(&self, patch: &Patch, mistakes: &mut Mistakes) -> Option<Key> {
        let doors = doors();
        let kinds = || doors.iter().map(|door| door.kind).filter(|kind| !UNTOUCHED.contains(kind));
        let Some(kind) = kinds().find(|kind| *kind == patch.kind.value) else {
            let found = format!("a patch of kind {}", quoted(&patch.kind));
            let expected = format!("one of {}", kinds().collect::<Vec<_>>().join(", "));
            let mistake = mistakes.add("unknown-kind", &patch.kind.place, found, expected);
            if UNTOUCHED.contains(&&*patch.kind.value) {
                mistake.hint("an overlay changes what a design says, not how it is varied or measured");
            } else if let Some(meant) = nearest(&patch.kind, kinds()) {
                mistake.hint(format!("did you mean {meant}?"));
            }
            return None;
        };
        let namespace = patch.namespace(&self.overlay.meta.namespace);
        let key = (kind, namespace.to_owned(), patch.name.value.clone());
        if self.resources.contains_key(&key) {
            return Some(key);
        }
        let found = format!("a patch of {kind} {namespace}/{}, which does not exist", patch.name.value);
        let mistake = mistakes.add("unknown-resource", &patch.name.place, found, "a resource of the design");
        mistake.also(self.overlay.meta.place.clone());
        let added = |added: &&Spot<Added>| added.kind == kind && added.name == patch.name.value;
        if let Some(added) = self.overlay.spec.add.iter().find(added) {
            mistake.also(added.place.clone()).hint("this overlay adds it: write it there as it should be");
            return None;
        }
        let own = self.resources.keys().filter(|known| known.0 == kind && known.1 == namespace);
        if let Some(meant) = nearest(&patch.name, own.map(|known| &*known.2)) {
            mistake.hint(format!("did you mean `{meant}`?"));
        } else if let Some(other) = self.resources.keys().find(|known| known.0 == kind && known.2 == key.2) {
            mistake.hint(format!("there is one in namespace {}: say `namespace: {}`", other.1, other.1));
        }
        None
    }

    /// Whether a document is one that an overlay can add, and not there already.
    fn may_be_added(&self, added: &Spot<Added>, library: &Library, mistakes: &mut Mistakes) -> bool {
        let Added { kind, name, namespace } = &added.value;
        if UNTOUCHED.contains(&&**kind) || kind.ends_with("List") {
            let found = format!("a document of kind {} in an overlay", quoted(kind));
            mistakes.add("bad-value", &added.place, found, "one document of another kind");
            return false;
        }
        let doors = doors();
        let there = doors.iter().filter(|door| door.kind == kind);
        let Some(first) = there.filter_map(|door| library.name_of(door.kind, namespace, name)).next() else {
            return true;
        };
        let found = format!("a second {kind} {namespace}/{name}");
        let mistake = mistakes.add("duplicate-name", &added.place, found, "a document that is not there yet");
        mistake.also(first.clone()).hint("to change what is there, write a patch");
        false
    }

    /// What is wrong only with an overlay has two sides: the resource and the patch.
    fn name_both(&self, mistake: &mut Mistake, target: Option<&Place>, patch: &Place) {
        let Meta { name, namespace, .. } = &self.overlay.meta;
        mistake.found.push_str(&format!(", with Overlay {namespace}/{name}"));
        let (first, last) = lines(self.node);
        let own = self.files.get(self.node.extent.text as usize);
        let in_overlay =
            own.is_some_and(|own| *own == mistake.place.file) && (first..=last).contains(&mistake.place.line);
        let other = if in_overlay { target } else { Some(patch) };
        mistake.also.extend(other.cloned());
    }
}

/// The first and the last line of a document.
fn lines(node: &Node) -> (u32, u32) {
    let own = (node.extent.start.0, node.extent.end.0);
    let wider = |(first, last): (u32, u32), inner: (u32, u32)| (first.min(inner.0), last.max(inner.1));
    match &node.value {
        Value::Scalar(_) => own,
        Value::List(items) => items.iter().map(lines).fold(own, wider),
        Value::Map(entries) => entries.iter().map(|(_, node)| lines(node)).fold(own, wider),
    }
}
