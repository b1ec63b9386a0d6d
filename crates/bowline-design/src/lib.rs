//! The design: text in, design out.

pub mod format;
pub mod explain;
pub mod graph;
pub mod kinds;
pub mod mistake;
mod read;
pub mod schema;
mod resolve;
pub mod resolved;
pub mod route_test;
pub mod routing;

pub use mistake::{Mistake, Note, Place, Spot, Text};
pub use read::read;
pub use schema::schema;
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
