//! What the data path counts.
//!
//! Labels are resolved when a design is compiled: a route's destination holds its [`Tally`], and a
//! request adds to atomics. The same labels find the same numbers after a reload, and are forgotten with the
//! last who refers to them.

use crate::flags::Flag;
use crate::gate;
use crate::protocol::Protocol;
use crate::tls::Ending;
use bowline_model::decision::{BreakerState, DeniedWhy, FaultKind, TokenFault};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Upper ends of the latency buckets, in microseconds: from what loopback costs to what nobody waits for, each about
/// twice the one before, as in Prometheus' own defaults.
pub const BUCKETS_MICROS: [u64; 16] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// Status classes: `1xx` to `5xx`; what never had an answer counts as the last, `none`.
pub const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// Everything the data path counts, over all workers.
#[derive(Debug)]
pub struct Metrics {
    tallies: Mutex<BTreeMap<Labels, Arc<Tally>>>,
    services: Mutex<BTreeMap<Arc<str>, Arc<Latency>>>,
    calls: Mutex<BTreeMap<Callee, Arc<CallTally>>>,
    doors: Mutex<BTreeMap<Arc<str>, Arc<DoorTally>>>,
    violations: [AtomicU64; gate::Reason::ALL.len()],
    /// Tokens: verified, known from before, and each fault.
    tokens: [AtomicU64; 2 + TokenFault::ALL.len()],
}

/// What a request is counted under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels {
    /// The listener it came in by.
    pub listener: Arc<str>,
    /// The route it took; empty where there is none.
    pub route: Arc<str>,
    /// The service it went to; empty where there is none.
    pub service: Arc<str>,
}

/// Whom a call goes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Callee {
    /// The service.
    pub service: Arc<str>,
    /// The part of it; empty for all.
    pub subset: Arc<str>,
    /// The operation; empty for no declared one.
    pub operation: Arc<str>,
}

/// Requests of one listener, route and service.
#[derive(Debug)]
pub struct Tally {
    requests: [[AtomicU64; Flag::ALL.len()]; CLASSES.len()],
    latency: Arc<Latency>,
}

/// How long one service's answers took, all of the answer passed on.
#[derive(Debug, Default)]
pub struct Latency {
    buckets: [AtomicU64; BUCKETS_MICROS.len() + 1],
    nanos: AtomicU64,
}

/// What happened on the way to one callee, beyond what the policy's own counters hold.
#[derive(Debug, Default)]
pub struct CallTally {
    faults: [AtomicU64; FAULTS.len()],
    moves: [AtomicU64; STATES.len()],
    /// Let through, and each reason not to.
    access: [AtomicU64; 1 + DeniedWhy::ALL.len()],
}

/// Connections of one listener.
#[derive(Debug, Default)]
pub struct DoorTally {
    accepted: AtomicU64,
    closed: AtomicU64,
    requests: [AtomicU64; Protocol::ALL.len()],
    handshakes_begun: AtomicU64,
    handshakes: [AtomicU64; Ending::ALL.len()],
    /// Times that a handshake had to wait for others.
    handshakes_waited: AtomicU64,
    tunnels: AtomicU64,
    tunnels_over: AtomicU64,
    /// Bytes through tunnels, from callers and to them.
    tunnelled: [AtomicU64; 2],
}

/// A tunnel that is open.
#[derive(Debug)]
pub(crate) struct TunnelOpen<'t>(&'t DoorTally);

impl Drop for TunnelOpen<'_> {
    fn drop(&mut self) {
        add(&self.0.tunnels_over);
    }
}

/// The kinds of faults, as labels.
pub(crate) const FAULTS: [&str; 3] = ["delay", "abort", "drop"];

/// The states a breaker can move to, in the order of their values on a dashboard.
pub(crate) const STATES: [BreakerState; 4] =
    [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen, BreakerState::Ramping];

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            tallies: Mutex::default(),
            services: Mutex::default(),
            calls: Mutex::default(),
            doors: Mutex::default(),
            violations: std::array::from_fn(|_| AtomicU64::new(0)),
            tokens: Default::default(),
        }
    }
}

impl Metrics {
    /// The tally of these labels.
    pub(crate) fn tally(&self, labels: Labels) -> Arc<Tally> {
        let latency = shared(&self.services, labels.service.clone(), Arc::default);
        let tally = || Arc::new(Tally { requests: Default::default(), latency: Arc::clone(&latency) });
        shared(&self.tallies, labels, tally)
    }

    /// The tally of one callee.
    pub(crate) fn call(&self, callee: Callee) -> Arc<CallTally> {
        shared(&self.calls, callee, Arc::default)
    }

    /// The tally of one listener.
    pub(crate) fn door(&self, listener: &Arc<str>) -> Arc<DoorTally> {
        shared(&self.doors, Arc::clone(listener), Arc::default)
    }

    /// Forgets what nobody refers to any more: no route of the design, no request under way.
    pub(crate) fn forget(&self) {
        fn unused<K: Ord, V>(map: &Mutex<BTreeMap<K, Arc<V>>>) {
            let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
            map.retain(|_, tally| 1 < Arc::strong_count(tally));
        }
        unused(&self.tallies);
        // Tallies hold these.
        unused(&self.services);
        unused(&self.calls);
        unused(&self.doors);
    }

    /// Counts a token: one that was believed, and whether it was known, or what is wrong with it.
    pub(crate) fn token(&self, ended: Result<bool, TokenFault>) {
        add(&self.tokens[ended.map_or_else(|fault| 2 + fault as usize, usize::from)]);
    }

    /// Tokens by how they ended.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let words = ["verified", "known"].into_iter().chain(TokenFault::ALL.map(TokenFault::as_str));
        words.zip(&self.tokens).map(|(word, count)| (word, read(count)))
    }

    /// Counts what the gate refused.
    pub(crate) fn violated(&self, reason: gate::Reason) {
        add(&self.violations[reason as usize]);
    }

    /// Every request tally with its labels.
    pub(crate) fn tallies(&self) -> Vec<(Labels, Arc<Tally>)> {
        all(&self.tallies)
    }

    /// Every service's latency.
    pub(crate) fn latencies(&self) -> Vec<(Arc<str>, Arc<Latency>)> {
        all(&self.services)
    }

    /// Every callee's tally.
    pub(crate) fn calls(&self) -> Vec<(Callee, Arc<CallTally>)> {
        all(&self.calls)
    }

    /// Every listener's tally.
    pub(crate) fn doors(&self) -> Vec<(Arc<str>, Arc<DoorTally>)> {
        all(&self.doors)
    }

    /// What the gate refused, by reason; reasons that never happened are left out.
    pub(crate) fn violations(&self) -> impl Iterator<Item = (gate::Reason, u64)> + '_ {
        gate::Reason::ALL
            .into_iter()
            .zip(&self.violations)
            .map(|(reason, count)| (reason, read(count)))
            .filter(|(_, count)| *count > 0)
    }
}

fn shared<K: Ord, V>(map: &Mutex<BTreeMap<K, Arc<V>>>, key: K, new: impl FnOnce() -> Arc<V>) -> Arc<V> {
    Arc::clone(map.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert_with(new))
}

fn all<K: Ord + Clone, V>(map: &Mutex<BTreeMap<K, Arc<V>>>) -> Vec<(K, Arc<V>)> {
    let map = map.lock().unwrap_or_else(PoisonError::into_inner);
    map.iter().map(|(key, value)| (key.clone(), Arc::clone(value))).collect()
}

impl Tally {
    /// Counts a finished request; `status` is zero where there was no answer.
    pub(crate) fn count(&self, status: u16, flag: Flag, took: Duration) {
        let class = match status {
            100..=599 => usize::from(status / 100) - 1,
            _ => CLASSES.len() - 1,
        };
        add(&self.requests[class][flag as usize]);
        self.latency.add(took);
    }

    /// Requests by class and flag; those that never happened are left out.
    pub(crate) fn requests(&self) -> impl Iterator<Item = (&'static str, Flag, u64)> + '_ {
        CLASSES
            .into_iter()
            .zip(&self.requests)
            .flat_map(|(class, flags)| {
                Flag::ALL.into_iter().zip(flags).map(move |(flag, count)| (class, flag, read(count)))
            })
            .filter(|(_, _, count)| *count > 0)
    }
}

impl Latency {
    fn add(&self, took: Duration) {
        let nanos = bowline_model::time::nanos(took);
        let bucket =
            BUCKETS_MICROS.iter().position(|end| nanos <= end * 1_000).unwrap_or(BUCKETS_MICROS.len());
        add(&self.buckets[bucket]);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Cumulative counts, one for each bucket and one for all, and the sum in seconds.
    pub(crate) fn read(&self) -> ([u64; BUCKETS_MICROS.len() + 1], f64) {
        let mut counts = [0; BUCKETS_MICROS.len() + 1];
        let mut sum = 0;
        for (count, bucket) in counts.iter_mut().zip(&self.buckets) {
            sum += read(bucket);
            *count = sum;
        }
        (counts, read(&self.nanos) as f64 / 1e9)
    }
}

impl CallTally {
    pub(crate) fn fault(&self, kind: FaultKind) {
        let index = match kind {
            FaultKind::Delay(_) => 0,
            FaultKind::Abort(_) => 1,
            FaultKind::Drop => 2,
        };
        add(&self.faults[index]);
    }

    pub(crate) fn moved(&self, to: BreakerState) {
        add(&self.moves[STATES.iter().position(|state| *state == to).unwrap_or_default()]);
    }

    /// Counts a call whose caller was let through, or why not.
    pub(crate) fn decided_access(&self, decided: Result<(), DeniedWhy>) {
        add(&self.access[decided.map_or_else(|why| 1 + why as usize, |()| 0)]);
    }

    /// Calls by whether their callers were let through.
    pub(crate) fn access(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let words = ["allowed"].into_iter().chain(DeniedWhy::ALL.map(DeniedWhy::as_str));
        words.zip(&self.access).map(|(word, count)| (word, read(count)))
    }

    pub(crate) fn faults(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        FAULTS.into_iter().zip(&self.faults).map(|(word, count)| (word, read(count)))
    }

    pub(crate) fn moves(&self) -> impl Iterator<Item = (BreakerState, u64)> + '_ {
        STATES.into_iter().zip(&self.moves).map(|(state, count)| (state, read(count)))
    }
}

/// A handshake under way.
#[derive(Debug)]
pub(crate) struct Shaking<'t>(&'t DoorTally, Ending);

impl Shaking<'_> {
    /// It ended so.
    pub(crate) fn ended(mut self, ending: Ending) {
        self.1 = ending;
    }
}

impl Drop for Shaking<'_> {
    fn drop(&mut self) {
        add(&self.0.handshakes[self.1 as usize]);
    }
}

impl DoorTally {
    /// Counts a handshake, which is under way until what this returns is dropped.
    pub(crate) fn handshake(&self) -> Shaking<'_> {
        add(&self.handshakes_begun);
        Shaking(self, Ending::Closed)
    }

    /// Counts a handshake that has to wait for others.
    pub(crate) fn handshake_waits(&self) {
        add(&self.handshakes_waited);
    }

    /// Handshakes by how they ended, those under way, and how often one waited.
    pub(crate) fn handshakes(&self) -> (impl Iterator<Item = (Ending, u64)> + '_, u64, u64) {
        let ends =
            || Ending::ALL.into_iter().zip(&self.handshakes).map(|(ending, count)| (ending, read(count)));
        let over: u64 = ends().map(|(_, count)| count).sum();
        (ends(), read(&self.handshakes_begun).saturating_sub(over), read(&self.handshakes_waited))
    }

    pub(crate) fn asked(&self, protocol: Protocol) {
        add(&self.requests[protocol as usize]);
    }

    /// Counts a tunnel, which is open until what this returns is dropped.
    pub(crate) fn tunnel(&self) -> TunnelOpen<'_> {
        add(&self.tunnels);
        TunnelOpen(self)
    }

    pub(crate) fn tunnelled(&self, from_caller: u64, to_caller: u64) {
        for (counter, bytes) in self.tunnelled.iter().zip([from_caller, to_caller]) {
            if 0 < bytes {
                counter.fetch_add(bytes, Ordering::Relaxed);
            }
        }
    }

    /// Requests by what their callers speak.
    pub(crate) fn requests(&self) -> impl Iterator<Item = (Protocol, u64)> + '_ {
        Protocol::ALL.into_iter().zip(&self.requests).map(|(protocol, count)| (protocol, read(count)))
    }

    /// Tunnels ever opened, those that are open now, and the bytes that went through them from callers and to them.
    pub(crate) fn tunnels(&self) -> (u64, u64, [u64; 2]) {
        let over = read(&self.tunnels_over);
        let opened = read(&self.tunnels);
        (opened, opened.saturating_sub(over), [read(&self.tunnelled[0]), read(&self.tunnelled[1])])
    }

    pub(crate) fn accepted(&self) {
        add(&self.accepted);
    }

    pub(crate) fn closed(&self) {
        add(&self.closed);
    }

    /// Connections ever accepted, and those that are open now.
    pub(crate) fn read(&self) -> (u64, u64) {
        let closed = read(&self.closed);
        let accepted = read(&self.accepted);
        (accepted, accepted.saturating_sub(closed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_labels_are_the_same_numbers() {
        let metrics = Metrics::default();
        let labels = Labels { listener: "gate".into(), route: "orders".into(), service: "orders".into() };
        metrics.tally(labels.clone()).count(200, Flag::None, Duration::from_micros(700));
        metrics.tally(labels.clone()).count(503, Flag::UpstreamOverflow, Duration::from_secs(60));
        let tally = metrics.tally(labels);
        let seen: Vec<_> = tally.requests().collect();
        assert_eq!(seen, [("2xx", Flag::None, 1), ("5xx", Flag::UpstreamOverflow, 1)]);
        let (counts, seconds) = tally.latency.read();
        assert_eq!((counts[1], counts[2], counts[15], counts[16]), (0, 1, 1, 2));
        assert!((seconds - 60.0007).abs() < 1e-9);
    }
}
