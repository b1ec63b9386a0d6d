//! Brokers and topics: what is kept where.

use super::directory::{BROKER, Directory, TOPIC};
use super::findings::Findings;
use crate::kinds::topic::RecordNeeds as WrittenNeeds;
use crate::kinds::{Broker as WrittenBroker, Documents};
use crate::mistake::Spot;
use crate::resolved::{Broker, BrokerAt, BrokerId, RecordNeeds, Sourced, Topic};

/// All brokers and topics, and their names. An id is the index of its document: a topic that could not be
/// resolved keeps its place, and the mistake keeps the design from being used.
#[derive(Debug)]
pub(super) struct Topics<'d> {
    pub(super) brokers: Vec<Broker>,
    pub(super) all: Vec<Topic>,
    pub(super) broker_names: Directory<'d>,
    pub(super) names: Directory<'d>,
}

impl<'d> Topics<'d> {
    pub(super) fn of(documents: &'d Documents, findings: &mut Findings) -> Self {
        let broker_names = Directory::of(BROKER, &documents.brokers);
        let names = Directory::of(TOPIC, &documents.topics);
        let brokers = documents.brokers.iter().map(|document| Broker {
            name: document.meta.name.as_str().into(),
            namespace: document.meta.namespace.as_str().into(),
            place: document.meta.place.clone(),
            at: at(&document.spec),
        });
        let topics = documents.topics.iter().map(|document| {
            let (meta, spec) = (&document.meta, &document.spec);
            let broker = broker_names.look_up(&spec.broker, &meta.namespace, findings);
            Topic {
                name: meta.name.as_str().into(),
                namespace: meta.namespace.as_str().into(),
                place: meta.place.clone(),
                broker: BrokerId(broker.unwrap_or_default()),
                partitions: match &spec.partitions {
                    Some(partitions) => written(partitions),
                    None => {
                        Sourced::default(1, "one, so that all records stay in order, where nobody says more")
                    }
                },
                key: spec.key.as_ref().map(written),
                contract: spec.contract.as_ref().map(written),
                retention: spec.retention.as_ref().map(|age| written(age).map(|age| age.0)),
                needs: needs(spec.needs.as_ref()),
            }
        });
        Self { brokers: brokers.collect(), all: topics.collect(), broker_names, names }
    }
}

fn at(broker: &WrittenBroker) -> BrokerAt {
    match broker {
        WrittenBroker::Embedded(_) => BrokerAt::Embedded,
        WrittenBroker::Rabbitmq(at) => BrokerAt::Rabbitmq(at.url.value.clone()),
        WrittenBroker::Kafka(at) => {
            BrokerAt::Kafka(at.bootstrap.split(',').map(|address| address.trim().to_owned()).collect())
        }
        WrittenBroker::Redis(at) => BrokerAt::Redis(at.url.value.clone()),
        WrittenBroker::Nats(at) => BrokerAt::Nats(at.url.value.clone()),
    }
}

/// What a topic or subscription has to guarantee.
pub(super) fn needs(needs: Option<&Spot<WrittenNeeds>>) -> RecordNeeds {
    let Some(needs) = needs else { return RecordNeeds::default() };
    RecordNeeds {
        order: needs.order.as_ref().map(written),
        durability: needs.durability.as_ref().map(written),
        replay: needs.replay.as_ref().map(written),
        delayed_retry: needs.delayed_retry.as_ref().map(written),
    }
}

/// A value and where it is written.
pub(super) fn written<T: Clone>(spot: &Spot<T>) -> Sourced<T> {
    Sourced::written(spot.value.clone(), spot.place.clone())
}
