//! How a connection is told to come to its end.

/// How a connection is to come to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// Not at all.
    #[default]
    None,
    /// At once if it is idle, else after the answer under way.
    Graceful,
    /// Now.
    Now,
}
