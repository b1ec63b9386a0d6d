//! T05: a timeout so long that callers stand still before it helps.

use super::{Rule, one_per_place};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::{Call, patience};
use crate::traffic::{Traffic, busy};
use crate::tries::rounded_down;
use crate::words::{factor, span};
use bowline_design::format::format_duration;
use bowline_design::resolved::CallSettings;
use bowline_design::{Place, Sourced};
use std::time::Duration;

/// How many times the 99.9th percentile is far above: the time without queues, an overload that makes answers ten times
/// as slow, and still somebody who waits.
const FAR: u32 = 10;

pub(super) const RULE: Rule = Rule {
    id: "T05",
    title: "a timeout far above what answers take",
    about: "A callee that hangs is noticed when a timeout says so. Where that is more than 10 times as long as 999 of 1000\n\
        answers take, each call to it holds a place of its caller for so long that all places are taken: then one\n\
        callee that hangs is a caller that answers nobody, whatever else it could do.\n\
        Warning: under a scenario's load, calls a second x time of a try >= the places of the bulkhead, or the\n\
        `concurrency` of the caller, in all its processes. Where the places are enough, or nobody says how many there\n\
        are, nothing is reported; nor of a callee that makes calls itself, whose time is not its own.\n\
        The 99.9th percentile is that of the log-normal distribution with the p50 and p99 that the operation `takes`.\n\
        The edit makes the limit as short as the places ask for, and never shorter than 99.9 % of answers take.",
    check,
};

/// What a caller has places of.
struct Places<'a> {
    count: f64,
    /// `the bulkhead of prices` or `window`.
    whose: String,
    /// The calls that hold them.
    calls: Vec<&'a Call<'a>>,
}

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    one_per_place(
        asked
            .traffic
            .iter()
            .flat_map(|traffic| asked.graph.calls.iter().filter_map(|call| finding(asked, traffic, call))),
    )
}

fn finding(asked: &Asked<'_>, traffic: &Traffic<'_>, call: &Call<'_>) -> Option<(Duration, Finding)> {
    let takes = &asked.graph.operation(call.to).takes.as_ref()?.value;
    let limit = limit(call.settings)?;
    let place = limit.from.place()?;
    let far = takes.p999().saturating_mul(FAR);
    if limit.value <= far || asked.graph.made_by(call.to).next().is_some() {
        return None;
    }
    let rate = traffic.by(call);
    let held = rate * limit.value.as_secs_f64();
    let places = pools(asked, call).into_iter().min_by(|a, b| a.count.total_cmp(&b.count))?;
    // What all calls hold when nothing hangs: where that does not fit, the load is at fault.
    let usual: f64 =
        places.calls.iter().map(|call| traffic.by(call) * busy(asked.graph.operation(call.to)).mean).sum();
    if held < places.count || usual >= places.count {
        return None;
    }
    let name = asked.graph.name(call.to);
    let shorter = Duration::try_from_secs_f64(places.count / rate).ok().map(rounded_down)?;
    // Shorter by a hair than what holds all places.
    let shorter = if rate * shorter.as_secs_f64() < places.count {
        shorter
    } else {
        rounded_down(shorter.mul_f64(0.99))
    };
    let (advice, edits) = shorten(asked, place, shorter, takes.p999());
    let finding = Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!(
            "a {name} that hangs is noticed after {}, and by then it holds all places of {} under {}",
            span(limit.value),
            places.whose,
            traffic.name()
        ),
        place: place.clone(),
        label: format!("999 of 1000 answers take up to {}", span(takes.p999())),
        path: vec![call.caller.clone(), name],
        formula: format!(
            "{} > {FAR} x {}; {}/s x {} = {} at once >= {}",
            span(limit.value),
            span(takes.p999()),
            factor(rate),
            span(limit.value),
            factor(held),
            factor(places.count)
        ),
        advice,
        edits,
    };
    Some((shorter, finding))
}

/// What a call waits for one answer, and who said so.
fn limit(settings: &CallSettings) -> Option<&Sourced<Duration>> {
    let patience = patience(settings)?;
    let whole = settings.deadlines.iter().map(|(_, deadline)| deadline);
    settings.retry.per_try.iter().chain(whole).find(|limit| limit.value == patience)
}

/// The places that a call holds one of while it waits: of its bulkhead, and of its caller.
fn pools<'a>(asked: &'a Asked<'_>, call: &Call<'_>) -> Vec<Places<'a>> {
    let caller = call.from.map(|from| (from.service, asked.design.service(from.service)));
    let processes = f64::from(caller.map_or(1, |(_, service)| service.replicas.value.max(1)));
    let calls = || asked.graph.calls.iter();
    let key = &call.settings.keys.bulkhead;
    let bulkhead = call.settings.bulkhead.as_ref().map(|bulkhead| Places {
        count: f64::from(bulkhead.value.concurrent) * processes,
        whose: format!("the bulkhead of {}", asked.design.service(call.to.service).name),
        calls: calls().filter(|other| other.settings.keys.bulkhead == *key).collect(),
    });
    let own = caller.and_then(|(id, service)| {
        Some(Places {
            count: f64::from(service.concurrency.as_ref()?.value) * processes,
            whose: service.name.to_string(),
            calls: calls().filter(|other| other.from.is_some_and(|from| from.service == id)).collect(),
        })
    });
    bulkhead.into_iter().chain(own).collect()
}

/// The advice and the edit that make a limit shorter, where that cuts off nothing that is healthy.
fn shorten(asked: &Asked<'_>, place: &Place, shorter: Duration, p999: Duration) -> (String, Vec<Edit>) {
    let needs = crate::mend::needed(asked, place).max(p999);
    let field = place.path.rsplit('.').next().unwrap_or_default();
    let text = format_duration(shorter);
    if shorter < needs {
        let advice =
            "allow more at once, or put a breaker in front of it: a shorter time cuts off healthy answers";
        return (advice.to_owned(), Vec::new());
    }
    let edit = Edit::Replace { place: place.clone(), text: text.clone() };
    (format!("lower {field} to {text}: nearly every answer is there by then"), vec![edit])
}
