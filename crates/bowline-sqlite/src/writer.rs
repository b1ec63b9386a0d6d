//! The one writer: a thread that takes what waits, applies it in one transaction, syncs once, and answers everybody.
//!
//! Nobody waits for a timer: while one batch is being synced the next one gathers, so that batches are as large as the
//! disk is slow. An answer is given after the commit that covered the request, and SQLite's commit returns after the
//! sync.
//!
//! A request that makes a mistake is rolled back to its savepoint and the batch goes on without it. A failure of the
//! file fails the batch: before the commit everybody is told that nothing happened; after a failed commit nobody knows
//! what reached the disk, and the file is opened anew, because whoever goes on after a failed sync trusts pages that the
//! operating system may have forgotten.

use crate::apply::Tables;
use crate::check;
use crate::clock::Moment;
use crate::error::{Error, Reason};
use crate::file;
use crate::heads::Heads;
use crate::metrics::add;
use crate::queue::Waiting;
use crate::store::Shared;
use crate::write::{Step, Write, Written};
use bowline_model::Outcome;
use rusqlite::Connection;
use std::time::Duration;

/// After the first failure to open the file anew; doubled each time.
const REOPEN_AFTER: Duration = Duration::from_millis(50);
/// Not longer: a disk that is back should not stand idle.
const REOPEN_AFTER_MAX: Duration = Duration::from_secs(5);

/// Serves the queue until it is closed. Runs on a thread of its own.
pub(crate) fn run(shared: &Shared, db: Connection, heads: Heads) {
    let mut open = Some((db, heads));
    while let Some((db, heads)) = open.take().or_else(|| reopen(shared)) {
        if serve(shared, &db, heads) {
            // Nothing waits any more: leave a file that needs no recovery. If that fails, the next start recovers.
            let _ = file::checkpoint(&db, "TRUNCATE");
            break;
        }
        shared.readers.close_connections();
        shared.copier.close_connection();
    }
    shared.queue.down(&Error::closed());
}

/// Serves batches; true when the queue is closed and empty, false when the file has to be opened anew.
fn serve(shared: &Shared, db: &Connection, mut heads: Heads) -> bool {
    let mut batch = Vec::new();
    let mut served = Vec::new();
    while shared.queue.take(&mut batch) {
        if let Err(error) = commit(shared, db, &mut heads, &mut batch, &mut served) {
            add(&shared.metrics.commits_failed, 1);
            let everybody = served.drain(..).map(|(waiting, _)| waiting).chain(batch.drain(..));
            let mut count = 0;
            for waiting in everybody {
                count += 1;
                waiting.answer(Err(error.clone()));
            }
            let unknown = error.outcome() == Outcome::Unknown;
            let counter =
                if unknown { &shared.metrics.requests_unknown } else { &shared.metrics.requests_failed };
            add(counter, count);
            if unknown
                || !roll_back(db)
                || matches!(error.reason(), Reason::Io | Reason::Corrupt | Reason::NotOurs)
            {
                return false;
            }
            match Heads::load(db) {
                Ok(loaded) => heads = loaded,
                Err(_) => return false,
            }
        }
        shared.copier.look(shared.file.log_pages(), db, &shared.metrics);
    }
    true
}

/// Applies a batch, commits it, and answers. On an error nobody has been answered, and `served` and `batch` have who
/// waits.
fn commit(
    shared: &Shared,
    db: &Connection,
    heads: &mut Heads,
    batch: &mut Vec<Waiting>,
    served: &mut Vec<(Waiting, Result<Written, Error>)>,
) -> Result<(), Error> {
    statement(db, "BEGIN IMMEDIATE").map_err(|e| Error::sqlite("begin a batch", e))?;
    let now_millis = shared.settings.world.clock.millis();
    // Turned around, so that requests are taken in order and those not yet taken stay where a failure finds them.
    batch.reverse();
    while let Some(waiting) = batch.last_mut() {
        shared.metrics.queue_wait.add_span(waiting.since.elapsed());
        let (settings, metrics) = (&shared.settings, &shared.metrics);
        let mut tables = Tables { db, heads, settings, metrics, now_millis };
        let result = apply(&mut tables, &mut waiting.write);
        if let Err(error) = &result
            && (error.is_of_file() || db.is_autocommit())
        {
            return Err(error.clone());
        }
        served.extend(batch.pop().map(|waiting| (waiting, result)));
    }
    heads.flush(db)?;
    let syncing = Moment::now();
    statement(db, "COMMIT").map_err(Error::sqlite_at_commit)?;
    shared.metrics.sync.add_span(syncing.elapsed());
    if heads.publish(&shared.directory) {
        // The topics are durable; if they cannot be read back now, the next start reads them.
        let _ = shared.directory.load(db);
    }
    answer(shared, served);
    Ok(())
}

/// Applies one request inside a savepoint of its own.
fn apply(tables: &mut Tables<'_>, write: &mut Write) -> Result<Written, Error> {
    let db = tables.db;
    let one_statement = write.is_one_statement();
    if !one_statement {
        statement(db, "SAVEPOINT request").map_err(|e| Error::sqlite("begin a request", e))?;
    }
    let result = tables.apply(write);
    match &result {
        Ok(_) => tables.heads.keep_request(),
        Err(error) if error.is_of_file() => return result,
        Err(_) => {
            tables.heads.undo_request();
            if !one_statement {
                statement(db, "ROLLBACK TO request").map_err(|e| Error::sqlite("take a request back", e))?;
            }
        }
    }
    if !one_statement {
        statement(db, "RELEASE request").map_err(|e| Error::sqlite("end a request", e))?;
    }
    result
}

fn answer(shared: &Shared, served: &mut Vec<(Waiting, Result<Written, Error>)>) {
    let metrics = &shared.metrics;
    add(&metrics.commits, 1);
    metrics.batch_requests.add(served.len() as u64);
    let (mut done, mut records, mut bytes) = (0, 0, 0);
    let count = served.len() as u64;
    for (waiting, result) in served.drain(..) {
        if result.is_ok() {
            done += 1;
            for step in &waiting.write.steps {
                if let Step::Append { bodies, .. } = step {
                    records += bodies.len() as u64;
                    bytes += bodies.iter().map(Vec::len).sum::<usize>() as u64;
                }
            }
        }
        waiting.answer(result);
    }
    add(&metrics.requests, done);
    add(&metrics.requests_failed, count - done);
    add(&metrics.records, records);
    add(&metrics.record_bytes, bytes);
}

fn statement(db: &Connection, sql: &str) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// SQLite has rolled back by itself after some errors; after others it waits to be told.
fn roll_back(db: &Connection) -> bool {
    db.is_autocommit() || statement(db, "ROLLBACK").is_ok()
}

/// Opens the file anew, as often as it takes; none if the store is closed meanwhile. All other connections are closed,
/// so that SQLite reads the log again instead of believing what it remembers of it.
fn reopen(shared: &Shared) -> Option<(Connection, Heads)> {
    let mut wait = REOPEN_AFTER;
    loop {
        let opened = shared.file.writer().and_then(|db| {
            check::tails(&db)?;
            file::settle_log(&db)?;
            shared.directory.load(&db)?;
            let heads = Heads::load(&db)?;
            Ok((db, heads))
        });
        match opened {
            Ok(opened) => {
                add(&shared.metrics.reopened, 1);
                shared.queue.up();
                return Some(opened);
            }
            Err(error) => {
                let message = format!("the store opens its file anew after a failure; for now: {error}");
                shared.queue.down(&Error::refused(Reason::Reopening, message));
            }
        }
        if shared.queue.pause(wait) {
            return None;
        }
        wait = (wait * 2).min(REOPEN_AFTER_MAX);
    }
}
