//! The services of a design: started, watched, restarted, stopped.
//!
//! One task a service. It owns the child, so that nobody else can kill, wait for or forget it; what
//! others may know stands in a [`Status`] that it publishes.

use crate::child;
use crate::clock;
use crate::last_words;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time;

/// How often a service that is not ready yet is asked: a tenth of what a person notices.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// How long one health question may take.
const ASK_WITHIN: Duration = Duration::from_secs(2);

/// How often a service that is ready is asked whether it still is.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// The waits before restarts grow from here ..
const RESTART_MIN: Duration = Duration::from_millis(100);

/// .. to here, and begin anew after a minute without a death.
const RESTART_MAX: Duration = Duration::from_secs(5);

/// A service that lived this long before it died is restarted at once.
const LIVED_WELL: Duration = Duration::from_secs(60);

/// How long a service may take to stop after SIGTERM, before SIGKILL.
pub const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How one process of a service is started.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The service's name, with its number behind it where there is more than one process.
    pub name: String,
    /// The program of this Bowline, which becomes the command.
    pub program: PathBuf,
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// Where it runs.
    pub folder: PathBuf,
    /// What is added to its environment.
    pub environment: Vec<(String, String)>,
    /// Where it listens once it is ready.
    pub address: Option<SocketAddr>,
    /// The path that answers below 500 once it is ready; `None` asks for a connection alone.
    pub health: Option<String>,
    /// Where its output goes.
    pub log: PathBuf,
}

/// What is known of a service's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The service's name.
    pub name: String,
    /// Where it listens.
    pub address: Option<SocketAddr>,
    /// Its process, while there is one.
    pub pid: Option<u32>,
    /// What it is doing.
    pub state: State,
    /// How often it died and was started again.
    pub restarts: u32,
    /// How its last process ended, and what it said last.
    pub last_exit: Option<String>,
    /// Where its output goes.
    pub log: PathBuf,
}

impl Status {
    fn starting(spec: &Spec) -> Self {
        Self {
            name: spec.name.clone(),
            address: spec.address,
            pid: None,
            state: State::Starting,
            restarts: 0,
            last_exit: None,
            log: spec.log.clone(),
        }
    }
}

/// What a service's process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Started, and not answering yet.
    Starting,
    /// Answering.
    Ready {
        /// How long it took from its start.
        after: Duration,
    },
    /// It answered, and does not now.
    Unhealthy,
    /// Dead, and about to be started again.
    Waiting,
    /// Stopped because it was asked to.
    Stopped,
}

impl State {
    /// The word for people and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready { .. } => "ready",
            Self::Unhealthy => "unhealthy",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
        }
    }

    /// Whether requests can be answered.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        matches!(self, Self::Ready { .. })
    }
}

/// One service's process under supervision.
#[derive(Debug)]
pub struct Service {
    status: watch::Receiver<Status>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Service {
    /// Starts the process and supervises it until [`Service::stop`].
    ///
    /// Must be called on a thread that lives as long as the process: the death signal follows it.
    ///
    /// # Panics
    /// Outside a tokio runtime with a `LocalSet` or current-thread scheduler.
    #[must_use]
    pub fn start(spec: Spec) -> Self {
        let (publish, status) = watch::channel(Status::starting(&spec));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::task::spawn_local(supervise(spec, publish, stopped));
        Self { status, stop, task }
    }

    /// Watches a process that another one of ours started and keeps: whether it answers is all that is
    /// known of it.
    ///
    /// # Panics
    /// As [`Service::start`].
    #[must_use]
    pub fn watch(spec: Spec) -> Self {
        let (publish, status) = watch::channel(Status::starting(&spec));
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::task::spawn_local(async move {
            tokio::select! {
                () = watch_health(&spec, &publish, clock::now()) => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
        Self { status, stop, task }
    }

    /// What is known of it now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Follows what becomes known of it.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Asks it to stop, waits, and kills it if it does not within [`STOP_WITHIN`].
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

async fn supervise(spec: Spec, publish: watch::Sender<Status>, mut stop: watch::Receiver<bool>) {
    let mut wait = RESTART_MIN;
    loop {
        let started = clock::now();
        let said_before = last_words::length(&spec.log);
        let ended = match spawn(&spec) {
            Ok(mut child) => {
                publish.send_modify(|status| {
                    status.pid = child.id();
                    status.state = State::Starting;
                });
                tokio::select! {
                    exit = child.wait() => {
                        // Who was killed did not say why.
                        let words = match &exit {
                            Ok(exit) if exit.code().is_some() => last_words::of(&spec.log, said_before),
                            _ => None,
                        };
                        let exit = exit.map_or_else(|error| error.to_string(), |exit| exit.to_string());
                        words.map_or(exit.clone(), |words| format!("{exit}; it said last: {words}"))
                    }
                    () = watch_health(&spec, &publish, started) => unreachable!("health is watched for ever"),
                    _ = stop.wait_for(|stop| *stop) => {
                        end(&mut child).await;
                        publish.send_modify(|status| (status.pid, status.state) = (None, State::Stopped));
                        return;
                    }
                }
            }
            Err(error) => format!("did not start: {error}"),
        };
        if started.elapsed() >= LIVED_WELL {
            wait = RESTART_MIN;
        }
        publish.send_modify(|status| {
            status.pid = None;
            status.state = State::Waiting;
            status.restarts += 1;
            status.last_exit = Some(ended);
        });
        tokio::select! {
            () = time::sleep(wait) => wait = (wait * 2).min(RESTART_MAX),
            _ = stop.wait_for(|stop| *stop) => {
                publish.send_modify(|status| status.state = State::Stopped);
                return;
            }
        }
    }
}

fn spawn(spec: &Spec) -> io::Result<Child> {
    if let Some(folder) = spec.log.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let log = OpenOptions::new().create(true).append(true).open(&spec.log)?;
    let mut command = child::command(&spec.program, &spec.command);
    // A group of its own: Ctrl-C at the terminal is for us, who then stop services in order, and a process
    // that was replaced keeps its services when its terminal is interrupted.
    command.process_group(0);
    command.current_dir(&spec.folder).envs(spec.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    tokio::process::Command::from(command).kill_on_drop(true).spawn()
}

/// Publishes whether the service answers, for as long as it lives.
async fn watch_health(spec: &Spec, publish: &watch::Sender<Status>, started: std::time::Instant) {
    let Some(address) = spec.address else {
        publish.send_modify(|status| status.state = State::Ready { after: Duration::ZERO });
        return std::future::pending().await;
    };
    let mut ready = false;
    loop {
        let answers = time::timeout(ASK_WITHIN, ask(address, spec.health.as_deref())).await.unwrap_or(false);
        if answers != ready {
            ready = answers;
            let state = if ready { State::Ready { after: started.elapsed() } } else { State::Unhealthy };
            publish.send_modify(|status| status.state = state);
        }
        time::sleep(if ready { WATCH_EVERY } else { ASK_EVERY }).await;
    }
}

/// Whether something at `address` answers `GET path` with a status below 500; without a path,
/// whether it accepts a connection.
async fn ask(address: SocketAddr, path: Option<&str>) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    let Some(path) = path else { return true };
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    if stream.write_all(request.as_bytes()).await.is_err() {
        return false;
    }
    // "HTTP/1.1 200": twelve bytes say it.
    let mut line = [0_u8; 12];
    stream.read_exact(&mut line).await.is_ok()
        && line.starts_with(b"HTTP/1.")
        && (b'1'..b'5').contains(&line[9])
}

/// SIGTERM, then SIGKILL for what does not listen.
async fn end(child: &mut Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
    if time::timeout(STOP_WITHIN, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
