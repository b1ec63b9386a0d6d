//! Nothing is counted twice, nothing is forgotten, and nothing is left lying about.

use super::super::Engine;
use crate::fault::{Calls, FaultEvent, FaultKind};
use crate::model::{
    Do, EdgeSpec, EntrySpec, EntryTo, IntakeSpec, MachineSpec, OperationSpec, Order, Overflow, ServiceId,
    ServiceSpec, Start, SubscriptionId, SubscriptionSpec, TopicId, TopicSpec,
};
use crate::run::{Ending, RunSpec, at};
use crate::{Arrivals, Dist, Model};
use bowline_fault::Percent;
use bowline_policy::{
    Backoff, BreakerSettings, BudgetSettings, BulkheadSettings, CallPolicy, RateSettings, RetrySettings,
};
use proptest::prelude::*;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn policies() -> impl Strategy<Value = CallPolicy> {
    let parts = (1..4_u32, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    parts.prop_map(|(tries, timed, budget, breaker, bulkhead, rate)| CallPolicy {
        retry: RetrySettings {
            per_try: timed.then_some(ms(40)),
            backoff: Backoff::Full { base: ms(5), max: ms(50) },
            ..RetrySettings::tries(tries)
        },
        budget: budget.then(BudgetSettings::default),
        breaker: breaker.then(|| BreakerSettings { open: ms(500), ..BreakerSettings::default() }),
        bulkhead: bulkhead.then_some(BulkheadSettings { concurrent: 3, queue: 2, wait: ms(20) }),
        rate: rate.then_some(RateSettings { per_second: 80, burst: 5 }),
        ..CallPolicy::default()
    })
}

fn services() -> impl Strategy<Value = ServiceSpec> {
    let overflow =
        prop_oneof![Just(Overflow::Shed), Just(Overflow::Unavailable), Just(Overflow::ConnectionRefused)];
    (1..3_u32, 1..6_u32, prop::option::of(0..4_u32), overflow, any::<bool>()).prop_map(
        |(replicas, concurrency, queue, overflow, forwards)| ServiceSpec {
            replicas,
            concurrency,
            queue,
            overflow,
            forwards,
            ..ServiceSpec::new("")
        },
    )
}

/// Every kind of fault, on a model of three services, one topic and one subscription.
fn faults() -> impl Strategy<Value = FaultKind> {
    let service = || (0..3_u32).prop_map(ServiceId);
    let replica = || prop::option::of(Just(0_u32));
    let percent = || (1..101_u32).prop_map(|percent| Percent::from_percent(percent.into()).unwrap());
    let calls = || service().prop_map(Calls::to);
    let (topic, subscription) = (TopicId(0), SubscriptionId(0));
    prop_oneof![
        (service(), replica(), 0..2_000_u64).prop_map(|(service, replica, restart)| FaultKind::Crash {
            service,
            replica,
            restart_after: ms(restart)
        }),
        (service(), replica()).prop_map(|(service, replica)| FaultKind::Pause { service, replica }),
        (service(), replica()).prop_map(|(service, replica)| FaultKind::Slow {
            service,
            replica,
            factor: 7.5
        }),
        (calls(), replica(), percent()).prop_map(|(calls, replica, percent)| FaultKind::Error {
            calls,
            replica,
            status: 503,
            percent
        }),
        (calls(), 1..3_u32).prop_map(|(calls, tries)| FaultKind::DropFirst { calls, tries }),
        calls().prop_map(|calls| FaultKind::Blackhole { calls }),
        (calls(), percent()).prop_map(|(calls, percent)| FaultKind::Reset { calls, percent }),
        (prop::option::of(service()), service(), any::<bool>())
            .prop_map(|(from, to, both)| FaultKind::Partition { from, to, both }),
        Just(FaultKind::BrokerDown { topics: vec![] }),
        Just(FaultKind::BowlineDown),
        Just(FaultKind::ConsumerStuck { subscription }),
        percent().prop_map(move |percent| FaultKind::Poison { topic, subscription: None, percent }),
        percent().prop_map(move |percent| FaultKind::Duplicate { topic, subscription: None, percent }),
    ]
}

#[derive(Clone, Debug)]
struct World {
    services: Vec<ServiceSpec>,
    policies: Vec<CallPolicy>,
    deadline: bool,
    idempotent: bool,
    shared: bool,
    order: Order,
    retention: Duration,
    way_in: u8,
    wait: u64,
    parallel: bool,
    faults: Vec<(u64, Option<u64>, FaultKind)>,
}

fn worlds() -> impl Strategy<Value = World> {
    let order = prop_oneof![Just(Order::Key), Just(Order::Partition), Just(Order::Topic), Just(Order::None)];
    let fault = (0..6_000_u64, prop::option::weighted(0.8, 1..4_000_u64), faults());
    (
        prop::collection::vec(services(), 3),
        prop::collection::vec(policies(), 4),
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        (order, prop_oneof![Just(ms(1_500)), Just(Duration::MAX)], 0..5_u8, 0..200_u64),
        prop::collection::vec(fault, 0..4),
    )
        .prop_map(|(services, policies, flags, (order, retention, way_in, wait), faults)| World {
            services,
            policies,
            deadline: flags.0,
            idempotent: flags.1,
            shared: flags.2,
            parallel: flags.3,
            order,
            retention,
            way_in,
            wait,
            faults,
        })
}

/// Orders call payment and stock, and a topic leads to stock as well.
fn model(world: &World) -> Model {
    let mut model = Model::builder();
    let machine = model.machine(MachineSpec { name: "machine".into(), cores: 2 });
    let names = ["orders", "payment", "stock"];
    let services: Vec<_> = names
        .into_iter()
        .zip(&world.services)
        .map(|(name, service)| {
            let machine = world.shared.then_some(machine);
            model.service(ServiceSpec { name: name.into(), machine, ..service.clone() })
        })
        .collect();
    let topic = model.topic(TopicSpec {
        keys: 5,
        retention: world.retention,
        confirms: Dist::Constant(ms(2)),
        delivers: Dist::exponential(ms(1)),
        ..TopicSpec::new("orders")
    });
    let edge = |name: &str, to, policy: &CallPolicy| EdgeSpec {
        policy: policy.clone(),
        deadline: world.deadline.then_some(ms(120)),
        repeatable: world.idempotent,
        latency: Dist::exponential(ms(1)),
        loss: 0.01,
        ..EdgeSpec::new(name, to)
    };
    let operation = |name: &str, service, does| OperationSpec {
        name: name.into(),
        service,
        idempotent: world.idempotent,
        pending: false,
        does,
    };
    let work = |mean| Do::Work(Dist::exponential(ms(mean)));
    let stock = model.operation(operation("take", services[2], vec![work(4)]));
    let pay = model.operation(operation("pay", services[1], vec![work(5), work(1)]));
    let to_pay = model.edge(edge("orders -> payment", pay, &world.policies[0]));
    let to_stock = model.edge(edge("orders -> stock", stock, &world.policies[1]));
    let both = vec![vec![Do::Call(to_pay)], vec![Do::Call(to_stock)], vec![]];
    let does = if world.parallel {
        vec![work(1), Do::Parallel(both), Do::Publish(topic)]
    } else {
        vec![Do::Call(to_pay), Do::Choice(vec![(0.5, vec![Do::Call(to_stock)]), (0.5, vec![])])]
    };
    let place = model.operation(operation("place", services[0], does));
    let ask = model.edge(edge("in", place, &world.policies[2]));
    let deliver = model.edge(edge("consumer", stock, &world.policies[3]));
    model.subscription(SubscriptionSpec {
        concurrency: 2,
        order: world.order,
        backoff: Backoff::Full { base: ms(20), max: ms(500) },
        dead_letter_after: 3,
        ..SubscriptionSpec::new("stock", topic, deliver)
    });
    let start = match world.way_in {
        0 | 1 => None,
        2 => Some(Start::Call(ask)),
        3 => Some(Start::CallOr(ask, topic)),
        _ => Some(Start::Publish(topic)),
    };
    let to = match start {
        None => EntryTo::Call(ask),
        Some(start) => {
            let intake = IntakeSpec { name: "orders".into(), start, wait: ms(world.wait) };
            EntryTo::Intake(model.intake(intake))
        }
    };
    let arrivals = Arrivals::Poisson { rate: 60.0 };
    model.entry(EntrySpec { name: "in".into(), to, arrivals, clients: 2 });
    model.build().unwrap()
}

fn events(world: &World) -> Vec<FaultEvent> {
    let event = |(from, length, kind): &(u64, Option<u64>, FaultKind)| FaultEvent {
        at: at(ms(*from)),
        length: length.map(ms),
        kind: kind.clone(),
    };
    world.faults.iter().map(event).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_request_is_counted_once_and_nothing_is_left_over(world in worlds(), seed: u64) {
        let spec = RunSpec::new(Arc::new(model(&world)), seed, ms(500), ms(6_000)).unwrap();
        let spec = spec.with_faults(events(&world)).unwrap().with_drain(Duration::from_secs(30));
        let mut engine = Engine::new(&spec);
        engine.go(&mut |_| ControlFlow::Continue(()));
        if engine.ending.is_none() {
            prop_assert_eq!(engine.requests.len(), 0);
            prop_assert_eq!(engine.jobs.len(), 0, "jobs");
            prop_assert_eq!(engine.calls.len(), 0, "calls");
            prop_assert_eq!(engine.deliveries.len(), 0, "deliveries");
            prop_assert_eq!(engine.effects.len(), 0, "effects");
        }
        let run = engine.over();
        prop_assert!(run.fates.is_conserved(), "{:?}", run.fates);
        prop_assert!(matches!(run.ending, Ending::Done | Ending::TimeOver), "{}", run.ending);
        prop_assert!(run.ending == Ending::TimeOver || run.fates.censored() == 0, "{:?}", run.fates);
        prop_assert_eq!(run.clocks.acknowledged.count(), run.fates.acknowledged);
        prop_assert_eq!(run.clocks.completed.count(), run.fates.completed);
        let offered: u64 = run.series.points.iter().map(|point| point.offered).sum();
        let told: u64 =
            run.series.points.iter().map(|point| point.answered + point.accepted + point.failed).sum();
        prop_assert!(run.fates.arrived <= offered && told <= offered);
    }
}
