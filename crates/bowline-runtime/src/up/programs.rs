//! The design's services as processes of ours: built, started, followed over reloads and hand-overs.

use super::{Event, Options, UpError};
use crate::api::{Running, locked};
use crate::cargo;
use crate::handover::Kept;
use crate::ports;
use crate::services::{Service, Spec};
use bowline_design::Design;
use bowline_design::resolved::{self, Program};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

/// The processes of a design.
#[derive(Debug)]
pub(super) struct Programs {
    options: Options,
    /// Where services find the local API.
    api: Option<SocketAddr>,
    /// Programs that were built ahead, by their packages.
    prepared: BTreeMap<String, PathBuf>,
    processes: Vec<Process>,
    /// What a predecessor keeps running for us.
    kept: Vec<Kept>,
    /// What a reload took away, to be stopped.
    leaving: Vec<Service>,
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
            prepared: BTreeMap::new(),
            processes: Vec::new(),
            kept: Vec::new(),
            leaving: Vec::new(),
        }
    }

    /// Services started from now on get their values from the local API there.
    pub(super) fn report_to(&mut self, api: SocketAddr) {
        self.api = Some(api);
    }

    /// Builds what the design runs, ahead of [`Programs::follow`].
    pub(super) fn prepare(
        &mut self,
        design: &Design,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), UpError> {
        self.prepared = self.build(design, tell)?;
        Ok(())
    }

    /// Services that a predecessor keeps running.
    pub(super) fn adopt(&mut self, kept: &[Kept]) {
        self.kept = kept.to_vec();
    }

    /// Starts what the design runs and is not running, and lets go of what it runs no more.
    pub(super) fn follow(
        &mut self,
        design: &Design,
        running: &Running,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), UpError> {
        let built = match std::mem::take(&mut self.prepared) {
            prepared if prepared.is_empty() => self.build(design, tell)?,
            prepared => prepared,
        };
        let wanted = self.specs(design, &built);
        let gone = self
            .processes
            .extract_if(.., |process| !wanted.iter().any(|(command, _)| *command == process.command));
        self.leaving.extend(gone.map(|process| process.service));
        for (command, mut spec) in wanted {
            if self.processes.iter().any(|process| process.command == command) {
                continue;
            }
            let kept =
                self.kept.iter().find(|kept| kept.name == spec.name && kept.command == command).cloned();
            let token = match &kept {
                Some(kept) => kept.token.clone(),
                None => token().map_err(UpError::System)?,
            };
            if let Some(address) = self.api {
                spec.environment.push(("BOWLINE".to_owned(), format!("http://{token}@{address}")));
            }
            let own_name = spec.name.split('#').next().unwrap_or_default().to_owned();
            locked(&running.tokens).insert(token.clone(), own_name);
            if let Some(address) = spec.address.filter(|address| kept.is_none() && ports::answers(*address)) {
                let source = io::Error::from(io::ErrorKind::AddrInUse);
                return Err(UpError::port(
                    &spec.name,
                    address,
                    "another `endpoints` address in the design",
                    source,
                ));
            }
            let is_child = kept.is_none();
            let service = if is_child { Service::start(spec) } else { Service::watch(spec) };
            self.processes.push(Process { command, token, service, is_child });
        }
        locked(&running.tokens)
            .retain(|token, _| self.processes.iter().any(|process| process.token == *token));
        *locked(&running.services) = self.processes.iter().map(|process| process.service.follow()).collect();
        Ok(())
    }

    /// Waits until what a reload took away has stopped.
    pub(super) async fn settle(&mut self) {
        for service in self.leaving.drain(..) {
            service.stop().await;
        }
    }

    /// Stops everything that was started here.
    pub(super) async fn stop(self) {
        let stops: Vec<_> = self
            .processes
            .into_iter()
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

    /// Builds the packages that the design runs; their programs.
    fn build(
        &self,
        design: &Design,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<BTreeMap<String, PathBuf>, UpError> {
        let mut built = BTreeMap::new();
        for run in design.services.iter().filter_map(|service| service.run.as_ref()) {
            if let Program::Cargo(package) = &run.program
                && !built.contains_key(package)
            {
                tell(Event::Building(package));
                let path = cargo::build(&self.folder(), package)
                    .map_err(|error| UpError::Service(Box::new(error)))?;
                built.insert(package.clone(), path);
            }
        }
        Ok(built)
    }

    /// How each process of the design is started, with a text that changes when that changes.
    fn specs(&self, design: &Design, built: &BTreeMap<String, PathBuf>) -> Vec<(String, Spec)> {
        let mut specs = Vec::new();
        for service in &design.services {
            let Some(run) = &service.run else { continue };
            let program: Vec<OsString> = match &run.program {
                Program::Command(words) => words.iter().map(OsString::from).collect(),
                Program::Cargo(package) => vec![built[package].clone().into_os_string()],
            };
            for number in 0..service.replicas.value.max(1) as usize {
                let spec = self.spec(service, run, &program, number);
                let words: Vec<_> = spec.command.iter().map(|word| word.to_string_lossy()).collect();
                specs.push((format!("{} {} {:?}", spec.name, words.join(" "), run.env), spec));
            }
        }
        specs
    }

    /// One process; where a service has several, `{address}` and `{port}` in its command and
    /// arguments tell them apart.
    fn spec(
        &self,
        service: &resolved::Service,
        run: &resolved::Run,
        program: &[OsString],
        number: usize,
    ) -> Spec {
        let endpoint = service.endpoints.get(number).or_else(|| service.endpoints.first());
        let address = endpoint.and_then(|endpoint| endpoint.address.to_socket_addrs().ok()?.next());
        let filled =
            |word: &str| {
                let word = word
                    .replace("{address}", &address.map(|address| address.to_string()).unwrap_or_default());
                OsString::from(word.replace(
                    "{port}",
                    &address.map(|address| address.port().to_string()).unwrap_or_default(),
                ))
            };
        let words = program.iter().map(|word| word.to_str().map_or_else(|| word.clone(), filled));
        let name = match service.replicas.value {
            0 | 1 => service.name.to_string(),
            _ => format!("{}#{}", service.name, number + 1),
        };
        Spec {
            program: self.options.program.clone(),
            command: words.chain(run.args.iter().map(|word| filled(word))).collect(),
            folder: self.folder(),
            environment: run.env.clone().into_iter().collect(),
            address,
            health: service.health.clone(),
            log: self.options.data.join("logs").join(format!("{name}.log")),
            name,
        }
    }

    /// Where programs are built and run: the design's folder.
    fn folder(&self) -> PathBuf {
        let path = &self.options.path;
        let folder = if path.is_dir() { Some(path.as_path()) } else { path.parent() };
        let folder = folder.filter(|folder| !folder.as_os_str().is_empty() && folder.exists());
        folder.unwrap_or(Path::new(".")).to_owned()
    }
}

/// 128 bits from the system's generator: an identity that cannot be guessed.
fn token() -> io::Result<String> {
    use std::io::Read;
    let mut bytes = [0_u8; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
