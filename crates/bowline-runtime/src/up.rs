//! One design made to run, from its first service to its last answer.
//!
//! Starting, in order: the data folder is taken; every port is bound, so that a taken one is found before
//! anything runs; the local API answers, because services ask it for their values; services are built,
//! started and waited for; then the doors accept. Connections that came earlier waited in the sockets'
//! queues. Stopping goes the other way round.

mod console;
mod doors;
mod error;
mod news;
mod programs;
mod signals;
mod steward;
mod taken;

pub use error::UpError;

use crate::api::{Running, ScopedTokens, locked};
use crate::data::DataFolder;
use crate::faults::Injected;
use crate::handover::{self, Offer};
use crate::roles::{Role, Roles};
use crate::services::Status;
use crate::source::{self, Fingerprint};
use crate::traces::{Settings, Traces};
use bowline_design::kinds::Documents;
use bowline_design::{Design, Mistake, Text};
use bowline_proxy::{Config, Door, Files, Proxy};
use console::Console;
use doors::Doors;
use news::News;
use programs::Programs;
use signals::{Signals, Stop};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use taken::{LEASH, Taken};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio::time;

/// How often the design's files are looked at: a person who saves and looks up sees it done.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often the files of certificates, keys and lists are looked at: a revoked certificate is to be stopped within
/// seconds, and reading a few kilobytes costs next to nothing.
const RENEW_EVERY: Duration = Duration::from_secs(2);

/// How long services may take to become ready before `up` says which one is not. It goes on waiting.
const SLOW_AFTER: Duration = Duration::from_secs(15);

/// How long the local API's last answers may take after a hand-over: none takes a second.
const PART_WITHIN: Duration = Duration::from_secs(2);

/// How a design is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the design is, to read it again when it changes.
    pub path: PathBuf,
    /// What was there just before it was read: what is there otherwise by now, is read again.
    pub seen: Fingerprint,
    /// Where data, logs and the lock are.
    pub data: PathBuf,
    /// The program that children are started through: this one.
    pub program: PathBuf,
    /// Which parts run.
    pub roles: Roles,
    /// Worker threads of the data path; `None`: one for each core.
    pub workers: Option<usize>,
    /// Where the local API listens.
    pub api: SocketAddr,
    /// Tokens that the local API demands; `None`: none, and it listens on loopback alone.
    pub api_tokens: Option<ScopedTokens>,
    /// Where the mesh listens.
    pub mesh: SocketAddr,
    /// Ports of the design and where they listen instead.
    pub ports: Vec<(u16, u16)>,
    /// Whether to take the place of the process that runs.
    pub replace: bool,
    /// How long requests in flight may take when stopping.
    pub drain: Duration,
    /// Which DNS server is asked; `None`: those that `/etc/resolv.conf` names.
    pub dns: Option<SocketAddr>,
    /// Where spans go; `None`: nowhere.
    pub trace: Option<Settings>,
}

/// What happens while a design runs, for whoever shows it.
#[derive(Debug)]
pub enum Event<'a> {
    /// A service's program is being built.
    Building(&'a str),
    /// A service's process changed its state.
    Service(&'a Status),
    /// Services take long to become ready; these are not yet.
    Slow(&'a [Status]),
    /// A door accepts.
    Door {
        /// What people call it.
        name: &'a str,
        /// Where.
        address: SocketAddr,
        /// Whether TLS is spoken there.
        tls: bool,
    },
    /// The local API answers.
    Console(SocketAddr),
    /// Everything is ready.
    Ready,
    /// A door accepts no more: the design that holds from now on has it no more.
    DoorClosed(&'a str, SocketAddr),
    /// The design's files changed and hold from now on.
    Reloaded(&'a Design, &'a Documents),
    /// The design's files changed and have mistakes; what ran before goes on.
    Rejected(&'a [Mistake], &'a [Text]),
    /// The design's files changed and cannot be made to run; what ran before goes on, all of it.
    Refused(&'a str),
    /// The design's files changed and something about them cannot be done; the rest holds.
    Hindered(&'a str),
    /// A successor accepts now; this process drains.
    HandedOver {
        /// Services that this process keeps running for its successor, as their parent.
        keeps: usize,
    },
    /// Asked to stop: requests in flight finish.
    Draining,
    /// Stopped; this many connections were cut because the drain's time was over.
    Stopped {
        /// Connections that were cut.
        cut: usize,
    },
}

/// Runs `design` until it is told to stop (SIGINT, SIGTERM) or a successor takes over.
///
/// # Errors
/// [`UpError`], before anything of the design runs.
///
/// # Panics
/// Inside an async runtime: this starts its own, on the calling thread, which must be the one that lives
/// as long as the process.
pub fn run(options: &Options, design: Design, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), UpError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(UpError::System)?;
    let local = tokio::task::LocalSet::new();
    let done = local.block_on(&runtime, up(options, Arc::new(design), tell));
    drop(local);
    // A build or a hand-over may be under way on a thread of its own; nobody waits for it any more.
    runtime.shutdown_background();
    done
}

async fn up(options: &Options, design: Arc<Design>, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), UpError> {
    let mut programs = Programs::new(options);
    if options.replace && options.roles.has(Role::Services) {
        // What takes long comes before the predecessor is asked.
        programs.prepare(&design, tell).await?;
    }
    let mut taken = Taken::new(options)?;
    let workers = options.workers.unwrap_or_else(|| Config::new(Arc::clone(&design)).workers);
    let mut doors = Doors::bind(options, &design, workers, &mut taken.sockets)?;
    let replaces = taken.data.is_none();
    let mut console = match options.roles.has(Role::Console) {
        true => Some(Console::bind(options, taken.api.take())?),
        false => None,
    };

    let mut config = Config::new(Arc::clone(&design));
    config.workers = workers;
    config.dns = options.dns;
    let traces = Traces::start(options.trace.as_ref()).map_err(UpError::System)?;
    config.recorder = traces.recorder();
    config.files = Arc::new(Files::within(source::folder(&options.path)));
    let proxy = Proxy::start(config).map_err(UpError::System)?;
    let running = Arc::new(Running::new(proxy, traces.clone()));
    for fault in &taken.offer.faults {
        if let Err(why) = fault.add_to(&running.proxy) {
            tell(Event::Hindered(&why));
        }
    }
    *locked(&running.pending) = vec!["gateway: waits for its services".to_owned()];
    if let Some(console) = &mut console {
        programs.report_to(console.address);
        // A predecessor's API answers until this process is ready to.
        if !replaces {
            console.open(&running)?;
        }
    }

    programs.adopt(&taken.offer.services, std::mem::take(&mut taken.leashes));
    let mut signals = Signals::new().map_err(UpError::System)?;
    let starting = async {
        if options.roles.has(Role::Services) {
            programs.follow(&design, &running, tell).await?;
        }
        wait_until_ready(&running, tell).await;
        Ok(())
    };
    let stopped = tokio::select! {
        started = starting => { started?; false }
        () = signals.stop.asked() => true,
    };
    if stopped {
        tell(Event::Draining);
        programs.stop().await;
        tell(Event::Stopped { cut: 0 });
        return Ok(());
    }
    doors.open(&running, tell)?;
    locked(&running.pending).clear();
    if let Some(console) = &mut console {
        console.open(&running)?;
        tell(Event::Console(console.address));
    }

    let data = taken.finish(options, &programs)?;
    let successor = listen_for_successor(data.path()).map_err(UpError::System)?;
    tell(Event::Ready);
    if replaces
        && options.roles.has(Role::Services)
        && let Err(error) = programs.take_over(&design, &running, tell).await
    {
        tell(Event::Hindered(&error.to_string()));
    }

    let mut running_design = RunningDesign { options, running, programs, console, traces, workers };
    let ending = running_design.serve(&mut signals, &successor, tell).await;
    drop(successor);
    running_design.end(ending, data, &mut signals, tell).await;
    Ok(())
}

/// Waits until every service answers, and says which do not when it takes long.
async fn wait_until_ready(running: &Running, tell: &mut dyn FnMut(Event<'_>)) {
    let mut news = News::begin(running);
    let mut slow_at = time::Instant::now() + SLOW_AFTER;
    loop {
        news.tell(tell);
        let waiting = news.unready();
        if waiting.is_empty() {
            return;
        }
        if time::timeout_at(slow_at, news.change()).await.is_err() {
            tell(Event::Slow(&waiting));
            slow_at += SLOW_AFTER;
        }
    }
}

fn listen_for_successor(data: &Path) -> io::Result<UnixListener> {
    let path = handover::path(data);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(path)
}

/// Why serving ends.
enum Ending {
    /// It was asked to.
    Asked,
    /// A successor accepts; it holds this leash.
    Replaced(UnixStream),
}

/// A design that runs, and what it takes to change or end it.
struct RunningDesign<'a> {
    options: &'a Options,
    running: Arc<Running>,
    programs: Programs,
    console: Option<Console>,
    traces: Traces,
    workers: usize,
}

impl RunningDesign<'_> {
    /// Serves until something ends it; reloads on the way.
    async fn serve(
        &mut self,
        signals: &mut Signals,
        successor: &UnixListener,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Ending {
        let mut look = time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let mut renew = time::interval(RENEW_EVERY);
        renew.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let mut seen = self.options.seen.clone();
        let mut changed = None;
        let mut news = News::go_on(&self.running);
        let mut hand_over: Option<JoinHandle<io::Result<UnixStream>>> = None;
        loop {
            tokio::select! {
                () = signals.stop.asked() => return Ending::Asked,
                _ = signals.hangup.recv() => {
                    if let Some(ending) = self.reload(&mut signals.stop, tell).await {
                        return ending;
                    }
                    news = News::go_on(&self.running);
                }
                asker = successor.accept(), if hand_over.is_none() => {
                    match asker.and_then(|(asker, _)| self.hand_over(asker)) {
                        Ok(begun) => hand_over = Some(begun),
                        Err(error) => tracing::warn!(%error, "a successor cannot be handed the sockets"),
                    }
                }
                handed_over = ended(&mut hand_over) => match handed_over {
                    Ok(leash) => return Ending::Replaced(leash),
                    Err(error) => tracing::warn!(%error, "a successor did not take over; this process goes on"),
                },
                () = news.change() => news.tell(tell),
                _ = renew.tick() => {
                    if self.running.proxy.renew_certificates() {
                        tracing::info!("a certificate, a key or a list has changed and was read anew");
                    }
                }
                _ = look.tick(), if self.options.path != Path::new("-") => {
                    let now = source::fingerprint(&self.options.path);
                    if now == seen {
                        changed = None;
                    } else if changed.as_ref() == Some(&now) {
                        // Twice the same: whoever was writing has finished.
                        seen = now;
                        changed = None;
                        if let Some(ending) = self.reload(&mut signals.stop, tell).await {
                            return ending;
                        }
                        news = News::go_on(&self.running);
                    } else {
                        changed = Some(now);
                    }
                }
            }
        }
    }

    /// Reads the design again. What has mistakes, or wants a port that cannot be had, changes nothing.
    ///
    /// What is new runs before the routes lead to it; what is taken away stops after they do not.
    async fn reload(&mut self, stop: &mut Stop, tell: &mut dyn FnMut(Event<'_>)) -> Option<Ending> {
        let texts = match source::read(&self.options.path) {
            Ok(texts) => texts,
            Err(error) => {
                tell(Event::Hindered(&error.to_string()));
                return None;
            }
        };
        let reading = bowline_design::read(&texts);
        let design = match bowline_design::resolve(&reading) {
            Ok(design) => Arc::new(design),
            Err(mistakes) => {
                tell(Event::Rejected(&mistakes, &texts));
                return None;
            }
        };
        let doors = match Doors::prepare(self.options, &design, self.workers, &self.running) {
            Ok(doors) => doors,
            Err(error) => {
                tell(Event::Refused(&error.to_string()));
                return None;
            }
        };
        if self.options.roles.has(Role::Services) {
            let following = async {
                let done = self.programs.follow(&design, &self.running, tell).await;
                let _ = time::timeout(SLOW_AFTER, self.programs.settle_in(tell)).await;
                done
            };
            let done = tokio::select! {
                done = following => done,
                () = stop.asked() => return Some(Ending::Asked),
            };
            if let Err(error) = done {
                tell(Event::Hindered(&error.to_string()));
            }
        }
        self.running.proxy.reload(Arc::clone(&design));
        if let Err(error) = doors.follow(&self.running, tell) {
            tell(Event::Hindered(&error.to_string()));
        }
        self.running.changed();
        tell(Event::Reloaded(&design, &reading.documents));
        self.programs.settle().await;
        None
    }

    /// Gives the sockets to a successor; ends with the leash once it accepts. Until then everything goes
    /// on as before.
    fn hand_over(&self, asker: tokio::net::UnixStream) -> io::Result<JoinHandle<io::Result<UnixStream>>> {
        let asker = asker.into_std()?;
        asker.set_nonblocking(false)?;
        let mut sockets: Vec<(String, OwnedFd)> = Vec::new();
        for door in self.running.proxy.sockets()? {
            let name = doors::name(door.door);
            sockets
                .extend(door.listeners.into_iter().map(|listener| (name.clone(), OwnedFd::from(listener))));
        }
        if let Some(console) = &self.console {
            sockets.push(("api".to_owned(), console.listener.try_clone()?.into()));
        }
        for leash in self.programs.leashes() {
            sockets.push((LEASH.to_owned(), leash.try_clone()?.into()));
        }
        let offer = Offer {
            sockets: sockets.iter().map(|(name, _)| name.clone()).collect(),
            services: self.programs.kept(),
            faults: Injected::list(&self.running.proxy),
        };
        // The exchange blocks for as long as the successor starts.
        Ok(tokio::task::spawn_blocking(move || {
            let fds: Vec<_> = sockets.iter().map(|(_, fd)| fd.as_fd()).collect();
            handover::answer(&asker, &offer, &fds)?;
            Ok(asker)
        }))
    }

    /// Drains and stops; as a steward, only after the successor is gone.
    async fn end(
        self,
        ending: Ending,
        data: DataFolder,
        signals: &mut Signals,
        tell: &mut dyn FnMut(Event<'_>),
    ) {
        let Self { options, running, programs, console, traces, .. } = self;
        let mut parting = None;
        let leash = match ending {
            Ending::Asked => {
                tell(Event::Draining);
                *locked(&running.pending) = vec!["draining".to_owned()];
                None
            }
            Ending::Replaced(leash) => {
                parting = console.and_then(|console| console.part(&running));
                tell(Event::HandedOver { keeps: programs.children() });
                data.release();
                Some(leash)
            }
        };
        let parted = async {
            if let Some(parting) = parting {
                let _ = time::timeout(PART_WITHIN, parting).await;
            }
        };
        let cut = tokio::select! {
            (drained, ()) = async { tokio::join!(running.proxy.drain(options.drain), parted) } => drained.cut,
            _ = signals.stop.interrupt.recv() => 0,
        };
        traces.end();
        match leash {
            // The successor holds the leashes of those before us, too: each steward ends with whoever is last.
            Some(leash) if programs.children() > 0 => steward::keep(programs, leash).await,
            Some(_) => {}
            None => programs.stop().await,
        }
        tell(Event::Stopped { cut });
    }
}

/// The end of a task, if there is one; the task is taken out then.
async fn ended<T>(task: &mut Option<JoinHandle<io::Result<T>>>) -> io::Result<T> {
    let Some(running) = task else { return std::future::pending().await };
    let end = running.await;
    *task = None;
    end.map_err(io::Error::other)?
}

/// A door by the word that goes over a hand-over.
pub(crate) fn door_named(name: &str) -> Option<Door> {
    match name.strip_prefix("gateway ") {
        Some(address) => address.parse().ok().map(Door::Gateway),
        None if name == "mesh" => Some(Door::Mesh),
        None => None,
    }
}
