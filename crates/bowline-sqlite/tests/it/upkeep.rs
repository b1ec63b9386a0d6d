//! Retention, compaction, checkpoints.

use crate::folder::{Folder, in_world, numbered, numbers};
use bowline_model::WallTime;
use bowline_sqlite::clock::Clock;
use bowline_sqlite::{Keep, Limits, Reason, Record, Store, Topic, TopicSpec};
use std::time::Duration;

fn at(seconds: u64) -> WallTime {
    WallTime::from_unix_nanos(seconds * 1_000_000_000)
}

fn padded(number: u64) -> Record {
    numbered(number).with_header("pad", vec![7; 900])
}

async fn open(folder: &Folder, clock: &Clock, keep: Keep) -> (Store, Topic) {
    let store = Store::open(folder.path(), in_world(|world| world.clock = clock.clone())).unwrap();
    let topic = store.create_topic("orders", TopicSpec::new(1).keeping(keep)).await.unwrap();
    (store, topic)
}

async fn all(topic: &Topic) -> Vec<u64> {
    numbers(&topic.read(0, 0, Limits { records: u32::MAX, bytes: usize::MAX }).await.unwrap())
}

#[tokio::test]
async fn records_go_when_they_are_too_old() {
    let folder = Folder::new();
    let clock = Clock::manual(at(1_000));
    let keep = Keep::All { age: Some(Duration::from_secs(60)), bytes: None };
    let (store, topic) = open(&folder, &clock, keep).await;
    for second in [1_000, 1_010, 1_070] {
        clock.set(at(second));
        topic.append(0, &[numbered(second)]).await.unwrap();
    }
    store.upkeep().await.unwrap();
    assert_eq!(all(&topic).await, [1_010, 1_070]);
    clock.set(at(2_000));
    store.upkeep().await.unwrap();
    let page = topic.read(0, 0, Limits::default()).await.unwrap();
    assert_eq!((page.records.len(), page.bounds.first, page.bounds.next), (0, 3, 3));
    assert_eq!(topic.append(0, &[numbered(3)]).await.unwrap().first, 3, "positions are never used again");
    assert_eq!(store.metrics().trimmed, 3);
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn records_go_when_they_are_too_many_and_the_disk_gets_its_space_back() {
    let folder = Folder::new();
    let clock = Clock::manual(at(1_000));
    let keep = Keep::All { age: None, bytes: Some(100_000) };
    let (store, topic) = open(&folder, &clock, keep).await;
    for hundred in 0..40 {
        topic.append(0, &(0..100).map(|n| padded(hundred * 100 + n)).collect::<Vec<_>>()).await.unwrap();
    }
    let pages = |folder: &Folder| -> u32 {
        folder.sqlite().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap()
    };
    let before = pages(&folder);
    for _ in 0..40 {
        store.upkeep().await.unwrap();
    }
    let left = all(&topic).await;
    assert_eq!(left.last(), Some(&3_999));
    assert!((95..110).contains(&left.len()), "{}", left.len());
    let after = pages(&folder);
    assert!(after < before / 5, "{before} pages, then {after}");
    drop(store);
    assert!(std::fs::metadata(folder.path().join("state.db")).unwrap().len() < 1 << 20);
    assert!(bowline_sqlite::verify(folder.path()).unwrap().is_sound());
}

#[tokio::test]
async fn the_latest_of_each_key_stays_and_tombstones_go_in_time() {
    let folder = Folder::new();
    let clock = Clock::manual(at(1_000));
    let (store, topic) = open(&folder, &clock, Keep::Latest { tombstones: Duration::from_secs(60) }).await;
    for number in 0..1_200 {
        topic.append(0, &[numbered(number)]).await.unwrap();
    }
    topic.append(0, &[Record::tombstone("key 3")]).await.unwrap();
    store.upkeep().await.unwrap();
    let page = topic.read(0, 0, Limits::default()).await.unwrap();
    let positions: Vec<_> = page.records.iter().map(|stored| stored.position).collect();
    assert_eq!(positions, [1_194, 1_195, 1_196, 1_197, 1_198, 1_199, 1_200]);
    assert_eq!(page.records[6].record, Record::tombstone("key 3"));
    clock.set(at(1_061));
    topic.append(0, &[Record::new("key 4", "late")]).await.unwrap();
    store.upkeep().await.unwrap();
    let page = topic.read(0, 0, Limits::default()).await.unwrap();
    let positions: Vec<_> = page.records.iter().map(|stored| stored.position).collect();
    assert_eq!(positions, [1_195, 1_196, 1_197, 1_198, 1_199, 1_201]);
    assert_eq!(page.next, 1_202);
    assert!(store.verify().await.unwrap().is_sound());
    let error = topic.append(0, &[Record::unkeyed("x")]).await.unwrap_err();
    assert_eq!(error.reason(), Reason::BadValue);
}

#[tokio::test]
async fn the_log_begins_again_and_stays_near_its_threshold() {
    let folder = Folder::new();
    let mut settings = in_world(|_| ());
    settings.checkpoint_pages = 100;
    let store = Store::open(folder.path(), settings).unwrap();
    let topic = store.create_topic("orders", TopicSpec::new(1)).await.unwrap();
    let mut longest = 0;
    for number in 0..1_000 {
        topic.append(0, &[padded(number)]).await.unwrap();
        longest = longest.max(store.metrics().log_bytes / 4_120);
    }
    assert!(longest < 130, "{longest} pages");
    assert!(store.metrics().checkpoints >= 10);
}

#[tokio::test]
async fn the_threads_that_look_after_things_do_so() {
    let folder = Folder::new();
    let mut settings = bowline_sqlite::Settings::default();
    settings.checkpoint_pages = 100;
    settings.upkeep_every = Duration::from_millis(1);
    let store = Store::open(folder.path(), settings).unwrap();
    let keep = Keep::All { age: None, bytes: Some(50_000) };
    let topic = store.create_topic("orders", TopicSpec::new(1).keeping(keep)).await.unwrap();
    let mut number = 0;
    while store.metrics().trimmed == 0 || store.metrics().checkpoints < 3 {
        topic.append(0, &[padded(number)]).await.unwrap();
        number += 1;
    }
    assert!(store.verify().await.unwrap().is_sound());
}
