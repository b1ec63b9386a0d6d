//! [`Heads`]: where each partition begins and ends, as the writer's transaction has it.
//!
//! The writer is alone, so it keeps these figures in memory and writes each changed row once a batch instead of once
//! a record. What one request changed can be taken back with its savepoint.

use crate::directory::Directory;
use crate::error::{Error, Reason};
use crate::record::PartitionId;
use rusqlite::Connection;
use std::collections::HashMap;

/// One partition's row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) first: u64,
    pub(crate) next: u64,
    pub(crate) last_at: i64,
    pub(crate) bytes: u64,
    pub(crate) cleaned: u64,
    /// Whether every record needs a key, because the latest of each is kept.
    pub(crate) keyed: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Heads {
    all: HashMap<PartitionId, Head>,
    /// Changed in this batch: what each was before it, if it was there.
    before_batch: HashMap<PartitionId, Option<Head>>,
    /// What the request under way changed, as it was, in order.
    before_request: Vec<(PartitionId, Option<Head>)>,
    /// A topic is new or another one.
    topics_changed: bool,
}

impl Heads {
    pub(crate) fn load(db: &Connection) -> Result<Self, Error> {
        let all = read(db).map_err(|e| Error::sqlite("read the partitions", e))?;
        Ok(Self { all, ..Self::default() })
    }

    pub(crate) fn get(&self, partition: PartitionId) -> Result<Head, Error> {
        self.all.get(&partition).copied().ok_or_else(|| {
            Error::failed(Reason::TopicUnknown, format!("there is no partition with id {}", partition.0))
        })
    }

    pub(crate) fn set(&mut self, partition: PartitionId, head: Head) {
        let before = self.all.insert(partition, head);
        self.before_batch.entry(partition).or_insert(before);
        self.before_request.push((partition, before));
    }

    /// The topics have to be read again once the batch is durable. Reading them once too often is no harm, so this is
    /// not taken back.
    pub(crate) fn topics_changed(&mut self) {
        self.topics_changed = true;
    }

    /// The request is kept.
    pub(crate) fn keep_request(&mut self) {
        self.before_request.clear();
    }

    /// The request is rolled back.
    pub(crate) fn undo_request(&mut self) {
        while let Some((partition, before)) = self.before_request.pop() {
            match before {
                Some(before) => self.all.insert(partition, before),
                None => self.all.remove(&partition),
            };
        }
    }

    /// Writes the rows that this batch changed.
    pub(crate) fn flush(&self, db: &Connection) -> Result<(), Error> {
        let doing = |e| Error::sqlite("write the partitions' ends", e);
        let sql = "UPDATE partition SET first = ?2, next = ?3, last_at = ?4, bytes = ?5, cleaned = ?6 WHERE id = ?1";
        let mut update = db.prepare_cached(sql).map_err(doing)?;
        for partition in self.before_batch.keys() {
            // One that a request made and its rollback took away has no row either.
            let Some(head) = self.all.get(partition) else { continue };
            let row = [
                i64::from(partition.0),
                head.first as i64,
                head.next as i64,
                head.last_at,
                head.bytes as i64,
                head.cleaned as i64,
            ];
            update.execute(row).map_err(doing)?;
        }
        Ok(())
    }

    /// The batch is durable: whoever waits for a partition's end is told. Answers whether topics changed.
    pub(crate) fn publish(&mut self, directory: &Directory) -> bool {
        let mut changed = std::mem::take(&mut self.topics_changed);
        for (partition, before) in self.before_batch.drain() {
            let Some(head) = self.all.get(&partition) else { continue };
            changed |= before.is_none();
            if before.is_none_or(|before| before.next != head.next) {
                directory.moved(partition, head.next);
            }
        }
        self.before_request.clear();
        changed
    }
}

fn read(db: &Connection) -> rusqlite::Result<HashMap<PartitionId, Head>> {
    let mut rows = db.prepare(
        "SELECT partition.id, first, next, last_at, bytes, cleaned, tombstone_millis IS NOT NULL
        FROM partition JOIN topic ON topic.id = partition.topic",
    )?;
    let rows = rows.query_map([], |row| {
        let head = Head {
            first: row.get::<_, i64>(1)? as u64,
            next: row.get::<_, i64>(2)? as u64,
            last_at: row.get(3)?,
            bytes: row.get::<_, i64>(4)? as u64,
            cleaned: row.get::<_, i64>(5)? as u64,
            keyed: row.get(6)?,
        };
        Ok((PartitionId(row.get(0)?), head))
    })?;
    rows.collect()
}
