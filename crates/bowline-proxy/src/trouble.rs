//! What keeps TLS from being spoken, and tokens from being verified.

use bowline_call::tls::TlsError;
use std::error::Error;
use std::fmt;

/// Somebody whose files cannot be used: of certificates, or of an issuer's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Who: `gateway NAME`, `service NAME` or `issuer NAME`.
    pub user: String,
    /// The file or the name that is at fault.
    pub about: String,
    /// Why.
    pub why: String,
    /// Whether what was read before serves on; else nothing does.
    pub kept: bool,
}

impl Trouble {
    pub(crate) fn new(user: String, error: &TlsError, kept: bool) -> Self {
        let why = error.source().map(ToString::to_string).unwrap_or_default();
        Self { user, about: error.about.clone(), why, kept }
    }

    /// Says it to whoever runs this.
    pub(crate) fn log(&self) {
        let Self { user, about, why, kept } = self;
        match kept {
            true => {
                tracing::error!(user, about, why, "a file cannot be used; what was read before serves on");
            }
            false => tracing::error!(user, about, why, "a file cannot be used; nothing is served there"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: cannot use {}: {}", self.user, self.about, self.why)
    }
}
