//! What `up` starts dies with it, even by `kill -9`.
//!
//! A service is started through the program itself: `bowline child PARENT -- COMMAND ..` asks the
//! kernel for a death signal, checks that its parent is still there, and then becomes the command.
//! Asking before the exec is what makes it hold for a program that knows nothing of Bowline.

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The word that makes the program behave as a child of itself.
pub const VERB: &str = "child";

/// The command that runs `command` as a child which dies with this process.
///
/// The death signal follows the thread that starts the child: start it from a thread that lives as
/// long as the process does.
#[must_use]
pub fn command(program: &Path, command: &[OsString]) -> Command {
    let mut child = Command::new(program);
    child.arg(VERB).arg(std::process::id().to_string()).arg("--").args(command);
    child
}

/// Becomes the command, with a death signal of SIGKILL: nothing it could do with a gentler one would
/// still have a parent to report to. Returns only if it cannot.
#[must_use]
pub fn become_command(parent: u32, command: &[OsString]) -> io::Error {
    let Some((program, arguments)) = command.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "no command given");
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    // The parent may have died before the signal was asked for; then nobody would send it.
    let alive = i32::try_from(parent).ok().and_then(Pid::from_raw) == getppid();
    if !alive {
        return io::Error::new(io::ErrorKind::NotFound, "the process that started this one is gone");
    }
    Command::new(program).args(arguments).exec()
}
