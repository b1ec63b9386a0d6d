//! Our Subscription: consumers that share the records of a topic.

use crate::kinds::Meta;
use crate::kinds::policy::Backoff;
use crate::kinds::topic::RecordNeeds;
use crate::kinds::values::{at_least_one, longer_than_zero};
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{Group, Kind, OURS};
use crate::read::names::{is_label, quoted};
use crate::read::record::{either, record};
use std::time::Duration;

record! {
    /// Consumers that share the records of a topic.
    pub struct Subscription {
        /// The Topic.
        pub topic: Spot<String>,
        /// Whose it is: each group gets every record once.
        pub group: Spot<String>,
        /// What a record is given to.
        pub deliver: Spot<Deliver>,
        /// What it has to guarantee.
        pub needs: Option<Spot<RecordNeeds>>,
        /// How many records are worked on at once, by the whole group; 1 when absent.
        pub concurrency: Option<Spot<u32>>,
        /// When a record that keeps failing is set aside.
        pub dead_letter: Option<Spot<DeadLetter>>,
        /// How a record that failed is delivered again.
        pub retry: Option<Spot<Redelivery>>,
        /// How far it may lag behind.
        pub lag: Option<Spot<Lag>>,
    }
}

either! {
    /// What a record is given to.
    pub enum Deliver {
        /// An operation, `service.operation`.
        Operation(Spot<String>) = "operation",
    }
}

record! {
    /// When a record that keeps failing is set aside.
    pub struct DeadLetter {
        /// After so many deliveries, the first included; one that surely nobody acted on does not count.
        pub after: Spot<u32>,
    } checked by check_dead_letter
}

record! {
    /// How a record that failed is delivered again. How often is for `deadLetter` to say: without it a
    /// record is never given up.
    pub struct Redelivery {
        /// How long each delivery may take.
        pub per_try: Option<Spot<Duration>>,
        /// How long to wait between deliveries.
        pub backoff: Option<Spot<Backoff>>,
    } checked by check_redelivery
}

record! {
    /// How far consumers may lag behind: the age of the oldest record not yet processed.
    pub struct Lag {
        /// From here on it is said.
        pub warn: Option<Spot<Duration>>,
        /// From here on it is a failure.
        pub limit: Option<Spot<Duration>>,
    } checked by check_lag
}

impl Kind for Subscription {
    const KIND: &'static str = "Subscription";
    const GROUP: Group = OURS;

    fn check(_: &Meta, spec: &Self, _: &Place, mistakes: &mut Mistakes) {
        if !is_label(&spec.group) {
            let found = format!("the group {}", quoted(&spec.group));
            mistakes.add("bad-name", &spec.group.place, found, "letters, digits and `-`, at most 63");
        }
        at_least_one(spec.concurrency.as_ref(), mistakes);
    }
}

fn check_dead_letter(dead_letter: &DeadLetter, _: &Place, mistakes: &mut Mistakes) {
    at_least_one(Some(&dead_letter.after), mistakes);
}

fn check_redelivery(retry: &Redelivery, place: &Place, mistakes: &mut Mistakes) {
    longer_than_zero(retry.per_try.as_ref(), mistakes);
    if retry.per_try.is_none() && retry.backoff.is_none() {
        mistakes.add("missing-field", place, "a retry that says nothing", "`backoff`, for a start");
    }
}

fn check_lag(lag: &Lag, place: &Place, mistakes: &mut Mistakes) {
    longer_than_zero(lag.warn.as_ref(), mistakes);
    longer_than_zero(lag.limit.as_ref(), mistakes);
    match (&lag.warn, &lag.limit) {
        (None, None) => {
            mistakes.add("missing-field", place, "a lag without bounds", "`warn`, `limit` or both");
        }
        (Some(warn), Some(limit)) if warn.value > limit.value => {
            let found = "a warning above the limit";
            mistakes.add("bad-value", &warn.place, found, "at most the limit").also(limit.place.clone());
        }
        _ => {}
    }
}
