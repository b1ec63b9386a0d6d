//! One process per folder.
//!
//! SQLite's own locks would let two processes share the file, and each would hand out the other's positions. The
//! folder's lock is the operating system's, so that it goes with its process however that ends.

use crate::error::{Error, Reason};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The folder's lock, held until it is dropped.
#[derive(Debug)]
pub(crate) struct FolderLock(#[expect(dead_code, reason = "held")] File);

impl FolderLock {
    /// # Errors
    /// [`Reason::InUse`] with the id of the process that has it.
    pub(crate) fn take(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("lock");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|e| Error::io(format!("failed to open `{}`", path.display()), e))?;
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Err(in_use(folder, &mut file)),
            Err(TryLockError::Error(e)) => {
                return Err(Error::io(format!("failed to lock `{}`", path.display()), e));
            }
        }
        let id = format!("{}\n", std::process::id());
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(id.as_bytes()));
        // A full disk must not keep the store from being read: the id is for people.
        let _ = written;
        Ok(Self(file))
    }
}

fn in_use(folder: &Path, file: &mut File) -> Error {
    let mut id = String::new();
    let _ = file.read_to_string(&mut id);
    let who = match id.trim() {
        "" => "another process".to_owned(),
        id => format!("process {id}"),
    };
    let folder = folder.display();
    Error::refused(Reason::InUse, format!("`{folder}` is in use by {who}; end it, or name another folder"))
}
