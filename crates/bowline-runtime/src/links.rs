//! The other side of the library's link: what the design says to guards, and what they told.

use crate::faults::Injected;
use bowline::link::format::{Guard, Guards, Report, StateKeys, TrailReport};
use bowline::settings::Idempotency;
use bowline_design::Design;
use bowline_design::resolved::{self, CallSettings};
use bowline_fault::Plan;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

/// The most trails kept, over all processes: enough for the last minutes of a person's experiments.
const TRAILS_MAX: usize = 4_096;

/// What the guards of every linked process are told: each service of the design and each operation.
///
/// Only what the design writes is said. A default of ours does not take the place of what a program's
/// author chose.
#[must_use]
pub fn guards(design: &Design, faults: &[Injected], revision: String) -> Guards {
    let mut all = Vec::new();
    for (_, service) in design.services() {
        all.push(guard(service.name.to_string(), &service.policy, faults));
        for operation in &service.operations {
            all.push(guard(format!("{}.{}", service.name, operation.name), &operation.settings, faults));
        }
    }
    Guards { revision, guards: all }
}

fn guard(name: String, settings: &CallSettings, faults: &[Injected]) -> Guard {
    let written = settings.deadlines.iter().filter(|(_, span)| span.from.place().is_some());
    let deadline = written.min_by_key(|(_, span)| span.value);
    let retry = &settings.retry;
    let retry_place = [
        retry.tries.from.place(),
        retry.per_try.as_ref().and_then(|per_try| per_try.from.place()),
        retry.backoff.from.place(),
    ]
    .into_iter()
    .flatten()
    .next();
    let breaker = settings.breaker.as_ref().filter(|breaker| breaker.from.place().is_some());
    let bulkhead = settings.bulkhead.as_ref().filter(|bulkhead| bulkhead.from.place().is_some());
    let rate = settings.rate.as_ref().filter(|rate| rate.from.place().is_some());
    let admission = settings.admission.as_ref().filter(|admission| admission.from.place().is_some());
    let doomed = settings.doomed.as_ref().filter(|doomed| doomed.from.place().is_some());
    let budget = retry_place.and(settings.budget.as_ref());
    let throttle = settings.retry_throttle.as_ref();
    let keys = &settings.keys;
    // A key only for what is said: a part that the code asks for is the guard's own.
    let state = StateKeys {
        breaker: breaker.map(|_| keys.breaker.to_string()),
        budget: budget.map(|_| keys.budget.to_string()),
        retry_throttle: throttle.map(|_| keys.retry_throttle.to_string()),
        bulkhead: bulkhead.map(|_| keys.bulkhead.to_string()),
        rate: rate.map(|_| keys.rate.to_string()),
        admission: admission.map(|_| keys.admission.to_string()),
    };
    let place = deadline
        .and_then(|(_, span)| span.from.place())
        .or(retry_place)
        .or_else(|| breaker.and_then(|breaker| breaker.from.place()))
        .or_else(|| bulkhead.and_then(|bulkhead| bulkhead.from.place()));
    let mut plan: Vec<_> = settings.faults.iter().map(|fault| fault.value).collect();
    plan.extend(faults.iter().filter(|injected| injected.hits(&name)).map(|injected| injected.fault));
    Guard {
        place: place.map(|place| format!("{}:{}", place.file, place.line)),
        deadline: deadline.map(|(_, span)| span.value),
        idempotent: settings.idempotent.from.place().map(|_| idempotency(settings.idempotent.value)),
        // What an operation does not say of its 202, the code may.
        pending: settings.pending.then_some(true),
        retry: retry_place.map(|_| retry.settings()),
        budget: budget.map(|budget| budget.value),
        retry_throttle: throttle.map(|throttle| throttle.value),
        breaker: breaker.map(|breaker| breaker.value),
        bulkhead: bulkhead.map(|bulkhead| bulkhead.value),
        rate: rate.map(|rate| rate.value),
        admission: admission.map(|admission| admission.value),
        priority: settings.priority.as_ref().map(|priority| priority.value),
        doomed: doomed.map(|doomed| doomed.value),
        state,
        faults: Plan::new(plan),
        ..Guard::named(name)
    }
}

fn idempotency(value: resolved::Idempotency) -> Idempotency {
    match value {
        resolved::Idempotency::Yes => Idempotency::Yes,
        resolved::Idempotency::ByKey => Idempotency::ByKey,
        resolved::Idempotency::ByMethod => Idempotency::Undeclared,
        resolved::Idempotency::No => Idempotency::No,
    }
}

/// What linked processes told.
#[derive(Debug, Default)]
pub struct Links {
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    /// The last report of each process, by service and process id, without its trails.
    reports: BTreeMap<(String, u32), Report>,
    trails: VecDeque<ServiceTrail>,
}

/// A trail and the service that told it.
type ServiceTrail = (String, TrailReport);

impl Links {
    /// Takes a report of `service`.
    pub fn take(&self, service: &str, mut report: Report) {
        let mut told = self.lock();
        for trail in report.trails.drain(..) {
            if told.trails.len() == TRAILS_MAX {
                told.trails.pop_front();
            }
            told.trails.push_back((service.to_owned(), trail));
        }
        // A service that was started again has a new process; the old one's counters end with it.
        told.reports.retain(|(known, process), _| known != service || *process == report.process);
        told.reports.insert((service.to_owned(), report.process), report);
    }

    /// The trails of one trace, in the order in which they began, each with the service that told it.
    #[must_use]
    pub fn of_trace(&self, trace: &str) -> Vec<(String, TrailReport)> {
        let told = self.lock();
        let mut found: Vec<_> =
            told.trails.iter().filter(|(_, trail)| trail.trace == trace).cloned().collect();
        found.sort_by_key(|(_, trail)| trail.at_unix_ms);
        found
    }

    /// The newest trail that somebody may ask about: tried more than once, or not succeeded.
    #[must_use]
    pub fn last_notable(&self) -> Option<TrailReport> {
        let told = self.lock();
        let notable = |trail: &&TrailReport| trail.tries > 1 || trail.outcome != "succeeded";
        told.trails
            .iter()
            .map(|(_, trail)| trail)
            .filter(notable)
            .max_by_key(|trail| trail.at_unix_ms)
            .cloned()
    }

    /// The last report of each process, with its service.
    #[must_use]
    pub fn reports(&self) -> Vec<(String, Report)> {
        self.lock().reports.iter().map(|((service, _), report)| (service.clone(), report.clone())).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(process: u32, trace: &str) -> Report {
        let trail =
            TrailReport { trace: trace.to_owned(), name: "inventory".to_owned(), ..TrailReport::default() };
        Report { process, trails: vec![trail], ..Report::default() }
    }

    fn told(yaml: &str) -> Guards {
        let text = bowline_design::Text { name: "design.yaml".into(), text: yaml.to_owned() };
        guards(&bowline_design::load(&[text]).unwrap(), &[], "1".to_owned())
    }

    const INVENTORY: &str = "
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: { name: inventory }
spec:
  endpoints: [ { address: \"127.0.0.1:7103\" } ]
  operations:
  - { name: allocate, http: { method: POST, path: /allocations }, idempotent: by-key }
  - { name: count, http: { method: POST, path: /counts }, accepts: true }
  - { name: release, http: { method: POST, path: /releases }, idempotent: by-key }
---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: { name: stock }
spec:
  targets: [ { service: inventory } ]
  breaker: { window: 10s, minCalls: 20, failureRatio: 0.5, open: 10s }
---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: { name: releases }
spec:
  targets: [ { operation: inventory.release } ]
  retry: { tries: 2 }
";

    #[test]
    fn guards_of_one_policy_are_told_one_key_and_only_for_what_it_asks_for() {
        let told = told(INVENTORY);
        let of = |name| &told.named(name).unwrap().state;
        let (allocate, release) = (of("inventory.allocate"), of("inventory.release"));
        assert!(allocate.breaker.as_ref().is_some_and(|key| key.contains("stock")), "{allocate:?}");
        assert_eq!(allocate.breaker, release.breaker);
        assert_eq!(allocate.breaker, of("inventory").breaker);
        assert_eq!((&allocate.budget, &allocate.bulkhead, &allocate.rate), (&None, &None, &None));
        assert!(release.budget.as_ref().is_some_and(|key| key.contains("releases")), "{release:?}");
    }

    #[test]
    fn an_operation_that_accepts_says_so_to_its_guard() {
        let told = told(INVENTORY);
        let pending = |name| told.named(name).unwrap().pending;
        assert_eq!((pending("inventory.count"), pending("inventory.release")), (Some(true), None));
    }

    #[test]
    fn trails_are_found_by_their_trace() {
        let links = Links::default();
        links.take("orders", report(1, "aa"));
        links.take("orders", report(1, "bb"));
        let found = links.of_trace("bb");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "orders");
    }

    #[test]
    fn the_counters_of_a_process_that_was_replaced_end_with_it() {
        let links = Links::default();
        links.take("orders", report(1, "aa"));
        links.take("orders", report(2, "bb"));
        let reports = links.reports();
        assert_eq!(reports.iter().map(|(_, report)| report.process).collect::<Vec<_>>(), [2]);
        assert_eq!(links.of_trace("aa").len(), 1, "trails outlive the process that told them");
    }
}
