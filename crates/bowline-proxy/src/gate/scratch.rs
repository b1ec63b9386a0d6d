//! Where bytes are judged before they are passed on: one buffer per thread, not per connection.
//!
//! A buffer in every connection would be most of what an idle one weighs. A read never outlives its poll, so
//! all connections of a worker take turns with one buffer, which thereby stays in the processor's cache.

use std::cell::Cell;

/// What one read takes at most; as much as a loopback segment carries.
pub(crate) const BYTES: usize = 64 << 10;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends the buffer to `work`, [`BYTES`] long. Inside another loan it lends a new one.
pub(crate) fn with<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = BUFFER.take();
    if buffer.is_empty() {
        buffer.resize(BYTES, 0);
    }
    let result = work(&mut buffer);
    BUFFER.set(buffer);
    result
}
