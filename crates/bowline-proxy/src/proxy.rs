//! The proxy: what starts, reloads, drains and stops the workers.

use crate::access::Processes;
use crate::clock;
use crate::faults::FaultRule;
use crate::found::{Found, Sources};
use crate::limits::Limits;
use crate::listen::Sockets;
use crate::lookout::Lookout;
use crate::metrics::Metrics;
use crate::prometheus;
use crate::recorder::Recorder;
use crate::snapshot::{Compiler, Door, Snapshot};
use crate::trails::Trails;
use crate::trouble::Trouble;
use crate::worker::{self, Command, Places};
use arc_swap::ArcSwap;
use bowline_call::tls::{Files, Source};
use bowline_call::{Allowance, Clock, Endpoints};
use bowline_design::Design;
use bowline_design::hosts_file::FileEndpoint;
use bowline_fault::Fault;
use bowline_model::{Instant, Random, SplitMix64};
use bowline_policy::{CallPolicy, Edge};
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// What a proxy starts with.
#[derive(Debug)]
pub struct Config {
    /// The design it serves.
    pub design: Arc<Design>,
    /// Where it listens. A door that the design does not have answers 404.
    pub sockets: Vec<Sockets>,
    /// How many workers: one a core is best.
    pub workers: usize,
    /// Every limit.
    pub limits: Limits,
    /// Which DNS server is asked; `None`: those that `/etc/resolv.conf` names.
    pub dns: Option<SocketAddr>,
    /// Where the certificates and keys are read that the design names.
    pub files: Arc<dyn Source + Send + Sync>,
    /// Who is told of the requests of a trace; `None`: nobody.
    pub recorder: Option<Arc<dyn Recorder>>,
    /// What all random decisions are drawn from; `None`: the operating system's entropy.
    pub seed: Option<u64>,
}

impl Config {
    /// A configuration with defaults: a worker for each core, no socket yet.
    #[must_use]
    pub fn new(design: Arc<Design>) -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            design,
            sockets: Vec::new(),
            workers,
            limits: Limits::default(),
            dns: None,
            files: Arc::new(Files::default()),
            recorder: None,
            seed: None,
        }
    }
}

/// A running proxy. Dropping it ends the workers at once; [`Proxy::drain`] first, to lose nothing.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    maker: Arc<Maker>,
    workers: Vec<Running>,
    sockets: Mutex<Vec<Sockets>>,
}

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) trails: Trails,
    pub(crate) allowance: Arc<Allowance>,
    pub(crate) endpoints: Endpoints,
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
    pub(crate) files: Arc<dyn Source + Send + Sync>,
    pub(crate) dns: Option<SocketAddr>,
    /// What has come of looking for hosts.
    pub(crate) sources: Sources,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    /// Who the processes are that ask at the mesh port.
    pub(crate) processes: ArcSwap<Processes>,
    /// One try and nothing else, for copies of requests.
    pub(crate) plain_edge: Arc<Edge>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("limits", &self.limits).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Running {
    commands: mpsc::UnboundedSender<Command>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// Makes snapshots, one at a time: for a reload, for a fault, and when somebody has news of hosts.
#[derive(Debug)]
pub(crate) struct Maker {
    shared: Arc<Shared>,
    changing: Mutex<Changing>,
    workers: Vec<mpsc::UnboundedSender<Command>>,
    /// What the lookout draws from.
    seed: u64,
}

/// What snapshots are made of beside the design.
#[derive(Debug, Default)]
struct Changing {
    faults: Vec<FaultRule>,
    faults_ever: u64,
    places: BTreeMap<Door, Places>,
    /// Who the hosts are, where somebody else says it.
    found: Found,
    /// Who looks after hosts, once there is something to look after.
    lookout: Option<Lookout>,
}

/// How a drain went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut because their time was up.
    pub cut: usize,
}

impl Proxy {
    /// Starts the workers and begins to accept.
    ///
    /// # Errors
    /// A thread cannot be started, or a socket cannot be copied.
    pub fn start(config: Config) -> io::Result<Self> {
        let mut seeds = SplitMix64::new(config.seed.unwrap_or_else(clock::seed));
        let own_seed = seeds.next_u64();
        let (mut found, sources) = (Found::default(), Sources::default());
        found.read_files(&config.design, &*config.files, &sources);
        let metrics = Metrics::default();
        let endpoints = Endpoints::default();
        let compiler = Compiler {
            metrics: &metrics,
            endpoints: &endpoints,
            files: &*config.files,
            found: &found,
            faults: &[],
            mesh_name: "mesh".into(),
            now: Instant::ZERO,
            seed: own_seed,
        };
        let snapshot = Snapshot::compile(config.design, None, &compiler);
        let shared = Arc::new(Shared {
            clock: Clock::start(),
            trails: Trails::new(config.limits.trails),
            allowance: Arc::new(Allowance::new(config.limits.kept_bodies)),
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            plain_edge: Edge::new(CallPolicy::default()),
            processes: ArcSwap::default(),
            limits: config.limits,
            metrics,
            endpoints,
            files: config.files,
            dns: config.dns,
            sources,
            recorder: config.recorder,
        });
        let mut workers = Vec::new();
        for index in 0..config.workers.max(1) {
            let (commands, receiver) = mpsc::unbounded_channel();
            let (shared, seed) = (Arc::clone(&shared), seeds.next_u64());
            let thread = std::thread::Builder::new()
                .name(format!("bowline-{index}"))
                .spawn(move || worker::run(shared, seed, receiver))?;
            workers.push(Running { commands, thread: Some(thread) });
        }
        let changing = Mutex::new(Changing { found, ..Changing::default() });
        let told = workers.iter().map(|worker| worker.commands.clone()).collect();
        let maker = Maker { shared: Arc::clone(&shared), changing, workers: told, seed: own_seed };
        let maker = Arc::new(maker);
        maker.look_out(&mut maker.changing());
        let proxy = Self { shared, maker, workers, sockets: Mutex::default() };
        for sockets in config.sockets {
            proxy.listen(sockets)?;
        }
        Ok(proxy)
    }

    /// Accepts on these sockets, too.
    ///
    /// # Errors
    /// The process has no more file descriptors.
    pub fn listen(&self, sockets: Sockets) -> io::Result<()> {
        let places = {
            let mut changing = self.maker.changing();
            let limits = &self.shared.limits;
            changing.places.entry(sockets.door).or_insert_with(|| Places::new(limits)).clone()
        };
        let shares = sockets.shares(self.workers.len())?;
        for (worker, share) in self.workers.iter().zip(shares) {
            worker.tell(Command::Listen(sockets.door, places.clone(), share));
        }
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).push(sockets);
        Ok(())
    }

    /// Accepts no more at `door`. Connections that are there stay.
    pub fn stop_listening(&self, door: Door) {
        for worker in &self.workers {
            worker.tell(Command::StopListening(door));
        }
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).retain(|sockets| sockets.door != door);
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Vec<(Door, SocketAddr)> {
        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.iter().filter_map(|sockets| Some((sockets.door, sockets.address().ok()?))).collect()
    }

    /// Copies of all its sockets, for a process that takes over. They share their queues: as long as
    /// one copy is open, no connection that waits is lost.
    ///
    /// # Errors
    /// The process has no more file descriptors.
    pub fn sockets(&self) -> io::Result<Vec<Sockets>> {
        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.iter().map(Sockets::copies).collect()
    }

    /// Serves `design` from now on. Requests under way keep the design they began with; connections,
    /// breakers, budgets and counters stay where their key stays. Doors are the caller's to open and
    /// close: [`Proxy::listen`], [`Proxy::stop_listening`].
    pub fn reload(&self, design: Arc<Design>) {
        self.maker.make(design, &mut self.maker.changing());
    }

    /// Reads certificates, keys, those of issuers, and lists anew if one of their files holds something else by now; whether that was so.
    /// Connections go on. To be called every few seconds.
    pub fn renew_certificates(&self) -> bool {
        let mut changing = self.maker.changing();
        let changed = self.shared.snapshot.load().files().has_changed(&*self.shared.files);
        if changed {
            self.maker.make(self.design(), &mut changing);
        }
        changed
    }

    /// Whose files for TLS cannot be used, and whether what was read before serves on.
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble> {
        self.shared.snapshot.load().troubles().to_vec()
    }

    /// Whoever brings one of these tokens to the mesh port is its service, which `Access` asks for; nobody else is any.
    pub fn know_processes<'t>(&self, tokens: impl IntoIterator<Item = (&'t str, &'t str)>) {
        self.shared.processes.store(Arc::new(Processes::of(tokens)));
    }

    /// The design it serves.
    #[must_use]
    pub fn design(&self) -> Arc<Design> {
        Arc::clone(self.shared.snapshot.load().design())
    }

    /// Breaks calls to `service` (to one `operation`, or all) from now on; the rule's number.
    pub fn add_fault(&self, service: &str, operation: Option<&str>, fault: Fault) -> u64 {
        let mut changing = self.maker.changing();
        changing.faults_ever += 1;
        let id = changing.faults_ever;
        let rule = FaultRule { id, service: service.into(), operation: operation.map(Into::into), fault };
        changing.faults.push(rule);
        self.maker.make(self.design(), &mut changing);
        id
    }

    /// The faults that were put in, in order.
    #[must_use]
    pub fn faults(&self) -> Vec<FaultRule> {
        self.maker.changing().faults.clone()
    }

    /// Takes away the faults that `which` chooses; how many.
    pub fn clear_faults(&self, which: impl Fn(&FaultRule) -> bool) -> usize {
        let mut changing = self.maker.changing();
        let before = changing.faults.len();
        changing.faults.retain(|rule| !which(rule));
        let cleared = before - changing.faults.len();
        if cleared > 0 {
            self.maker.make(self.design(), &mut changing);
        }
        cleared
    }

    /// The last decisions worth looking at.
    #[must_use]
    pub fn trails(&self) -> &Trails {
        &self.shared.trails
    }

    /// Everything counted, as Prometheus reads it.
    #[must_use]
    pub fn metrics(&self) -> String {
        let lost = self.shared.recorder.as_ref().map_or(0, |recorder| recorder.dropped());
        prometheus::render(&self.shared, lost)
    }

    /// The clock of its decisions.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// Accepts no more, lets what is under way finish, and cuts the rest when `within` is over. Idle
    /// connections may bring one more request for a moment, so that a caller that is just writing one
    /// is not reset.
    pub async fn drain(&self, within: Duration) -> Drained {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut waits = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (done, wait) = oneshot::channel();
            worker.tell(Command::Drain(within, done));
            waits.push(wait);
        }
        let mut cut = 0;
        for wait in waits {
            cut += wait.await.unwrap_or_default();
        }
        Drained { cut }
    }
}

impl Maker {
    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Makes and publishes a snapshot of `design`; connections whose callers proved what is not enough any more
    /// end. State goes on from the one before.
    fn make(self: &Arc<Self>, design: Arc<Design>, changing: &mut Changing) {
        changing.found.keep_for(&design, &self.shared.sources);
        changing.found.read_files(&design, &*self.shared.files, &self.shared.sources);
        let before = self.shared.snapshot.load_full();
        let now = self.shared.clock.now();
        let compiler = Compiler {
            metrics: &self.shared.metrics,
            endpoints: &self.shared.endpoints,
            files: &*self.shared.files,
            found: &changing.found,
            faults: &changing.faults,
            mesh_name: "mesh".into(),
            now,
            seed: self.seed,
        };
        let snapshot = Arc::new(Snapshot::compile(design, Some(&before), &compiler));
        self.shared.snapshot.store(Arc::clone(&snapshot));
        // After it is published: a check that ends meanwhile tells one of the two, and this tells what it found.
        snapshot.tell_health(now);
        let used: HashSet<usize> =
            snapshot.endpoints().iter().map(|endpoint| Arc::as_ptr(endpoint).addr()).collect();
        self.shared.endpoints.retain(|endpoint| used.contains(&Arc::as_ptr(endpoint).addr()));
        for worker in &self.workers {
            // A worker that is gone has nothing to obey; its thread's result tells why.
            let _ = worker.send(Command::CheckTerms);
        }
        self.shared.metrics.forget();
        self.look_out(changing);
    }

    /// A name has these addresses from now on.
    pub(crate) fn found_name(self: &Arc<Self>, name: &Arc<str>, addresses: &[IpAddr]) {
        let mut changing = self.changing();
        let snapshot = self.shared.snapshot.load_full();
        if changing.found.found_name(name, addresses) && snapshot.names().contains(name) {
            self.make(Arc::clone(snapshot.design()), &mut changing);
        }
    }

    /// A file lists these endpoints from now on; whether that is news.
    pub(crate) fn found_file(self: &Arc<Self>, file: &Arc<str>, endpoints: Vec<FileEndpoint>) -> bool {
        let mut changing = self.changing();
        let snapshot = self.shared.snapshot.load_full();
        let is_news = changing.found.found_file(file, endpoints);
        if is_news && snapshot.lists().contains(file) {
            self.make(Arc::clone(snapshot.design()), &mut changing);
        }
        is_news
    }

    /// Has hosts looked after as the latest snapshot wants it.
    fn look_out(self: &Arc<Self>, changing: &mut Changing) {
        if changing.lookout.is_none() && self.shared.snapshot.load().wants_a_lookout() {
            match Lookout::start(self, self.seed) {
                Ok(lookout) => changing.lookout = Some(lookout),
                Err(error) => tracing::error!(%error, "hosts are not looked after"),
            }
        }
        if let Some(lookout) = &changing.lookout {
            lookout.follow();
        }
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn tell(&self, command: Command) {
        // A worker that is gone has nothing to obey; its thread's result tells why.
        let _ = self.commands.send(command);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let lookout = self.maker.changing().lookout.take();
        if let Some(lookout) = lookout {
            lookout.stop();
        }
        for worker in &self.workers {
            worker.tell(Command::Stop);
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                let _ = thread.join();
            }
        }
    }
}
