//! What everybody may know without asking the file: topics, their partitions, and how far each is durable.

use crate::error::{Error, Reason};
use crate::record::PartitionId;
use rusqlite::Connection;
use std::collections::HashMap;
use std::sync::{Arc, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::sync::watch;

/// What becomes of a topic's records in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// They stay until retention removes them, oldest first: once they are older than `age`, or once a partition has
    /// more than `bytes`. Without either they stay for good. Whether somebody has read them is not asked.
    All {
        /// How long, to the millisecond.
        age: Option<Duration>,
        /// How many bytes of records a partition has at most; a step of upkeep later, that is.
        bytes: Option<u64>,
    },
    /// The latest of each key stays; earlier ones are removed some time after it was appended.
    Latest {
        /// How long a tombstone is there to be seen.
        tombstones: Duration,
    },
}

/// What a topic is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Into how many parts it is split, at least one.
    pub partitions: u32,
    /// What becomes of its records.
    pub keep: Keep,
}

impl TopicSpec {
    /// A topic whose records stay for good.
    #[must_use]
    pub fn new(partitions: u32) -> Self {
        Self { partitions, keep: Keep::All { age: None, bytes: None } }
    }

    /// The same, with another fate for its records.
    #[must_use]
    pub fn keeping(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }
}

/// A topic as it stands in the file.
#[derive(Debug)]
pub(crate) struct TopicEntry {
    pub(crate) name: String,
    pub(crate) keep: Keep,
    pub(crate) partitions: Vec<PartitionId>,
}

/// All topics, and for each partition the position that the next record will get. A record before that is durable.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    topics: RwLock<HashMap<String, Arc<TopicEntry>>>,
    ends: RwLock<HashMap<PartitionId, watch::Sender<u64>>>,
}

impl Directory {
    /// Takes over what the file has; partitions that are known already are told their ends.
    pub(crate) fn load(&self, db: &Connection) -> Result<(), Error> {
        let topics = read_topics(db).map_err(|e| Error::sqlite("read the topics", e))?;
        let ends = read_ends(db).map_err(|e| Error::sqlite("read the partitions", e))?;
        for (partition, end) in ends {
            self.moved(partition, end);
        }
        *write(&self.topics) =
            topics.into_iter().map(|topic| (topic.name.clone(), Arc::new(topic))).collect();
        Ok(())
    }

    pub(crate) fn topic(&self, name: &str) -> Option<Arc<TopicEntry>> {
        read(&self.topics).get(name).map(Arc::clone)
    }

    /// All topics, by name.
    pub(crate) fn topics(&self) -> Vec<Arc<TopicEntry>> {
        let mut topics: Vec<_> = read(&self.topics).values().map(Arc::clone).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        topics
    }

    /// Tells who waits that the partition is durable up to `end`.
    pub(crate) fn moved(&self, partition: PartitionId, end: u64) {
        if let Some(sender) = read(&self.ends).get(&partition) {
            sender.send_replace(end);
            return;
        }
        write(&self.ends).entry(partition).or_insert_with(|| watch::Sender::new(end)).send_replace(end);
    }

    /// A watch over the partition's end.
    pub(crate) fn watch(&self, partition: PartitionId) -> Option<watch::Receiver<u64>> {
        read(&self.ends).get(&partition).map(watch::Sender::subscribe)
    }

    /// Ends every watch.
    pub(crate) fn close(&self) {
        write(&self.ends).clear();
    }
}

fn read_topics(db: &Connection) -> rusqlite::Result<Vec<TopicEntry>> {
    let mut topics =
        db.prepare("SELECT id, name, keep_millis, keep_bytes, tombstone_millis FROM topic ORDER BY id")?;
    let mut partitions = db.prepare("SELECT id FROM partition WHERE topic = ?1 ORDER BY number")?;
    let rows = topics.query_map([], |row| {
        let keep = keep_of_columns(row.get(2)?, row.get(3)?, row.get(4)?);
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, keep))
    })?;
    let mut all = Vec::new();
    for row in rows {
        let (id, name, keep) = row?;
        let ids = partitions.query_map([id], |row| Ok(PartitionId(row.get(0)?)))?;
        all.push(TopicEntry { name, keep, partitions: ids.collect::<rusqlite::Result<_>>()? });
    }
    Ok(all)
}

fn read_ends(db: &Connection) -> rusqlite::Result<Vec<(PartitionId, u64)>> {
    let mut ends = db.prepare("SELECT id, next FROM partition")?;
    let rows = ends.query_map([], |row| Ok((PartitionId(row.get(0)?), row.get::<_, i64>(1)? as u64)))?;
    rows.collect()
}

fn keep_of_columns(millis: Option<i64>, bytes: Option<i64>, tombstones: Option<i64>) -> Keep {
    let span = |millis: i64| Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    match tombstones {
        Some(tombstones) => Keep::Latest { tombstones: span(tombstones) },
        None => Keep::All { age: millis.map(span), bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()) },
    }
}

/// The three columns that say what is kept.
pub(crate) fn columns_of_keep(keep: Keep) -> [Option<i64>; 3] {
    let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    match keep {
        Keep::All { age, bytes } => {
            [age.map(millis), bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)), None]
        }
        Keep::Latest { tombstones } => [None, None, Some(millis(tombstones))],
    }
}

/// A topic's name: what can stand in a metric's label, an address and a broker's topic.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Error> {
    /// Kafka's limit.
    const NAME_LEN_MAX: usize = 249;
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > NAME_LEN_MAX || !name.chars().all(fits) {
        return Err(Error::failed(
            Reason::BadValue,
            format!("{what} `{name}` is none: write 1 to {NAME_LEN_MAX} letters, digits, `.`, `_` or `-`"),
        ));
    }
    Ok(())
}

// Nobody panics while holding these locks: what they guard is replaced or looked at, nothing else.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}
