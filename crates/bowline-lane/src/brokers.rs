//! What the brokers that we know can do, as a table.
//!
//! Each is the broker with the settings that an adapter asks it for. An adapter that finds its broker configured
//! otherwise answers with a copy that says so. What is declared for a broker that has no adapter yet is what its
//! documentation says; it counts once the conformance suite has passed on it.

use crate::negotiate::{Capabilities, Support, Text};

const LANES: &str = "lanes of the consumer";

const PARKED_LANE: Support = Support::emulated(
    "parked lane: the records of the key wait in the consumer, order kept",
    "they hold credits while they wait, and begin anew after a restart",
);

/// The memory broker of `bowline-bus`: for tests and for records that may be lost with the process.
pub static MEMORY: Capabilities = Capabilities {
    broker: Text::Borrowed("memory"),
    order_key: Support::native(LANES),
    order_partition: Support::native("partitions"),
    buffered: Support::impossible(
        "records live in this process and end with it: use a broker that writes them down",
    ),
    fsync: Support::impossible(
        "records live in this process and end with it: use a broker that writes them down",
    ),
    replicated: Support::impossible("records live in this process alone"),
    replay: Support::native("offsets, and the time of each record"),
    settlement: Support::native("settled records above the floor are kept in the cursor"),
    delay: PARKED_LANE,
    dedup: Support::impossible("ids are not remembered: deduplicate by event id in the handler"),
    fan_out: Support::native("a cursor for each group"),
    lag: Support::native("the time of the record at the floor"),
    dead_letter_order: Support::native("dead letters and parked records in one sequence for each key"),
    at_least_once: Support::native("cursors outlive consumers, as long as the process lives"),
};

/// The embedded store: one SQLite file with full synchronisation, one process.
pub static EMBEDDED: Capabilities = Capabilities {
    broker: Text::Borrowed("the embedded store"),
    order_key: Support::native(LANES),
    order_partition: Support::native("partitions"),
    buffered: Support::native("write-ahead log"),
    fsync: Support::native("one sync for all who wait"),
    replicated: Support::impossible(
        "the store is one file on one machine: ask for `fsync`, or use a broker with replicas",
    ),
    replay: Support::native("offsets, and the time of each record"),
    settlement: Support::native("settled records above the floor are kept in the cursor"),
    delay: PARKED_LANE,
    dedup: Support::impossible("ids are not remembered: deduplicate by event id in the handler"),
    fan_out: Support::native("a cursor for each group"),
    lag: Support::native("the time of the record at the floor"),
    dead_letter_order: Support::native("dead letters and parked records in one sequence for each key"),
    at_least_once: Support::native("cursors are written before the next fetch"),
};

/// Kafka, with `acks=all` and an idempotent producer.
pub static KAFKA: Capabilities = Capabilities {
    broker: Text::Borrowed("kafka"),
    order_key: Support::native("partitions, and lanes of the consumer"),
    order_partition: Support::native("partitions"),
    buffered: Support::native("acks=all"),
    fsync: Support::impossible(
        "acks=all is replicated memory: ask for `replicated`, or set flush.messages=1 on the topic",
    ),
    replicated: Support::native("acks=all with min.insync.replicas of 2 or more"),
    replay: Support::native("offsets, and the time index"),
    settlement: Support::emulated(
        "settled records above the floor are kept in the metadata of the committed offset",
        "at most 256 ranges: beyond them records are delivered again after a crash",
    ),
    delay: PARKED_LANE,
    dedup: Support::impossible(
        "the producer's sequence numbers end with its session: deduplicate by event id in the handler",
    ),
    fan_out: Support::native("consumer groups"),
    lag: Support::native("the time of the record at the committed offset"),
    dead_letter_order: Support::emulated(
        "compacted topics for dead letters and parked keys",
        "two topics a group; read at each rebalance",
    ),
    at_least_once: Support::native("the offset is committed after the record is settled"),
};

/// RabbitMQ with quorum queues and publisher confirms, one queue for each group and partition.
pub static RABBITMQ: Capabilities = Capabilities {
    broker: Text::Borrowed("rabbitmq"),
    order_key: Support::emulated(
        "a queue for each partition with a single active consumer",
        "partitions times groups queues; a partition is worked on by one process",
    ),
    order_partition: Support::emulated(
        "a queue for each partition with a single active consumer",
        "partitions times groups queues; a partition is worked on by one process",
    ),
    buffered: Support::native("quorum queues, confirmed"),
    fsync: Support::native("quorum queues sync before they confirm"),
    replicated: Support::native("quorum queues, confirmed by a majority"),
    replay: Support::impossible("a queue forgets what was acknowledged: use streams or another broker"),
    settlement: Support::native("basic.ack"),
    delay: PARKED_LANE,
    dedup: Support::impossible("queues do not look at ids: deduplicate by event id in the handler"),
    fan_out: Support::native("a queue for each group"),
    lag: Support::impossible(
        "a queue does not tell the age of its oldest record: ask for no lag, or use another broker",
    ),
    dead_letter_order: Support::impossible(
        "queues keep no parked keys that another consumer could find: give the bus a store, or ask for no order",
    ),
    at_least_once: Support::native("acknowledged after the record is settled"),
};

/// NATS JetStream with its default `sync_interval` of two minutes.
pub static NATS: Capabilities = Capabilities {
    broker: Text::Borrowed("nats jetstream"),
    order_key: Support::emulated(
        "a subject for each partition with one consumer",
        "a partition is worked on by one process",
    ),
    order_partition: Support::emulated(
        "a subject for each partition with one consumer",
        "a partition is worked on by one process",
    ),
    buffered: Support::native("file storage"),
    fsync: Support::impossible(
        "the server confirms up to two minutes before it syncs: set `sync_interval: always`, or ask for `buffered`",
    ),
    replicated: Support::impossible(
        "a stream has one replica unless it is made with three: ask for `buffered`, or set the replicas",
    ),
    replay: Support::native("sequence numbers and times"),
    settlement: Support::native("acknowledgement of each record"),
    delay: PARKED_LANE,
    dedup: Support::native("Nats-Msg-Id, within the stream's duplicate window of two minutes"),
    fan_out: Support::native("a durable consumer for each group"),
    lag: Support::native("the time of the record at the acknowledgement floor"),
    dead_letter_order: Support::impossible(
        "the server has no dead letters and no parked keys: give the bus a store, or ask for no order",
    ),
    at_least_once: Support::native("acknowledged after the record is settled"),
};

/// Redis Streams with the default `appendfsync everysec`.
pub static REDIS: Capabilities = Capabilities {
    broker: Text::Borrowed("redis streams"),
    order_key: Support::emulated(
        "a stream for each partition, read by one consumer",
        "a partition is worked on by one process",
    ),
    order_partition: Support::emulated(
        "a stream for each partition, read by one consumer",
        "a partition is worked on by one process",
    ),
    buffered: Support::native("append-only file"),
    fsync: Support::impossible(
        "the file is synced once a second: set `appendfsync always`, or ask for `buffered`",
    ),
    replicated: Support::impossible(
        "replication is not waited for: WAIT lessens the loss and does not end it",
    ),
    replay: Support::native("ids, which are times"),
    settlement: Support::native("XACK"),
    delay: PARKED_LANE,
    dedup: Support::impossible(
        "XADD does not look at ids before 8.6: deduplicate by event id in the handler",
    ),
    fan_out: Support::native("consumer groups"),
    lag: Support::native("the id of the oldest pending entry is its time"),
    dead_letter_order: Support::impossible(
        "a stream has no parked keys: give the bus a store, or ask for no order",
    ),
    at_least_once: Support::native("XACK after the record is settled"),
};

/// All of them, in the order in which they are printed.
pub static ALL: [&Capabilities; 6] = [&MEMORY, &EMBEDDED, &KAFKA, &RABBITMQ, &NATS, &REDIS];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::needs::{Durability, Need, Needs, Order};
    use crate::negotiate::{Target, negotiate};

    #[test]
    fn every_cell_that_is_impossible_says_what_to_do_or_why_there_is_nothing_to_do() {
        for broker in ALL {
            for need in Need::ALL {
                if let Support::Impossible { why } = broker.support(need, Target::Remote) {
                    assert!(why.len() > 20, "{}: {need}: {why}", broker.broker);
                }
            }
        }
    }

    #[test]
    fn the_table_is_as_it_was_reviewed() {
        let mut table = String::new();
        for need in Need::ALL {
            table += &format!("{:22}", need.as_str());
            for broker in ALL {
                table += &format!(" {:10}", broker.support(need, Target::Remote).as_str());
            }
            table.truncate(table.trim_end().len());
            table.push('\n');
        }
        let expected = "\
any order              native     native     native     native     native     native
order per key          native     native     native     emulated   emulated   emulated
order per partition    native     native     native     emulated   emulated   emulated
durability memory      native     native     native     native     native     native
durability buffered    impossible native     native     native     native     native
durability fsync       impossible native     impossible native     impossible impossible
durability replicated  impossible impossible native     native     impossible impossible
replay                 native     native     native     impossible native     native
settlement             native     native     emulated   native     native     native
delayed retry          emulated   emulated   emulated   emulated   emulated   emulated
deduplication          impossible impossible impossible impossible native     impossible
fan-out                native     native     native     native     native     native
lag                    native     native     native     impossible native     native
dead letters in order  native     native     emulated   impossible impossible impossible
effects at least once  native     native     native     native     native     native
effects once           impossible impossible impossible impossible impossible impossible
";
        assert_eq!(table, expected);
    }

    #[test]
    fn fsync_and_replicated_are_two_needs() {
        let ask = |durability| Needs { durability, ..Needs::default() };
        let met = |broker, durability| negotiate(&ask(durability), broker, Target::Remote).is_ok();
        assert!(met(&EMBEDDED, Durability::Fsync) && !met(&EMBEDDED, Durability::Replicated));
        assert!(!met(&KAFKA, Durability::Fsync) && met(&KAFKA, Durability::Replicated));
    }

    #[test]
    fn a_refusal_names_every_gap_with_its_reason_and_keeps_what_is_met() {
        let needs = Needs { order: Order::Key, replay: true, lag: true, ..Needs::default() };
        let unmet = negotiate(&needs, &RABBITMQ, Target::Remote).unwrap_err();
        assert_eq!(unmet.rows.len(), 4);
        assert_eq!(
            unmet.to_string(),
            "rabbitmq cannot give what is asked: replay: a queue forgets what was acknowledged: use streams or \
             another broker; lag: a queue does not tell the age of its oldest record: ask for no lag, or use another \
             broker"
        );
    }

    #[test]
    fn an_effect_happens_once_only_where_an_inbox_makes_it_so() {
        let needs = Needs { effects: crate::Effects::Once, ..Needs::default() };
        assert!(negotiate(&needs, &KAFKA, Target::Remote).is_err());
        let plan = negotiate(&needs, &KAFKA, Target::Inbox).unwrap();
        assert_eq!(plan.rows[0].support.as_str(), "emulated");
    }

    #[test]
    fn a_plan_is_a_table() {
        let needs = Needs { order: Order::Key, delay: true, ..Needs::default() };
        let plan = negotiate(&needs, &KAFKA, Target::Remote).unwrap();
        assert_eq!(
            plan.to_string(),
            "\
order per key          native      partitions, and lanes of the consumer
delayed retry          emulated    parked lane: the records of the key wait in the consumer, order kept (they hold \
credits while they wait, and begin anew after a restart)
effects at least once  native      the offset is committed after the record is settled
"
        );
    }
}
