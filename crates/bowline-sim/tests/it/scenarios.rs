//! From the text of a design and a scenario to an experiment, and everything that is refused on the way.

use bowline_design::{Text, read};
use bowline_sim::experiment::{Experiment, ExperimentError, Options, Plan};
use bowline_sim::hero;
use bowline_sim::objectives::Standing;
use std::error::Error;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Duration;

pub(crate) const DESIGN: &str = "kind: Service
metadata: { name: orders }
spec:
  concurrency: 64
  operations:
  - name: place
    idempotent: true
    needs: { loss: none, answerWithin: 300ms, staleness: 5m }
    does: [ { work: 1ms }, { call: stock.take } ]
---
kind: Service
metadata: { name: stock }
spec:
  concurrency: 4
  queue: 40
  operations:
  - { name: take, idempotent: true, takes: { p50: 8ms, p99: 20ms }, needs: { answerWithin: 250ms } }
---
kind: Policy
metadata: { name: all }
spec: { targets: [ { service: orders }, { service: stock } ], deadline: 250ms }
---
kind: Broker
metadata: { name: main }
spec: { embedded: {} }
---
kind: Topic
metadata: { name: order-intake }
spec: { broker: main }
---
kind: Subscription
metadata: { name: intake }
spec: { topic: order-intake, group: orders, deliver: { operation: orders.place }, concurrency: 4 }
---
kind: Intake
metadata: { name: place-order }
spec:
  match: { method: POST, path: /orders }
  start: { call: { operation: orders.place } }
---
kind: Overlay
metadata: { name: async }
spec:
  patches:
  - { kind: Intake, name: place-order, patch: { spec: { start: { call: null, publish: { topic: order-intake } } } } }
---
";

pub(crate) const SCENARIO: &str = "kind: Scenario
metadata: { name: friday }
spec:
  load: { intake: place-order, rate: 100/s, for: 120s }
  warmUp: 5s
  seeds: 3
  faults: [ { at: 20s, for: 10s, service: stock, crash: {} } ]
  arms: [ { name: sync }, { name: async, overlay: async } ]
  objectives: { ack.p99: 300ms, completion.p99: 30s, failed: 0, lost: 0, duplicated: 0 }
";

fn plan(yaml: &str) -> Result<Plan, ExperimentError> {
    let texts = [Text { name: "design.yaml".into(), text: yaml.to_owned() }];
    Plan::of(&read(&texts), "friday", &Options::default())
}

/// The message and those behind it.
fn refused(yaml: &str) -> String {
    let error = plan(yaml).expect_err("it was not refused");
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

fn run(plan: &Plan) -> Experiment {
    plan.run(NonZeroUsize::new(2).unwrap(), &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn a_scenario_becomes_an_experiment() {
    let plan = plan(&format!("{DESIGN}{SCENARIO}")).unwrap();
    assert_eq!((plan.seeds.as_slice(), plan.runs()), (&[1, 2, 3][..], 12));
    assert_eq!(plan.within, Duration::from_millis(300));
    let experiment = run(&plan);
    let [sync, asynchronous] = experiment.arms.as_slice() else { panic!("two arms") };
    let standings = |arm: &bowline_sim::experiment::Arm| {
        arm.objectives
            .iter()
            .map(|(target, judged)| (target.name.clone(), judged.standing))
            .collect::<Vec<_>>()
    };
    let named = |standings: [Standing; 5]| {
        let names = ["ack.p99", "completion.p99", "failed", "lost", "duplicated"];
        names.into_iter().map(str::to_owned).zip(standings).collect::<Vec<_>>()
    };
    use Standing::{Met, Missed};
    // One request in twelve fails: there is no time within which 99 of 100 are acknowledged.
    assert_eq!(standings(sync), named([Missed, Missed, Missed, Met, Met]));
    assert_eq!(standings(asynchronous), named([Met, Met, Met, Met, Met]));
    let text = hero::text(&experiment);
    for line in [
        "120 s of 100/s, stock down 20..30 s, 3 seeds, 2 arms",
        "needs orders.place answerWithin 300ms   met by async",
        "needs orders.place loss none            met by sync, async",
        "needs orders.place staleness 5m         met by sync, async",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn overlays_that_contradict_each_other_are_named_with_their_places() {
    let twice = "kind: Overlay
metadata: { name: twice }
spec:
  patches:
  - { kind: Policy, name: all, patch: { spec: { deadline: 1s } } }
  - { kind: Policy, name: all, patch: { spec: { deadline: 2s } } }
---
";
    let text = refused(&format!("{DESIGN}{twice}{SCENARIO}"));
    assert_eq!(text, "the design cannot be used: `spec.deadline` of `all` a second time at design.yaml:52");
}

#[test]
fn an_arm_that_cannot_be_used_is_named() {
    let gone = "kind: Overlay
metadata: { name: gone }
spec:
  patches:
  - { kind: Subscription, name: intake, patch: { spec: { deliver: { operation: orders.plac } } } }
---
";
    let scenario = SCENARIO.replace("overlay: async", "overlay: gone");
    let text = refused(&format!("{DESIGN}{gone}{scenario}"));
    assert!(text.starts_with("arm `async` cannot be used: "), "{text}");
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    let yaml = format!("{DESIGN}{}", SCENARIO.replace("name: friday", "name: monday"));
    assert_eq!(refused(&yaml), "there is no scenario `friday`; there are monday");
    assert_eq!(refused(DESIGN), "there is no scenario `friday`; the design has none");
}

#[test]
fn a_load_of_nothing_is_refused() {
    let text = refused(&format!("{DESIGN}{}", SCENARIO.replace("100/s", "0/s")));
    assert_eq!(text, "the design cannot be used: a load of nothing at design.yaml:50");
}

#[test]
fn calls_that_lead_back_to_themselves_are_refused() {
    let design = DESIGN.replace("takes: { p50: 8ms, p99: 20ms }", "does: [ { call: orders.place } ]");
    let text = refused(&format!("{design}{SCENARIO}"));
    assert!(text.starts_with("there is no model of arm `sync`: "), "{text}");
    assert!(text.contains("orders.place") && text.contains("stock.take"), "{text}");
}

#[test]
fn what_would_take_for_ever_is_refused_beforehand() {
    let endless = SCENARIO.replace("100/s, for: 120s", "100000/s, for: 100h");
    let text = refused(&format!("{DESIGN}{endless}"));
    assert!(text.contains("events, more than 1000000000: shorten it or lower its rate"), "{text}");
}

#[test]
fn a_fault_that_is_about_nothing_is_refused() {
    let other = "kind: Broker
metadata: { name: other }
spec: { embedded: {} }
---
";
    let scenario = SCENARIO.replace("service: stock, crash: {}", "broker: other, brokerDown: {}");
    let text = refused(&format!("{DESIGN}{other}{scenario}"));
    assert!(text.contains("is about nothing"), "{text}");
}

#[test]
fn a_fault_that_stays_is_nothing_to_recover_from() {
    let yaml = format!("{DESIGN}{}", SCENARIO.replace("for: 10s, ", ""));
    let text = hero::text(&run(&plan(&yaml).unwrap()));
    assert!(text.contains("fault stays"), "{text}");
}
