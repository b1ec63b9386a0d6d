//! Who reads which topic, and what a record is given to.

use super::directory::{Directory, SUBSCRIPTION};
use super::findings::Findings;
use super::policies::backoff;
use super::services::Services;
use super::topics::{Topics, needs, written};
use super::works::operation;
use crate::kinds::subscription::Deliver;
use crate::kinds::{Doc, Documents, Subscription as WrittenSubscription};
use crate::resolved::topic::Order;
use crate::resolved::{ServiceId, Sourced, Subscription, TopicId};
use bowline_policy::Backoff;
use std::collections::BTreeMap;
use std::time::Duration;

/// A record waits longer between deliveries than a call between tries: nobody holds a line open for it, and
/// what just failed had better be left alone. From a second to a minute, spread by chance.
const BACKOFF: Backoff = Backoff::Full { base: Duration::from_secs(1), max: Duration::from_secs(60) };

/// The names of all subscriptions.
pub(super) fn names(documents: &Documents) -> Directory<'_> {
    Directory::of(SUBSCRIPTION, &documents.subscriptions)
}

/// All subscriptions; an id is the index of its document.
pub(super) fn all(
    documents: &Documents,
    topics: &Topics<'_>,
    services: &Services,
    findings: &mut Findings,
) -> Vec<Subscription> {
    let mut groups = BTreeMap::new();
    let mut one = |document| {
        let subscription = one(document, topics, services, findings);
        let key = (subscription.topic, subscription.group.clone());
        let place = document.spec.group.place.clone();
        if let Some(first) = groups.insert(key, place) {
            let what = format!("what the group `{}` reads of a topic", subscription.group);
            findings.said_twice_by(
                &what,
                &document.spec.group.place,
                &first,
                "give one of them another group",
            );
        }
        subscription
    };
    documents.subscriptions.iter().map(&mut one).collect()
}

fn one(
    document: &Doc<WrittenSubscription>,
    topics: &Topics<'_>,
    services: &Services,
    findings: &mut Findings,
) -> Subscription {
    let (meta, spec) = (&document.meta, &document.spec);
    let topic = topics.names.look_up(&spec.topic, &meta.namespace, findings);
    let Deliver::Operation(target) = &spec.deliver.value;
    let target = operation(target, &meta.namespace, services, findings);
    let needs = needs(spec.needs.as_ref());
    if let (Some(order), Some(topic)) = (&needs.order, topic.and_then(|id| topics.all.get(id as usize))) {
        let (place, one_by_one) = (order.from.place(), topic.partitions.value == 1);
        let what = match order.value {
            Order::Key if topic.key.is_none() && !one_by_one => "order by key of a topic without a `key`",
            Order::Topic if !one_by_one => "one order over several partitions",
            _ => "",
        };
        if let (Some(place), false) = (place, what.is_empty()) {
            let other = topic.partitions.from.place().unwrap_or(&topic.place);
            findings.impossible(what, place, other);
        }
    }
    let retry = spec.retry.as_ref();
    let (service, operation) = target.unwrap_or((ServiceId(0), 0));
    Subscription {
        name: meta.name.as_str().into(),
        namespace: meta.namespace.as_str().into(),
        place: meta.place.clone(),
        topic: TopicId(topic.unwrap_or(u32::MAX)),
        group: spec.group.value.as_str().into(),
        service,
        operation,
        needs,
        concurrency: match &spec.concurrency {
            Some(concurrency) => written(concurrency),
            None => Sourced::default(1, "one record after the other, where nobody says more"),
        },
        dead_letter_after: spec.dead_letter.as_ref().map(|dead| written(&dead.after)),
        per_try: retry.and_then(|retry| retry.per_try.as_ref()).map(written),
        backoff: match retry.and_then(|retry| retry.backoff.as_ref()) {
            Some(backoff) => self::backoff(backoff, findings),
            None => {
                Sourced::default(BACKOFF, "from a second to a minute: nobody holds a line open for a record")
            }
        },
        lag_warn: spec.lag.as_ref().and_then(|lag| lag.warn.as_ref()).map(written),
        lag_limit: spec.lag.as_ref().and_then(|lag| lag.limit.as_ref()).map(written),
    }
}
