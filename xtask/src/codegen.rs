//! `cargo xtask codegen`: writes the code that is made of .proto files. It is committed, so that nobody needs a
//! compiler of protobuf to build; the step `codegen` holds it equal to what it is made of.

use crate::{Stop, run};
use std::path::Path;

const HELP: &str = "\
cargo xtask codegen [--check]

Writes the code that is made of .proto files; with --check, compares it with what is committed.
Its generator is a workspace of its own (codegen/), because nobody who builds should have to build it.";

pub(crate) fn main(args: &[String]) -> Result<(), Stop> {
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => generate(&run::root()?, &[]),
        ["--check"] => generate(&run::root()?, &["--check"]),
        ["--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        _ => Err(Stop::Usage("`cargo xtask codegen --help` lists what it takes".to_owned())),
    }
}

/// What the step of `cargo xtask test` runs.
pub(crate) fn step(root: &Path) -> Result<String, Stop> {
    generate(root, &["--check"]).map(|()| String::new())
}

fn generate(root: &Path, args: &[&str]) -> Result<(), Stop> {
    let mut command =
        run::cargo(root, &["run", "--quiet", "--locked", "--manifest-path", "codegen/Cargo.toml"]);
    command.arg("--target-dir").arg(run::target(root).join("codegen"));
    run::run(command.arg("--").args(args))
}
