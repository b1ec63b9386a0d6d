//! [`Settings`]: every limit of the store, with its default and its reason.

use crate::clock::Clock;
use crate::error::{Error, Reason};
use std::time::Duration;

/// The limits of a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Requests of one class that may wait; who comes next waits for room. 8,192: a hundred batches' worth of what
    /// 64 producers keep busy, a quarter of a second of work on a slow disk.
    pub queue_requests_max: usize,
    /// Bytes of sagas' requests that may wait. 16 MiB: a quarter of what bulk may take, and sagas' entries are small.
    pub saga_bytes_max: usize,
    /// Bytes of bulk requests that may wait, and so the largest request there can be. 64 MiB: what the store may hold
    /// in memory for a disk that has stopped for a second.
    pub bulk_bytes_max: usize,
    /// Requests committed together. 1,024: beyond it a batch takes longer than the sync that it saves.
    pub batch_requests_max: usize,
    /// Bytes committed together, unless one request alone is larger. 4 MiB: some ten milliseconds of writing, which
    /// is what the last of a batch waits longer than the first.
    pub batch_bytes_max: usize,
    /// Bytes of one record as stored. 1 MiB, as Kafka has it, so that moving there is no surprise.
    pub record_bytes_max: usize,
    /// Connections that read, each on a thread of its own. 2: reads are short, and the machine is somebody else's.
    pub readers: usize,
    /// Reads that may wait for a connection; who comes next waits for room. 1,024.
    pub reads_waiting_max: usize,
    /// Pages in the log after which it is copied into the file. 4,096 pages are 16 MiB: four times SQLite's own
    /// figure, because here the copying is not on anybody's way.
    pub checkpoint_pages: u32,
    /// What the log may keep of the disk after it has been copied. 64 MiB: it is written over in place, which is
    /// twice as fast as growing a file.
    pub log_bytes_kept: u64,
    /// How long a commit waits for another program that has the file's lock. 5 s.
    pub busy_max: Duration,
    /// How often retention and compaction are looked after. 1 s.
    pub upkeep_every: Duration,
    /// Records that one step of upkeep removes, between two batches of other work. 500: a few milliseconds.
    pub upkeep_step: u32,
    /// What tests put in the place of the world.
    #[doc(hidden)]
    pub world: World,
}

/// The world around the store: its clock, its file system, and how it syncs.
#[doc(hidden)]
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct World {
    /// The calendar.
    pub clock: Clock,
    /// The SQLite file system by its name; the machine's when absent.
    pub vfs: Option<String>,
    /// Leaves out the sync before an acknowledgement. Only to prove that a test would notice.
    pub forget_to_sync: bool,
    /// Pages that the file may have: a disk that is full.
    pub pages_max: Option<u32>,
    /// No thread looks after retention and the log by itself: what happens is what the test does.
    pub no_upkeep: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue_requests_max: 8_192,
            saga_bytes_max: 16 << 20,
            bulk_bytes_max: 64 << 20,
            batch_requests_max: 1_024,
            batch_bytes_max: 4 << 20,
            record_bytes_max: 1 << 20,
            readers: 2,
            reads_waiting_max: 1_024,
            checkpoint_pages: 4_096,
            log_bytes_kept: 64 << 20,
            busy_max: Duration::from_secs(5),
            upkeep_every: Duration::from_secs(1),
            upkeep_step: 500,
            world: World::default(),
        }
    }
}

impl Settings {
    /// # Errors
    /// [`Reason::BadSetting`] names the first that has no meaning.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let counts = [
            ("queue_requests_max", self.queue_requests_max),
            ("saga_bytes_max", self.saga_bytes_max),
            ("bulk_bytes_max", self.bulk_bytes_max),
            ("batch_requests_max", self.batch_requests_max),
            ("batch_bytes_max", self.batch_bytes_max),
            ("record_bytes_max", self.record_bytes_max),
            ("readers", self.readers),
            ("reads_waiting_max", self.reads_waiting_max),
            ("checkpoint_pages", self.checkpoint_pages as usize),
            ("upkeep_step", self.upkeep_step as usize),
        ];
        for (name, value) in counts {
            if value == 0 {
                return Err(Error::failed(
                    Reason::BadSetting,
                    format!("`{name}` is 0; it has to be at least 1"),
                ));
            }
        }
        // What is waited for is counted in tokio's permits, of which one request may take 2^32 at most.
        for (name, value) in
            [("saga_bytes_max", self.saga_bytes_max), ("bulk_bytes_max", self.bulk_bytes_max)]
        {
            if value > u32::MAX as usize {
                return Err(Error::failed(
                    Reason::BadSetting,
                    format!("`{name}` is {value}; 4 GiB is the most"),
                ));
            }
        }
        Ok(())
    }
}
