//! B05: a breaker in the way of every answer, and nothing that is done in its stead.

use super::{Rule, one_per_place};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::{Call, Node};
use crate::waited::{self, Ways, called, is_sure};
use crate::words::span;
use bowline_design::kinds::intake::Start;
use bowline_design::resolved::service::Idempotency;
use std::collections::BTreeSet;

/// So many callees are named in one finding.
const NAMED_MAX: usize = 3;

pub(super) const RULE: Rule = Rule {
    id: "B05",
    title: "no fallback on the critical path",
    about: "Every request to an operation makes a call that a breaker guards, and the design has nothing else to do when\n\
        the breaker is open: then the operation is down as long as its callee is, and the breaker only makes it fail\n\
        sooner. A fallback of this vocabulary is an Intake with `otherwise`: what cannot be done now is written down.\n\
        Info: code may answer with less (an older value, a default), which no design shows. Calls that only some\n\
        requests make are not looked at, nor what a gateway asks directly: there is nothing to answer with but that.\n\
        Nothing is reported where an Overlay of the design gives the intake an `otherwise` or makes a record of it: then\n\
        the choice is made, and `bowline simulate` compares it.\n\
        One finding for each operation, however many breakers are in its way.\n\
        The edit adds an `otherwise`, where the operation may be asked twice and a topic leads to it.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let weighed = weighed(asked);
    let roots = waited::roots(asked.design, &asked.graph);
    // One for each operation: what to do instead is the same, however many breakers are on the way.
    one_per_place(roots.into_iter().filter(|root| !weighed.contains(root)).filter_map(|root| {
        let ways = Ways::from(&asked.graph, root, is_sure);
        let surely = ways.nodes().flat_map(|node| asked.graph.made_by(node)).map(|(_, call)| call);
        let guarded = surely.filter(|call| is_sure(call) && call.settings.breaker.is_some());
        let mut ways: Vec<Vec<&Call<'_>>> = guarded
            .filter_map(|call| {
                let mut way = ways.to(&asked.graph, call.from?);
                way.push(call);
                Some(way)
            })
            .collect();
        ways.sort_by_key(Vec::len);
        Some((ways.first()?.len(), finding(asked, root, &ways)?))
    }))
}

/// The operations for which an intake of the design, or of one of its variants, has another way.
fn weighed(asked: &Asked<'_>) -> BTreeSet<Node> {
    let has_one = |intake: &&bowline_design::resolved::Intake| {
        let varied = asked.documents.applied.iter().flat_map(|applied| &applied.documents.intakes);
        let mut alike =
            varied.filter(|it| (&*it.meta.name, &*it.meta.namespace) == (&*intake.name, &*intake.namespace));
        let other = |start: &Start| matches!(start, Start::Publish(_));
        intake.otherwise.is_some()
            || alike.any(|it| it.spec.otherwise.is_some() || other(&it.spec.start.value))
    };
    asked.design.intakes.iter().filter(has_one).filter_map(called).collect()
}

/// `ways` lead to the calls that a breaker guards, the shortest first.
fn finding(asked: &Asked<'_>, root: Node, ways: &[Vec<&Call<'_>>]) -> Option<Finding> {
    let way = ways.first()?;
    let call = way.last()?;
    let breaker = call.settings.breaker.as_ref()?;
    let (graph, name) = (&asked.graph, asked.graph.name(root));
    let guarded = named(ways.iter().filter_map(|way| way.last()).map(|call| graph.name(call.to)));
    let edit = otherwise(asked, root);
    let reads = graph.operation(root).http.as_ref().is_some_and(|(method, _)| method.is_safe());
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Info,
        what: format!(
            "while the breaker of {guarded} is open, every {name} fails: nothing is done in its stead"
        ),
        place: call.place.clone(),
        label: "every request makes this call".to_owned(),
        path: graph.stations(way),
        formula: format!("1 of 1 requests needs it; open for {} or longer", span(breaker.value.open)),
        advice: match &edit {
            Some(_) => format!(
                "let {name} be written down when it cannot be done now, with `otherwise`, or answer with less"
            ),
            None if reads => "answer without it: with an older value or a default".to_owned(),
            None => format!(
                "answer without it, or let an Intake with `otherwise` write {name} down and answer 202"
            ),
        },
        edits: edit.into_iter().collect(),
    })
}

/// `payment.capture`, `payment.capture or inventory.allocate`, with `and 3 others` where there are many; each once.
fn named(callees: impl Iterator<Item = String>) -> String {
    let mut each: Vec<String> = Vec::new();
    for callee in callees {
        if !each.contains(&callee) {
            each.push(callee);
        }
    }
    match each.len() {
        0..=NAMED_MAX => each.join(" or "),
        more => format!("{} or {} others", each[..NAMED_MAX].join(", "), more - NAMED_MAX),
    }
}

/// An `otherwise` for the intake that calls an operation: a topic whose records are given to that one.
fn otherwise(asked: &Asked<'_>, root: Node) -> Option<Edit> {
    let repeatable =
        matches!(asked.graph.operation(root).idempotent.value, Idempotency::Yes | Idempotency::ByKey);
    let intake = asked.design.intakes.iter().find(|it| called(it) == Some(root)).filter(|_| repeatable)?;
    let topic = super::topic_to(asked, root)?;
    let known = asked.documents.intakes.iter().find(|known| known.meta.place == intake.place)?;
    let field = format!("otherwise: {{ publish: {{ topic: {topic} }} }}");
    Some(Edit::Add { place: known.place.clone(), field })
}
