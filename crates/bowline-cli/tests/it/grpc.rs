//! Three gRPC libraries, each as client and as server, through the gateway: messages and streams of all
//! kinds, metadata, statuses, deadlines, cancellation.
//!
//! The peers in Python and Node.js are programs of their own (`tests/peers`); [`tonic_peer`] is here. Each
//! client runs the same cases and tells how each went.

mod tonic_peer;

use crate::clock::until;
use crate::designs::{repository, service, small};
use crate::world::{Folder, Ports, Up, is_free, port};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// What a client tries, by the names that all three give it.
const CASES: [&str; 10] = [
    "unary",
    "large",
    "metadata",
    "client_stream",
    "server_stream",
    "both_stream",
    "status",
    "late_status",
    "deadline",
    "cancel",
];

#[derive(Clone, Copy, Debug)]
enum Peer {
    Python,
    Node,
    Tonic,
}

const PEERS: [Peer; 3] = [Peer::Python, Peer::Node, Peer::Tonic];

impl Peer {
    const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Tonic => "tonic",
        }
    }

    /// The program of a peer that is one.
    fn program(self) -> Option<Command> {
        let (program, file, variable, packages) = match self {
            Self::Python => ("python3", "grpc_peer.py", "PYTHONPATH", "python"),
            Self::Node => ("node", "grpc_peer.cjs", "NODE_PATH", "node/node_modules"),
            Self::Tonic => return None,
        };
        let mut command = Command::new(program);
        command.arg(repository().join("crates/bowline-cli/tests/peers").join(file));
        command.env(variable, tools().join(packages));
        Some(command)
    }

    /// Starts it as a server at `port`.
    fn serve(self, port: u16) -> Server {
        let running = match self.program() {
            Some(mut program) => {
                program.args(["server", &port.to_string()]).stdin(Stdio::null());
                Server::Program(program.spawn().unwrap_or_else(|error| panic!("{program:?}: {error}")))
            }
            None => Server::Here(tonic_peer::serve(port)),
        };
        until(&format!("{self:?} listens"), || !is_free(port));
        running
    }

    /// Runs all cases as a client of the gateway at `port`; what each came to, a line a case.
    fn ask(self, port: u16, server: Self) -> String {
        match self.program() {
            Some(mut program) => {
                let output = program.args(["client", &port.to_string(), server.name()]).output().unwrap();
                let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                said(&output.stdout) + &said(&output.stderr)
            }
            None => tonic_peer::ask(port, server.name()),
        }
    }
}

/// Where `cargo xtask test` puts what the peers need.
fn tools() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools")
}

/// A server that runs until this is dropped.
enum Server {
    Program(Child),
    Here(tonic_peer::Running),
}

impl Drop for Server {
    fn drop(&mut self) {
        match self {
            Self::Program(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Self::Here(running) => running.stop(),
        }
    }
}

/// A gateway whose callers say in `x-server` whom they want.
fn gateway(servers: &[(Peer, u16)]) -> (Folder, Up) {
    let gateway = port();
    let mut rest = String::from(
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: all }\nspec:\n  \
         hosts: [ \"*\" ]\n  gateways: [ gate ]\n  http:\n",
    );
    for (peer, _) in servers {
        let name = peer.name();
        rest += &format!(
            "  - match: [ {{ headers: {{ x-server: {{ exact: {name} }} }} }} ]\n    \
             route: [ {{ destination: {{ host: {name} }} }} ]\n"
        );
    }
    for (peer, port) in servers {
        rest += &service(peer.name(), *port, "  protocol: grpc");
        rest += "\n";
    }
    let folder = small(gateway, &rest);
    let up = Up::ready(&folder, Ports { gateway, ..Ports::new() }, &[]);
    (folder, up)
}

#[test]
fn every_library_reaches_every_other_with_all_that_grpc_is() {
    let servers = PEERS.map(|peer| (peer, port()));
    let _running = servers.map(|(peer, port)| peer.serve(port));
    let (_folder, up) = gateway(&servers);
    let mut failed = String::new();
    for client in PEERS {
        for server in PEERS {
            let said = client.ask(up.ports.gateway, server);
            let passed = said.lines().filter_map(|line| line.strip_suffix(" ok"));
            if !passed.eq(CASES) {
                failed += &format!("{client:?} to {server:?}:\n{said}\n");
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
    println!("{} pairs, {} cases each", PEERS.len() * PEERS.len(), CASES.len());
}
