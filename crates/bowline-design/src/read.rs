//! Text to documents, past every mistake.
//!
//! In reading order: [`tree`] makes values with places of a text, [`reader`] makes typed values of them,
//! [`record`] declares what can be read, [`documents`] finds each document's kind, [`overlays`] reads once
//! more what an overlay changes.

pub(crate) mod documents;
pub(crate) mod limits;
pub(crate) mod names;
pub(crate) mod overlays;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod shape;
pub(crate) mod suggest;
pub(crate) mod tree;

use crate::mistake::{Mistakes, Text};
use crate::{Reading, kinds};
use std::sync::Arc;

/// Reads all documents of `texts` and finds all mistakes in them, never just the first.
///
/// It never panics and costs what the size of the texts suggests, whatever they say.
#[must_use]
pub fn read(texts: &[Text]) -> Reading {
    let mut mistakes = Mistakes::default();
    let files: Arc<[Arc<str>]> = texts.iter().map(|text| Arc::clone(&text.name)).collect();
    let mut library = documents::Library::new(Arc::clone(&files));
    for (number, text) in (0..).zip(texts) {
        library.read(text, number, &mut mistakes);
    }
    kinds::check_together(&library.documents, &mut mistakes);
    overlays::apply(texts, &files, &mut library, &mut mistakes);
    let (documents, notes) = library.into_parts();
    let order = |name: &str| texts.iter().position(|text| *text.name == *name);
    Reading { documents, mistakes: mistakes.into_list(order), notes }
}
