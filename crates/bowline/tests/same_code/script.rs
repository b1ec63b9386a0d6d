//! What is drawn, and the simulator's run of it.
//!
//! Calls follow one another, so that nothing hangs on which of two things that happen at one moment comes first.
//! Everything lasts whole milliseconds, tokio's resolution; the pauses between tries, which do not, are rounded
//! up by the timers of both.

use bowline_fault::{Fault, Kind, Percent, Plan};
use bowline_model::decision::TryEnd;
use bowline_model::{Decision, Instant, SplitMix64};
use bowline_policy::{
    Ask, Backoff, BreakerSettings, BudgetSettings, CallPolicy, ConcurrentBudget, Ratio, RetrySettings,
};
use bowline_sim::fault::{Calls, FaultEvent, FaultKind};
use bowline_sim::model::{Do, EdgeId, EdgeSpec, EntrySpec, EntryTo, ServiceId, ServiceSpec};
use bowline_sim::run::watch;
use bowline_sim::{Arrivals, Dist, Model, RunSpec};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

/// What the callee needs for an answer when nothing is wrong.
const WORK: u64 = 5;
/// tokio's timers.
pub(crate) const RESOLUTION: Duration = ms(1);
/// Phases of the world begin half a millisecond beside whatever is sent.
const BESIDE: Duration = Duration::from_micros(500);

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One experiment.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) policy: CallPolicy,
    deadline: Duration,
    /// How the world is, one after the other, each for so many milliseconds; after the last it is well.
    phases: Vec<(u64, Mood)>,
    calls: u64,
    seed: u64,
}

/// How the world is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mood {
    Well,
    /// So many times slower.
    Slow(u64),
    /// Answers with a status at once.
    Error(u16),
    /// Does the work, and breaks the connection instead of answering.
    Reset,
    /// What is sent vanishes.
    Blackhole,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    Answered(u16),
    Broken,
    Forgotten,
}

/// One call as the simulator made it.
#[derive(Clone, Debug)]
pub(crate) struct Simulated {
    pub(crate) ask: Ask,
    pub(crate) random: SplitMix64,
    pub(crate) decisions: Vec<(Instant, Decision)>,
}

impl Script {
    /// Three tries of a callee that answers nothing but 503 for a while.
    pub(crate) fn plain() -> Self {
        let policy = CallPolicy { retry: RetrySettings::tries(3), ..CallPolicy::default() };
        Self { policy, deadline: ms(150), phases: vec![(500, Mood::Error(503))], calls: 5, seed: 1 }
    }

    /// Every try is held back for longer than the callee stays cut off: what counts is when it is sent.
    pub(crate) fn held_back_beyond_a_cut() -> Self {
        let delay = Fault { kind: Kind::Delay(ms(30)), percent: Percent::ALWAYS };
        let policy = CallPolicy { faults: Plan::new(vec![delay]), ..CallPolicy::default() };
        // The first call begins 20 ms after its deadline's length: at 170 ms.
        Self { policy, deadline: ms(150), phases: vec![(180, Mood::Blackhole)], calls: 2, seed: 1 }
    }

    /// What becomes of a request that arrives at `at`, and after how long.
    pub(crate) fn fate(&self, at: Instant) -> (Duration, Fate) {
        match self.mood(at) {
            Mood::Well => (ms(WORK), Fate::Answered(200)),
            Mood::Slow(factor) => (ms(WORK * factor), Fate::Answered(200)),
            Mood::Error(status) => (Duration::ZERO, Fate::Answered(status)),
            Mood::Reset => (ms(WORK), Fate::Broken),
            Mood::Blackhole => (Duration::ZERO, Fate::Forgotten),
        }
    }

    fn mood(&self, at: Instant) -> Mood {
        let mut begins = Instant::ZERO + BESIDE;
        for (length, mood) in &self.phases {
            if begins <= at && at < begins + ms(*length) {
                return *mood;
            }
            begins += ms(*length);
        }
        Mood::Well
    }

    /// From one call to the next: none meets another.
    fn every(&self) -> Duration {
        self.deadline + ms(20)
    }

    /// The simulator's run; `None` where an answer and the end of its time come at one moment: which is first is
    /// nobody's decision.
    pub(crate) fn simulated(&self) -> Option<Vec<Simulated>> {
        let spec = self.spec();
        let calls = (0..self.calls).map(|number| {
            let watched = watch(&spec, EdgeId(0), number);
            let (ask, random) = watched.began.expect("every request makes its call");
            Simulated { ask, random, decisions: watched.trail.decisions().to_vec() }
        });
        let calls: Vec<Simulated> = calls.collect();
        let ties =
            calls.iter().flat_map(|call| &call.decisions).any(|(at, decision)| self.is_tie(*at, decision));
        (!ties).then_some(calls)
    }

    fn is_tie(&self, at: Instant, decision: &Decision) -> bool {
        let Decision::TryEnded { end: TryEnd::TimedOut | TryEnd::DeadlineExceeded, took, .. } = decision
        else {
            return false;
        };
        // Held back or not: both are looked at, because the decision does not say.
        let began = Instant::from_nanos(at.as_nanos() - took.as_nanos() as u64);
        [Duration::ZERO, self.held_back()].iter().any(|delay| {
            let arrives = began + *delay;
            let (after, fate) = self.fate(arrives);
            fate != Fate::Forgotten && arrives + after == at
        })
    }

    /// How long a try is held back that is.
    pub(crate) fn held_back(&self) -> Duration {
        let delays = self.policy.faults.faults().iter().map(|fault| match fault.kind {
            Kind::Delay(delay) => delay,
            _ => Duration::ZERO,
        });
        delays.sum()
    }

    fn spec(&self) -> RunSpec {
        let every = self.every().as_nanos() as u64;
        let arrivals = Arrivals::Trace((1..=self.calls).map(|call| call * every).collect());
        let mut model = Model::builder();
        let server = model.service(ServiceSpec { concurrency: u32::MAX, ..ServiceSpec::new("server") });
        let serve = model.serve(server, "serve", vec![Do::Work(Dist::Constant(ms(WORK)))]);
        let (policy, deadline) = (self.policy.clone(), Some(self.deadline));
        let edge = model.edge(EdgeSpec { policy, deadline, repeatable: true, ..EdgeSpec::new("in", serve) });
        model.entry(EntrySpec { name: "in".into(), to: EntryTo::Call(edge), arrivals, clients: 1 });
        let length = self.every() * (self.calls as u32 + 2);
        let spec = RunSpec::new(Arc::new(model.build().unwrap()), self.seed, Duration::ZERO, length).unwrap();
        spec.with_timers(RESOLUTION).with_faults(self.faults()).unwrap()
    }

    fn faults(&self) -> Vec<FaultEvent> {
        let mut begins = Instant::ZERO + BESIDE;
        let mut faults = Vec::new();
        for (length, mood) in &self.phases {
            let (service, calls, percent) = (ServiceId(0), Calls::to(ServiceId(0)), Percent::ALWAYS);
            let kind = match *mood {
                Mood::Well => None,
                Mood::Slow(factor) => Some(FaultKind::Slow { service, replica: None, factor: factor as f64 }),
                Mood::Error(status) => Some(FaultKind::Error { calls, replica: None, status, percent }),
                Mood::Reset => Some(FaultKind::Reset { calls, percent }),
                Mood::Blackhole => Some(FaultKind::Blackhole { calls }),
            };
            faults.extend(kind.map(|kind| FaultEvent { at: begins, length: Some(ms(*length)), kind }));
            begins += ms(*length);
        }
        faults
    }
}

/// Any script.
pub(crate) fn any() -> impl Strategy<Value = Script> {
    let phases = prop::collection::vec((100_u64..1_500, mood()), 3..8);
    (policy(), 60_u64..250, phases, prop::num::u64::ANY).prop_map(|(policy, deadline, phases, seed)| Script {
        policy,
        deadline: ms(deadline),
        phases,
        calls: 40,
        seed,
    })
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        2 => Just(Mood::Well),
        2 => (2_u64..40).prop_map(Mood::Slow),
        2 => prop_oneof![Just(500), Just(503), Just(429), Just(404)].prop_map(Mood::Error),
        1 => Just(Mood::Reset),
        1 => Just(Mood::Blackhole),
    ]
}

fn policy() -> impl Strategy<Value = CallPolicy> {
    let per_try = prop::option::of((5_u64..80).prop_map(ms));
    let retry = (1_u32..5, per_try, backoff());
    let budget = (0_u32..60, 0_u32..3, prop::bool::ANY);
    let breaker = (500_u64..3_000, 3_u32..12, 20_u32..90, 100_u64..2_000);
    let faults = (0_u32..3, 0.0_f64..50.0, 1_u64..30, 0.0_f64..50.0, 0.0_f64..20.0);
    (retry, prop::option::of(budget), prop::option::of(breaker), prop::option::of(faults)).prop_map(
        |((tries, per_try, backoff), budget, breaker, faults)| CallPolicy {
            retry: RetrySettings { per_try, backoff, ..RetrySettings::tries(tries) },
            budget: budget.map(|(percent, min_per_second, concurrent)| BudgetSettings {
                ratio: Ratio::percent(percent),
                min_per_second,
                concurrent: concurrent.then(ConcurrentBudget::default),
                ..BudgetSettings::default()
            }),
            breaker: breaker.map(|(window, min_calls, failures, open)| BreakerSettings {
                window: ms(window),
                min_calls,
                failure_ratio: Some(Ratio::percent(failures)),
                open: ms(open),
                ..BreakerSettings::default()
            }),
            faults: faults.map_or_else(Plan::default, plan),
            ..CallPolicy::default()
        },
    )
}

fn backoff() -> impl Strategy<Value = Backoff> {
    let spans = (1_u64..20, 20_u64..60);
    prop_oneof![
        Just(Backoff::None),
        spans.clone().prop_map(|(base, max)| Backoff::Envoy { base: ms(base), max: ms(max) }),
        spans.clone().prop_map(|(base, max)| Backoff::Full { base: ms(base), max: ms(max) }),
        spans.clone().prop_map(|(base, max)| Backoff::Equal { base: ms(base), max: ms(max) }),
        spans.prop_map(|(base, max)| Backoff::Decorrelated { base: ms(base), max: ms(max) }),
    ]
}

fn plan((first, first_share, delay, delay_share, abort_share): (u32, f64, u64, f64, f64)) -> Plan {
    let share = |percent| Percent::from_percent(percent).unwrap();
    Plan::new(vec![
        Fault { kind: Kind::Delay(ms(delay)), percent: share(delay_share) },
        Fault { kind: Kind::DropFirst(first), percent: share(first_share) },
        Fault { kind: Kind::Abort { status: 503 }, percent: share(abort_share) },
    ])
}
