//! Asks for the design's values, over and over, and hands them to the guards.

use super::WeakLink;
use super::client::Client;
use crate::clock;
use bowline_model::SplitMix64;
use bowline_policy::Backoff;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// The pause after a question that failed: soon at first, because `bowline up --replace` takes a moment,
/// and never rare, because faults and values should arrive while somebody watches.
const PAUSE: Backoff = Backoff::Equal { base: Duration::from_millis(100), max: Duration::from_secs(3) };

/// Runs until the link is gone.
pub(super) fn run(client: &Client, link: &WeakLink, stopped: &Receiver<()>) {
    let mut rng = SplitMix64::new(clock::seed());
    let mut since: Option<String> = None;
    let mut failures = 0_u32;
    loop {
        let answer = client.guards(since.as_deref());
        let Some(link) = link.upgrade() else { return };
        match answer {
            Ok(None) => failures = 0,
            // The same again at once: an API that does not wait must not be asked in a loop.
            Ok(Some(guards)) if since.as_ref() == Some(&guards.revision) => failures = failures.max(1),
            Ok(Some(guards)) => {
                tracing::debug!(revision = guards.revision, guards = guards.guards.len(), "values arrived");
                since = Some(guards.revision.clone());
                failures = 0;
                link.apply(guards);
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(%error, api = ?client.address, "the local API does not answer; faults end, values stay");
                    link.lost();
                }
                // Whoever answers next may be another process: ask for everything.
                since = None;
                failures = failures.saturating_add(1);
            }
        }
        drop(link);
        let pause =
            if failures == 0 { Duration::ZERO } else { PAUSE.delay(failures, Duration::ZERO, &mut rng) };
        if let Err(RecvTimeoutError::Disconnected) = stopped.recv_timeout(pause) {
            return;
        }
    }
}
