//! The design's services as processes of ours: built, started, followed over reloads and hand-overs.

use super::{Event, Options, UpError, steward};
use crate::api::{Running, locked};
use crate::cargo;
use crate::handover::Kept;
use crate::ports;
use crate::roles::Role;
use crate::services::{STOP_WITHIN, Service, Spec, Status};
use crate::source;
use bowline_design::Design;
use bowline_design::resolved::{self, Program};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time;

/// How often a service that a steward stops is looked at.
const STEWARD_LOOK: Duration = Duration::from_millis(20);

/// What stopping through a steward may take longer than stopping a child.
const STEWARD_SLACK: Duration = Duration::from_secs(1);

/// The processes of a design.
#[derive(Debug)]
pub(super) struct Programs {
    options: Options,
    /// Where services find the local API.
    api: Option<SocketAddr>,
    /// Programs that were built, by their packages: once a process. A design that changes is no reason to
    /// build again what it runs.
    built: BTreeMap<String, PathBuf>,
    processes: Vec<Process>,
    /// What a predecessor keeps running for us.
    kept: Vec<Kept>,
    /// Those that keep it, and those before them.
    leashes: Vec<UnixStream>,
    /// What a reload took away, to be stopped.
    leaving: Vec<Process>,
    /// What was started last.
    fresh: Vec<watch::Receiver<Status>>,
}

#[derive(Debug)]
struct Process {
    /// What it was started with; another one means that it must be started anew.
    command: String,
    token: String,
    service: Service,
    /// Whether it is our child, and not one that a predecessor keeps for us.
    is_child: bool,
}

impl Programs {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
            api: None,
            built: BTreeMap::new(),
            processes: Vec::new(),
            kept: Vec::new(),
            leashes: Vec::new(),
            leaving: Vec::new(),
            fresh: Vec::new(),
        }
    }

    /// Services started from now on get their values from the local API there.
    pub(super) fn report_to(&mut self, api: SocketAddr) {
        self.api = Some(api);
    }

    /// Builds what the design runs, ahead of [`Programs::follow`], so that nothing is torn down for a program
    /// that does not compile.
    pub(super) async fn prepare(
        &mut self,
        design: &Design,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), UpError> {
        self.build(design, tell).await
    }

    /// Services that a predecessor keeps running, and the leashes on which it and those before it are
    /// held.
    pub(super) fn adopt(&mut self, kept: &[Kept], leashes: Vec<UnixStream>) {
        self.kept = kept.to_vec();
        self.leashes = leashes;
    }

    /// Starts what the design runs and is not running, starts anew what it runs otherwise, and lets go of
    /// what it runs no more: that goes on until [`Programs::settle`].
    pub(super) async fn follow(
        &mut self,
        design: &Design,
        running: &Running,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), UpError> {
        self.build(design, tell).await?;
        let wanted = self.specs(design);
        let is_wanted = |process: &mut Process| wanted.iter().any(|(command, _)| *command == process.command);
        let gone: Vec<Process> = self.processes.extract_if(.., |process| !is_wanted(process)).collect();
        for process in gone {
            let old = process.service.status();
            let has_place = |spec: &Spec| spec.name == old.name || spec.address == old.address;
            if wanted.iter().any(|(_, spec)| has_place(spec)) {
                self.end(process).await;
            } else {
                self.leaving.push(process);
            }
        }
        self.fresh.clear();
        let mut done = Ok(());
        for (command, spec) in wanted {
            if self.processes.iter().any(|process| process.command == command) {
                continue;
            }
            match self.begin(command, spec, running) {
                Ok(process) => {
                    self.fresh.push(process.service.follow());
                    self.processes.push(process);
                }
                Err(error) => done = Err(error),
            }
        }
        let processes = || self.processes.iter().chain(&self.leaving);
        running.dismiss(|token| processes().any(|process| process.token == token));
        *locked(&running.services) = self.processes.iter().map(|process| process.service.follow()).collect();
        done
    }

    /// Waits until those that were started last answer or have died once, and tells it.
    pub(super) async fn settle_in(&mut self, tell: &mut dyn FnMut(Event<'_>)) {
        for status in &mut self.fresh {
            let is_told = |status: &Status| status.state.is_ready() || status.last_exit.is_some();
            let Ok(status) = status.wait_for(is_told).await.map(|status| status.clone()) else { continue };
            tell(Event::Service(&status));
        }
    }

    /// Stops what is let go.
    pub(super) async fn settle(&mut self) {
        for process in std::mem::take(&mut self.leaving) {
            self.end(process).await;
        }
    }

    /// After a hand-over: starts anew what the design runs otherwise than the predecessor did, and stops
    /// what it runs no more.
    pub(super) async fn take_over(
        &mut self,
        design: &Design,
        running: &Running,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), UpError> {
        for kept in std::mem::take(&mut self.kept) {
            let goes_on = self.processes.iter().any(|process| process.token == kept.token);
            if !goes_on {
                self.tell_stewards(&kept.name);
            }
        }
        self.follow(design, running, tell).await
    }

    /// Starts a service, or goes on with one that a predecessor keeps.
    fn begin(&self, command: String, mut spec: Spec, running: &Running) -> Result<Process, UpError> {
        let answers = |spec: &Spec| spec.address.filter(|address| ports::answers(*address));
        // Another command holds the address until the hand-over is done.
        let goes_on = |kept: &&Kept| kept.command == command || answers(&spec).is_some();
        let kept = self.kept.iter().filter(|kept| kept.name == spec.name).find(goes_on).cloned();
        let own_name = spec.name.split('#').next().unwrap_or_default().to_owned();
        if let Some(Kept { token, command, .. }) = kept {
            running.enrol(&token, &own_name);
            return Ok(Process { command, token, service: Service::watch(spec), is_child: false });
        }
        if let Some(address) = answers(&spec) {
            let source = io::Error::from(io::ErrorKind::AddrInUse);
            let flag = "another `endpoints` address in the design";
            return Err(UpError::port(&spec.name, address, flag, source));
        }
        let token = token().map_err(UpError::System)?;
        if let Some(address) = self.api {
            spec.environment.push(("BOWLINE".to_owned(), format!("http://{token}@{address}")));
        }
        if self.options.roles.has(Role::Mesh) {
            // With a name before it: not every client sends a word that stands alone.
            let mesh = format!("http://{own_name}:{token}@{}", self.options.mesh);
            spec.environment.push(("BOWLINE_MESH".to_owned(), mesh));
        }
        running.enrol(&token, &own_name);
        Ok(Process { command, token, service: Service::start(spec), is_child: true })
    }

    /// Stops a service, whoever its parent is.
    async fn end(&self, process: Process) {
        let Status { name, address, .. } = process.service.status();
        process.service.stop().await;
        if process.is_child {
            return;
        }
        self.tell_stewards(&name);
        let gone = async {
            while address.is_some_and(ports::answers) {
                time::sleep(STEWARD_LOOK).await;
            }
        };
        let _ = time::timeout(STOP_WITHIN + STEWARD_SLACK, gone).await;
    }

    /// Asks those who keep services for us to stop one; whoever does not have it takes no notice.
    fn tell_stewards(&self, name: &str) {
        for leash in &self.leashes {
            if let Err(error) = steward::stop(leash, name) {
                tracing::warn!(%error, service = name, "the process that keeps it cannot be asked to stop it");
            }
        }
    }

    /// Stops one of our own children; for a successor that runs it otherwise.
    pub(super) async fn stop_one(&mut self, name: &str) {
        let found = self.processes.iter().position(|process| process.service.status().name == name);
        if let Some(found) = found {
            self.processes.remove(found).service.stop().await;
        }
    }

    /// Connections to the processes that keep services for us; closing one ends what it keeps.
    pub(super) fn leashes(&self) -> &[UnixStream] {
        &self.leashes
    }

    /// Stops everything that was started here.
    pub(super) async fn stop(self) {
        let stops: Vec<_> = self
            .processes
            .into_iter()
            .chain(self.leaving)
            .map(|process| tokio::task::spawn_local(process.service.stop()))
            .collect();
        for stop in stops {
            let _ = stop.await;
        }
    }

    /// What a successor goes on with.
    pub(super) fn kept(&self) -> Vec<Kept> {
        let kept = |process: &Process| Kept {
            name: process.service.status().name,
            token: process.token.clone(),
            command: process.command.clone(),
        };
        self.processes.iter().map(kept).collect()
    }

    /// How many services are children of this process.
    pub(super) fn children(&self) -> usize {
        self.processes.iter().filter(|process| process.is_child).count()
    }

    /// Builds the packages that the design runs and that were not built yet. Building blocks, and takes its
    /// time: it does so on a thread of its own.
    async fn build(&mut self, design: &Design, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), UpError> {
        for run in design.services.iter().filter_map(|service| service.run.as_ref()) {
            if let Program::Cargo(package) = &run.program
                && !self.built.contains_key(package)
            {
                tell(Event::Building(package));
                let (folder, own) = (self.folder(), package.clone());
                let building = tokio::task::spawn_blocking(move || cargo::build(&folder, &own));
                let path = building.await.map_err(|error| UpError::System(io::Error::other(error)))?;
                let path = path.map_err(|error| UpError::Service(Box::new(error)))?;
                self.built.insert(package.clone(), path);
            }
        }
        Ok(())
    }

    /// How each process of the design is started, with a text that changes when that changes.
    fn specs(&self, design: &Design) -> Vec<(String, Spec)> {
        let mut specs = Vec::new();
        for service in &design.services {
            let Some(run) = &service.run else { continue };
            let program: Vec<OsString> = match &run.program {
                Program::Command(words) => words.iter().map(OsString::from).collect(),
                Program::Cargo(package) => vec![self.built[package].clone().into_os_string()],
            };
            for number in 0..service.replicas.value.max(1) as usize {
                let spec = self.spec(design, service, run, &program, number);
                let words: Vec<_> = spec.command.iter().map(|word| word.to_string_lossy()).collect();
                let how = format!("{:?} {:?} {:?}", run.env, spec.address, spec.health);
                specs.push((format!("{} {} {how}", spec.name, words.join(" ")), spec));
            }
        }
        specs
    }

    /// One process. In its command, arguments and environment `{address}` and `{port}` stand for where it
    /// listens, which tells several of a service apart, `{NAME.address}` for where another service does, and
    /// `{data}` for the data folder.
    fn spec(
        &self,
        design: &Design,
        service: &resolved::Service,
        run: &resolved::Run,
        program: &[OsString],
        number: usize,
    ) -> Spec {
        let endpoint = service.endpoints.get(number).or_else(|| service.endpoints.first());
        let address = endpoint.and_then(|endpoint| endpoint.address.to_socket_addrs().ok()?.next());
        // It runs in another folder than this process.
        let data = std::path::absolute(&self.options.data).unwrap_or_else(|_| self.options.data.clone());
        let others = design.services.iter().filter_map(|other| {
            Some((format!("{{{}.address}}", other.name), other.endpoints.first()?.address.to_string()))
        });
        let places = [
            ("{address}", address.map(|address| address.to_string()).unwrap_or_default()),
            ("{port}", address.map(|address| address.port().to_string()).unwrap_or_default()),
            ("{data}", data.display().to_string()),
        ];
        let places: Vec<(String, String)> =
            places.into_iter().map(|(place, text)| (place.to_owned(), text)).chain(others).collect();
        let filled =
            |word: &str| places.iter().fold(word.to_owned(), |word, (place, text)| word.replace(place, text));
        let words = program
            .iter()
            .map(|word| word.to_str().map_or_else(|| word.clone(), |word| OsString::from(filled(word))));
        let name = match service.replicas.value {
            0 | 1 => service.name.to_string(),
            _ => format!("{}#{}", service.name, number + 1),
        };
        Spec {
            program: self.options.program.clone(),
            command: words.chain(run.args.iter().map(|word| OsString::from(filled(word)))).collect(),
            folder: self.folder(),
            environment: run.env.iter().map(|(name, value)| (name.clone(), filled(value))).collect(),
            address,
            health: service.health.clone(),
            log: self.options.data.join("logs").join(format!("{name}.log")),
            name,
        }
    }

    /// Where programs are built and run: the design's folder.
    fn folder(&self) -> PathBuf {
        source::folder(&self.options.path)
    }
}

/// 128 bits from the system's generator: an identity that cannot be guessed.
fn token() -> io::Result<String> {
    use std::io::Read;
    let mut bytes = [0_u8; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
