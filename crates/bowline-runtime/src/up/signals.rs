//! What people send a process.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that are heard.
#[derive(Debug)]
pub(super) struct Signals {
    pub(super) stop: Stop,
    /// Read the design again.
    pub(super) hangup: Signal,
}

/// What asks a process to stop.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) interrupt: Signal,
    pub(super) terminate: Signal,
}

impl Signals {
    /// From now on they have no other effect.
    pub(super) fn new() -> io::Result<Self> {
        let stop =
            Stop { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? };
        Ok(Self { stop, hangup: signal(SignalKind::hangup())? })
    }
}

impl Stop {
    /// Returns when it is asked.
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
