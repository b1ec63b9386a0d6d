//! T08: if each try runs to its cap, not all of them fit into the deadline.

use super::{Rule, one_per_place};
use crate::Asked;
use crate::finding::Finding;
use crate::mend::{only_deadline, to_fit};
use crate::met::Met;
use crate::timeouts::{severity, with_fact};
use crate::tries::{beginning, fitting, formula, per_try_that_fits, worst};
use crate::words::span;
use std::time::Duration;

pub(super) const RULE: Rule = Rule {
    id: "T08",
    title: "the tries do not fit into the deadline",
    about: "If each try runs to its cap, with the longest back-off between them, only some of the configured tries\n\
        fit into the deadline: n x per-try + back-off > deadline. The last ones are cut off or never start, so the\n\
        design promises tries that a slow callee will never see.\n\
        Warning: after fast failures all tries may fit. A try that times out is followed by another only if `retryOn`\n\
        names `5xx`, `gateway-error` or `reset`; where a written one names none of them, the advice says so, for the\n\
        per-try time does not do what it seems to be there for.\n\
        Info: no `retryOn` is written, and Istio's default names none of them, so that the sum is never reached.\n\
        The edit makes them fit: by a shorter per-try time, or by fewer tries or a longer deadline where the callee\n\
        is known to need the time that a try has.",
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
    // A try as long as the call is T03's: it says the same thing more plainly.
    if plan.tries.value < 2 || per_try.value >= deadline || worst(plan)? <= deadline {
        return None;
    }
    let (fit, tries) = (fitting(plan, per_try.value, deadline), plan.tries.value);
    // Without any back-off more may fit; then the longest is the worst case, and not the only one.
    let at_best = deadline.as_nanos() / per_try.value.as_nanos().max(1);
    let only = if at_best.min(u128::from(tries)) > u128::from(fit) { "at worst only" } else { "only" };
    let fits = if fit == 1 { "fits" } else { "fit" };
    let mend = to_fit(asked, plan, deadline, only_deadline(met.settings));
    let whole = span(deadline);
    let finding = Finding {
        rule: RULE.id,
        severity: severity(met.settings, met.operation_in(asked.design)),
        what: format!(
            "if each try takes as long as it may, {only} {fit} of {tries} tries of {} {fits} into its {whole}",
            met.name(asked.design)
        ),
        place: place.clone(),
        label: what_becomes_of_the_rest(fit, beginning(plan, per_try.value, deadline), tries, &whole),
        path: Vec::new(),
        formula: format!("{} > {whole}", formula(plan, per_try.value)),
        advice: with_fact(mend.advice, met.settings, met.operation_in(asked.design)),
        edits: mend.edits,
    };
    Some((per_try_that_fits(plan, deadline).unwrap_or_default(), finding))
}

/// `then try 2 is cut off at 3 s; tries 3 and 4 never start`.
fn what_becomes_of_the_rest(fit: u32, begin: u32, tries: u32, deadline: &str) -> String {
    let cut_off = (begin > fit).then(|| format!("try {begin} is cut off at {deadline}"));
    let never = match tries - begin {
        0 => None,
        1 => Some(format!("try {tries} never starts")),
        2 => Some(format!("tries {} and {tries} never start", begin + 1)),
        _ => Some(format!("tries {} to {tries} never start", begin + 1)),
    };
    let rest = cut_off.into_iter().chain(never).collect::<Vec<_>>().join("; ");
    format!("then {rest}")
}
