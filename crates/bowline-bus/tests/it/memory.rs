//! The memory broker where the suite does not look: its limits and its retention.

use crate::support::{SECOND, broker, event, group, topic};
use bowline_bus::{
    Control, Delivered, Lag, Log, Memory, MemoryLimits, Position, Retention, Slot, Start, Subscription,
    Times, TopicSettings, Verdict, Why, Window, handler, lag,
};
use bowline_lane::{ConsumerSettings, Cursor};
use bowline_model::Outcome;
use std::sync::Arc;
use std::time::Duration;

const NOW: Window = Window { records: 100, bytes: u64::MAX, wait: Duration::ZERO };

/// What one of the events here weighs.
fn weight() -> u64 {
    event("k", "1").bytes()
}

#[tokio::test(start_paused = true)]
async fn publishers_wait_for_room_and_are_refused_when_their_time_is_over() {
    let broker = Memory::with_limits(MemoryLimits { bytes_max: 2 * weight(), ..MemoryLimits::default() });
    let topic = topic("t");
    broker.create(&topic, TopicSettings::default()).await.unwrap();
    broker.append(&topic, vec![event("k", "1"), event("k", "2")], SECOND).await.unwrap();
    let full = broker.append(&topic, vec![event("k", "3")], SECOND).await.unwrap_err();
    assert_eq!((full.outcome(), full.why()), (Outcome::Refused, &Why::Full { limit: "bytes_max" }));

    let slot = Slot { topic: topic.clone(), group: group("g"), partition: 0 };
    let mut member = broker.join(&topic, &slot.group, Start::Earliest).await.unwrap();
    let _ = member.changed().await.unwrap();
    let (waiting, settled) = tokio::join!(
        broker.append(&topic, vec![event("k", "3")], SECOND * 10),
        broker.commit(&slot, 1, Cursor::starting_at(1), SECOND),
    );
    settled.unwrap();
    assert_eq!(waiting.unwrap(), [Position { partition: 0, offset: 2 }]);
    let bounds = broker.describe(&topic).await.unwrap();
    assert_eq!((bounds[0].first, bounds[0].next), (1, 3), "what every group has settled made room");
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_the_broker_can_never_be_taken() {
    let broker = Memory::with_limits(MemoryLimits { bytes_max: 10, ..MemoryLimits::default() });
    let topic = topic("t");
    broker.create(&topic, TopicSettings::default()).await.unwrap();
    let error = broker.append(&topic, vec![event("k", "1")], SECOND).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Failed);
}

#[tokio::test(start_paused = true)]
async fn records_go_when_they_are_too_old_or_too_many() {
    let (broker, topic) = broker("t", 1).await;
    let retention = Retention { age: Some(SECOND * 60), bytes: Some(3 * weight()) };
    broker.create(&topic, TopicSettings { partitions: 1, retention }).await.unwrap();
    for n in 0..5 {
        broker.append(&topic, vec![event("k", &n.to_string())], SECOND).await.unwrap();
    }
    let bounds = broker.describe(&topic).await.unwrap();
    assert_eq!((bounds[0].first, bounds[0].next, bounds[0].bytes), (2, 5, 3 * weight()));
    let gone = broker.read(&topic, 0, 0, NOW).await.unwrap_err();
    assert_eq!(gone.why(), &Why::OffsetOutOfRange { first: 2, next: 5 });
    tokio::time::advance(SECOND * 61).await;
    let bounds = broker.describe(&topic).await.unwrap();
    assert_eq!((bounds[0].first, bounds[0].bytes), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_finds_nothing_is_answered_when_its_time_is_over() {
    let (broker, topic) = broker("t", 1).await;
    let began = tokio::time::Instant::now();
    let none = broker.read(&topic, 0, 0, Window { wait: SECOND * 5, ..NOW }).await.unwrap();
    assert_eq!((none.len(), began.elapsed()), (0, SECOND * 5));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_closed_answers_everybody() {
    let (broker, topic) = broker("t", 1).await;
    let reader = {
        let (broker, topic) = (broker.clone(), topic.clone());
        tokio::spawn(async move { broker.read(&topic, 0, 0, Window { wait: SECOND * 60, ..NOW }).await })
    };
    tokio::task::yield_now().await;
    broker.close();
    assert_eq!(reader.await.unwrap().unwrap_err().why(), &Why::Closed);
    assert_eq!(
        broker.append(&topic, vec![event("k", "1")], SECOND).await.unwrap_err().outcome(),
        Outcome::Refused
    );
}

#[tokio::test(start_paused = true)]
async fn lag_is_the_age_of_the_oldest_record_that_is_not_settled() {
    let (broker, topic) = broker("t", 1).await;
    broker.append(&topic, vec![event("a", "1"), event("b", "2")], SECOND).await.unwrap();
    let slot = Slot { topic: topic.clone(), group: group("g"), partition: 0 };
    let at = broker.read(&topic, 0, 0, NOW).await.unwrap()[0].at;
    let later = bowline_model::WallTime::from_unix_nanos(at.as_unix_nanos() + 7_000_000_000);
    assert_eq!(lag(&broker, &slot, later).await.unwrap(), Lag::Unknown, "nobody has begun");
    let (control, controlled) = Control::new();
    let done = handler(move |delivered: Delivered| {
        let control = control.clone();
        async move {
            if delivered.position.offset == 1 {
                control.stop();
                return Verdict::done();
            }
            Verdict::refused("later").after(SECOND * 100)
        }
    });
    let subscription = Subscription {
        log: Arc::new(broker.clone()),
        dead_letters: Arc::new(broker.clone()),
        topic,
        group: slot.group.clone(),
        from: Start::Earliest,
        settings: ConsumerSettings::default(),
        times: Times::default(),
        filter: None,
        seed: 1,
    };
    subscription.run(done, controlled, &mut ()).await.unwrap();
    assert_eq!(lag(&broker, &slot, later).await.unwrap(), Lag::Behind(SECOND * 7));
    let caught_up = Slot { partition: 0, ..slot };
    let mut member = broker.join(&caught_up.topic, &caught_up.group, Start::Earliest).await.unwrap();
    let bowline_bus::Change::Assigned { epoch, .. } = member.changed().await.unwrap() else { panic!() };
    broker.commit(&caught_up, epoch, Cursor::starting_at(2), SECOND).await.unwrap();
    assert_eq!(lag(&broker, &caught_up, later).await.unwrap(), Lag::None);
}
