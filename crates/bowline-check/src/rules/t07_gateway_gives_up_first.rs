//! T07: a gateway gives up before the operation behind it does.

use super::t01_deadline_cannot_be_met::late_tries;
use super::{Rule, one_per_place};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::{Call, longest, patience};
use crate::mend::only_deadline;
use crate::tries::rounded_up;
use crate::words::span;
use bowline_design::format::format_duration;
use std::cmp::Reverse;
use std::time::Duration;

pub(super) const RULE: Rule = Rule {
    id: "T07",
    title: "a gateway that gives up before the operation behind it",
    about: "The limits that an operation sets for its own calls add up to more than the gateway in front of it waits, and it\n\
        does not hand deadlines on. While a callee is slow, the gateway answers 504, and behind it the work goes on: the\n\
        client is told that it failed, asks again, and what was asked for is done after all, perhaps twice.\n\
        What adds up: `work`, and of each call the deadline or all of its tries, whichever ends first; of calls side by\n\
        side and of choices the longest. A call without a limit is T06's.\n\
        Warning: it takes a callee that is slow. Where even the best case is too long, or it is the tries of one call that\n\
        do not fit, T01 says so. A gateway\n\
        waits for the route's `timeout`, or for the 30 s that it stamps where nobody wrote one, or for one try.\n\
        The edit lets the gateway wait as long as the operation; the other mend is to hand the deadline on and write\n\
        `forwards: true`.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    one_per_place(asked.graph.ways_in().filter_map(|(_, call)| finding(asked, call)))
}

fn finding(asked: &Asked<'_>, call: &Call<'_>) -> Option<(Reverse<Duration>, Finding)> {
    let service = asked.design.service(call.to.service);
    let (waits, most) = (patience(call.settings)?, asked.graph.most(call.to)?);
    if service.forwards.value || most <= waits {
        return None;
    }
    // What cannot be in time at best is T01's, and so are tries that do not fit into what the gateway waits.
    let late = |(_, made): (usize, &Call<'_>)| late_tries(asked, made).is_some();
    if asked.graph.least(call.to).half > waits || asked.graph.made_by(call.to).any(late) {
        return None;
    }
    let (name, gateway) = (asked.graph.name(call.to), &call.caller);
    let edit = longer(call, waits, most);
    let place = edit.as_ref().map_or(call.place, Edit::place).clone();
    let advice = match &edit {
        Some(_) => format!(
            "let {gateway} wait for {}, or let {} hand the deadline on and say so with `forwards: true`",
            format_duration(rounded_up(most)),
            service.name
        ),
        None => format!("let {} hand the deadline on and say so with `forwards: true`", service.name),
    };
    let finding = Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!(
            "{gateway} gives {name} up after {}, and {name} goes on for up to {}",
            span(waits),
            span(most)
        ),
        place,
        label: format!("shorter than the {} that {name} allows itself", span(most)),
        path: vec![gateway.clone(), name],
        formula: format!("{} > {}", sum(asked, call, most), span(waits)),
        advice,
        edits: edit.into_iter().collect(),
    };
    Some((Reverse(most), finding))
}

/// The limit of the gateway made as long as the operation behind it takes, where one edit does that.
fn longer(call: &Call<'_>, waits: Duration, most: Duration) -> Option<Edit> {
    let (settings, text) = (call.settings, format_duration(rounded_up(most)));
    // Tries that are as long would have to fit into a deadline as well.
    if settings.retry.per_try.as_ref().is_some_and(|per_try| per_try.value <= waits) {
        return None;
    }
    if settings.deadlines.is_empty() {
        return Some(Edit::Add { place: call.place.clone(), field: format!("timeout: {text}") });
    }
    let place = only_deadline(settings)?.from.place()?;
    Some(Edit::Replace { place: place.clone(), text })
}

/// What adds up: `300 ms + 300 ms = 600 ms`, or the sum alone where it is no plain row of calls.
fn sum(asked: &Asked<'_>, call: &Call<'_>, most: Duration) -> String {
    /// More terms than this are longer to read than their sum.
    const TERMS_MAX: usize = 6;
    let limits: Vec<Duration> =
        asked.graph.made_by(call.to).filter_map(|(_, made)| longest(made.settings)).collect();
    let calls: Duration = limits.iter().sum();
    let own = most.checked_sub(calls);
    match own {
        Some(own) if limits.len() <= TERMS_MAX && limits.len() + usize::from(!own.is_zero()) > 1 => {
            let terms = Some(own).filter(|own| !own.is_zero()).into_iter().chain(limits);
            format!("{} = {}", terms.map(span).collect::<Vec<_>>().join(" + "), span(most))
        }
        _ => span(most),
    }
}
