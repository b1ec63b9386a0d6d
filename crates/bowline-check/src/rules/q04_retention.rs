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
        records are given to. Only scenarios with an arm without overlay are looked at.\n\
        The edit raises the retention to both together, in whole minutes.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (id, subscription) in (0..).map(SubscriptionId).zip(&asked.design.subscriptions) {
        for traffic in &asked.traffic {
            let faults = traffic.scenario.faults.iter();
            found.extend(faults.filter_map(|fault| finding(asked, id, subscription, traffic, fault)));
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
    let node = Node { service: subscription.service, operation: subscription.operation };
    let least = asked.graph.least(node);
    let each = busy(asked.graph.operation(node)).mean.max(least.surely.as_secs_f64());
    let capacity = f64::from(subscription.concurrency.value) / each;
    // A backlog that is never drained is no question of retention.
    let drain = if capacity > rate { rate / (capacity - rate) * outage.as_secs_f64() } else { 0.0 };
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
