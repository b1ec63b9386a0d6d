//! A design out of what others have. Text or a reader in, a design's text out; no file is opened here.
//!
//! In reading order:
//! - [`isotope()`]: a service graph of Istio's isotope, which says what happens and not under which load
//! - [`otlp()`]: recorded traces, from which graph, times, shares and load are learned
//! - [`Note`]: what was assumed, left out or not understood; nothing is passed over in silence
//!
//! ```
//! use bowline_design::Text;
//!
//! let graph = "services:\n- { name: b }\n- { name: a, isEntrypoint: true, script: [ { call: b } ] }\n";
//! let text = Text { name: "graph.yaml".into(), text: graph.to_owned() };
//! let imported = bowline_import::isotope(&text).unwrap();
//! assert!(imported.design.contains("- call: b.serve"));
//! ```

mod draft;
mod isotope;
mod names;
mod note;
mod otlp;

pub use isotope::isotope;
pub use note::Note;
pub use otlp::otlp;

/// What an import gave.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The design: YAML that `bowline check` and `bowline simulate` read.
    pub design: String,
    /// Everything worth knowing before relying on it.
    pub notes: Vec<Note>,
    /// How many services it has.
    pub services: usize,
    /// How many operations they have.
    pub operations: usize,
    /// The names of its scenarios.
    pub scenarios: Vec<String>,
}
