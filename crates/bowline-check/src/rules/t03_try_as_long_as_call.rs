//! T03: a try may take as long as the whole call, so no try follows one that timed out.

use super::{Met, Rule, settings};
use crate::Asked;
use crate::finding::{Edit, Finding, Severity};
use crate::worst::{per_try_that_fits, span, yaml};

pub(super) const RULE: Rule = Rule {
    id: "T03",
    title: "per-try time is no shorter than the deadline",
    about: "Retries are configured, but one try may take as long as the whole call. After a try that times out the\n\
        deadline is over too, so no try follows it: against a callee that hangs, the retries do nothing. (Envoy\n\
        ignores such a per-try timeout without a word.)\n\
        Warning: after a try that fails fast the others still run.\n\
        The suggested per-try time lets all tries run to their cap within the deadline.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    settings(asked.design).iter().filter_map(finding).collect()
}

fn finding(met: &Met<'_>) -> Option<Finding> {
    let plan = &met.settings.retry;
    let per_try = plan.per_try.as_ref()?;
    let place = per_try.from.place()?;
    let (_, deadline) = met.settings.deadline()?;
    if plan.tries.value < 2 || per_try.value < deadline.value {
        return None;
    }
    let fits = per_try_that_fits(plan, deadline.value);
    let (per, whole) = (span(per_try.value), span(deadline.value));
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!("a try of {} may take {per}, the whole call {whole}: after a timeout no try follows", met.name),
        place: place.clone(),
        label: format!("not shorter than the deadline of {whole}"),
        path: Vec::new(),
        formula: format!("{per} >= {whole}, with {} tries", plan.tries.value),
        advice: match fits {
            Some(fits) => format!("lower it to {} and all {} tries fit", yaml(fits), plan.tries.value),
            None => "the back-off alone takes longer than the deadline: raise the deadline or lower the tries".to_owned(),
        },
        edit: fits.map(|fits| Edit::Replace { place: place.clone(), text: yaml(fits) }),
    })
}
