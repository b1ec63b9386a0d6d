//! B02: one breaker over several replicas or subsets, which the failure of one of them opens for all.

use super::b01_breaker_without_minimum::breakers;
use super::{Rule, one_per_place};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::met::Met;
use crate::words::factor;
use bowline_design::resolved::Service;
use std::cmp::Reverse;

/// A hair above a ratio is floating-point dust, and a ratio itself is kept in millionths.
const DUST: f64 = 1e-6;

pub(super) const RULE: Rule = Rule {
    id: "B02",
    title: "one breaker over many replicas",
    about: "A breaker counts the calls of a destination together, whichever replica answers them. Where one of n\n\
        replicas fails every call that it gets, 1/n of all calls fail; if that is as much as `failureRatio`, the\n\
        breaker opens, and nobody reaches the n - 1 that are well: a partial outage becomes a total one. So does a\n\
        subset that the calls are not told apart by (a bad release, say) with k of n endpoints.\n\
        Warning: calls are taken to be spread evenly, and the design does not show that one replica will fail.\n\
        Where another try follows, it is taken to go elsewhere and to succeed, which lowers the share to\n\
        p / (1 + p). Nothing is reported where a DestinationRule asks for `outlierDetection`: leaving out the one\n\
        replica is what it is for. `consecutive` is not looked at: whether a row of failures comes together depends\n\
        on the rate.\n\
        The edit raises the ratio to half way between that share and all calls, so that the breaker still opens when\n\
        everything fails.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    one_per_place(asked.met.iter().filter_map(|met| finding(asked, met)))
}

/// A part of a destination that can fail on its own.
struct Part {
    what: String,
    share: f64,
    rest: usize,
}

/// One replica; and each subset, where calls do not ask for one.
fn parts(service: &Service, met: &Met<'_>) -> Vec<Part> {
    let subset = met.subset.and_then(|name| service.subsets.iter().find(|subset| subset.name == *name));
    let all = match subset {
        Some(subset) => subset.endpoints.len(),
        None => service.endpoints.len().max(service.replicas.value as usize),
    };
    let share = |count: usize| count as f64 / all.max(1) as f64;
    let one = Part { what: format!("1 of {all} replicas"), share: share(1), rest: all.saturating_sub(1) };
    let of_subset = |subset: &bowline_design::resolved::Subset| Part {
        what: format!("subset {} with {} of {all} endpoints", subset.name, subset.endpoints.len()),
        share: share(subset.endpoints.len()),
        rest: all.saturating_sub(subset.endpoints.len()),
    };
    let subsets = service.subsets.iter().filter(|_| met.subset.is_none()).map(of_subset);
    std::iter::once(one).chain(subsets).filter(|part| part.rest > 0 && part.share > 0.0).collect()
}

fn finding(asked: &Asked<'_>, met: &Met<'_>) -> Option<(Reverse<u32>, Finding)> {
    let breaker = met.settings.breaker.as_ref()?;
    let ratio = breaker.value.failure_ratio?.as_f64();
    let ejects = |other: &Met<'_>| other.service == met.service && other.settings.outlier.is_some();
    if asked.met.iter().any(ejects) {
        return None;
    }
    let service = asked.design.service(met.service);
    let retried = met.settings.retry.tries.value > 1;
    let failing = |part: &Part| if retried { part.share / (1.0 + part.share) } else { part.share };
    let trips = |part: &Part| failing(part) + DUST >= ratio;
    let part = parts(service, met).into_iter().find(|part| trips(part))?;
    let written = breakers(asked).find(|known| Some(&known.place) == breaker.from.place())?;
    // Half way to a failure of everything; one that is not reached by calls without another try either.
    let raised = (part.share.midpoint(1.0) * 100.0).round() / 100.0;
    let edit = written.failure_ratio.as_ref().filter(|_| raised < 1.0 && part.share + DUST < raised);
    let edit = edit.map(|ratio| Edit::Replace { place: ratio.place.clone(), text: raised.to_string() });
    let place = written.failure_ratio.as_ref().map_or(&written.place, |ratio| &ratio.place);
    let percent = |share: f64| format!("{} %", factor(share * 100.0));
    let formula = match retried {
        false => format!("{} = {} of calls >= {}", part.what, percent(part.share), percent(ratio)),
        true => format!(
            "{} = {} of first tries, {} of all tries >= {}",
            part.what,
            percent(part.share),
            percent(failing(&part)),
            percent(ratio)
        ),
    };
    let finding = Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!("if {} fails, the breaker of {} opens for the others too", part.what, service.name),
        place: place.clone(),
        label: format!("one breaker over all of {}", met.name(asked.design)),
        path: Vec::new(),
        formula,
        advice: match &edit {
            Some(_) => format!(
                "raise `failureRatio` to {raised}, or leave single replicas out with a DestinationRule's `outlierDetection`"
            ),
            None => "leave single replicas out with a DestinationRule's `outlierDetection`".to_owned(),
        },
        edits: edit.into_iter().collect(),
    };
    Some((Reverse((part.share * 1e6) as u32), finding))
}
