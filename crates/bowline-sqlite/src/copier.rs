//! Checkpoints: the log is copied into the file beside the writer's work, not inside a commit.
//!
//! A thread copies while commits go on. Commits that came meanwhile are left over, and the writer copies those few
//! itself between two batches; then the log begins again from its start, in place. Who reads an old state keeps the
//! log from beginning again, which is why reads are short.

use crate::error::Error;
use crate::file::{self, File};
use crate::metrics::{Metrics, add};
use rusqlite::Connection;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Copier {
    state: Mutex<State>,
    wanted: Condvar,
    connection: Mutex<Option<Connection>>,
    pages: u32,
    /// Nobody copies beside the writer.
    alone: bool,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// The log is left alone until it is that long.
    not_before: u32,
    closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Wanted,
    Copying,
    /// All but what came meanwhile.
    Copied,
}

impl Copier {
    pub(crate) fn new(pages: u32, alone: bool) -> Self {
        let state = State { phase: Phase::Idle, not_before: pages, closed: false };
        Self { state: Mutex::new(state), wanted: Condvar::new(), connection: Mutex::new(None), pages, alone }
    }

    /// The writer looks after each batch how long the log is.
    pub(crate) fn look(&self, log_pages: u32, db: &Connection, metrics: &Metrics) {
        let mut state = self.lock();
        if log_pages < self.pages {
            state.not_before = self.pages;
        }
        if log_pages < state.not_before {
            return;
        }
        match state.phase {
            Phase::Idle if !self.alone => {
                state.phase = Phase::Wanted;
                self.wanted.notify_one();
            }
            Phase::Idle | Phase::Copied => {
                // A reader that keeps the log is asked again after a quarter more.
                state.phase = Phase::Idle;
                state.not_before = log_pages.saturating_add(self.pages.div_ceil(4));
                drop(state);
                // A failure shows at the next commit, if it is one of the disk.
                let _ = file::checkpoint(db, "PASSIVE");
                add(&metrics.checkpoints, 1);
            }
            Phase::Wanted | Phase::Copying => (),
        }
    }

    /// Copies when the writer asks for it; returns after `span`, or at once when closed. Answers whether it is.
    pub(crate) fn serve(&self, span: Duration, file: &File, metrics: &Metrics) -> bool {
        let idle = |state: &mut State| !state.closed && state.phase != Phase::Wanted;
        let waited = self.wanted.wait_timeout_while(self.lock(), span, idle);
        let (mut state, _) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        if state.closed {
            return true;
        }
        if state.phase == Phase::Wanted {
            state.phase = Phase::Copying;
            drop(state);
            let copied = self.copy(file);
            add(&metrics.checkpoints, u64::from(copied.is_ok()));
            // A failure leaves the rest to the writer, who will meet the same failure or none.
            self.lock().phase = Phase::Copied;
        }
        false
    }

    /// Closes the connection, for the file to be opened anew.
    pub(crate) fn close_connection(&self) {
        *self.connection.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wanted.notify_all();
    }

    fn copy(&self, file: &File) -> Result<(), Error> {
        let mut connection = self.connection.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let db = match connection.take() {
            Some(db) => db,
            None => file.copier()?,
        };
        let copied = file::checkpoint(&db, "PASSIVE");
        if copied.is_ok() {
            *connection = Some(db);
        }
        copied.map(|_| ())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
