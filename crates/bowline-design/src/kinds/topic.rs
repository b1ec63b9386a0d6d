//! Our Topic: an ordered log of records, split in partitions.

use crate::kinds::Meta;
use crate::kinds::values::{Age, at_least_one};
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{Group, Kind, OURS};
use crate::read::names::quoted;
use crate::read::record::{record, words};

/// Partitions of one topic. Kafka's own advice is a few thousand for a whole broker; each is a queue in
/// the simulator's memory.
const PARTITIONS_MAX: u32 = 10_000;

record! {
    /// An ordered log of records, split in partitions.
    pub struct Topic {
        /// The Broker that keeps it.
        pub broker: Spot<String>,
        /// Into how many parts it is split; 1 when absent.
        pub partitions: Option<Spot<u32>>,
        /// Where in a record its key stands, as a JSON Pointer: records of one key stay in order.
        pub key: Option<Spot<String>>,
        /// The contract that its records keep.
        pub contract: Option<Spot<String>>,
        /// How long a record is kept; for good when absent.
        pub retention: Option<Spot<Age>>,
        /// What publishing has to guarantee.
        pub needs: Option<Spot<RecordNeeds>>,
    }
}

record! {
    /// What a topic or subscription has to guarantee. A broker that cannot is refused at start.
    pub struct RecordNeeds {
        /// Which records stay in order.
        pub order: Option<Spot<Order>>,
        /// What a record has survived once it is confirmed.
        pub durability: Option<Spot<Durability>>,
        /// Whether old records can be read again.
        pub replay: Option<Spot<bool>>,
        /// Whether a record can be put off without holding up others.
        pub delayed_retry: Option<Spot<bool>>,
    } checked by check_needs
}

words! {
    /// Which records stay in order.
    pub enum Order {
        /// Those of one key.
        Key = "key",
        /// All of the topic.
        Topic = "topic",
        /// None.
        None = "none",
    }
}

words! {
    /// What a record has survived once it is confirmed.
    pub enum Durability {
        /// Nothing: it is in the broker's memory.
        Memory = "memory",
        /// A crash of the broker: the operating system has it.
        Buffered = "buffered",
        /// A power loss: it is synced to a disk.
        Fsync = "fsync",
        /// The loss of a machine: others have it, in memory at least.
        Replicated = "replicated",
    }
}

impl Kind for Topic {
    const KIND: &'static str = "Topic";
    const GROUP: Group = OURS;

    fn check(_: &Meta, spec: &Self, _: &Place, mistakes: &mut Mistakes) {
        at_least_one(spec.partitions.as_ref(), mistakes);
        if let Some(many) = spec.partitions.as_ref().filter(|count| count.value > PARTITIONS_MAX) {
            let found = format!("{} partitions", many.value);
            mistakes.add("too-large", &many.place, found, format!("at most {PARTITIONS_MAX}"));
        }
        if let Some(key) = spec.key.as_ref().filter(|key| !is_pointer(key)) {
            let mistake =
                mistakes.add("bad-value", &key.place, quoted(key), "a JSON Pointer such as /order_id");
            if !key.is_empty() && !key.contains(['/', '~', '$', ' ']) {
                mistake.hint(format!("write /{}", key.replace('.', "/")));
            }
        }
        if let Some(none) = spec.retention.as_ref().filter(|age| age.0.is_zero()) {
            mistakes
                .add("bad-value", &none.place, "no time at all", "more than 0s")
                .hint("to keep records for good, leave the field out");
        }
        let needs = spec.needs.as_ref().map(|needs| &needs.value);
        if let Some(order) = needs.and_then(|needs| needs.order.as_ref())
            && order.value == Order::Key
            && spec.key.is_none()
        {
            mistakes.add("missing-field", &order.place, "order by key of a topic without one", "a `key`");
        }
        if let (Some(order), Some(partitions)) =
            (needs.and_then(|needs| needs.order.as_ref()), &spec.partitions)
            && order.value == Order::Topic
            && partitions.value > 1
        {
            let found = format!("one order over {} partitions", partitions.value);
            let mistake = mistakes.add("conflict", &order.place, found, "`partitions: 1`, or order by key");
            mistake.also(partitions.place.clone());
        }
    }
}

/// Whether `text` is a JSON Pointer to something inside a document (RFC 6901).
fn is_pointer(text: &str) -> bool {
    let escapes = |part: &str| part.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(escapes))
}

fn check_needs(needs: &RecordNeeds, place: &Place, mistakes: &mut Mistakes) {
    let RecordNeeds { order, durability, replay, delayed_retry } = needs;
    if order.is_none() && durability.is_none() && replay.is_none() && delayed_retry.is_none() {
        mistakes.add("missing-field", place, "needs that ask for nothing", "`durability`, for a start");
    }
}
