//! [`Mount`]: a disk as SQLite sees it.
//!
//! SQLite calls a table of C functions with pointers that it got from us: to the file system (ours for as long as the
//! mount lives) and to a file (a `File` that `open` put there and `close` takes away). Locks are those of SQLite's own
//! documentation of `xLock` and `xShmLock`; shared memory is on the heap, because all connections are in one process.

use crate::disk::{Disk, Refusal, SECTOR_BYTES};
use rusqlite::ffi;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A disk that SQLite knows by a name. Close every connection before dropping it.
#[derive(Debug)]
pub struct Mount {
    name: CString,
    vfs: *mut ffi::sqlite3_vfs,
}

/// What all files of one mount share.
struct Shared {
    disk: Disk,
    locks: Mutex<BTreeMap<String, Locks>>,
    open: AtomicUsize,
    salt: AtomicU64,
}

/// Who holds what of one file.
#[derive(Default)]
struct Locks {
    readers: u32,
    /// The one that has reserved the file, or more.
    writer: Option<u64>,
    /// Nobody new may read.
    pending: bool,
    memory: Vec<Region>,
    slots: [Slot; SLOTS],
}

#[derive(Clone, Copy, Default)]
struct Slot {
    readers: u32,
    writer: Option<u64>,
}

/// One piece of shared memory. SQLite keeps the pointer until it closes, and orders its accesses itself.
struct Region(*mut c_void, std::alloc::Layout);

// SAFETY: the memory is reached through SQLite alone, which orders its accesses by the locks and barriers below.
unsafe impl Send for Region {}

/// `SQLITE_SHM_NLOCK`.
const SLOTS: usize = 8;

/// One open file. The first field is what SQLite knows of it.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    inner: *mut Inner,
}

struct Inner {
    shared: Arc<Shared>,
    name: String,
    id: u64,
    level: c_int,
    shared_slots: u8,
    own_slots: u8,
    removed_at_close: bool,
}

impl Mount {
    /// Makes the disk known to SQLite, under a name of its own.
    ///
    /// # Panics
    /// If SQLite does not take it, which is a mistake in here.
    #[must_use]
    pub fn new(disk: &Disk) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = CString::new(format!("forgetful-{number}")).expect("no zero in it");
        let shared = Arc::new(Shared {
            disk: disk.clone(),
            locks: Mutex::default(),
            open: AtomicUsize::new(0),
            salt: AtomicU64::new(1),
        });
        let vfs = Box::into_raw(Box::new(ffi::sqlite3_vfs {
            iVersion: 2,
            szOsFile: size_of::<File>() as c_int,
            mxPathname: 1_024,
            pNext: std::ptr::null_mut(),
            zName: name.as_ptr(),
            pAppData: Arc::into_raw(shared).cast_mut().cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: Some(current_time),
            xGetLastError: Some(last_error),
            xCurrentTimeInt64: Some(current_time_millis),
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        }));
        // SAFETY: the table is complete for its version and lives until `drop` has taken it back.
        let code = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
        assert_eq!(code, ffi::SQLITE_OK, "SQLite did not take the file system");
        Self { name, vfs }
    }

    /// What a connection names it by.
    ///
    /// # Panics
    /// Never: the name is ASCII.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.to_str().expect("ASCII")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // SAFETY: `vfs` was registered by `new` and is taken back once.
        unsafe {
            ffi::sqlite3_vfs_unregister(self.vfs);
            let shared = (*self.vfs).pAppData.cast::<Shared>();
            // A connection that is still open goes on with both: rather lost than used after they are gone.
            if (*shared).open.load(Ordering::SeqCst) == 0 {
                drop(Arc::from_raw(shared.cast_const()));
                drop(Box::from_raw(self.vfs));
            } else {
                std::mem::forget(std::mem::take(&mut self.name));
            }
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated by `shm_map` with this layout.
        unsafe { std::alloc::dealloc(self.0.cast(), self.1) }
    }
}

impl Shared {
    fn locks(&self) -> MutexGuard<'_, BTreeMap<String, Locks>> {
        self.locks.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

// === the file system ===

unsafe fn shared(vfs: *mut ffi::sqlite3_vfs) -> Arc<Shared> {
    // SAFETY: SQLite hands back the table that `Mount::new` registered, whose data is a counted pointer.
    unsafe {
        let data = (*vfs).pAppData.cast::<Shared>().cast_const();
        Arc::increment_strong_count(data);
        Arc::from_raw(data)
    }
}

/// A file's name without its folders: a disk is one folder, wherever it is said to be.
unsafe fn text(name: *const c_char) -> String {
    // SAFETY: SQLite's names end with a zero.
    let path = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let file = file.cast::<File>();
    // SAFETY: SQLite gives `szOsFile` bytes at `file`, and asks for no `close` while the methods are null.
    unsafe { (*file).base.pMethods = std::ptr::null() };
    // SAFETY: called with a table of ours.
    let shared = unsafe { shared(vfs) };
    let id = COUNT.fetch_add(1, Ordering::Relaxed);
    // SAFETY: a name that is there ends with a zero.
    let name = if name.is_null() { format!("temporary-{id}") } else { unsafe { text(name) } };
    if flags & ffi::SQLITE_OPEN_CREATE == 0 && !shared.disk.exists(&name) {
        return ffi::SQLITE_CANTOPEN;
    }
    let mut given = flags;
    if shared.disk.is_read_only() {
        given = (given & !ffi::SQLITE_OPEN_READWRITE) | ffi::SQLITE_OPEN_READONLY;
    }
    if shared.disk.create(&name).is_err() {
        return ffi::SQLITE_CANTOPEN;
    }
    if !out_flags.is_null() {
        // SAFETY: SQLite's own, or null.
        unsafe { *out_flags = given };
    }
    shared.open.fetch_add(1, Ordering::SeqCst);
    let removed_at_close = flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0;
    let inner = Inner { shared, name, id, level: 0, shared_slots: 0, own_slots: 0, removed_at_close };
    // SAFETY: as above.
    unsafe {
        (*file).inner = Box::into_raw(Box::new(inner));
        (*file).base.pMethods = &raw const METHODS;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    // SAFETY: a table of ours, a name that ends with a zero.
    let (shared, name) = unsafe { (shared(vfs), text(name)) };
    match shared.disk.remove(&name, sync_dir != 0) {
        Ok(true) => ffi::SQLITE_OK,
        Ok(false) => ffi::SQLITE_IOERR_DELETE_NOENT,
        Err(_) => ffi::SQLITE_IOERR_DELETE,
    }
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: a table of ours, a name that ends with a zero, and room for the answer.
    unsafe { *out = c_int::from(shared(vfs).disk.exists(&text(name))) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_pathname(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: a name that ends with a zero.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    if name.len() > room as usize {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: there is `room` for it, and names do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(name.as_ptr().cast(), out, name.len()) };
    ffi::SQLITE_OK
}

/// The same numbers in every run: what SQLite salts its log with.
unsafe extern "C" fn randomness(vfs: *mut ffi::sqlite3_vfs, len: c_int, out: *mut c_char) -> c_int {
    // SAFETY: a table of ours.
    let shared = unsafe { shared(vfs) };
    for n in 0..len as usize {
        let salt = shared.salt.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        // SAFETY: there is room for `len` bytes.
        unsafe { *out.add(n) = (salt >> 32) as c_char };
    }
    len
}

unsafe extern "C" fn sleep(_vfs: *mut ffi::sqlite3_vfs, micros: c_int) -> c_int {
    std::thread::yield_now();
    micros
}

unsafe extern "C" fn current_time(_vfs: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    // SAFETY: room for the answer.
    unsafe { *out = 2_461_000.5 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn current_time_millis(_vfs: *mut ffi::sqlite3_vfs, out: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: room for the answer.
    unsafe { *out = 212_630_443_200_000 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn last_error(_vfs: *mut ffi::sqlite3_vfs, _len: c_int, _out: *mut c_char) -> c_int {
    0
}

// === one file ===

unsafe fn inner<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Inner {
    // SAFETY: SQLite hands back a file that `open` filled and `close` has not emptied, and uses a connection's files on
    // one thread at a time.
    unsafe { &mut *(*file.cast::<File>()).inner }
}

fn code(refusal: Refusal, doing: c_int) -> c_int {
    match refusal {
        Refusal::Full => ffi::SQLITE_FULL,
        Refusal::ReadOnly => ffi::SQLITE_READONLY,
        Refusal::SyncFailed => ffi::SQLITE_IOERR_FSYNC,
        Refusal::Off => doing,
    }
}

fn answer(result: Result<(), Refusal>, doing: c_int) -> c_int {
    result.map_or_else(|refusal| code(refusal, doing), |()| ffi::SQLITE_OK)
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `open` put it there, and SQLite closes once.
    let mut inner = unsafe { Box::from_raw((*file.cast::<File>()).inner) };
    release(&mut inner, 0);
    release_slots(&mut inner);
    if inner.removed_at_close {
        let _ = inner.shared.disk.remove(&inner.name, false);
    }
    inner.shared.open.fetch_sub(1, Ordering::SeqCst);
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    into: *mut c_void,
    len: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: an open file, and `len` bytes of room.
    let (inner, into) =
        unsafe { (inner(file), std::slice::from_raw_parts_mut(into.cast::<u8>(), len as usize)) };
    match inner.shared.disk.read(&inner.name, at as usize, into) {
        Ok(read) if read == into.len() => ffi::SQLITE_OK,
        Ok(read) => {
            into[read..].fill(0);
            ffi::SQLITE_IOERR_SHORT_READ
        }
        Err(refusal) => code(refusal, ffi::SQLITE_IOERR_READ),
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    len: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: an open file, and `len` bytes.
    let (inner, from) = unsafe { (inner(file), std::slice::from_raw_parts(from.cast::<u8>(), len as usize)) };
    answer(inner.shared.disk.write(&inner.name, at as usize, from), ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: ffi::sqlite3_int64) -> c_int {
    // SAFETY: an open file.
    let inner = unsafe { inner(file) };
    answer(inner.shared.disk.cut(&inner.name, len as usize), ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: an open file.
    let inner = unsafe { inner(file) };
    answer(inner.shared.disk.sync(&inner.name), ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: an open file.
    let inner = unsafe { inner(file) };
    match inner.shared.disk.len(&inner.name) {
        Ok(len) => {
            // SAFETY: room for the answer.
            unsafe { *out = len as ffi::sqlite3_int64 };
            ffi::SQLITE_OK
        }
        Err(refusal) => code(refusal, ffi::SQLITE_IOERR_FSTAT),
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, want: c_int) -> c_int {
    // SAFETY: an open file.
    let inner = unsafe { inner(file) };
    if want <= inner.level {
        return ffi::SQLITE_OK;
    }
    let mut all = inner.shared.locks();
    let locks = all.entry(inner.name.clone()).or_default();
    let others_write = locks.writer.is_some_and(|writer| writer != inner.id);
    if want == ffi::SQLITE_LOCK_SHARED {
        if locks.pending {
            return ffi::SQLITE_BUSY;
        }
        locks.readers += 1;
        inner.level = want;
        return ffi::SQLITE_OK;
    }
    if others_write {
        return ffi::SQLITE_BUSY;
    }
    locks.writer = Some(inner.id);
    if want == ffi::SQLITE_LOCK_RESERVED {
        inner.level = want;
        return ffi::SQLITE_OK;
    }
    locks.pending = true;
    if locks.readers > 1 {
        inner.level = ffi::SQLITE_LOCK_PENDING;
        return ffi::SQLITE_BUSY;
    }
    inner.level = want;
    ffi::SQLITE_OK
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, to: c_int) -> c_int {
    // SAFETY: an open file.
    release(unsafe { inner(file) }, to);
    ffi::SQLITE_OK
}

fn release(inner: &mut Inner, to: c_int) {
    let mut all = inner.shared.locks();
    let locks = all.entry(inner.name.clone()).or_default();
    if locks.writer == Some(inner.id) && to <= ffi::SQLITE_LOCK_SHARED {
        (locks.writer, locks.pending) = (None, false);
    }
    if to < ffi::SQLITE_LOCK_SHARED && inner.level >= ffi::SQLITE_LOCK_SHARED {
        locks.readers -= 1;
    }
    inner.level = inner.level.min(to);
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: an open file, and room for the answer.
    unsafe {
        let inner = inner(file);
        let reserved = inner.shared.locks().get(&inner.name).is_some_and(|locks| locks.writer.is_some());
        *out = c_int::from(reserved);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(
    _file: *mut ffi::sqlite3_file,
    _op: c_int,
    _argument: *mut c_void,
) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    SECTOR_BYTES as c_int
}

/// What SQLite takes of Linux' file systems: a write never damages what is beside it.
unsafe extern "C" fn device_characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

// === the memory that connections share ===

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: an open file.
    let inner = unsafe { inner(file) };
    let mut all = inner.shared.locks();
    let memory = &mut all.entry(inner.name.clone()).or_default().memory;
    while memory.len() <= region as usize {
        if extend == 0 {
            // SAFETY: room for the answer.
            unsafe { *out = std::ptr::null_mut() };
            return ffi::SQLITE_OK;
        }
        let Ok(layout) = std::alloc::Layout::from_size_align(size as usize, 64) else {
            return ffi::SQLITE_NOMEM;
        };
        // SAFETY: SQLite's regions have 32 KiB.
        let new = unsafe { std::alloc::alloc_zeroed(layout) };
        if new.is_null() {
            return ffi::SQLITE_NOMEM;
        }
        memory.push(Region(new.cast(), layout));
    }
    // SAFETY: room for the answer.
    unsafe { *out = memory[region as usize].0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: an open file.
    let inner = unsafe { inner(file) };
    let range = first as usize..(first + count) as usize;
    let mut all = inner.shared.locks();
    let slots = &mut all.entry(inner.name.clone()).or_default().slots;
    let mask = |n: usize| 1_u8 << n;
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        for n in range {
            if inner.shared_slots & mask(n) != 0 {
                slots[n].readers -= 1;
            }
            if inner.own_slots & mask(n) != 0 {
                slots[n].writer = None;
            }
            inner.shared_slots &= !mask(n);
            inner.own_slots &= !mask(n);
        }
        return ffi::SQLITE_OK;
    }
    let shared = flags & ffi::SQLITE_SHM_SHARED != 0;
    for n in range.clone() {
        let others_read = slots[n].readers > u32::from(inner.shared_slots & mask(n) != 0);
        let others_write = slots[n].writer.is_some_and(|writer| writer != inner.id);
        if others_write || (!shared && others_read) {
            return ffi::SQLITE_BUSY;
        }
    }
    for n in range {
        if !shared {
            slots[n].writer = Some(inner.id);
            inner.own_slots |= mask(n);
        } else if inner.shared_slots & mask(n) == 0 {
            slots[n].readers += 1;
            inner.shared_slots |= mask(n);
        }
    }
    ffi::SQLITE_OK
}

fn release_slots(inner: &mut Inner) {
    let mut all = inner.shared.locks();
    let Some(locks) = all.get_mut(&inner.name) else { return };
    for (n, slot) in locks.slots.iter_mut().enumerate() {
        if inner.shared_slots & (1 << n) != 0 {
            slot.readers -= 1;
        }
        if slot.writer == Some(inner.id) {
            slot.writer = None;
        }
    }
}

unsafe extern "C" fn shm_barrier(_file: *mut ffi::sqlite3_file) {
    std::sync::atomic::fence(Ordering::SeqCst);
}

/// The memory stays until the file is the only thing left that knows it: the last connection has it removed.
unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, remove: c_int) -> c_int {
    // SAFETY: an open file.
    let inner = unsafe { inner(file) };
    release_slots(inner);
    (inner.shared_slots, inner.own_slots) = (0, 0);
    if remove != 0
        && let Some(locks) = inner.shared.locks().get_mut(&inner.name)
    {
        locks.memory.clear();
    }
    ffi::SQLITE_OK
}
