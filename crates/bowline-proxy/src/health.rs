//! What is known of whether endpoints are well, and who is told.
//!
//! It belongs to a service and one of its endpoints, and goes from snapshot to snapshot with them. The
//! [lookout](crate::lookout) asks; balancers are told: an endpoint may be a host of several.

use bowline_call::Endpoint;
use bowline_call::check::{Question, Symptom};
use bowline_design::resolved::{CheckedBy, HealthCheck as Asked};
use bowline_model::{Instant, SplitMix64};
use bowline_policy::balance::Host;
use bowline_policy::{Health, HealthCheck, HealthSettings};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An endpoint of a service that is asked whether it is well.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) service: Arc<str>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) question: Question,
    pub(crate) checked: Arc<Checked>,
    /// What it is to balancers.
    hosts: Vec<Arc<Host>>,
}

/// A service, by the authority that means it everywhere, and the address of one of its endpoints in memory,
/// which stays while anybody refers to it.
pub(crate) type WatchId = (Arc<str>, usize);

/// What checks of one endpoint have come to.
#[derive(Debug)]
pub(crate) struct Checked(Mutex<State>);

#[derive(Debug)]
struct State {
    check: HealthCheck,
    rng: SplitMix64,
    /// Checks so far: those that passed, and the others by what spoke against the endpoint.
    counts: BTreeMap<&'static str, u64>,
}

/// The word for checks that passed.
const PASSED: &str = "passed";

impl Checked {
    /// An endpoint that nobody has asked.
    pub(crate) fn new(settings: HealthSettings, now: Instant, seed: u64) -> Arc<Self> {
        let mut rng = SplitMix64::new(seed);
        let check = HealthCheck::new(settings, now, &mut rng);
        Arc::new(Self(Mutex::new(State { check, rng, counts: BTreeMap::new() })))
    }

    /// Goes on under these settings.
    pub(crate) fn change(&self, settings: HealthSettings, now: Instant) {
        self.state().check.change(settings, now);
    }

    pub(crate) fn health(&self) -> Health {
        self.state().check.health()
    }

    pub(crate) fn settings(&self) -> HealthSettings {
        *self.state().check.settings()
    }

    /// When it is asked next.
    pub(crate) fn due(&self) -> Instant {
        self.state().check.due()
    }

    /// Checks so far, by how they went.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        self.state().counts.iter().map(|(word, count)| (*word, *count)).collect()
    }

    /// A check that began at `began` went like this; what it changes.
    pub(crate) fn saw(&self, began: Instant, went: Result<(), Symptom>) -> Option<Health> {
        let state = &mut *self.state();
        let word = went.map_or_else(Symptom::as_str, |()| PASSED);
        *state.counts.entry(word).or_default() += 1;
        state.check.saw(began, went.is_ok(), &mut state.rng)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    pub(crate) fn new(
        service: Arc<str>,
        endpoint: Arc<Endpoint>,
        asked: &Asked,
        checked: Arc<Checked>,
    ) -> Self {
        let question = match asked.by.clone() {
            CheckedBy::Http { path, host, good } => Question::Http { path, host, good },
            CheckedBy::Grpc { host, service } => Question::Grpc { host, service },
        };
        Self { service, endpoint, question, checked, hosts: Vec::new() }
    }

    /// It is these hosts, too.
    pub(crate) fn join(&mut self, hosts: impl Iterator<Item = Arc<Host>>) {
        for host in hosts {
            if !self.hosts.iter().any(|known| Arc::ptr_eq(known, &host)) {
                self.hosts.push(host);
            }
        }
    }

    /// What it is to balancers.
    pub(crate) fn hosts(&self) -> &[Arc<Host>] {
        &self.hosts
    }

    /// Tells balancers what is known.
    pub(crate) fn tell(&self, now: Instant) {
        let is_well = self.checked.health().is_well();
        self.hosts.iter().for_each(|host| host.checked(now, is_well));
    }
}
