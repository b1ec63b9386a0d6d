//! [`Topic`]: append to its partitions, read them, follow them; [`Group`]: how far its readers are.

use crate::directory::{Keep, TopicEntry};
use crate::error::{Error, Reason};
use crate::format;
use crate::record::{PartitionId, Record, Stored, wall};
use crate::store::Shared;
use crate::write::{Appended, Class, Write};
use bowline_model::WallTime;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
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

    /// The group of that name. It need not exist: without a cursor it begins at 0.
    #[must_use]
    pub fn group(&self, name: &str) -> Group {
        Group { topic: self.clone(), name: name.to_owned() }
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

/// Readers that share the work of a topic, and what the store knows of how far they are.
#[derive(Clone, Debug)]
pub struct Group {
    topic: Topic,
    name: String,
}

/// How far a group is in one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// All before it is settled.
    pub cursor: u64,
    /// None from here on was handed out.
    pub fetched: u64,
    /// Settled ahead of the cursor, in order.
    pub settled: Vec<u64>,
    /// Deliveries in vain, of positions that had any.
    pub deliveries: BTreeMap<u64, u32>,
    /// Parked keys, each with the position that it was parked for.
    pub parked: BTreeMap<Bytes, u64>,
}

/// A record that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// What [`Write::discard`] names it by. Later letters have larger ids.
    pub id: u64,
    /// The number of its partition in the topic.
    pub partition: u32,
    /// The record, as it was appended.
    pub stored: Stored,
    /// The kind of failure.
    pub class: String,
    /// What happened.
    pub detail: String,
    /// How often it was tried.
    pub deliveries: u32,
    /// When it was set aside.
    pub at: WallTime,
}

impl Group {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How far it is in a partition.
    ///
    /// # Errors
    /// [`Reason::TopicUnknown`], [`Reason::Io`], [`Reason::Closed`].
    pub async fn progress(&self, partition: u32) -> Result<Progress, Error> {
        let id = self.topic.partition(partition)?;
        let group = self.name.clone();
        let read = move |db: &Connection| {
            progress(db, &group, id).map_err(|e| Error::sqlite("read a group's progress", e))
        };
        self.topic.shared.readers.read(read).await
    }

    /// Dead letters of the group in this topic, oldest first, from behind the letter with id `after` on.
    ///
    /// # Errors
    /// [`Reason::Corrupt`] names the letter that does not match its checksum; [`Reason::Io`], [`Reason::Closed`].
    pub async fn letters(&self, after: u64, limits: Limits) -> Result<Vec<Letter>, Error> {
        let partitions = self.topic.entry.partitions.clone();
        let group = self.name.clone();
        self.topic.shared.readers.read(move |db| letters(db, &group, &partitions, after, limits)).await
    }
}

fn bounds(db: &Connection, partition: PartitionId) -> Result<Bounds, Error> {
    let doing = |e| Error::sqlite("read a partition's bounds", e);
    let mut select = db.prepare_cached("SELECT first, next FROM partition WHERE id = ?1").map_err(doing)?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Bounds { first: row.get::<_, i64>(0)? as u64, next: row.get::<_, i64>(1)? as u64 })
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
    let Bounds { first, next } = bounds(db, partition)?;
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

fn progress(db: &Connection, group: &str, partition: PartitionId) -> rusqlite::Result<Progress> {
    let of = params![group, partition.0];
    let cursor = r#"SELECT position, fetched FROM cursor WHERE "group" = ?1 AND partition = ?2"#;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64));
    let (cursor, fetched) = db.prepare_cached(cursor)?.query_row(of, read).optional()?.unwrap_or((0, 0));
    let settled = r#"SELECT position FROM settled WHERE "group" = ?1 AND partition = ?2 ORDER BY position"#;
    let mut settled = db.prepare_cached(settled)?;
    let settled = settled.query_map(of, |row| Ok(row.get::<_, i64>(0)? as u64))?;
    let deliveries = r#"SELECT position, count FROM delivery WHERE "group" = ?1 AND partition = ?2"#;
    let mut deliveries = db.prepare_cached(deliveries)?;
    let deliveries = deliveries.query_map(of, |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))?;
    let parked = r#"SELECT key, position FROM parked WHERE "group" = ?1 AND partition = ?2"#;
    let mut parked = db.prepare_cached(parked)?;
    let parked = parked
        .query_map(of, |row| Ok((Bytes::from(row.get::<_, Vec<u8>>(0)?), row.get::<_, i64>(1)? as u64)))?;
    Ok(Progress {
        cursor,
        fetched,
        settled: settled.collect::<rusqlite::Result<_>>()?,
        deliveries: deliveries.collect::<rusqlite::Result<_>>()?,
        parked: parked.collect::<rusqlite::Result<_>>()?,
    })
}

fn letters(
    db: &Connection,
    group: &str,
    partitions: &[PartitionId],
    after: u64,
    limits: Limits,
) -> Result<Vec<Letter>, Error> {
    let doing = |e| Error::sqlite("read dead letters", e);
    let select = r#"SELECT id, partition, position, class, detail, deliveries, at, record_at, body
        FROM letter WHERE "group" = ?1 AND id > ?2 ORDER BY id"#;
    let mut select = db.prepare_cached(select).map_err(doing)?;
    let mut rows = select.query(params![group, after as i64]).map_err(doing)?;
    let (mut letters, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next().map_err(doing)? {
        let id = PartitionId(row.get(1).map_err(doing)?);
        // A group's name may be in use at several topics.
        let Some(partition) = partitions.iter().position(|partition| *partition == id) else { continue };
        let body = Bytes::from(row.get::<_, Vec<u8>>(8).map_err(doing)?);
        bytes += body.len();
        if letters.len() == limits.records.max(1) as usize || (bytes > limits.bytes && !letters.is_empty()) {
            break;
        }
        let letter = row.get::<_, i64>(0).map_err(doing)? as u64;
        let position = row.get::<_, i64>(2).map_err(doing)? as u64;
        let record_at = row.get(7).map_err(doing)?;
        let record = format::decode(&body, id.row(position), record_at).map_err(|e| {
            Error::failed(Reason::Corrupt, format!("dead letter {letter} {e}; verify the store"))
        })?;
        letters.push(Letter {
            id: letter,
            partition: partition as u32,
            stored: Stored { position, at: wall(record_at), record },
            class: row.get(3).map_err(doing)?,
            detail: row.get(4).map_err(doing)?,
            deliveries: row.get(5).map_err(doing)?,
            at: wall(row.get(6).map_err(doing)?),
        });
    }
    Ok(letters)
}
