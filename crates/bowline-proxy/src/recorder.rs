//! Who is told of the requests of a trace.
//!
//! What a request decided is written down at any rate, for `explain`. A recorder gets the same record, so that
//! a trace and `explain` cannot tell two stories.

use crate::trails::Record;
use bowline_model::TraceContext;
use std::fmt;
use std::sync::Arc;

/// Takes the records of sampled requests. The first two methods are called by workers while others wait:
/// they must neither block nor take long.
pub trait Recorder: fmt::Debug + Send + Sync {
    /// Whether the request is recorded, decided once, before anything is known of how it ends. `given`: what
    /// its caller handed on; `trace`: the trace it belongs to, whoever began that.
    fn samples(&self, given: Option<TraceContext>, trace: u128) -> bool;

    /// A sampled request has its answer.
    fn finished(&self, request: Arc<Record>);

    /// Requests that were to be recorded and are lost.
    fn dropped(&self) -> u64;
}
