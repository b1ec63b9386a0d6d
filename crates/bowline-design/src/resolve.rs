//! Documents in, design out.

use crate::mistake::Mistake;
use crate::resolved::Design;
use crate::{Reading, Text};

/// Works out what all documents together mean.
///
/// # Errors
/// Everything that keeps the design from being used: the mistakes of reading, or, where there are
/// none, those that only show when documents meet.
pub fn resolve(reading: &Reading) -> Result<Design, Vec<Mistake>> {
    if reading.mistakes.is_empty() { Ok(Design::default()) } else { Err(reading.mistakes.clone()) }
}

/// Reads and resolves.
///
/// # Errors
/// All mistakes of all texts.
pub fn load(texts: &[Text]) -> Result<Design, Vec<Mistake>> {
    resolve(&crate::read(texts))
}
