//! Asks endpoints whether they are well, each when it is due.

use crate::health::{Watch, WatchId};
use crate::proxy::Shared;
use crate::snapshot::Snapshot;
use bowline_call::{Alarm, check};
use bowline_model::{Random, SplitMix64};
use bowline_policy::Health;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;

/// Checks that are under way at once. 64: at ten milliseconds each that is six thousand a second, and where
/// most of a thousand endpoints hang for a second, all of them are still asked within a quarter of a minute.
const UNDER_WAY_MAX: usize = 64;

/// A task for each endpoint that is asked.
pub(super) struct Checks {
    here: Rc<Here>,
    tasks: BTreeMap<WatchId, AbortHandle>,
}

/// What all of them share.
struct Here {
    shared: Arc<Shared>,
    /// Told when another snapshot holds: an endpoint may be due earlier.
    changed: Notify,
    places: Semaphore,
    seeds: RefCell<SplitMix64>,
}

impl Checks {
    pub(super) fn new(shared: &Arc<Shared>, seed: u64) -> Self {
        let here = Here {
            shared: Arc::clone(shared),
            changed: Notify::new(),
            places: Semaphore::new(UNDER_WAY_MAX),
            seeds: RefCell::new(SplitMix64::new(seed)),
        };
        Self { here: Rc::new(here), tasks: BTreeMap::new() }
    }

    /// Asks those that `snapshot` wants asked, and nobody else.
    pub(super) fn follow(&mut self, snapshot: &Snapshot) {
        self.tasks.retain(|id, task| {
            let stays = snapshot.watch(id).is_some();
            if !stays {
                task.abort();
            }
            stays
        });
        for (id, _) in snapshot.watches() {
            let here = &self.here;
            self.tasks.entry(id.clone()).or_insert_with(|| {
                let asking = Rc::clone(here).ask_again_and_again(id.clone());
                tokio::task::spawn_local(asking).abort_handle()
            });
        }
        self.here.changed.notify_waiters();
    }
}

impl Here {
    /// Asks one endpoint for as long as the latest snapshot wants it asked.
    async fn ask_again_and_again(self: Rc<Self>, id: WatchId) {
        let clock = self.shared.clock;
        let mut alarm = Alarm::new(clock);
        loop {
            let Some(due) = self.shared.snapshot.load().watch(&id).map(|watch| watch.checked.due()) else {
                return;
            };
            if alarm.or_until(due, pin!(self.changed.notified())).await.is_some() {
                continue;
            }
            let Ok(_place) = self.places.acquire().await else { return };
            let snapshot = self.shared.snapshot.load_full();
            let Some(watch) = snapshot.watch(&id) else { return };
            let began = clock.now();
            let seed = self.seeds.borrow_mut().next_u64();
            let timeout = watch.checked.settings().timeout;
            let (address, transport) = (watch.endpoint.address(), watch.endpoint.transport());
            let went = check::ask(&watch.question, address, transport, timeout, clock, seed).await;
            let before = watch.checked.health();
            if let Some(health) = watch.checked.saw(began, went) {
                tell_people(watch, before, health, went.err());
            }
            // Whom it concerns by now.
            if let Some(watch) = self.shared.snapshot.load().watch(&id) {
                watch.tell(clock.now());
            }
        }
    }
}

fn tell_people(watch: &Watch, before: Health, health: Health, symptom: Option<check::Symptom>) {
    let (service, host) = (&*watch.service, &**watch.endpoint.address());
    match (before, health, symptom) {
        (_, Health::Ill, Some(symptom)) => {
            tracing::warn!(service, host, %symptom, "found ill: left out while another host is well");
        }
        (Health::Ill, Health::Well, _) => tracing::warn!(service, host, "well again"),
        _ => tracing::info!(service, host, health = health.as_str(), "checked"),
    }
}
