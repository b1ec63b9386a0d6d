//! Synchronous doors to asynchronous work.

use super::{PathPattern, ServiceId, Sourced, TopicId};
use crate::mistake::Place;
use http::Method;
use std::sync::Arc;
use std::time::Duration;

/// Which intake: an index into [`super::Design::intakes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntakeId(pub u32);

/// A synchronous door to asynchronous work.
#[derive(Clone, Debug, PartialEq)]
pub struct Intake {
    /// Its name.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Where it is declared.
    pub place: Place,
    /// The method of the requests that it takes.
    pub method: Method,
    /// Their path.
    pub path: PathPattern,
    /// What a request starts.
    pub start: Start,
    /// How long the asker waits for the end of it; `None`: as long as the call's deadline lasts.
    pub wait: Sourced<Option<Duration>>,
    /// The topic to which a request is published when the call has not succeeded by then; the asker
    /// gets 202. Only where `start` is a call.
    pub otherwise: Option<Sourced<TopicId>>,
}

/// What a request starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// A saga, by its name: this version reads none.
    Saga {
        /// Its name.
        name: String,
        /// Where it is written.
        place: Place,
    },
    /// A record.
    Publish {
        /// To where.
        topic: TopicId,
        /// Where it is written.
        place: Place,
    },
    /// A call.
    Call {
        /// Of whom.
        service: ServiceId,
        /// As an index of its operations.
        operation: usize,
        /// Where it is written.
        place: Place,
    },
}
