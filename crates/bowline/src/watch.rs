//! Who listens to a call's decisions: `tracing` always, the link's trail where there is a link.

use bowline_model::decision::{BreakerState, Decision};
use bowline_model::describe::{describe, word};
use bowline_model::{Instant, Observer, Trail};
use std::sync::Arc;
use tracing::{debug, warn};

/// Who listens to one call.
#[derive(Debug)]
pub(crate) struct Watch {
    guard: Arc<str>,
    trail: Option<Trail>,
}

impl Watch {
    pub(crate) fn new(guard: Arc<str>, with_trail: bool) -> Self {
        Self { guard, trail: with_trail.then(Trail::default) }
    }

    /// The decisions so far, if they are kept. None are kept from here on.
    pub(crate) fn take_trail(&mut self) -> Option<Trail> {
        self.trail.take()
    }
}

impl Observer for Watch {
    fn decided(&mut self, at: Instant, decision: Decision) {
        if let Some(trail) = &mut self.trail {
            trail.decided(at, decision);
        }
        // A breaker that opens is news; everything else is for whoever looks closely.
        if matches!(decision, Decision::BreakerMoved { to: BreakerState::Open, .. }) {
            warn!(target: TARGET, guard = %self.guard, decision = word(&decision), "{}", describe(&decision));
        } else {
            debug!(target: TARGET, guard = %self.guard, decision = word(&decision), "{}", describe(&decision));
        }
    }
}

/// What a filter names to see decisions, whatever module they come from.
const TARGET: &str = "bowline";
