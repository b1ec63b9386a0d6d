//! B04: a layer that tries again what an open breaker refuses.

use super::{Rule, one_per_place};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::{Call, Graph};
use crate::layer::REFUSALS;
use crate::tries::waits;
use crate::waited::Ways;
use crate::words::{counted, span};
use bowline_model::decision::RetryOn;
use bowline_policy::{Conditions, RetryRule};
use std::cmp::Reverse;
use std::time::Duration;

pub(super) const RULE: Rule = Rule {
    id: "B04",
    title: "retries against an open breaker",
    about: "A layer's `retryOn` names the 503 with which a breaker further down refuses (`5xx`, `gateway-error`, `503`;\n\
        `unavailable` of a gRPC operation), and all of its pauses together are shorter than the breaker stays open:\n\
        every further try meets the open breaker as the first one did. They cannot succeed, and they cost the services\n\
        in between their work each time.\n\
        Warning: that the operation in between hands the refusal on as such an answer is not in the design.\n\
        Within one call this cannot happen: a breaker's refusal ends it. Nor does it with tries by outcome, as a Policy\n\
        makes them: they wait for as long as the refusal names, or end. So only `retryOn` is looked at.\n\
        The edit lets the layer retry after refusals of connections and streams alone.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    one_per_place(asked.graph.calls.iter().filter_map(|call| finding(&asked.graph, call)))
}

fn finding(graph: &Graph<'_>, outer: &Call<'_>) -> Option<(Reverse<Duration>, Finding)> {
    let plan = &outer.settings.retry;
    let RetryRule::Named(named) = &plan.rule.value else { return None };
    let word = refusal(named, graph.operation(outer.to).grpc.is_some())?;
    let tries = plan.tries.value;
    let pauses = waits(plan);
    let (way, open) = behind(graph, outer)?;
    if tries < 2 || pauses >= open {
        return None;
    }
    let place = plan.rule.from.place().or_else(|| plan.tries.from.place())?;
    let (callee, last) = (graph.name(outer.to), graph.name(way[way.len() - 1].to));
    let mut path = graph.stations(&way);
    path.insert(0, outer.caller.clone());
    let edit = plan.rule.from.place();
    let edit = edit.map(|place| Edit::Replace { place: place.clone(), text: REFUSALS.to_owned() });
    let finding = Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!(
            "while the breaker of {last} is open, {} asks {callee} {} for nothing",
            outer.caller,
            counted(tries, "time", "times")
        ),
        place: place.clone(),
        label: format!("`{word}` is also how a refusal by an open breaker arrives here"),
        path,
        formula: format!(
            "{} of pauses at most < {} open: {} without a chance",
            span(pauses),
            span(open),
            counted(tries - 1, "retry", "retries")
        ),
        advice:
            "retry here only what surely did not arrive, and leave the rest to the layer that has the breaker"
                .to_owned(),
        edits: edit.into_iter().collect(),
    };
    Some((Reverse(open), finding))
}

/// The word of a `retryOn` that names an open breaker's refusal, as somebody hands it on.
fn refusal(named: &Conditions, grpc: bool) -> Option<&'static str> {
    let known = [RetryOn::FiveXx, RetryOn::GatewayError].into_iter().find(|on| named.contains(*on));
    let unavailable =
        || (grpc && named.contains(RetryOn::Unavailable)).then_some(RetryOn::Unavailable.as_str());
    let code = || named.codes().contains(&503).then_some("503");
    known.map(RetryOn::as_str).or_else(code).or_else(unavailable)
}

/// The way from the callee to the nearest call with a breaker, and how long that stays open.
fn behind<'g, 'd>(graph: &'g Graph<'d>, outer: &Call<'_>) -> Option<(Vec<&'g Call<'d>>, Duration)> {
    let ways = Ways::from(graph, outer.to, |call| call.share > 0.0);
    let guarded = ways.nodes().flat_map(|node| graph.made_by(node)).filter_map(|(_, call)| {
        let open = call.settings.breaker.as_ref()?.value.open;
        let mut way = ways.to(graph, call.from?);
        way.push(call);
        Some((way, open))
    });
    guarded.min_by_key(|(way, _)| way.len())
}
