//! Retention and compaction, in small steps between other work, each giving back the space that it freed.

use crate::apply::Tables;
use crate::directory::Keep;
use crate::error::{Error, Reason};
use crate::format;
use crate::metrics::add;
use crate::record::PartitionId;
use crate::store::Shared;
use crate::write::{Class, Upkeep, Write};
use bytes::Bytes;
use rusqlite::{OptionalExtension, params};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// Free pages that one step gives back to the file system: a quarter of a megabyte, a millisecond or two.
const PAGES_GIVEN_BACK: u32 = 64;
/// Steps for one partition before the next has its turn.
const STEPS_MAX: u32 = 64;

/// Looks after everything once, as the thread does every so often.
///
/// # Errors
/// What the first partition that failed failed with; the others are looked after all the same.
pub(crate) async fn round(shared: &Shared) -> Result<(), Error> {
    let now = shared.settings.world.clock.millis();
    let mut result = Ok(());
    for topic in shared.directory.topics() {
        for partition in &topic.partitions {
            let step = match topic.keep {
                Keep::All { age: None, bytes: None } => continue,
                Keep::All { age, bytes } => {
                    let before_millis = age.map(|age| now.saturating_sub(millis(age)));
                    Upkeep::Trim { partition: *partition, before_millis, bytes }
                }
                Keep::Latest { tombstones } => {
                    let before = now.saturating_sub(millis(tombstones));
                    Upkeep::Compact { partition: *partition, tombstones_before_millis: before }
                }
            };
            result = result.and(repeat(shared, step).await);
        }
    }
    result.and(repeat(shared, Upkeep::GiveBack).await)
}

async fn repeat(shared: &Shared, step: Upkeep) -> Result<(), Error> {
    for _ in 0..STEPS_MAX {
        if !shared.write(Class::Upkeep, Write::upkeep(step)).await?.more {
            break;
        }
    }
    Ok(())
}

fn millis(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Copies the log when asked, and looks after everything every so often. Runs on a thread of its own.
pub(crate) fn run(shared: &Shared) {
    let every = shared.settings.upkeep_every;
    while !shared.copier.serve(every, &shared.file, &shared.metrics) {
        // What failed is tried again next time; a disk that fails shows at the commits.
        let _ = block_on(round(shared));
    }
}

/// One step, on the writer's thread. Answers whether there is more to do.
pub(crate) fn step(tables: &mut Tables<'_>, step: Upkeep) -> Result<bool, Error> {
    match step {
        Upkeep::Trim { partition, before_millis, bytes } => trim(tables, partition, before_millis, bytes),
        Upkeep::Compact { partition, tombstones_before_millis } => {
            let expired = expire(tables, partition, tombstones_before_millis)?;
            Ok(compact(tables, partition)? || expired)
        }
        Upkeep::GiveBack => give_back(tables),
    }
}

/// Removes records from the beginning: those that are too old, and those that are too many.
fn trim(
    tables: &mut Tables<'_>,
    partition: PartitionId,
    before_millis: Option<i64>,
    bytes_max: Option<u64>,
) -> Result<bool, Error> {
    let doing = |e| Error::sqlite("remove old records", e);
    let mut head = tables.heads.get(partition)?;
    let select = "SELECT id, at, length(body) FROM record WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3";
    let mut select = tables.db.prepare_cached(select).map_err(doing)?;
    let range = params![partition.row(head.first), partition.row(head.next), tables.settings.upkeep_step];
    let mut rows = select.query(range).map_err(doing)?;
    let (mut removed, first_before) = (0_u64, head.first);
    while let Some(row) = rows.next().map_err(doing)? {
        let (id, at, len): (i64, i64, u32) =
            (row.get(0).map_err(doing)?, row.get(1).map_err(doing)?, row.get(2).map_err(doing)?);
        let too_old = before_millis.is_some_and(|before| at < before);
        let too_many = bytes_max.is_some_and(|max| head.bytes > max);
        if !(too_old || too_many) {
            break;
        }
        head.first = PartitionId::of_row(id).1 + 1;
        head.bytes = head.bytes.saturating_sub(u64::from(len));
        removed += 1;
    }
    drop(rows);
    if removed == 0 {
        return Ok(false);
    }
    let mut delete =
        tables.db.prepare_cached("DELETE FROM record WHERE id >= ?1 AND id < ?2").map_err(doing)?;
    delete.execute([partition.row(first_before), partition.row(head.first)]).map_err(doing)?;
    tables.heads.set(partition, head);
    add(&tables.metrics.trimmed, removed);
    Ok(removed == u64::from(tables.settings.upkeep_step))
}

/// Walks on over records that came since, and removes those whose key has a later one.
fn compact(tables: &mut Tables<'_>, partition: PartitionId) -> Result<bool, Error> {
    let doing = |e| Error::sqlite("compact a partition", e);
    let mut head = tables.heads.get(partition)?;
    let select = "SELECT id, at, body FROM record WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3";
    let mut select = tables.db.prepare_cached(select).map_err(doing)?;
    let range = params![partition.row(head.cleaned), partition.row(head.next), tables.settings.upkeep_step];
    let rows = select.query_map(range, |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?)));
    let rows: Vec<(i64, i64, Vec<u8>)> = rows.and_then(Iterator::collect).map_err(doing)?;
    let mut find = tables
        .db
        .prepare_cached("SELECT position FROM latest WHERE partition = ?1 AND key = ?2")
        .map_err(doing)?;
    let note = "INSERT INTO latest VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET position = excluded.position, tombstone_at = excluded.tombstone_at";
    let mut note = tables.db.prepare_cached(note).map_err(doing)?;
    let mut removed = 0;
    let seen = rows.len();
    for (id, at, body) in rows {
        let position = PartitionId::of_row(id).1;
        let record = format::decode(&Bytes::from(body), id, at).map_err(|e| {
            let message = format!("the record at {position} of partition id {} {e}", partition.0);
            Error::failed(Reason::Corrupt, message)
        })?;
        head.cleaned = position + 1;
        let Some(key) = record.key else { continue };
        let earlier: Option<i64> =
            find.query_row(params![partition.0, key.as_ref()], |row| row.get(0)).optional().map_err(doing)?;
        if let Some(earlier) = earlier {
            removed += remove(tables, partition, earlier as u64, &mut head.bytes)?;
        }
        let tombstone_at = record.value.is_none().then_some(at);
        note.execute(params![partition.0, key.as_ref(), position as i64, tombstone_at]).map_err(doing)?;
    }
    if seen > 0 {
        tables.heads.set(partition, head);
        add(&tables.metrics.compacted, removed);
    }
    Ok(seen == tables.settings.upkeep_step as usize)
}

/// Removes tombstones that have been there long enough.
fn expire(tables: &mut Tables<'_>, partition: PartitionId, before_millis: i64) -> Result<bool, Error> {
    let doing = |e| Error::sqlite("remove tombstones", e);
    let mut head = tables.heads.get(partition)?;
    let select = "SELECT key, position FROM latest WHERE partition = ?1 AND tombstone_at < ?2 LIMIT ?3";
    let mut select = tables.db.prepare_cached(select).map_err(doing)?;
    let range = params![partition.0, before_millis, tables.settings.upkeep_step];
    let rows = select.query_map(range, |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?)));
    let rows: Vec<(Vec<u8>, i64)> = rows.and_then(Iterator::collect).map_err(doing)?;
    let mut forget =
        tables.db.prepare_cached("DELETE FROM latest WHERE partition = ?1 AND key = ?2").map_err(doing)?;
    let mut removed = 0;
    for (key, position) in &rows {
        removed += remove(tables, partition, *position as u64, &mut head.bytes)?;
        forget.execute(params![partition.0, key]).map_err(doing)?;
    }
    if !rows.is_empty() {
        tables.heads.set(partition, head);
        add(&tables.metrics.compacted, removed);
    }
    Ok(rows.len() == tables.settings.upkeep_step as usize)
}

/// Removes one record; answers how many that were.
fn remove(tables: &Tables<'_>, partition: PartitionId, position: u64, bytes: &mut u64) -> Result<u64, Error> {
    let doing = |e| Error::sqlite("remove a record", e);
    let delete = "DELETE FROM record WHERE id = ?1 RETURNING length(body)";
    let mut delete = tables.db.prepare_cached(delete).map_err(doing)?;
    let len: Option<i64> =
        delete.query_row([partition.row(position)], |row| row.get(0)).optional().map_err(doing)?;
    let Some(len) = len else { return Ok(0) };
    *bytes = bytes.saturating_sub(len as u64);
    Ok(1)
}

/// Gives free pages at the file's end back to the file system.
fn give_back(tables: &mut Tables<'_>) -> Result<bool, Error> {
    let doing = |e| Error::sqlite("give space back", e);
    let free = |tables: &Tables<'_>| -> rusqlite::Result<u32> {
        tables.db.query_row("PRAGMA freelist_count", [], |row| row.get(0))
    };
    if free(tables).map_err(doing)? == 0 {
        return Ok(false);
    }
    // One page a row: the statement has to be walked to its end.
    let mut vacuum =
        tables.db.prepare(&format!("PRAGMA incremental_vacuum({PAGES_GIVEN_BACK})")).map_err(doing)?;
    let mut rows = vacuum.query([]).map_err(doing)?;
    while rows.next().map_err(doing)?.is_some() {}
    drop(rows);
    Ok(free(tables).map_err(doing)? > 0)
}

/// Waits for a future on this thread: upkeep has no runtime, and needs none.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}
