//! What each change of a request does to the tables.
//!
//! Runs on the writer's thread, inside its transaction. An error that says nothing about the file itself is the
//! request's own: its savepoint is rolled back and the others of the batch never notice.

use crate::directory::{Keep, TopicSpec, check_name, columns_of_keep};
use crate::error::{Error, Reason};
use crate::format;
use crate::groups;
use crate::heads::{Head, Heads};
use crate::letter::{Letter, Slot};
use crate::metrics::Metrics;
use crate::record::{PARTITIONS_MAX, POSITION_MAX, PartitionId, millis, wall};
use crate::settings::Settings;
use crate::upkeep;
use crate::write::{Appended, Claimed, Step, Write, Written};
use bowline_lane::Cursor;
use rusqlite::{Connection, OptionalExtension, params};

/// What a request is applied to.
pub(crate) struct Tables<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) heads: &'a mut Heads,
    pub(crate) settings: &'a Settings,
    pub(crate) metrics: &'a Metrics,
    pub(crate) now_millis: i64,
}

impl Tables<'_> {
    /// Makes all changes of a request, in order. A request may be applied again after a rollback.
    pub(crate) fn apply(&mut self, write: &mut Write) -> Result<Written, Error> {
        let mut written = Written::default();
        for step in &mut write.steps {
            match step {
                Step::CreateTopic { name, spec } => self.create_topic(name, *spec)?,
                Step::Append { partition, bodies, keys } => {
                    let appended = self.append(*partition, bodies, *keys)?;
                    written.appended.push(appended);
                }
                Step::Claim { group, partition } => {
                    let claimed = self.claim(group, *partition)?;
                    written.claimed.push(claimed);
                }
                Step::Commit { group, partition, epoch, cursor } => {
                    self.commit(group, *partition, *epoch, cursor)?;
                }
                Step::SetAside(letter) => self.set_aside(letter)?,
                Step::Discard { slot, position } => {
                    let was_there = self.discard(slot, *position)?;
                    written.discarded.push(was_there);
                }
                Step::Upkeep(step) => written.more = upkeep::step(self, *step)?,
            }
        }
        Ok(written)
    }

    fn create_topic(&mut self, name: &str, spec: TopicSpec) -> Result<(), Error> {
        let doing = |e| Error::sqlite(&format!("create topic `{name}`"), e);
        check_name("topic", name)?;
        if spec.partitions == 0 {
            return Err(Error::failed(
                Reason::BadValue,
                format!("topic `{name}` needs at least one partition"),
            ));
        }
        let keep = columns_of_keep(spec.keep);
        let find = "SELECT keep_millis, keep_bytes, tombstone_millis,
                (SELECT count(*) FROM partition WHERE topic = topic.id) FROM topic WHERE name = ?1";
        let found = self.db.query_row(find, [name], |row| {
            Ok(([row.get(0)?, row.get(1)?, row.get(2)?], row.get::<_, u32>(3)?))
        });
        if let Some((kept, partitions)) = found.optional().map_err(doing)? {
            let kept: [Option<i64>; 3] = kept;
            if partitions != spec.partitions || kept[2].is_some() != keep[2].is_some() {
                return Err(Error::failed(
                    Reason::TopicDiffers,
                    format!(
                        "topic `{name}` exists, with {partitions} partitions or with another kind of `keep`"
                    ),
                ));
            }
            if kept != keep {
                let update = "UPDATE topic SET keep_millis = ?2, keep_bytes = ?3, tombstone_millis = ?4
                    WHERE name = ?1";
                self.db.execute(update, params![name, keep[0], keep[1], keep[2]]).map_err(doing)?;
                self.heads.topics_changed();
            }
            return Ok(());
        }
        let insert =
            "INSERT INTO topic (name, keep_millis, keep_bytes, tombstone_millis) VALUES (?1, ?2, ?3, ?4)";
        self.db.execute(insert, params![name, keep[0], keep[1], keep[2]]).map_err(doing)?;
        let topic = self.db.last_insert_rowid();
        let last: Option<u32> =
            self.db.query_row("SELECT max(id) FROM partition", [], |row| row.get(0)).map_err(doing)?;
        let last = last.unwrap_or(0);
        if spec.partitions > PARTITIONS_MAX - last {
            let message = format!("topic `{name}` goes beyond the store's {PARTITIONS_MAX} partitions");
            return Err(Error::failed(Reason::TooLarge, message));
        }
        let mut insert = self
            .db
            .prepare_cached("INSERT INTO partition VALUES (?1, ?2, ?3, 0, 0, 0, 0, 0)")
            .map_err(doing)?;
        for number in 0..spec.partitions {
            let id = last + 1 + number;
            insert.execute(params![id, topic, number]).map_err(doing)?;
            let keyed = matches!(spec.keep, Keep::Latest { .. });
            self.heads.set(PartitionId(id), Head { keyed, ..Head::default() });
        }
        Ok(())
    }

    fn append(
        &mut self,
        partition: PartitionId,
        bodies: &mut [Vec<u8>],
        keys: bool,
    ) -> Result<Appended, Error> {
        let doing = |e| Error::sqlite("append a record", e);
        let mut head = self.heads.get(partition)?;
        if head.keyed && !keys {
            let message = "the topic keeps the latest of each key, and a record has none";
            return Err(Error::failed(Reason::BadValue, message));
        }
        let count = bodies.len() as u64;
        if count > POSITION_MAX - head.next {
            return Err(Error::failed(
                Reason::TooLarge,
                "the partition has had all the records it can ever have",
            ));
        }
        let appended = Appended { first: head.next, count, at: wall(self.now_millis.max(head.last_at)) };
        head.last_at = self.now_millis.max(head.last_at);
        let mut insert = self.db.prepare_cached("INSERT INTO record VALUES (?1, ?2, ?3)").map_err(doing)?;
        for body in bodies {
            let row = partition.row(head.next);
            format::seal(body, row, head.last_at);
            insert.execute(params![row, head.last_at, &*body]).map_err(doing)?;
            head.next += 1;
            head.bytes += body.len() as u64;
        }
        self.heads.set(partition, head);
        Ok(appended)
    }

    fn claim(&mut self, group: &str, partition: PartitionId) -> Result<Claimed, Error> {
        let doing = |e| Error::sqlite("claim a partition", e);
        check_name("group", group)?;
        self.heads.get(partition)?;
        let upsert = "INSERT INTO cursor VALUES (?1, ?2, 1, NULL)
            ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch, body";
        let mut upsert = self.db.prepare_cached(upsert).map_err(doing)?;
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?));
        let (epoch, body) = upsert.query_row(params![group, partition.0], read).map_err(doing)?;
        Ok(Claimed { epoch, cursor: groups::decode(group, body)? })
    }

    fn commit(
        &mut self,
        group: &str,
        partition: PartitionId,
        epoch: u64,
        cursor: &Cursor,
    ) -> Result<(), Error> {
        let doing = |e| Error::sqlite("write a cursor", e);
        let end = self.heads.get(partition)?.next;
        let settled = cursor.settled.last().map_or(0, |range| range.end);
        let delivered = cursor.deliveries.last_key_value().map_or(0, |(offset, _)| offset.saturating_add(1));
        let alone = cursor.alone.map_or(0, |offset| offset.saturating_add(1));
        let furthest = cursor.floor.max(cursor.marked).max(settled).max(delivered).max(alone);
        if furthest > end {
            let message =
                format!("the cursor of `{group}` goes to {furthest}, and the partition ends at {end}");
            return Err(Error::failed(Reason::BadCursor, message));
        }
        let update = "UPDATE cursor SET body = ?4 WHERE \"group\" = ?1 AND partition = ?2 AND epoch = ?3";
        let mut update = self.db.prepare_cached(update).map_err(doing)?;
        let row = params![group, partition.0, epoch as i64, format::encode_cursor(cursor)];
        if update.execute(row).map_err(doing)? == 0 {
            let message = format!("epoch {epoch} of `{group}` is over: the partition has another owner");
            return Err(Error::failed(Reason::Fenced, message));
        }
        Ok(())
    }

    fn set_aside(&mut self, letter: &Letter) -> Result<(), Error> {
        let doing = |e| Error::sqlite("set a record aside", e);
        let Letter { slot, position, record, class, parks, deliveries, at, detail } = letter;
        let millis = millis(*at);
        let row_id = letter.row()?;
        let mut body = format::encode(record);
        format::seal(&mut body, row_id, millis);
        let insert = "INSERT INTO letter
            (topic, \"group\", partition, position, key, class, parks, deliveries, at, detail, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING";
        let mut insert = self.db.prepare_cached(insert).map_err(doing)?;
        insert
            .execute(params![
                slot.topic,
                slot.group,
                slot.partition,
                *position as i64,
                record.key.as_deref(),
                class.map(bowline_lane::Class::as_str),
                parks,
                deliveries,
                millis,
                detail,
                body,
            ])
            .map_err(doing)?;
        Ok(())
    }

    fn discard(&mut self, slot: &Slot, position: u64) -> Result<bool, Error> {
        let doing = |e| Error::sqlite("remove a dead letter", e);
        let delete = "DELETE FROM letter
            WHERE topic = ?1 AND \"group\" = ?2 AND partition = ?3 AND position = ?4";
        let mut delete = self.db.prepare_cached(delete).map_err(doing)?;
        let of = params![slot.topic, slot.group, slot.partition, position.min(POSITION_MAX) as i64];
        Ok(delete.execute(of).map_err(doing)? > 0)
    }
}
