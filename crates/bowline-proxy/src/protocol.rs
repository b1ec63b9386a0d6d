//! Which HTTP is spoken.

use std::fmt;

/// Which HTTP is spoken on one side of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP/1.1, or 1.0.
    #[default]
    Http1,
    /// HTTP/2.
    Http2,
}

impl Protocol {
    /// Both, in declaration order.
    pub const ALL: [Self; 2] = [Self::Http1, Self::Http2];

    /// `h1` or `h2`, as metrics and trails have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "h1",
            Self::Http2 => "h2",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
