//! What every broker that claims a capability is held to.
//!
//! A stranger's broker is tested by giving [`run`] a [`Factory`] of it. Which cases run is chosen from what the broker
//! declares: what it calls impossible is skipped and said so, what it calls native or emulated has to hold. A case
//! fails with words, it does not panic; a report says what held, what did not and what was not asked.
//!
//! In reading order: [`history`], what producers and consumers saw, and what must not be in it; `logs`, the cases of a
//! [`Log`]; `queues`, those of a [`Queue`]; `consumers`, those of a consumer on a log, with all that it stands on.

mod consumers;
pub mod history;
mod logs;
mod queues;

use crate::aside::DeadLetters;
use crate::error::Error;
use crate::event::Event;
use crate::log::{BoxFuture, Log, Window};
use crate::name::{Group, Topic};
use crate::queue::Queue;
use bowline_lane::{Capabilities, Support};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Makes brokers to test.
pub trait Factory: Send + Sync {
    /// A broker with nothing in it, or one whose topics are all new: every case makes topics of its own names.
    fn fresh(&self) -> BoxFuture<'_, Broker>;
}

/// A broker to test: what there is of it.
#[derive(Clone)]
pub struct Broker {
    /// As a log.
    pub log: Option<Arc<dyn Log>>,
    /// As a queue, whose topics `log` makes; without a log, queues that are there when they are named.
    pub queue: Option<Arc<dyn Queue>>,
    /// Where records are set aside.
    pub dead_letters: Option<Arc<dyn DeadLetters>>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Cases that held.
    pub held: Vec<&'static str>,
    /// Cases that were not asked, and why.
    pub skipped: Vec<(&'static str, String)>,
    /// Cases that did not hold, and what was found.
    pub broken: Vec<(&'static str, String)>,
}

/// Why a case does not hold.
type Broken = String;

/// One case.
struct Case {
    name: &'static str,
    /// What it is about; skipped, where that is impossible.
    needs: fn(&Capabilities) -> &Support,
    run: for<'b> fn(&'b Broker, Topic) -> BoxFuture<'b, Result<(), Broken>>,
}

/// Holds a broker to what it declares.
///
/// Takes as long as the broker takes; waits are bounded by ten seconds each.
pub async fn run(factory: &dyn Factory) -> Report {
    let mut report = Report::default();
    let broker = factory.fresh().await;
    let log = broker.log.as_ref().map(|log| log.capabilities().clone());
    let queue = broker.queue.as_ref().map(|queue| queue.capabilities().clone());
    let both = broker.dead_letters.as_ref().and(log.clone());
    let parts = [
        (logs::CASES, log, "it is no log"),
        (queues::CASES, queue, "it is no queue"),
        (consumers::CASES, both, "it is no log with dead letters"),
    ];
    for (cases, capabilities, absent) in parts {
        for &Case { name, needs, run } in cases {
            let support = capabilities.as_ref().map(needs);
            match support {
                None => report.skipped.push((name, absent.to_owned())),
                Some(Support::Impossible { why }) => report.skipped.push((name, why.to_string())),
                Some(Support::Native { .. } | Support::Emulated { .. }) => {
                    let topic = Topic::new(&name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
                    let broker = factory.fresh().await;
                    let held = match topic {
                        Ok(topic) => run(&broker, topic).await,
                        Err(bad) => Err(bad.to_string()),
                    };
                    match held {
                        Ok(()) => report.held.push(name),
                        Err(found) => report.broken.push((name, found)),
                    }
                }
            }
        }
    }
    report
}

/// A line a case.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.held {
            writeln!(f, "held     {name}")?;
        }
        for (name, why) in &self.skipped {
            writeln!(f, "skipped  {name}: {why}")?;
        }
        for (name, found) in &self.broken {
            writeln!(f, "BROKEN   {name}: {found}")?;
        }
        Ok(())
    }
}

// === what cases have in common ===

/// Long for a broker, short for a person.
const PATIENCE: Duration = Duration::from_secs(10);

/// A read that waits for nothing.
const NOW: Window = Window { records: 1_000, bytes: u64::MAX, wait: Duration::ZERO };

fn ensure(holds: bool, found: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(found()) }
}

/// An event of a key, with a number that says its place among those of its key.
fn event(key: &str, number: u32) -> Result<Event, Broken> {
    let event = Event::builder(format!("{key}-{number}"), "/conformance", "test").json(format!("{number}"));
    let event = if key.is_empty() { event } else { event.partition_key(key) };
    event.build().map_err(|bad| bad.to_string())
}

fn said(error: Error) -> Broken {
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

fn group(name: &str) -> Result<Group, Broken> {
    Group::new(name).map_err(|bad| bad.to_string())
}

async fn in_time<T>(what: &str, wait: impl Future<Output = T>) -> Result<T, Broken> {
    tokio::time::timeout(PATIENCE, wait).await.map_err(|_| format!("{what} took more than {PATIENCE:?}"))
}
