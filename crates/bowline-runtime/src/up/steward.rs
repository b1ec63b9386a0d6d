//! What is left of a process that was replaced: the parent of the services it started.
//!
//! They would die with it. So it stays, does nothing, and ends with its successor: the leash's other end
//! closes when the successor stops, however it does. A successor that is replaced in turn hands its end
//! of the leash on.

use super::programs::Programs;
use std::io;
use std::os::unix::net::UnixStream;
use tokio::io::AsyncReadExt;

/// Keeps the services until the leash's other end closes, then stops them.
pub(super) async fn keep(programs: Programs, leash: UnixStream) {
    if let Err(error) = wait(leash).await {
        tracing::warn!(%error, "the leash to the successor broke");
    }
    programs.stop().await;
}

async fn wait(leash: UnixStream) -> io::Result<()> {
    leash.set_nonblocking(true)?;
    let mut leash = tokio::net::UnixStream::from_std(leash)?;
    let mut ignored = [0_u8; 64];
    while leash.read(&mut ignored).await? > 0 {}
    Ok(())
}
