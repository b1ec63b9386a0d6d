//! The program `bowline`: arguments, files, environment, printing; nothing else.
//!
//! What is decided and what is done lives in the crates below; here a verb is read, handed on, and its
//! answer printed for a person or a program.

mod api;
mod arguments;
mod print;
mod verbs;

use arguments::{Arguments, Format, Verb};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers, everything else is wrong use.
            let _ = error.print();
            return if error.use_stderr() { Exit::WrongUse.into() } else { Exit::Good.into() };
        }
    };
    let (format, output) = (arguments.output, arguments.output.plain());
    let done = match arguments.verb {
        Verb::Check(check) => verbs::check::run(&check, format),
        _ if format == Format::Sarif => {
            Err(Failure::wrong_use("SARIF is for findings: `bowline check` writes it, no other verb does"))
        }
        Verb::Up(up) => verbs::up::run(&up, output),
        Verb::Explain(explain) => verbs::explain::run(&explain, output),
        Verb::Test(test) => verbs::test::run(&test, output),
        Verb::Simulate(simulate) => verbs::simulate::run(&simulate, output),
        Verb::Sweep(sweep) => verbs::sweep::run(&sweep, output),
        Verb::Advise(advise) => verbs::advise::run(&advise, output),
        Verb::Import(import) => verbs::import::run(&import, output),
        Verb::Schema => verbs::schema::run(),
        Verb::Fault(fault) => verbs::fault::run(&fault, output),
        Verb::Top(top) => verbs::top::run(&top, output),
        Verb::Version => verbs::version::run(output),
        Verb::Child(child) => {
            Err(Failure::unreachable(bowline_runtime::child::become_command(child.parent, &child.command)))
        }
    };
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            print::failure(&failure, output);
            failure.exit.into()
        }
    }
}

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Good = 0,
    /// Findings, mistakes in a design, a failed test.
    Findings = 1,
    /// Wrong use: an argument, a path that is not there.
    WrongUse = 2,
    /// Something could not be reached: a running Bowline, a port, a program.
    Unreachable = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a verb could not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: Box<dyn std::error::Error>,
}

impl Failure {
    pub(crate) fn wrong_use(error: impl Into<Box<dyn std::error::Error>>) -> Self {
        Self { exit: Exit::WrongUse, error: error.into() }
    }

    pub(crate) fn unreachable(error: impl Into<Box<dyn std::error::Error>>) -> Self {
        Self { exit: Exit::Unreachable, error: error.into() }
    }

    pub(crate) fn findings(error: impl Into<Box<dyn std::error::Error>>) -> Self {
        Self { exit: Exit::Findings, error: error.into() }
    }
}

pub(crate) type Done = Result<Exit, Failure>;
