//! Synchronous doors to asynchronous work.

use super::directory::{Directory, INTAKE};
use super::findings::Findings;
use super::services::Services;
use super::topics::Topics;
use super::works::operation;
use crate::kinds::intake::{Otherwise, PublishTo, Start as WrittenStart};
use crate::kinds::{Doc, Documents, Intake as WrittenIntake};
use crate::resolved::intake::Start;
use crate::resolved::{Intake, PathPattern, Sourced, TopicId};
use http::Method;
use std::time::Duration;

/// The names of all intakes.
pub(super) fn names(documents: &Documents) -> Directory<'_> {
    Directory::of(INTAKE, &documents.intakes)
}

/// All intakes that could be resolved. With a mistake the design is not used, and ids need not hold.
pub(super) fn all(
    documents: &Documents,
    topics: &Topics<'_>,
    services: &Services,
    findings: &mut Findings,
) -> Vec<Intake> {
    let mut intakes: Vec<Intake> = Vec::new();
    for document in &documents.intakes {
        let Some(intake) = one(document, topics, services, findings) else { continue };
        let same = |other: &&Intake| other.method == intake.method && other.path == intake.path;
        if let Some(first) = intakes.iter().find(same) {
            let what = format!("what `{} {}` starts", intake.method, intake.path);
            let place = &document.spec.matches.place;
            findings.said_twice_by(&what, place, &first.place, "give one of them another path");
        }
        intakes.push(intake);
    }
    intakes
}

fn one(
    document: &Doc<WrittenIntake>,
    topics: &Topics<'_>,
    services: &Services,
    findings: &mut Findings,
) -> Option<Intake> {
    let (meta, spec) = (&document.meta, &document.spec);
    let topic = |to: &PublishTo, findings: &mut Findings| {
        topics.names.look_up(&to.topic, &meta.namespace, findings).map(TopicId)
    };
    let start = match &spec.start.value {
        WrittenStart::Saga(name) => {
            findings.note(&name.value, "a saga that an intake starts: this version reads none", &name.place);
            Some(Start::Saga { name: name.value.clone(), place: name.place.clone() })
        }
        WrittenStart::Publish(to) => {
            topic(to, findings).map(|topic| Start::Publish { topic, place: to.topic.place.clone() })
        }
        WrittenStart::Call(to) => {
            let place = to.operation.place.clone();
            operation(&to.operation, &meta.namespace, services, findings)
                .map(|(service, operation)| Start::Call { service, operation, place })
        }
    };
    let otherwise = match spec.otherwise.as_deref() {
        Some(Otherwise::Publish(to)) => {
            topic(to, findings).map(|topic| Sourced::written(topic, to.topic.place.clone()))
        }
        None => None,
    };
    let wait = match (&spec.wait, &start) {
        (Some(wait), _) => Sourced::written(Some(wait.value), wait.place.clone()),
        (None, Some(Start::Call { .. }) | None) => {
            Sourced::default(None, "a call is waited for as long as its deadline lasts")
        }
        (None, Some(Start::Publish { .. } | Start::Saga { .. })) => {
            Sourced::default(Some(Duration::ZERO), "what goes on by itself is not waited for")
        }
    };
    // What is wrong with them was said when they were read.
    let method = Method::from_bytes(spec.matches.method.as_bytes()).ok()?;
    let path = PathPattern::parse(&spec.matches.path).ok()?;
    let (name, namespace) = (meta.name.as_str().into(), meta.namespace.as_str().into());
    Some(Intake { name, namespace, place: meta.place.clone(), method, path, start: start?, wait, otherwise })
}
