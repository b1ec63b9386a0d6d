//! The record of a request whose answer has begun, until the answer is through.
//!
//! Why: a gRPC answer says in its trailers how it went, and a long body may break off. Nothing is held back
//! for that: the answer is passed on, and what is told of it waits.

use crate::flags::Flag;
use crate::metrics::CallTally;
use crate::proxy::Shared;
use crate::trails::Record;
use bowline_model::Instant;
use bowline_model::decision::{Decision, Observer};
use std::sync::Arc;

/// A record as it stood when the answer began.
#[derive(Debug)]
pub(crate) struct Untold {
    record: Arc<Record>,
    shared: Arc<Shared>,
    /// Whether a recorder waits for it.
    recorded: bool,
}

impl Untold {
    pub(crate) fn new(record: Arc<Record>, shared: &Arc<Shared>, recorded: bool) -> Box<Self> {
        Box::new(Self { record, shared: Arc::clone(shared), recorded })
    }

    /// The answer is through, or not wanted any more.
    pub(crate) fn tell(mut self, flag: Flag, now: Instant) {
        let record = Arc::make_mut(&mut self.record);
        record.through = Some(now.since(record.began));
        if flag != Flag::None {
            record.flag = flag;
        }
        if 0 < record.id {
            self.shared.trails.replace(&self.record);
        }
        if let (Some(recorder), true) = (&self.shared.recorder, self.recorded) {
            recorder.finished(self.record);
        }
    }
}

/// Listens to what is decided while an answer is passed on: counts it, and adds it to the record if there is
/// one.
pub(crate) struct Late<'a> {
    pub(crate) tally: &'a CallTally,
    pub(crate) untold: Option<&'a mut Untold>,
}

impl Observer for Late<'_> {
    fn decided(&mut self, at: Instant, decision: Decision) {
        if let Decision::BreakerMoved { to, .. } = decision {
            self.tally.moved(to);
        }
        if let Some(untold) = &mut self.untold {
            Arc::make_mut(&mut untold.record).trail.decided(at, decision);
        }
    }
}
