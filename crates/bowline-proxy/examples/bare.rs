//! The proxy alone, for measuring: one worker, the gateways of a design, nothing around it.
//!
//! `cargo run --release --example bare -- DESIGN.. [--workers N]`

use bowline_design::Text;
use bowline_proxy::{Config, Door, Proxy, Sockets};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut workers = 1;
    let mut texts = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--workers" => workers = arguments.next().ok_or("--workers wants a number")?.parse()?,
            path => read(Path::new(path), &mut texts)?,
        }
    }
    let design = match bowline_design::load(&texts) {
        Ok(design) => Arc::new(design),
        Err(mistakes) => {
            for mistake in mistakes {
                eprintln!("{}", mistake.render(&texts, false));
            }
            return Err("the design has mistakes".into());
        }
    };
    let mut config = Config::new(Arc::clone(&design));
    config.workers = workers;
    for listener in &design.listeners {
        let door = Door::Gateway(listener.bind);
        if config.sockets.iter().any(|sockets| sockets.door == door) {
            continue;
        }
        config.sockets.push(Sockets::bind(door, listener.bind, workers, config.limits.backlog)?);
        println!("{} {}", listener.name, listener.bind);
    }
    let _proxy = Proxy::start(config)?;
    loop {
        std::thread::park();
    }
}

fn read(path: &Path, texts: &mut Vec<Text>) -> std::io::Result<()> {
    let mut files: Vec<PathBuf> = vec![path.to_owned()];
    if path.is_dir() {
        files = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        files.sort();
    }
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        texts.push(Text { name: file.display().to_string().into(), text });
    }
    Ok(())
}
