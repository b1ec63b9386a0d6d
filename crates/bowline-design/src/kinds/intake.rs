//! Our Intake: a synchronous door to asynchronous work.

use crate::kinds::Meta;
use crate::kinds::service::HttpOperation;
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{Group, Kind, OURS};
use crate::read::record::{either, record};
use std::time::Duration;

record! {
    /// A synchronous door to asynchronous work.
    pub struct Intake {
        /// The requests it takes.
        pub matches as "match": Spot<HttpOperation>,
        /// What a request starts.
        pub start: Spot<Start>,
        /// How long the asker waits for the end of it: done by then, the answer is final; else it is 202
        /// and where to ask again. Absent, a call is waited for as long as its deadline lasts, and
        /// anything else is not waited for.
        pub wait: Option<Spot<Duration>>,
        /// What is started instead when the call has not succeeded by then: the asker gets 202. It may
        /// have had its effect all the same, so only an idempotent operation should be asked twice.
        pub otherwise: Option<Spot<Otherwise>>,
    }
}

either! {
    /// What a request starts.
    pub enum Start {
        /// A saga.
        Saga(Spot<String>) = "saga",
        /// A record.
        Publish(PublishTo) = "publish",
        /// A call.
        Call(CallTo) = "call",
    }
}

either! {
    /// What is started when the call has not succeeded in time.
    pub enum Otherwise {
        /// A record.
        Publish(PublishTo) = "publish",
    }
}

record! {
    /// Where a record goes.
    pub struct PublishTo {
        /// The Topic.
        pub topic: Spot<String>,
    }
}

record! {
    /// What is called.
    pub struct CallTo {
        /// The operation, `service.operation`.
        pub operation: Spot<String>,
    }
}

impl Kind for Intake {
    const KIND: &'static str = "Intake";
    const GROUP: Group = OURS;

    fn check(_: &Meta, spec: &Self, _: &Place, mistakes: &mut Mistakes) {
        if let Some(otherwise) = &spec.otherwise
            && !matches!(spec.start.value, Start::Call(_))
        {
            let found = "`otherwise` beside a start that is no call";
            let mistake = mistakes.add("conflict", &otherwise.place, found, "`start: { call: .. }`");
            mistake.also(spec.start.place.clone()).hint("a record that is published needs no other way");
        }
    }
}
