//! Whether the file is what it should be: a quick look at every start, and all of it when asked.

use crate::error::{Error, Reason};
use crate::format;
use crate::record::PartitionId;
use bytes::Bytes;
use rusqlite::{Connection, params};
use std::fmt;

/// Records at each partition's end that a start reads: what was written last is what a crash would have hurt.
const TAIL: u32 = 16;

/// Findings after which a verification stops counting them: the file is lost in any case.
const FINDINGS_MAX: usize = 1_000;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Topics looked at.
    pub topics: u64,
    /// Partitions looked at.
    pub partitions: u64,
    /// Records read and matched with their checksums.
    pub records: u64,
    /// Dead letters read and matched.
    pub letters: u64,
    /// What is wrong; nothing, if all is well.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn add(&mut self, place: String, what: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { place, what });
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: a page, a topic's partition and position, a group.
    pub place: String,
    /// What.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// One partition's row, with its topic's name.
struct Row {
    topic: String,
    number: u32,
    id: PartitionId,
    first: u64,
    next: u64,
    bytes: i64,
    keyed: bool,
}

impl Row {
    fn place(&self) -> String {
        format!("{}/{}", self.topic, self.number)
    }

    fn place_of(&self, position: u64) -> String {
        format!("{}/{} at {position}", self.topic, self.number)
    }
}

/// What a start looks at beyond header, version and log: the last records of every partition.
///
/// # Errors
/// [`Reason::Corrupt`] names partition and position.
pub(crate) fn tails(db: &Connection) -> Result<(), Error> {
    let doing = |e| Error::sqlite("read the partitions' ends", e);
    let select = "SELECT id, at, body FROM record WHERE id >= ?1 AND id <= ?2 ORDER BY id DESC LIMIT ?3";
    let mut select = db.prepare(select).map_err(doing)?;
    for partition in partitions(db).map_err(doing)? {
        let all = params![partition.id.row(0), partition.id.row(u64::MAX), TAIL];
        let rows = select.query_map(all, |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?)));
        let rows: Vec<(i64, i64, Vec<u8>)> = rows.and_then(Iterator::collect).map_err(doing)?;
        for (row, at, body) in rows {
            let position = PartitionId::of_row(row).1;
            let what = if position < partition.first || partition.next <= position {
                format!("is outside of the partition, which has {} to {}", partition.first, partition.next)
            } else if let Err(error) = format::decode(&Bytes::from(body), row, at) {
                error.to_string()
            } else {
                continue;
            };
            let place = partition.place_of(position);
            return Err(Error::failed(
                Reason::Corrupt,
                format!("the record {place} {what}; verify the store, and restore a backup"),
            ));
        }
    }
    Ok(())
}

/// Looks at everything: SQLite's own structures, every record and letter against its checksum, every partition's
/// figures against its records, every cursor against its partition.
pub(crate) fn everything(db: &Connection) -> Result<Report, Error> {
    let doing = |e| Error::sqlite("verify the store", e);
    let mut report = Report::default();
    let mut integrity = db.prepare(&format!("PRAGMA integrity_check({FINDINGS_MAX})")).map_err(doing)?;
    let lines = integrity.query_map([], |row| row.get::<_, String>(0)).map_err(doing)?;
    for line in lines {
        let line = line.map_err(doing)?;
        if line != "ok" {
            report.add(crate::file::FILE.to_owned(), line);
        }
    }
    report.topics =
        db.query_row("SELECT count(*) FROM topic", [], |row| row.get::<_, i64>(0)).map_err(doing)? as u64;
    let partitions = partitions(db).map_err(doing)?;
    for partition in &partitions {
        records(db, partition, &mut report).map_err(doing)?;
    }
    report.partitions = partitions.len() as u64;
    strays(db, &mut report).map_err(doing)?;
    cursors(db, &mut report).map_err(doing)?;
    letters(db, &mut report).map_err(doing)?;
    Ok(report)
}

fn partitions(db: &Connection) -> rusqlite::Result<Vec<Row>> {
    let mut select = db.prepare(
        "SELECT topic.name, number, partition.id, first, next, bytes, tombstone_millis IS NOT NULL
        FROM partition JOIN topic ON topic.id = partition.topic ORDER BY partition.id",
    )?;
    let rows = select.query_map([], |row| {
        Ok(Row {
            topic: row.get(0)?,
            number: row.get(1)?,
            id: PartitionId(row.get(2)?),
            first: row.get::<_, i64>(3)? as u64,
            next: row.get::<_, i64>(4)? as u64,
            bytes: row.get(5)?,
            keyed: row.get(6)?,
        })
    })?;
    rows.collect()
}

fn records(db: &Connection, partition: &Row, report: &mut Report) -> rusqlite::Result<()> {
    let mut select =
        db.prepare_cached("SELECT id, at, body FROM record WHERE id >= ?1 AND id <= ?2 ORDER BY id")?;
    let mut rows = select.query([partition.id.row(0), partition.id.row(u64::MAX)])?;
    let (mut bytes, mut expected, mut earlier) = (0, partition.first, i64::MIN);
    while let Some(row) = rows.next()? {
        let (id, at, body): (i64, i64, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let position = PartitionId::of_row(id).1;
        let place = || partition.place_of(position);
        bytes += body.len() as i64;
        report.records += 1;
        if position < partition.first || partition.next <= position {
            report.add(place(), format!("is outside of {} to {}", partition.first, partition.next));
        } else if position != expected && !partition.keyed {
            report.add(place(), format!("the records from {expected} on are missing"));
        }
        if at < earlier {
            report.add(place(), "is stamped earlier than the record before it".to_owned());
        }
        if let Err(error) = format::decode(&Bytes::from(body), id, at) {
            report.add(place(), error.to_string());
        }
        (expected, earlier) = (position + 1, at.max(earlier));
    }
    if expected != partition.next && !partition.keyed {
        let what = format!("the records from {expected} to {} are missing", partition.next);
        report.add(partition.place(), what);
    }
    if bytes != partition.bytes {
        report.add(partition.place(), format!("has {bytes} bytes of records and says {}", partition.bytes));
    }
    Ok(())
}

/// Records of partitions that do not exist.
fn strays(db: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let select = "SELECT DISTINCT id >> 43 FROM record WHERE id >> 43 NOT IN (SELECT id FROM partition)";
    let mut select = db.prepare(select)?;
    for partition in select.query_map([], |row| row.get::<_, i64>(0))? {
        report.add(format!("partition id {}", partition?), "has records and does not exist".to_owned());
    }
    Ok(())
}

fn cursors(db: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let mut select = db.prepare(
        r#"SELECT cursor."group", cursor.partition, body, next
        FROM cursor LEFT JOIN partition ON partition.id = cursor.partition"#,
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (group, partition): (String, i64) = (row.get(0)?, row.get(1)?);
        let (body, next): (Option<Vec<u8>>, Option<i64>) = (row.get(2)?, row.get(3)?);
        let place = || format!("group {group}, partition id {partition}");
        let Some(next) = next else {
            report.add(place(), "the partition does not exist".to_owned());
            continue;
        };
        match body.map(|body| format::decode_cursor(&Bytes::from(body))).transpose() {
            Err(error) => report.add(place(), format!("the cursor {error}")),
            Ok(Some(cursor)) if cursor.floor.max(cursor.marked) > next as u64 => {
                let (floor, marked) = (cursor.floor, cursor.marked);
                report.add(place(), format!("is at {floor}, marked to {marked}, and the end is {next}"));
            }
            Ok(_) => (),
        }
    }
    Ok(())
}

fn letters(db: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let mut select = db.prepare("SELECT id, partition, position, at, body FROM letter ORDER BY id")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (id, partition, position): (i64, u32, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (at, body): (i64, Vec<u8>) = (row.get(3)?, row.get(4)?);
        report.letters += 1;
        if let Err(error) =
            format::decode(&Bytes::from(body), PartitionId(partition).row(position as u64), at)
        {
            report.add(format!("dead letter {id}"), error.to_string());
        }
    }
    Ok(())
}
