//! `bowline up` as a process of the test: in a folder and on ports of its own, gone with the test.

use crate::clock::{self, PATIENCE};
use crate::designs::SHOP_GATEWAY;
use crate::http::{self, Message};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_bowline");

/// Ports for tests: below the range that outgoing connections are given (32768 on), and away from every
/// port that a developer's own `bowline up` takes.
const PORTS: std::ops::Range<u32> = 20_000..32_000;

/// A port that nobody has and no other test gets.
pub(crate) fn port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let span = PORTS.end - PORTS.start;
    // Test programs that run at the same time begin at different places.
    let first = std::process::id().wrapping_mul(251) % span;
    clock::eventually("a free port", || {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = (PORTS.start + (first + next) % span) as u16;
        is_free(port).then_some(port)
    })
}

/// Whether one could listen at this port.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A folder that goes away with its owner. It is inside the repository's build folder, where Cargo finds
/// the workspace.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("up-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.0.join(file), text).unwrap();
    }

    /// Changes a text of one file; it must be there.
    #[track_caller]
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.0.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no `{from}`");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.join(".bowline")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

/// What a run of the program left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

/// Runs the program to its end.
pub(crate) fn bowline(arguments: &[&str]) -> Ran {
    bowline_reading(arguments, "")
}

/// Runs the program to its end, with something to read on standard input.
pub(crate) fn bowline_reading(arguments: &[&str], input: &str) -> Ran {
    use std::io::Write;
    let mut command = Command::new(PROGRAM);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// The ports of one `bowline up`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) gateway: u16,
    pub(crate) api: u16,
    pub(crate) mesh: u16,
}

impl Ports {
    pub(crate) fn new() -> Self {
        Self { gateway: port(), api: port(), mesh: port() }
    }
}

/// A running `bowline up`.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) ports: Ports,
    child: Mutex<Child>,
    out: Lines,
    err: Lines,
    data: PathBuf,
}

/// What a process has said so far.
#[derive(Clone, Debug, Default)]
struct Lines {
    said: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
}

impl Up {
    /// Starts the design in `folder` and waits until it is ready.
    #[track_caller]
    pub(crate) fn ready(folder: &Folder, ports: Ports, more: &[&str]) -> Self {
        Self::ready_with(folder, ports, more, &[])
    }

    /// The same, with these variables in its environment.
    #[track_caller]
    pub(crate) fn ready_with(
        folder: &Folder,
        ports: Ports,
        more: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let up = Self::start_with(folder, ports, &[&["--output", "json"], more].concat(), environment);
        up.event("ready", |event| event["event"] == "ready");
        up
    }

    /// Starts the design in `folder`.
    pub(crate) fn start(folder: &Folder, ports: Ports, more: &[&str]) -> Self {
        Self::start_with(folder, ports, more, &[])
    }

    fn start_with(folder: &Folder, ports: Ports, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.envs(environment.iter().copied());
        command.arg("up").arg(folder.path()).arg("--data").arg(folder.data());
        command.args(["--api", &format!("127.0.0.1:{}", ports.api)]);
        command.args(["--mesh", &format!("127.0.0.1:{}", ports.mesh)]);
        command.args(["--port", &format!("{SHOP_GATEWAY}={}", ports.gateway)]);
        command.args(more);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = Lines::follow(child.stdout.take().unwrap());
        let err = Lines::follow(child.stderr.take().unwrap());
        Self { ports, child: Mutex::new(child), out, err, data: folder.data() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// Everything on its screen so far.
    pub(crate) fn screen(&self) -> String {
        self.out.text()
    }

    /// Everything it complained about so far.
    pub(crate) fn complaints(&self) -> String {
        self.err.text()
    }

    /// Waits for the screen to show `text`.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        self.waits_for(&format!("`{text}` on the screen"), || self.screen().contains(text).then_some(()));
    }

    /// Waits for something that it says; it must go on running until then.
    #[track_caller]
    fn waits_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        clock::eventually(what, || {
            let exit = self.exit().filter(|_| self.out.is_over());
            let found = look();
            assert!(found.is_some() || exit.is_none(), "it ended ({exit:?}) without {what}");
            found
        })
    }

    /// All events so far.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.out.said.lock().unwrap().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for an event, those that were included.
    #[track_caller]
    pub(crate) fn event(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.waits_for(what, || self.events().into_iter().find(|event| wanted(event)))
    }

    /// The process of a service, as it is now.
    #[track_caller]
    pub(crate) fn pid_of(&self, service: &str) -> u32 {
        let status = self.status();
        let services = status["services"].as_array().unwrap();
        let found = services.iter().find(|known| known["name"] == service).unwrap();
        u32::try_from(found["pid"].as_u64().unwrap()).unwrap()
    }

    /// The processes of all services.
    #[track_caller]
    pub(crate) fn pids(&self) -> Vec<u32> {
        let status = self.status();
        let services = status["services"].as_array().unwrap();
        services.iter().map(|service| u32::try_from(service["pid"].as_u64().unwrap()).unwrap()).collect()
    }

    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        http::get(self.ports.api, "/v1/status").json()
    }

    /// The sum of the samples of `name` whose labels contain all of `labels`.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let page = http::get(self.ports.api, "/metrics").text();
        let samples = page.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        });
        samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// A verb that asks this process.
    pub(crate) fn verb(&self, arguments: &[&str]) -> Ran {
        bowline(&[arguments, &["--api", &format!("127.0.0.1:{}", self.ports.api)]].concat())
    }

    /// A request to the gateway, on a connection of its own; it must be answered.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Message {
        http::ask(self.ports.gateway, method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// An order of two A47 at the shop's gateway.
    #[track_caller]
    pub(crate) fn order(&self, headers: &[&str]) -> Message {
        self.ask("POST", "/orders", headers, r#"{"items":[{"sku":"A47","qty":2}]}"#)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal_to(self.pid(), signal);
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ended(&self) -> ExitStatus {
        let exit = clock::eventually("the program ends", || self.exit());
        clock::until("its last words", || self.out.is_over() && self.err.is_over());
        exit
    }

    /// Whether it runs.
    pub(crate) fn runs(&self) -> bool {
        self.exit().is_none()
    }

    fn exit(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap().try_wait().unwrap()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        {
            let mut child = self.child.lock().unwrap();
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            // What the test cannot say: the whole story, from all sides.
            eprintln!(
                "--- screen of {}\n{}\n--- complaints\n{}",
                self.pid(),
                self.screen(),
                self.complaints()
            );
            for log in std::fs::read_dir(self.data.join("logs")).into_iter().flatten().filter_map(Result::ok)
            {
                let text = std::fs::read_to_string(log.path()).unwrap_or_default();
                let begin = text.char_indices().rev().nth(4_000).map_or(0, |(at, _)| at);
                eprintln!("--- {}\n{}", log.path().display(), &text[begin..]);
            }
        }
    }
}

impl Lines {
    fn follow(from: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let own = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                own.said.lock().unwrap().push(line);
            }
            own.over.store(true, Ordering::SeqCst);
        });
        lines
    }

    /// Whether nothing more will be said.
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn text(&self) -> String {
        self.said.lock().unwrap().iter().map(|line| format!("{line}\n")).collect()
    }
}

pub(crate) fn signal_to(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Whether a process runs: it is there, and not only waits for its parent to ask how it ended.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // `pid (name) state ..`; a name may hold anything, a bracket included.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Waits until none of these processes runs and all of these ports are free.
#[track_caller]
pub(crate) fn nothing_is_left(pids: &[u32], ports: &[u16]) {
    clock::until("no process is left", || pids.iter().all(|pid| !is_alive(*pid)));
    clock::until("all ports are free", || ports.iter().all(|port| is_free(*port)));
}

/// How long `what` takes.
pub(crate) fn timed<T>(what: impl FnOnce() -> T) -> (T, Duration) {
    let began = clock::now();
    let done = what();
    (done, began.elapsed())
}

const _: () = assert!(PATIENCE.as_secs() > 30, "the program's own drain must fit");
