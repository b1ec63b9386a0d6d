//! What tests of the bus have in common.

use bowline_bus::{Event, Group, Log, Memory, Topic, TopicSettings};
use std::time::Duration;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

pub(crate) fn group(name: &str) -> Group {
    Group::new(name).unwrap()
}

pub(crate) fn event(key: &str, id: &str) -> Event {
    let builder = Event::builder(id, "/test", "test").json("{}");
    if key.is_empty() { builder } else { builder.partition_key(key) }.build().unwrap()
}

/// A broker with a topic of so many partitions.
pub(crate) async fn broker(name: &str, partitions: u32) -> (Memory, Topic) {
    let (broker, topic) = (Memory::new(), topic(name));
    broker.create(&topic, TopicSettings { partitions, ..TopicSettings::default() }).await.unwrap();
    (broker, topic)
}
