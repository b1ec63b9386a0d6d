//! The design: read, checked and resolved, once, for everybody. Text in, design out; this crate opens no
//! file, reads no clock and draws no number.
//!
//! In reading order:
//! - [`mistake`]: [`Text`], a text with a name; [`Place`], where something stands in it; [`Mistake`]
//! - [`kinds`]: what a design is made of, one file a kind; Istio's kinds and ours
//! - [`fn@read`]: all documents of all texts, past every mistake
//! - [`resolve()`]: documents to a [`Design`], each value with where it came from; [`resolve_arm()`]: one
//!   variant of it
//! - [`resolved`]: what a design is once everything in it is settled
//! - [`routing`]: which route a request takes; the proxy, `explain` and `test` ask the same code
//! - [`graph`]: who calls whom
//! - [`explain`], [`route_test`]: what would happen to a request, and whether that is what was wanted
//! - [`hosts_file`]: a file that lists endpoints, read while a design runs
//! - [`schema()`]: our kinds for editors
//! - [`yaml`]: the tree below all of it, for importers of other formats
//! - [`format`](mod@format): how values are written
//!
//! ```
//! use bowline_design::Text;
//!
//! let text = Text {
//!     name: "policies.yaml".into(),
//!     text: "kind: Policy
//! metadata: { name: payments }
//! spec:
//!   targets: [ { service: payment } ]
//!   deadlin: 300ms
//! "
//!     .to_owned(),
//! };
//! let texts = [text];
//! let reading = bowline_design::read(&texts);
//! let mistake = &reading.mistakes[0];
//! assert_eq!((mistake.code, mistake.place.line, mistake.place.column), ("unknown-field", 5, 3));
//! assert_eq!(mistake.hint.as_deref(), Some("did you mean `deadline`?"));
//! println!("{}", mistake.render(&texts, false));
//! ```

pub mod explain;
pub mod format;
pub mod graph;
pub mod hosts_file;
pub mod kinds;
pub mod mistake;
mod read;
mod resolve;
pub mod resolved;
pub mod route_test;
pub mod routing;
pub mod schema;
pub mod yaml;

pub use mistake::{Mistake, Note, Place, Spot, Text};
pub use read::read;
pub use resolve::{ALLOW, TRY, load, resolve, resolve_arm};
pub use resolved::{Design, Source, Sourced};
pub use schema::schema;

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
