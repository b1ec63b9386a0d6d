//! The design: text in, design out.

pub mod kinds;
pub mod mistake;
mod read;
mod resolve;
pub mod resolved;
pub mod route_test;
pub mod routing;

pub use mistake::{Mistake, Note, Place, Spot, Text};
pub use resolve::{load, resolve};
pub use resolved::{Design, Source, Sourced};

/// What reading gave: all documents, all mistakes, all notes.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Everything that could be read.
    pub documents: kinds::Documents,
    /// Everything that is wrong. With any, the documents are not to be used.
    pub mistakes: Vec<Mistake>,
    /// Everything else worth saying.
    pub notes: Vec<Note>,
}

/// Reads all documents of `texts` and finds all mistakes in them, never just the first.
#[must_use]
pub fn read(_texts: &[Text]) -> Reading {
    Reading::default()
}
