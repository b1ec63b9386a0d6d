//! T03: a try may take as long as the whole call, so no try follows one that timed out.

use super::{Rule, one_per_place};
use crate::Asked;
use crate::finding::{Finding, Severity};
use crate::mend::{longer, only_deadline, to_fit};
use crate::met::Met;
use crate::timeouts::with_fact;
use crate::words::span;
use std::time::Duration;

pub(super) const RULE: Rule = Rule {
    id: "T03",
    title: "per-try time is no shorter than the deadline",
    about: "Retries are configured, but one try may take as long as the whole call. After a try that times out the\n\
        deadline is over too, so no try follows it: against a callee that hangs, the retries do nothing. (Envoy\n\
        ignores such a per-try timeout without a word.) A per-try time that is not written is not reported: those\n\
        retries are for fast failures.\n\
        Warning: after a try that fails fast the others still run. Where `retryOn` names no timeout, as Istio's\n\
        default does not, a shorter per-try time alone makes no try follow one that timed out: the advice says so.\n\
        The edit makes the tries fit: by a shorter per-try time, or by fewer tries or a longer deadline where the\n\
        callee is known to need the time that a try has.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    one_per_place(asked.met.iter().filter_map(|met| finding(asked, met)))
}

fn finding(asked: &Asked<'_>, met: &Met<'_>) -> Option<(Duration, Finding)> {
    let plan = &met.settings.retry;
    let per_try = plan.per_try.as_ref()?;
    let place = per_try.from.place()?;
    // Only what is written: what our gateway stamps on its own is no promise of this design.
    let deadline = met.settings.deadlines.iter().map(|(_, deadline)| deadline.value).min()?;
    if plan.tries.value < 2 || per_try.value < deadline {
        return None;
    }
    let mend = to_fit(asked, plan, deadline, only_deadline(met.settings));
    let longer = longer(plan, only_deadline(met.settings));
    let advice = match longer.filter(|longer| !mend.advice.contains(longer.as_str())) {
        Some(longer) => format!("{}; or {longer}, where callers wait for that long", mend.advice),
        None => mend.advice,
    };
    let (per, whole) = (span(per_try.value), span(deadline));
    let finding = Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!(
            "a try of {} may take {per}, the whole call {whole}: after a timeout no try follows",
            met.name(asked.design)
        ),
        place: place.clone(),
        label: format!("not shorter than the deadline of {whole}"),
        path: Vec::new(),
        formula: format!("{per} >= {whole}, with {} tries", plan.tries.value),
        advice: with_fact(advice, met.settings, met.operation_in(asked.design)),
        edits: mend.edits,
    };
    Some((deadline, finding))
}
