//! Tells what the guards counted and decided, in batches.

use super::WeakLink;
use super::client::Client;
use super::format::{GuardReport, Line, Report, TrailReport};
use crate::guard::Shared;
use crate::latency::BUCKETS_MICROS;
use bowline_model::decision::GiveUp;
use bowline_model::{Instant, Outcome, TraceContext, Trail, WallTime};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often counters are told when no trail comes.
const COUNTERS_EVERY: Duration = Duration::from_secs(1);

/// How long a trail waits for company: shorter than it takes to type `bowline explain last`.
const LINGER: Duration = Duration::from_millis(50);

/// Trails in one report: about half a megabyte at worst, and a fraction of that as a rule.
const BATCH_MAX: usize = 64;

/// One call that is over, as it is put into the queue: rendering it is left to the background.
pub(crate) struct Recorded {
    pub(crate) name: Arc<str>,
    pub(crate) values: Arc<str>,
    pub(crate) trace: TraceContext,
    pub(crate) parent: Option<u64>,
    pub(crate) at: WallTime,
    pub(crate) began: Instant,
    pub(crate) took: Duration,
    pub(crate) reason: GiveUp,
    pub(crate) outcome: Outcome,
    pub(crate) tries: u32,
    pub(crate) trail: Trail,
}

/// Runs until the link is gone, and tells what is left then.
pub(super) fn run(client: &Client, link: &WeakLink, to_tell: &Receiver<Recorded>) {
    let mut told = Vec::new();
    let mut is_heard = true;
    loop {
        let (trails, is_last) = batch(to_tell);
        let Some(link) = link.upgrade() else {
            // Nobody is left to count what is lost from here on.
            if !trails.is_empty() {
                let _ = client.report(&report(client, Vec::new(), trails, 0));
            }
            return;
        };
        let guards: Vec<GuardReport> = link.enrolled().iter().map(|guard| guard_report(guard)).collect();
        if !trails.is_empty() || guards != told {
            let count = trails.len();
            match client.report(&report(client, guards.clone(), trails, link.trails_dropped())) {
                Ok(()) => {
                    told = guards;
                    is_heard = true;
                }
                Err(error) => {
                    link.drop_trails(count);
                    if is_heard {
                        tracing::warn!(%error, "what the guards decided could not be told");
                    }
                    is_heard = false;
                }
            }
        }
        if is_last {
            return;
        }
    }
}

/// The trails that are there within a moment, and whether the link is gone.
fn batch(to_tell: &Receiver<Recorded>) -> (Vec<TrailReport>, bool) {
    let mut trails = Vec::new();
    let mut patience = COUNTERS_EVERY;
    while trails.len() < BATCH_MAX {
        match to_tell.recv_timeout(patience) {
            Ok(recorded) => trails.push(trail_report(&recorded)),
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => return (trails, true),
        }
        patience = LINGER;
    }
    (trails, false)
}

fn report(
    client: &Client,
    guards: Vec<GuardReport>,
    trails: Vec<TrailReport>,
    trails_dropped: u64,
) -> Report {
    let service = client.address.service.clone();
    Report { service, process: std::process::id(), trails_dropped, guards, trails }
}

fn guard_report(guard: &Shared) -> GuardReport {
    let stats = guard.stats();
    let took = stats.took();
    GuardReport {
        name: guard.name().as_ref().to_owned(),
        revision: guard.revision().map(|revision| revision.as_ref().to_owned()),
        calls: stats.calls(),
        tries: stats.tries(),
        retries: stats.retries().iter().map(|(why, count)| (why.as_str().to_owned(), *count)).collect(),
        ends: stats.ends().iter().map(|(reason, count)| (reason.as_str().to_owned(), *count)).collect(),
        breaker: stats.breaker().map(|state| state.as_str().to_owned()),
        running: stats.running(),
        took: BUCKETS_MICROS
            .iter()
            .map(u64::to_string)
            .chain(["longer".to_owned()])
            .zip(took.counts)
            .collect(),
        took_us: took.micros,
    }
}

fn trail_report(call: &Recorded) -> TrailReport {
    let lines = call.trail.decisions().iter();
    TrailReport {
        trace: format!("{:032x}", call.trace.trace),
        span: format!("{:016x}", call.trace.parent),
        parent: call.parent.map(|parent| format!("{parent:016x}")),
        sampled: call.trace.is_sampled(),
        name: call.name.as_ref().to_owned(),
        at_unix_ms: call.at.as_unix_nanos() / 1_000_000,
        at_unix_us: call.at.as_unix_nanos() / 1_000,
        took_us: u64::try_from(call.took.as_micros()).unwrap_or(u64::MAX),
        end: call.reason.as_str().to_owned(),
        outcome: call.outcome.as_str().to_owned(),
        tries: call.tries,
        values: call.values.as_ref().to_owned(),
        dropped: call.trail.dropped(),
        lines: lines.map(|(at, decision)| Line::of(*at, call.began, &call.name, decision)).collect(),
    }
}
