//! What an importer has to say besides the design.

use bowline_design::Place;
use std::collections::BTreeMap;
use std::fmt;

/// Notes kept. Subjects come from a stranger's file; a thousand different ones say no more than the first.
const NOTES_MAX: usize = 1_000;

/// Something that was assumed, left out or not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is about: a field, a service, a kind of span.
    pub subject: String,
    /// What became of it.
    pub text: String,
    /// How often it was met.
    pub count: u64,
    /// Where it was met first, in a file whose lines people read.
    pub place: Option<Place>,
}

/// Place, subject, what became of it, and how often where that was more than once.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{}:{}:{}: ", place.file, place.line, place.column)?;
        }
        write!(f, "{}: {}", self.subject, self.text)?;
        if self.count > 1 { write!(f, " ({} times)", self.count) } else { Ok(()) }
    }
}

/// The notes of one import, in the order in which they were met.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    list: Vec<Note>,
    known: BTreeMap<(String, String), usize>,
}

impl Notes {
    /// Notes something; the same again only counts.
    pub(crate) fn add(&mut self, subject: &str, text: impl Into<String>, place: Option<Place>) {
        self.count(subject, text, 1, place);
    }

    /// Notes something that was met `count` times; nothing if it was not.
    pub(crate) fn count(&mut self, subject: &str, text: impl Into<String>, count: u64, place: Option<Place>) {
        if count == 0 {
            return;
        }
        let (subject, text) = (shorten(subject), text.into());
        if let Some(index) = self.known.get(&(subject.clone(), text.clone())) {
            self.list[*index].count += count;
        } else if self.list.len() < NOTES_MAX {
            self.known.insert((subject.clone(), text.clone()), self.list.len());
            self.list.push(Note { subject, text, count, place });
        }
    }

    pub(crate) fn into_list(self) -> Vec<Note> {
        self.list
    }
}

/// A stranger's text as it can be shown: one line, not too long.
pub(crate) fn shorten(text: &str) -> String {
    const LETTERS_MAX: usize = 80;
    let mut shown: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LETTERS_MAX).collect();
    if text.chars().nth(LETTERS_MAX).is_some() {
        shown.push_str("..");
    }
    shown
}
