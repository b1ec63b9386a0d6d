//! A wait for the client, over as many polls as it takes.

use super::limits::Pace;
use bowline_call::{Alarm, Clock};
use bowline_model::Instant;
use std::task::{Context, Poll};
use std::time::Duration;

/// What the client owes while we wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owed {
    Nothing,
    Request,
    Head,
    Body,
    Reading,
}

/// A wait for the client, over as many polls as it takes.
#[derive(Debug)]
pub(crate) struct Wait {
    alarm: Alarm,
    pub(crate) owed: Owed,
    until: Instant,
    /// What has moved since the wait began.
    bytes: usize,
    /// Whether we still wait, or were called away and the client is not to blame for the time since.
    pub(crate) blocked: bool,
}

impl Wait {
    pub(crate) const fn new(clock: Clock) -> Self {
        Self { alarm: Alarm::new(clock), owed: Owed::Nothing, until: Instant::FAR, bytes: 0, blocked: false }
    }

    /// Ready once `owed` has been owed for as long as `patience`.
    pub(crate) fn poll(&mut self, owed: Owed, patience: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let clock = self.alarm.clock();
        let was_away = owed == Owed::Body && !self.blocked;
        self.blocked = true;
        if owed == Owed::Nothing {
            self.done();
            return Poll::Pending;
        }
        if self.owed != owed || (was_away && self.until <= clock.now()) {
            self.owed = owed;
            self.until = clock.now() + patience;
            self.bytes = 0;
        }
        self.alarm.poll(self.until, cx)
    }

    /// The client owes nothing.
    pub(crate) fn done(&mut self) {
        self.owed = Owed::Nothing;
    }

    /// The client did some of it: enough for now if it keeps the pace.
    pub(crate) fn progressed(&mut self, bytes: usize, pace: Pace) {
        self.blocked = false;
        self.bytes += bytes;
        if pace.bytes <= self.bytes {
            self.done();
        }
    }
}
