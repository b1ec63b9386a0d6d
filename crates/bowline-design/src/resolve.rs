//! Documents in, design out.
//!
//! In the order in which it is done:
//! - [`services`]: who there is, by [`names`]
//! - [`topics`]: brokers and topics, by the names of a [`directory`]
//! - [`rules`]: subsets and traffic policies; [`works`]: what operations do
//! - [`policies`], and from all of them [`settings`]: the effective policy of one call
//! - [`routes`], with [`conditions`] and [`delegates`]: what a VirtualService's rules become
//! - [`mesh`] and [`listeners`]: the tables; [`refused`] and [`unserved`]: what is asked for and not done
//! - [`subscriptions`], [`intakes`], [`access`] and [`scenarios`]
//! - [`overlays`]: all of it once more for each variant of the design
//!
//! Nothing here fails at the first mistake; [`findings`] collects them all.

mod access;
mod annotations;
mod balance;
mod caller_tls;
mod conditions;
mod credential;
mod delegates;
mod directory;
mod findings;
mod intakes;
mod listeners;
mod mesh;
mod names;
mod overlays;
mod policies;
mod refused;
mod routes;
mod rules;
mod scenarios;
mod services;
mod settings;
mod subscriptions;
mod topics;
mod unserved;
mod works;

pub use annotations::{ALLOW, TRY};
pub use overlays::resolve_arm;

use crate::kinds::Documents;
use crate::kinds::overlay::Applied;
use crate::mistake::{Mistake, Place};
use crate::resolved::Design;
use crate::route_test::RouteTest;
use crate::{Reading, Text};
use findings::Findings;
use policies::Policies;
use rules::Rules;
use scenarios::Known;
use services::Services;
use settings::Voices;
use topics::Topics;

/// Works out what all documents together mean.
///
/// # Errors
/// Everything that keeps the design from being used: the mistakes of reading, or, where there are
/// none, those that only show when documents meet, with every overlay too.
pub fn resolve(reading: &Reading) -> Result<Design, Vec<Mistake>> {
    let design = settle(reading, None)?;
    overlays::check(reading)?;
    Ok(design)
}

/// Works out what the documents mean, by themselves or with an overlay applied.
fn settle(reading: &Reading, applied: Option<&Applied>) -> Result<Design, Vec<Mistake>> {
    let overlaid = applied.map(|applied| reading.documents.overlaid(&applied.documents));
    let documents = overlaid.as_ref().unwrap_or(&reading.documents);
    let mut findings = Findings::default();
    let mut design = design(documents, applied, &mut findings);
    if reading.mistakes.is_empty() && findings.mistakes.is_empty() {
        design.notes = reading.notes.iter().cloned().chain(findings.notes).collect();
        return Ok(design);
    }
    // A document that could not be read leaves names that seem to lead nowhere; then only those
    // mistakes are said that hold whatever that document was meant to say.
    // Nor is a place told of twice: what could not be read there cannot be resolved either.
    let is_told = |place: &Place| reading.mistakes.iter().any(|told| told.place == *place);
    let holds = |mistake: &Mistake| {
        reading.mistakes.is_empty() || !(mistake.code.starts_with("unknown-") || is_told(&mistake.place))
    };
    Err(reading.mistakes.iter().cloned().chain(findings.mistakes.into_iter().filter(holds)).collect())
}

/// Reads and resolves.
///
/// # Errors
/// All mistakes of all texts.
pub fn load(texts: &[Text]) -> Result<Design, Vec<Mistake>> {
    resolve(&crate::read(texts))
}

fn design(documents: &Documents, applied: Option<&Applied>, findings: &mut Findings) -> Design {
    annotations::check(documents, findings);
    let mut services = Services::of(documents, findings);
    let rules = Rules::of(documents, findings);
    rules.cut_subsets(&mut services);
    let topics = Topics::of(documents, findings);
    works::fill(documents, &topics, &mut services, findings);
    let routes = route_names(documents);
    let policies = Policies::of(documents, &services, &routes, findings);
    settings::settle(&mut services, &rules, &policies, findings);

    let voices = Voices { services: &services, rules: &rules, policies: &policies };
    let listeners = listeners::listeners(documents, voices, findings);
    let mesh = mesh::table(documents, voices, findings);
    refused::refuse(documents, findings);
    unserved::note(documents, findings);
    note_who_is_only_named(&services, findings);
    note_what_is_not_run(documents, findings);
    let subscriptions = subscriptions::all(documents, &topics, &services, findings);
    let intakes = intakes::all(documents, &topics, &services, findings);
    let issuers = access::issuers(documents, findings);
    let access = access::access(documents, &services, &listeners, findings);
    let known = Known {
        documents,
        services: &services,
        topics: &topics,
        intakes: &intakes::names(documents),
        subscriptions: &subscriptions::names(documents),
        routes: &routes,
        applied,
    };
    let scenarios = scenarios::all(known, findings);
    let tests = documents.tests.iter().flat_map(|tests| &tests.test_cases);
    Design {
        listeners,
        mesh,
        tests: tests.map(|written| RouteTest { written: written.clone() }).collect(),
        notes: Vec::new(),
        subscriptions,
        intakes,
        issuers,
        access,
        scenarios,
        brokers: topics.brokers,
        topics: topics.all,
        policies: documents.policies.len(),
        services: services.all,
    }
}

/// Every name by which a policy can target a route.
fn route_names(documents: &Documents) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for document in &documents.virtual_services {
        for (index, rule) in document.spec.http.iter().enumerate() {
            names.extend(routes::names_of(document, rule, index));
        }
    }
    names.sort();
    names.dedup();
    names
}

/// Kinds whose documents are checked and simulated, and that nothing runs yet.
fn note_what_is_not_run(documents: &Documents, findings: &mut Findings) {
    let first = [
        ("Broker", documents.brokers.first().map(|it| &it.place)),
        ("Topic", documents.topics.first().map(|it| &it.place)),
        ("Subscription", documents.subscriptions.first().map(|it| &it.place)),
        ("Intake", documents.intakes.first().map(|it| &it.place)),
    ];
    let named: Vec<&str> = first.iter().filter(|(_, place)| place.is_some()).map(|(kind, _)| *kind).collect();
    if let Some(place) = first.iter().find_map(|(_, place)| *place) {
        findings.note(named.join(", "), "checked and simulated; this version does not run them", place);
    }
}

/// Says who is only named, and nowhere served.
fn note_who_is_only_named(services: &Services, findings: &mut Findings) {
    let nameless: Vec<_> = services.all.iter().filter(|service| service.implied).collect();
    if let [first, ..] = nameless[..] {
        let text = "only named by rules: no document says where they answer; a request routed there gets 503, `no host`";
        let names: Vec<&str> = nameless.iter().take(3).map(|service| &*service.name).collect();
        let more = nameless.len() - names.len();
        let subject = match more {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        };
        findings.note(subject, text, &first.place);
    }
}

#[cfg(test)]
mod tests;
