//! One writer for everybody: batches, savepoints, what fails alone and what fails together.

use crate::folder::{Folder, in_world, numbered, numbers, quiet};
use bowline_lane::Cursor;
use bowline_model::Outcome;
use bowline_sqlite::{Class, Error, Limits, Reason, Store, Topic, TopicSpec, Write, Written};
use std::pin::Pin;
use std::task::Poll;

/// Holds the file's lock until all requests wait, so that they become one batch.
async fn together(folder: &Folder, store: &Store, writes: Vec<Write>) -> Vec<Result<Written, Error>> {
    let other = folder.sqlite();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The first is taken alone and waits for the lock; the others gather behind it.
    let mut first = Box::pin(store.write(Class::Bulk, Write::new()));
    assert!(is_pending(first.as_mut()).await);
    while store.metrics().queued_requests > 0 {
        tokio::task::yield_now().await;
    }
    let commits = store.metrics().commits;
    let mut waiting: Vec<_> =
        writes.into_iter().map(|write| Box::pin(store.write(Class::Bulk, write))).collect();
    for write in &mut waiting {
        assert!(is_pending(write.as_mut()).await);
    }
    other.execute_batch("ROLLBACK").unwrap();
    first.await.unwrap();
    let mut answers = Vec::new();
    for write in waiting {
        answers.push(write.await);
    }
    assert_eq!(store.metrics().commits, commits + 2);
    answers
}

/// Polls once.
async fn is_pending<F: Future>(mut future: Pin<&mut F>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

async fn orders(folder: &Folder) -> (Store, Topic) {
    let store = folder.store();
    let topic = store.create_topic("orders", TopicSpec::new(2)).await.unwrap();
    (store, topic)
}

#[tokio::test]
async fn those_who_wait_share_one_commit() {
    let folder = Folder::new();
    let (store, topic) = orders(&folder).await;
    let partition = topic.partition(0).unwrap();
    let writes = (0..50).map(|n| Write::new().append(partition, &[numbered(n)])).collect();
    let answers = together(&folder, &store, writes).await;
    let mut positions: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().unwrap().appended[0].first).collect();
    positions.sort_unstable();
    assert_eq!(positions, (0..50).collect::<Vec<_>>());
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn a_bad_request_fails_alone_and_leaves_no_trace() {
    let folder = Folder::new();
    let (store, topic) = orders(&folder).await;
    let partition = topic.partition(0).unwrap();
    let append = |n| Write::new().append(partition, &[numbered(n), numbered(n + 1)]);
    let bad = append(10).commit("billing", partition, 7, Cursor::starting_at(1));
    let answers =
        together(&folder, &store, vec![append(0), bad, append(20).claim("billing", partition)]).await;
    let error = answers[1].as_ref().unwrap_err();
    assert_eq!((error.reason(), error.outcome()), (Reason::Fenced, Outcome::Failed));
    assert_eq!(answers[0].as_ref().unwrap().appended[0].first, 0);
    assert_eq!(answers[2].as_ref().unwrap().appended[0].first, 2);
    assert_eq!(numbers(&topic.read(0, 0, Limits::default()).await.unwrap()), [0, 1, 20, 21]);
    assert_eq!(answers[2].as_ref().unwrap().claimed[0].epoch, 1);
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn changes_to_several_partitions_and_cursors_are_one() {
    let folder = Folder::new();
    let (store, topic) = orders(&folder).await;
    let [a, b] = [topic.partition(0).unwrap(), topic.partition(1).unwrap()];
    let write = Write::new()
        .append(a, &[numbered(1)])
        .append(b, &[numbered(2), numbered(3)])
        .claim("billing", b)
        .commit("billing", b, 1, Cursor::starting_at(2));
    let written = store.write(Class::Saga, write).await.unwrap();
    let appended: Vec<_> = written.appended.iter().map(|appended| (appended.first, appended.count)).collect();
    assert_eq!(appended, [(0, 1), (0, 2)]);
    assert_eq!(topic.cursor("billing", 1).await.unwrap(), Some(Cursor::starting_at(2)));
}

#[tokio::test]
async fn a_full_file_fails_the_batch_whole_and_heals_by_itself() {
    let folder = Folder::new();
    let store = Store::open(folder.path(), in_world(|world| world.pages_max = Some(60))).unwrap();
    let topic = store.create_topic("orders", TopicSpec::new(1)).await.unwrap();
    let mut count = 0;
    let error = loop {
        let records: Vec<_> =
            (0..10).map(|n| numbered(count * 10 + n).with_header("pad", vec![7; 800])).collect();
        match topic.append(0, &records).await {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((error.reason(), error.outcome()), (Reason::DiskFull, Outcome::Refused));
    assert!(error.to_string().contains("goes on by itself"), "{error}");
    assert!(count > 0);
    assert_eq!(topic.bounds(0).await.unwrap().next, count * 10, "nothing is torn");
    // What is small enough still fits: nothing was closed.
    topic.append(0, &[numbered(0)]).await.unwrap();
    assert_eq!(store.metrics().reopened, 0);
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn somebody_elses_lock_is_waited_for_and_then_told() {
    let folder = Folder::new();
    let mut settings = quiet();
    settings.busy_max = std::time::Duration::from_millis(1);
    let store = Store::open(folder.path(), settings).unwrap();
    let topic = store.create_topic("orders", TopicSpec::new(1)).await.unwrap();
    let other = folder.sqlite();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = topic.append(0, &[numbered(0)]).await.unwrap_err();
    assert_eq!((error.reason(), error.outcome()), (Reason::Busy, Outcome::Refused));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(topic.append(0, &[numbered(0)]).await.unwrap().first, 0);
}

#[tokio::test]
async fn a_dropped_request_is_made_whole_or_not_at_all() {
    let folder = Folder::new();
    let (_store, topic) = orders(&folder).await;
    for n in 0..20 {
        let dropped = {
            let topic = topic.clone();
            tokio::spawn(async move { topic.append(0, &[numbered(n), numbered(n)]).await })
        };
        tokio::task::yield_now().await;
        dropped.abort();
    }
    topic.append(0, &[numbered(99)]).await.unwrap();
    let read = numbers(&topic.read(0, 0, Limits::default()).await.unwrap());
    let (last, pairs) = read.split_last().unwrap();
    assert_eq!(*last, 99);
    assert!(pairs.chunks(2).all(|pair| pair[0] == pair[1]), "{read:?}");
}

#[tokio::test]
async fn figures_say_what_was_done() {
    let folder = Folder::new();
    let (store, topic) = orders(&folder).await;
    topic.append(0, &[numbered(0), numbered(1)]).await.unwrap();
    topic.append(0, &[numbered(2)]).await.unwrap();
    store.write(Class::Bulk, Write::new().claim("", topic.partition(0).unwrap())).await.unwrap_err();
    topic.read(0, 0, Limits::default()).await.unwrap();
    let read = store.metrics();
    assert_eq!((read.commits, read.requests, read.requests_failed, read.records), (4, 3, 1, 3));
    assert_eq!(
        (read.batch_requests.count, read.batch_requests.sum, read.sync.count, read.queue_wait.count),
        (4, 4, 4, 4)
    );
    assert!(read.log_bytes > 0 && read.record_bytes > 3 * 10 && read.sync.sum > 0);
    assert_eq!(
        (read.queued_requests, read.queued_bytes, read.requests_unknown, read.commits_failed),
        (0, 0, 0, 0)
    );
}
