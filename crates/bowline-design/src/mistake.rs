//! Where something stands in the texts, and what is wrong there.

mod render;

use crate::read::limits::MISTAKES_MAX;
use std::ops::Deref;
use std::sync::Arc;

/// One text of a design. The caller reads the files; this crate never touches one.
#[derive(Clone, Debug)]
pub struct Text {
    /// Its path, or `stdin`: what a person calls it.
    pub name: Arc<str>,
    /// What it says.
    pub text: String,
}

/// A place in the texts of a design.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The text's name.
    pub file: Arc<str>,
    /// Line, from one.
    pub line: u32,
    /// Column, from one, counted in characters.
    pub column: u32,
    /// Line and column just after the last character.
    pub end: (u32, u32),
    /// The resource it belongs to, `Policy shop/payments`; empty outside one.
    pub resource: Arc<str>,
    /// The field's path inside the resource, `spec.retry.tries`; empty outside one.
    pub path: Arc<str>,
}

/// A value that remembers where it was written.
#[derive(Clone, Debug)]
pub struct Spot<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}

impl<T> Deref for Spot<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Something that keeps a design from being used.
#[derive(Clone, Debug)]
pub struct Mistake {
    /// A stable word for the kind of mistake, `unknown-field`.
    pub code: &'static str,
    /// Where.
    pub place: Place,
    /// Other places that have a part in it.
    pub also: Vec<Place>,
    /// What was found, as a sentence's first half.
    pub found: String,
    /// What was expected instead.
    pub expected: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

impl Mistake {
    /// A mistake at `place`: what was found, as a sentence's first half, and what was expected.
    #[must_use]
    pub fn new(
        code: &'static str,
        place: &Place,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        let (found, expected) = (found.into(), expected.into());
        Self { code, place: place.clone(), also: Vec::new(), found, expected, hint: None }
    }

    /// Says what to do about it.
    pub fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names another place that has a part in it.
    pub fn also(&mut self, place: Place) -> &mut Self {
        self.also.push(place);
        self
    }
}

/// The mistakes of a reading, up to a limit.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    list: Vec<Mistake>,
    dropped: usize,
    /// What is handed out, and forgotten, once the list is full.
    last: Option<Mistake>,
}

impl Mistakes {
    /// Notes a mistake.
    pub(crate) fn add(
        &mut self,
        code: &'static str,
        place: &Place,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> &mut Mistake {
        let mistake = Mistake::new(code, place, found, expected);
        if self.list.len() < MISTAKES_MAX {
            let index = self.list.len();
            self.list.push(mistake);
            return &mut self.list[index];
        }
        self.dropped += 1;
        self.last.insert(mistake)
    }

    /// Whether there is none so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Takes over the mistakes of another reading, each changed by `change`.
    pub(crate) fn take_over(&mut self, other: Self, change: impl Fn(&mut Mistake)) {
        for mistake in other.list {
            let own = self.add(mistake.code, &mistake.place, "", "");
            *own = mistake;
            change(own);
        }
        self.dropped += other.dropped;
        self.last = self.last.take().or(other.last);
    }

    /// Whether nothing more is kept: then the details need not be worked out.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= MISTAKES_MAX
    }

    /// Whether there is one like this.
    pub(crate) fn any(&self, like: impl Fn(&Mistake) -> bool) -> bool {
        self.list.iter().any(like)
    }

    /// All of them as they stand in the texts, and one more that counts what the limit cut off.
    pub(crate) fn into_list(mut self, order: impl Fn(&str) -> Option<usize>) -> Vec<Mistake> {
        self.list.sort_by_cached_key(|mistake| {
            let Place { file, line, column, .. } = &mistake.place;
            (order(file), *line, *column)
        });
        if let Some(last) = self.last {
            let found = format!("{} more mistakes", self.dropped);
            self.list.push(Mistake::new("too-many", &last.place, found, "fewer; mend those above first"));
        }
        self.list
    }
}

/// Something worth saying that keeps nothing from being used.
#[derive(Clone, Debug)]
pub struct Note {
    /// What is noted, `Deployment`.
    pub subject: String,
    /// Why, `not read: a kind of another system`.
    pub text: String,
    /// How many documents it is about.
    pub count: usize,
    /// Where it was met first.
    pub place: Place,
}
