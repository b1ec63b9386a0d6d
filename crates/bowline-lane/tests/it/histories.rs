//! Long random histories: more records, more that goes wrong, than can be walked in every order.
//!
//! The world is the walk's and holds the machine to the same. Proptest prints the case that fails, and it is small.

use crate::world::{Budget, World};
use bowline_lane::{AfterDead, ConsumerSettings, Order};
use bowline_model::{Random, SplitMix64};
use bowline_policy::Backoff;
use proptest::prelude::*;
use std::time::Duration;

const KEYS: [&str; 5] = ["a", "b", "c", "d", ""];

fn after_dead() -> impl Strategy<Value = AfterDead> {
    prop_oneof![Just(AfterDead::Continue), Just(AfterDead::Park), Just(AfterDead::Follow)]
}

proptest! {
    #[test]
    fn a_long_history_loses_nothing_and_overtakes_nobody(
        seed in any::<u64>(),
        log in prop::collection::vec(0_usize..KEYS.len(), 1..40),
        concurrency in 1_u32..6,
        records_max in 1_u32..12,
        ahead_max in 1_u32..30,
        deliveries_max in prop::option::of(1_u32..4),
        after_dead in after_dead(),
        failures in 0_u32..12,
        crashes in 0_u32..4,
        rebalances in 0_u32..4,
        expiries in 0_u32..3,
        duplicates in 0_u32..4,
    ) {
        let second = Duration::from_secs(1);
        let settings = ConsumerSettings {
            order: Order::Key,
            concurrency,
            records_max,
            ahead_max,
            backoff: Backoff::Full { base: second, max: second * 4 },
            deliveries_max,
            after_dead,
            ..ConsumerSettings::default()
        };
        let log: Vec<&str> = log.into_iter().map(|key| KEYS[key]).collect();
        let budget = Budget { failures, crashes, rebalances, expiries, duplicates };
        let mut world = World::new(&settings, &log, None, budget);
        let mut random = SplitMix64::new(seed);
        loop {
            let steps = world.steps();
            if steps.is_empty() {
                break;
            }
            world.take(&steps[random.below(steps.len() as u64) as usize]);
        }
        world.hold_at_the_end();
    }
}
