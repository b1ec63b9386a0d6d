//! Appending, reading, following.

use crate::folder::{Folder, in_world, numbered, numbers};
use bowline_model::WallTime;
use bowline_sqlite::clock::Clock;
use bowline_sqlite::{Keep, Limits, Reason, Record, Store, TopicSpec};
use std::time::Duration;

#[tokio::test]
async fn what_was_appended_is_read_in_order_and_after_a_restart() {
    let folder = Folder::new();
    let rich = Record::new("A47", "two").with_header("type", "reserved").with_header("type", "again");
    let records = [rich, Record::unkeyed(""), Record::tombstone("A47"), Record::default()];
    for restart in [false, true] {
        let store = folder.store();
        let topic = store.create_topic("orders", TopicSpec::new(2)).await.unwrap();
        if !restart {
            assert_eq!(topic.append(1, &records[..2]).await.unwrap().first, 0);
            assert_eq!(topic.append(1, &records[2..]).await.unwrap().first, 2);
        }
        let page = topic.read(1, 0, Limits::default()).await.unwrap();
        assert_eq!(page.records.iter().map(|stored| stored.record.clone()).collect::<Vec<_>>(), records);
        assert_eq!(page.records.iter().map(|stored| stored.position).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!((page.next, page.bounds.first, page.bounds.next), (4, 0, 4));
        assert_eq!(topic.read(0, 0, Limits::default()).await.unwrap().records, []);
        assert!(store.verify().await.unwrap().is_sound());
    }
}

#[tokio::test]
async fn a_page_ends_at_its_limits_and_says_where_to_go_on() {
    let folder = Folder::new();
    let store = folder.store();
    let topic = store.create_topic("orders", TopicSpec::new(1)).await.unwrap();
    topic.append(0, &(0..10).map(numbered).collect::<Vec<_>>()).await.unwrap();
    let page = topic.read(0, 2, Limits { records: 3, bytes: 1 << 20 }).await.unwrap();
    assert_eq!((numbers(&page), page.next), (vec![2, 3, 4], 5));
    let page = topic.read(0, 5, Limits { records: 100, bytes: 40 }).await.unwrap();
    assert_eq!((numbers(&page), page.next), (vec![5, 6], 7));
    let page = topic.read(0, 7, Limits { records: 0, bytes: 0 }).await.unwrap();
    assert_eq!((numbers(&page), page.next), (vec![7], 8));
    let page = topic.read(0, 10, Limits::default()).await.unwrap();
    assert_eq!((numbers(&page), page.next), (vec![], 10));
}

#[tokio::test]
async fn a_topic_is_created_once_and_takes_over_what_is_kept() {
    let folder = Folder::new();
    let store = folder.store();
    let spec = TopicSpec::new(3);
    store.create_topic("orders", spec).await.unwrap().append(2, &[numbered(7)]).await.unwrap();
    let kept = Keep::All { age: Some(Duration::from_secs(60)), bytes: None };
    let topic = store.create_topic("orders", spec.keeping(kept)).await.unwrap();
    assert_eq!(topic.keep(), kept);
    assert_eq!(numbers(&topic.read(2, 0, Limits::default()).await.unwrap()), [7]);
    let latest = Keep::Latest { tombstones: Duration::from_secs(60) };
    for other in [TopicSpec::new(4), spec.keeping(latest)] {
        let error = store.create_topic("orders", other).await.unwrap_err();
        assert_eq!(error.reason(), Reason::TopicDiffers);
    }
    assert_eq!(store.topics(), ["orders"]);
}

#[tokio::test]
async fn bad_names_and_numbers_are_refused_by_name() {
    let folder = Folder::new();
    let store = folder.store();
    for (name, partitions, reason) in [
        ("", 1, Reason::BadValue),
        ("or ders", 1, Reason::BadValue),
        ("orders", 0, Reason::BadValue),
        ("orders", 1 << 20, Reason::TooLarge),
    ] {
        let error = store.create_topic(name, TopicSpec::new(partitions)).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{name} {partitions}: {error}");
    }
    assert_eq!(store.topic("orders").unwrap_err().to_string(), "there is no topic `orders`; create it first");
    let topic = store.create_topic("orders", TopicSpec::new(2)).await.unwrap();
    let error = topic.append(2, &[numbered(1)]).await.unwrap_err();
    assert_eq!(error.to_string(), "topic `orders` has 2 partitions, and no 2");
}

#[tokio::test]
async fn a_record_beyond_its_limit_is_refused() {
    let folder = Folder::new();
    let mut settings = crate::folder::quiet();
    settings.record_bytes_max = 100;
    let store = Store::open(folder.path(), settings).unwrap();
    let topic = store.create_topic("orders", TopicSpec::new(1)).await.unwrap();
    let error = topic.append(0, &[numbered(1), Record::unkeyed(vec![0; 200])]).await.unwrap_err();
    assert_eq!(error.reason(), Reason::TooLarge);
    assert_eq!(topic.bounds(0).await.unwrap().next, 0);
}

#[tokio::test]
async fn a_time_is_found_and_stamps_never_go_back() {
    let folder = Folder::new();
    let clock = Clock::manual(at(1_000));
    let store = Store::open(folder.path(), in_world(|world| world.clock = clock.clone())).unwrap();
    let topic = store.create_topic("orders", TopicSpec::new(1)).await.unwrap();
    for second in [1_000, 2_000, 1_500, 2_000, 3_000] {
        clock.set(at(second));
        topic.append(0, &[numbered(second)]).await.unwrap();
    }
    let page = topic.read(0, 0, Limits::default()).await.unwrap();
    let stamps: Vec<_> = page.records.iter().map(|stored| stored.at).collect();
    assert_eq!(stamps, [1_000, 2_000, 2_000, 2_000, 3_000].map(at));
    for (second, position) in [(0, 0), (1_000, 0), (1_001, 1), (2_000, 1), (2_001, 4), (3_000, 4), (3_001, 5)]
    {
        assert_eq!(topic.position_at(0, at(second)).await.unwrap(), position, "{second}");
    }
}

fn at(seconds: u64) -> WallTime {
    WallTime::from_unix_nanos(seconds * 1_000_000_000)
}

#[tokio::test]
async fn a_tail_brings_what_is_there_and_then_what_comes() {
    let folder = Folder::new();
    let store = folder.store();
    let topic = store.create_topic("orders", TopicSpec::new(1)).await.unwrap();
    topic.append(0, &[numbered(0), numbered(1)]).await.unwrap();
    let mut tail = topic.tail(0, 1).unwrap();
    assert_eq!(numbers(&tail.next().await.unwrap()), [1]);
    let writer = topic.clone();
    let following = tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.len() < 50 {
            seen.extend(numbers(&tail.next().await.unwrap()));
        }
        seen
    });
    for number in 2..52 {
        writer.append(0, &[numbered(number)]).await.unwrap();
    }
    assert_eq!(following.await.unwrap(), (2..52).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_closed_store_ends_its_tails_and_refuses_its_handles() {
    let folder = Folder::new();
    let store = folder.store();
    let topic = store.create_topic("orders", TopicSpec::new(1)).await.unwrap();
    let mut tail = topic.tail(0, 0).unwrap();
    let waiting = tokio::spawn(async move { tail.next().await });
    tokio::task::yield_now().await;
    drop(store);
    assert_eq!(waiting.await.unwrap().unwrap_err().reason(), Reason::Closed);
    assert_eq!(topic.append(0, &[numbered(1)]).await.unwrap_err().reason(), Reason::Closed);
    assert_eq!(topic.read(0, 0, Limits::default()).await.unwrap_err().reason(), Reason::Closed);
}

#[tokio::test]
async fn a_reader_waits_neither_for_the_writer_nor_for_somebody_elses_lock() {
    let folder = Folder::new();
    let store = folder.store();
    let topic = store.create_topic("orders", TopicSpec::new(1)).await.unwrap();
    topic.append(0, &[numbered(0)]).await.unwrap();
    let other = folder.sqlite();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let stuck = {
        let topic = topic.clone();
        tokio::spawn(async move { topic.append(0, &[numbered(1)]).await })
    };
    for _ in 0..100 {
        assert_eq!(numbers(&topic.read(0, 0, Limits::default()).await.unwrap()), [0]);
    }
    other.execute_batch("ROLLBACK").unwrap();
    stuck.await.unwrap().unwrap();
    assert_eq!(numbers(&topic.read(0, 0, Limits::default()).await.unwrap()), [0, 1]);
}
