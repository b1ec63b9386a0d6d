//! The data folder: one process at a time owns it.
//!
//! Why a lock and not a pid file alone: a pid file outlives a `kill -9`, and the number in it may
//! belong to somebody else by then. The kernel gives the lock back however its holder ends.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The data folder, locked until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it gives the folder to the next process"]
pub struct DataFolder {
    path: PathBuf,
    lock: File,
}

impl DataFolder {
    /// Creates the folder if it is missing and takes its lock.
    ///
    /// # Errors
    /// [`DataError::Taken`] when another process holds it, with that process's id; [`DataError::Io`]
    /// when the folder cannot be made or written.
    pub fn take(path: &Path) -> Result<Self, DataError> {
        let io = |source| DataError::Io { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(io)?;
        let file = path.join("lock");
        let mut lock =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(file).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = lock.read_to_string(&mut holder);
                return Err(DataError::Taken { path: path.to_owned(), holder: holder.trim().parse().ok() });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        lock.set_len(0).map_err(io)?;
        lock.rewind().map_err(io)?;
        writeln!(lock, "{}", std::process::id()).map_err(io)?;
        Ok(Self { path: path.to_owned(), lock })
    }

    /// Takes the lock, waiting for its holder to give it back; for the process that replaces it.
    ///
    /// # Errors
    /// [`DataError::Io`] when the folder cannot be made or written.
    pub fn wait(path: &Path) -> Result<Self, DataError> {
        let io = |source| DataError::Io { path: path.to_owned(), source };
        let lock =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join("lock"));
        let mut lock = lock.map_err(io)?;
        lock.lock().map_err(io)?;
        lock.set_len(0).map_err(io)?;
        lock.rewind().map_err(io)?;
        writeln!(lock, "{}", std::process::id()).map_err(io)?;
        Ok(Self { path: path.to_owned(), lock })
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the lock back before the process ends, so that its successor can take it.
    pub fn release(self) {
        let _ = self.lock.unlock();
    }
}

/// Why the data folder cannot be used.
#[derive(Debug)]
pub enum DataError {
    /// Another process owns it.
    Taken {
        /// The folder.
        path: PathBuf,
        /// The owner's process id, if it could be read.
        holder: Option<u32>,
    },
    /// It cannot be made, read or written.
    Io {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { path, holder: Some(pid) } => {
                write!(
                    f,
                    "`{}` is in use by process {pid}; stop that one, take its place with --replace, or give \
                     this one a folder of its own with --data DIR",
                    path.display()
                )
            }
            Self::Taken { path, holder: None } => {
                write!(
                    f,
                    "`{}` is in use by another process; --data DIR gives this one its own",
                    path.display()
                )
            }
            Self::Io { path, .. } => write!(f, "cannot use the data folder `{}`", path.display()),
        }
    }
}

impl std::error::Error for DataError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Taken { .. } => None,
            Self::Io { source, .. } => Some(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_with_the_first_ones_process_id() {
        let path = std::env::temp_dir().join(format!("bowline-data-{}", std::process::id()));
        let first = DataFolder::take(&path).unwrap();
        let error = DataFolder::take(&path).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        first.release();
        drop(DataFolder::take(&path).unwrap());
        std::fs::remove_dir_all(&path).unwrap();
    }
}
