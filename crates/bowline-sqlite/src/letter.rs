//! [`Letter`]: a record that was set aside, with all that is needed to deliver it after all.

use crate::error::{Error, Reason};
use crate::format;
use crate::record::{PARTITIONS_MAX, POSITION_MAX, PartitionId, Record, wall};
use crate::topic::Limits;
use bowline_lane::{Class, Key};
use bowline_model::WallTime;
use bytes::Bytes;
use rusqlite::{Connection, params};

/// One partition of a topic, as one group sees it. The topic need not be one of this store's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The topic's name.
    pub topic: String,
    /// The group's name.
    pub group: String,
    /// The number of the partition in the topic.
    pub partition: u32,
}

/// A record that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Whose it is.
    pub slot: Slot,
    /// Where it was.
    pub position: u64,
    /// What it says.
    pub record: Record,
    /// Why it is dead. None, if it waits behind one of its key that is, and is fine itself as far as anybody knows.
    pub class: Option<Class>,
    /// Whether later records of its key have to follow it.
    pub parks: bool,
    /// How often it was delivered in vain.
    pub deliveries: u32,
    /// When it was set aside, to the millisecond.
    pub at: WallTime,
    /// What was said about the last failure, for people.
    pub detail: String,
}

impl Letter {
    /// What its checksum is bound to.
    pub(crate) fn row(&self) -> Result<i64, Error> {
        if self.slot.partition > PARTITIONS_MAX || self.position > POSITION_MAX {
            let (partition, position) = (self.slot.partition, self.position);
            let message = format!("partition {partition}, position {position} is beyond what can be stored");
            return Err(Error::failed(Reason::TooLarge, message));
        }
        Ok(PartitionId(self.slot.partition).row(self.position))
    }
}

/// What was set aside, first position first.
pub(crate) fn list(db: &Connection, slot: &Slot, from: u64, limits: Limits) -> Result<Vec<Letter>, Error> {
    let doing = |e| Error::sqlite("read dead letters", e);
    let select = r#"SELECT position, class, parks, deliveries, at, detail, body FROM letter
        WHERE topic = ?1 AND "group" = ?2 AND partition = ?3 AND position >= ?4 ORDER BY position LIMIT ?5"#;
    let mut select = db.prepare_cached(select).map_err(doing)?;
    let from = from.min(POSITION_MAX) as i64;
    let of = params![slot.topic, slot.group, slot.partition, from, limits.records.max(1)];
    let mut rows = select.query(of).map_err(doing)?;
    let (mut letters, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next().map_err(doing)? {
        let position = row.get::<_, i64>(0).map_err(doing)? as u64;
        let at = row.get(4).map_err(doing)?;
        let body = Bytes::from(row.get::<_, Vec<u8>>(6).map_err(doing)?);
        bytes += body.len();
        if bytes > limits.bytes && !letters.is_empty() {
            break;
        }
        let broken = |what: &dyn std::fmt::Display| {
            let Slot { topic, group, partition } = slot;
            let place = format!("{topic}/{partition} at {position} for `{group}`");
            Error::failed(Reason::Corrupt, format!("the dead letter {place} {what}; verify the store"))
        };
        let record = format::decode(&body, PartitionId(slot.partition).row(position), at);
        let class: Option<String> = row.get(1).map_err(doing)?;
        let class = class
            .map(|word| Class::from_word(&word).ok_or_else(|| broken(&format!("has class `{word}`"))))
            .transpose()?;
        letters.push(Letter {
            slot: slot.clone(),
            position,
            record: record.map_err(|e| broken(&e))?,
            class,
            parks: row.get(2).map_err(doing)?,
            deliveries: row.get(3).map_err(doing)?,
            at: wall(at),
            detail: row.get(5).map_err(doing)?,
        });
    }
    Ok(letters)
}

/// Keys of which something was set aside that later records must not overtake.
pub(crate) fn parked(db: &Connection, slot: &Slot) -> Result<Vec<Key>, Error> {
    let doing = |e| Error::sqlite("read parked keys", e);
    let select = r#"SELECT DISTINCT key FROM letter
        WHERE topic = ?1 AND "group" = ?2 AND partition = ?3 AND parks = 1 AND key IS NOT NULL ORDER BY key"#;
    let mut select = db.prepare_cached(select).map_err(doing)?;
    let of = params![slot.topic, slot.group, slot.partition];
    let keys = select.query_map(of, |row| Ok(Key::new(row.get_ref(0)?.as_blob()?)));
    keys.and_then(Iterator::collect).map_err(doing)
}
