//! [`Disk`]: what programs see, what the disk has, and what is left when the power goes.

use bowline_model::{Random, SplitMix64};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// What a disk writes at once: smaller than that is there or not there as a whole.
pub const SECTOR_BYTES: usize = 512;

/// Files by name, as they are found after the power has come back.
pub type Image = BTreeMap<String, Vec<u8>>;

/// Which writes that were not synced are there after a power loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survive {
    /// None.
    Nothing,
    /// All.
    Everything,
    /// Some, and of some only some sectors: a choice that this seed makes.
    Some(u64),
}

/// A disk in memory. Copies are the same disk.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Content>,
    /// Removed, and perhaps not on the disk.
    removed: BTreeMap<String, Content>,
    changes: u64,
    syncs: u64,
    off_after: Option<u64>,
    off: bool,
    failing_sync: Option<u64>,
    bytes_max: Option<u64>,
    read_only: bool,
}

#[derive(Debug, Default)]
struct Content {
    shown: Vec<u8>,
    /// What was synced; none if the file itself never was.
    synced: Option<Vec<u8>>,
    /// What was done since, in order.
    since: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Cut { len: usize },
}

/// Why the disk did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is switched off.
    Off,
    /// It is full.
    Full,
    /// It may not be written.
    ReadOnly,
    /// The sync failed: what was not synced never will be, though it is still shown.
    SyncFailed,
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Image::new())
    }

    /// A disk that has these files, all of them synced.
    #[must_use]
    pub fn with(image: Image) -> Self {
        let synced =
            |bytes: Vec<u8>| Content { shown: bytes.clone(), synced: Some(bytes), since: Vec::new() };
        let files = image.into_iter().map(|(name, bytes)| (name, synced(bytes))).collect();
        Self(Arc::new(Mutex::new(State { files, ..State::default() })))
    }

    /// Switches the disk off with the change of that number, counted from 1: that one may be half done.
    pub fn switch_off_after(&self, changes: u64) {
        self.lock().off_after = Some(changes);
    }

    /// Lets the sync of that number fail, counted from 1.
    pub fn fail_sync(&self, number: u64) {
        self.lock().failing_sync = Some(number);
    }

    /// How many bytes all files may have together; any number where nothing is said.
    pub fn set_bytes_max(&self, bytes: Option<u64>) {
        self.lock().bytes_max = bytes;
    }

    /// Whether nothing may be written.
    pub fn set_read_only(&self, read_only: bool) {
        self.lock().read_only = read_only;
    }

    /// Changes so far: writes, cuts, syncs and removals.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Syncs so far, failed ones included.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Whether the disk is switched off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.lock().off
    }

    /// Bytes all files have together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.lock().bytes()
    }

    /// Changes of files whose name ends so that have not been synced.
    #[must_use]
    pub fn unsynced(&self, suffix: &str) -> usize {
        let state = self.lock();
        state.files.iter().filter(|(name, _)| name.ends_with(suffix)).map(|(_, file)| file.since.len()).sum()
    }

    /// What is found after a power loss now.
    #[must_use]
    pub fn survivors(&self, survive: Survive) -> Image {
        let state = self.lock();
        let mut choice = Choice::of(survive);
        let mut image = Image::new();
        for (name, file) in &state.files {
            // A name is durable once its file was synced, as file systems with a journal have it.
            if file.synced.is_some() || choice.whole() {
                image.insert(name.clone(), file.after(&mut choice));
            }
        }
        for (name, file) in &state.removed {
            if file.synced.is_some() && !image.contains_key(name) && !choice.whole() {
                image.insert(name.clone(), file.after(&mut choice));
            }
        }
        image
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.lock().files.contains_key(name)
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.lock().read_only
    }

    pub(crate) fn create(&self, name: &str) -> Result<(), Refusal> {
        let mut state = self.lock();
        state.check()?;
        if !state.files.contains_key(name) {
            state.may_write()?;
            state.removed.remove(name);
            state.files.insert(name.to_owned(), Content::default());
        }
        Ok(())
    }

    pub(crate) fn remove(&self, name: &str, synced: bool) -> Result<bool, Refusal> {
        let mut state = self.lock();
        state.check()?;
        state.may_write()?;
        let Some(file) = state.files.remove(name) else { return Ok(false) };
        if !synced {
            state.removed.insert(name.to_owned(), file);
        }
        state.changed()?;
        Ok(true)
    }

    pub(crate) fn len(&self, name: &str) -> Result<usize, Refusal> {
        let state = self.lock();
        state.check()?;
        Ok(state.files.get(name).map_or(0, |file| file.shown.len()))
    }

    /// Fills `into` from what is shown; answers how much there was.
    pub(crate) fn read(&self, name: &str, at: usize, into: &mut [u8]) -> Result<usize, Refusal> {
        let state = self.lock();
        state.check()?;
        let shown = state.files.get(name).map_or(&[][..], |file| &file.shown);
        let there = shown.get(at..).unwrap_or(&[]);
        let len = there.len().min(into.len());
        into[..len].copy_from_slice(&there[..len]);
        Ok(len)
    }

    pub(crate) fn write(&self, name: &str, at: usize, bytes: &[u8]) -> Result<(), Refusal> {
        let mut state = self.lock();
        state.check()?;
        state.may_write()?;
        let len = state.files.get(name).map_or(0, |file| file.shown.len());
        let growth = (at + bytes.len()).saturating_sub(len) as u64;
        if state.bytes_max.is_some_and(|max| growth > 0 && state.bytes() + growth > max) {
            return Err(Refusal::Full);
        }
        state.change(name, Change::Write { at, bytes: bytes.to_vec() });
        state.changed()
    }

    pub(crate) fn cut(&self, name: &str, len: usize) -> Result<(), Refusal> {
        let mut state = self.lock();
        state.check()?;
        state.may_write()?;
        state.change(name, Change::Cut { len });
        state.changed()
    }

    pub(crate) fn sync(&self, name: &str) -> Result<(), Refusal> {
        let mut state = self.lock();
        state.check()?;
        // Switched off during a sync: it did not return, and what it was to make durable may be.
        state.changed()?;
        state.syncs += 1;
        let fails = state.failing_sync == Some(state.syncs);
        let Some(file) = state.files.get_mut(name) else { return Ok(()) };
        let since = std::mem::take(&mut file.since);
        if fails {
            return Err(Refusal::SyncFailed);
        }
        let synced = file.synced.get_or_insert_default();
        for change in &since {
            change.apply(synced, |_| true);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn check(&self) -> Result<(), Refusal> {
        if self.off { Err(Refusal::Off) } else { Ok(()) }
    }

    fn may_write(&self) -> Result<(), Refusal> {
        if self.read_only { Err(Refusal::ReadOnly) } else { Ok(()) }
    }

    fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.shown.len() as u64).sum()
    }

    fn change(&mut self, name: &str, change: Change) {
        let file = self.files.entry(name.to_owned()).or_default();
        change.apply(&mut file.shown, |_| true);
        file.since.push(change);
    }

    /// Counts a change, and switches off with the last one.
    fn changed(&mut self) -> Result<(), Refusal> {
        self.changes += 1;
        self.off = self.off_after.is_some_and(|after| after <= self.changes);
        self.check()
    }
}

impl Content {
    fn after(&self, choice: &mut Choice) -> Vec<u8> {
        let mut bytes = self.synced.clone().unwrap_or_default();
        for change in &self.since {
            match choice.fate() {
                Fate::Lost => (),
                Fate::Whole => change.apply(&mut bytes, |_| true),
                Fate::Torn => change.apply(&mut bytes, |_| choice.whole()),
            }
        }
        bytes
    }
}

impl Change {
    /// Does it, as far as `sector` lets each of its sectors be written.
    fn apply(&self, to: &mut Vec<u8>, mut sector: impl FnMut(usize) -> bool) {
        match self {
            Self::Cut { len } => to.truncate(*len),
            Self::Write { at, bytes } => {
                let (mut from, end) = (*at, at + bytes.len());
                while from < end {
                    let until = end.min((from / SECTOR_BYTES + 1) * SECTOR_BYTES);
                    if sector(from / SECTOR_BYTES) {
                        if to.len() < until {
                            to.resize(until, 0);
                        }
                        to[from..until].copy_from_slice(&bytes[from - at..until - at]);
                    }
                    from = until;
                }
            }
        }
    }
}

enum Fate {
    Lost,
    Whole,
    Torn,
}

enum Choice {
    Always(bool),
    Random(SplitMix64),
}

impl Choice {
    fn of(survive: Survive) -> Self {
        match survive {
            Survive::Nothing => Self::Always(false),
            Survive::Everything => Self::Always(true),
            Survive::Some(seed) => Self::Random(SplitMix64::new(seed)),
        }
    }

    fn fate(&mut self) -> Fate {
        match self {
            Self::Always(false) => Fate::Lost,
            Self::Always(true) => Fate::Whole,
            Self::Random(random) => match random.below(4) {
                0 => Fate::Lost,
                1 => Fate::Torn,
                _ => Fate::Whole,
            },
        }
    }

    fn whole(&mut self) -> bool {
        match self {
            Self::Always(whole) => *whole,
            Self::Random(random) => random.below(2) == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survived(disk: &Disk, survive: Survive) -> Option<Vec<u8>> {
        disk.survivors(survive).remove("a")
    }

    #[test]
    fn what_was_synced_survives_and_the_rest_is_a_choice() {
        let disk = Disk::new();
        disk.create("a").unwrap();
        disk.write("a", 0, b"one").unwrap();
        assert_eq!(survived(&disk, Survive::Nothing), None);
        disk.sync("a").unwrap();
        disk.write("a", 0, b"two").unwrap();
        assert_eq!(survived(&disk, Survive::Nothing), Some(b"one".to_vec()));
        assert_eq!(survived(&disk, Survive::Everything), Some(b"two".to_vec()));
        let mut shown = [0; 3];
        assert_eq!(disk.read("a", 0, &mut shown), Ok(3));
        assert_eq!(&shown, b"two");
    }

    #[test]
    fn some_writes_are_torn_and_never_within_a_sector() {
        let disk = Disk::new();
        disk.create("a").unwrap();
        disk.write("a", 0, &[1; 4 * SECTOR_BYTES]).unwrap();
        disk.sync("a").unwrap();
        disk.write("a", 100, &[2; 3 * SECTOR_BYTES]).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let bytes = survived(&disk, Survive::Some(seed)).unwrap();
            let sectors: Vec<u8> =
                bytes.chunks(SECTOR_BYTES).map(|sector| sector[200 % sector.len()]).collect();
            for (n, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                let covered = &sector[if n == 0 { 100 } else { 0 }..if n == 3 { 100 } else { SECTOR_BYTES }];
                assert!(covered.iter().all(|byte| *byte == covered[0]), "seed {seed}, sector {n}");
            }
            seen.insert(sectors);
        }
        assert!(seen.len() > 4, "{seen:?}");
    }

    #[test]
    fn a_failed_sync_loses_what_it_was_for_though_it_is_still_shown() {
        let disk = Disk::new();
        disk.create("a").unwrap();
        disk.write("a", 0, b"one").unwrap();
        disk.sync("a").unwrap();
        disk.fail_sync(2);
        disk.write("a", 0, b"two").unwrap();
        assert_eq!(disk.sync("a"), Err(Refusal::SyncFailed));
        assert_eq!(disk.sync("a"), Ok(()));
        let mut shown = [0; 3];
        disk.read("a", 0, &mut shown).unwrap();
        assert_eq!(&shown, b"two");
        assert_eq!(survived(&disk, Survive::Everything), Some(b"one".to_vec()));
    }

    #[test]
    fn the_disk_is_off_after_the_change_that_was_named() {
        let disk = Disk::new();
        disk.create("a").unwrap();
        disk.switch_off_after(2);
        disk.write("a", 0, b"one").unwrap();
        assert_eq!(disk.sync("a"), Err(Refusal::Off));
        assert_eq!(disk.write("a", 0, b"two"), Err(Refusal::Off));
        assert_eq!(disk.read("a", 0, &mut [0]), Err(Refusal::Off));
        assert_eq!(survived(&disk, Survive::Everything), Some(b"one".to_vec()));
        assert_eq!(survived(&disk, Survive::Nothing), None);
    }

    #[test]
    fn a_full_disk_takes_what_fits() {
        let disk = Disk::new();
        disk.create("a").unwrap();
        disk.set_bytes_max(Some(4));
        disk.write("a", 0, b"four").unwrap();
        assert_eq!(disk.write("a", 4, b"!"), Err(Refusal::Full));
        disk.write("a", 0, b"FOUR").unwrap();
    }
}
