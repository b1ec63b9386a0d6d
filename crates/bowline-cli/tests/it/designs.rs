//! What the tests run: the shop on ports of its own, and small designs around callees of the test.

use crate::world::{Folder, port};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The port of the shop's gateway in its design; tests move it with `--port`.
pub(crate) const SHOP_GATEWAY: u16 = 8080;

/// The shop's services in the order of their ports in the design, from 7101.
pub(crate) const SHOP_SERVICES: [&str; 4] = ["orders", "payment", "inventory", "notification"];

/// A copy of the shop's design, on ports of its own.
pub(crate) struct Shop {
    pub(crate) folder: Folder,
    /// Where the services listen, in the order of [`SHOP_SERVICES`].
    pub(crate) ports: [u16; 4],
}

impl Shop {
    /// The shop, with a program that is built already, and ten times as patient: for tests that are not
    /// about its deadlines, on a machine that does other things, too.
    pub(crate) fn new() -> Self {
        let shop = Self::as_it_stands();
        for (span, longer) in [
            ("deadline: 300ms", "deadline: 3s"),
            ("perTry: 80ms", "perTry: 800ms"),
            ("perTry: 120ms", "perTry: 1200ms"),
        ] {
            shop.edit("policies.yaml", span, longer);
        }
        shop.edit("routes.yaml", "timeout: 1200ms", "timeout: 12s");
        shop.edit("tests.yaml", "timeout: 1200ms", "timeout: 12s");
        shop
    }

    /// The shop with its own deadlines, and a program that is built already.
    pub(crate) fn as_it_stands() -> Self {
        let program = program().display();
        Self::started_by(&format!("command: [ {program} ]"))
    }

    /// The shop with its own deadlines, whose program `bowline up` builds.
    pub(crate) fn built_by_up() -> Self {
        Self::started_by("cargo: shop")
    }

    fn started_by(program: &str) -> Self {
        let ports = SHOP_SERVICES.map(|_| port());
        let folder = Folder::new();
        for file in std::fs::read_dir(repository().join("examples/shop/design")).unwrap() {
            let file = file.unwrap().path();
            let mut text = std::fs::read_to_string(&file).unwrap();
            for (service, own) in SHOP_SERVICES.iter().zip(&ports) {
                let peers = ["payment", "inventory", "notification"]
                    .map(|peer| format!("--{peer}, \"127.0.0.1:{}\"", ports[index(peer)]));
                let args = format!("{service}, --listen, \"127.0.0.1:{own}\", {}", peers.join(", "));
                text = text
                    .replace(&format!("127.0.0.1:{}", 7101 + index(service)), &format!("127.0.0.1:{own}"));
                text = text.replace(
                    &format!("cargo: shop, args: [ {service},"),
                    &format!("{program}, args: [ {args},"),
                );
            }
            folder.write(file.file_name().unwrap().to_str().unwrap(), &text);
        }
        Self { folder, ports }
    }

    /// Changes a text of one file; it must be there.
    #[track_caller]
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        self.folder.edit(file, from, to);
    }

    /// Where a service listens.
    pub(crate) fn port_of(&self, service: &str) -> u16 {
        self.ports[index(service)]
    }
}

fn index(service: &str) -> usize {
    SHOP_SERVICES.iter().position(|known| *known == service).unwrap()
}

/// The repository's root.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// The shop's program, built once for all tests, beside the program under test.
pub(crate) fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--package", "shop"]).current_dir(repository());
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "the shop does not build");
        Path::new(env!("CARGO_BIN_EXE_bowline")).with_file_name("shop")
    })
}

/// A design with one gateway at `gateway`; `rest` are further documents.
pub(crate) fn small(gateway: u16, rest: &str) -> Folder {
    let folder = Folder::new();
    folder.write(
        "design.yaml",
        &format!(
            r#"apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{ name: gate }}
spec:
  servers:
  - port: {{ number: {gateway}, name: http, protocol: HTTP }}
    bind: 127.0.0.1
    hosts: [ "*" ]
{rest}"#
        ),
    );
    folder
}

/// Rules of one `VirtualService` behind the gateway.
pub(crate) fn rules(http: &str) -> String {
    format!(
        r#"---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: all }}
spec:
  hosts: [ "*" ]
  gateways: [ gate ]
  http:
{http}"#
    )
}

/// A service at `port` of this machine; `more` are further lines of its spec.
pub(crate) fn service(name: &str, port: u16, more: &str) -> String {
    format!(
        r#"---
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: {name} }}
spec:
  endpoints: [ {{ address: "127.0.0.1:{port}" }} ]
{more}"#
    )
}

/// A policy for a service; `spec` are the lines of its spec.
pub(crate) fn policy(service: &str, spec: &str) -> String {
    format!(
        r#"---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: {{ name: {service} }}
spec:
  targets: [ {{ service: {service} }} ]
{spec}"#
    )
}
