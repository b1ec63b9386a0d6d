//! `shop SERVICE`: one of the four services of the order system, until it is told to stop.

use shop::{Settings, settings::USAGE, start};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// One thread for the requests: they only wait, for the database's thread or for each other.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let data = std::env::var_os("SHOP_DATA").unwrap_or_else(|| ".bowline/shop".into());
    let settings = match Settings::parse(std::env::args().skip(1), data) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2); // wrong use
        }
    };
    match run(&settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", settings.service.name());
            ExitCode::from(3) // could not reach something: the port, the folder
        }
    }
}

async fn run(settings: &Settings) -> Result<(), Box<dyn std::error::Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = start(settings).await?;
    println!("{} listens on {}", settings.service.name(), running.address());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    running.stop().await;
    Ok(())
}
