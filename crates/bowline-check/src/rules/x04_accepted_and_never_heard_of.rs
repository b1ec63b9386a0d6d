//! X04: a 202 whose asker never learns the end.

use super::Rule;
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::Node;
use bowline_design::Place;
use bowline_design::resolved::intake::{Intake, Start};
use bowline_design::resolved::service::Loss;
use bowline_design::resolved::{Operation, PathPattern, ServiceId, TopicId, Work};
use http::Method;

/// How long an asker is let wait: people do not notice a fifth of a second.
const WAIT: &str = "200ms";

pub(super) const RULE: Rule = Rule {
    id: "X04",
    title: "accepted, and never heard of again",
    about: "A request is answered with 202, accepted and not finished, and nothing in the design tells its asker the end:\n\
        no place to ask, and nothing published by whoever does the work. People ask again, and have it twice.\n\
        Such answers come from an Intake that publishes, at once or `otherwise`, and from an operation that `accepts`.\n\
        To learn the end is: `wait` at the intake, whose 202 then says where to ask; or a GET of a path below that of the\n\
        request (`/orders/{id}` for `/orders`), of the service that does the work or of any other; or a record that the\n\
        one who does the work publishes.\n\
        Warning: the end may be told by what the design does not show, an e-mail say. Work that may be lost\n\
        (`needs: { loss: tolerated }`) has no end that anybody waits for.\n\
        The edit gives the intake a `wait`. An operation needs one beside it that can be asked, and has no edit.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let doors = asked.design.intakes.iter().filter_map(|intake| door(asked, intake));
    let accepting = asked.design.nodes().filter_map(|node| accepting(asked, node));
    doors.chain(accepting).collect()
}

fn door(asked: &Asked<'_>, intake: &Intake) -> Option<Finding> {
    let topic = match &intake.start {
        Start::Publish { topic, .. } => *topic,
        Start::Call { .. } => intake.otherwise.as_ref()?.value,
        Start::Saga { .. } => return None,
    };
    let workers: Vec<Node> = workers(asked, topic).collect();
    let told = intake.wait.from.place().is_some()
        || can_be_asked(asked, &intake.path)
        || workers.iter().any(|node| tells(asked, *node) || can_be_asked_at_all(asked, node.service));
    if told || is_forgotten(asked, &workers) {
        return None;
    }
    let known = asked.documents.intakes.iter().find(|known| known.meta.place == intake.place)?;
    let request = format!("{} {}", intake.method, intake.path);
    let edit = Edit::Add { place: known.place.clone(), field: format!("wait: {WAIT}") };
    Some(Finding {
        path: vec![format!("Intake {}", intake.name), asked.design.topics[topic.0 as usize].name.to_string()],
        advice: format!("let it `wait: {WAIT}`: the answer is final by then, or says where to ask again"),
        edits: vec![edit],
        ..finding(&request, &intake.path, known.place.clone())
    })
}

fn accepting(asked: &Asked<'_>, node: Node) -> Option<Finding> {
    let operation = asked.graph.operation(node);
    let (method, path) = operation.http.as_ref().filter(|_| operation.pending)?;
    let told = can_be_asked(asked, path) || can_be_asked_at_all(asked, node.service) || tells(asked, node);
    if told || is_forgotten(asked, &[node]) {
        return None;
    }
    Some(Finding {
        path: vec![asked.graph.name(node)],
        advice: format!("add an operation that can be asked for the end, `GET {path}/{{id}}` say"),
        ..finding(&format!("{method} {path}"), path, operation.place.clone())
    })
}

fn finding(request: &str, path: &PathPattern, place: Place) -> Finding {
    Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!("who asks {request} gets 202 and cannot learn the end"),
        place,
        label: "nothing tells how it ended".to_owned(),
        path: Vec::new(),
        formula: format!("ways to learn the end: no `wait`, no GET below {path}, no record = 0"),
        advice: String::new(),
        edits: Vec::new(),
    }
}

/// Who is given the records of a topic.
fn workers<'a>(asked: &'a Asked<'_>, topic: TopicId) -> impl Iterator<Item = Node> + 'a {
    let reading = asked.design.subscriptions.iter().filter(move |it| it.topic == topic);
    reading.map(|it| Node { service: it.service, operation: it.operation })
}

/// Whether something can be read below a path.
fn can_be_asked(asked: &Asked<'_>, path: &PathPattern) -> bool {
    let below = format!("{}/", path.to_string().trim_end_matches('/'));
    let reads = |operation: &Operation| {
        operation
            .http
            .as_ref()
            .is_some_and(|(method, own)| *method == Method::GET && own.to_string().starts_with(&below))
    };
    asked.design.services().flat_map(|(_, service)| &service.operations).any(reads)
}

/// Whether a service can be asked for one of something: gateways rewrite paths, so which is not said.
fn can_be_asked_at_all(asked: &Asked<'_>, service: ServiceId) -> bool {
    let reads = |operation: &Operation| {
        operation
            .http
            .as_ref()
            .is_some_and(|(method, own)| *method == Method::GET && own.to_string().contains('{'))
    };
    asked.design.service(service).operations.iter().any(reads)
}

/// Whether an operation publishes what others can tell the asker.
fn tells(asked: &Asked<'_>, node: Node) -> bool {
    publishes(&asked.graph.operation(node).does)
}

fn publishes(works: &[Work]) -> bool {
    works.iter().any(|work| match work {
        Work::Publish { .. } => true,
        Work::Parallel(works) => publishes(works),
        Work::Choice(branches) => branches.iter().any(|(_, works)| publishes(works)),
        Work::Work(_) | Work::Call { .. } => false,
    })
}

/// Whether all that is done may be lost.
fn is_forgotten(asked: &Asked<'_>, workers: &[Node]) -> bool {
    let may_be_lost = |node: &Node| {
        let needs = asked.graph.operation(*node).needs.as_ref();
        needs.is_some_and(|needs| needs.value.loss == Some(Loss::Tolerated))
    };
    !workers.is_empty() && workers.iter().all(may_be_lost)
}
