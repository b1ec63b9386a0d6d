//! The shop, running on ports and in a folder of its own.

use crate::clock;
use crate::console::PROGRAM;
use crate::pages::root;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// The ports that the pages name: the gateway, the local API, the mesh and the four services.
const WRITTEN: [u16; 7] = [8080, 9470, 15001, 7101, 7102, 7103, 7104];

/// A folder with the repository's examples in it, which goes away with its owner.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

/// A running shop. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Shop {
    child: Child,
    folder: Folder,
    ports: [u16; 7],
}

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let name = format!("docs-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // Within the build folder, where Cargo finds the workspace.
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        std::os::unix::fs::symlink(root().join("examples"), path.join("examples")).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

impl Shop {
    /// Starts it and waits until it is ready.
    pub(crate) fn start() -> Self {
        let folder = Folder::new();
        let ports = free_ports();
        let design = folder.path().join("shop");
        std::fs::create_dir(&design).unwrap();
        for entry in std::fs::read_dir(root().join("examples/shop/design")).unwrap() {
            let entry = entry.unwrap();
            let text = moved(&std::fs::read_to_string(entry.path()).unwrap(), &ports);
            let text = told_where(&text, &ports);
            std::fs::write(design.join(entry.file_name()), text).unwrap();
        }
        let log = std::fs::File::create(folder.path().join("up.log")).unwrap();
        let mut up = Command::new(PROGRAM);
        up.arg("up").arg(&design).args(["--port", &format!("8080={}", ports[0])]);
        up.args(["--api", &format!("127.0.0.1:{}", ports[1]), "--mesh", &format!("127.0.0.1:{}", ports[2])]);
        up.arg("--data").arg(folder.path().join("bowline"));
        up.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut shop = Self { child: up.spawn().unwrap(), folder, ports };
        // Cargo may first have to build the shop, however long that takes.
        while clock::until_ok(|| shop.get("/readyz")).is_err() {
            let ended = shop.child.try_wait().unwrap();
            let log = std::fs::read_to_string(shop.folder.path().join("up.log")).unwrap();
            assert!(ended.is_none(), "the shop did not start: {log}");
        }
        shop
    }

    /// Where commands are typed.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What a page writes, with this shop's ports.
    pub(crate) fn here(&self, text: &str) -> String {
        let api = format!("--api 127.0.0.1:{}", self.ports[1]);
        let mut text = moved(text, &self.ports);
        for verb in ["bowline fault", "bowline top", "bowline explain last"] {
            text = text.replace(verb, &format!("{verb} {api}"));
        }
        text
    }

    /// What the local API answers, if it answers 200.
    pub(crate) fn get(&self, path: &str) -> Result<String, String> {
        let url = format!("http://127.0.0.1:{}{path}", self.ports[1]);
        let mut answer = ureq::get(&url).call().map_err(|error| error.to_string())?;
        answer.body_mut().read_to_string().map_err(|error| error.to_string())
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // What it started dies with it.
        let _best_effort = self.child.kill();
        let _best_effort = self.child.wait();
    }
}

/// Ports that nobody has at this moment.
fn free_ports() -> [u16; 7] {
    let listeners = [(); 7].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// `text` with the ports that the pages name moved.
fn moved(text: &str, ports: &[u16; 7]) -> String {
    let mut text = text.to_owned();
    for (written, here) in WRITTEN.iter().zip(ports) {
        text = text.replace(&format!(":{written}"), &format!(":{here}"));
    }
    text
}

/// Tells each service where it listens and where the others are.
fn told_where(text: &str, ports: &[u16; 7]) -> String {
    let peers: Vec<String> = ["payment", "inventory", "notification"]
        .iter()
        .zip(&ports[4..])
        .map(|(peer, port)| format!("--{peer}, \"127.0.0.1:{port}\""))
        .collect();
    let more = format!("--listen, \"{{address}}\", {}", peers.join(", "));
    ["orders", "payment", "inventory", "notification"].iter().fold(text.to_owned(), |text, service| {
        text.replace(&format!("args: [ {service},"), &format!("args: [ {service}, {more},"))
    })
}
