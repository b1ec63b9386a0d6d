//! Asks DNS who the hosts are, each name when its last answer no longer holds.

use crate::found::{Kind, Looked};
use crate::proxy::Maker;
use bowline_call::Alarm;
use bowline_call::names::Resolver;
use bowline_model::{Random, SplitMix64};
use bowline_policy::refresh::Refresh;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// A task for each name.
pub(super) struct Names {
    here: Rc<Here>,
    tasks: BTreeMap<Arc<str>, AbortHandle>,
}

struct Here {
    maker: Arc<Maker>,
    seeds: RefCell<SplitMix64>,
}

impl Names {
    pub(super) fn new(maker: &Arc<Maker>, seed: u64) -> Self {
        let here = Here { maker: Arc::clone(maker), seeds: RefCell::new(SplitMix64::new(seed)) };
        Self { here: Rc::new(here), tasks: BTreeMap::new() }
    }

    /// Looks up these names, and no others.
    pub(super) fn follow(&mut self, names: &BTreeSet<Arc<str>>) {
        self.tasks.retain(|name, task| {
            let stays = names.contains(name);
            if !stays {
                task.abort();
            }
            stays
        });
        for name in names {
            let here = &self.here;
            self.tasks.entry(Arc::clone(name)).or_insert_with(|| {
                let looking = Rc::clone(here).look_up_again_and_again(Arc::clone(name));
                tokio::task::spawn_local(looking).abort_handle()
            });
        }
    }
}

impl Here {
    async fn look_up_again_and_again(self: Rc<Self>, name: Arc<str>) {
        let (shared, clock) = (self.maker.shared(), self.maker.shared().clock);
        let mut rng = SplitMix64::new(self.seeds.borrow_mut().next_u64());
        let mut refresh = Refresh::new(shared.limits.names);
        let mut alarm = Alarm::new(clock);
        let mut known: Vec<IpAddr> = Vec::new();
        loop {
            // Made anew each time: it holds nothing, and the system's configuration may have changed.
            let went = match Resolver::new(shared.dns) {
                Ok(resolver) => resolver.look_up(&name, &known).await,
                Err(error) => Err(error),
            };
            let now = clock.now();
            let due = match went {
                Ok(found) => {
                    let looked = match found.addresses == known {
                        true => Looked::Same,
                        false => Looked::Changed(found.addresses.len()),
                    };
                    if shared.sources.went(&name, Kind::Name, looked) {
                        tracing::warn!(name = &*name, "DNS answers again");
                    }
                    if looked != Looked::Same {
                        tracing::info!(name = &*name, addresses = ?found.addresses, "DNS has news");
                        known.clone_from(&found.addresses);
                        self.maker.found_name(&name, &known);
                    }
                    refresh.learned(now, found.ttl, &mut rng)
                }
                Err(error) => {
                    if shared.sources.went(&name, Kind::Name, Looked::Failed) {
                        let source = std::error::Error::source(&error).map(ToString::to_string);
                        let source = source.unwrap_or_default();
                        let kept = known.len();
                        tracing::warn!(name = &*name, %error, source, kept, "what was known of a name holds");
                    }
                    refresh.failed(now, &mut rng)
                }
            };
            alarm.wait(due).await;
        }
    }
}
