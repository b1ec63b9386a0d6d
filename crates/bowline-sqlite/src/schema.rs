//! The tables, their version, and the way from one version to the next.
//!
//! A store is opened by the version that wrote it and by the one before. So a version only ever adds what its
//! predecessor can overlook (a table, a column with a default); what the predecessor would trip over is added by one
//! version and used by the next. Each version says the oldest that can open it, and the file keeps both numbers.

use crate::error::{Error, Reason};
use rusqlite::{Connection, OptionalExtension};

/// What this version writes.
pub const VERSION: u32 = 1;

/// `BWLN`, in the place of a SQLite file's header where programs say whose it is.
pub(crate) const APPLICATION_ID: i32 = 0x4257_4c4e;

/// One step from a version to the next.
pub(crate) struct Migration {
    /// The version that it leads to.
    pub(crate) version: u32,
    /// The oldest version of this program that can open the result.
    pub(crate) since: u32,
    pub(crate) sql: &'static str,
}

/// All of them, oldest first.
const MIGRATIONS: &[Migration] = &[Migration { version: 1, since: 1, sql: V1 }];

const V1: &str = r#"
-- One row: the version of these tables, and the oldest that can open them.
CREATE TABLE version (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    version INTEGER NOT NULL,
    since INTEGER NOT NULL
) STRICT;
INSERT INTO version VALUES (1, 1, 1);

CREATE TABLE topic (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    keep_millis INTEGER,       -- how long records are kept; for good when null
    keep_bytes INTEGER,        -- how many bytes of them a partition keeps; all when null
    tombstone_millis INTEGER   -- not null: the latest of each key is kept, and tombstones for so long
) STRICT;

CREATE TABLE partition (
    id INTEGER PRIMARY KEY,
    topic INTEGER NOT NULL REFERENCES topic (id),
    number INTEGER NOT NULL,
    first INTEGER NOT NULL,    -- positions before it are gone
    next INTEGER NOT NULL,     -- what is appended next gets it; never goes back
    last_at INTEGER NOT NULL,  -- the time of the latest record
    bytes INTEGER NOT NULL,    -- of all records' bodies
    cleaned INTEGER NOT NULL,  -- positions before it have been compacted
    UNIQUE (topic, number)
) STRICT;

-- id: the partition in the upper bits, the position in the lower 43.
CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- Of topics that keep the latest of each key: where it stands.
CREATE TABLE latest (
    partition INTEGER NOT NULL,
    key BLOB NOT NULL,
    position INTEGER NOT NULL,
    tombstone_at INTEGER,
    PRIMARY KEY (partition, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX latest_tombstone ON latest (partition, tombstone_at) WHERE tombstone_at IS NOT NULL;

-- How far a group is in a partition, whole; and who may say so: the owner with the latest epoch.
CREATE TABLE cursor (
    "group" TEXT NOT NULL,
    partition INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    body BLOB,                 -- null until the first owner has written one
    PRIMARY KEY ("group", partition)
) STRICT, WITHOUT ROWID;

-- A dead letter has its own copy of the record: retention does not reach it, and the topic may be another broker's.
CREATE TABLE letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    "group" TEXT NOT NULL,
    partition INTEGER NOT NULL, -- its number in the topic
    position INTEGER NOT NULL,
    key BLOB,
    class TEXT,                -- why it is dead; null if it is parked behind one that is
    parks INTEGER NOT NULL,    -- whether later records of its key have to follow it
    deliveries INTEGER NOT NULL,
    at INTEGER NOT NULL,
    detail TEXT NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (topic, "group", partition, position)
) STRICT;
CREATE INDEX letter_key ON letter (topic, "group", partition, key) WHERE parks = 1;
"#;

/// What the file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) version: u32,
    pub(crate) since: u32,
}

/// Makes the tables or brings them to this version, in one transaction.
///
/// # Errors
/// [`Reason::NotOurs`], [`Reason::VersionUnknown`], or what SQLite says.
pub(crate) fn migrate(db: &Connection) -> Result<(), Error> {
    migrate_along(db, MIGRATIONS, VERSION)
}

fn migrate_along(db: &Connection, migrations: &[Migration], ours: u32) -> Result<(), Error> {
    let doing = |e| Error::sqlite("bring the tables to this version", e);
    db.execute_batch("BEGIN IMMEDIATE").map_err(doing)?;
    let stamp = match stamp(db) {
        Ok(stamp) => stamp,
        Err(error) => {
            let _ = db.execute_batch("ROLLBACK");
            return Err(error);
        }
    };
    let found = stamp.map_or(0, |stamp| stamp.version);
    let result = admit(stamp, ours).and_then(|()| {
        for migration in
            migrations.iter().filter(|migration| found < migration.version && migration.version <= ours)
        {
            db.execute_batch(migration.sql).map_err(doing)?;
            let values = [migration.version, migration.since];
            db.execute("UPDATE version SET version = ?1, since = ?2", values).map_err(doing)?;
        }
        if found == 0 {
            db.pragma_update(None, "application_id", APPLICATION_ID).map_err(doing)?;
        }
        db.execute_batch("COMMIT").map_err(doing)
    });
    if result.is_err() {
        let _ = db.execute_batch("ROLLBACK");
    }
    result
}

/// Whether the program of version `ours` may open what is stamped so.
fn admit(stamp: Option<Stamp>, ours: u32) -> Result<(), Error> {
    let Some(Stamp { version, since }) = stamp else { return Ok(()) };
    if since <= ours {
        return Ok(());
    }
    Err(Error::failed(
        Reason::VersionUnknown,
        format!(
            "the store has version {version}, which version {since} and later can open, and this program has \
             version {ours}; run a newer one"
        ),
    ))
}

/// What the file says of itself; none if it is empty.
///
/// # Errors
/// [`Reason::NotOurs`], if it has tables of somebody else's.
pub(crate) fn stamp(db: &Connection) -> Result<Option<Stamp>, Error> {
    let doing = |e| Error::sqlite("read the file's header", e);
    let id: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(doing)?;
    let tables: i64 =
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(doing)?;
    if tables == 0 && id == 0 {
        return Ok(None);
    }
    if id != APPLICATION_ID {
        return Err(Error::failed(
            Reason::NotOurs,
            format!("the file belongs to another program (application id {id:#x}); name another folder"),
        ));
    }
    let read = |row: &rusqlite::Row<'_>| Ok(Stamp { version: row.get(0)?, since: row.get(1)? });
    let stamp = db.query_row("SELECT version, since FROM version", [], read).optional().map_err(doing)?;
    stamp.map(Some).ok_or_else(|| Error::failed(Reason::Corrupt, "the file has no version; verify it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: &[Migration] = &[
        Migration { version: 1, since: 1, sql: V1 },
        Migration { version: 2, since: 1, sql: "CREATE TABLE timer (id INTEGER PRIMARY KEY) STRICT" },
        Migration { version: 3, since: 2, sql: "CREATE TABLE saga (id INTEGER PRIMARY KEY) STRICT" },
    ];

    fn at(version: u32) -> Connection {
        let db = Connection::open_in_memory().unwrap();
        migrate_along(&db, LATER, version).unwrap();
        db
    }

    #[test]
    fn a_new_store_has_this_version() {
        let db = Connection::open_in_memory().unwrap();
        migrate(&db).unwrap();
        assert_eq!(stamp(&db).unwrap(), Some(Stamp { version: VERSION, since: 1 }));
        migrate(&db).unwrap();
    }

    #[test]
    fn an_older_store_is_brought_to_this_version() {
        let db = at(1);
        migrate_along(&db, LATER, 3).unwrap();
        assert_eq!(stamp(&db).unwrap(), Some(Stamp { version: 3, since: 2 }));
        db.execute("INSERT INTO saga DEFAULT VALUES", []).unwrap();
    }

    #[test]
    fn the_version_before_opens_what_this_one_wrote_and_leaves_its_number() {
        let db = at(2);
        migrate_along(&db, LATER, 1).unwrap();
        assert_eq!(stamp(&db).unwrap(), Some(Stamp { version: 2, since: 1 }));
    }

    #[test]
    fn a_version_too_old_is_told_what_to_run() {
        let error = migrate_along(&at(3), LATER, 1).unwrap_err();
        assert_eq!(error.reason(), Reason::VersionUnknown);
        assert!(error.to_string().contains("version 3, which version 2 and later can open"), "{error}");
    }

    #[test]
    fn a_step_that_fails_changes_nothing() {
        let broken = [Migration { version: 2, since: 1, sql: "CREATE TABLE timer (id INTEGER); SELEC 1" }];
        let db = at(1);
        migrate_along(&db, &broken, 2).unwrap_err();
        assert_eq!(stamp(&db).unwrap(), Some(Stamp { version: 1, since: 1 }));
        assert!(db.prepare("SELECT * FROM timer").is_err());
    }

    #[test]
    fn somebody_elses_file_is_left_alone() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE orders (id INTEGER)").unwrap();
        assert_eq!(migrate(&db).unwrap_err().reason(), Reason::NotOurs);
        assert!(db.is_autocommit());
    }
}
