//! What waits to be sent: bounded, and silent unless a batch is full.
//!
//! A worker that woke the exporting thread for each request would pay a system call for each. So it only puts the
//! record down; the thread looks when its delay is over, or is woken when there is enough for a batch.

use crate::clock::Until;
use crate::spans::Told;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many of them make a batch: OpenTelemetry's own number (OTEL_BSP_MAX_EXPORT_BATCH_SIZE).
pub(crate) const BATCH: usize = 512;

/// Requests and calls that wait.
#[derive(Debug)]
pub(crate) struct Queue {
    max: usize,
    waiting: Mutex<Waiting>,
    enough: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    records: Vec<Told>,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, waiting: Mutex::default(), enough: Condvar::new(), dropped: AtomicU64::new(0) }
    }

    /// Puts what was told down, or drops and counts it.
    pub(crate) fn put(&self, told: Told) {
        let mut waiting = self.lock();
        if self.max <= waiting.records.len() || waiting.closed {
            drop(waiting);
            self.count_dropped(1);
            return;
        }
        waiting.records.push(told);
        let enough = waiting.records.len() == BATCH;
        drop(waiting);
        if enough {
            self.enough.notify_one();
        }
    }

    /// Waits at most `delay` for a batch and takes what is there; `None`: it is closed and empty.
    pub(crate) fn take(&self, delay: Duration) -> Option<Vec<Told>> {
        let until = Until::after(delay);
        let mut waiting = self.lock();
        while waiting.records.len() < BATCH && !waiting.closed && !until.left().is_zero() {
            let woken = self.enough.wait_timeout(waiting, until.left());
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        if waiting.closed && waiting.records.is_empty() {
            return None;
        }
        let next = Vec::with_capacity(waiting.records.len().min(BATCH));
        Some(std::mem::replace(&mut waiting.records, next))
    }

    /// Takes nothing more; what waits is taken without delay.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.enough.notify_all();
    }

    pub(crate) fn count_dropped(&self, records: u64) {
        self.dropped.fetch_add(records, Ordering::Relaxed);
    }

    /// Records that were not sent.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spans::tests::record;
    use std::sync::Arc;

    #[test]
    fn a_full_queue_drops_and_counts() {
        let queue = Queue::new(2);
        for _ in 0..5 {
            queue.put(Told::Request(Arc::new(record())));
        }
        assert_eq!(queue.dropped(), 3);
        assert_eq!(queue.take(Duration::ZERO).unwrap().len(), 2);
    }

    #[test]
    fn a_full_batch_does_not_wait_for_the_delay() {
        let queue = Queue::new(BATCH);
        for _ in 0..BATCH {
            queue.put(Told::Request(Arc::new(record())));
        }
        assert_eq!(queue.take(Duration::MAX / 4).unwrap().len(), BATCH);
    }

    #[test]
    fn a_closed_queue_gives_what_waits_and_then_ends() {
        let queue = Queue::new(9);
        queue.put(Told::Request(Arc::new(record())));
        queue.close();
        queue.put(Told::Request(Arc::new(record())));
        assert_eq!(queue.take(Duration::MAX / 4).map(|records| records.len()), Some(1));
        assert!(queue.take(Duration::MAX / 4).is_none());
        assert_eq!(queue.dropped(), 1);
    }
}
