//! What resolving finds to say: mistakes, and notes that are counted instead of repeated.

use crate::mistake::{Mistake, Note, Place};
use crate::read::suggest::nearest;

/// `did you mean ..?`, where some candidate is near enough to be meant.
pub(super) fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    nearest(word, candidates).map(|near| format!("did you mean `{near}`?"))
}

/// Mistakes and notes, as they come up.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) mistakes: Vec<Mistake>,
    pub(super) notes: Vec<Note>,
}

impl Findings {
    /// A mistake at one place.
    pub(super) fn mistake(
        &mut self,
        code: &'static str,
        place: &Place,
        found: impl Into<String>,
        expected: impl Into<String>,
        hint: Option<String>,
    ) {
        let (found, expected) = (found.into(), expected.into());
        self.push(Mistake { code, place: place.clone(), also: Vec::new(), found, expected, hint });
    }

    /// Two documents that both say something about what only one may.
    pub(super) fn said_twice(&mut self, what: &str, place: &Place, other: &Place) {
        self.push(Mistake {
            code: "said-twice",
            place: place.clone(),
            also: vec![other.clone()],
            found: format!("{what} of one call is said twice: here and in {}", other.resource),
            expected: "one of the two".to_owned(),
            hint: Some("take one away, or target the more specific operation".to_owned()),
        });
    }

    /// Two documents that both say what only one may, and what to do about it.
    pub(super) fn said_twice_by(&mut self, what: &str, place: &Place, other: &Place, hint: &str) {
        self.push(Mistake {
            code: "said-twice",
            place: place.clone(),
            also: vec![other.clone()],
            found: format!("{what} is said twice: here and in {}", other.resource),
            expected: "one of the two".to_owned(),
            hint: Some(hint.to_owned()),
        });
    }

    /// Something that is asked for here and made impossible there.
    pub(super) fn impossible(&mut self, what: &str, place: &Place, other: &Place) {
        self.push(Mistake {
            code: "conflict",
            place: place.clone(),
            also: vec![other.clone()],
            found: what.to_owned(),
            expected: "a topic that can".to_owned(),
            hint: None,
        });
    }

    /// The same mistake comes up once for each call that it touches; it is said once.
    fn push(&mut self, mistake: Mistake) {
        let same = |known: &Mistake| {
            known.code == mistake.code
                && known.place == mistake.place
                && known.also == mistake.also
                && known.found == mistake.found
        };
        if !self.mistakes.iter().any(same) {
            self.mistakes.push(mistake);
        }
    }

    /// Something worth knowing that needs no mending.
    pub(super) fn note(&mut self, subject: impl Into<String>, text: impl Into<String>, place: &Place) {
        let (subject, text) = (subject.into(), text.into());
        match self.notes.iter_mut().find(|note| note.subject == subject && note.text == text) {
            Some(note) => note.count += 1,
            None => self.notes.push(Note { subject, text, count: 1, place: place.clone() }),
        }
    }

    /// A field that is read and kept, and that nothing acts on yet.
    pub(super) fn not_acted_on(&mut self, field: &str, place: &Place) {
        self.note(field, "kept, and not acted on by this version", place);
    }
}
