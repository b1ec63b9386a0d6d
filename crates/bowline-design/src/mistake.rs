//! Where something stands in the texts, and what is wrong there.

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
    /// The field's path inside the document, `spec.retry.tries`; empty outside one.
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
