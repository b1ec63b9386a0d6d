//! Processes and cores, and what `/proc` says about them.

use crate::{Stop, clock, run};
use rustix::process::{Pid, Signal, kill_process};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The core that the proxy has to itself.
pub(super) const PROXY_CORE: usize = 0;
/// The core that the upstream and the load share.
pub(super) const LOAD_CORE: usize = 1;

/// How long a program may take until it listens. Under callgrind Bowline needs a few seconds of it.
const START_MAX: Duration = Duration::from_secs(30);
/// How long a program may take to stop before it is killed.
const STOP_MAX: Duration = Duration::from_secs(5);

/// `command`, held to one core. The process id stays: `taskset` becomes the command.
pub(super) fn pinned(root: &Path, core: usize, command: &Command) -> Command {
    let mut pinned = run::program(root, "taskset");
    pinned.arg("-c").arg(core.to_string()).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => pinned.env(key, value),
            None => pinned.env_remove(key),
        };
    }
    pinned
}

/// A program that runs until this is dropped.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    /// Starts it and waits until it listens at `address`; what it prints goes to the file `log`.
    pub(crate) fn start(mut command: Command, address: SocketAddr, log: &Path) -> Result<Self, Stop> {
        let shown = run::shown(&command);
        if TcpStream::connect(address).is_ok() {
            return Err(Stop::Missing(format!("something else listens at {address}; stop it and try again")));
        }
        let file = std::fs::File::create(log).and_then(|file| Ok((file.try_clone()?, file)));
        let (out, err) = file.map_err(|e| Stop::Missing(format!("cannot write {}: {e}", log.display())))?;
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let mut running = Self { child: child.map_err(|e| Stop::Missing(format!("`{shown}`: {e}")))? };
        let listens = clock::wait_until(START_MAX, || {
            TcpStream::connect(address).is_ok() || !matches!(running.child.try_wait(), Ok(None))
        });
        if listens && matches!(running.child.try_wait(), Ok(None)) {
            return Ok(running);
        }
        let said = std::fs::read_to_string(log).unwrap_or_default();
        Err(Stop::Missing(format!("`{shown}` does not listen at {address}; it said:\n{}", said.trim())))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself; then there is nobody to tell.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        let stopped = clock::wait_until(STOP_MAX, || !matches!(self.child.try_wait(), Ok(None)));
        if !stopped {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Processor time of a process and everything it started, in microseconds.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub(super) struct Cpu {
    pub(super) user_us: f64,
    pub(super) system_us: f64,
}

impl Cpu {
    pub(super) fn since(self, before: Self) -> Self {
        Self { user_us: self.user_us - before.user_us, system_us: self.system_us - before.system_us }
    }

    pub(super) fn total_us(self) -> f64 {
        self.user_us + self.system_us
    }
}

/// The kernel counts processor time for `/proc` in hundredths of a second on every machine that
/// Rust's Linux targets run on (`USER_HZ`).
const TICK_US: f64 = 10_000.0;

pub(super) fn cpu_of_tree(id: u32) -> Cpu {
    let mut cpu = Cpu::default();
    for stat in tree(id) {
        cpu.user_us += stat.user_ticks as f64 * TICK_US;
        cpu.system_us += stat.system_ticks as f64 * TICK_US;
    }
    cpu
}

/// Resident memory of a process and everything it started, in megabytes (10^6 bytes). Pages that a
/// parent and its worker share count twice, as they do in `ps`.
pub(crate) fn resident_mb_of_tree(id: u32) -> f64 {
    let kib = |stat: Stat| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", stat.id)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok()).unwrap_or_default()
    };
    tree(id).into_iter().map(kib).sum::<f64>() * 1_024.0 / 1e6
}

/// How many files, sockets among them, a process and everything it started have open.
pub(crate) fn open_files_of_tree(id: u32) -> usize {
    let open = |stat: Stat| std::fs::read_dir(format!("/proc/{}/fd", stat.id)).map_or(0, Iterator::count);
    tree(id).into_iter().map(open).sum()
}

/// A line of `/proc/ID/stat`.
#[derive(Debug, PartialEq)]
struct Stat {
    id: u32,
    parent: u32,
    user_ticks: u64,
    system_ticks: u64,
}

impl Stat {
    /// The name, in parentheses, may hold anything; fields count from behind it.
    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.rsplit_once(')')?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        Some(Self {
            id: before.split(' ').next()?.parse().ok()?,
            parent: fields.get(1)?.parse().ok()?,
            user_ticks: fields.get(11)?.parse().ok()?,
            system_ticks: fields.get(12)?.parse().ok()?,
        })
    }
}

/// The process and its descendants.
fn tree(id: u32) -> Vec<Stat> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbered = entries.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    let read = numbered.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    let all: Vec<Stat> = read.filter_map(|line| Stat::parse(&line)).collect();
    let mut members = vec![id];
    loop {
        let joins = |stat: &&Stat| members.contains(&stat.parent) && !members.contains(&stat.id);
        let new: Vec<u32> = all.iter().filter(joins).map(|stat| stat.id).collect();
        if new.is_empty() {
            return all.into_iter().filter(|stat| members.contains(&stat.id)).collect();
        }
        members.extend(new);
    }
}

/// What one core has done since it started, in ticks.
#[derive(Clone, Copy)]
pub(super) struct Core {
    all: u64,
    stolen: u64,
}

impl Core {
    pub(super) fn read(core: usize) -> Self {
        let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let start = format!("cpu{core} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default();
        let ticks: Vec<u64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; what follows is part of user and nice.
        Self { all: ticks.iter().take(8).sum(), stolen: ticks.get(7).copied().unwrap_or_default() }
    }

    /// The share of time, in percent, that the hypervisor gave to somebody else.
    pub(super) fn stolen_percent_since(self, before: Self) -> f64 {
        let all = (self.all - before.all).max(1);
        (self.stolen - before.stolen) as f64 * 100.0 / all as f64
    }
}

/// This machine in one line, for a report.
pub(crate) fn describe() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{cores} cores of {}, Linux {}", model.unwrap_or("an unknown processor"), kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_program_is_called() {
        let line = "4711 (a) b (c) S 42 4711 4711 0 -1 4194560 1 2 3 4 120 34 5 6 20 0 1 0 99 1 1";
        assert_eq!(Stat::parse(line), Some(Stat { id: 4711, parent: 42, user_ticks: 120, system_ticks: 34 }));
    }

    #[test]
    fn this_process_has_memory_and_is_its_own_tree() {
        let id = std::process::id();
        assert!(tree(id).iter().any(|stat| stat.id == id));
        assert!(resident_mb_of_tree(id) > 0.1);
        assert!(open_files_of_tree(id) >= 3, "standard streams");
    }
}
