//! Writes the code that is made of .proto files: `cargo xtask codegen`. With `--check` it compares instead.

use std::path::Path;
use std::process::ExitCode;

/// What is made: the .proto file, the folder its imports begin in, and the file that is made of it.
const MADE: [(&str, &str, &str); 1] =
    [("bowline/shop/v1/payment.proto", "examples/shop/proto", "examples/shop/src/payment/generated.rs")];

/// What stands above generated code.
const HEAD: &str = "// Made by `cargo xtask codegen`; change the .proto file instead.\n\n";

fn main() -> ExitCode {
    let check = std::env::args().nth(1).is_some_and(|argument| argument == "--check");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut good = true;
    for (proto, folder, file) in MADE {
        let made = match make(&root.join(folder), proto) {
            Ok(made) => made,
            Err(error) => {
                eprintln!("{folder}/{proto}: {error}");
                return ExitCode::from(3);
            }
        };
        let kept = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        if kept == made {
            println!("{file} is what {proto} says");
        } else if check {
            eprintln!("{file} is not what {proto} says: run `cargo xtask codegen`");
            good = false;
        } else if let Err(error) = std::fs::write(root.join(file), made) {
            eprintln!("{file}: {error}");
            return ExitCode::from(3);
        } else {
            println!("{file} written");
        }
    }
    ExitCode::from(u8::from(!good))
}

/// The code of one .proto file.
fn make(folder: &Path, proto: &str) -> Result<String, Box<dyn std::error::Error>> {
    let files = protox::compile([proto], [folder])?;
    let out = std::env::temp_dir().join(format!("bowline-codegen-{}", std::process::id()));
    std::fs::create_dir_all(&out)?;
    // No client that connects by itself: callers bring a channel with their guards around it.
    tonic_prost_build::configure().build_transport(false).out_dir(&out).compile_fds(files)?;
    let mut made = HEAD.to_owned();
    for entry in std::fs::read_dir(&out)? {
        made += &std::fs::read_to_string(entry?.path())?;
    }
    std::fs::remove_dir_all(&out)?;
    Ok(made)
}
