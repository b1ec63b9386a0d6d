//! The shared machines under every interleaving of a few threads.
//!
//! `cargo test -p bowline-policy --features loom --test loom`. Each model bounds how often a thread may be
//! preempted; loom's own finding is that most mistakes show with two or three. `LOOM_MAX_PREEMPTIONS` sets
//! another bound.

use bowline_model::decision::BreakerState;
use bowline_model::{Instant, Priority, SplitMix64};
use bowline_policy::breaker::{Admission, Lease};
use bowline_policy::classify::Health;
use bowline_policy::shared::{Arrived, Turn};
use bowline_policy::{
    AdmissionSettings, BreakerSettings, BudgetSettings, BulkheadSettings, ConcurrentBudget, LiveQuantile,
    QuantileSettings, Ratio, RetryThrottleSettings, SharedAdmission, SharedBreaker, SharedBudget,
    SharedBulkhead, SharedRetryThrottle,
};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::thread;
use std::task::{Wake, Waker};
use std::time::Duration;

/// How often a thread may be preempted. Three keep every model here under a minute.
const PREEMPTIONS_MAX: usize = 3;

fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS_MAX);
    builder.check(check);
}

fn rng() -> SplitMix64 {
    SplitMix64::new(1)
}

// === breaker ===

const SECOND: Duration = Duration::from_secs(1);

const BREAKER: BreakerSettings = BreakerSettings {
    window: Duration::from_secs(10),
    min_calls: 1_000,
    failure_ratio: None,
    slow: None,
    consecutive: Some(1),
    open: SECOND,
    open_max: SECOND,
    growth: 1,
    jitter: Ratio::ZERO,
    probes: 1,
    probe_lease: SECOND,
    ramp: Duration::ZERO,
};

const START: Instant = Instant::from_millis(1);
const PROBING: Instant = Instant::from_millis(2_000);

fn admit(breaker: &SharedBreaker, now: Instant) -> Option<Lease> {
    match breaker.admit(now, Instant::FAR, &mut rng()).0 {
        Admission::Passed { lease, .. } => Some(lease),
        Admission::Refused { .. } => None,
    }
}

fn settle(breaker: &SharedBreaker, now: Instant, lease: Lease, health: Health) {
    breaker.settle(now, lease, health, Duration::ZERO, &mut rng());
}

/// A breaker that opened and may be probed at [`PROBING`].
fn opened(settings: BreakerSettings) -> Arc<SharedBreaker> {
    let breaker = SharedBreaker::new(settings);
    let lease = admit(&breaker, START).unwrap();
    settle(&breaker, START, lease, Health::Bad);
    Arc::new(breaker)
}

#[test]
fn never_more_probes_are_out_than_allowed() {
    model(|| {
        let breaker = opened(BREAKER);
        let out = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = [Health::Good, Health::Neutral]
            .into_iter()
            .map(|health| {
                let (breaker, out) = (Arc::clone(&breaker), Arc::clone(&out));
                thread::spawn(move || {
                    let Some(lease) = admit(&breaker, PROBING) else { return };
                    if !lease.is_probe() {
                        return; // Closed by the other one.
                    }
                    assert!(out.fetch_add(1, Ordering::AcqRel) < BREAKER.probes, "too many probes are out");
                    out.fetch_sub(1, Ordering::AcqRel);
                    settle(&breaker, PROBING, lease, health);
                })
            })
            .collect();
        assert!(breaker.probes_out(PROBING) <= BREAKER.probes);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(breaker.probes_out(PROBING), 0, "every probe came back");
    });
}

#[test]
fn it_is_never_stuck_half_open() {
    model(|| {
        let breaker = opened(BREAKER);
        // One gives its probe back, one loses it for ever.
        let gives_back = {
            let breaker = Arc::clone(&breaker);
            thread::spawn(move || {
                if let Some(lease) = admit(&breaker, PROBING) {
                    breaker.give_back(lease);
                }
            })
        };
        let _lost = admit(&breaker, PROBING);
        gives_back.join().unwrap();
        let later = PROBING + BREAKER.probe_lease;
        let lease = admit(&breaker, later).expect("a lost probe expires");
        settle(&breaker, later, lease, Health::Good);
        assert_eq!(breaker.state(later), BreakerState::Closed);
    });
}

#[test]
fn successes_beside_the_lock_are_counted_once() {
    model(|| {
        let breaker = Arc::new(SharedBreaker::new(BreakerSettings { consecutive: None, ..BREAKER }));
        // The first look takes the lock; from then on it is quiet.
        let _ = breaker.counts(START);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let breaker = Arc::clone(&breaker);
                thread::spawn(move || {
                    let lease = admit(&breaker, START).unwrap();
                    settle(&breaker, START, lease, Health::Good);
                })
            })
            .collect();
        let lease = admit(&breaker, START).unwrap();
        settle(&breaker, START, lease, Health::Bad);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(breaker.counts(START), (1, 3));
    });
}

#[test]
fn a_success_of_an_older_cycle_is_not_counted_beside_the_lock_either() {
    model(|| {
        let breaker = Arc::new(SharedBreaker::new(BREAKER));
        let _ = breaker.counts(START);
        let late = admit(&breaker, START).unwrap();
        let bad = admit(&breaker, START).unwrap();
        let thread = {
            let breaker = Arc::clone(&breaker);
            thread::spawn(move || settle(&breaker, START, late, Health::Good))
        };
        settle(&breaker, START, bad, Health::Bad);
        let probe = admit(&breaker, PROBING).unwrap();
        settle(&breaker, PROBING, probe, Health::Good);
        thread.join().unwrap();
        assert_eq!(breaker.state(PROBING), BreakerState::Closed);
        assert_eq!(breaker.counts(PROBING), (0, 0), "what came before the opening counts for nothing");
    });
}

// === bulkhead ===

/// Remembers that it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

fn bulkhead(queue: u32) -> Arc<SharedBulkhead> {
    Arc::new(SharedBulkhead::new(BulkheadSettings { concurrent: 1, queue, wait: SECOND }))
}

#[test]
fn never_more_calls_are_inside_than_allowed_and_every_place_comes_back() {
    model(|| {
        let bulkhead = bulkhead(0);
        let inside = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (bulkhead, inside) = (Arc::clone(&bulkhead), Arc::clone(&inside));
                thread::spawn(move || {
                    if let Arrived::Enters { .. } = bulkhead.arrive(Priority::Normal) {
                        assert_eq!(inside.fetch_add(1, Ordering::AcqRel), 0, "two are inside");
                        inside.fetch_sub(1, Ordering::AcqRel);
                        bulkhead.leave();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0));
    });
}

#[test]
fn who_waits_is_woken_or_sees_the_place() {
    model(|| {
        let bulkhead = bulkhead(1);
        assert!(matches!(bulkhead.arrive(Priority::Normal), Arrived::Enters { .. }));
        let leaver = {
            let bulkhead = Arc::clone(&bulkhead);
            thread::spawn(move || bulkhead.leave())
        };
        match bulkhead.arrive(Priority::Normal) {
            Arrived::Enters { .. } => leaver.join().unwrap(),
            Arrived::Waits { ticket, .. } => {
                let woken = std::sync::Arc::new(Woken::default());
                let seen = bulkhead.poll(ticket, &Waker::from(std::sync::Arc::clone(&woken)));
                leaver.join().unwrap();
                let seen = seen == Turn::Granted;
                assert!(seen || woken.0.load(Ordering::Acquire), "nobody told it");
                assert!(seen || bulkhead.turn(ticket) == Turn::Granted);
            }
            Arrived::Refused => panic!("the queue was empty"),
        }
        bulkhead.leave();
        assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0));
    });
}

#[test]
fn a_place_granted_to_who_goes_away_is_not_lost() {
    model(|| {
        let bulkhead = bulkhead(2);
        assert!(matches!(bulkhead.arrive(Priority::Normal), Arrived::Enters { .. }));
        let goes_away = {
            let bulkhead = Arc::clone(&bulkhead);
            thread::spawn(move || match bulkhead.arrive(Priority::Normal) {
                Arrived::Waits { ticket, .. } => bulkhead.give_up(ticket),
                Arrived::Enters { .. } => bulkhead.leave(),
                Arrived::Refused => panic!("there was room"),
            })
        };
        let stays = {
            let bulkhead = Arc::clone(&bulkhead);
            thread::spawn(move || bulkhead.arrive(Priority::Normal))
        };
        bulkhead.leave();
        goes_away.join().unwrap();
        match stays.join().unwrap() {
            Arrived::Enters { .. } => (),
            Arrived::Waits { ticket, .. } => {
                assert_eq!(bulkhead.turn(ticket), Turn::Granted, "it waits beside a free place");
            }
            Arrived::Refused => panic!("there was room"),
        }
        bulkhead.leave();
        assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0));
    });
}

#[test]
fn who_is_displaced_is_told_or_has_got_the_place_and_none_is_lost() {
    model(|| {
        let bulkhead = bulkhead(1);
        assert!(matches!(bulkhead.arrive(Priority::Normal), Arrived::Enters { .. }));
        let Arrived::Waits { ticket: low, .. } = bulkhead.arrive(Priority::Low) else {
            panic!("there is room")
        };
        let leaver = {
            let bulkhead = Arc::clone(&bulkhead);
            thread::spawn(move || bulkhead.leave())
        };
        let high = bulkhead.arrive(Priority::High);
        leaver.join().unwrap();
        // The place that became free went to one of them.
        match (bulkhead.turn(low), high) {
            (Turn::Displaced, Arrived::Waits { ticket, .. }) => {
                assert_eq!(bulkhead.turn(ticket), Turn::Granted)
            }
            (Turn::Granted, Arrived::Waits { ticket, .. }) => {
                assert_eq!(bulkhead.turn(ticket), Turn::Waits);
                bulkhead.leave();
                assert_eq!(bulkhead.turn(ticket), Turn::Granted);
            }
            other => panic!("{other:?}"),
        }
        bulkhead.leave();
        assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0));
    });
}

// === budget ===

#[test]
fn no_call_is_counted_twice_or_lost_by_the_budget() {
    model(|| {
        let budget = Arc::new(SharedBudget::new(BudgetSettings::default()));
        budget.begun(START);
        let threads: Vec<_> = [START, PROBING]
            .into_iter()
            .map(|now| {
                let budget = Arc::clone(&budget);
                thread::spawn(move || {
                    budget.begun(now);
                    budget.over();
                })
            })
            .collect();
        let _ = budget.counts(PROBING);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((budget.counts(PROBING), budget.active()), ((3, 0), 1));
    });
}

#[test]
fn never_more_retries_are_out_than_the_moment_allows() {
    model(|| {
        let concurrent = Some(ConcurrentBudget { ratio: Ratio::ZERO, min: 1 });
        let budget = Arc::new(SharedBudget::new(BudgetSettings { concurrent, ..BudgetSettings::default() }));
        let out = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (budget, out) = (Arc::clone(&budget), Arc::clone(&out));
                thread::spawn(move || {
                    if budget.try_retry(START) {
                        assert_eq!(out.fetch_add(1, Ordering::AcqRel), 0, "two retries are out");
                        out.fetch_sub(1, Ordering::AcqRel);
                        budget.retry_over();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(budget.retrying(), 0);
    });
}

// === admission ===

#[test]
fn no_acceptance_is_counted_twice_or_lost_by_the_throttle() {
    model(|| {
        let admission = Arc::new(SharedAdmission::new(AdmissionSettings::default()));
        let threads: Vec<_> = [(START, true), (PROBING, false)]
            .into_iter()
            .map(|(now, accepted)| {
                let admission = Arc::clone(&admission);
                thread::spawn(move || {
                    admission.decided(now, true);
                    admission.decided(now, accepted);
                })
            })
            .collect();
        let _ = admission.counts(PROBING);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(admission.counts(PROBING), (4, 3));
    });
}

#[test]
fn a_throttle_that_has_a_reason_to_reject_knows_it_on_every_thread() {
    model(|| {
        let settings =
            AdmissionSettings { min_calls: 2, reject_max: Ratio::ONE, ..AdmissionSettings::default() };
        let admission = Arc::new(SharedAdmission::new(settings));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let admission = Arc::clone(&admission);
                thread::spawn(move || admission.decided(START, false))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let rejected = (0..8).filter(|_| admission.admit(START, &mut rng()).is_err()).count();
        assert!(0 < rejected, "nothing was accepted, and everybody is let in");
    });
}

// === quantile ===

fn quantile() -> Arc<LiveQuantile> {
    let settings = QuantileSettings { quantile: Ratio::percent(50), half_life: SECOND, min_samples: 1 };
    let quantile = LiveQuantile::new(settings);
    // The half-lives begin here, and two samples are there.
    let _ = quantile.read(START);
    (0..2).for_each(|_| quantile.record(START, Duration::ZERO));
    Arc::new(quantile)
}

#[test]
fn no_sample_is_lost_however_workers_record_and_read() {
    model(|| {
        let quantile = quantile();
        let other = Arc::clone(&quantile);
        let worker = thread::spawn(move || {
            other.record(START + SECOND / 2, Duration::ZERO);
            other.read(START + SECOND / 2)
        });
        quantile.record(START + SECOND / 2, Duration::ZERO);
        worker.join().unwrap();
        assert_eq!(quantile.samples(START + SECOND / 2), 4);
    });
}

#[test]
fn a_half_life_halves_once_however_many_workers_find_it_over() {
    model(|| {
        let quantile = quantile();
        let other = Arc::clone(&quantile);
        let worker = thread::spawn(move || other.record(START + SECOND, Duration::ZERO));
        quantile.record(START + SECOND, Duration::ZERO);
        worker.join().unwrap();
        // The two new ones may be halved with the old ones, by a worker that was at it when they came.
        let samples = quantile.samples(START + SECOND);
        assert!((2..=3).contains(&samples), "{samples}");
    });
}

// === retry throttle ===

#[test]
fn no_token_is_lost_or_made_by_workers_that_meet() {
    model(|| {
        let throttle =
            Arc::new(SharedRetryThrottle::new(RetryThrottleSettings { tokens_max: 3_000, ratio: 100 }));
        throttle.failed();
        let other = Arc::clone(&throttle);
        let worker = thread::spawn(move || {
            other.failed();
            other.succeeded();
        });
        throttle.succeeded();
        worker.join().unwrap();
        assert_eq!(throttle.tokens(), 1_200);
    });
}
