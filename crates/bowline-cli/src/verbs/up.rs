//! `bowline up`: one design made to run.

use super::design::{self, counted};
use super::experiment::with_traces;
use crate::arguments::{Output, Up};
use crate::{Done, Exit, Failure, print};
use bowline_check::Severity;
use bowline_design::kinds::Documents;
use bowline_design::{Design, Mistake, Note};
use bowline_runtime::api::ScopedTokens;
use bowline_runtime::roles::{Role, Roles};
use bowline_runtime::services::{State, Status};
use bowline_runtime::up::{Event, Options, UpError};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use tracing_subscriber::EnvFilter;

pub(crate) fn run(up: &Up, output: Output) -> Done {
    let roles = Roles::parse(&up.only, &up.except).map_err(Failure::wrong_use)?;
    log(output);
    let seen = bowline_runtime::source::fingerprint(&up.design);
    let Some(loaded) = design::load(&up.design, output)? else { return Ok(design::MISTAKEN) };
    let (known, _) = with_traces(&loaded.design, &up.design);
    let review = match bowline_check::review(&known, &loaded.reading.documents) {
        Ok(review) => review,
        Err(mistakes) => {
            design::mistaken(&mistakes, &loaded.texts, output);
            return Ok(design::MISTAKEN);
        }
    };
    let count = |severity| review.findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if errors > 0 && !up.despite_errors {
        let path = up.design.display();
        let what = format!(
            "check finds {} in this design; `{} check {path}` shows them, --despite-errors starts all the same",
            counted(errors, "error"),
            program_as_typed()
        );
        return Err(Failure::findings(what));
    }
    let screen = Screen::new(output, hints(&loaded, up), &up.design, &loaded.design.notes);
    screen.head(&loaded.design, &up.design, errors, warnings);
    let options = Options {
        data: up.data.clone().unwrap_or_else(|| beside(&up.design)),
        path: up.design.clone(),
        seen,
        // Resolved in the child, so that it still works when the file was replaced by a newer build.
        program: PathBuf::from("/proc/self/exe"),
        roles,
        workers: up.workers,
        api: up.api,
        api_tokens: up.api_tokens.as_deref().map(api_tokens).transpose()?,
        mesh: up.mesh,
        ports: up.ports.clone(),
        replace: up.replace,
        drain: up.drain,
        dns: up.dns,
        trace: trace(up)?,
    };
    if loaded.design.listeners.is_empty() && options.roles.has(Role::Gateway) && output == Output::Text {
        print::out("  note: no Gateway in this design, so nothing listens for callers from outside\n");
    }
    match bowline_runtime::up::run(&options, loaded.design, &mut |event| screen.show(&event)) {
        Ok(()) => Ok(Exit::Good),
        Err(error @ UpError::Service(_)) => Err(Failure::findings(error)),
        Err(error @ UpError::Open(_)) => Err(Failure::wrong_use(error)),
        Err(error) => Err(Failure::unreachable(error)),
    }
}

/// The tokens that the local API demands.
fn api_tokens(file: &Path) -> Result<ScopedTokens, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
    text.and_then(|text| ScopedTokens::parse(&text))
        .map_err(|why| Failure::wrong_use(format!("--api-tokens {}: {why}", file.display())))
}

/// Where spans go, by the command line or OpenTelemetry's own variables.
#[cfg(feature = "trace")]
fn trace(up: &Up) -> Result<Option<bowline_runtime::traces::Settings>, Failure> {
    let read = |name: &str| std::env::var(name).ok();
    bowline_runtime::traces::Settings::of_environment(up.trace.as_deref(), up.trace_ratio, &read)
        .map_err(Failure::wrong_use)
}

#[cfg(not(feature = "trace"))]
fn trace(_: &Up) -> Result<Option<bowline_runtime::traces::Settings>, Failure> {
    Ok(None)
}

/// `.bowline` in the design's folder, or beside its file.
pub(crate) fn beside(design: &Path) -> PathBuf {
    let folder = if design.is_dir() { Some(design) } else { design.parent() };
    folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).join(".bowline")
}

/// What is logged unless somebody asks for more. HTTP/2's library warns of what strangers may do to a
/// connection at any rate they like; what matters of it is counted.
const QUIET: &str = "warn,h2=error";

/// Logs to standard error: warnings, unless `BOWLINE_LOG` asks for more (`debug`, `bowline_proxy=trace`).
fn log(output: Output) {
    let filter = EnvFilter::try_from_env("BOWLINE_LOG").unwrap_or_else(|_| EnvFilter::new(QUIET));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match output {
        Output::Text => log.with_ansi(print::coloured() && std::io::stderr().is_terminal()).init(),
        Output::Json => log.json().init(),
    }
}

/// What to try, as the design's gateways tell it, with the ports and the program as they are here.
fn hints(loaded: &design::Loaded, up: &Up) -> Vec<String> {
    let told = loaded
        .reading
        .documents
        .gateways
        .iter()
        .filter_map(|gateway| gateway.meta.annotations.get(bowline_design::TRY));
    let program = program_as_typed();
    let api =
        if up.api == bowline_runtime::API_ADDRESS { String::new() } else { format!(" --api {}", up.api) };
    told.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|line| {
            let moved = up
                .ports
                .iter()
                .fold(line, |line, (from, to)| line.replace(&format!(":{from}"), &format!(":{to}")));
            moved
                .replace("bowline fault", &format!("{program} fault{api}"))
                .replace("bowline top", &format!("{program} top{api}"))
        })
        .collect()
}

/// The program as it was typed: what can be copied from the screen.
fn program_as_typed() -> String {
    std::env::args().next().unwrap_or_else(|| "bowline".to_owned())
}

/// How many notes are shown before a design runs: more would push what is ready off the screen.
const NOTES_SHOWN: usize = 5;

/// What a person sees while a design runs; a program reads one JSON document a line.
struct Screen {
    output: Output,
    hints: Vec<String>,
    path: PathBuf,
    /// Notes that were told, by subject and text: a reload tells those that are new.
    told: RefCell<BTreeSet<(String, String)>>,
}

/// What `check` says of a design that was reloaded. It is told; whether a design may start is asked at the start.
struct Found {
    errors: usize,
    warnings: usize,
    /// Exceptions that cannot be.
    mistakes: usize,
}

fn found(design: &Design, documents: &Documents) -> Found {
    match bowline_check::review(design, documents) {
        Ok(review) => {
            let count = |severity| review.findings.iter().filter(|it| it.severity == severity).count();
            Found { errors: count(Severity::Error), warnings: count(Severity::Warning), mistakes: 0 }
        }
        Err(mistakes) => Found { errors: 0, warnings: 0, mistakes: mistakes.len() },
    }
}

impl Found {
    fn text(&self, path: &Path) -> String {
        let found = match *self {
            Self { mistakes: 1.., .. } => counted(self.mistakes, "exception that cannot be"),
            Self { errors: 0, warnings: 0, .. } => return "no findings".to_owned(),
            Self { errors: 0, warnings, .. } => counted(warnings, "warning"),
            Self { errors, warnings, .. } => {
                format!("{}, {}", counted(errors, "error"), counted(warnings, "warning"))
            }
        };
        format!("{found}: `{} check {}` shows more", program_as_typed(), path.display())
    }
}

impl Screen {
    fn new(output: Output, hints: Vec<String>, path: &Path, notes: &[Note]) -> Self {
        let screen = Self { output, hints, path: path.to_owned(), told: RefCell::default() };
        screen.news(notes);
        screen
    }

    /// Those of `notes` that were not told yet.
    fn news(&self, notes: &[Note]) -> String {
        let mut told = self.told.borrow_mut();
        let mut is_new = |note: &&Note| told.insert((note.subject.clone(), note.text.clone()));
        let new: Vec<Note> = notes.iter().filter(|note| is_new(note)).cloned().collect();
        noted(&new, &self.path)
    }

    fn head(&self, design: &Design, path: &Path, errors: usize, warnings: usize) {
        let routes: usize = design.listeners.iter().map(|listener| listener.table.routes()).sum();
        let services = design.services.iter().filter(|service| !service.implied).count();
        let found = match (errors, warnings) {
            (0, 0) => "no findings".to_owned(),
            (0, _) => counted(warnings, "warning"),
            _ => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
        };
        let version = env!("CARGO_PKG_VERSION");
        match self.output {
            Output::Json => line(&json!({
                "event": "design", "version": version, "services": services, "routes": routes,
                "policies": design.policies, "errors": errors, "warnings": warnings,
            })),
            Output::Text => {
                let (services, routes) = (counted(services, "service"), counted(routes, "route"));
                let policies = if design.policies == 1 {
                    "1 policy".to_owned()
                } else {
                    format!("{} policies", design.policies)
                };
                let notes = noted(&design.notes, path);
                let design = path.display();
                let head = print::bold(&format!("bowline {version}"));
                print::out(&format!(
                    "  {head}   design {design}: {services}, {routes}, {policies}, {found}\n"
                ));
                print::out(&format!("{notes}\n"));
            }
        }
    }

    fn show(&self, event: &Event<'_>) {
        match self.output {
            Output::Json => line(&to_json(event)),
            Output::Text => {
                let text = self.text(event);
                print::out(&text);
            }
        }
    }

    fn text(&self, event: &Event<'_>) -> String {
        match event {
            Event::Building(package) => format!("  building {package} (the first time takes a while)\n"),
            Event::Service(status) => self.service(status),
            Event::Slow(waiting) => {
                let name = |status: &&Status| format!("{} ({})", status.name, status.state.as_str());
                let names: Vec<String> = waiting.iter().map(|status| name(&status)).collect();
                format!(
                    "  still waiting for {}; their logs are in the data folder under logs/\n",
                    names.join(", ")
                )
            }
            Event::Door { name, address, tls } => {
                let scheme = if *tls { "https://" } else { "" };
                row(name, &format!("{scheme}{address}"), &print::style("32", "ready"), "")
            }
            Event::Console(address) => row("console", &format!("http://{address}"), "", ""),
            Event::Ready => self.tries(),
            Event::DoorClosed(name, address) => {
                format!("  {name} closed: the design wants nobody to listen at {address} any more\n")
            }
            Event::Reloaded(design, documents) => {
                let routes: usize = design.listeners.iter().map(|listener| listener.table.routes()).sum();
                let found = found(design, documents);
                let notes = self.news(&design.notes);
                let routes = counted(routes, "route");
                format!(
                    "  the design changed: {routes} hold from now on; {}\n{notes}",
                    found.text(&self.path)
                )
            }
            Event::Refused(why) => format!(
                "  the design changed and cannot be made to run; what ran before goes on, all of it\n  because {why}\n  \
                 once that is mended: save the design again, or kill -HUP {}\n",
                std::process::id()
            ),
            Event::Rejected(mistakes, texts) => {
                let mut text =
                    String::from("  the design changed and has mistakes; what ran before goes on\n\n");
                for mistake in *mistakes {
                    text.push_str(&Mistake::render(mistake, texts, print::coloured()));
                    text.push('\n');
                }
                text
            }
            Event::Hindered(why) => format!("  the design changed, but {why}\n"),
            Event::HandedOver { keeps: 0 } => {
                "  a new process has taken over; finishing what is in flight\n".to_owned()
            }
            Event::HandedOver { keeps } => format!(
                "  a new process has taken over; finishing what is in flight, then staying as the parent of {} \
                 until the new process ends\n",
                counted(*keeps, "service")
            ),
            Event::Draining => "\n  stopping: requests in flight finish; Ctrl-C again cuts them\n".to_owned(),
            Event::Stopped { cut: 0 } => "  stopped, nothing was cut\n".to_owned(),
            Event::Stopped { cut } => {
                format!("  stopped; {} cut when the time to drain was over\n", counted(*cut, "connection"))
            }
        }
    }

    fn service(&self, status: &Status) -> String {
        let address = status.address.map(|address| address.to_string()).unwrap_or_default();
        match status.state {
            State::Ready { after } => row(
                &status.name,
                &address,
                &print::style("32", "ready"),
                &format!("{:.1} s", after.as_secs_f64()),
            ),
            State::Waiting => {
                let exit = status.last_exit.as_deref().unwrap_or("ended");
                row(
                    &status.name,
                    &address,
                    &print::style("1;31", "died"),
                    &format!("{exit}; starting it again; its log: {}", status.log.display()),
                )
            }
            state => row(&status.name, &address, state.as_str(), ""),
        }
    }

    fn tries(&self) -> String {
        let mut text = String::from("\n");
        if !self.hints.is_empty() {
            text.push_str(&format!("  {}\n", print::bold("Try")));
            for hint in &self.hints {
                text.push_str(&format!("    {hint}\n"));
            }
        }
        text.push_str("  Ctrl-C stops everything.\n");
        text
    }
}

/// What a reader should know of the design before it runs; the rest is a verb away.
fn noted(notes: &[Note], path: &Path) -> String {
    let line = |note: &Note| format!("  note: {} ({}): {}\n", note.subject, note.place, note.text);
    let mut text: String = notes.iter().take(NOTES_SHOWN).map(line).collect();
    if NOTES_SHOWN < notes.len() {
        let (more, path) = (notes.len() - NOTES_SHOWN, path.display());
        text.push_str(&format!(
            "  and {}; `{} check {path}` shows all\n",
            counted(more, "more note"),
            program_as_typed()
        ));
    }
    text
}

fn row(name: &str, address: &str, state: &str, detail: &str) -> String {
    let line = format!("  {name:<13}  {address:<21}   {state}   {detail}");
    format!("{}\n", line.trim_end())
}

fn line(value: &Value) {
    print::out(&format!("{value}\n"));
}

fn to_json(event: &Event<'_>) -> Value {
    let service = |status: &Status| {
        let after = match status.state {
            State::Ready { after } => Some(after.as_millis() as u64),
            _ => None,
        };
        json!({
            "name": status.name, "address": status.address.map(|address| address.to_string()), "pid": status.pid,
            "state": status.state.as_str(), "ready_after_ms": after, "restarts": status.restarts, "log": status.log, "last_exit": status.last_exit,
        })
    };
    match event {
        Event::Building(package) => json!({"event": "building", "package": package}),
        Event::Service(status) => json!({"event": "service", "service": service(status)}),
        Event::Slow(waiting) => {
            json!({"event": "slow", "services": waiting.iter().map(service).collect::<Vec<_>>()})
        }
        Event::Door { name, address, tls } => {
            json!({"event": "door", "name": name, "address": address.to_string(), "tls": tls})
        }
        Event::Console(address) => json!({"event": "console", "address": address.to_string()}),
        Event::Ready => json!({"event": "ready"}),
        Event::DoorClosed(name, address) => {
            json!({"event": "door-closed", "name": name, "address": address.to_string()})
        }
        Event::Reloaded(design, documents) => {
            let Found { errors, warnings, mistakes } = found(design, documents);
            let note = |note: &Note| json!({"subject": note.subject, "text": note.text, "place": note.place.to_string()});
            json!({
                "event": "reloaded", "errors": errors, "warnings": warnings, "mistakes": mistakes,
                "notes": design.notes.iter().map(note).collect::<Vec<_>>(),
            })
        }
        Event::Refused(why) => json!({"event": "refused", "why": why}),
        Event::Rejected(mistakes, _) => {
            json!({"event": "rejected", "mistakes": mistakes.iter().map(Mistake::to_json).collect::<Vec<_>>()})
        }
        Event::Hindered(why) => json!({"event": "hindered", "why": why}),
        Event::HandedOver { keeps } => json!({"event": "handed-over", "keeps": keeps}),
        Event::Draining => json!({"event": "draining"}),
        Event::Stopped { cut } => json!({"event": "stopped", "cut": cut}),
    }
}
