//! The workshop: everything that people and CI run, as one command, `cargo xtask`.
//!
//! In reading order:
//! - [`test`]: the steps of `cargo xtask test`, from formatting to the instruction count
//! - [`prove`]: the same proofs for longer
//! - [`tidy`]: the invariants of ARCHITECTURE.md, checked
//! - [`codegen`]: the code that is made of .proto files
//! - [`differential`]: Bowline beside Envoy, request by request; [`h2spec`]: HTTP/2's cases
//! - [`soak`]: minutes at full speed with connections cut, after which nothing may stay behind
//! - [`validate`]: what the simulator must reproduce
//! - [`bench`]: the proxy beside its peers, the policy stack, and the simulator
//! - [`load`]: the upstream and the load generators that the benchmarks run
//! - [`steps`], [`tools`], [`run`], [`clock`]: how steps are run and timed, what is installed for
//!   them, how programs are started, and the one place that reads a clock

mod bench;
mod clock;
mod codegen;
mod differential;
mod h2spec;
mod load;
mod prove;
mod run;
mod soak;
mod steps;
mod test;
mod tidy;
mod tools;
mod validate;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  test          everything that must hold before a change lands; what CI runs
  tidy          the invariants of ARCHITECTURE.md alone (seconds)
  prove         the long proofs: fuzzing, loom without bounds, many more random cases
  bench proxy   the gateway beside Envoy, nginx and haproxy, one core each in turn
  bench policy  the policy stack of one call: nanoseconds and allocations
  bench sim     the simulator: events a second, memory, a whole comparison
  differential  the same designs, requests and failures through Envoy and through Bowline
  soak          ten minutes at full speed, connections cut and the design reloaded: nothing leaks or is lost
  validate      the simulator beside closed forms and published results
  codegen       writes the code that is made of .proto files

`cargo xtask COMMAND --help` tells more.
Exit codes: 0 good, 1 something does not hold, 2 wrong use, 3 a tool could not be had.";

/// Why a command ends early. The variant is the exit code.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Something does not hold: 1.
    Broken(String),
    /// Wrong use: 2.
    Usage(String),
    /// A tool could not be had or started: 3.
    Missing(String),
}

impl Stop {
    fn code(&self) -> ExitCode {
        match self {
            Self::Broken(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
            Self::Missing(_) => ExitCode::from(3),
        }
    }

    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Broken(message) | Self::Usage(message) | Self::Missing(message) => message,
        }
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            eprintln!("xtask: {}", stop.message());
            stop.code()
        }
    }
}

fn dispatch(args: &[String]) -> Result<(), Stop> {
    let Some((command, rest)) = args.split_first() else {
        println!("{HELP}");
        return Err(Stop::Usage("say which command".to_owned()));
    };
    match command.as_str() {
        "test" => test::main(rest),
        "tidy" => tidy::main(rest),
        "prove" => prove::main(rest),
        "bench" => bench::main(rest),
        "differential" => differential::main(rest),
        "soak" => soak::main(rest),
        "validate" => validate::main(rest),
        "codegen" => codegen::main(rest),
        // Not in the help: what `bench` starts on the load core.
        "upstream" => load::upstream::main(rest),
        "fixed" => load::fixed::main(rest),
        "load" => load::main(rest),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        other => Err(Stop::Usage(format!("no command `{other}`; `cargo xtask --help` lists them"))),
    }
}
