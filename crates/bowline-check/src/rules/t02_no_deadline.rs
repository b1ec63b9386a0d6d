//! T02: a synchronous call that nobody bounds.

use super::{Met, Rule, settings};
use crate::Asked;
use crate::finding::{Edit, Finding, Severity};
use crate::worst::{formula, span, worst, yaml};
use std::time::Duration;

pub(super) const RULE: Rule = Rule {
    id: "T02",
    title: "no deadline",
    about: "A synchronous call has no deadline: no route timeout, no policy, and nothing that would bring one.\n\
        Istio's `timeout` is off unless it is written, so a callee that hangs holds its caller for as long as the\n\
        caller is willing to wait, with its connection and memory, and so on up the path.\n\
        Warning: a caller may bring a deadline of its own, which the design does not show. Where our gateway\n\
        stamps one (30 s), nothing is reported.\n\
        The suggested timeout lets every configured try run to its cap; without a per-try time it is 15 s, the\n\
        default of Envoy's route timeout. Lower it to what the caller can really wait for.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let unbounded = |met: &Met<'_>| met.settings.deadline().is_none() && !met.edge;
    settings(asked.design).into_iter().filter(unbounded).filter_map(finding).collect()
}

fn finding(met: Met<'_>) -> Option<Finding> {
    // Calls without a written route are bounded by the library's guard, which the design does not show.
    let route = met.route?;
    let plan = &met.settings.retry;
    let bound = worst(plan);
    let suggested = bound.map_or(Duration::from_secs(15), |worst| {
        Duration::from_millis(worst.as_millis().div_ceil(100) as u64 * 100)
    });
    let (what, formula) = match bound {
        Some(worst) => (
            format!(
                "{} of {} {} may take {}, and no deadline bounds {}",
                plural(plan.tries.value, "try", "tries"),
                met.name,
                if plan.tries.value == 1 { "alone" } else { "with their back-off" },
                span(worst),
                if plan.tries.value == 1 { "it" } else { "them" },
            ),
            format!("{} = {}; timeout: none", formula(plan), span(worst)),
        ),
        None => (
            format!("a call of {} may take for ever: nothing sets a deadline", met.name),
            format!("{} without a per-try time; timeout: none", plural(plan.tries.value, "try", "tries")),
        ),
    };
    let field = format!("timeout: {}", yaml(suggested));
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what,
        place: route.place.clone(),
        label: "this route has no `timeout`".to_owned(),
        path: Vec::new(),
        formula,
        advice: format!("add `{field}` to the route, or less if its callers wait less"),
        edit: Some(Edit::Add { place: route.place.clone(), field }),
    })
}

fn plural(count: u32, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}
