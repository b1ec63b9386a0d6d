//! A folder for one test, and what many tests begin with.

use bowline_sqlite::settings::World;
use bowline_sqlite::{Record, Settings, Store};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of its own, removed with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("bowline-store-{}-{number}", std::process::id())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A store in it, in which nothing happens by itself.
    pub(crate) fn store(&self) -> Store {
        Store::open(&self.0, quiet()).unwrap()
    }

    /// SQLite on the store's file, past the store.
    pub(crate) fn sqlite(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.0.join("state.db")).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Settings without a thread that looks after things.
pub(crate) fn quiet() -> Settings {
    let mut settings = Settings::default();
    settings.world.no_upkeep = true;
    settings
}

/// The same in another world.
pub(crate) fn in_world(change: impl FnOnce(&mut World)) -> Settings {
    let mut settings = quiet();
    change(&mut settings.world);
    settings
}

/// A record whose value is that number.
pub(crate) fn numbered(number: u64) -> Record {
    Record::new(format!("key {}", number % 7), number.to_string())
}

/// The numbers of records, in order.
pub(crate) fn numbers(page: &bowline_sqlite::Page) -> Vec<u64> {
    let number = |record: &Record| std::str::from_utf8(record.value.as_ref()?).ok()?.parse().ok();
    page.records.iter().map(|stored| number(&stored.record).unwrap()).collect()
}
