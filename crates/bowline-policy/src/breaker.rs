//! When a destination is left alone, and how it is taken back.
//!
//! ```text
//!            ratio, slow share, or so many in a row                       open time over
//!   Closed ---------------------------------------> Open --------------------------------> HalfOpen
//!      ^                                             ^                                      |    |
//!      | ramp over                                   |  a probe failed: open again, longer  |    |
//!   Ramping <--------------------------------------- | -------------------------------------    |
//!      |        so many probes succeeded             +------------------------------------------+
//!      +------- fails again: open, longer -----------^
//! ```
//!
//! Why leases. A probe is a place that a call takes and must give back. Breakers that count places up and
//! down stay half-open for ever once a call is dropped, ignored by a classifier or never returns. Here a
//! place is a lease with an end, so it comes back whatever happens to the call; and it carries the number of
//! its cycle, so an answer that comes too late, from before the breaker opened or from an earlier half-open
//! time, counts for nothing.
//!
//! Why two rules side by side. A share needs a minimum of calls to mean anything, so with little traffic it
//! never trips; so many failures in a row trip then, whichever comes first.
//!
//! Why a ramp. A callee that just came back, cold, falls over again under everything at once.

use crate::classify::Health;
use crate::ratio::Ratio;
use crate::window::{Count, Window};
use bowline_model::decision::{BreakerMove, BreakerState};
use bowline_model::time::nanos;
use bowline_model::{Instant, Random};
use std::time::Duration;

/// When a destination is left alone, and how it is taken back.
///
/// What counts as a failure is told by [`health`](crate::classify::health).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// How far back is counted.
    pub window: Duration,
    /// Fewer calls in the window say nothing about a share.
    pub min_calls: u32,
    /// Opens at this share of failures.
    pub failure_ratio: Option<Ratio>,
    /// Opens at a share of slow calls.
    pub slow: Option<Slow>,
    /// Opens after this many failures in a row, however few calls there were.
    pub consecutive: Option<u32>,
    /// How long nothing passes. Never shorter; `jitter` only lengthens it.
    pub open: Duration,
    /// The most that grows to, before jitter.
    pub open_max: Duration,
    /// How many times longer it stays open each time it opens again before it was whole.
    pub growth: u32,
    /// Stays open up to this much longer at random, so that many callers do not come back together.
    pub jitter: Ratio,
    /// How many probes may be out, and how many must succeed; zero means one.
    pub probes: u32,
    /// How long a probe's place is kept for its answer; a try's own end may be sooner.
    pub probe_lease: Duration,
    /// How long a growing share passes before everything does; zero for at once.
    pub ramp: Duration,
}

/// What is slow, and how much of it opens the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    /// A try that takes this long or longer is slow.
    pub over: Duration,
    /// Opens at this share of slow tries.
    pub ratio: Ratio,
}

/// What the breaker says to a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may go, and its lease must come back: by [`Breaker::settle`] or [`Breaker::give_back`].
    Passed {
        /// The try's lease.
        lease: Lease,
        /// The state that let it through.
        state: BreakerState,
        /// Failures in the window.
        failures: u32,
        /// Tries in the window.
        calls: u32,
    },
    /// It may not.
    Refused {
        /// The state that refused it.
        state: BreakerState,
        /// When another may pass, from now.
        retry_after: Duration,
    },
}

/// A try's right to be counted; a probe's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a lease that is not settled or given back keeps its place until it expires"]
pub struct Lease {
    /// Answers of another cycle than the breaker's own count for nothing.
    cycle: u32,
    /// Which probe of the cycle, if it is one.
    probe: Option<u64>,
}

impl Lease {
    /// Cycles are counted in 31 bits and begin again after two thousand million, which no answer outlives.
    pub(crate) const CYCLE_MAX: u32 = u32::MAX >> 1;

    /// The lease of a try that is no probe.
    pub(crate) const fn of(cycle: u32) -> Self {
        Self { cycle, probe: None }
    }

    /// Whether this is a probe.
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        self.probe.is_some()
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Before.
    pub from: BreakerState,
    /// After.
    pub to: BreakerState,
    /// Why.
    pub why: BreakerMove,
}

/// The breaker as a pure machine.
///
/// ```
/// use bowline_model::decision::BreakerState;
/// use bowline_model::{Instant, SplitMix64};
/// use bowline_policy::breaker::{Admission, Breaker, BreakerSettings};
/// use bowline_policy::classify::Health;
/// use std::time::Duration;
///
/// let mut breaker = Breaker::new(BreakerSettings { consecutive: Some(1), ..BreakerSettings::default() });
/// let (mut rng, now, end) = (SplitMix64::new(1), Instant::from_millis(1), Instant::FAR);
///
/// let (Admission::Passed { lease, .. }, _) = breaker.admit(now, end, &mut rng) else { panic!() };
/// breaker.settle(now, lease, Health::Bad, Duration::ZERO, &mut rng);
/// assert_eq!(breaker.state(now), BreakerState::Open);
/// assert!(matches!(breaker.admit(now, end, &mut rng), (Admission::Refused { .. }, None)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    settings: BreakerSettings,
    phase: Phase,
    /// Counts the changes of state after which older answers mean nothing.
    cycle: u32,
    /// How often it opened since it was last whole.
    openings: u32,
    /// Failures since the last success.
    in_a_row: u32,
    window: Window<Counts>,
    probes: Probes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open { until: Instant },
    HalfOpen,
    Ramping { since: Instant },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    calls: u32,
    failures: u32,
    slow: u32,
}

impl Count for Counts {
    fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failures = self.failures.saturating_add(other.failures);
        self.slow = self.slow.saturating_add(other.slow);
    }

    fn subtract(&mut self, other: Self) {
        self.calls = self.calls.saturating_sub(other.calls);
        self.failures = self.failures.saturating_sub(other.failures);
        self.slow = self.slow.saturating_sub(other.slow);
    }
}

/// The probes of one half-open time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Probes {
    /// Those whose lease has not ended.
    out: Vec<Probe>,
    /// The number of the next, never used twice.
    next: u64,
    succeeded: u32,
    /// Of those that succeeded.
    slow: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Probe {
    number: u64,
    expires: Instant,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            // Half of ten could be chance; half of twenty seldom is.
            min_calls: 20,
            failure_ratio: Some(Ratio::percent(50)),
            // Without knowledge of the callee only what nobody waits for is slow (resilience4j's figure).
            slow: Some(Slow { over: Duration::from_secs(60), ratio: Ratio::percent(80) }),
            // Linkerd's.
            consecutive: Some(7),
            open: Duration::from_secs(5),
            open_max: Duration::from_secs(60),
            growth: 2,
            jitter: Ratio::percent(25),
            probes: 3,
            probe_lease: Duration::from_secs(10),
            ramp: Duration::from_secs(10),
        }
    }
}

/// The least share that passes while ramping: Envoy's slow start begins with a tenth too
/// (`min_weight_percent`).
const RAMP_FROM: u64 = 10;

/// Room for this many probes is made in advance. More are allowed, and cost an allocation once.
const PROBES_RESERVED: usize = 16;

// === what a try asks and says ===

impl Breaker {
    /// A closed breaker that has seen nothing.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        let probes = Probes { out: Vec::with_capacity(PROBES_RESERVED), ..Probes::default() };
        let window = Window::new(settings.window);
        Self { settings, phase: Phase::Closed, cycle: 0, openings: 0, in_a_row: 0, window, probes }
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &BreakerSettings {
        &self.settings
    }

    /// Whether a try that must end before `until` may go.
    pub fn admit(
        &mut self,
        now: Instant,
        until: Instant,
        rng: &mut impl Random,
    ) -> (Admission, Option<Moved>) {
        match self.phase {
            Phase::Closed => (self.pass(now, None), None),
            Phase::Open { until: opens } if now < opens => {
                (Admission::Refused { state: BreakerState::Open, retry_after: opens.since(now) }, None)
            }
            Phase::Open { .. } => {
                self.half_open();
                let moved = Moved {
                    from: BreakerState::Open,
                    to: BreakerState::HalfOpen,
                    why: BreakerMove::OpenTimeOver,
                };
                (self.probe(now, until), Some(moved))
            }
            Phase::HalfOpen => (self.probe(now, until), None),
            Phase::Ramping { since } => self.ramp(now, since, rng),
        }
    }

    /// Counts how a try ended that `took` this long.
    pub fn settle(
        &mut self,
        now: Instant,
        lease: Lease,
        health: Health,
        took: Duration,
        rng: &mut impl Random,
    ) -> Option<Moved> {
        if lease.cycle != self.cycle {
            return None;
        }
        if lease.probe.is_some() {
            return self.settle_probe(now, lease, health, took, rng);
        }
        if health == Health::Neutral {
            return None;
        }
        self.count(now, health, took);
        let why = self.reason_to_open()?;
        let from = self.state(now);
        self.openings = if from == BreakerState::Closed { 0 } else { self.openings + 1 };
        self.open(now, rng);
        Some(Moved { from, to: BreakerState::Open, why })
    }

    /// The try said nothing: it was cancelled, ignored, never sent. Its place is free again.
    pub fn give_back(&mut self, lease: Lease) {
        if lease.cycle == self.cycle
            && let Some(number) = lease.probe
        {
            self.probes.out.retain(|probe| probe.number != number);
        }
    }

    /// The state at `now`, as the next try would meet it: an open time that is over shows as half-open
    /// although no try has come to see it.
    #[must_use]
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { until } if now < until => BreakerState::Open,
            Phase::Open { .. } | Phase::HalfOpen => BreakerState::HalfOpen,
            Phase::Ramping { since } if now < since + self.settings.ramp => BreakerState::Ramping,
            Phase::Ramping { .. } => BreakerState::Closed,
        }
    }

    /// Failures and tries in the window at `now`.
    pub fn counts(&mut self, now: Instant) -> (u32, u32) {
        self.window.roll(now);
        let Counts { calls, failures, .. } = self.window.sum();
        (failures, calls)
    }

    /// Probes whose lease has not ended at `now`.
    #[must_use]
    pub fn probes_out(&self, now: Instant) -> u32 {
        self.probes.out.iter().filter(|probe| now < probe.expires).count() as u32
    }
}

/// What is true of a breaker that is closed and has nothing bad in its window: a success changes nothing but
/// the count, and no rule can open it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quiet {
    pub(crate) cycle: u32,
    /// Tries in the window.
    pub(crate) calls: u32,
    /// The end of the window's newest bucket.
    pub(crate) until: Instant,
}

// === what a shared breaker may do beside its lock ===

impl Breaker {
    pub(crate) fn quiet(&self) -> Option<Quiet> {
        let Counts { calls, failures, slow } = self.window.sum();
        let quiet = self.phase == Phase::Closed && failures == 0 && slow == 0 && self.in_a_row == 0;
        quiet.then(|| Quiet { cycle: self.cycle, calls, until: self.window.ends() })
    }

    /// Counts successes that came while it was quiet.
    pub(crate) fn count_good(&mut self, calls: u32) {
        self.window.add(Counts { calls, failures: 0, slow: 0 });
    }
}

// === inside ===

impl Breaker {
    #[inline]
    fn pass(&mut self, now: Instant, probe: Option<u64>) -> Admission {
        let state = self.state(now);
        let (failures, calls) = self.counts(now);
        Admission::Passed { lease: Lease { cycle: self.cycle, probe }, state, failures, calls }
    }

    #[inline]
    fn count(&mut self, now: Instant, health: Health, took: Duration) {
        let failed = health == Health::Bad;
        self.in_a_row = if failed { self.in_a_row.saturating_add(1) } else { 0 };
        self.window.roll(now);
        self.window.add(Counts { calls: 1, failures: failed.into(), slow: self.is_slow(took).into() });
    }

    fn is_slow(&self, took: Duration) -> bool {
        self.settings.slow.is_some_and(|slow| slow.over <= took)
    }

    #[inline]
    fn reason_to_open(&self) -> Option<BreakerMove> {
        let Counts { calls, failures, slow } = self.window.sum();
        if self.settings.consecutive.is_some_and(|limit| 0 < self.in_a_row && limit <= self.in_a_row) {
            return Some(BreakerMove::Consecutive);
        }
        if calls < self.settings.min_calls {
            return None;
        }
        // A share of nothing would open on the first success.
        if 0 < failures && self.settings.failure_ratio.is_some_and(|ratio| ratio.is_reached(failures, calls))
        {
            return Some(BreakerMove::FailureRatio);
        }
        if 0 < slow && self.settings.slow.is_some_and(|limit| limit.ratio.is_reached(slow, calls)) {
            return Some(BreakerMove::SlowRatio);
        }
        None
    }

    fn open(&mut self, now: Instant, rng: &mut impl Random) {
        let factor = u64::from(self.settings.growth.max(1)).saturating_pow(self.openings);
        let grown = nanos(self.settings.open).saturating_mul(factor);
        // What is asked for is never shortened by the cap on what it grows to.
        let span = grown.min(nanos(self.settings.open_max).max(nanos(self.settings.open)));
        let longer = rng.up_to(Duration::from_nanos(self.settings.jitter.of(span)));
        self.phase = Phase::Open { until: now + Duration::from_nanos(span) + longer };
        self.forget();
    }

    fn half_open(&mut self) {
        self.phase = Phase::HalfOpen;
        self.forget();
    }

    /// A new cycle: what is still under way belongs to the old one.
    fn forget(&mut self) {
        self.cycle = self.cycle.wrapping_add(1) & Lease::CYCLE_MAX;
        self.in_a_row = 0;
        self.window.clear();
        self.probes.out.clear();
        self.probes.succeeded = 0;
        self.probes.slow = 0;
    }

    fn probe(&mut self, now: Instant, until: Instant) -> Admission {
        self.probes.out.retain(|probe| now < probe.expires);
        let taken = self.probes.out.len() as u64 + u64::from(self.probes.succeeded);
        if u64::from(self.settings.probes.max(1)) <= taken {
            let first = self.probes.out.iter().map(|probe| probe.expires).min().unwrap_or(now);
            return Admission::Refused { state: BreakerState::HalfOpen, retry_after: first.since(now) };
        }
        let number = self.probes.next;
        self.probes.next += 1;
        let expires = until.min(now + self.settings.probe_lease);
        self.probes.out.push(Probe { number, expires });
        self.pass(now, Some(number))
    }

    /// An answer after its lease ended still counts within its cycle: a callee that always takes longer
    /// than the lease could never be taken back otherwise.
    fn settle_probe(
        &mut self,
        now: Instant,
        lease: Lease,
        health: Health,
        took: Duration,
        rng: &mut impl Random,
    ) -> Option<Moved> {
        self.give_back(lease);
        match health {
            Health::Neutral => None,
            Health::Bad => Some(self.reopen(now, BreakerMove::ProbeFailed, rng)),
            Health::Good => {
                self.probes.succeeded += 1;
                self.probes.slow += u32::from(self.is_slow(took));
                if self.probes.succeeded < self.settings.probes.max(1) {
                    return None;
                }
                let (slow, all) = (self.probes.slow, self.probes.succeeded);
                if 0 < slow && self.settings.slow.is_some_and(|limit| limit.ratio.is_reached(slow, all)) {
                    return Some(self.reopen(now, BreakerMove::SlowRatio, rng));
                }
                Some(self.close(now))
            }
        }
    }

    fn reopen(&mut self, now: Instant, why: BreakerMove, rng: &mut impl Random) -> Moved {
        self.openings = self.openings.saturating_add(1);
        self.open(now, rng);
        Moved { from: BreakerState::HalfOpen, to: BreakerState::Open, why }
    }

    fn close(&mut self, now: Instant) -> Moved {
        self.forget();
        self.phase = Phase::Ramping { since: now };
        if self.settings.ramp.is_zero() {
            self.phase = Phase::Closed;
            self.openings = 0;
        }
        Moved { from: BreakerState::HalfOpen, to: self.state(now), why: BreakerMove::ProbesSucceeded }
    }

    fn ramp(&mut self, now: Instant, since: Instant, rng: &mut impl Random) -> (Admission, Option<Moved>) {
        let (whole, elapsed) = (nanos(self.settings.ramp), nanos(now.since(since)));
        if whole <= elapsed {
            self.phase = Phase::Closed;
            self.openings = 0;
            let moved =
                Moved { from: BreakerState::Ramping, to: BreakerState::Closed, why: BreakerMove::RampOver };
            return (self.pass(now, None), Some(moved));
        }
        if rng.below(whole) < elapsed.max(whole / RAMP_FROM) {
            return (self.pass(now, None), None);
        }
        // Another may pass at once; by then all do.
        let retry_after = Duration::from_nanos(whole - elapsed);
        (Admission::Refused { state: BreakerState::Ramping, retry_after }, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_model::SplitMix64;

    const SECOND: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    /// Opens at half of four, or at three in a row; two probes; nothing random.
    const SETTINGS: BreakerSettings = BreakerSettings {
        window: Duration::from_secs(10),
        min_calls: 4,
        failure_ratio: Some(Ratio::percent(50)),
        slow: None,
        consecutive: Some(3),
        open: SECOND,
        open_max: Duration::from_secs(5),
        growth: 2,
        jitter: Ratio::ZERO,
        probes: 2,
        probe_lease: Duration::from_secs(10),
        ramp: Duration::ZERO,
    };

    /// A breaker with a clock of its own.
    struct Bench {
        breaker: Breaker,
        now: Instant,
        rng: SplitMix64,
        /// How long a try takes.
        took: Duration,
    }

    fn bench(settings: BreakerSettings) -> Bench {
        let now = Instant::from_millis(1);
        Bench { breaker: Breaker::new(settings), now, rng: SplitMix64::new(11), took: MS }
    }

    impl Bench {
        fn state(&self) -> BreakerState {
            self.breaker.state(self.now)
        }

        fn pass(&mut self, span: Duration) {
            self.now += span;
        }

        fn admit(&mut self) -> Option<Lease> {
            match self.breaker.admit(self.now, Instant::FAR, &mut self.rng).0 {
                Admission::Passed { lease, .. } => Some(lease),
                Admission::Refused { .. } => None,
            }
        }

        fn lease(&mut self) -> Lease {
            self.admit().expect("should pass")
        }

        fn settle(&mut self, lease: Lease, health: Health) -> Option<BreakerMove> {
            self.breaker.settle(self.now, lease, health, self.took, &mut self.rng).map(|moved| moved.why)
        }

        fn call(&mut self, health: Health) -> Option<BreakerMove> {
            let lease = self.lease();
            self.settle(lease, health)
        }

        fn calls(&mut self, healths: &[Health]) {
            for health in healths {
                self.call(*health);
            }
        }

        /// Opens it and waits until it may be probed.
        fn half_open(settings: BreakerSettings) -> Self {
            let mut bench = bench(settings);
            bench.calls(&[Bad; 3]);
            bench.pass(SECOND);
            assert_eq!(bench.state(), BreakerState::HalfOpen);
            bench
        }
    }

    use Health::{Bad, Good, Neutral};

    // === closed ===

    #[test]
    fn half_of_the_minimum_opens_and_less_does_not() {
        let mut bench = bench(SETTINGS);
        bench.calls(&[Good, Bad, Good]);
        assert_eq!(bench.call(Bad), Some(BreakerMove::FailureRatio));
        assert_eq!(bench.state(), BreakerState::Open);

        let mut bench = self::bench(SETTINGS);
        bench.calls(&[Good, Bad, Good, Good, Bad]);
        assert_eq!(bench.state(), BreakerState::Closed);
    }

    #[test]
    fn a_tight_burst_is_not_hidden_by_the_quiet_time_before_it() {
        let mut bench = bench(BreakerSettings { consecutive: None, ..SETTINGS });
        for _ in 0..10 {
            bench.call(Good);
            bench.pass(SECOND);
        }
        // Within a microsecond, after ten good seconds of which nine are left in the window.
        let opened = (1..).find(|_| {
            bench.pass(Duration::from_nanos(100));
            bench.call(Bad).is_some()
        });
        assert_eq!(opened, Some(9), "nine of eighteen");
    }

    #[test]
    fn low_traffic_trips_by_failures_in_a_row() {
        let mut bench = bench(BreakerSettings { min_calls: 1_000, ..SETTINGS });
        bench.call(Bad);
        bench.pass(Duration::from_secs(3_600));
        bench.call(Bad);
        bench.pass(Duration::from_secs(3_600));
        assert_eq!(bench.call(Bad), Some(BreakerMove::Consecutive));
    }

    #[test]
    fn a_success_ends_the_row() {
        let mut bench = bench(BreakerSettings { min_calls: 1_000, ..SETTINGS });
        bench.calls(&[Bad, Bad, Good, Bad, Bad]);
        assert_eq!(bench.state(), BreakerState::Closed);
    }

    #[test]
    fn a_429_is_neither_success_nor_failure() {
        let mut bench = bench(SETTINGS);
        bench.calls(&[Bad, Bad]);
        bench.calls(&[Neutral; 50]);
        assert_eq!(bench.breaker.counts(bench.now), (2, 2));
        assert_eq!(bench.call(Bad), Some(BreakerMove::Consecutive), "it does not end the row either");
    }

    #[test]
    fn slow_calls_open_it_though_they_succeed() {
        let slow = Some(Slow { over: SECOND, ratio: Ratio::percent(50) });
        let mut bench = bench(BreakerSettings { slow, ..SETTINGS });
        bench.calls(&[Good, Good]);
        bench.took = SECOND;
        assert_eq!(bench.call(Good), None);
        assert_eq!(bench.call(Good), Some(BreakerMove::SlowRatio));
    }

    #[test]
    fn a_share_of_zero_still_takes_one_failure() {
        let mut bench = bench(BreakerSettings { failure_ratio: Some(Ratio::ZERO), ..SETTINGS });
        bench.calls(&[Good; 10]);
        assert_eq!(bench.state(), BreakerState::Closed);
        assert_eq!(bench.call(Bad), Some(BreakerMove::FailureRatio));
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut bench = bench(BreakerSettings { consecutive: None, ..SETTINGS });
        bench.calls(&[Bad; 3]);
        bench.pass(SETTINGS.window);
        bench.calls(&[Good; 4]);
        assert_eq!(bench.breaker.counts(bench.now), (0, 4));
    }

    #[test]
    fn a_breaker_without_rules_never_opens() {
        let mut bench = bench(BreakerSettings { failure_ratio: None, consecutive: None, ..SETTINGS });
        bench.calls(&[Bad; 100]);
        assert_eq!(bench.state(), BreakerState::Closed);
    }

    // === open ===

    #[test]
    fn nothing_passes_while_it_is_open() {
        let mut bench = bench(SETTINGS);
        bench.calls(&[Bad; 3]);
        bench.pass(SECOND - Duration::from_nanos(1));
        assert_eq!(bench.admit(), None);
        bench.pass(Duration::from_nanos(1));
        assert!(bench.admit().is_some());
    }

    #[test]
    fn jitter_lengthens_the_open_time_and_never_shortens_it() {
        let mut ends = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let mut bench = bench(BreakerSettings { jitter: Ratio::percent(25), ..SETTINGS });
            bench.rng = SplitMix64::new(seed);
            bench.calls(&[Bad; 3]);
            let Phase::Open { until } = bench.breaker.phase else { panic!("closed") };
            assert!((SECOND..=SECOND * 5 / 4).contains(&until.since(bench.now)), "{until:?}");
            ends.insert(until);
        }
        assert!(ends.len() > 95, "callers must not come back together: {} of 100 differ", ends.len());
    }

    #[test]
    fn each_opening_lasts_longer_until_the_cap_and_a_whole_recovery_ends_that() {
        let mut bench = Bench::half_open(SETTINGS);
        for seconds in [2, 4, 5, 5] {
            bench.call(Bad);
            let Phase::Open { until } = bench.breaker.phase else { panic!("closed") };
            assert_eq!(until.since(bench.now).as_secs(), seconds);
            bench.pass(until.since(bench.now));
        }
        bench.calls(&[Good, Good]);
        assert_eq!(bench.state(), BreakerState::Closed);
        bench.calls(&[Bad; 3]);
        let Phase::Open { until } = bench.breaker.phase else { panic!("closed") };
        assert_eq!(until.since(bench.now).as_secs(), 1);
    }

    #[test]
    fn an_answer_of_the_closed_time_does_not_touch_what_came_after() {
        let mut bench = bench(SETTINGS);
        let late = bench.lease();
        bench.calls(&[Bad; 3]);
        let open = bench.breaker.clone();
        assert_eq!(bench.settle(late, Good), None);
        assert_eq!(bench.breaker, open, "while open");
        bench.pass(SECOND);
        bench.admit();
        let half_open = bench.breaker.clone();
        for health in [Good, Bad, Neutral] {
            assert_eq!(bench.settle(late, health), None);
            assert_eq!(bench.breaker, half_open, "{health:?} while half-open");
        }
    }

    #[test]
    fn the_state_that_is_shown_does_not_wait_for_a_call() {
        let bench = Bench::half_open(SETTINGS);
        assert_eq!(bench.breaker.phase, Phase::Open { until: bench.now });
        assert_eq!(bench.state(), BreakerState::HalfOpen);
    }

    // === half-open ===

    #[test]
    fn no_more_probes_pass_than_are_allowed() {
        let mut bench = Bench::half_open(SETTINGS);
        let passed = (0..100).filter(|_| bench.admit().is_some()).count();
        assert_eq!(passed, 2);
    }

    #[test]
    fn a_probe_that_succeeded_does_not_make_room_for_a_third() {
        let mut bench = Bench::half_open(SETTINGS);
        let (first, _second) = (bench.lease(), bench.lease());
        bench.settle(first, Good);
        assert_eq!(bench.admit(), None);
    }

    #[test]
    fn as_many_successes_as_probes_close_it() {
        let mut bench = Bench::half_open(SETTINGS);
        assert_eq!(bench.call(Good), None);
        assert_eq!(bench.call(Good), Some(BreakerMove::ProbesSucceeded));
        assert_eq!(bench.state(), BreakerState::Closed);
        assert_eq!(bench.breaker.counts(bench.now), (0, 0), "and it starts from nothing");
    }

    #[test]
    fn one_failed_probe_opens_it_again() {
        let mut bench = Bench::half_open(SETTINGS);
        bench.call(Good);
        assert_eq!(bench.call(Bad), Some(BreakerMove::ProbeFailed));
        assert_eq!(bench.state(), BreakerState::Open);
    }

    #[test]
    fn an_ignored_outcome_gives_its_probe_back() {
        let mut bench = Bench::half_open(SETTINGS);
        let (first, second) = (bench.lease(), bench.lease());
        assert_eq!(bench.admit(), None);
        bench.settle(first, Neutral);
        assert!(bench.admit().is_some(), "after a 429");
        bench.breaker.give_back(second);
        assert!(bench.admit().is_some(), "after a cancelled call");
        assert_eq!(bench.state(), BreakerState::HalfOpen);
    }

    #[test]
    fn a_probe_given_back_twice_frees_one_place() {
        let mut bench = Bench::half_open(SETTINGS);
        let (first, _second) = (bench.lease(), bench.lease());
        bench.breaker.give_back(first);
        bench.breaker.give_back(first);
        assert_eq!((0..5).filter(|_| bench.admit().is_some()).count(), 1);
    }

    #[test]
    fn a_probe_that_never_returns_expires() {
        let mut bench = Bench::half_open(SETTINGS);
        let _lost = (bench.lease(), bench.lease());
        bench.pass(SETTINGS.probe_lease - Duration::from_nanos(1));
        assert_eq!(bench.admit(), None);
        bench.pass(Duration::from_nanos(1));
        bench.calls(&[Good, Good]);
        assert_eq!(bench.state(), BreakerState::Closed, "and it is not stuck");
    }

    #[test]
    fn a_probe_expires_when_its_try_must_be_over() {
        let mut bench = Bench::half_open(SETTINGS);
        for _ in 0..2 {
            let _lost = bench.breaker.admit(bench.now, bench.now + MS, &mut bench.rng);
        }
        assert_eq!(bench.admit(), None);
        bench.pass(MS);
        assert!(bench.admit().is_some());
    }

    #[test]
    fn a_late_probe_counts_within_its_cycle() {
        // A callee that always takes longer than the lease could never be taken back otherwise.
        let mut bench = Bench::half_open(SETTINGS);
        let (first, second) = (bench.lease(), bench.lease());
        bench.pass(SETTINGS.probe_lease);
        bench.settle(first, Good);
        assert_eq!(bench.settle(second, Good), Some(BreakerMove::ProbesSucceeded));
    }

    #[test]
    fn a_late_probe_of_an_older_cycle_counts_for_nothing() {
        let mut bench = Bench::half_open(SETTINGS);
        let late = bench.lease();
        bench.call(Bad);
        bench.pass(SECOND * 2);
        let fresh = bench.lease();
        let before = bench.breaker.clone();
        for health in [Good, Bad, Neutral] {
            assert_eq!(bench.settle(late, health), None);
            assert_eq!(bench.breaker, before, "{health:?}");
        }
        bench.settle(fresh, Good);
        assert_eq!(bench.call(Good), Some(BreakerMove::ProbesSucceeded));
    }

    #[test]
    fn probes_that_succeed_too_slowly_open_it_again() {
        let slow = Some(Slow { over: SECOND, ratio: Ratio::percent(80) });
        let mut bench = Bench::half_open(BreakerSettings { slow, ..SETTINGS });
        bench.took = SECOND;
        assert_eq!(bench.call(Good), None);
        assert_eq!(bench.call(Good), Some(BreakerMove::SlowRatio));
    }

    // === ramping ===

    #[test]
    fn it_closes_with_a_growing_share() {
        let ramp = Duration::from_secs(10);
        let mut bench = Bench::half_open(BreakerSettings { ramp, ..SETTINGS });
        bench.calls(&[Good, Good]);
        assert_eq!(bench.state(), BreakerState::Ramping);
        let since = bench.now;
        for (second, expected) in [(0, 100), (1, 100), (3, 300), (5, 500), (9, 900)] {
            bench.now = since + SECOND * second;
            let passed = (0..1_000).filter(|_| bench.admit().is_some()).count();
            // Four standard deviations of a thousand draws are at most 64.
            assert!(expected - 64 < passed && passed < expected + 64, "{passed} of 1000 after {second} s");
        }
        bench.now = since + ramp;
        assert_eq!((0..1_000).filter(|_| bench.admit().is_some()).count(), 1_000);
        assert_eq!(bench.state(), BreakerState::Closed);
    }

    #[test]
    fn what_fails_again_while_ramping_stays_open_longer() {
        let ramp = Duration::from_secs(10);
        let mut bench = Bench::half_open(BreakerSettings { ramp, ..SETTINGS });
        bench.calls(&[Good, Good]);
        bench.pass(ramp - Duration::from_nanos(1));
        bench.calls(&[Bad; 3]);
        let Phase::Open { until } = bench.breaker.phase else { panic!("{:?}", bench.breaker.phase) };
        assert_eq!(until.since(bench.now), SECOND * 2);
    }
}
