//! Connections that read, each on a thread of its own.
//!
//! A read sees the state of the latest commit that had returned when it began, whole and durable, and waits neither
//! for the writer nor for a checkpoint. It is one short transaction: a long one would keep the log from beginning again.

use crate::error::Error;
use crate::file::File;
use crate::metrics::{Metrics, add};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

type Job = Box<dyn FnOnce(Result<&Connection, Error>) -> Keep + Send>;

/// Whether a connection is good for another job.
enum Keep {
    Yes,
    No,
}

pub(crate) struct Readers {
    jobs: Mutex<Jobs>,
    ready: Condvar,
    room: Arc<Semaphore>,
    slots: Vec<Mutex<Option<Connection>>>,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<(Job, OwnedSemaphorePermit)>,
    closed: bool,
}

impl Readers {
    pub(crate) fn new(count: usize, waiting_max: usize) -> Self {
        Self {
            jobs: Mutex::default(),
            ready: Condvar::new(),
            room: Arc::new(Semaphore::new(waiting_max)),
            slots: (0..count).map(|_| Mutex::new(None)).collect(),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.slots.len()
    }

    /// Does `work` in one read transaction.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing; work that has begun is ended and its answer dropped.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| Error::closed())?;
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            let result = db.and_then(|db| in_transaction(db, work));
            let keep = if result.as_ref().is_err_and(Error::is_of_file) { Keep::No } else { Keep::Yes };
            let _ = answer.send(result);
            keep
        });
        self.queue(job, room)?;
        answered.await.map_err(|_| Error::closed())?
    }

    fn queue(&self, job: Job, room: OwnedSemaphorePermit) -> Result<(), Error> {
        let mut jobs = self.lock();
        if jobs.closed {
            return Err(Error::closed());
        }
        jobs.waiting.push_back((job, room));
        drop(jobs);
        self.ready.notify_one();
        Ok(())
    }

    /// Serves jobs with connection `n` until there are none and never will be.
    pub(crate) fn run(&self, n: usize, file: &File, metrics: &Metrics) {
        while let Some((job, _room)) = self.take() {
            let mut slot = self.slots[n].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if slot.is_none() {
                match file.reader() {
                    Ok(db) => *slot = Some(db),
                    Err(error) => {
                        job(Err(error));
                        continue;
                    }
                }
            }
            let keep = slot.as_ref().map_or(Keep::No, |db| job(Ok(db)));
            if matches!(keep, Keep::No) {
                *slot = None;
            }
            add(&metrics.reads, 1);
        }
        *self.slots[n].lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }

    /// Closes all connections, for the file to be opened anew; each job that follows opens its own. Waits for the
    /// jobs under way.
    pub(crate) fn close_connections(&self) {
        for slot in &self.slots {
            *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
        }
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.ready.notify_all();
    }

    fn take(&self) -> Option<(Job, OwnedSemaphorePermit)> {
        let mut jobs = self.lock();
        loop {
            if let Some(job) = jobs.waiting.pop_front() {
                return Some(job);
            }
            if jobs.closed {
                return None;
            }
            jobs = self.ready.wait(jobs).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn in_transaction<T>(
    db: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    let doing = |e| Error::sqlite("read", e);
    db.prepare_cached("BEGIN").and_then(|mut begin| begin.execute([])).map_err(doing)?;
    let result = work(db);
    let ended = db.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
    if ended.is_err() && !db.is_autocommit() {
        let _ = db.execute_batch("ROLLBACK");
    }
    result
}
