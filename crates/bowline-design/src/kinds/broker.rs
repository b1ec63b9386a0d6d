//! Our Broker: what keeps records.

use crate::kinds::Meta;
use crate::kinds::values::Nothing;
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{Group, Kind, OURS};
use crate::read::names::quoted;
use crate::read::record::{either, record};

either! {
    /// What keeps records.
    pub enum Broker {
        /// Bowline itself, in its data folder.
        Embedded(Nothing) = "embedded",
        /// RabbitMQ.
        Rabbitmq(BrokerUrl) = "rabbitmq",
        /// Kafka.
        Kafka(Bootstrap) = "kafka",
        /// Redis.
        Redis(BrokerUrl) = "redis",
        /// NATS, with JetStream.
        Nats(BrokerUrl) = "nats",
    } checked by check_broker
}

record! {
    /// Where a broker is.
    pub struct BrokerUrl {
        /// Its URL.
        pub url: Spot<String>,
    }
}

record! {
    /// Where a Kafka cluster is entered.
    pub struct Bootstrap {
        /// Host and port of some of its brokers, with commas between them.
        pub bootstrap: Spot<String>,
    } checked by check_bootstrap
}

impl Kind for Broker {
    const KIND: &'static str = "Broker";
    const GROUP: Group = OURS;

    fn check(_: &Meta, _: &Self, _: &Place, _: &mut Mistakes) {}
}

fn check_broker(broker: &Broker, _: &Place, mistakes: &mut Mistakes) {
    let (url, schemes): (_, &[&str]) = match broker {
        Broker::Embedded(_) | Broker::Kafka(_) => return,
        Broker::Rabbitmq(at) => (&at.url, &["amqp", "amqps"]),
        Broker::Redis(at) => (&at.url, &["redis", "rediss"]),
        Broker::Nats(at) => (&at.url, &["nats", "tls"]),
    };
    let fits =
        url.split_once("://").is_some_and(|(scheme, rest)| schemes.contains(&scheme) && !rest.is_empty());
    if !fits {
        let expected = schemes.iter().map(|scheme| format!("{scheme}://..")).collect::<Vec<_>>().join(" or ");
        mistakes.add("bad-value", &url.place, quoted(url), expected);
    }
}

fn check_bootstrap(kafka: &Bootstrap, _: &Place, mistakes: &mut Mistakes) {
    let address = |address: &str| {
        let parts = address.trim().rsplit_once(':');
        parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    if !kafka.bootstrap.split(',').all(address) {
        let expected = "host and port, such as kafka-1:9092,kafka-2:9092";
        mistakes.add("bad-value", &kafka.bootstrap.place, quoted(&kafka.bootstrap), expected);
    }
}
