//! The world around a gateway under `cargo xtask soak`: callers and callees over HTTP/1.1, HTTP/2 and gRPC, on
//! connections that are cut at random.
//!
//! ```text
//! soak GATEWAY FIRST_CALLEE_PORT SECONDS SEED
//! ```
//!
//! Callees listen at four ports from the first on: two of HTTP/1.1, two of HTTP/2. Callers ask as fast as they are
//! answered, from when the gateway listens and for so many seconds. Then one line of JSON says what came of every
//! request, and callees stay until they are killed: what the gateway still holds then, it holds for nobody.
//!
//! - [`callers`]: who asks, and what came of it; [`told`]: the sums
//! - [`callees`]: who answers
//! - [`cuts`]: whose connection is cut, and when

mod callees;
mod callers;
mod cuts;
mod told;

use cuts::Cuts;
use std::error::Error;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;
use told::Told;

/// Between two cuts of callees' connections. A failure counts as explained where a callee was cut while its request was
/// under way, which takes some milliseconds: with four cuts a second few requests are explained by chance.
const BETWEEN_CALLEES: Duration = Duration::from_millis(250);
/// Between two cuts of callers' connections, which explain nothing and are told apart.
const BETWEEN_CALLERS: Duration = Duration::from_millis(100);
/// A gateway of a debug build takes some seconds to start.
const GATEWAY_WAIT: Duration = Duration::from_millis(50);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [gateway, first, seconds, seed] = &args[..] else {
        return Err("soak GATEWAY FIRST_CALLEE_PORT SECONDS SEED".into());
    };
    let (gateway, first): (SocketAddr, u16) = (gateway.parse()?, first.parse()?);
    let (length, seed) = (Duration::from_secs(seconds.parse()?), seed.parse()?);
    LocalSet::new().run_until(soak(gateway, first, length, seed)).await
}

async fn soak(gateway: SocketAddr, first: u16, length: Duration, seed: u64) -> Result<(), Box<dyn Error>> {
    let callee_cuts = Rc::new(Cuts::new(seed));
    for port in first..first + 4 {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let speaks = if port < first + 2 { callees::Speaks::Http1 } else { callees::Speaks::Http2 };
        spawn_local(callees::serve(listener, speaks, Rc::clone(&callee_cuts)));
    }
    while TcpStream::connect(gateway).await.is_err() {
        sleep(GATEWAY_WAIT).await;
    }

    let (caller_cuts, told) = (Rc::new(Cuts::new(seed ^ 1)), Rc::new(Told::new(Rc::clone(&callee_cuts))));
    let over = now() + length;
    let callers = callers::start(gateway, over, &caller_cuts, &told);
    let cutting =
        [(&caller_cuts, BETWEEN_CALLERS), (&callee_cuts, BETWEEN_CALLEES)].map(|(cuts, between)| {
            let cuts = Rc::clone(cuts);
            spawn_local(async move {
                loop {
                    sleep(between).await;
                    cuts.cut_one();
                }
            })
        });
    for caller in callers {
        caller.await?;
    }
    cutting.iter().for_each(tokio::task::JoinHandle::abort);
    println!("{}", told.json(caller_cuts.count(), callee_cuts.count()));
    std::future::pending::<()>().await;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the seam: callers and callees of a real gateway live in real time"
)]
fn now() -> Instant {
    Instant::now()
}
