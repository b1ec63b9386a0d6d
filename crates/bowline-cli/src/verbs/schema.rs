//! `bowline schema`: the JSON Schema of our own kinds, for editors.

use crate::{Done, Exit, print};

pub(crate) fn run() -> Done {
    print::json(&bowline_design::schema());
    Ok(Exit::Good)
}
