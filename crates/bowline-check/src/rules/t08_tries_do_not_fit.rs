//! T08: if each try runs to its cap, not all of them fit into the deadline.

use super::{Met, Rule, settings};
use crate::Asked;
use crate::finding::{Edit, Finding, Severity};
use crate::worst::{fitting, formula, per_try_that_fits, span, worst, yaml};

pub(super) const RULE: Rule = Rule {
    id: "T08",
    title: "the tries do not fit into the deadline",
    about: "If each try runs to its cap, with the longest back-off between them, only some of the configured tries\n\
        fit into the deadline: n x per-try + back-off > deadline. The last ones are cut off or never start, so the\n\
        design promises tries that a hanging callee will never see.\n\
        Warning: after fast failures all tries may fit.\n\
        The suggested per-try time lets all of them run to their cap. Fewer tries are as good a mend.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    settings(asked.design).iter().filter_map(finding).collect()
}

fn finding(met: &Met<'_>) -> Option<Finding> {
    let plan = &met.settings.retry;
    let per_try = plan.per_try.as_ref()?;
    let (_, deadline) = met.settings.deadline()?;
    let worst = worst(plan)?;
    let place = per_try.from.place()?;
    // A try as long as the call is T03's: it says the same thing more plainly.
    if plan.tries.value < 2 || per_try.value >= deadline.value || worst <= deadline.value {
        return None;
    }
    let (fit, begin) = fitting(plan, per_try.value, deadline.value);
    let fits = per_try_that_fits(plan, deadline.value);
    let (whole, tries) = (span(deadline.value), plan.tries.value);
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!("if tries time out, only {fit} of {tries} tries of {} {} into the deadline", met.name, if fit == 1 { "fits" } else { "fit" }),
        place: place.clone(),
        label: match tries - begin {
            0 => format!("try {tries} is cut off at {whole}"),
            1 => format!("try {tries} never starts: the deadline of {whole} is over by then"),
            _ => format!("tries {} to {tries} never start: the deadline of {whole} is over by then", begin + 1),
        },
        path: Vec::new(),
        formula: format!("{} = {} > {whole}", formula(plan), span(worst)),
        advice: match fits {
            Some(fits) => format!("lower it to {} and all {tries} fit, or allow {fit}", yaml(fits)),
            None => format!("the back-off alone takes longer than the deadline: allow {fit} of them"),
        },
        edit: fits.map(|fits| Edit::Replace { place: place.clone(), text: yaml(fits) }),
    })
}
