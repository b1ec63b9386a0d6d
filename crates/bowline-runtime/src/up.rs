//! One design made to run, from its first service to its last answer.
//!
//! Starting, in order: the data folder is taken; every port is bound, so that a taken one is found before
//! anything runs; the local API answers, because services ask it for their values; services are built,
//! started and waited for; then the doors accept. Connections that came earlier waited in the sockets'
//! queues. Stopping goes the other way round.

mod doors;
mod programs;
mod steward;

use crate::api::{self, Running, locked};
use crate::data::{DataError, DataFolder};
use crate::handover::{self, Offer};
use crate::ports::{self, PortOwner};
use crate::roles::{Role, Roles};
use crate::services::Status;
use crate::source;
use bowline_design::{Design, Mistake, Text};
use bowline_proxy::{Config, Door, Proxy};
use doors::Doors;
use programs::Programs;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time;

/// How often the design's files are looked at: a person who saves and looks up sees it done.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long services may take to become ready before `up` says which one is not. It goes on waiting.
const SLOW_AFTER: Duration = Duration::from_secs(15);

/// How a design is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the design is, to read it again when it changes.
    pub path: PathBuf,
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
    /// Where the mesh listens.
    pub mesh: SocketAddr,
    /// Ports of the design and where they listen instead.
    pub ports: Vec<(u16, u16)>,
    /// Whether to take the place of the process that runs.
    pub replace: bool,
    /// How long requests in flight may take when stopping.
    pub drain: Duration,
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
    Door(&'a str, SocketAddr),
    /// The local API answers.
    Console(SocketAddr),
    /// Everything is ready.
    Ready,
    /// The design's files changed and hold from now on.
    Reloaded(&'a Design),
    /// The design's files changed and have mistakes; what ran before goes on.
    Rejected(&'a [Mistake], &'a [Text]),
    /// The design's files changed and something about them cannot be done; the rest holds.
    Hindered(&'a str),
    /// A successor accepts now; this process drains.
    HandedOver,
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
    local.block_on(&runtime, up(options, Arc::new(design), tell))
}

async fn up(options: &Options, design: Arc<Design>, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), UpError> {
    let mut taken = Taken::new(options)?;
    let workers = options.workers.unwrap_or_else(|| Config::new(Arc::clone(&design)).workers);
    let mut doors = Doors::bind(options, &design, workers, &mut taken.sockets)?;
    let console = match options.roles.has(Role::Console) {
        true => Some(bind_api(options, taken.api.take())?),
        false => None,
    };

    let mut config = Config::new(Arc::clone(&design));
    config.workers = workers;
    let proxy = Proxy::start(config).map_err(UpError::System)?;
    let running = Arc::new(Running::new(proxy));
    *locked(&running.pending) = vec!["gateway: waits for its services".to_owned()];
    let address = match console {
        Some(listener) => Some(open_console(&running, listener, tell)?),
        None => None,
    };

    let mut programs = Programs::new(options, address);
    programs.adopt(&taken.offer.services);
    if options.roles.has(Role::Services) {
        programs.follow(&design, &running, tell)?;
        wait_until_ready(&running, tell).await;
    }
    doors.open(&running, tell)?;
    locked(&running.pending).clear();

    let data = taken.finish(options)?;
    let successor = listen_for_successor(data.path()).map_err(UpError::System)?;
    tell(Event::Ready);

    let mut running_design = RunningDesign { options, running, doors, programs, workers };
    let ending = running_design.serve(&successor, tell).await?;
    running_design.end(ending, data, taken.leashes, tell).await;
    Ok(())
}

/// The data folder, or what was taken over from the process that has it.
struct Taken {
    data: Option<DataFolder>,
    offer: Offer,
    sockets: Vec<(String, TcpListener)>,
    api: Option<TcpListener>,
    /// Connections to processes that keep services for us; closing one ends what it keeps.
    leashes: Vec<UnixStream>,
}

impl Taken {
    fn new(options: &Options) -> Result<Self, UpError> {
        let nothing = |data| Self {
            data,
            offer: Offer::default(),
            sockets: Vec::new(),
            api: None,
            leashes: Vec::new(),
        };
        if !options.replace {
            return Ok(nothing(Some(DataFolder::take(&options.data).map_err(UpError::Data)?)));
        }
        let (offer, fds, leash) = match handover::ask(&options.data) {
            Ok(asked) => asked,
            // Nobody runs: there is nothing to replace, and starting is what was wanted.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                return Ok(nothing(Some(DataFolder::take(&options.data).map_err(UpError::Data)?)));
            }
            Err(error) => return Err(UpError::HandOver(error)),
        };
        let mut taken = nothing(None);
        for (name, fd) in offer.sockets.iter().zip(fds) {
            match name.as_str() {
                "api" => taken.api = Some(TcpListener::from(fd)),
                "leash" => taken.leashes.push(UnixStream::from(fd)),
                _ => taken.sockets.push((name.clone(), TcpListener::from(fd))),
            }
        }
        taken.leashes.push(leash);
        taken.offer = offer;
        Ok(taken)
    }

    /// Tells the predecessor that this process accepts, and takes the data folder.
    fn finish(&mut self, options: &Options) -> Result<DataFolder, UpError> {
        if let Some(data) = self.data.take() {
            return Ok(data);
        }
        if let Some(leash) = self.leashes.last() {
            handover::accepted(leash).map_err(UpError::HandOver)?;
        }
        DataFolder::wait(&options.data).map_err(UpError::Data)
    }
}

fn bind_api(options: &Options, taken: Option<TcpListener>) -> Result<TcpListener, UpError> {
    match taken {
        Some(listener) => Ok(listener),
        None => TcpListener::bind(options.api)
            .map_err(|source| UpError::port("api", options.api, "--api ADDR", source)),
    }
}

fn open_console(
    running: &Arc<Running>,
    listener: TcpListener,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<(SocketAddr, OwnedFd), UpError> {
    let address = listener.local_addr().map_err(UpError::System)?;
    let copy = listener.try_clone().map_err(UpError::System)?;
    let running = Arc::clone(running);
    tokio::task::spawn_local(async move {
        if let Err(error) = api::serve(running, listener).await {
            tracing::error!(%error, "the local API stopped");
        }
    });
    tell(Event::Console(address));
    Ok((address, copy.into()))
}

/// Waits until every service answers, and says which do not when it takes long.
async fn wait_until_ready(running: &Running, tell: &mut dyn FnMut(Event<'_>)) {
    let mut follows = locked(&running.services).clone();
    let mut shown: Vec<Status> = Vec::new();
    let mut slow_at = time::Instant::now() + SLOW_AFTER;
    loop {
        let statuses: Vec<Status> =
            follows.iter_mut().map(|status| status.borrow_and_update().clone()).collect();
        for status in &statuses {
            if !shown.contains(status) && (status.state.is_ready() || status.last_exit.is_some()) {
                tell(Event::Service(status));
            }
        }
        let waiting: Vec<Status> =
            statuses.iter().filter(|status| !status.state.is_ready()).cloned().collect();
        shown = statuses;
        if waiting.is_empty() {
            return;
        }
        let changed = any_change(&mut follows);
        if time::timeout_at(slow_at, changed).await.is_err() {
            tell(Event::Slow(&waiting));
            slow_at += SLOW_AFTER;
        }
    }
}

/// Returns when one of the statuses is another than the one last seen.
async fn any_change(follows: &mut [tokio::sync::watch::Receiver<Status>]) {
    let mut changes: Vec<_> = follows.iter_mut().map(|status| Box::pin(status.changed())).collect();
    std::future::poll_fn(|cx| {
        let ready = changes.iter_mut().any(|change| change.as_mut().poll(cx).is_ready());
        if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
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
    doors: Doors,
    programs: Programs,
    workers: usize,
}

impl RunningDesign<'_> {
    /// Serves until something ends it; reloads on the way.
    async fn serve(
        &mut self,
        successor: &UnixListener,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<Ending, UpError> {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(UpError::System)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(UpError::System)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(UpError::System)?;
        let mut look = time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let mut seen = source::fingerprint(&self.options.path);
        let mut services = self.running.statuses();
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(Ending::Asked),
                _ = terminate.recv() => return Ok(Ending::Asked),
                _ = hangup.recv() => self.reload(tell).await,
                asker = successor.accept() => {
                    let Ok((asker, _)) = asker else { continue };
                    match self.hand_over(asker).await {
                        Ok(leash) => return Ok(Ending::Replaced(leash)),
                        Err(error) => tracing::warn!(%error, "a successor did not take over; this process goes on"),
                    }
                }
                _ = look.tick() => {
                    let now = source::fingerprint(&self.options.path);
                    if now != seen && self.options.path != Path::new("-") {
                        seen = now;
                        self.reload(tell).await;
                    }
                    let statuses = self.running.statuses();
                    for status in statuses.iter().filter(|status| !services.contains(status)) {
                        tell(Event::Service(status));
                    }
                    services = statuses;
                }
            }
        }
    }

    /// Reads the design again. What has mistakes changes nothing.
    async fn reload(&mut self, tell: &mut dyn FnMut(Event<'_>)) {
        let texts = match source::read(&self.options.path) {
            Ok(texts) => texts,
            Err(error) => return tell(Event::Hindered(&error.to_string())),
        };
        let design = match bowline_design::load(&texts) {
            Ok(design) => Arc::new(design),
            Err(mistakes) => return tell(Event::Rejected(&mistakes, &texts)),
        };
        if self.options.roles.has(Role::Services)
            && let Err(error) = self.programs.follow(&design, &self.running, tell)
        {
            tell(Event::Hindered(&error.to_string()));
        }
        self.programs.settle().await;
        self.running.proxy.reload(Arc::clone(&design));
        if let Err(error) = self.doors.follow(self.options, &design, self.workers, &self.running, tell) {
            tell(Event::Hindered(&error.to_string()));
        }
        self.running.changed();
        tell(Event::Reloaded(&design));
    }

    /// Gives the sockets to a successor; returns the leash once it accepts.
    async fn hand_over(&self, asker: tokio::net::UnixStream) -> io::Result<UnixStream> {
        let asker = asker.into_std()?;
        asker.set_nonblocking(false)?;
        let mut sockets: Vec<(String, OwnedFd)> = Vec::new();
        for door in self.running.proxy.sockets()? {
            let name = doors::name(door.door);
            sockets
                .extend(door.listeners.into_iter().map(|listener| (name.clone(), OwnedFd::from(listener))));
        }
        if let Some(api) = self.programs.api() {
            sockets.push(("api".to_owned(), api.try_clone_to_owned()?));
        }
        let offer = Offer {
            sockets: sockets.iter().map(|(name, _)| name.clone()).collect(),
            services: self.programs.kept(),
        };
        // The exchange blocks for as long as the successor starts; the data path runs on its own threads.
        tokio::task::spawn_blocking(move || {
            let fds: Vec<_> = sockets.iter().map(|(_, fd)| fd.as_fd()).collect();
            handover::answer(&asker, &offer, &fds)?;
            Ok(asker)
        })
        .await
        .map_err(io::Error::other)?
    }

    /// Drains and stops; as a steward, only after the successor is gone.
    async fn end(
        self,
        ending: Ending,
        data: DataFolder,
        leashes: Vec<UnixStream>,
        tell: &mut dyn FnMut(Event<'_>),
    ) {
        let Self { options, running, programs, .. } = self;
        let mut again = signal(SignalKind::interrupt()).ok();
        let impatient = async {
            match &mut again {
                Some(again) => drop(again.recv().await),
                None => std::future::pending().await,
            }
        };
        let leash = match ending {
            Ending::Asked => {
                tell(Event::Draining);
                None
            }
            Ending::Replaced(leash) => {
                tell(Event::HandedOver);
                data.release();
                Some(leash)
            }
        };
        *locked(&running.pending) = vec!["draining".to_owned()];
        let cut = tokio::select! {
            drained = running.proxy.drain(options.drain) => drained.cut,
            () = impatient => 0,
        };
        match leash {
            Some(leash) => steward::keep(programs, leash, leashes).await,
            None => programs.stop().await,
        }
        tell(Event::Stopped { cut });
    }
}

/// Why a design could not be made to run.
#[derive(Debug)]
pub enum UpError {
    /// The data folder.
    Data(DataError),
    /// A port is taken, or cannot be listened at.
    Port {
        /// What wants it.
        what: String,
        /// Where.
        address: SocketAddr,
        /// Who has it, as far as that can be seen.
        owner: Option<PortOwner>,
        /// The flag that moves it.
        flag: String,
        /// What the system said.
        source: io::Error,
    },
    /// A service cannot be built or started.
    Service(Box<dyn std::error::Error + Send + Sync>),
    /// The predecessor did not hand over.
    HandOver(io::Error),
    /// The system refused something.
    System(io::Error),
}

impl UpError {
    pub(crate) fn port(what: &str, address: SocketAddr, flag: &str, source: io::Error) -> Self {
        let owner = ports::owner(address);
        Self::Port { what: what.to_owned(), address, owner, flag: flag.to_owned(), source }
    }
}

impl fmt::Display for UpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(error) => error.fmt(f),
            Self::Port { what, address, owner, flag, .. } => {
                write!(f, "{what} cannot listen at {address}")?;
                match owner {
                    Some(owner) => write!(f, ": {owner} has it; stop that, or move {what} with {flag}"),
                    None => write!(f, "; move it with {flag}"),
                }
            }
            Self::Service(error) => error.fmt(f),
            Self::HandOver(_) => f.write_str("the process that runs did not hand over; it goes on as before"),
            Self::System(_) => f.write_str("the system refused what running a design needs"),
        }
    }
}

impl std::error::Error for UpError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Data(error) => std::error::Error::source(error),
            Self::Port { source, .. } | Self::HandOver(source) | Self::System(source) => Some(source),
            Self::Service(error) => error.source(),
        }
    }
}

/// A door by the word that goes over a hand-over.
pub(crate) fn door_named(name: &str) -> Option<Door> {
    match name.strip_prefix("gateway ") {
        Some(address) => address.parse().ok().map(Door::Gateway),
        None if name == "mesh" => Some(Door::Mesh),
        None => None,
    }
}
