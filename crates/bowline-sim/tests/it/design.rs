//! The model of a resolved design, on the shop.

use bowline_design::resolved::Design;
use bowline_design::{Text, read, resolve_arm};
use bowline_sim::run::Ending;
use bowline_sim::{FaultEvent, Model, Run, RunSpec, run};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

const SHOP: [(&str, &str); 6] = [
    ("overlays.yaml", include_str!("../../../../examples/shop/design/overlays.yaml")),
    ("policies.yaml", include_str!("../../../../examples/shop/design/policies.yaml")),
    ("routes.yaml", include_str!("../../../../examples/shop/design/routes.yaml")),
    ("scenarios.yaml", include_str!("../../../../examples/shop/design/scenarios.yaml")),
    ("services.yaml", include_str!("../../../../examples/shop/design/services.yaml")),
    ("topics.yaml", include_str!("../../../../examples/shop/design/topics.yaml")),
];

fn shop(overlay: Option<&str>) -> Design {
    let texts = SHOP.map(|(name, text)| Text { name: name.into(), text: text.to_owned() });
    resolve_arm(&read(&texts), overlay).unwrap()
}

/// Two minutes of a scenario, in one arm.
fn simulate(overlay: Option<&str>, scenario: &str) -> Run {
    let design = shop(overlay);
    let scenario = design.scenario(scenario).unwrap();
    let model = Arc::new(Model::of(&design, scenario).unwrap());
    let spec = RunSpec::new(model, 7, scenario.warm_up.value, Duration::from_secs(120)).unwrap();
    let spec = spec.with_faults(FaultEvent::of(&design, scenario)).unwrap();
    let run = run(&spec.with_drain(Duration::from_secs(600)), &mut |_| ControlFlow::Continue(()));
    assert_eq!(run.ending, Ending::Done);
    assert!(run.fates.is_conserved(), "{:?}", run.fates);
    run
}

#[test]
fn what_the_design_leaves_open_is_assumed_and_said() {
    let design = shop(None);
    let model = Model::of(&design, design.scenario("black-friday").unwrap()).unwrap();
    let said = |part: &str| model.assumptions().iter().any(|sentence| sentence.contains(part));
    assert!(said("orders works on any number of requests at once"), "{:?}", model.assumptions());
    assert!(said("calls that are idempotent by key carry a key"), "{:?}", model.assumptions());
}

#[test]
fn an_outage_fails_orders_that_wait_and_delays_those_that_are_written_down() {
    let [sync, asynchronous, hybrid] =
        [None, Some("async"), Some("hybrid")].map(|arm| simulate(arm, "black-friday"));
    let orders = sync.fates.arrived;
    assert_eq!((asynchronous.fates.arrived, hybrid.fates.arrived), (orders, orders), "the same customers");

    // Ten seconds of 800 orders are lost to the outage, and some more while the breaker is open.
    assert!(8_000 < sync.fates.failed, "{:?}", sync.fates);
    assert_eq!((sync.fates.accepted, sync.fates.lost), (0, 0));

    assert_eq!((asynchronous.fates.failed, asynchronous.fates.completed), (0, orders));
    assert_eq!(asynchronous.fates.accepted, orders);
    assert!(Duration::from_secs(10) < asynchronous.clocks.completed.max());

    assert_eq!((hybrid.fates.failed, hybrid.fates.completed), (0, orders));
    assert!(hybrid.fates.accepted < orders / 5, "{:?}", hybrid.fates);
    assert_eq!([&sync, &asynchronous, &hybrid].map(|run| run.fates.duplicated), [0; 3]);
}

#[test]
fn a_broker_that_is_down_fails_who_only_writes_down() {
    let [sync, asynchronous] = [None, Some("async")].map(|arm| simulate(arm, "broker-down"));
    assert!(sync.fates.failed < 10, "{:?}", sync.fates);
    assert!(7_000 < asynchronous.fates.failed, "{:?}", asynchronous.fates);
    // What it confirmed before it went down is not lost.
    assert_eq!(asynchronous.fates.lost, 0);
}

#[test]
fn consumers_that_are_stuck_delay_what_is_written_down() {
    let run = simulate(Some("async"), "stuck-consumer");
    assert_eq!(run.fates.completed, run.fates.arrived);
    let longest = run.clocks.staleness.max();
    assert!((29..60).contains(&longest.as_secs()), "{longest:?}");
}
