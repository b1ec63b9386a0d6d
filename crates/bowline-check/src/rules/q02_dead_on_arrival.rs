//! Q02: a queue so long that whoever waits at its end is given up before it is their turn.

use super::Rule;
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::patience;
use crate::traffic::busy;
use crate::words::span;
use bowline_design::resolved::{Service, ServiceId};
use std::time::Duration;

pub(super) const RULE: Rule = Rule {
    id: "Q02",
    title: "dead on arrival",
    about: "A queue holds more than the service does in the time that a caller waits: who joins a full queue is given\n\
        up before it is their turn, and the service works for nobody. cap / m > limit, where m is `concurrency` over\n\
        the mean of `takes` as a log-normal distribution, and the limit is the per-try time or the deadline,\n\
        whichever is shorter.\n\
        Warning: the queue need not ever be full. Of several operations the fastest counts, so the wait is the\n\
        least that a full queue means; where one says nothing about its time, nothing is reported.\n\
        The edit lowers `queue` so that the longest wait is half of the limit.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    asked.design.services().filter_map(|(id, service)| finding(asked, id, service)).collect()
}

fn finding(asked: &Asked<'_>, id: ServiceId, service: &Service) -> Option<Finding> {
    let (queue, concurrency) = (service.queue.as_ref()?, service.concurrency.as_ref()?);
    let each = service.operations.iter().map(|operation| busy(operation).mean).min_by(f64::total_cmp)?;
    if each <= 0.0 {
        return None;
    }
    let one = each / f64::from(concurrency.value);
    let wait = Duration::try_from_secs_f64(f64::from(queue.value) * one).ok()?;
    let met = asked.met.iter().filter(|met| met.service == id && met.operation.is_some());
    let limits = met.filter_map(|met| Some((patience(met.settings)?, met.name(asked.design))));
    let (limit, name) = limits.min_by_key(|(limit, _)| *limit).filter(|(limit, _)| *limit < wait)?;
    let fitting = ((limit.as_secs_f64() / 2.0 / one) as u32).max(1);
    let place = queue.from.place()?;
    let wait = Duration::from_micros(wait.as_micros() as u64);
    let each = Duration::from_micros((each * 1e6).round() as u64);
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!(
            "who joins the full queue of {} waits {}, and callers of {name} give up after {}",
            service.name,
            span(wait),
            span(limit)
        ),
        place: place.clone(),
        label: format!("{} may wait", queue.value),
        path: Vec::new(),
        formula: format!(
            "{} x {} / {} at once = {} > {}",
            queue.value,
            span(each),
            concurrency.value,
            span(wait),
            span(limit)
        ),
        advice: format!("lower `queue` to {fitting}: the last one then waits for half of that time"),
        edits: vec![Edit::Replace { place: place.clone(), text: fitting.to_string() }],
    })
}
