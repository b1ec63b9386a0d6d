//! Where answers are read: one buffer a thread, not a connection.
//!
//! A read never outlives its poll, so all connections of a worker take turns with one buffer, which
//! thereby stays in the processor's cache; an idle connection weighs nothing. What is wanted of it is
//! copied out once, in one piece of exactly its size.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// What one read takes at most; as much as a loopback segment carries.
const BYTES: usize = 64 << 10;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads once from `io` and shows what came; nothing at its end.
pub(crate) fn read<R>(
    io: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    show: impl FnOnce(&[u8]) -> R,
) -> Poll<io::Result<R>> {
    let mut buffer = BUFFER.take();
    if buffer.is_empty() {
        buffer.resize(BYTES, 0);
    }
    let result = (|| {
        let mut filled = ReadBuf::new(&mut buffer);
        ready!(Pin::new(io).poll_read(cx, &mut filled))?;
        Poll::Ready(Ok(show(filled.filled())))
    })();
    BUFFER.set(buffer);
    result
}
