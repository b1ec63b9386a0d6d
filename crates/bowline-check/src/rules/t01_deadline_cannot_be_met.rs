//! T01: a caller waits less long than what it waits for may take.

use super::Rule;
use crate::Asked;
use crate::finding::{Edit, Finding, Severity};
use crate::graph::{Call, Graph};
use crate::worst::{fitting, formula, per_try_that_fits, span, worst, yaml};

pub(super) const RULE: Rule = Rule {
    id: "T01",
    title: "deadline inversion",
    about: "A caller's deadline is shorter than what it waits for may take. Time that the callee spends after that\n\
        instant is wasted: nobody is there to hear the answer.\n\
        Error: even at best, with the service times that the design names, no failure and no queue, the answer\n\
        comes after the deadline. No request can succeed.\n\
        Warning: if each try of a call further down runs to its cap, only some fit into what the caller has left.\n\
        After fast failures all of them may fit.\n\
        The error's edit raises the deadline to twice the best case; the warning's lowers the per-try time further\n\
        down so that all tries fit.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let graph = &asked.graph;
    let unmeetable = graph.calls.iter().filter_map(|call| cannot_be_met(graph, call));
    let late = graph.calls.iter().flat_map(|call| late_tries(graph, call));
    unmeetable.chain(late).collect()
}

/// The best case is longer than the deadline.
fn cannot_be_met(graph: &Graph<'_>, call: &Call<'_>) -> Option<Finding> {
    let (_, deadline) = call.settings.deadline()?;
    let best = graph.best(call.to);
    if best <= deadline.value {
        return None;
    }
    let name = graph.name(call.to);
    let raised = best * 2;
    let place = deadline.from.place().unwrap_or(call.place);
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Error,
        what: format!(
            "{} gives {name} {}, which takes {} at best: no call can succeed",
            call.caller,
            span(deadline.value),
            span(best)
        ),
        place: place.clone(),
        label: format!("shorter than the {} that {name} needs", span(best)),
        path: vec![call.caller.clone(), name],
        formula: format!("{} (uncontended, no failure) > {}", span(best), span(deadline.value)),
        advice: format!("raise it to {}, or make {} do less before it answers", yaml(raised), call.caller),
        edit: deadline.from.place().map(|place| Edit::Replace { place: place.clone(), text: yaml(raised) }),
    })
}

/// Tries of the calls that `outer`'s callee makes, which do not fit into what `outer` gives it.
fn late_tries(graph: &Graph<'_>, outer: &Call<'_>) -> Vec<Finding> {
    let Some((_, deadline)) = outer.settings.deadline() else { return Vec::new() };
    graph
        .made_by(outer.to)
        .filter_map(|inner| {
            let left = deadline.value.checked_sub(inner.after)?;
            let plan = &inner.settings.retry;
            let per_try = plan.per_try.as_ref()?;
            let own = inner.settings.deadline().map(|(_, own)| own.value);
            // What does not fit into the call's own deadline is T03's and T08's.
            let worst = worst(plan)?.min(own.unwrap_or(std::time::Duration::MAX));
            if plan.tries.value < 2 || worst <= left || own.is_some_and(|own| own <= left) {
                return None;
            }
            let place = per_try.from.place()?;
            let (fit, _) = fitting(plan, per_try.value, left);
            let fits = per_try_that_fits(plan, left);
            let (caller, name) = (graph.name(outer.to), graph.name(inner.to));
            Some(Finding {
                rule: RULE.id,
                severity: Severity::Warning,
                what: format!(
                    "if each times out, {fit} of {} tries of {name} fit into the {} that {caller} has",
                    plan.tries.value,
                    span(deadline.value)
                ),
                place: place.clone(),
                label: format!("{caller} has {} left when it makes this call", span(left)),
                path: vec![outer.caller.clone(), caller, name],
                formula: format!("{} = {} > {} - {}", formula(plan), span(worst), span(deadline.value), span(inner.after)),
                advice: match fits {
                    Some(fits) => format!("lower the per-try time to {} and all {} fit", yaml(fits), plan.tries.value),
                    None => format!("allow {} tries, or raise the deadline", fit.max(1)),
                },
                edit: fits.map(|fits| Edit::Replace { place: place.clone(), text: yaml(fits) }),
            })
        })
        .collect()
}
