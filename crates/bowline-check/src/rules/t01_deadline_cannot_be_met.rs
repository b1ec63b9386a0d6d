//! T01: a caller waits less long than what it waits for may take.

use super::{Rule, one_per_place};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::{Call, Graph, Node};
use crate::mend::to_fit;
use crate::met::Met;
use crate::timeouts::with_fact;
use crate::tries::{fitting, formula, per_try_that_fits, rounded_up, worst};
use crate::words::span;
use bowline_design::Sourced;
use bowline_design::format::format_duration;
use bowline_design::resolved::CallSettings;
use std::cmp::Reverse;
use std::time::Duration;

pub(super) const RULE: Rule = Rule {
    id: "T01",
    title: "deadline inversion",
    about: "A caller's deadline is shorter than what it waits for may take. Time that the callee spends after that\n\
        instant is wasted: nobody is there to hear the answer.\n\
        Error: even if nothing fails and nothing queues, the answer comes after the deadline or after the time that\n\
        one try has: of every call, by what the operation `does`, or of half of them, by the p50 that it `takes`.\n\
        It needs no caller in the design: whoever comes through the mesh port waits no longer.\n\
        Warning: if each try of a call further down runs to its cap, only some fit into what the callers above have\n\
        left for it. After fast failures all of them may fit; where `retryOn` names no timeout, as Istio's default\n\
        does not, the advice says so.\n\
        The error's edit gives twice the least time; the warning's makes the tries further down fit.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let graph = &asked.graph;
    let called = graph.calls.iter().flat_map(|call| cannot_be_met(graph, call));
    // Whoever calls through the mesh port stands in no graph. What a caller of the design is given at the
    // same place is told of that one.
    let uncalled = asked.met.iter().flat_map(|met| cannot_be_met_by_anybody(graph, met));
    let late = graph.calls.iter().filter_map(|call| late_tries(asked, call));
    one_per_place(called.chain(uncalled)).into_iter().chain(one_per_place(late)).collect()
}

/// Every deadline of a call, and the time of a try, that is shorter than the least time of an answer.
/// Ordered so that, where calls share a deadline, the one that needs most speaks for all.
fn cannot_be_met<'a>(
    graph: &'a Graph<'_>,
    call: &'a Call<'_>,
) -> impl Iterator<Item = (Reverse<Duration>, Finding)> + 'a {
    let settings = call.settings;
    let stamped = settings.edge_deadline.iter().filter(|_| settings.deadlines.is_empty());
    limits(settings).chain(stamped.map(|deadline| ("", deadline))).filter_map(|(of, limit)| {
        let edit = |raised: &str| match limit.from.place() {
            Some(place) => Edit::Replace { place: place.clone(), text: raised.to_owned() },
            // A gateway's own deadline: the route takes its place with one that is written.
            None => Edit::Add { place: call.place.clone(), field: format!("timeout: {raised}") },
        };
        too_short(graph, &call.caller, call.to, (of, limit.value), edit)
    })
}

/// The same of what is written about an operation, whoever asks for it.
fn cannot_be_met_by_anybody<'a>(
    graph: &'a Graph<'_>,
    met: &'a Met<'_>,
) -> impl Iterator<Item = (Reverse<Duration>, Finding)> + 'a {
    limits(met.settings).filter_map(|(of, limit)| {
        let (place, node) = (limit.from.place()?, met.node()?);
        let edit = |raised: &str| Edit::Replace { place: place.clone(), text: raised.to_owned() };
        let (key, finding) = too_short(graph, &place.resource, node, (of, limit.value), edit)?;
        Some((key, Finding { path: vec![graph.name(node)], ..finding }))
    })
}

/// What bounds a call, with what it is a bound of.
fn limits(settings: &CallSettings) -> impl Iterator<Item = (&'static str, &Sourced<Duration>)> {
    let whole = settings.deadlines.iter().map(|(_, deadline)| ("", deadline));
    whole.chain(settings.retry.per_try.iter().map(|per_try| ("a try of ", per_try)))
}

/// Whether `who` gives `callee` less than it takes. `edit` makes it longer.
fn too_short(
    graph: &Graph<'_>,
    who: &str,
    callee: Node,
    (of, limit): (&str, Duration),
    edit: impl Fn(&str) -> Edit,
) -> Option<(Reverse<Duration>, Finding)> {
    let (name, least, given) = (graph.name(callee), graph.least(callee), span(limit));
    if least.half <= limit {
        return None;
    }
    let of_all = least.surely > limit;
    let need = if of_all { least.surely } else { least.half };
    let (takes, so) = match of_all {
        true => (format!("takes at least {} if nothing fails", span(need)), "no call can be in time"),
        false => (
            format!("takes {} or more in half of all calls", span(need)),
            "at best every other call is in time",
        ),
    };
    let raised = format_duration(rounded_up(least.half.saturating_mul(2)));
    let edit = edit(&raised);
    let finding = Finding {
        rule: RULE.id,
        severity: Severity::Error,
        what: format!("{who} gives {of}{name} {given}, and {name} {takes}: {so}"),
        place: edit.place().clone(),
        label: format!("shorter than the {} that {name} takes", span(need)),
        path: vec![who.to_owned(), name.clone()],
        formula: format!("{} (nothing fails, nothing queues) > {given}", span(need)),
        advice: format!("raise it to {raised}, or let {name} do less before it answers"),
        edits: vec![edit],
    };
    Some((Reverse(least.half), finding))
}

/// Tries that do not fit into what the callers above leave for them.
pub(super) fn late_tries(asked: &Asked<'_>, call: &Call<'_>) -> Option<(Duration, Finding)> {
    let graph = &asked.graph;
    let left = asked.left.get(&call.from?)?;
    let rest = left.span.checked_sub(call.before)?;
    let plan = &call.settings.retry;
    let per_try = plan.per_try.as_ref()?;
    let place = per_try.from.place()?;
    // What does not fit into the call's own deadline is said by T03 and T08.
    let own = call.settings.deadline().map(|(_, own)| own.value);
    if plan.tries.value < 2 || worst(plan)? <= rest || own.is_some_and(|own| own <= rest) {
        return None;
    }
    let fit = fitting(plan, per_try.value, rest);
    let mut path = graph.path_of(left, &asked.left);
    let given_by = path[0].caller.clone();
    path.push(call);
    let (caller, name, tries) = (&call.caller, graph.name(call.to), plan.tries.value);
    let mend = to_fit(asked, plan, rest, None);
    let spent = left.given.saturating_sub(rest);
    let spent = if spent.is_zero() { String::new() } else { format!(" - {}", span(spent)) };
    let finding = Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!(
            "if each takes as long as it may, {} into the {} that {given_by} waits",
            how_many_fit(fit, tries, &name),
            span(left.given),
        ),
        place: place.clone(),
        label: format!("{caller} has at most {} left when it makes this call", span(rest)),
        path: graph.stations(&path),
        formula: format!("{} > {}{spent}", formula(plan, per_try.value), span(left.given)),
        advice: with_fact(mend.advice, call.settings, Some(graph.operation(call.to))),
        edits: mend.edits,
    };
    Some((per_try_that_fits(plan, rest).unwrap_or_default(), finding))
}

/// `1 of 3 tries of inventory.stock fits`.
fn how_many_fit(fit: u32, tries: u32, name: &str) -> String {
    match fit {
        0 => format!("none of {tries} tries of {name} fits"),
        1 => format!("only 1 of {tries} tries of {name} fits"),
        _ => format!("only {fit} of {tries} tries of {name} fit"),
    }
}
