//! What an edge keeps over a reload, and shares.

use crate::world::World;
use bowline_model::decision::{BreakerState, GiveUp, TryEnd};
use bowline_policy::{BreakerSettings, BulkheadSettings, CallPolicy, Edge, Parts};
use std::time::Duration;

fn one_failure_opens() -> BreakerSettings {
    BreakerSettings { consecutive: Some(1), ..BreakerSettings::default() }
}

fn opened() -> World {
    let policy = CallPolicy { breaker: Some(one_failure_opens()), ..CallPolicy::default() };
    let mut world = World::new(policy);
    world.run(world.ask(), &[TryEnd::TimedOut]);
    world
}

#[test]
fn a_reload_that_changes_something_else_keeps_the_breaker_open() {
    let world = opened();
    let policy = CallPolicy { retry: bowline_policy::RetrySettings::tries(2), ..world.edge.policy().clone() };
    let reloaded = Edge::with(policy, world.edge.parts().clone());
    assert_eq!(reloaded.breaker().unwrap().state(world.now), BreakerState::Open);
    assert_eq!(reloaded.counters().calls(), 1);
}

#[test]
fn a_reload_that_changes_the_breaker_begins_anew() {
    let world = opened();
    let breaker = BreakerSettings { probes: 5, ..one_failure_opens() };
    let policy = CallPolicy { breaker: Some(breaker), ..CallPolicy::default() };
    let reloaded = Edge::with(policy, world.edge.parts().clone());
    assert_eq!(reloaded.breaker().unwrap().state(world.now), BreakerState::Closed);
}

#[test]
fn two_edges_of_one_key_share_one_breaker() {
    let mut world = opened();
    let shared = Parts { breaker: world.edge.parts().breaker.clone(), ..Parts::default() };
    let mut other = World::on(Edge::with(world.edge.policy().clone(), shared));
    let (end, tries) = other.run(other.ask(), &[TryEnd::Returned]);
    assert_eq!((end.reason, tries.len()), (GiveUp::BreakerOpen, 0));
    assert_eq!((world.edge.counters().calls(), other.edge.counters().calls()), (1, 1));
    world.now += Duration::from_secs(60);
    assert_eq!(other.edge.breaker().unwrap().state(world.now), BreakerState::HalfOpen);
}

#[test]
fn a_place_taken_before_a_reload_goes_back_to_where_it_came_from() {
    let bulkhead = BulkheadSettings { concurrent: 1, queue: 0, wait: Duration::ZERO };
    let mut world = World::new(CallPolicy { bulkhead: Some(bulkhead), ..CallPolicy::default() });
    let (call, _) = world.begin(world.ask());
    let wider = BulkheadSettings { concurrent: 2, ..bulkhead };
    let policy = CallPolicy { bulkhead: Some(wider), ..CallPolicy::default() };
    let reloaded = Edge::with(policy, world.edge.parts().clone());
    assert_eq!(reloaded.bulkhead().unwrap().running(), 0);
    drop(call);
    assert_eq!(world.edge.bulkhead().unwrap().running(), 0);
    assert_eq!(reloaded.bulkhead().unwrap().running(), 0);
}

#[test]
fn the_counters_tell_calls_tries_retries_and_ends_apart() {
    let policy = CallPolicy { retry: bowline_policy::RetrySettings::tries(3), ..CallPolicy::default() };
    let mut world = World::new(policy);
    world.run(world.ask(), &[TryEnd::ConnectFailed, TryEnd::Answered { status: 200 }]);
    world.run(world.ask(), &[TryEnd::Answered { status: 500 }]);
    drop(world.begin(world.ask()));
    let counters = world.edge.counters();
    assert_eq!((counters.calls(), counters.tries()), (3, 4));
    let retries: Vec<_> = counters.retries().map(|(why, count)| (why.as_str(), count)).collect();
    assert_eq!(retries, [("refused", 1)]);
    let ends: Vec<_> = counters.ends().collect();
    assert_eq!(ends, [(GiveUp::Done, 1), (GiveUp::NotSafe, 1), (GiveUp::Cancelled, 1)]);
}

#[test]
fn calls_and_edges_go_between_threads() {
    fn goes<T: Send + Sync>() {}
    goes::<bowline_policy::Call>();
    goes::<bowline_policy::Permit>();
    goes::<Edge>();
}
