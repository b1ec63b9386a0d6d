//! Faults put in while the system runs: `bowline fault add`.
//!
//! They are one more part of what an edge's policy is made of, so a change compiles the snapshot anew
//! and the data path never looks at this list.

use crate::metrics::Callee;
use bowline_fault::Fault;
use std::sync::Arc;

/// One fault, and whose calls it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRule {
    /// Its number, from one, of this process; given when it is added.
    pub id: u64,
    /// The service whose calls are broken, by its plain name.
    pub service: Arc<str>,
    /// Only this operation's; `None`: all.
    pub operation: Option<Arc<str>>,
    /// What happens.
    pub fault: Fault,
}

impl FaultRule {
    /// Whether calls to `callee` are broken by it.
    pub(crate) fn concerns(&self, callee: &Callee) -> bool {
        self.service == callee.service
            && self.operation.as_ref().is_none_or(|operation| *operation == callee.operation)
    }
}
