//! The seam where this crate asks for entropy; its time comes from [`bowline_call::Clock`].

use std::hash::{BuildHasher, RandomState};

/// A seed that differs from process to process: the standard library's own hash keys, which it takes
/// from the operating system.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one(0x0b0e_11e5_u32)
}
