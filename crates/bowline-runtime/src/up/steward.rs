//! What is left of a process that was replaced: the parent of the services it started.
//!
//! They would die with it. So it stays, and ends with its successor: the leash's other end closes when
//! the successor stops, however it does. A successor that is replaced in turn hands its end of the leash
//! on. One thing can be said on the leash, a line `stop NAME`: the successor runs that service otherwise.

use super::programs::Programs;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use tokio::io::{AsyncBufReadExt, BufReader};

/// What asks a steward to stop one service.
const STOP: &str = "stop ";

/// Keeps the services until the leash's other end closes or nothing is left to keep, then stops them.
pub(super) async fn keep(mut programs: Programs, leash: UnixStream) {
    if let Err(error) = obey(&mut programs, leash).await {
        tracing::warn!(%error, "the leash to the successor broke");
    }
    programs.stop().await;
}

async fn obey(programs: &mut Programs, leash: UnixStream) -> io::Result<()> {
    leash.set_nonblocking(true)?;
    let mut lines = BufReader::new(tokio::net::UnixStream::from_std(leash)?).lines();
    while programs.children() > 0 {
        let Some(line) = lines.next_line().await? else { return Ok(()) };
        if let Some(name) = line.strip_prefix(STOP) {
            programs.stop_one(name).await;
        }
    }
    Ok(())
}

/// Asks the steward on `leash` to stop a service.
///
/// # Errors
/// It is gone.
pub(super) fn stop(mut leash: &UnixStream, name: &str) -> io::Result<()> {
    leash.write_all(format!("{STOP}{name}\n").as_bytes())
}
