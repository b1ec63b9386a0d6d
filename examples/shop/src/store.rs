//! One SQLite file, one thread that writes it, one sync for all who wait.
//!
//! Why a thread: SQLite has one writer anyway, and its calls block. Why batches: a sync to the disk takes
//! as long for twenty changes as for one, so whatever arrived while the last sync ran goes into the next
//! together. Each change keeps a savepoint of its own, so that one that fails takes no other with it, and
//! nobody is answered before the sync is through.

use crate::reply::Reply;
use axum::http::StatusCode;
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The changes that may wait. At a millisecond a sync they are gone in a fraction of a second; whoever
/// comes when it is full is told so at once instead of waiting for an answer that comes too late.
const WAITING_MAX: usize = 1_024;

/// The changes that share one sync: enough to make the sync cheap, few enough that the first does not
/// wait long for the last.
const BATCH_MAX: usize = 128;

/// How long to wait for a predecessor that is still closing the file.
const BUSY_WAIT: Duration = Duration::from_secs(2);

/// A handle to the file; clones share the thread, and the last one to go stops it.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
}

/// Tells when the last handle is gone and the file is closed.
pub struct Closed(oneshot::Receiver<()>);

impl Closed {
    /// Waits until the file is closed.
    pub async fn wait(self) {
        let _dropped = self.0.await;
    }
}

/// A change to make. It answers what to tell its asker once the commit went one way or the other.
type Job = Box<dyn FnOnce(&mut rusqlite::Transaction<'_>) -> Tell + Send>;

/// Tells the asker, given whether the commit is on the disk.
type Tell = Box<dyn FnOnce(bool) + Send>;

/// Why the store did not do what it was asked.
#[derive(Debug)]
pub enum StoreError {
    /// Too many changes wait already. Nothing happened.
    Busy,
    /// SQLite refused this change, which was rolled back. Nothing happened.
    Refused(rusqlite::Error),
    /// The commit failed: the change may or may not be on the disk.
    Unknown,
}

impl Store {
    /// Opens `path`, makes it if needed, and brings it to `schema`.
    ///
    /// # Errors
    /// The file cannot be opened, or another process has it: two processes that both settle the same
    /// orders would be worse than one that does not start.
    pub fn open(path: &Path, schema: &str) -> rusqlite::Result<(Self, Closed)> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_WAIT)?;
        // WAL with full synchronisation: a commit is on the disk when it returns.
        connection.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
        )?;
        connection.execute_batch(schema)?;
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let (closing, closed) = oneshot::channel();
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                write_batches(connection, waiting);
                drop(closing);
            })
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Ok((Self { jobs }, Closed(closed)))
    }

    /// Runs `work` in a transaction and answers when it is on the disk.
    ///
    /// # Errors
    /// [`StoreError`] says whether anything happened.
    ///
    /// # Cancel safety
    /// Work whose asker has gone before its turn is not done: nobody would know of it. Work that has
    /// begun is finished.
    pub async fn run<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |batch| {
            if tell.is_closed() {
                return Box::new(|_| ());
            }
            let result = batch.savepoint().and_then(|savepoint| {
                let value = work(&savepoint)?; // an error drops the savepoint, which rolls it back
                savepoint.commit()?;
                Ok(value)
            });
            Box::new(move |durable| {
                let _gone = tell.send(match result {
                    Ok(_) if !durable => Err(StoreError::Unknown),
                    other => other.map_err(StoreError::Refused),
                });
            })
        });
        self.jobs.try_send(job).map_err(|_| StoreError::Busy)?;
        told.await.unwrap_or(Err(StoreError::Unknown))
    }
}

/// Takes what waits, commits it together, then tells everybody.
fn write_batches(mut connection: Connection, mut waiting: mpsc::Receiver<Job>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut tells = Vec::new();
        let durable = connection.transaction().and_then(|mut batch| {
            tells.push(first(&mut batch));
            while tells.len() < BATCH_MAX
                && let Ok(next) = waiting.try_recv()
            {
                tells.push(next(&mut batch));
            }
            batch.commit()
        });
        if let Err(error) = &durable {
            eprintln!("the commit of {} changes failed: {error}", tells.len());
        }
        tells.into_iter().for_each(|tell| tell(durable.is_ok()));
    }
}

/// What a caller hears of a store in trouble.
impl From<StoreError> for Reply {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::problem(
                StatusCode::TOO_MANY_REQUESTS,
                "too many requests wait for the database",
                "ask again in a second",
            ),
            StoreError::Refused(error) => {
                eprintln!("the database refused a change: {error}");
                Self::problem(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the database refused",
                    "see the service's log",
                )
            }
            StoreError::Unknown => Self::problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the database did not confirm: this may or may not have happened",
                "ask again with the same Idempotency-Key",
            ),
        }
    }
}
