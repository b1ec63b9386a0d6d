//! Scenarios: what is read, what is refused, what they come to.

use crate::support::{design, finds, text};
use bowline_design::resolved::scenario::{
    Amount, Arrivals, Bound, Entry, FaultKind, Metric, Quantile, Scenario, Target,
};
use bowline_design::resolved::{ServiceId, Source};
use std::time::Duration;

const SHOP: &str = "kind: Service
metadata: { name: inventory }
spec: { operations: [ { name: on-order } ] }
---
kind: Service
metadata: { name: orders }
spec: { operations: [ { name: place } ] }
---
kind: Broker
metadata: { name: main }
spec: { embedded: {} }
---
kind: Topic
metadata: { name: order-events }
spec: { broker: main }
---
kind: Subscription
metadata: { name: inventory-orders }
spec: { topic: order-events, group: inventory, deliver: { operation: inventory.on-order } }
---
kind: Intake
metadata: { name: place-order }
spec: { match: { method: POST, path: /orders }, start: { call: { operation: orders.place } } }
---
kind: Overlay
metadata: { name: async }
spec: {}
---
";

fn with(spec: &str) -> String {
    format!("{SHOP}kind: Scenario\nmetadata: {{ name: s }}\nspec: {{ {spec} }}\n")
}

fn scenario(spec: &str) -> Scenario {
    design(&with(spec)).scenarios.remove(0)
}

/// A sound load and something else.
fn loaded(rest: &str) -> String {
    format!("load: {{ intake: place-order, rate: 800/s, for: 10m }}, {rest}")
}

#[test]
fn black_friday_is_read_as_the_design_shows_it() {
    let friday = scenario(
        "load: { intake: place-order, arrivals: poisson, rate: 800/s, for: 10m },
         faults: [ { at: 60s, for: 10s, service: inventory, crash: {} } ],
         arms: [ { name: sync }, { name: async, overlay: async } ],
         objectives: { ack.p99: 300ms, completion.p99: 30s, failed: 0, lost: 0, duplicated: 0.1% }",
    );
    assert!(matches!(friday.load.entry, Entry::Intake(id) if id.0 == 0));
    assert!(matches!(friday.load.arrivals.value, Arrivals::Poisson(rate) if rate.per_second() == 800.0));
    assert_eq!(friday.load.length.value, Duration::from_secs(600));
    let fault = &friday.faults[0];
    assert_eq!((fault.at, fault.length.value), (Duration::from_secs(60), Duration::from_secs(10)));
    assert_eq!(fault.target, Target::Service(ServiceId(0)));
    assert_eq!(fault.kind, FaultKind::Crash { restart: Duration::ZERO });
    let arms: Vec<_> = friday.arms.iter().map(|arm| (&*arm.name, arm.overlay.as_deref())).collect();
    assert_eq!(arms, [("sync", None), ("async", Some("async"))]);
    let objectives: Vec<_> = friday.objectives.iter().map(|own| (own.metric.as_str(), own.at_most)).collect();
    assert_eq!(
        objectives,
        [
            ("ack.p99", Bound::Time(Duration::from_millis(300))),
            ("completion.p99", Bound::Time(Duration::from_secs(30))),
            ("failed", Bound::Requests(Amount::Count(0))),
            ("lost", Bound::Requests(Amount::Count(0))),
            ("duplicated", Bound::Requests(Amount::Share(0.001))),
        ]
    );
    assert_eq!(friday.objectives[0].metric, Metric::Ack(Quantile::P99));
    assert_eq!(&*friday.objectives[0].place.path, "spec.objectives.ack.p99");
}

#[test]
fn what_nobody_says_has_a_reason() {
    let bare = scenario("load: { operation: orders.place, rate: 60/min, for: 30s }");
    assert!(matches!(bare.load.entry, Entry::Operation { service: ServiceId(1), operation: 0 }));
    assert!(matches!(bare.load.arrivals.value, Arrivals::Poisson(rate) if rate.per_second() == 1.0));
    assert_eq!((bare.warm_up.value, bare.seeds.value), (Duration::from_secs(3), 20));
    let arms: Vec<_> = bare.arms.iter().map(|arm| (&*arm.name, &arm.overlay)).collect();
    assert_eq!(arms, [("base", &None)]);
    for from in [&bare.warm_up.from, &bare.seeds.from.clone(), &bare.arms[0].from, &bare.network.latency.from]
    {
        assert!(matches!(from, Source::Default(_)), "{from:?}");
    }
    let open = scenario(&loaded("faults: [ { at: 1m, broker: main, brokerDown: {} } ]"));
    assert_eq!(open.faults[0].length.value, Duration::from_secs(540));
    assert_eq!(open.warm_up.value, Duration::from_secs(10));
}

#[test]
fn requests_arrive_as_they_are_said_to() {
    let arrivals = |load: &str| {
        let load = format!("load: {{ intake: place-order, for: 1m, {load} }}");
        scenario(&load).load.arrivals.value
    };
    assert!(
        matches!(arrivals("rate: 5/s, arrivals: constant"), Arrivals::Constant(rate) if rate.per_second() == 5.0)
    );
    assert!(matches!(
        arrivals("rate: 5/s, arrivals: { bursts: { size: 200, every: 10s } }"),
        Arrivals::Bursts { size: 200, every, .. } if every == Duration::from_secs(10)
    ));
    assert!(matches!(
        arrivals("rate: 0/s, arrivals: { ramp: { to: 1600/s } }"),
        Arrivals::Ramp { from, over, .. } if from.is_zero() && over == Duration::from_secs(60)
    ));
    assert!(matches!(
        arrivals("rate: 5/s, arrivals: { steps: [ { at: 10s, rate: 50/s }, { at: 20s, rate: 0/s } ] }"),
        Arrivals::Steps { then, .. } if then.len() == 2
    ));
    assert!(
        matches!(arrivals("arrivals: { trace: [ 0s, 5ms, 5ms, 1s ] }"), Arrivals::Trace(times) if times.len() == 4)
    );
    assert!(
        matches!(arrivals("arrivals: { trace: friday.txt }"), Arrivals::TraceFile(file) if file == "friday.txt")
    );
}

#[test]
fn loads_that_make_no_sense_are_refused() {
    for (load, found) in [
        ("rate: 1/s, for: 1m", "spec.load: a load on nothing"),
        (
            "intake: place-order, operation: orders.place, rate: 1/s, for: 1m",
            "spec.load.operation: a load on two things",
        ),
        ("intake: place-oder, rate: 1/s, for: 1m", "spec.load.intake: no intake is named `place-oder`"),
        (
            "operation: orders.plaice, rate: 1/s, for: 1m",
            "spec.load.operation: `orders` has no operation `plaice`",
        ),
        ("route: orders, rate: 1/s, for: 1m", "spec.load.route: no route is named `orders`"),
        ("intake: place-order, rate: 1/s", "spec.load.for: no `for`"),
        ("intake: place-order, rate: 1/s, for: 0s", "spec.load.for: no time at all"),
        ("intake: place-order, rate: 1/s, for: 200h", "spec.load.for: a run of more than a week"),
        ("intake: place-order, for: 1m", "spec.load: a load without a rate"),
        ("intake: place-order, rate: 0/s, for: 1m", "spec.load.rate: a load of nothing"),
        ("intake: place-order, rate: 800, for: 1m", "spec.load.rate: the number 800"),
        ("intake: place-order, rate: -1/s, for: 1m", "spec.load.rate: `-1/s`"),
        ("intake: place-order, rate: 800/m, for: 1m", "spec.load.rate: `800/m`"),
        ("intake: place-order, rate: 1/s, arrivals: poison, for: 1m", "spec.load.arrivals: `poison`"),
        (
            "intake: place-order, rate: 1/s, arrivals: bursts, for: 1m",
            "spec.load.arrivals: `bursts` without what belongs to it",
        ),
        (
            "intake: place-order, arrivals: { bursts: { size: 0, every: 1s } }, for: 1m",
            "spec.load.arrivals.bursts.size: 0",
        ),
        (
            "intake: place-order, arrivals: { bursts: { size: 1, every: 0s } }, for: 1m",
            "spec.load.arrivals.bursts.every: no time at all",
        ),
        (
            "intake: place-order, arrivals: { bursts: { size: 1, every: 2m } }, for: 1m",
            "spec.load.arrivals.bursts.every: a first burst when the run is over",
        ),
        (
            "intake: place-order, rate: 0/s, arrivals: { ramp: { to: 0/s } }, for: 1m",
            "spec.load.rate: a load of nothing",
        ),
        (
            "intake: place-order, rate: 1/s, arrivals: { ramp: { to: 9/s, over: 2m } }, for: 1m",
            "spec.load.arrivals.ramp.over: a ramp longer than the run",
        ),
        (
            "intake: place-order, rate: 1/s, arrivals: { steps: [] }, for: 1m",
            "spec.load.arrivals: steps without a step",
        ),
        (
            "intake: place-order, rate: 1/s, arrivals: { steps: [{ at: 9s, rate: 1/s }, { at: 8s, rate: 2/s }] }, for: 1m",
            "spec.load.arrivals.steps[1].at: a step before the one before it",
        ),
        (
            "intake: place-order, arrivals: { trace: [] }, for: 1m",
            "spec.load.arrivals.trace: a trace of nothing",
        ),
        (
            "intake: place-order, arrivals: { trace: [ 1s, 2m ] }, for: 1m",
            "spec.load.arrivals.trace[1]: an arrival when the run is over",
        ),
        (
            "intake: place-order, rate: 1/s, arrivals: { trace: [ 1s ] }, for: 1m",
            "spec.load.rate: a rate beside a trace",
        ),
    ] {
        finds(&with(&format!("load: {{ {load} }}")), &[found]);
    }
    let trace = "load: { intake: place-order, arrivals: { trace: [ 1s ] }, for: 1m }, warmUp: 1s";
    finds(&with(trace), &["spec.warmUp: a warm-up before a trace"]);
}

#[test]
fn every_fault_is_about_something_it_can_be_about() {
    for (fault, target, kind) in [
        ("service: orders, crash: { restart: 2s }", Target::Service(ServiceId(1)), "crash"),
        ("service: orders, pause: {}", Target::Service(ServiceId(1)), "pause"),
        ("service: orders, slow: { factor: 4 }", Target::Service(ServiceId(1)), "slow"),
        ("service: orders, error: {}", Target::Service(ServiceId(1)), "error"),
        ("service: orders, dropFirst: 2", Target::Service(ServiceId(1)), "dropFirst"),
        ("service: orders, blackhole: {}", Target::Service(ServiceId(1)), "blackhole"),
        (
            "from: orders, to: inventory, reset: {}",
            Target::Calls { from: ServiceId(1), to: ServiceId(0) },
            "reset",
        ),
        (
            "from: orders, to: inventory, partition: {}",
            Target::Calls { from: ServiceId(1), to: ServiceId(0) },
            "partition",
        ),
        ("bowlineDown: {}", Target::Bowline, "bowlineDown"),
    ] {
        let fault = scenario(&loaded(&format!("faults: [ {{ at: 1s, {fault} }} ]"))).faults.remove(0);
        assert_eq!((fault.target, fault.kind.as_str()), (target, kind));
    }
    for fault in [
        "broker: main, brokerDown: {}",
        "subscription: inventory-orders, consumerStuck: {}",
        "topic: order-events, consumerStuck: {}",
        "topic: order-events, poison: { percent: 1 }",
        "topic: order-events, duplicate: { percent: 1 }",
    ] {
        assert_eq!(scenario(&loaded(&format!("faults: [ {{ at: 1s, {fault} }} ]"))).faults.len(), 1);
    }
}

#[test]
fn faults_that_make_no_sense_are_refused() {
    for (fault, found) in [
        ("at: 10m, service: orders, crash: {}", ".at: a fault that begins when the run is over"),
        ("at: 1s, for: 0s, service: orders, crash: {}", ".for: no time at all"),
        ("at: 1s, service: orders", ": a fault that does nothing"),
        ("at: 1s, service: orders, crash: {}, pause: {}", ": `crash` and `pause` in one entry"),
        ("at: 1s, crash: {}", ": `crash` of nothing"),
        ("at: 1s, topic: order-events, crash: {}", ": `crash` with `topic`"),
        (
            "at: 1s, service: orders, broker: main, brokerDown: {}",
            ": `brokerDown` with `service` and `broker`",
        ),
        ("at: 1s, service: orders, bowlineDown: {}", ": `bowlineDown` with `service`"),
        ("at: 1s, from: orders, partition: {}", ": `partition` with `from`"),
        ("at: 1s, from: orders, to: orders, partition: {}", ".to: calls from a service to itself"),
        ("at: 1s, service: oders, crash: {}", ".service: no service is named `oders`"),
        ("at: 1s, topic: orders, poison: { percent: 1 }", ".topic: no topic is named `orders`"),
        ("at: 1s, broker: mian, brokerDown: {}", ".broker: no broker is named `mian`"),
        ("at: 1s, subscription: x, consumerStuck: {}", ".subscription: no subscription is named `x`"),
        ("at: 1s, service: orders, slow: { factor: 0 }", ".slow.factor: a factor of 0"),
        ("at: 1s, service: orders, error: { status: 200 }", ".error.status: the status 200"),
        ("at: 1s, service: orders, error: { percent: 101 }", ".error.percent: 101 percent"),
        ("at: 1s, topic: order-events, poison: {}", ".poison.percent: no `percent`"),
        ("at: 1s, service: orders, dropFirst: 0", ".dropFirst: 0"),
        ("at: 1s, service: orders, crash: true", ".crash: the truth value true"),
        ("at: 1s, service: orders, puase: {}", ".puase: unknown field `puase`"),
    ] {
        finds(&with(&loaded(&format!("faults: [ {{ {fault} }} ]"))), &[&format!("spec.faults[0]{found}")]);
    }
}

#[test]
fn arms_and_objectives_that_make_no_sense_are_refused() {
    for (rest, found) in [
        ("arms: [ { name: a, overlay: asinc } ]", "spec.arms[0].overlay: no overlay is named `asinc`"),
        ("arms: [ { name: a }, { name: a, overlay: async } ]", "spec.arms[1].name: a second arm `a`"),
        ("arms: [ { name: a }, { name: b } ]", "spec.arms[1]: a second arm that is the design as it is"),
        (
            "arms: [ { name: a, overlay: async }, { name: b, overlay: async } ]",
            "spec.arms[1].overlay: a second arm with the overlay `async`",
        ),
        ("arms: [ { name: a b } ]", "spec.arms[0].name: the arm `a b`"),
        ("objectives: { ack.p98: 1s }", "spec.objectives.ack.p98: unknown field `ack.p98`"),
        ("objectives: { ack.p99: 300 }", "spec.objectives.ack.p99: the number 300"),
        ("objectives: { failed: 0.01 }", "spec.objectives.failed: the number 0.01"),
        ("objectives: { failed: 101% }", "spec.objectives.failed: `101%`"),
        ("objectives: { work: 0 }", "spec.objectives.work: 0 times the work"),
        ("seeds: 0", "spec.seeds: 0"),
        ("seeds: 5000", "spec.seeds: 5000 seeds"),
        ("network: { loss: 5 }", "spec.network.loss: a ratio of 5"),
        ("machines: [ { cores: 0, services: [ orders ] } ]", "spec.machines[0].cores: 0"),
        ("machines: [ { cores: 2 } ]", "spec.machines[0]: a machine without services"),
        (
            "machines: [ { cores: 2, services: [ orders ] }, { cores: 2, services: [ orders ] } ]",
            "spec.machines[1]: the machine of one service is said twice: here and in Scenario default/s",
        ),
    ] {
        finds(&with(&loaded(rest)), &[found]);
    }
}

#[test]
fn a_fault_that_outlasts_the_run_is_worth_a_note() {
    let design = design(&with(&loaded("faults: [ { at: 9m, for: 2m, service: orders, pause: {} } ]")));
    let notes: Vec<_> = design.notes.iter().map(|note| (&*note.subject, &*note.text)).collect();
    let text = "a fault that lasts beyond the end of the run, at 10m: nothing is seen of what comes after it";
    let not_run = "checked and simulated; this version does not run them";
    assert_eq!(notes, [("Broker, Topic, Subscription, Intake", not_run), ("default/s", text)]);
}

/// The folders of designs that the repository shows.
#[test]
fn the_examples_are_designs_in_every_arm() {
    for (example, scenarios) in [("shop", 4), ("retry-storm", 1)] {
        let folder = crate::support::folder("../../../examples").join(example).join("design");
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let texts: Vec<_> = files
            .map(|file| text(&file.display().to_string(), &std::fs::read_to_string(&file).unwrap()))
            .collect();
        let reading = bowline_design::read(&texts);
        let base = bowline_design::resolve(&reading).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        let worth_mending = base.notes.iter().find(|note| !note.text.contains("does not run them"));
        assert!(worth_mending.is_none(), "{worth_mending:?}");
        assert_eq!(base.scenarios.len(), scenarios, "{example}");
        for scenario in &base.scenarios {
            assert!(scenario.arms.len() >= 3, "{}", scenario.name);
            for arm in &scenario.arms {
                let arm = bowline_design::resolve_arm(&reading, arm.overlay.as_deref()).unwrap();
                assert_eq!(
                    arm.scenario(&scenario.name).map(|own| own.faults.len()),
                    Some(scenario.faults.len())
                );
            }
        }
    }
}

#[test]
fn a_scenario_is_found_by_its_name() {
    let yaml = with(&loaded(""))
        + "---\nkind: Scenario\nmetadata: { name: t, namespace: other }
spec: { load: { intake: default/place-order, rate: 1/s, for: 1m } }\n";
    let design = design(&yaml);
    let namespace = |name: &str| design.scenario(name).map(|found| found.namespace.to_string());
    assert_eq!(namespace("s").as_deref(), Some("default"));
    assert_eq!(namespace("t").as_deref(), Some("other"));
    assert_eq!(namespace("other/t").as_deref(), Some("other"));
    assert_eq!(namespace("other/s"), None);
}
