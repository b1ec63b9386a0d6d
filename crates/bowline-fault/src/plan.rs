//! Faults and the plan they form.

use crate::injection::{Injection, Then};
use crate::percent::Percent;
use bowline_model::{Random, SplitMix64};
use std::sync::Arc;
use std::time::Duration;

/// One fault: what happens, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub kind: Kind,
    /// To which share of the tries; of the calls for [`Kind::DropFirst`].
    pub percent: Percent,
}

/// What a fault does to a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Holds the try back.
    Delay(Duration),
    /// Answers the try with an HTTP status instead of sending it.
    Abort {
        /// The status.
        status: u16,
    },
    /// Answers the try with a gRPC code instead of sending it.
    AbortGrpc {
        /// The code, 0 to 16.
        code: u8,
    },
    /// Refuses the first tries of every call it hits: with two, the third gets through.
    DropFirst(u32),
    /// Refuses the try: it seems to meet a refused connection.
    Drop,
}

/// All faults of one edge, in the order they were put there.
///
/// Cloning it copies a pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    // `None` for no faults, so that the usual plan costs one comparison and no memory.
    faults: Option<Arc<[Fault]>>,
}

impl Plan {
    /// The plan of `faults`.
    #[must_use]
    pub fn new(faults: Vec<Fault>) -> Self {
        Self { faults: (!faults.is_empty()).then(|| faults.into()) }
    }

    /// The faults, in order.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        self.faults.as_deref().unwrap_or_default()
    }

    /// What happens to try `number` (from one) of the call with this `seed`.
    ///
    /// The same plan, seed and number always give the same answer. Delays add up; of the faults that end
    /// a try the first that hits wins.
    #[inline]
    #[must_use]
    pub fn decide(&self, seed: u64, number: u32) -> Injection {
        match &self.faults {
            None => Injection::NONE,
            Some(faults) => decide(faults, seed, number),
        }
    }
}

fn decide(faults: &[Fault], seed: u64, number: u32) -> Injection {
    let mut injection = Injection::NONE;
    for (index, fault) in faults.iter().enumerate() {
        // A call that `DropFirst` hits is hit in each of its first tries: one draw for the whole call.
        let draw = if matches!(fault.kind, Kind::DropFirst(_)) { 0 } else { number };
        if !fault.percent.includes(bits(seed, index, draw)) {
            continue;
        }
        let then = match fault.kind {
            Kind::Delay(span) => {
                injection.delay = Some(injection.delay.unwrap_or_default().saturating_add(span));
                continue;
            }
            Kind::Abort { status } => Then::Abort { status },
            Kind::AbortGrpc { code } => Then::AbortGrpc { code },
            Kind::DropFirst(first) if first < number => continue,
            Kind::DropFirst(_) | Kind::Drop => Then::Drop,
        };
        if injection.then == Then::Send {
            injection.then = then;
        }
    }
    injection
}

/// Bits of their own for each fault of each try: two faults of 50 % hit independently.
fn bits(seed: u64, index: usize, draw: u32) -> u64 {
    let stream = ((index as u64) << 32) | u64::from(draw);
    SplitMix64::new(seed ^ SplitMix64::new(stream).next_u64()).next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn always(kind: Kind) -> Fault {
        Fault { kind, percent: Percent::ALWAYS }
    }

    fn half(kind: Kind) -> Fault {
        Fault { kind, percent: Percent::from_percent(50.0).unwrap() }
    }

    #[test]
    fn no_faults_do_nothing() {
        assert!(Plan::default().decide(1, 1).is_none());
        assert_eq!(Plan::new(Vec::new()), Plan::default());
    }

    #[test]
    fn delays_add_up_and_the_first_end_wins() {
        let plan = Plan::new(vec![
            always(Kind::Delay(Duration::from_millis(20))),
            always(Kind::Abort { status: 503 }),
            always(Kind::Delay(Duration::from_millis(5))),
            always(Kind::Drop),
        ]);
        let expected =
            Injection { delay: Some(Duration::from_millis(25)), then: Then::Abort { status: 503 } };
        assert_eq!(plan.decide(9, 1), expected);
    }

    #[test]
    fn the_same_seed_and_number_meet_the_same_faults() {
        let plan = Plan::new(vec![half(Kind::Drop), half(Kind::AbortGrpc { code: 14 })]);
        for seed in 0..200 {
            for number in 1..4 {
                assert_eq!(plan.decide(seed, number), plan.decide(seed, number));
            }
        }
    }

    #[test]
    fn a_percentage_hits_about_its_share_of_the_tries() {
        let plan = Plan::new(vec![half(Kind::Drop)]);
        let hits = (0..10_000).filter(|seed| plan.decide(*seed, 1).then == Then::Drop).count();
        assert!((4_800..=5_200).contains(&hits), "{hits} of 10000: four standard deviations are 200");
    }

    #[test]
    fn two_faults_of_the_same_percentage_hit_independently() {
        let plan = Plan::new(vec![half(Kind::Delay(Duration::from_millis(1))), half(Kind::Drop)]);
        let both = (0..10_000)
            .map(|seed| plan.decide(seed, 1))
            .filter(|injection| injection.delay.is_some() && injection.then == Then::Drop)
            .count();
        assert!((2_300..=2_700).contains(&both), "{both} of 10000, a quarter expected");
    }

    #[test]
    fn a_call_that_drop_first_spares_is_spared_in_all_its_tries() {
        let plan = Plan::new(vec![half(Kind::DropFirst(2))]);
        for seed in 0..200 {
            assert_eq!(plan.decide(seed, 1), plan.decide(seed, 2), "seed {seed}");
            assert!(plan.decide(seed, 3).is_none(), "seed {seed}");
        }
    }
}
