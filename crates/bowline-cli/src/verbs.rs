//! What the program can be asked, one file a verb.

pub(crate) mod advise;
pub(crate) mod check;
pub(crate) mod design;
pub(crate) mod experiment;
pub(crate) mod explain;
pub(crate) mod fault;
pub(crate) mod import;
pub(crate) mod mended;
pub(crate) mod schema;
pub(crate) mod simulate;
pub(crate) mod sweep;
pub(crate) mod test;
pub(crate) mod top;
pub(crate) mod up;
pub(crate) mod version;
