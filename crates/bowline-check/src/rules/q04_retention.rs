//! Q04: records that are thrown away before their consumers are back and through with them.

use super::{Rule, one_per_place};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::Node;
use crate::traffic::{Traffic, busy};
use crate::words::{factor, span};
use bowline_design::format::format_duration;
use bowline_design::resolved::scenario::{Fault, FaultKind, Target};
use bowline_design::resolved::{Subscription, SubscriptionId};
use std::cmp::Reverse;
use std::time::Duration;

/// A retention that is suggested is rounded up to whole minutes.
const MINUTE: u64 = 60;

pub(super) const RULE: Rule = Rule {
    id: "Q04",
    title: "retention shorter than outage and drain",
    about: "Under a scenario of the design nobody reads a topic for a while, and the topic keeps its records less long\n\
        than it takes until the backlog is gone: outage D, and then l D / (m - l), at l records a second and a\n\
        capacity of m, `concurrency` over the time of a delivery.\n\
        Error: the retention is shorter than the outage alone, so the first records of the outage are surely gone.\n\
        Warning: it is shorter than outage and drain together; the drain is reckoned from means.\n\
        Outages are faults that make the subscription's consumers stick, and crashes or pauses of the service that\n\
        records are given to.\n\
        Where more is written than can be read, the backlog is never gone while the load lasts: at its end the oldest\n\
        record is T - m (T - D) / l old, with outage D if there is one. Error: however the times of a delivery are\n\
        spread, that is longer than the retention; warning: by their mean.\n\
        Arms with an overlay are looked at as the designs that they are, and are no more than warnings.\n\
        The edit raises the retention to what is needed, in whole minutes.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (id, subscription) in (0..).map(SubscriptionId).zip(&asked.design.subscriptions) {
        for traffic in &asked.traffic {
            let faults = traffic.scenario.faults.iter();
            found.extend(faults.filter_map(|fault| finding(asked, id, subscription, traffic, fault)));
            found.extend(overrun(asked, id, subscription, traffic));
        }
    }
    one_per_place(found)
}

fn finding(
    asked: &Asked<'_>,
    id: SubscriptionId,
    subscription: &Subscription,
    traffic: &Traffic<'_>,
    fault: &Fault,
) -> Option<(Reverse<Duration>, Finding)> {
    let topic = &asked.design.topics[subscription.topic.0 as usize];
    let retention = topic.retention.as_ref()?;
    let (place, rate) = (retention.from.place()?, traffic.to(subscription.topic));
    let outage = outage(id, subscription, fault).filter(|_| rate > 0.0)?;
    let capacity = reading(asked, subscription)?.mean;
    // A backlog that is never drained is told by itself.
    if capacity <= rate {
        return None;
    }
    let drain = rate / (capacity - rate) * outage.as_secs_f64();
    let need = outage.saturating_add(Duration::try_from_secs_f64(drain).ok()?);
    if retention.value >= need {
        return None;
    }
    let lost = retention.value < outage;
    let raised = Duration::from_secs((need.as_secs() / MINUTE + 1) * MINUTE);
    let need = Duration::from_millis(need.as_millis() as u64);
    let finding = Finding {
        rule: RULE.id,
        severity: if lost { Severity::Error } else { Severity::Warning },
        what: format!(
            "{} keeps records for {}, and under {} it takes {} until {} has read what waits",
            topic.name,
            span(retention.value),
            traffic.name(),
            span(need),
            subscription.name
        ),
        place: place.clone(),
        label: if lost { "shorter than the outage" } else { "shorter than outage and drain" }.to_owned(),
        path: Vec::new(),
        formula: format!(
            "{} + {}/s x {} / ({}/s - {}/s) = {} > {}",
            span(outage),
            factor(rate),
            span(outage),
            factor(capacity),
            factor(rate),
            span(need),
            span(retention.value)
        ),
        advice: format!("keep them for {} at least, or read faster", span(raised)),
        edits: vec![Edit::Replace { place: place.clone(), text: format_duration(raised) }],
    };
    Some((Reverse(need), finding))
}

/// More is written than can be read: how old the oldest record gets while the load lasts.
fn overrun(
    asked: &Asked<'_>,
    id: SubscriptionId,
    subscription: &Subscription,
    traffic: &Traffic<'_>,
) -> Option<(Reverse<Duration>, Finding)> {
    let topic = &asked.design.topics[subscription.topic.0 as usize];
    let retention = topic.retention.as_ref()?;
    let (place, rate, reading) =
        (retention.from.place()?, traffic.to(subscription.topic), reading(asked, subscription)?);
    if rate <= reading.mean {
        return None;
    }
    let lasts = traffic.scenario.load.length.value;
    let outages = traffic.scenario.faults.iter().filter_map(|fault| outage(id, subscription, fault));
    let without = outages.max().unwrap_or_default().min(lasts);
    let age = |capacity: f64| {
        let read = capacity * lasts.saturating_sub(without).as_secs_f64() / rate;
        Duration::try_from_secs_f64((lasts.as_secs_f64() - read).max(0.0)).unwrap_or_default()
    };
    let proven = reading.most < rate && age(reading.most) > retention.value;
    let capacity = if proven { reading.most } else { reading.mean };
    let need = Duration::from_millis(age(capacity).as_millis() as u64);
    if need <= retention.value {
        return None;
    }
    let raised = Duration::from_secs((age(reading.mean).as_secs() / MINUTE + 1) * MINUTE);
    let less = if without.is_zero() { span(lasts) } else { format!("({} - {})", span(lasts), span(without)) };
    let finding = Finding {
        rule: RULE.id,
        severity: if proven { Severity::Error } else { Severity::Warning },
        what: format!(
            "{} keeps records for {}, and under {} what waits for {} is never read up and gets {} old",
            topic.name,
            span(retention.value),
            traffic.name(),
            subscription.name,
            span(need)
        ),
        place: place.clone(),
        label: "shorter than the backlog gets old".to_owned(),
        path: Vec::new(),
        formula: format!(
            "{} - {}/s x {less} / {}/s = {} > {}",
            span(lasts),
            factor(capacity),
            factor(rate),
            span(need),
            span(retention.value)
        ),
        advice: format!(
            "read faster, with a higher `concurrency`, or keep them for {} at least",
            span(raised)
        ),
        edits: vec![Edit::Replace { place: place.clone(), text: format_duration(raised) }],
    };
    Some((Reverse(need), finding))
}

/// How many records a second a group can read.
pub(super) struct Reading {
    /// By the mean of a delivery.
    pub(super) mean: f64,
    /// However the times of a delivery are spread.
    pub(super) most: f64,
}

/// What the group of a subscription can read; `None` where nothing is known of a delivery's time.
pub(super) fn reading(asked: &Asked<'_>, subscription: &Subscription) -> Option<Reading> {
    let node = Node { service: subscription.service, operation: subscription.operation };
    let (busy, surely) = (busy(asked.graph.operation(node)), asked.graph.least(node).surely.as_secs_f64());
    let at_once = f64::from(subscription.concurrency.value);
    let (mean, least) = (busy.mean.max(surely), busy.surely.max(surely));
    (mean > 0.0).then(|| Reading { mean: at_once / mean, most: at_once / least })
}

/// How long a fault keeps a subscription from being read.
fn outage(id: SubscriptionId, subscription: &Subscription, fault: &Fault) -> Option<Duration> {
    let consumers = fault.target == Target::Subscription(id);
    let service = fault.target == Target::Service(subscription.service);
    match fault.kind {
        FaultKind::ConsumerStuck if consumers => Some(fault.length.value),
        FaultKind::Pause if service => Some(fault.length.value),
        FaultKind::Crash { restart } if service => Some(fault.length.value.saturating_add(restart)),
        _ => None,
    }
}
