//! `bowline version`.

use crate::arguments::Output;
use crate::{Done, Exit, print};

pub(crate) fn run(output: Output) -> Done {
    let version = env!("CARGO_PKG_VERSION");
    match output {
        Output::Text => print::out(&format!("bowline {version}\n")),
        Output::Json => print::json(&serde_json::json!({"name": "bowline", "version": version})),
    }
    Ok(Exit::Good)
}
