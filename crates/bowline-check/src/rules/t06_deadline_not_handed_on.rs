//! T06: whoever waits stops waiting, and those who work for them never hear of it.

use super::t01_deadline_cannot_be_met::late_tries;
use super::{Rule, one_per_place};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::{Call, Node, longest};
use crate::words::span;
use bowline_design::Place;
use bowline_design::resolved::ServiceId;
use std::cmp::Reverse;
use std::time::Duration;

pub(super) const RULE: Rule = Rule {
    id: "T06",
    title: "a deadline that is not handed on",
    about: "An operation has a deadline, makes calls that may last longer than what is left of it, and its service does not\n\
        hand deadlines on. When the caller gives up, the callees go on: under load that is work for nobody, done in the\n\
        place of work that somebody waits for.\n\
        `forwards: true` says that a service hands on what it is told, with the library or with a few lines of\n\
        middleware; without it nobody knows, and it is taken not to.\n\
        Warning: a call has a limit of its own that is longer than what is left, or it has none and its callee is known to\n\
        take longer (99 of 100 answers take up to `p99`). A call without a limit of which no more is known is not reported:\n\
        code may bound it, which no design shows. Only deadlines that somebody wrote count, not the 30 s that a gateway\n\
        stamps by itself; what is late at best and tries that do not fit are T01's, and the sum of all calls behind a gateway\n\
        T07's. One finding for each service: the call that outlasts its caller by most.\n\
        The edit writes `forwards: true`. Make it true first.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    one_per_place(asked.graph.calls.iter().filter_map(|call| finding(asked, call)))
}

fn finding(asked: &Asked<'_>, call: &Call<'_>) -> Option<(Reverse<Duration>, Finding)> {
    let graph = &asked.graph;
    let from = call.from?;
    let service = asked.design.service(from.service);
    let told = asked.told.get(&from).filter(|told| told.is_written)?;
    let rest = told.span.checked_sub(call.before)?;
    let limit = longest(call.settings);
    let lasts = limit.unwrap_or_else(|| asked.needs(call.to));
    if service.forwards.value || lasts <= rest || is_the_gateways(asked, from) {
        return None;
    }
    // What cannot be in time at best, and tries that do not fit, are T01's.
    if graph.least(from).half > told.span || late_tries(asked, call).is_some() {
        return None;
    }
    let path = graph.path_of(told, &asked.told);
    let giver = path[0].caller.clone();
    let stations: Vec<&Call<'_>> = path.into_iter().chain([call]).collect();
    let (name, callee) = (graph.name(from), graph.name(call.to));
    let edit = forwards(asked, from.service);
    let place = edit.as_ref().map_or(&service.place, Edit::place).clone();
    let finding = Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!(
            "{giver} waits {} for {name}, which does not hand that on: {callee} may work for up to {}, for nobody",
            span(told.given),
            span(lasts)
        ),
        place,
        label: format!("{} does not say that it forwards deadlines", service.name),
        path: graph.stations(&stations),
        formula: match limit {
            Some(limit) => format!("{} > {} that are left", span(limit), span(rest)),
            None => format!("no limit, p99 {} > {} that are left", span(lasts), span(rest)),
        },
        advice: format!(
            "hand the deadline on, with the library or in its middleware, and say so: `forwards: true` of {}",
            service.name
        ),
        edits: edit.into_iter().collect(),
    };
    Some((Reverse(lasts - rest), finding))
}

/// Whether T07 speaks of an operation: all of its calls have limits, and it is a gateway that waits for them.
fn is_the_gateways(asked: &Asked<'_>, node: Node) -> bool {
    let told = asked.told.get(&node).and_then(|told| asked.graph.given_by(told));
    told.is_some_and(|call| call.from.is_none()) && asked.graph.most(node).is_some()
}

/// `forwards: true`, where the service is declared.
fn forwards(asked: &Asked<'_>, id: ServiceId) -> Option<Edit> {
    let service = asked.design.service(id);
    let written: Option<&Place> = service.forwards.from.place();
    if let Some(place) = written {
        return Some(Edit::Replace { place: place.clone(), text: "true".to_owned() });
    }
    let document = asked.documents.services.iter().find(|known| known.meta.place == service.place)?;
    Some(Edit::Add { place: document.place.clone(), field: "forwards: true".to_owned() })
}
