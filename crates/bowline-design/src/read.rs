//! Text to documents.

pub(crate) mod record;
