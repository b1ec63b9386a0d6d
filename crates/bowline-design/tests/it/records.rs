//! Brokers, topics, subscriptions and intakes: what is read, what is refused, what they come to.

use crate::support::{design, finds, read};
use bowline_design::resolved::intake::Start;
use bowline_design::resolved::topic::{Durability, Order};
use bowline_design::resolved::{BrokerAt, Source, TopicId, Work};
use bowline_policy::Backoff;
use std::time::Duration;

const SHOP: &str = "kind: Service
metadata: { name: inventory }
spec: { operations: [ { name: on-order }, { name: allocate } ] }
---
kind: Broker
metadata: { name: main }
spec: { embedded: {} }
---
kind: Topic
metadata: { name: order-events }
spec: { broker: main, partitions: 8, key: /order_id, contract: order-events, retention: 7d }
---
";

/// The shop and one more document.
fn with(kind: &str, spec: &str) -> String {
    format!("{SHOP}kind: {kind}\nmetadata: {{ name: extra }}\nspec: {{ {spec} }}\n")
}

#[test]
fn a_topic_and_its_reader_are_read_as_the_design_shows_them() {
    let design = design(&with(
        "Subscription",
        "topic: order-events, group: inventory, deliver: { operation: inventory.on-order },
         needs: { order: key, durability: fsync }, concurrency: 16, deadLetter: { after: 8 },
         lag: { warn: 30s, limit: 90s }",
    ));
    let topic = &design.topics[0];
    assert_eq!(design.brokers[topic.broker.0 as usize].at, BrokerAt::Embedded);
    assert_eq!((topic.partitions.value, topic.key.as_ref().unwrap().value.as_str()), (8, "/order_id"));
    assert_eq!(topic.retention.as_ref().unwrap().value, Duration::from_secs(7 * 86_400));
    let reader = &design.subscriptions[0];
    assert_eq!((reader.topic, &*reader.group, reader.operation), (TopicId(0), "inventory", 0));
    assert_eq!(reader.needs.order.as_ref().unwrap().value, Order::Key);
    assert_eq!(reader.needs.durability.as_ref().unwrap().value, Durability::Fsync);
    assert_eq!((reader.concurrency.value, reader.dead_letter_after.as_ref().unwrap().value), (16, 8));
    assert_eq!(reader.lag_limit.as_ref().unwrap().value, Duration::from_secs(90));
}

#[test]
fn what_nobody_says_has_a_reason() {
    let yaml =
        with("Subscription", "topic: order-events, group: g, deliver: { operation: inventory.on-order }")
            .replace("partitions: 8, ", "");
    let design = design(&yaml);
    assert!(matches!(design.topics[0].partitions.from, Source::Default(_)));
    assert_eq!(design.topics[0].partitions.value, 1);
    let reader = &design.subscriptions[0];
    assert!(matches!(reader.concurrency.from, Source::Default(_)));
    assert_eq!((reader.concurrency.value, &reader.dead_letter_after), (1, &None));
    let backoff = Backoff::Full { base: Duration::from_secs(1), max: Duration::from_secs(60) };
    assert_eq!(reader.backoff.value, backoff);
}

#[test]
fn brokers_are_elsewhere_by_changing_one_line() {
    for (spec, at) in [
        (
            "rabbitmq: { url: 'amqp://localhost:5672' }",
            BrokerAt::Rabbitmq("amqp://localhost:5672".to_owned()),
        ),
        ("kafka: { bootstrap: 'a:9092, b:9092' }", BrokerAt::Kafka(vec!["a:9092".into(), "b:9092".into()])),
        ("redis: { url: 'redis://localhost' }", BrokerAt::Redis("redis://localhost".to_owned())),
        ("nats: { url: 'nats://localhost' }", BrokerAt::Nats("nats://localhost".to_owned())),
    ] {
        assert_eq!(design(&with("Broker", spec)).brokers[1].at, at);
    }
    for (spec, found) in [
        ("rabbitmq: { url: 'http://localhost' }", "spec.rabbitmq.url: `http://localhost`"),
        ("kafka: { bootstrap: kafka }", "spec.kafka.bootstrap: `kafka`"),
        ("redis: { url: 'redis://' }", "spec.redis.url: `redis://`"),
        ("embedded: {}, nats: { url: 'nats://a' }", "spec: `embedded` and `nats` together"),
        ("embeded: {}", "spec.embeded: unknown field `embeded`"),
        ("embedded: { size: 1 }", "spec.embedded.size: unknown field `size`"),
        ("embedded: yes", "spec.embedded: `yes`"),
    ] {
        finds(&with("Broker", spec), &[found]);
    }
}

#[test]
fn topics_that_make_no_sense_are_refused() {
    for (spec, found) in [
        ("broker: mian", "spec.broker: no broker is named `mian`"),
        ("broker: main, partitions: 0", "spec.partitions: 0"),
        ("broker: main, partitions: 20000", "spec.partitions: 20000 partitions"),
        ("broker: main, key: order_id", "spec.key: `order_id`"),
        ("broker: main, key: /a~2", "spec.key: `/a~2`"),
        ("broker: main, retention: 0s", "spec.retention: no time at all"),
        ("broker: main, retention: 7 days", "spec.retention: `7 days`"),
        ("broker: main, retention: 7", "spec.retention: the number 7"),
        ("broker: main, needs: {}", "spec.needs: needs that ask for nothing"),
        ("broker: main, needs: { order: key }", "spec.needs.order: order by key of a topic without one"),
        (
            "broker: main, partitions: 2, needs: { order: topic }",
            "spec.needs.order: one order over 2 partitions",
        ),
        ("broker: main, needs: { durability: disk }", "spec.needs.durability: `disk`"),
    ] {
        finds(&with("Topic", spec), &[found]);
    }
    let hint = |spec: &str| {
        let reading = read(&with("Topic", spec));
        bowline_design::resolve(&reading).unwrap_err()[0].hint.clone()
    };
    assert_eq!(hint("broker: mian").as_deref(), Some("did you mean `main`?"));
    assert_eq!(hint("broker: main, key: order.id").as_deref(), Some("write /order/id"));
}

#[test]
fn subscriptions_that_make_no_sense_are_refused() {
    let to = "deliver: { operation: inventory.on-order }";
    for (spec, found) in [
        (format!("topic: order-event, group: g, {to}"), "spec.topic: no topic is named `order-event`"),
        (
            "topic: order-events, group: g, deliver: { operation: inventory.on-oder }".to_owned(),
            "spec.deliver.operation: `inventory` has no operation `on-oder`",
        ),
        (
            "topic: order-events, group: g, deliver: { operation: inventry.on-order }".to_owned(),
            "spec.deliver.operation: no service is named `inventry`",
        ),
        (format!("topic: order-events, group: a.b, {to}"), "spec.group: the group `a.b`"),
        (format!("topic: order-events, group: g, {to}, concurrency: 0"), "spec.concurrency: 0"),
        (
            format!("topic: order-events, group: g, {to}, deadLetter: {{ after: 0 }}"),
            "spec.deadLetter.after: 0",
        ),
        (
            format!("topic: order-events, group: g, {to}, retry: {{}}"),
            "spec.retry: a retry that says nothing",
        ),
        (
            format!("topic: order-events, group: g, {to}, retry: {{ tries: 3, backoff: {{}} }}"),
            "spec.retry.tries: unknown field `tries`",
        ),
        (format!("topic: order-events, group: g, {to}, lag: {{}}"), "spec.lag: a lag without bounds"),
        (
            format!("topic: order-events, group: g, {to}, lag: {{ warn: 2m, limit: 90s }}"),
            "spec.lag.warn: a warning above the limit",
        ),
        (
            format!("topic: order-events, group: g, {to}, needs: {{ order: topic }}"),
            "spec.needs.order: one order over several partitions",
        ),
    ] {
        finds(&with("Subscription", &spec), &[found]);
    }
    let one = format!("topic: order-events, group: g, {to}");
    let two = with("Subscription", &one)
        + &format!("---\nkind: Subscription\nmetadata: {{ name: other }}\nspec: {{ {one} }}\n");
    finds(
        &two,
        &[
            "spec.group: what the group `g` reads of a topic is said twice: here and in Subscription default/extra",
        ],
    );
}

#[test]
fn an_intake_starts_a_record_a_call_or_a_saga() {
    let match_ = "match: { method: POST, path: /orders }";
    let one = |rest: &str| design(&with("Intake", &format!("{match_}, {rest}"))).intakes.remove(0);
    let publish = one("start: { publish: { topic: order-events } }, wait: 200ms");
    assert!(matches!(publish.start, Start::Publish { topic: TopicId(0), .. }));
    assert_eq!(publish.wait.value, Some(Duration::from_millis(200)));
    assert_eq!(one("start: { publish: { topic: order-events } }").wait.value, Some(Duration::ZERO));
    let call = one("start: { call: { operation: inventory.allocate } }");
    assert!(matches!(call.start, Start::Call { operation: 1, .. }));
    assert_eq!((call.wait.value, call.otherwise), (None, None));
    let both = one("start: { call: { operation: inventory.allocate } }, wait: 50ms,
                    otherwise: { publish: { topic: order-events } }");
    assert_eq!(both.otherwise.unwrap().value, TopicId(0));
    assert!(matches!(one("start: { saga: order }").start, Start::Saga { name, .. } if name == "order"));
}

#[test]
fn intakes_that_make_no_sense_are_refused() {
    let match_ = "match: { method: POST, path: /orders }";
    for (spec, found) in [
        (match_.to_owned(), "spec.start: no `start`"),
        (
            format!("{match_}, start: {{ publish: {{ topic: orders }} }}"),
            "spec.start.publish.topic: no topic is named `orders`",
        ),
        (
            format!("{match_}, start: {{ call: {{ operation: inventory }} }}"),
            "spec.start.call.operation: `inventory` names no operation",
        ),
        (
            format!("{match_}, start: {{ saga: a }}, otherwise: {{ publish: {{ topic: order-events }} }}"),
            "spec.otherwise: `otherwise` beside a start that is no call",
        ),
        (
            "match: { method: post, path: /orders }, start: { saga: a }".to_owned(),
            "spec.match.method: `post`",
        ),
    ] {
        finds(&with("Intake", &spec), &[found]);
    }
    let one = format!("{match_}, start: {{ publish: {{ topic: order-events }} }}");
    let two = with("Intake", &one)
        + &format!("---\nkind: Intake\nmetadata: {{ name: other }}\nspec: {{ {one} }}\n");
    finds(&two, &["spec.match: what `POST /orders` starts is said twice: here and in Intake default/extra"]);
}

#[test]
fn operations_publish_to_topics_and_may_publish_to_those_of_others() {
    let design = design(&with(
        "Service",
        "operations: [ { name: place, does: [ { publish: order-events }, { publish: order-event } ] } ]",
    ));
    let does = &design.services.iter().find(|service| &*service.name == "extra").unwrap().operations[0].does;
    let declared = |work: &Work| match work {
        Work::Publish { declared, .. } => *declared,
        _ => panic!("{work:?}"),
    };
    assert_eq!((declared(&does[0]), declared(&does[1])), (Some(TopicId(0)), None));
    let notes: Vec<_> = design.notes.iter().map(|note| (&*note.subject, &*note.text)).collect();
    assert_eq!(
        notes,
        [
            ("order-event", "published to, and declared by no Topic: did you mean `order-events`?"),
            ("Broker, Topic", "checked and simulated; this version does not run them"),
        ]
    );
}

#[test]
fn a_name_belongs_to_its_namespace_and_another_can_be_named() {
    let other = "kind: Topic\nmetadata: { name: t, namespace: other }\nspec: { broker: BROKER }\n";
    let yaml = format!("{SHOP}{other}");
    assert_eq!(design(&yaml.replace("BROKER", "default/main")).topics[1].broker.0, 0);
    let mistakes = bowline_design::resolve(&read(&yaml.replace("BROKER", "main"))).unwrap_err();
    assert_eq!(mistakes[0].hint.as_deref(), Some("there is one in another namespace: `default/main`"));
}

#[test]
fn a_queue_belongs_to_a_service_with_a_limit() {
    let yaml = |spec: &str| format!("kind: Service\nmetadata: {{ name: s }}\nspec: {{ {spec} }}\n");
    let service = design(&yaml("concurrency: 1, queue: 40")).services.remove(0);
    assert_eq!(service.queue.unwrap().value, 40);
    finds(&yaml("queue: 40"), &["spec.queue: a queue of a service that may work on everything at once"]);
}
