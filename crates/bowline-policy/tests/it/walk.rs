//! Every short history of a breaker.
//!
//! All sequences of [`LENGTH`] events over a small alphabet, from a closed and from a half-open breaker. The
//! walk keeps a small model of its own, of the leases that are out and what they may still do, and asks after
//! every event whether breaker and model agree, and whether the breaker could still be closed from there.

use bowline_model::decision::{BreakerMove, BreakerState};
use bowline_model::{Instant, Random};
use bowline_policy::breaker::{Admission, Breaker, BreakerSettings, Lease, Moved};
use bowline_policy::classify::Health;
use std::time::Duration;

/// Long enough for closed, open, half-open, closed, and something after it.
const LENGTH: u32 = 7;

const SECOND: Duration = Duration::from_secs(1);

/// One failure opens it, two probes close it, and every span is a second, so that one kind of waiting
/// reaches every end.
const SETTINGS: BreakerSettings = BreakerSettings {
    window: Duration::from_secs(10),
    min_calls: 1_000,
    failure_ratio: None,
    slow: None,
    consecutive: Some(1),
    open: SECOND,
    open_max: SECOND,
    growth: 1,
    jitter: bowline_policy::Ratio::ZERO,
    probes: 2,
    probe_lease: SECOND,
    ramp: Duration::ZERO,
};

#[derive(Clone, Copy, Debug)]
enum Event {
    Admit,
    SettleOldest(Health),
    SettleNewest(Health),
    GiveBackOldest,
    HalfASecondPasses,
    ASecondPasses,
}

const ALPHABET: [Event; 8] = [
    Event::Admit,
    Event::SettleOldest(Health::Good),
    Event::SettleOldest(Health::Bad),
    Event::SettleOldest(Health::Neutral),
    Event::SettleNewest(Health::Good),
    Event::GiveBackOldest,
    Event::HalfASecondPasses,
    Event::ASecondPasses,
];

/// Always the same number: the least lets everything through a ramp, the greatest as little as may be.
#[derive(Clone, Copy)]
struct Always(u64);

impl Random for Always {
    fn next_u64(&mut self) -> u64 {
        self.0
    }
}

#[derive(Clone)]
struct World {
    breaker: Breaker,
    now: Instant,
    random: Always,
    /// In the order they were taken.
    leases: Vec<Held>,
    /// Changes of state after which older leases mean nothing.
    cycle: u32,
    /// Probes that succeeded in this cycle.
    succeeded: u32,
}

#[derive(Clone, Copy)]
struct Held {
    lease: Lease,
    cycle: u32,
    expires: Instant,
}

impl World {
    fn new(settings: BreakerSettings, random: u64) -> Self {
        let now = Instant::from_millis(1);
        let (breaker, random) = (Breaker::new(settings), Always(random));
        Self { breaker, now, random, leases: Vec::new(), cycle: 0, succeeded: 0 }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Admit => self.admit(),
            Event::SettleOldest(health) if !self.leases.is_empty() => {
                let held = self.leases.remove(0);
                self.settle(held, health);
            }
            Event::SettleNewest(health) => {
                if let Some(held) = self.leases.pop() {
                    self.settle(held, health);
                }
            }
            Event::GiveBackOldest if !self.leases.is_empty() => {
                let held = self.leases.remove(0);
                self.breaker.give_back(held.lease);
            }
            Event::HalfASecondPasses => self.now += SECOND / 2,
            Event::ASecondPasses => self.now += SECOND,
            Event::SettleOldest(_) | Event::GiveBackOldest => (),
        }
    }

    fn admit(&mut self) {
        let before = self.breaker.state(self.now);
        let (admission, moved) = self.breaker.admit(self.now, Instant::FAR, &mut self.random);
        self.follow(moved);
        match admission {
            Admission::Passed { lease, state, .. } => {
                assert_ne!(before, BreakerState::Open, "nothing passes while it is open");
                assert_eq!(lease.is_probe(), state == BreakerState::HalfOpen);
                let expires = self.now + SECOND;
                self.leases.push(Held { lease, cycle: self.cycle, expires });
            }
            Admission::Refused { state, .. } => {
                assert_ne!(state, BreakerState::Closed);
                if state == BreakerState::HalfOpen {
                    let taken = self.probes_out() + self.succeeded;
                    // More than all, if an answer came after its lease ended and its place was taken again.
                    assert!(SETTINGS.probes <= taken, "a probe is refused only when all are taken");
                }
            }
        }
    }

    fn settle(&mut self, held: Held, health: Health) {
        let before = (held.cycle != self.cycle).then(|| self.breaker.clone());
        let probes = held.lease.is_probe() && held.cycle == self.cycle;
        let moved = self.breaker.settle(self.now, held.lease, health, Duration::ZERO, &mut self.random);
        if let Some(before) = before {
            assert_eq!(moved, None, "an answer of an older cycle moves nothing");
            assert_eq!(self.breaker, before, "an answer of an older cycle counts for nothing");
        }
        self.succeeded += u32::from(probes && health == Health::Good);
        self.follow(moved);
    }

    fn follow(&mut self, moved: Option<Moved>) {
        if let Some(Moved { from, to, why }) = moved {
            assert_ne!(from, to);
            if why != BreakerMove::RampOver {
                self.cycle += 1;
                self.succeeded = 0;
            }
        }
    }

    /// By the model: the probes of this cycle whose lease has not ended.
    fn probes_out(&self) -> u32 {
        let live =
            |held: &&Held| held.lease.is_probe() && held.cycle == self.cycle && self.now < held.expires;
        self.leases.iter().filter(live).count() as u32
    }

    fn check(&self) {
        assert_eq!(self.breaker.probes_out(self.now), self.probes_out(), "probes out");
        assert!(self.probes_out() <= SETTINGS.probes, "never more probes out than allowed");
        self.check_it_can_be_closed();
    }

    /// Never stuck: whatever leases were lost, two seconds and as many good answers as it asks for close it.
    fn check_it_can_be_closed(&self) {
        let mut world = self.clone();
        world.leases.clear();
        world.now += SECOND * 2;
        world.random = Always(0);
        for _ in 0..=SETTINGS.probes {
            let state = world.breaker.state(world.now);
            if matches!(state, BreakerState::Closed | BreakerState::Ramping) {
                return;
            }
            world.admit();
            let held = world.leases.pop().expect("a good callee must be let through");
            world.settle(held, Health::Good);
        }
        panic!("stuck: {:?}", self.breaker);
    }
}

fn walk(world: &World, depth: u32) -> u64 {
    world.check();
    if depth == 0 {
        return 1;
    }
    let next = |event| {
        let mut world = world.clone();
        world.apply(event);
        walk(&world, depth - 1)
    };
    1 + ALPHABET.into_iter().map(next).sum::<u64>()
}

fn half_open(settings: BreakerSettings, random: u64) -> World {
    let mut world = World::new(settings, random);
    for event in [Event::Admit, Event::SettleOldest(Health::Bad), Event::ASecondPasses] {
        world.apply(event);
    }
    assert_eq!(world.breaker.state(world.now), BreakerState::HalfOpen);
    world
}

#[test]
fn every_short_history_from_closed_keeps_every_promise() {
    let visited = walk(&World::new(SETTINGS, 0), LENGTH);
    assert_eq!(visited, (8_u64.pow(LENGTH + 1) - 1) / 7, "a walk that visited less proves less");
}

#[test]
fn every_short_history_from_half_open_keeps_every_promise() {
    walk(&half_open(SETTINGS, 0), LENGTH - 1);
}

#[test]
fn every_short_history_with_a_ramp_keeps_every_promise() {
    let ramp = BreakerSettings { ramp: SECOND, ..SETTINGS };
    for random in [0, u64::MAX] {
        walk(&half_open(ramp, random), LENGTH - 1);
    }
}
