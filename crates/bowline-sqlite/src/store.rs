//! [`Store`]: one folder, opened, and the threads that serve it.

use crate::check::{self, Report};
use crate::copier::Copier;
use crate::directory::{Directory, TopicSpec};
use crate::error::{Error, Reason};
use crate::file::{self, File};
use crate::heads::Heads;
use crate::letter::{self, Letter, Slot};
use crate::lock::FolderLock;
use crate::metrics::{Metrics, Reading};
use crate::queue::Queue;
use crate::readers::Readers;
use crate::settings::Settings;
use crate::topic::{Limits, Topic};
use crate::write::{Class, Write, Written};
use crate::{upkeep, writer};
use bowline_lane::Key;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// A folder with durable topics, open in this process and in no other.
///
/// What an answered request wrote has been synced to the disk. Dropping the store serves what waits, copies the log
/// into the file, and returns when its threads have ended; handles that are left answer [`Reason::Closed`].
pub struct Store {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    _lock: FolderLock,
}

/// What handles and threads of one store share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) file: File,
    pub(crate) queue: Queue,
    pub(crate) readers: Readers,
    pub(crate) copier: Copier,
    pub(crate) directory: Directory,
    pub(crate) metrics: Metrics,
}

impl Store {
    /// Opens the folder's store, and makes both if they are not there.
    ///
    /// Reads header, version and the log that a crash may have left, and matches the last records of every partition
    /// with their checksums. Blocks while it does: a few milliseconds, and about a second for each 256 MiB of log.
    ///
    /// # Errors
    /// [`Reason::InUse`] with the other process's id; [`Reason::NotOurs`], [`Reason::VersionUnknown`],
    /// [`Reason::Corrupt`], [`Reason::ReadOnly`], [`Reason::DiskFull`], [`Reason::BadSetting`], [`Reason::Io`].
    pub fn open(folder: &Path, settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        file::make_folder(folder)?;
        let lock = FolderLock::take(folder)?;
        let file = File::new(folder, settings.clone());
        let db = file.writer()?;
        file::sync_folder(folder)?;
        check::tails(&db)?;
        file::settle_log(&db)?;
        let heads = Heads::load(&db)?;
        let directory = Directory::default();
        directory.load(&db)?;
        let shared = Arc::new(Shared {
            queue: Queue::new(&settings),
            readers: Readers::new(settings.readers, settings.reads_waiting_max),
            copier: Copier::new(settings.checkpoint_pages, settings.world.no_upkeep),
            metrics: Metrics::default(),
            directory,
            file,
            settings,
        });
        let mut store = Self { shared, threads: Vec::new(), _lock: lock };
        store.spawn("bowline-store-writer", move |shared| writer::run(shared, db, heads))?;
        for n in 0..store.shared.readers.count() {
            store.spawn(&format!("bowline-store-read-{n}"), move |shared| {
                shared.readers.run(n, &shared.file, &shared.metrics);
            })?;
        }
        if !store.shared.settings.world.no_upkeep {
            store.spawn("bowline-store-upkeep", upkeep::run)?;
        }
        Ok(store)
    }

    /// Creates a topic. One of that name that is there already, with as many partitions, keeps what it holds and takes
    /// over what is kept from now on.
    ///
    /// # Errors
    /// [`Reason::TopicDiffers`], [`Reason::BadValue`], [`Reason::TooLarge`], and those of [`Store::write`].
    ///
    /// # Cancel safety
    /// As [`Store::write`].
    pub async fn create_topic(&self, name: &str, spec: TopicSpec) -> Result<Topic, Error> {
        self.shared.write(Class::Bulk, Write::create_topic(name, spec)).await?;
        self.topic(name)
    }

    /// The topic of that name.
    ///
    /// # Errors
    /// [`Reason::TopicUnknown`].
    pub fn topic(&self, name: &str) -> Result<Topic, Error> {
        let entry = self.shared.directory.topic(name).ok_or_else(|| {
            Error::failed(Reason::TopicUnknown, format!("there is no topic `{name}`; create it first"))
        })?;
        Ok(Topic::new(Arc::clone(&self.shared), entry))
    }

    /// The names of all topics, in order.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        self.shared.directory.topics().iter().map(|topic| topic.name.clone()).collect()
    }

    /// Makes all changes of a request, or none. Returns when they are on the disk.
    ///
    /// # Errors
    /// [`Error::outcome`] says what became of it: *failed* is the request's own mistake, *refused* may be asked again,
    /// and after *unknown* it may be in the store or not.
    ///
    /// # Cancel safety
    /// Dropped while it waits for room in the queue, the request is not made. Dropped later, it is made or not, and
    /// nobody is told: as *unknown*.
    pub async fn write(&self, class: Class, write: Write) -> Result<Written, Error> {
        self.shared.write(class, write).await
    }

    /// Looks at everything in the store, while it works. Reads the whole file; meanwhile its log grows.
    ///
    /// # Errors
    /// [`Reason::Io`] and [`Reason::Corrupt`], if the file cannot even be walked through.
    pub async fn verify(&self) -> Result<Report, Error> {
        self.shared.readers.read(check::everything).await
    }

    /// What was set aside of one partition for one group, first position first, from `from` on.
    ///
    /// # Errors
    /// [`Reason::Corrupt`] names the letter that does not match its checksum; [`Reason::Io`], [`Reason::Closed`].
    pub async fn letters(&self, slot: Slot, from: u64, limits: Limits) -> Result<Vec<Letter>, Error> {
        self.shared.readers.read(move |db| letter::list(db, &slot, from, limits)).await
    }

    /// The keys of one partition of which something was set aside that later records must not overtake.
    ///
    /// # Errors
    /// [`Reason::Io`], [`Reason::Closed`].
    pub async fn parked(&self, slot: Slot) -> Result<Vec<Key>, Error> {
        self.shared.readers.read(move |db| letter::parked(db, &slot)).await
    }

    /// The store's figures.
    #[must_use]
    pub fn metrics(&self) -> Reading {
        /// SQLite's, which is the one that this crate makes files with; the log has 24 bytes more for each.
        const PAGE_BYTES: u64 = 4_096 + 24;
        let log_bytes = u64::from(self.shared.file.log_pages()) * PAGE_BYTES;
        self.shared.metrics.read(self.shared.queue.len(), log_bytes)
    }

    /// Looks after retention and compaction once, now. A thread does so every so often.
    ///
    /// # Errors
    /// What the first partition that failed failed with.
    pub async fn upkeep(&self) -> Result<(), Error> {
        upkeep::round(&self.shared).await
    }

    /// The file, for who copies or inspects it.
    #[must_use]
    pub fn file(&self) -> &Path {
        self.shared.file.path()
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce(&Shared) + Send + 'static) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&shared));
        self.threads.push(thread.map_err(|e| Error::io(format!("failed to start thread `{name}`"), e))?);
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Upkeep first, which queues; readers next, who keep the log from being copied; the writer last.
        self.shared.copier.close();
        self.shared.readers.close();
        self.shared.queue.close();
        for thread in self.threads.drain(..).rev() {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
        self.shared.directory.close();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("file", &self.shared.file.path()).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) async fn write(&self, class: Class, write: Write) -> Result<Written, Error> {
        let max = self.settings.record_bytes_max;
        if write.record_bytes_max > max {
            let message = format!("a record has {} bytes, and {max} is the most", write.record_bytes_max);
            return Err(Error::failed(Reason::TooLarge, message));
        }
        let answered = self.queue.push(class, write).await?;
        // The writer answers everything that it takes, unless it dies of a panic: then nobody knows.
        answered.await.unwrap_or_else(|_| Err(Error::lost()))
    }
}

/// Looks at everything in a folder that no process has open.
///
/// # Errors
/// [`Reason::InUse`], [`Reason::NotOurs`], [`Reason::VersionUnknown`], [`Reason::Io`]; [`Reason::Corrupt`], if the
/// file cannot even be walked through.
pub fn verify(folder: &Path) -> Result<Report, Error> {
    let path = folder.join(file::FILE);
    if !path.exists() {
        let message = format!("there is no store in `{}`: it has no `{}`", folder.display(), file::FILE);
        return Err(Error::failed(Reason::NotOurs, message));
    }
    let _lock = FolderLock::take(folder)?;
    let file = File::new(folder, Settings::default());
    check::everything(&file.writer()?)
}
