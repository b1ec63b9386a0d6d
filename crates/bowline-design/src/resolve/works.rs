//! What operations do: the names in `does`, looked up.
//!
//! Why a topic that nobody declares is no mistake: a record can be published to a topic that another
//! system owns, as a host can be called that no document declares.

use super::findings::{Findings, did_you_mean};
use super::policies::unknown_service;
use super::services::Services;
use super::topics::Topics;
use crate::kinds::Documents;
use crate::kinds::service::Work as WrittenWork;
use crate::mistake::Spot;
use crate::resolved::{ServiceId, TopicId, Work};

/// Fills in what every operation does.
pub(super) fn fill(
    documents: &Documents,
    topics: &Topics<'_>,
    services: &mut Services,
    findings: &mut Findings,
) {
    for document in &documents.services {
        let namespace = &document.meta.namespace;
        let Some(id) = services.names.find(&document.meta.name, namespace) else { continue };
        for written in &document.spec.operations {
            let works = all(&written.does, namespace, topics, services, findings);
            let service = &mut services.all[id.0 as usize];
            let own = service.operations.iter_mut().find(|own| own.place == written.place);
            if let Some(operation) = own {
                operation.does = works;
            }
        }
    }
}

fn all(
    works: &[Spot<WrittenWork>],
    namespace: &str,
    topics: &Topics<'_>,
    services: &Services,
    findings: &mut Findings,
) -> Vec<Work> {
    works.iter().filter_map(|work| one(work, namespace, topics, services, findings)).collect()
}

fn one(
    work: &Spot<WrittenWork>,
    namespace: &str,
    topics: &Topics<'_>,
    services: &Services,
    findings: &mut Findings,
) -> Option<Work> {
    Some(match &work.value {
        WrittenWork::Work(span) => Work::Work(span.value),
        WrittenWork::Call(name) => {
            let (service, operation) = operation(name, namespace, services, findings)?;
            Work::Call { service, operation, place: name.place.clone() }
        }
        WrittenWork::Publish(topic) => {
            let declared = topics.names.find(topic, namespace).map(TopicId);
            if declared.is_none() {
                let text = match topics.names.near(topic, namespace) {
                    Some(meant) => format!("published to, and declared by no Topic: {meant}"),
                    None => "published to, and declared by no Topic: nothing is known of it".to_owned(),
                };
                findings.note(&topic.value, text, &topic.place);
            }
            Work::Publish { topic: topic.value.clone(), declared, place: topic.place.clone() }
        }
        WrittenWork::Parallel(works) => Work::Parallel(all(works, namespace, topics, services, findings)),
        WrittenWork::Choice(branches) => {
            let weight = |weight: Option<&Spot<f64>>| weight.map_or(1.0, |weight| weight.value.max(0.0));
            let total: f64 = branches.iter().map(|branch| weight(branch.weight.as_ref())).sum();
            let mut choice = Vec::with_capacity(branches.len());
            for branch in branches {
                let share = if total > 0.0 { weight(branch.weight.as_ref()) / total } else { 0.0 };
                choice.push((share, all(&branch.does, namespace, topics, services, findings)));
            }
            Work::Choice(choice)
        }
    })
}

/// Looks `service.operation` up; a name that leads nowhere is a mistake, with the one that was
/// probably meant.
pub(super) fn operation(
    name: &Spot<String>,
    namespace: &str,
    services: &Services,
    findings: &mut Findings,
) -> Option<(ServiceId, usize)> {
    let Some((service, operation)) = name.value.rsplit_once('.') else {
        let found = format!("`{}` names no operation", name.value);
        findings.mistake("unknown-operation", &name.place, found, "`service.operation`", None);
        return None;
    };
    let Some(id) = services.names.find(service, namespace) else {
        let meant = Spot { value: service.to_owned(), place: name.place.clone() };
        unknown_service(&meant, namespace, services, findings);
        return None;
    };
    let service = services.get(id);
    let index = service.operation_named(operation);
    if index.is_none() {
        let found = format!("`{}` has no operation `{operation}`", service.name);
        let hint = did_you_mean(operation, service.operations.iter().map(|known| &*known.name));
        findings.mistake("unknown-operation", &name.place, found, "an operation of it", hint);
    }
    Some((id, index?))
}
