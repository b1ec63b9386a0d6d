//! The fields of one mapping: asked for by name, and what nobody asked for is noted.

use super::Reading;
use crate::note::shorten;
use bowline_design::Place;
use bowline_design::yaml::{Node, Shape};
use std::collections::BTreeSet;

pub(super) struct Fields<'t> {
    all: Vec<(&'t str, Place, Node<'t>)>,
    known: BTreeSet<&'static str>,
}

impl<'t> Fields<'t> {
    /// The fields of `node`; nothing, and a mistake, where it is no mapping. A field that is written twice is a
    /// mistake, as it is for isotope's reader.
    pub(super) fn of(node: Node<'t>, what: &str, reading: &mut Reading) -> Option<Self> {
        if node.shape() != Shape::Map {
            reading.mistake(node, "something else", what);
            return None;
        }
        let all: Vec<_> = node.fields().collect();
        let mut names = BTreeSet::new();
        for (name, _, value) in &all {
            if !names.insert(*name) {
                reading.mistake(*value, format!("a second `{}`", shorten(name)), "each field once");
            }
        }
        Some(Self { all, known: BTreeSet::new() })
    }

    /// The value of a field; nothing where it is empty.
    pub(super) fn get(&self, name: &str) -> Option<Node<'t>> {
        let found = self.all.iter().find(|(own, ..)| *own == name).map(|(.., node)| *node);
        found.filter(|node| node.shape() != Shape::Nothing)
    }

    /// The only field, where there is one alone.
    pub(super) fn only(&self) -> Option<(&'t str, Node<'t>)> {
        match self.all.as_slice() {
            [(name, _, node)] => Some((*name, *node)),
            _ => None,
        }
    }

    /// These are looked at.
    pub(super) fn known(&mut self, names: &[&'static str]) {
        self.known.extend(names);
    }

    /// This one is known, and not acted on: where it is written that is noted.
    pub(super) fn noted(&mut self, name: &'static str, text: &str, reading: &mut Reading) {
        self.known.insert(name);
        if let Some((_, place, _)) = self.all.iter().find(|(own, ..)| *own == name) {
            reading.notes.add(name, text, Some(place.clone()));
        }
    }

    /// Notes every field that nobody knows.
    pub(super) fn finish(&self, reading: &mut Reading) {
        for (name, place, _) in self.all.iter().filter(|(name, ..)| !self.known.contains(name)) {
            let text = "not read: no field of isotope's that is known here";
            reading.notes.add(name, text, Some(place.clone()));
        }
    }
}
