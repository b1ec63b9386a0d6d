//! Connections to the file, each with what it needs.

use crate::error::{Error, Reason};
use crate::schema;
use crate::settings::Settings;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The store's file in its folder. SQLite puts `state.db-wal` (the log) and `state.db-shm` beside it.
pub(crate) const FILE: &str = "state.db";

/// Statements that a connection keeps prepared: all that the writer has, with room.
const STATEMENTS_KEPT: usize = 64;

/// How connections are made.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    settings: Settings,
    /// Pages in the log after the latest commit.
    log_pages: Arc<AtomicU32>,
}

impl File {
    pub(crate) fn new(folder: &Path, settings: Settings) -> Self {
        Self { path: folder.join(FILE), settings, log_pages: Arc::new(AtomicU32::new(0)) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn log_pages(&self) -> u32 {
        self.log_pages.load(Ordering::Relaxed)
    }

    /// The one connection that writes. Opening it replays the log, if a crash left one.
    pub(crate) fn writer(&self) -> Result<Connection, Error> {
        let db = self.open(true)?;
        let doing = |e| Error::sqlite(&format!("open `{}`", self.path.display()), e);
        if db.is_readonly("main").map_err(doing)? {
            let path = self.path.display();
            return Err(Error::refused(
                Reason::ReadOnly,
                format!("`{path}` cannot be written; look at its permissions and at how the disk is mounted"),
            ));
        }
        // The way into WAL mode is a transaction with a journal of the old kind. If its removal were not synced, a power
        // loss could bring it back, and it would roll the file back to before all that the log has.
        db.pragma_update(None, "synchronous", "EXTRA").map_err(doing)?;
        // Before the first table, or never.
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(doing)?;
        // To its end: the row with the new mode comes before the commit that makes it so, and a failure after it.
        let modes = db.prepare("PRAGMA journal_mode = WAL").and_then(|mut pragma| {
            let rows = pragma.query_map([], |row| row.get::<_, String>(0))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        });
        let mode = modes.map_err(doing)?.pop().unwrap_or_default();
        if !mode.eq_ignore_ascii_case("wal") {
            // SQLite answers with the mode that it stays in.
            let path = self.path.display();
            let message = format!("`{path}` cannot have a log beside it; its mode is {mode}");
            return Err(Error::refused(Reason::Io, message));
        }
        let synchronous = if self.settings.world.forget_to_sync { "NORMAL" } else { "FULL" };
        db.pragma_update(None, "synchronous", synchronous).map_err(doing)?;
        db.pragma_update(None, "journal_size_limit", self.settings.log_bytes_kept as i64).map_err(doing)?;
        // Savepoints keep what they may have to put back: in memory, never in a file of their own.
        db.pragma_update(None, "temp_store", "MEMORY").map_err(doing)?;
        if let Some(pages) = self.settings.world.pages_max {
            db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).map_err(doing)?;
        }
        schema::migrate(&db)?;
        self.watch_log(db)
    }

    /// A connection that reads. It would be refused a write.
    pub(crate) fn reader(&self) -> Result<Connection, Error> {
        let db = self.open(false)?;
        db.pragma_update(None, "query_only", true).map_err(|e| Error::sqlite("open for reading", e))?;
        Ok(db)
    }

    /// A connection that copies the log into the file.
    pub(crate) fn copier(&self) -> Result<Connection, Error> {
        self.open(false)
    }

    fn open(&self, create: bool) -> Result<Connection, Error> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if create {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let opened = match &self.settings.world.vfs {
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, flags, vfs.as_str()),
            None => Connection::open_with_flags(&self.path, flags),
        };
        let doing = |e| Error::sqlite(&format!("open `{}`", self.path.display()), e);
        let db = opened.map_err(doing)?;
        db.busy_timeout(self.settings.busy_max).map_err(doing)?;
        db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        Ok(db)
    }

    /// Hears after each commit how long the log is. It also keeps SQLite from copying the log by itself, which it
    /// would do inside a commit.
    fn watch_log(&self, mut db: Connection) -> Result<Connection, Error> {
        let pages = Arc::clone(&self.log_pages);
        pages.store(0, Ordering::Relaxed);
        let hook = move |_: &mut rusqlite::hooks::Wal, count: std::ffi::c_int| {
            pages.store(u32::try_from(count).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        };
        db.wal_hook(Some(hook)).map_err(|e| Error::sqlite("watch the log", e))?;
        Ok(db)
    }
}

/// Makes the folder, and makes sure that it is found again after a power loss: SQLite syncs its files and, for the
/// log, the folder, but not the folder's own entry.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Error> {
    let doing = |e| Error::io(format!("failed to make `{}`", folder.display()), e);
    std::fs::create_dir_all(folder).map_err(doing)?;
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync_folder(parent)?;
    }
    Ok(())
}

/// Makes the names of the folder's files durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), Error> {
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|e| Error::io(format!("failed to sync `{}`", folder.display()), e))
}

/// Brings all that the log has into the file and begins the log anew, before anything is written to it.
///
/// After a sync that failed the operating system may show pages of the log that the disk does not have, and shows them to
/// the next process as well. What were appended to such a log would stand behind a hole, and be gone after a power loss
/// though each of its own syncs succeeded. Nobody can tell such a log from a good one, so no log is ever written on.
///
/// # Errors
/// [`Reason::Busy`], if another program reads the file.
pub(crate) fn settle_log(db: &Connection) -> Result<(), Error> {
    if checkpoint(db, "TRUNCATE")? {
        return Ok(());
    }
    Err(Error::refused(Reason::Busy, "another program reads the file and keeps its log; end it"))
}

/// Copies what the log has into the file, as far as readers allow, without waiting for anybody. Answers whether
/// nothing is left.
pub(crate) fn checkpoint(db: &Connection, mode: &str) -> Result<bool, Error> {
    let read = |row: &rusqlite::Row<'_>| {
        let (busy, log, copied): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(busy == 0 && log == copied)
    };
    db.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], read)
        .map_err(|e| Error::sqlite("copy the log into the file", e))
}
