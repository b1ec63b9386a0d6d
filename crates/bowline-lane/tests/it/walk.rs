//! Every short history of two consumers and one partition.
//!
//! From each state every step is taken that the world allows: each handler ends in each way, each write takes effect
//! and is answered, takes effect in silence, or fails; consumers die between any two steps, partitions are asked for
//! and taken away, reports come twice. States that were seen are not walked again. The number of states stands in the
//! test: a walk that shrinks has lost something.

use crate::world::{Budget, Step, World};
use bowline_lane::{AfterDead, Aside, Class, ConsumerSettings, Order};
use bowline_policy::Backoff;
use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> ConsumerSettings {
    ConsumerSettings {
        order: Order::Key,
        concurrency: 2,
        records_max: 3,
        bytes_max: 1_000,
        ahead_max: 100,
        backoff: Backoff::Full { base: SECOND, max: SECOND },
        deliveries_max: Some(2),
        after_dead: AfterDead::Continue,
        ..ConsumerSettings::default()
    }
}

/// Two independent halves: a collision, which would hide a state, has odds of one in 10^24 here.
fn print_of(world: &World) -> (u64, u64) {
    let (mut a, mut b) = (DefaultHasher::new(), DefaultHasher::new());
    world.hash(&mut a);
    (7_u64, world).hash(&mut b);
    (a.finish(), b.finish())
}

/// Walks every history; answers with the number of states, and shows `check` each end.
fn walk(world: World, mut check: impl FnMut(&World)) -> usize {
    let mut seen = HashSet::from([print_of(&world)]);
    let mut open = vec![(world, Vec::<Step>::new())];
    while let Some((world, path)) = open.pop() {
        let steps = world.steps();
        if steps.is_empty() {
            told(&path, || {
                world.hold_at_the_end();
                check(&world);
            });
        }
        for step in steps {
            let mut next = world.clone();
            let mut path = path.clone();
            path.push(step.clone());
            told(&path, || next.take(&step));
            if seen.insert(print_of(&next)) {
                open.push((next, path));
            }
        }
    }
    seen.len()
}

/// A history that breaks an invariant is told, step by step.
fn told(path: &[Step], what: impl FnOnce()) {
    if let Err(broken) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(what)) {
        for (n, step) in path.iter().enumerate() {
            eprintln!("{n:3}  {step:?}");
        }
        std::panic::resume_unwind(broken);
    }
}

fn exact(states: usize, expected: usize) {
    assert_eq!(states, expected, "the walk has another size: if that is meant, write the new one down");
}

#[test]
fn nothing_is_lost_or_overtaken_whatever_fails_and_whoever_dies() {
    let budget = Budget { failures: 1, crashes: 1, duplicates: 1, ..Budget::default() };
    exact(walk(World::new(&settings(), &["a", "b", "a", "b"], None, budget), |_| ()), 29_372);
}

#[test]
fn nothing_is_lost_or_overtaken_when_a_partition_moves() {
    let budget = Budget { failures: 1, rebalances: 1, expiries: 1, ..Budget::default() };
    exact(walk(World::new(&settings(), &["a", "b", "a"], None, budget), |_| ()), 130_166);
}

#[test]
fn nothing_is_lost_when_the_owner_dies_while_the_partition_moves() {
    let budget = Budget { failures: 1, rebalances: 1, crashes: 1, ..Budget::default() };
    exact(walk(World::new(&settings(), &["a", "b", "a"], None, budget), |_| ()), 21_390);
}

#[test]
fn later_records_of_a_dead_letter_wait_behind_it_in_order() {
    let settings = ConsumerSettings { after_dead: AfterDead::Park, ..settings() };
    let budget = Budget { failures: 2, crashes: 1, ..Budget::default() };
    let mut parked = 0;
    let states = walk(World::new(&settings, &["a", "b", "a", "a"], None, budget), |end| {
        if matches!(end.aside.get(&0), Some(Aside::Dead(_))) {
            assert_eq!(end.aside.get(&2), Some(&Aside::Parked));
            assert_eq!(end.aside.get(&3), Some(&Aside::Parked));
            parked += 1;
        }
    });
    assert!(parked > 0, "the walk never came by");
    exact(states, 166_139);
}

#[test]
fn later_records_of_a_dead_letter_go_the_same_way_where_that_is_asked_for() {
    let settings = ConsumerSettings { after_dead: AfterDead::Follow, ..settings() };
    let budget = Budget { failures: 2, rebalances: 1, ..Budget::default() };
    let mut followed = 0;
    let states = walk(World::new(&settings, &["a", "b", "a"], None, budget), |end| {
        if matches!(end.aside.get(&0), Some(Aside::Dead(_))) {
            assert_eq!(end.aside.get(&2), Some(&Aside::Dead(Class::Follows)));
            followed += 1;
        }
    });
    assert!(followed > 0, "the walk never came by");
    exact(states, 37_298);
}

#[test]
fn a_record_that_kills_its_handler_is_found_and_nobody_else_is_blamed() {
    let budget = Budget { crashes: 6, ..Budget::default() };
    let mut found = 0;
    let states = walk(World::new(&settings(), &["a", "b", "c", "a"], Some(1), budget), |end| {
        assert!(end.aside.keys().all(|offset| *offset == 1), "{:?}", end.aside);
        if let Some(aside) = end.aside.get(&1) {
            assert_eq!(*aside, Aside::Dead(Class::Poison));
            // Once among others, and as often alone as deliveries are allowed.
            assert!(end.budget.crashes >= 6 - 3, "{} crashes are left", end.budget.crashes);
            found += 1;
        }
    });
    assert!(found > 0, "the killer was never found");
    exact(states, 190);
}

#[test]
fn records_without_a_key_wait_for_nobody() {
    let budget = Budget { failures: 1, crashes: 1, ..Budget::default() };
    exact(walk(World::new(&settings(), &["", "", ""], None, budget), |_| ()), 3_543);
}
