//! Q01: a queue without a bound, where a scenario of the design makes it grow.

use super::q04_retention::reading;
use super::{Rule, one_per_place};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::{Call, patience};
use crate::storm::{Asks, storm};
use crate::traffic::{Traffic, busy};
use crate::words::{counted, factor, span};
use bowline_design::Place;
use bowline_design::resolved::{Service, ServiceId, Subscription};
use std::time::Duration;

/// What may wait is bounded at this much of the time that a try has: the other half is for the work itself.
const WAITING_SHARE: f64 = 0.5;

/// How long the longest wait may be where no caller has a limit: shorter than the patience of people.
const WAIT: Duration = Duration::from_secs(1);

pub(super) const RULE: Rule = Rule {
    id: "Q01",
    title: "an unbounded queue",
    about: "A service works on `concurrency` requests at once and lets any number wait, and a scenario of the design\n\
        brings more than it can do: what waits grows for as long as the load lasts, every answer comes later than\n\
        the one before, and in the end all work is for callers who have gone. A bounded queue refuses at once what\n\
        it could not answer in time.\n\
        Error: the load is above what it can do however its times are spread: the mean of `takes` is at least half\n\
        of its p50, because half of all requests take that long.\n\
        Warning: the load is above it with `takes` read as a log-normal distribution; or the load fits, but tries\n\
        that time out in the queue keep so many retries coming that the queue stays as long as it is (the share of\n\
        an M/M/1 queue's answers later than the per-try time, at the load with all retries that the budget allows; where\n\
        there is no budget, R04 says it).\n\
        A queue in front of which every caller has a bulkhead is bounded by those; nothing is said where what they let\n\
        through is done in the time that a caller waits. A bulkhead's own queue has no bound where it is a connection\n\
        pool's without `http1MaxPendingRequests`; and what waits in a topic has none without `retention`, where a\n\
        scenario writes more than a group of its readers can take.\n\
        Arms with an overlay are looked at as the designs that they are, and are no more than warnings. The edit adds a `queue` with which nobody waits\n\
        longer than half the time that a try has.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let unbounded = |(_, service): &(ServiceId, &Service)| service.queue.is_none() && !service.external;
    let services =
        asked.design.services().filter(unbounded).filter_map(|(id, service)| worst(asked, id, service));
    let loads = || asked.traffic.iter();
    let pools = loads().flat_map(|traffic| {
        asked.graph.calls.iter().filter_map(|call| Some((0, pool(asked, traffic, call)?)))
    });
    let topics = loads().flat_map(|traffic| {
        asked.design.subscriptions.iter().filter_map(|reader| Some((0, topic(asked, traffic, reader)?)))
    });
    services.chain(one_per_place(pools)).chain(one_per_place(topics)).collect()
}

/// A connection pool that lets any number wait for it.
fn pool(asked: &Asked<'_>, traffic: &Traffic<'_>, call: &Call<'_>) -> Option<Finding> {
    let bulkhead = call.settings.bulkhead.as_ref()?;
    let place = bulkhead.from.place().filter(|_| bulkhead.value.queue == u32::MAX)?;
    let key = &call.settings.keys.bulkhead;
    let same = asked.graph.calls.iter().filter(|other| other.settings.keys.bulkhead == *key);
    let (mut rate, mut surely, mut mean) = (0.0, 0.0, 0.0);
    for other in same {
        let (each, calls) = (busy(asked.graph.operation(other.to)), traffic.by(other));
        rate += calls;
        surely += calls * each.surely;
        mean += calls * each.mean;
    }
    let places = f64::from(bulkhead.value.concurrent);
    // Each process of a caller has a pool of its own.
    let processes = call.from.map_or(1, |from| asked.design.service(from.service).replicas.value);
    let places = places * f64::from(processes.max(1));
    if mean <= places {
        return None;
    }
    let proven = surely > places;
    let work = if proven { surely } else { mean };
    let name = &asked.design.service(call.to.service).name;
    Some(Finding {
        rule: RULE.id,
        severity: if proven { Severity::Error } else { Severity::Warning },
        what: format!(
            "any number of calls waits for the pool of {name} and more come: {} brings {} a second, and {} can be made",
            traffic.name(),
            factor(rate),
            factor(rate * places / work)
        ),
        place: place.clone(),
        label: format!("{} at once, and any number wait", bulkhead.value.concurrent),
        path: vec![call.caller.clone(), asked.graph.name(call.to)],
        formula: format!(
            "{} at once / {} = {}/s < {}/s",
            factor(places),
            seconds(work / rate),
            factor(rate * places / work),
            factor(rate)
        ),
        advice: "bound what waits, with `http1MaxPendingRequests` beside it, or allow more at once"
            .to_owned(),
        edits: Vec::new(),
    })
}

/// A topic that keeps everything, and grows.
fn topic(asked: &Asked<'_>, traffic: &Traffic<'_>, reader: &Subscription) -> Option<Finding> {
    let topic = &asked.design.topics[reader.topic.0 as usize];
    let rate = traffic.to(reader.topic);
    let reading = reading(asked, reader)?;
    if topic.retention.is_some() || rate <= reading.mean {
        return None;
    }
    let known = asked.documents.topics.iter().find(|known| known.meta.place == topic.place)?;
    let proven = rate > reading.most;
    let most = if proven { reading.most } else { reading.mean };
    Some(Finding {
        rule: RULE.id,
        severity: if proven { Severity::Error } else { Severity::Warning },
        what: format!(
            "what waits in {} has no bound and grows: {} writes {} a second, and {} reads {}",
            topic.name,
            traffic.name(),
            factor(rate),
            reader.name,
            factor(most)
        ),
        place: known.place.clone(),
        label: "no `retention`".to_owned(),
        path: Vec::new(),
        formula: format!(
            "{}/s - {}/s = {}/s more each second",
            factor(rate),
            factor(most),
            factor(rate - most)
        ),
        advice: format!(
            "read faster, with a higher `concurrency` of {}, or let old records go, with `retention: 7d` say",
            reader.name
        ),
        edits: vec![Edit::Add { place: known.place.clone(), field: "retention: 7d".to_owned() }],
    })
}

/// The gravest of what the scenarios do to one service.
fn worst(asked: &Asked<'_>, id: ServiceId, service: &Service) -> Option<Finding> {
    let each = asked.traffic.iter().filter_map(|traffic| finding(asked, traffic, id, service));
    // Of equals the first: `max_by_key` would take the last.
    each.fold(None, |worst: Option<Finding>, finding| match worst {
        Some(worst) if worst.severity >= finding.severity => Some(worst),
        _ => Some(finding),
    })
}

fn finding(asked: &Asked<'_>, traffic: &Traffic<'_>, id: ServiceId, service: &Service) -> Option<Finding> {
    let concurrency = service.concurrency.as_ref()?;
    let places = f64::from(concurrency.value) * f64::from(service.replicas.value);
    let asks = Asks::of(asked, traffic, id)?;
    let capacity = asks.capacity(places);
    if bounded_by_callers(asked, traffic, id, &asks, capacity) {
        return None;
    }
    let (severity, what, formula) = if asks.mean > places {
        let proven = asks.surely > places;
        let most = if proven { asks.rate * places / asks.surely } else { capacity };
        (
            if proven { Severity::Error } else { Severity::Warning },
            format!(
                "the queue of {} has no bound and grows: {} asks for {} a second, and it can do {}",
                service.name,
                traffic.name(),
                factor(asks.rate),
                factor(most)
            ),
            format!(
                "{} at once / {} = {}/s < {}/s{}",
                factor(places),
                seconds(if proven { asks.surely } else { asks.mean } / asks.rate),
                factor(most),
                factor(asks.rate),
                if proven { " (a mean of at least p50 / 2)" } else { "" }
            ),
        )
    } else {
        // Retries that have no budget are R04's: that is the first thing to mend.
        let storm = storm(asked, traffic, id, &asks, capacity).filter(|storm| storm.has_budget)?;
        let keep = counted(storm.tries, "try", "tries");
        (
            Severity::Warning,
            format!(
                "the queue of {} has no bound, and once it is long, {keep} keep it long under {}",
                service.name,
                traffic.name()
            ),
            storm.formula,
        )
    };
    let document = asked.documents.services.iter().find(|known| known.meta.place == service.place);
    let waiting = queue(asked, id, capacity / f64::from(service.replicas.value));
    let place: &Place = concurrency.from.place().unwrap_or(&service.place);
    Some(Finding {
        rule: RULE.id,
        severity,
        what,
        place: place.clone(),
        label: format!("{} at once, and any number wait", concurrency.value),
        path: Vec::new(),
        formula,
        advice: format!("bound what waits, with `queue: {waiting}` for a start"),
        edits: document
            .map(|known| Edit::Add { place: known.place.clone(), field: format!("queue: {waiting}") })
            .into_iter()
            .collect(),
    })
}

/// Whether every caller has a bulkhead, and what all of them let through is done while the callers still wait.
fn bounded_by_callers(
    asked: &Asked<'_>,
    traffic: &Traffic<'_>,
    id: ServiceId,
    asks: &Asks,
    capacity: f64,
) -> bool {
    let calls = || asked.graph.calls.iter().filter(|call| call.to.service == id && traffic.by(call) > 0.0);
    let called: f64 = calls().map(|call| traffic.by(call)).sum();
    // Others ask without any of these calls. A hair less is floating-point dust.
    if called < asks.rate * (1.0 - 1e-9) {
        return false;
    }
    let through = |call: &Call<'_>| {
        let bulkhead = call.settings.bulkhead.as_ref()?.value;
        let processes = call.from.map_or(1, |from| asked.design.service(from.service).replicas.value);
        Some(f64::from(bulkhead.concurrent) * f64::from(processes))
    };
    let all: Option<f64> = calls().map(through).sum();
    let patience = calls().filter_map(|call| patience(call.settings)).min().unwrap_or(WAIT);
    all.is_some_and(|all| all <= patience.as_secs_f64() * capacity)
}

/// How many may wait in one replica, so that the least patient caller is still there when they are done.
fn queue(asked: &Asked<'_>, id: ServiceId, each: f64) -> u32 {
    let calls = asked.graph.calls.iter().filter(|call| call.to.service == id);
    let patience = calls.filter_map(|call| patience(call.settings)).min().unwrap_or(WAIT);
    ((patience.as_secs_f64() * WAITING_SHARE * each) as u32).max(1)
}

fn seconds(seconds: f64) -> String {
    span(Duration::from_micros((seconds * 1e6).round() as u64))
}
