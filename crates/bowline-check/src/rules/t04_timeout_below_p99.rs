//! T04: a timeout that healthy answers meet.

use super::{Rule, one_per_place};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::Node;
use crate::layer;
use crate::mend::{is_one_text, needed, only_deadline};
use crate::tries::{fitting, rounded_up, worst};
use crate::words::{counted, percent, span};
use bowline_design::format::format_duration;
use bowline_design::resolved::{CallSettings, Takes, TryPlan};
use bowline_design::{Place, Sourced};
use std::cmp::Reverse;
use std::time::Duration;

pub(super) const RULE: Rule = Rule {
    id: "T04",
    title: "a timeout below the 99th percentile",
    about: "A try, or the whole call, has less time than 99 of 100 answers take when nothing is wrong: the calls that are\n\
        cut off are failures that the caller makes itself. Each costs its callee the whole work, each that is tried\n\
        again costs it twice, and a breaker counts it.\n\
        The share is that of a log-normal distribution with the p50 and p99 that the operation `takes`, which is a time\n\
        without queues: under load it is higher. Nothing is said where `takes` is not known, and what more than half of\n\
        all answers miss is T01's.\n\
        Warning: cutting off the slowest tries to ask another host may be meant; then say so with an exception.\n\
        The edit gives the limit the 99th percentile, with as few tries or as long a deadline as that needs to fit.",
    check,
};

/// A span of a call that is too short, and of what.
struct Short<'a> {
    settings: &'a CallSettings,
    limit: &'a Sourced<Duration>,
    /// Whether it is the time of one try.
    of_a_try: bool,
    node: Node,
}

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let called = asked.graph.calls.iter().map(|call| (call.settings, call.to));
    let met = asked.met.iter().filter_map(|met| Some((met.settings, met.node()?)));
    // Of several operations at one limit the one that needs most speaks for all.
    one_per_place(called.chain(met).flat_map(|(settings, node)| {
        let whole = settings.deadlines.iter().map(|(_, limit)| (limit, false));
        let each = settings.retry.per_try.iter().map(|limit| (limit, true));
        let short = whole.chain(each).map(|(limit, of_a_try)| Short { settings, limit, of_a_try, node });
        short.filter_map(|short| finding(asked, &short)).collect::<Vec<_>>()
    }))
}

fn finding(asked: &Asked<'_>, short: &Short<'_>) -> Option<(Reverse<Duration>, Finding)> {
    let (limit, place) = (short.limit.value, short.limit.from.place()?);
    let takes = &asked.graph.operation(short.node).takes.as_ref()?.value;
    let need = asked.needs(short.node);
    // What half of all answers miss is said by T01, as an error.
    if takes.p99 <= limit || asked.graph.least(short.node).half > limit {
        return None;
    }
    let (name, late) = (asked.graph.name(short.node), takes.later_than(limit));
    let of = if short.of_a_try { "tries" } else { "calls" };
    let (advice, edits) = longer(asked, short, place);
    let finding = Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!("{} of all {of} of {name} are cut off although nothing is wrong", percent(late)),
        place: place.clone(),
        label: format!("99 of 100 answers take up to {}", span(takes.p99)),
        path: vec![name],
        formula: format!("{}{}", formula(takes, limit), again(asked, short, late)),
        advice,
        edits,
    };
    Some((Reverse(need), finding))
}

/// `p50 20 ms, p99 180 ms, log-normal: 4.4 % take longer than 100 ms`.
fn formula(takes: &Takes, limit: Duration) -> String {
    let late = percent(takes.later_than(limit));
    format!(
        "p50 {}, p99 {}, log-normal: {late} take longer than {}",
        span(takes.p50),
        span(takes.p99),
        span(limit)
    )
}

/// What these tries add to the callee's load, where each is followed by another.
fn again(asked: &Asked<'_>, short: &Short<'_>, late: f64) -> String {
    let tries = layer::tries(short.settings, asked.graph.operation(short.node));
    if !short.of_a_try || tries < 2 {
        return String::new();
    }
    let more: f64 = (1..tries.min(64)).map(|retry| late.powf(f64::from(retry))).sum();
    format!(", and {} more calls are made for it", percent(more))
}

/// The advice and the edits that give the limit what nearly all answers need.
fn longer(asked: &Asked<'_>, short: &Short<'_>, place: &Place) -> (String, Vec<Edit>) {
    let (settings, plan) = (short.settings, &short.settings.retry);
    let enough = rounded_up(needed(asked, place));
    let text = format_duration(enough);
    let raise = Edit::Replace { place: place.clone(), text: text.clone() };
    let field = place.path.rsplit('.').next().unwrap_or_default();
    let advice = format!("raise {field} to {text}");
    let whole = settings.deadlines.iter().map(|(_, deadline)| deadline.value).min();
    if !short.of_a_try {
        return (advice, vec![raise]);
    }
    let longer = TryPlan { per_try: Some(Sourced { value: enough, ..short.limit.clone() }), ..plan.clone() };
    let (Some(all), Some(whole)) = (worst(&longer), whole) else { return (advice, vec![raise]) };
    if all <= whole {
        return (advice, vec![raise]);
    }
    let fit = fitting(&longer, enough, whole);
    if let Some(fewer) = layer::fewer(plan, fit).filter(|fewer| fewer.tries <= fit) {
        let fewer_tries = counted(fewer.tries, "try", "tries");
        return (
            format!("{advice}, and allow {fewer_tries}: more do not fit into {}", span(whole)),
            vec![raise, fewer.edit],
        );
    }
    let deadline = only_deadline(settings).filter(|deadline| !is_one_text(short.limit, Some(deadline)));
    match deadline.and_then(|deadline| deadline.from.place()) {
        Some(of_all) => {
            let longest = format_duration(rounded_up(all));
            let both = format!("{advice} and the deadline to {longest}, so that all tries fit");
            (both, vec![raise, Edit::Replace { place: of_all.clone(), text: longest }])
        }
        None => (format!("{advice}, and make room for it in the deadline of {}", span(whole)), Vec::new()),
    }
}
