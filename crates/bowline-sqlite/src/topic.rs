//! [`Topic`]: append to its partitions, read them, follow them.

use crate::directory::{Keep, TopicEntry};
use crate::error::{Error, Reason};
use crate::format;
use crate::groups;
use crate::record::{PartitionId, Record, Stored, wall};
use crate::store::Shared;
use crate::write::{Appended, Class, Write};
use bowline_lane::Cursor;
use bowline_model::WallTime;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// A topic of an open store. Cheap to clone.
#[derive(Clone)]
pub struct Topic {
    shared: Arc<Shared>,
    entry: Arc<TopicEntry>,
}

/// How much one read brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records at most; at least one is asked for.
    pub records: u32,
    /// Bytes of them at most; one record is brought whatever its size.
    pub bytes: usize,
}

impl Default for Limits {
    /// 500 records, as Kafka's consumers poll, and 1 MiB.
    fn default() -> Self {
        Self { records: 500, bytes: 1 << 20 }
    }
}

/// What one read brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In order. Where records have been compacted away, positions are left out.
    pub records: Vec<Stored>,
    /// Where to read on.
    pub next: u64,
    /// What the partition had when this was read.
    pub bounds: Bounds,
}

/// The positions that a partition has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Records before it are gone.
    pub first: u64,
    /// What is appended next gets it. All before it is durable.
    pub next: u64,
    /// Bytes of the records that are there, as stored.
    pub bytes: u64,
}

impl Topic {
    pub(crate) fn new(shared: Arc<Shared>, entry: Arc<TopicEntry>) -> Self {
        Self { shared, entry }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// What becomes of its records.
    #[must_use]
    pub fn keep(&self) -> Keep {
        self.entry.keep
    }

    /// Its partitions, in order of their numbers.
    #[must_use]
    pub fn partitions(&self) -> &[PartitionId] {
        &self.entry.partitions
    }

    /// The partition of that number, as requests name it.
    ///
    /// # Errors
    /// [`Reason::TopicUnknown`].
    pub fn partition(&self, number: u32) -> Result<PartitionId, Error> {
        self.entry.partitions.get(number as usize).copied().ok_or_else(|| {
            let (name, count) = (&self.entry.name, self.entry.partitions.len());
            Error::failed(
                Reason::TopicUnknown,
                format!("topic `{name}` has {count} partitions, and no {number}"),
            )
        })
    }

    /// Appends records to a partition, one after the other, all or none. Returns when they are on the disk.
    ///
    /// # Errors
    /// As [`Store::write`](crate::Store::write).
    ///
    /// # Cancel safety
    /// As [`Store::write`](crate::Store::write).
    pub async fn append(&self, partition: u32, records: &[Record]) -> Result<Appended, Error> {
        let partition = self.partition(partition)?;
        let written = self.shared.write(Class::Bulk, Write::new().append(partition, records)).await?;
        // One append in, one answer out.
        written.appended.first().copied().ok_or_else(Error::lost)
    }

    /// Reads a partition from a position on. Before its beginning means its beginning; at its end nothing is there yet.
    ///
    /// # Errors
    /// [`Reason::Corrupt`] names the record that does not match its checksum; [`Reason::Io`], [`Reason::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn read(&self, partition: u32, from: u64, limits: Limits) -> Result<Page, Error> {
        let id = self.partition(partition)?;
        let place = format!("{}/{partition}", self.entry.name);
        self.shared.readers.read(move |db| read_page(db, id, from, limits, &place)).await
    }

    /// The positions that a partition has.
    ///
    /// # Errors
    /// [`Reason::TopicUnknown`], [`Reason::Io`], [`Reason::Closed`].
    pub async fn bounds(&self, partition: u32) -> Result<Bounds, Error> {
        let id = self.partition(partition)?;
        self.shared.readers.read(move |db| bounds(db, id)).await
    }

    /// The position of the first record that is not stamped earlier than `at`: the end, if there is none.
    ///
    /// # Errors
    /// As [`Topic::bounds`].
    pub async fn position_at(&self, partition: u32, at: WallTime) -> Result<u64, Error> {
        let id = self.partition(partition)?;
        // Stamps are whole milliseconds: the first that is not before `at` is at the next of them.
        let millis = i64::try_from(at.as_unix_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
        self.shared.readers.read(move |db| position_at(db, id, millis)).await
    }

    /// Follows a partition from a position on.
    ///
    /// # Errors
    /// [`Reason::TopicUnknown`]; [`Reason::Closed`].
    pub fn tail(&self, partition: u32, from: u64) -> Result<Tail, Error> {
        let end = self.shared.directory.watch(self.partition(partition)?).ok_or_else(Error::closed)?;
        Ok(Tail { topic: self.clone(), partition, next: from, limits: Limits::default(), end })
    }

    /// How far a group is in a partition; none if it has written no cursor yet.
    ///
    /// # Errors
    /// [`Reason::TopicUnknown`]; [`Reason::Corrupt`], if the cursor does not match its checksum; [`Reason::Io`],
    /// [`Reason::Closed`].
    pub async fn cursor(&self, group: &str, partition: u32) -> Result<Option<Cursor>, Error> {
        let id = self.partition(partition)?;
        let group = group.to_owned();
        self.shared.readers.read(move |db| groups::cursor(db, &group, id)).await
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic").field("name", &self.entry.name).finish_non_exhaustive()
    }
}

/// A partition, followed: each call brings what came since, and waits where nothing did. Nothing is polled; the commit
/// that makes records durable wakes who waits for them.
#[derive(Debug)]
pub struct Tail {
    topic: Topic,
    partition: u32,
    next: u64,
    limits: Limits,
    end: watch::Receiver<u64>,
}

impl Tail {
    /// With other limits for one page.
    #[must_use]
    pub fn limited(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Where it reads next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// The next page with at least one record.
    ///
    /// # Errors
    /// As [`Topic::read`]; [`Reason::Closed`] when the store is closed while it waits.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next call brings the same records.
    pub async fn next(&mut self) -> Result<Page, Error> {
        loop {
            let end = *self.end.borrow_and_update();
            if self.next < end {
                let page = self.topic.read(self.partition, self.next, self.limits).await?;
                self.next = page.next;
                if !page.records.is_empty() {
                    return Ok(page);
                }
            } else {
                self.end.changed().await.map_err(|_| Error::closed())?;
            }
        }
    }
}

fn bounds(db: &Connection, partition: PartitionId) -> Result<Bounds, Error> {
    let doing = |e| Error::sqlite("read a partition's bounds", e);
    let mut select =
        db.prepare_cached("SELECT first, next, bytes FROM partition WHERE id = ?1").map_err(doing)?;
    let read = |row: &rusqlite::Row<'_>| {
        let get = |column| row.get::<_, i64>(column).map(|value| value as u64);
        Ok(Bounds { first: get(0)?, next: get(1)?, bytes: get(2)? })
    };
    select.query_row([partition.0], read).map_err(doing)
}

fn read_page(
    db: &Connection,
    partition: PartitionId,
    from: u64,
    limits: Limits,
    place: &str,
) -> Result<Page, Error> {
    let doing = |e| Error::sqlite("read records", e);
    let bounds = bounds(db, partition)?;
    let from = from.max(bounds.first);
    let mut page = Page { records: Vec::new(), next: from, bounds };
    let mut select = db
        .prepare_cached("SELECT id, at, body FROM record WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3")
        .map_err(doing)?;
    let range = params![partition.row(from), partition.row(bounds.next), limits.records.max(1)];
    let mut rows = select.query(range).map_err(doing)?;
    let mut bytes = 0;
    while let Some(row) = rows.next().map_err(doing)? {
        let (id, at): (i64, i64) = (row.get(0).map_err(doing)?, row.get(1).map_err(doing)?);
        let body = row.get_ref(2).and_then(|body| body.as_blob().map_err(Into::into)).map_err(doing)?;
        bytes += body.len();
        if bytes > limits.bytes && !page.records.is_empty() {
            return Ok(page);
        }
        let position = PartitionId::of_row(id).1;
        let record = format::decode(&Bytes::copy_from_slice(body), id, at).map_err(|e| {
            let message = format!("the record {place} at {position} {e}; verify the store");
            Error::failed(Reason::Corrupt, message)
        })?;
        page.records.push(Stored { position, at: wall(at), record });
        page.next = position + 1;
    }
    // Fewer than asked for: there is nothing more, and what was compacted away at the end is behind us.
    if page.records.len() < limits.records.max(1) as usize {
        page.next = page.next.max(bounds.next);
    }
    Ok(page)
}

/// Stamps never go back within a partition, so the first is found by halving.
fn position_at(db: &Connection, partition: PartitionId, millis: i64) -> Result<u64, Error> {
    let doing = |e| Error::sqlite("look for a time", e);
    let Bounds { first, next, .. } = bounds(db, partition)?;
    let mut select = db
        .prepare_cached("SELECT id, at FROM record WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1")
        .map_err(doing)?;
    let (mut low, mut high) = (first, next);
    while low < high {
        let middle = low + (high - low) / 2;
        // Where records were compacted away, the next that is left speaks for them.
        let range = [partition.row(middle), partition.row(high)];
        let found = select.query_row(range, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        match found.optional().map_err(doing)? {
            Some((id, at)) if at < millis => low = PartitionId::of_row(id).1 + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}
