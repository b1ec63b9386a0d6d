//! What each change of a request does to the tables.
//!
//! Runs on the writer's thread, inside its transaction. An error that says nothing about the file itself is the
//! request's own: its savepoint is rolled back and the others of the batch never notice.

use crate::directory::{Keep, TopicSpec, check_name, columns_of_keep};
use crate::error::{Error, Reason};
use crate::format;
use crate::heads::{Head, Heads};
use crate::metrics::Metrics;
use crate::record::{PARTITIONS_MAX, POSITION_MAX, PartitionId, wall};
use crate::settings::Settings;
use crate::upkeep;
use crate::write::{Appended, Blame, Step, Write, Written};
use bytes::Bytes;
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
                Step::Advance { group, partition, to } => self.advance(group, *partition, *to)?,
                Step::Fetched { group, partition, to } => self.fetched(group, *partition, *to)?,
                Step::Released { group, partition } => self.released(group, *partition)?,
                Step::Settle { group, partition, positions } => self.settle(group, *partition, positions)?,
                Step::Count { group, partition, positions } => self.count(group, *partition, positions)?,
                Step::Seek { group, partition, to } => self.seek(group, *partition, *to)?,
                Step::Park { group, partition, key, position } => {
                    self.park(group, *partition, key, *position)?;
                }
                Step::Unpark { group, partition, key } => self.unpark(group, *partition, key)?,
                Step::DeadLetter { group, partition, position, blame } => {
                    let letter = self.dead_letter(group, *partition, *position, blame)?;
                    written.letters.push(letter);
                }
                Step::Discard { letter } => self.discard(*letter)?,
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
            return if (kept, partitions) == (keep, spec.partitions) {
                Ok(())
            } else {
                Err(Error::failed(
                    Reason::TopicDiffers,
                    format!("topic `{name}` exists, with {partitions} partitions or with another `keep`"),
                ))
            };
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

    fn advance(&mut self, group: &str, partition: PartitionId, to: u64) -> Result<(), Error> {
        let doing = |e| Error::sqlite("move a cursor", e);
        self.known(group, partition, to)?;
        let cursor = self.cursor(group, partition)?;
        if to < cursor.position {
            let message =
                format!("the cursor of `{group}` is at {} and was to go back to {to}", cursor.position);
            return Err(Error::failed(Reason::BadCursor, message));
        }
        self.put_cursor(group, partition, Cursor { position: to, fetched: cursor.fetched.max(to) })?;
        for table in ["settled", "delivery"] {
            let sql =
                format!("DELETE FROM {table} WHERE \"group\" = ?1 AND partition = ?2 AND position < ?3");
            let mut delete = self.db.prepare_cached(&sql).map_err(doing)?;
            delete.execute(params![group, partition.0, to as i64]).map_err(doing)?;
        }
        Ok(())
    }

    fn fetched(&mut self, group: &str, partition: PartitionId, to: u64) -> Result<(), Error> {
        self.known(group, partition, to)?;
        let cursor = self.cursor(group, partition)?;
        let most = self.settings.in_flight_max;
        if to.saturating_sub(cursor.position) > most {
            let message = format!("`{group}` has more than {most} positions in flight; settle some first");
            return Err(Error::failed(Reason::TooLarge, message));
        }
        self.put_cursor(group, partition, Cursor { fetched: cursor.fetched.max(to), ..cursor })
    }

    fn released(&mut self, group: &str, partition: PartitionId) -> Result<(), Error> {
        self.heads.get(partition)?;
        let cursor = self.cursor(group, partition)?;
        self.put_cursor(group, partition, Cursor { fetched: cursor.position, ..cursor })
    }

    fn settle(&mut self, group: &str, partition: PartitionId, positions: &[u64]) -> Result<(), Error> {
        let doing = |e| Error::sqlite("settle a record", e);
        let cursor = self.cursor(group, partition)?;
        let insert = "INSERT INTO settled VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        let mut insert = self.db.prepare_cached(insert).map_err(doing)?;
        for position in positions {
            self.existed(group, partition, *position)?;
            if cursor.position <= *position {
                insert.execute(params![group, partition.0, *position as i64]).map_err(doing)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, group: &str, partition: PartitionId, positions: &[u64]) -> Result<(), Error> {
        let doing = |e| Error::sqlite("count a delivery", e);
        let insert =
            "INSERT INTO delivery VALUES (?1, ?2, ?3, 1) ON CONFLICT DO UPDATE SET count = count + 1";
        let mut insert = self.db.prepare_cached(insert).map_err(doing)?;
        for position in positions {
            self.existed(group, partition, *position)?;
            insert.execute(params![group, partition.0, *position as i64]).map_err(doing)?;
        }
        Ok(())
    }

    fn seek(&mut self, group: &str, partition: PartitionId, to: u64) -> Result<(), Error> {
        let doing = |e| Error::sqlite("put a cursor", e);
        self.known(group, partition, to)?;
        self.put_cursor(group, partition, Cursor { position: to, fetched: to })?;
        for table in ["settled", "delivery"] {
            let sql = format!("DELETE FROM {table} WHERE \"group\" = ?1 AND partition = ?2");
            let mut delete = self.db.prepare_cached(&sql).map_err(doing)?;
            delete.execute(params![group, partition.0]).map_err(doing)?;
        }
        Ok(())
    }

    fn park(&mut self, group: &str, partition: PartitionId, key: &Bytes, position: u64) -> Result<(), Error> {
        let doing = |e| Error::sqlite("park a key", e);
        self.existed(group, partition, position)?;
        let insert = "INSERT INTO parked VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
        let mut insert = self.db.prepare_cached(insert).map_err(doing)?;
        let row = params![group, partition.0, key.as_ref(), position as i64, self.now_millis];
        insert.execute(row).map_err(doing)?;
        Ok(())
    }

    fn unpark(&mut self, group: &str, partition: PartitionId, key: &Bytes) -> Result<(), Error> {
        let doing = |e| Error::sqlite("let a key go on", e);
        self.heads.get(partition)?;
        let delete = "DELETE FROM parked WHERE \"group\" = ?1 AND partition = ?2 AND key = ?3";
        let mut delete = self.db.prepare_cached(delete).map_err(doing)?;
        delete.execute(params![group, partition.0, key.as_ref()]).map_err(doing)?;
        Ok(())
    }

    fn dead_letter(
        &mut self,
        group: &str,
        partition: PartitionId,
        position: u64,
        blame: &Blame,
    ) -> Result<u64, Error> {
        let doing = |e| Error::sqlite("write a dead letter", e);
        self.existed(group, partition, position)?;
        let row = partition.row(position);
        let mut select =
            self.db.prepare_cached("SELECT at, body FROM record WHERE id = ?1").map_err(doing)?;
        let found = select.query_row([row], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)));
        let Some((record_at, body)) = found.optional().map_err(doing)? else {
            let message = format!("the record at {position} is gone; there is nothing to set aside");
            return Err(Error::failed(Reason::BadLetter, message));
        };
        let body = Bytes::from(body);
        let record = format::decode(&body, row, record_at)
            .map_err(|e| Error::failed(Reason::BadLetter, format!("the record at {position} {e}")))?;
        let insert = "INSERT INTO letter
            (\"group\", partition, position, key, class, detail, deliveries, at, record_at, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING";
        let mut insert = self.db.prepare_cached(insert).map_err(doing)?;
        let inserted = insert.execute(params![
            group,
            partition.0,
            position as i64,
            record.key.as_deref(),
            blame.class,
            blame.detail,
            blame.deliveries,
            self.now_millis,
            record_at,
            body.as_ref(),
        ]);
        if inserted.map_err(doing)? == 0 {
            let message = format!("`{group}` has a dead letter for the record at {position} already");
            return Err(Error::failed(Reason::BadLetter, message));
        }
        Ok(self.db.last_insert_rowid() as u64)
    }

    fn discard(&mut self, letter: u64) -> Result<(), Error> {
        let doing = |e| Error::sqlite("remove a dead letter", e);
        let mut delete = self.db.prepare_cached("DELETE FROM letter WHERE id = ?1").map_err(doing)?;
        if delete.execute([letter as i64]).map_err(doing)? == 0 {
            return Err(Error::failed(Reason::BadLetter, format!("there is no dead letter {letter}")));
        }
        Ok(())
    }

    /// A position that a cursor may have: none beyond the end.
    fn known(&self, group: &str, partition: PartitionId, to: u64) -> Result<(), Error> {
        check_name("group", group)?;
        let head = self.heads.get(partition)?;
        if to > head.next {
            let message =
                format!("`{group}` names position {to}, and the partition ends before {}", head.next);
            return Err(Error::failed(Reason::BadCursor, message));
        }
        Ok(())
    }

    /// A position that a record has or had.
    fn existed(&self, group: &str, partition: PartitionId, position: u64) -> Result<(), Error> {
        self.known(group, partition, position.saturating_add(1))
    }

    fn cursor(&self, group: &str, partition: PartitionId) -> Result<Cursor, Error> {
        let doing = |e| Error::sqlite("read a cursor", e);
        check_name("group", group)?;
        let select = "SELECT position, fetched FROM cursor WHERE \"group\" = ?1 AND partition = ?2";
        let mut select = self.db.prepare_cached(select).map_err(doing)?;
        let found = select.query_row(params![group, partition.0], |row| {
            Ok(Cursor { position: row.get::<_, i64>(0)? as u64, fetched: row.get::<_, i64>(1)? as u64 })
        });
        Ok(found.optional().map_err(doing)?.unwrap_or(Cursor { position: 0, fetched: 0 }))
    }

    fn put_cursor(&self, group: &str, partition: PartitionId, cursor: Cursor) -> Result<(), Error> {
        let doing = |e| Error::sqlite("write a cursor", e);
        let upsert = "INSERT INTO cursor VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT DO UPDATE SET position = excluded.position, fetched = excluded.fetched";
        let mut upsert = self.db.prepare_cached(upsert).map_err(doing)?;
        let row = params![group, partition.0, cursor.position as i64, cursor.fetched as i64];
        upsert.execute(row).map_err(doing)?;
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
struct Cursor {
    position: u64,
    fetched: u64,
}
